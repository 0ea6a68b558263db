//! Sending through SES, and what each refusal means.

use std::time::Duration;

use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::config::retry::RetryConfig;
use aws_sdk_sesv2::config::timeout::TimeoutConfig;
use aws_sdk_sesv2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sesv2::operation::send_email::SendEmailError;
use aws_sdk_sesv2::operation::send_email::builders::SendEmailFluentBuilder;
use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message, MessageTag};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::error::operation::BuildError;
use hyper_util::client::legacy;
use muster_core::mail::item::MailItem;
use muster_core::people::email::for_server;
use muster_core::platform::aws::{CONNECT_TIMEOUT, SdkConfig};
use muster_core::platform::causes::chain;

use crate::letter::Letter;
use crate::settings::Settings;

/// SES may think for longer than DynamoDB; an answer that we did not wait for
/// may still have been a yes.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// SES, and who we are there.
pub(crate) struct Ses {
    client: Client,
    sender: String,
    configuration_set: String,
}

/// A mail that SES did not, or may not have, accepted.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotSent {
    /// Not accepted, and the mail is not to blame: throttled, paused, out of
    /// service. Later.
    #[error("SES does not take mail now: {0}")]
    NotNow(String),
    /// Not accepted, and never will be.
    #[error("SES refuses the mail: {0}")]
    Rejected(String),
    /// No answer came; it may have been accepted.
    #[error("SES gave no answer: {0}")]
    Uncertain(String),
}

impl Ses {
    /// SES with our sender. The SDK's own retries are off: a repeated
    /// `SendEmail` is a second mail, as SES has no idempotency token.
    pub(crate) fn new(config: &SdkConfig, settings: &Settings) -> Self {
        let config = aws_sdk_sesv2::config::Builder::from(config)
            .retry_config(RetryConfig::disabled())
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(CONNECT_TIMEOUT)
                    .operation_attempt_timeout(SEND_TIMEOUT)
                    .operation_timeout(SEND_TIMEOUT)
                    .build(),
            )
            .build();
        Self {
            client: Client::from_conf(config),
            sender: settings.sender.clone(),
            configuration_set: settings.configuration_set.clone(),
        }
    }

    /// Sends one mail and answers with the id that SES gave it.
    ///
    /// # Errors
    /// See [`NotSent`].
    pub(crate) async fn send(&self, mail: &MailItem, letter: &Letter) -> Result<String, NotSent> {
        let request = self
            .request(mail, letter)
            .map_err(|error| NotSent::Rejected(error.to_string()))?;
        let output = request.send().await.map_err(not_sent)?;
        Ok(output.message_id.unwrap_or_default())
    }

    fn request(
        &self,
        mail: &MailItem,
        letter: &Letter,
    ) -> Result<SendEmailFluentBuilder, BuildError> {
        let body = Body::builder()
            .text(utf8(&letter.text)?)
            .html(utf8(&letter.html)?)
            .build();
        let message = Message::builder()
            .subject(utf8(&letter.subject)?)
            .body(body)
            .build();
        Ok(self
            .client
            .send_email()
            .from_email_address(&self.sender)
            .configuration_set_name(&self.configuration_set)
            .destination(
                Destination::builder()
                    .to_addresses(for_server(&mail.to, &mail.email_key))
                    .build(),
            )
            .content(EmailContent::builder().simple(message).build())
            // The events that SES publishes about this mail carry these back.
            .email_tags(tag("profile_id", mail.profile_id.to_string())?)
            .email_tags(tag("mail", mail.number.to_string())?))
    }
}

fn utf8(data: &str) -> Result<Content, BuildError> {
    Content::builder().data(data).charset("UTF-8").build()
}

fn tag(name: &str, value: String) -> Result<MessageTag, BuildError> {
    MessageTag::builder().name(name).value(value).build()
}

fn not_sent(error: SdkError<SendEmailError>) -> NotSent {
    match &error {
        SdkError::ServiceError(context) => refusal(context.err()),
        SdkError::ConstructionFailure(_) => {
            NotSent::Rejected("the request could not be built".to_owned())
        }
        SdkError::DispatchFailure(failure)
            if failure.as_connector_error().is_some_and(never_left) =>
        {
            NotSent::NotNow("no connection to SES".to_owned())
        }
        _ => NotSent::Uncertain(error.to_string()),
    }
}

/// Whether nothing left this machine: the request could not be made, or the connection
/// (name, TCP, TLS) did not open. The SDK has no word of its own for the latter: what its
/// HTTP client says is behind its error.
fn never_left(error: &ConnectorError) -> bool {
    let says_so = |error: &legacy::Error| error.is_connect();
    error.is_user() || chain(error).any(|cause| cause.downcast_ref().is_some_and(says_so))
}

