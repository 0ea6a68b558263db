//! Where details come from on the local stack: JSON objects in the emulator's S3,
//! which lets everybody read. `sources.json` is the document that says so.

use aws_sdk_s3::Client as S3;
use aws_sdk_ssm::types::ParameterType;
use muster_cli::trouble::{OrTrouble, Trouble};
use muster_core::people::email::Email;
use muster_core::platform::aws::SdkConfig;
use muster_core::platform::hex::hex;
use muster_imports::object::s3_client;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::already_exists::ok_if_exists;
use crate::aws_settings::aws_settings;

const DOCUMENT: &str = include_str!("../sources.json");
/// The emulator that the document names.
const NAMED: &str = "http://127.0.0.1:4566";
const BUCKET: &str = "muster-demo-sources";
const SECRET: &str = "muster/demo-loyalty";
/// `SourcesParameter` of the `local` environment in `samconfig.toml`.
const PARAMETER: &str = "/muster/sources";

const REMEDY: &str = "make down, then try again.";

/// The sources of a stack.
#[derive(Debug)]
pub struct Sources {
    endpoint: String,
    config: SdkConfig,
    s3: S3,
}

impl Sources {
    /// Those of that emulator.
    ///
    /// # Errors
    /// As [`aws_settings`].
    pub fn at(endpoint: &str) -> Result<Self, Trouble> {
        let settings = aws_settings(endpoint)?;
        let config = settings.sdk_config();
        Ok(Self {
            endpoint: endpoint.to_owned(),
            s3: s3_client(&settings, &config),
            config,
        })
    }

    /// Makes what the details read: a bucket, a secret, and the document that names
    /// both.
    ///
    /// # Errors
    /// When one of them cannot be made.
    pub async fn make(&self) -> Result<(), Trouble> {
        let bucket = self.s3.create_bucket().bucket(BUCKET).send().await;
        ok_if_exists(bucket, "BucketAlreadyOwnedByYou")
            .or_trouble("the bucket of the sources cannot be made", REMEDY)?;
        let secret = aws_sdk_secretsmanager::Client::new(&self.config)
            .create_secret()
            .name(SECRET)
            .secret_string(r#"{"token": "demo"}"#)
            .send()
            .await;
        ok_if_exists(secret, "ResourceExistsException")
            .or_trouble("the secret of a source cannot be made", REMEDY)?;
        aws_sdk_ssm::Client::new(&self.config)
            .put_parameter()
            .name(PARAMETER)
            .r#type(ParameterType::String)
            .value(DOCUMENT.replace(NAMED, &self.endpoint))
            .overwrite(true)
            .send()
            .await
            .or_trouble("the document of the sources cannot be written", REMEDY)?;
        Ok(())
    }

    /// Has a source say that of a person from now on.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn say(&self, source: &str, person: &Email, what: &Value) -> Result<(), Trouble> {
        let name = hex(&Sha256::digest(person.key()));
        self.s3
            .put_object()
            .bucket(BUCKET)
            .key(format!("{source}/{name}.json"))
            .content_type("application/json")
            .body(what.to_string().into_bytes().into())
            .send()
            .await
            .or_trouble(format!("{source} cannot be told what to say"), REMEDY)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_names_what_is_made() {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        for (name, source) in document["sources"].as_object().unwrap() {
            let url = format!("{NAMED}/{BUCKET}/{name}/{{email_sha256}}.json");
            assert_eq!(source["url"], url);
        }
        let token = &document["sources"]["loyalty"]["headers"]["Authorization"];
        assert_eq!(token["secret"], SECRET);
        let samconfig = include_str!("../../../samconfig.toml");
        assert!(samconfig.contains(&format!("\"SourcesParameter={PARAMETER}\"")));
    }
}
