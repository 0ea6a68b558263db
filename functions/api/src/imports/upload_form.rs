//! Forms by which somebody without credentials uploads one file: presigned
//! POSTs.
//!
//! A policy says what S3 is to take: this key in this bucket, so many bytes,
//! until then. It goes along with the file, signed (Signature Version 4), and
//! with every value that it was signed for. No call is made for it.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use muster_core::platform::aws::AwsSettings;
use muster_core::platform::time::Time;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::openapi::values;

/// How long a form can be used.
pub(crate) const LIFETIME: Duration = Duration::from_secs(15 * 60);

/// Uploads into the deployment's bucket.
pub struct Uploads {
    aws: AwsSettings,
    bucket: String,
    max_bytes: u64,
}

/// Where a file goes: `multipart/form-data` with all of the `fields`, in any
/// order, and behind them the file as the part `file`.
#[derive(Serialize, ToSchema)]
#[schema(as = ImportUpload, examples(example))]
pub struct Upload {
    /// Posted to S3 itself, which answers 204, or with an error in XML.
    #[schema(format = "uri")]
    url: String,
    /// Names and values, all of which are signed.
    fields: BTreeMap<&'static str, String>,
    /// The longest file that is taken.
    #[schema(minimum = 1)]
    max_bytes: u64,
    /// Until when the upload must have begun.
    #[schema(value_type = values::Time)]
    expires_at: String,
}

/// One, as the document shows it.
pub(crate) fn example() -> Value {
    json!({
        "url": "https://muster-uploads.s3.eu-central-1.amazonaws.com/",
        "fields": {
            "key": "uploads/_/019aafb0-0000-7000-8000-000000000000.csv",
            "policy": "eyJjb25kaXRpb25zIjpbXX0=",
            "x-amz-algorithm": "AWS4-HMAC-SHA256",
            "x-amz-credential": "AKIAIOSFODNN7EXAMPLE/20261124/eu-central-1/s3/aws4_request",
            "x-amz-date": "20261124T080000Z",
            "x-amz-security-token": "…",
            "x-amz-signature": "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e",
        },
        "max_bytes": 5_368_709_120_u64,
        "expires_at": "2026-11-24T08:15:00.000Z",
    })
}

impl Uploads {
    /// Uploads into that bucket, of files that are no longer than that.
    pub const fn new(aws: AwsSettings, bucket: String, max_bytes: u64) -> Self {
        Self {
            aws,
            bucket,
            max_bytes,
        }
    }

    /// Where they go.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The form for one object.
    pub fn form(&self, key: &str, now: Time, until: Time) -> Upload {
        let (region, credentials) = (self.aws.region(), self.aws.credentials());
        let date = now.to_basic();
        let scope = format!("{}/{region}/s3/aws4_request", &date[..8]);
        let credential = format!("{}/{scope}", credentials.access_key_id());
        let mut fields = BTreeMap::from([
            ("key", key.to_owned()),
            ("x-amz-algorithm", "AWS4-HMAC-SHA256".to_owned()),
            ("x-amz-credential", credential),
            ("x-amz-date", date),
        ]);
        if let Some(token) = credentials.session_token() {
            fields.insert("x-amz-security-token", token.to_owned());
        }
        let policy = STANDARD.encode(self.policy(&fields, until));
        let secret = credentials.secret_access_key();
        fields.insert("x-amz-signature", signature(secret, now, region, &policy));
        fields.insert("policy", policy);
        Upload {
            url: self.url(),
            fields,
            max_bytes: self.max_bytes,
            expires_at: until.to_string(),
        }
    }

    fn policy(&self, fields: &BTreeMap<&str, String>, until: Time) -> String {
        let mut conditions = vec![
            json!({ "bucket": self.bucket }),
            json!(["content-length-range", 1, self.max_bytes]),
        ];
        conditions.extend(fields.iter().map(|(name, value)| json!({ *name: value })));
        json!({ "conditions": conditions, "expiration": until.to_string() }).to_string()
    }

    fn url(&self) -> String {
        let (bucket, region) = (&self.bucket, self.aws.region());
        if let Some(endpoint) = self.aws.endpoint() {
            return format!("{}/{bucket}", endpoint.trim_end_matches('/'));
        }
        let suffix = match region.starts_with("cn-") {
            true => "amazonaws.com.cn",
            false => "amazonaws.com",
        };
        format!("https://{bucket}.s3.{region}.{suffix}/")
    }
}

