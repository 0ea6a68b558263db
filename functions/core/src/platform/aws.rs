//! The SDK's configuration, built by hand.
//!
//! On Lambda, region and credentials are in the environment. Reading them
//! there, instead of through the SDK's chain of profile files, single sign-on
//! and instance metadata, keeps that chain out of the binary and of the cold
//! start. Every client of a process shares one HTTP client, and with it the
//! connections.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
pub use aws_types::SdkConfig;
use aws_types::region::Region;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::platform::settings::Variables;

/// One attempt of a call may take this long. DynamoDB, SQS and SES answer
/// in milliseconds; what takes seconds will not come.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
/// A call with all its attempts may take this long.
pub const OPERATION_TIMEOUT: Duration = Duration::from_secs(8);
/// A connection may take this long to open, TLS included. Shorter than any attempt, so
/// that a call that was never sent is told apart from one that got no answer.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// A connection that has been idle for this long is not used again. AWS closes idle ones
/// (S3 after about 20 s, hyperium/hyper#2136), and a request that meets the close is lost
/// without a word; hyper's own limit is 90 s.
pub const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// Where AWS is and who we are there.
#[derive(Clone)]
pub struct AwsSettings {
    region: String,
    credentials: Credentials,
    endpoint: Option<String>,
}

impl AwsSettings {
    /// Reads `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, and
    /// where given `AWS_SESSION_TOKEN` and `AWS_ENDPOINT_URL`.
    pub fn read(variables: &mut Variables<'_>) -> Self {
        Self {
            region: variables.required("AWS_REGION"),
            credentials: Credentials::new(
                variables.required("AWS_ACCESS_KEY_ID"),
                variables.required("AWS_SECRET_ACCESS_KEY"),
                variables.optional("AWS_SESSION_TOKEN"),
                None,
                "environment",
            ),
            endpoint: variables.optional("AWS_ENDPOINT_URL"),
        }
    }

    /// In which region.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Who we are, for what we sign ourselves.
    pub const fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Where the calls go, if that is an emulator rather than AWS. S3 must then
    /// be asked for `/bucket/key`, as no name `bucket.127.0.0.1` resolves.
    pub fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }

    /// The configuration that every SDK client of the process starts from.
    pub fn sdk_config(&self) -> SdkConfig {
        self.sdk_config_over(http_client())
    }

    /// The same over another HTTP client: how a test answers the calls itself.
    pub fn sdk_config_over(&self, http: SharedHttpClient) -> SdkConfig {
        let mut config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(self.region.clone()))
            .credentials_provider(SharedCredentialsProvider::new(self.credentials.clone()))
            .retry_config(RetryConfig::standard())
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(CONNECT_TIMEOUT)
                    .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                    .operation_timeout(OPERATION_TIMEOUT)
                    .build(),
            )
            .http_client(http);
        config.set_endpoint_url(self.endpoint.clone());
        config.build()
    }
}

/// One HTTP client with built-in roots: reading the certificate directory of
/// the machine costs a cold start several milliseconds.
fn http_client() -> SharedHttpClient {
    let mut roots = TrustStore::empty();
    for certificate in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
        roots.add_pem_certificate(pem(certificate));
    }
    let context = TlsContext::builder().with_trust_store(roots).build();
    let builder = aws_smithy_http_client::Builder::new()
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        .tls_provider(Provider::Rustls(CryptoMode::Ring));
    match context {
        Ok(context) => builder.tls_context(context).build_https(),
        Err(_) => builder.build_https(),
    }
}

fn pem(der: &[u8]) -> Vec<u8> {
    let mut pem = b"-----BEGIN CERTIFICATE-----\n".to_vec();
    for line in STANDARD.encode(der).as_bytes().chunks(64) {
        pem.extend_from_slice(line);
        pem.push(b'\n');
    }
    pem.extend_from_slice(b"-----END CERTIFICATE-----\n");
    pem
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    fn at(endpoint: &str) -> AwsSettings {
        let mut variables = Variables::from_fn(|name| match name {
            "AWS_REGION" => Some("eu-central-1".to_owned()),
            "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("test".to_owned()),
            "AWS_ENDPOINT_URL" => Some(endpoint.to_owned()),
            _ => None,
        });
        let settings = AwsSettings::read(&mut variables);
        variables.finish().unwrap();
        settings
    }

    /// A root that is not understood is left out without a word.
    #[test]
    fn every_root_can_be_read_as_pem() {
        for certificate in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
            let pem = String::from_utf8(pem(certificate)).unwrap();
            let (begin, rest) = pem.split_once('\n').unwrap();
            let (base64, end) = rest.trim_end().rsplit_once('\n').unwrap();
            assert_eq!(begin, "-----BEGIN CERTIFICATE-----");
            assert_eq!(end, "-----END CERTIFICATE-----");
            let der = STANDARD.decode(base64.replace('\n', "")).unwrap();
            assert_eq!(der, certificate.as_ref());
        }
    }

    #[test]
    fn the_environment_becomes_a_configuration() {
        let settings = at("http://127.0.0.1:4566");
        let config = settings.sdk_config();
        assert_eq!(settings.endpoint(), Some("http://127.0.0.1:4566"));
        assert_eq!(config.region().unwrap().as_ref(), "eu-central-1");
        assert_eq!(config.endpoint_url(), Some("http://127.0.0.1:4566"));
    }

    /// An AWS that answers every call with `{}`, and how many connections it has had.
    async fn aws() -> (String, Arc<AtomicUsize>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let connections = Arc::new(AtomicUsize::new(0));
        let count = connections.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(answer(BufReader::new(stream)));
            }
        });
        (address, connections)
    }

    async fn answer(mut stream: BufReader<TcpStream>) {
        const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
        let (mut line, mut length) = (String::new(), 0);
        while stream.read_line(&mut line).await.is_ok_and(|read| read > 0) {
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                stream.read_exact(&mut vec![0; length]).await.unwrap();
                stream.write_all(ANSWER).await.unwrap();
            }
            line.clear();
        }
    }

    async fn idle(time: Duration) {
        // Until the connection is back in the pool.
        tokio::time::sleep(Duration::from_millis(20)).await;
        tokio::time::pause();
        tokio::time::advance(time).await;
        tokio::time::resume();
    }

    #[tokio::test]
    async fn a_connection_that_was_idle_for_long_is_not_used_again() {
        let (address, connections) = aws().await;
        let client = aws_sdk_dynamodb::Client::new(&at(&address).sdk_config());
        let second = Duration::from_secs(1);
        for (time, expected) in [
            (Duration::ZERO, 1),
            (POOL_IDLE_TIMEOUT - second, 1),
            (POOL_IDLE_TIMEOUT + second, 2),
        ] {
            idle(time).await;
            client.list_tables().send().await.unwrap();
            assert_eq!(connections.load(Ordering::SeqCst), expected, "{time:?}");
        }
    }
}
