//! Sending through SES, and what each refusal means.

use std::time::Duration;

use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::config::retry::RetryConfig;
use aws_sdk_sesv2::config::timeout::TimeoutConfig;
use aws_sdk_sesv2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sesv2::operation::send_email::SendEmailError;
use aws_sdk_sesv2::operation::send_email::builders::SendEmailFluentBuilder;
use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message, MessageTag};
use aws_smithy_types::error::operation::BuildError;
use muster_core::aws::SdkConfig;
use muster_core::mail::MailItem;

use crate::letter::Letter;
use crate::settings::Settings;

/// SES may think for longer than DynamoDB; an answer that we did not wait for
/// may still have been a yes.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// SES, and who we are there.
pub struct Ses {
    client: Client,
    sender: String,
    configuration_set: String,
}

/// A mail that SES did not, or may not have, accepted.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSent {
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
    pub fn new(config: &SdkConfig, settings: &Settings) -> Self {
        let config = aws_sdk_sesv2::config::Builder::from(config)
            .retry_config(RetryConfig::disabled())
            .timeout_config(
                TimeoutConfig::builder()
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
    pub async fn send(&self, mail: &MailItem, letter: &Letter) -> Result<String, NotSent> {
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
            .destination(Destination::builder().to_addresses(recipient(mail)).build())
            .content(EmailContent::builder().simple(message).build())
            // The events that SES publishes about this mail carry these back.
            .email_tags(tag("profile_id", mail.profile_id.to_string())?)
            .email_tags(tag("mail", mail.number.to_string())?))
    }
}

/// The address for SES: as it was typed, with the domain in its ASCII form.
fn recipient(mail: &MailItem) -> String {
    match (mail.to.rsplit_once('@'), mail.email_key.rsplit_once('@')) {
        (Some((local, _)), Some((_, domain))) => format!("{local}@{domain}"),
        _ => mail.to.clone(),
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
        // Nothing left this machine.
        SdkError::DispatchFailure(failure)
            if failure.as_connector_error().is_some_and(|e| e.is_user()) =>
        {
            NotSent::NotNow("no connection".to_owned())
        }
        _ => NotSent::Uncertain(error.to_string()),
    }
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
    use super::*;
    use aws_sdk_sesv2::error::ErrorMetadata;
    use aws_sdk_sesv2::types::error::{
        AccountSuspendedException, BadRequestException, MessageRejected, SendingPausedException,
        TooManyRequestsException,
    };

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
}