fn signature(secret: &str, now: Time, region: &str, policy: &str) -> String {
    let key = generate_signing_key(secret, now.into(), region, "s3");
    calculate_signature(key, policy.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_core::platform::settings::Variables;

    /// 2015-12-29T00:00:00Z
    const NOW: Time = Time::from_millis(1_451_347_200_000);
    const KEY_ID: &str = "AKIAIOSFODNN7EXAMPLE";
    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    const TOKEN: &str = "FwoGZXIvYXdzEXAMPLE//=";

    fn form(region: &str, token: Option<&str>, endpoint: Option<&str>) -> Value {
        let mut variables = Variables::from_fn(|name| {
            Some(match name {
                "AWS_REGION" => region.to_owned(),
                "AWS_ACCESS_KEY_ID" => KEY_ID.to_owned(),
                "AWS_SECRET_ACCESS_KEY" => SECRET.to_owned(),
                "AWS_SESSION_TOKEN" => token?.to_owned(),
                _ => endpoint?.to_owned(),
            })
        });
        let aws = AwsSettings::read(&mut variables);
        let uploads = Uploads::new(aws, "sigv4examplebucket".to_owned(), 1000);
        json!(uploads.form("uploads/_/x.csv", NOW, NOW.after(LIFETIME)))
    }

    /// From "Example: Browser-Based Upload using HTTP POST" of the Amazon S3 API
    /// Reference, whose lines end with carriage returns.
    #[test]
    fn the_documented_example_has_its_signature() {
        let policy = r#"{ "expiration": "2015-12-30T12:00:00.000Z",
  "conditions": [
    {"bucket": "sigv4examplebucket"},
    ["starts-with", "$key", "user/user1/"],
    {"acl": "public-read"},
    {"success_action_redirect": "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html"},
    ["starts-with", "$Content-Type", "image/"],
    {"x-amz-meta-uuid": "14365123651274"},
    {"x-amz-server-side-encryption": "AES256"},
    ["starts-with", "$x-amz-meta-tag", ""],

    {"x-amz-credential": "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request"},
    {"x-amz-algorithm": "AWS4-HMAC-SHA256"},
    {"x-amz-date": "20151229T000000Z" }
  ]
}"#;
        let policy = STANDARD.encode(policy.replace('\n', "\r\n"));
        assert_eq!(
            signature(SECRET, NOW, "us-east-1", &policy),
            "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e"
        );
    }

    /// The signatures were computed by Python's `hmac`.
    #[test]
    fn a_form_has_everything_that_its_policy_asks_for() {
        for (token, signature) in [
            (
                None,
                "08efe42d3d7c1bec4b420854e1f704756ae9a128ef6e8d953e149e542e114cf9",
            ),
            (
                Some(TOKEN),
                "389f7a6e690f456244ed98de4da51210c3a98bc2b69aa3065a401007827b08f1",
            ),
        ] {
            let form = form("us-east-1", token, None);
            let mut fields = form["fields"].as_object().unwrap().clone();
            let policy = fields.remove("policy").unwrap();
            assert_eq!(fields.remove("x-amz-signature").unwrap(), signature);
            assert_eq!(fields.contains_key("x-amz-security-token"), token.is_some());

            let policy = STANDARD.decode(policy.as_str().unwrap()).unwrap();
            let policy: Value = serde_json::from_slice(&policy).unwrap();
            assert_eq!(policy["expiration"], "2015-12-29T00:15:00.000Z");
            assert_eq!(policy["expiration"], form["expires_at"]);
            let mut conditions = policy["conditions"].as_array().unwrap().iter();
            assert_eq!(
                conditions.next().unwrap(),
                &json!({ "bucket": "sigv4examplebucket" })
            );
            assert_eq!(
                conditions.next().unwrap(),
                &json!(["content-length-range", 1, form["max_bytes"]])
            );
            let fields: Vec<_> = fields
                .iter()
                .map(|field| json!({ field.0: field.1 }))
                .collect();
            assert_eq!(conditions.cloned().collect::<Vec<_>>(), fields);
        }
    }

    #[test]
    fn the_bucket_is_where_the_deployment_is() {
        for (region, endpoint, url) in [
            (
                "eu-central-1",
                None,
                "https://sigv4examplebucket.s3.eu-central-1.amazonaws.com/",
            ),
            (
                "cn-north-1",
                None,
                "https://sigv4examplebucket.s3.cn-north-1.amazonaws.com.cn/",
            ),
            (
                "eu-central-1",
                Some("http://127.0.0.1:4566/"),
                "http://127.0.0.1:4566/sigv4examplebucket",
            ),
        ] {
            assert_eq!(form(region, None, endpoint)["url"], url);
        }
    }
}