/// What SES said no to: the mail, or the moment?
fn refusal(error: &SendEmailError) -> NotSent {
    let code = error.code().unwrap_or("unknown");
    let reason = match error.message() {
        Some(message) => format!("{code}: {message}"),
        None => code.to_owned(),
    };
    match error {
        // SES says it of a sender nobody verified, too: that is for an
        // operator to mend, and no reason to give all mail up.
        SendEmailError::MessageRejected(_) if reason.contains("not verified") => {
            NotSent::NotNow(reason)
        }
        SendEmailError::MessageRejected(_) | SendEmailError::BadRequestException(_) => {
            NotSent::Rejected(reason)
        }
        // The moment's, the account's or the sender's state, which passes, or
        // which its owner can mend: the mail itself is good.
        _ => NotSent::NotNow(reason),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use aws_sdk_sesv2::error::ErrorMetadata;
    use aws_sdk_sesv2::types::error::{
        AccountSuspendedException, BadRequestException, MessageRejected, SendingPausedException,
        TooManyRequestsException,
    };
    use aws_smithy_http_client::tls::Provider;
    use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
    use aws_smithy_runtime_api::client::dns::{DnsFuture, ResolveDns};
    use aws_smithy_runtime_api::client::http::SharedHttpClient;
    use muster_core::people::email::Email;
    use muster_core::people::new_profile::NewProfile;
    use muster_core::people::person::Attributes;
    use muster_core::people::source::Source;
    use muster_core::platform::ids::ProfileId;
    use muster_core::platform::random::Random;
    use muster_core::platform::settings::Variables;
    use muster_core::platform::time::Time;
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;
    use tokio::time::Instant;

    use super::*;

    fn meta(code: &str, message: &str) -> ErrorMetadata {
        ErrorMetadata::builder().code(code).message(message).build()
    }

    fn rejected(message: &str) -> SendEmailError {
        SendEmailError::MessageRejected(
            MessageRejected::builder()
                .message(message)
                .meta(meta("MessageRejected", message))
                .build(),
        )
    }

    #[test]
    fn a_bad_mail_is_given_up_and_a_bad_moment_is_not() {
        let bad_request = BadRequestException::builder()
            .meta(meta("BadRequestException", "Illegal address"))
            .build();
        for error in [
            rejected("Email contains a virus"),
            SendEmailError::BadRequestException(bad_request),
        ] {
            assert!(matches!(refusal(&error), NotSent::Rejected(_)), "{error:?}");
        }
        for error in [
            rejected("Email address is not verified. The following identities failed the check"),
            SendEmailError::AccountSuspendedException(AccountSuspendedException::builder().build()),
            SendEmailError::SendingPausedException(SendingPausedException::builder().build()),
            SendEmailError::TooManyRequestsException(TooManyRequestsException::builder().build()),
            SendEmailError::generic(meta("ThrottlingException", "Rate exceeded")),
            SendEmailError::generic(meta("AccessDeniedException", "no")),
            SendEmailError::generic(meta("ExpiredTokenException", "too old")),
        ] {
            assert!(matches!(refusal(&error), NotSent::NotNow(_)), "{error:?}");
        }
        let unknown = SendEmailError::generic(meta("InternalFailure", "oops"));
        assert!(matches!(refusal(&unknown), NotSent::NotNow(_)));
    }

    #[test]
    fn the_reason_names_the_code_and_what_ses_said() {
        assert_eq!(
            refusal(&rejected("Email contains a virus")),
            NotSent::Rejected("MessageRejected: Email contains a virus".to_owned())
        );
    }

    fn mail() -> (MailItem, Letter) {
        let profile = NewProfile {
            id: ProfileId::new(Time::from_millis(0), &Random::seeded(1)),
            email: Email::parse("ada@example.com").unwrap(),
            name: None,
            locale: None,
            attributes: Attributes::default(),
            source: Source::Signup,
            created_by: "signup".to_owned(),
            row: None,
            confirmed: false,
            now: Time::from_millis(0),
        };
        let letter = Letter {
            subject: "Confirm".to_owned(),
            text: "text".to_owned(),
            html: "html".to_owned(),
        };
        (profile.confirmation(), letter)
    }

    /// What sending comes to, if SES is there.
    async fn sending(endpoint: &str, http: Option<SharedHttpClient>) -> NotSent {
        let variables = Variables::from_fn(|name| match name {
            "AWS_ENDPOINT_URL" => Some(endpoint.to_owned()),
            "AWS_SESSION_TOKEN" => None,
            "MUSTER_MAIL_PAUSED" => Some("false".to_owned()),
            "MUSTER_REMINDER_HOURS" => Some("24".to_owned()),
            "MUSTER_ACCENT_COLOUR" => Some("#1d4ed8".to_owned()),
            "MUSTER_DEFAULT_LANGUAGE" => Some("en".to_owned()),
            _ => Some("x".to_owned()),
        });
        let settings = Settings::read(variables).unwrap();
        let config = match http {
            Some(http) => settings.aws.sdk_config_over(http),
            None => settings.aws.sdk_config(),
        };
        let (mail, letter) = mail();
        let sent = Ses::new(&config, &settings).send(&mail, &letter).await;
        sent.unwrap_err()
    }

    #[tokio::test]
    async fn who_cannot_be_reached_has_not_taken_the_mail() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let not_sent = sending(&format!("http://{address}"), None).await;
        assert!(matches!(not_sent, NotSent::NotNow(_)), "{not_sent:?}");
    }

    #[tokio::test]
    async fn who_hangs_up_may_have_taken_the_mail() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_exact(&mut [0; 64]).await.unwrap();
        });
        let not_sent = sending(&format!("http://{address}"), None).await;
        assert!(matches!(not_sent, NotSent::Uncertain(_)), "{not_sent:?}");
    }

    /// A resolver that never knows an address.
    #[derive(Debug, Clone)]
    struct Silent;

    impl ResolveDns for Silent {
        fn resolve_dns<'a>(&'a self, _: &'a str) -> DnsFuture<'a> {
            DnsFuture::new(std::future::pending())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_takes_too_long_is_none() {
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build_with_resolver(Silent);
        let began = Instant::now();
        let not_sent = sending("http://ses.example", Some(http)).await;
        assert!(matches!(not_sent, NotSent::NotNow(_)), "{not_sent:?}");
        // tokio's timers count in milliseconds.
        assert!(began.elapsed() < CONNECT_TIMEOUT + Duration::from_millis(2));
    }
}
