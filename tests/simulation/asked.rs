//! A call, read off its HTTP request.

use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use bytes::Bytes;
use serde_json::Value;

/// A call.
#[derive(Debug, Clone)]
pub struct Asked {
    /// How.
    pub method: http::Method,
    /// Path and query.
    pub path: String,
    /// Its headers.
    pub headers: http::HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// Who is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// The table.
    DynamoDb,
    /// The queues.
    Sqs,
    /// The mail.
    Ses,
    /// The bucket.
    S3,
    /// The parameters.
    Ssm,
    /// The secrets.
    SecretsManager,
}

impl Asked {
    /// Reads what the SDK sends.
    pub fn read(request: &HttpRequest) -> Self {
        let mut headers = http::HeaderMap::new();
        for (name, value) in request.headers() {
            let name: http::HeaderName = name.parse().expect("a header");
            headers.append(name, value.parse().expect("a value"));
        }
        let uri: http::Uri = request.uri().parse().expect("an address");
        Self {
            method: request.method().parse().expect("a method"),
            path: uri
                .path_and_query()
                .map_or("/", |path| path.as_str())
                .to_owned(),
            headers,
            body: Bytes::copy_from_slice(request.body().bytes().unwrap_or_default()),
        }
    }

    fn target(&self) -> Option<(&str, &str)> {
        self.headers
            .get("x-amz-target")?
            .to_str()
            .ok()?
            .split_once('.')
    }

    /// Who is asked.
    pub fn service(&self) -> Service {
        match self.target() {
            Some((prefix, _)) if prefix.starts_with("DynamoDB") => Service::DynamoDb,
            Some(("AmazonSSM", _)) => Service::Ssm,
            Some(("secretsmanager", _)) => Service::SecretsManager,
            Some(_) => Service::Sqs,
            None if self.path.starts_with("/v2/email/") => Service::Ses,
            None => Service::S3,
        }
    }

    /// For what.
    pub fn operation(&self) -> &str {
        match self.target() {
            Some((_, operation)) => operation,
            None if self.service() == Service::Ses && self.method == http::Method::GET => {
                "GetAccount"
            }
            None if self.service() == Service::Ses && self.method == http::Method::DELETE => {
                "DeleteSuppressedDestination"
            }
            None if self.service() == Service::Ses => "SendEmail",
            None => s3_operation(&self.method, &self.path),
        }
    }

    /// The body, as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// What the call is about, for people.
    pub fn subject(&self) -> String {
        let json = self.json();
        match self.service() {
            Service::DynamoDb => subject_of_item(&json),
            Service::Sqs => {
                let queue = json["QueueUrl"].as_str().unwrap_or_default();
                queue.rsplit('/').next().unwrap_or_default().to_owned()
            }
            Service::Ses => json["EmailTags"][0]["Value"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            Service::S3 => self.path.split('?').next().unwrap_or_default().to_owned(),
            Service::Ssm => json["Name"].as_str().unwrap_or_default().to_owned(),
            Service::SecretsManager => json["SecretId"].as_str().unwrap_or_default().to_owned(),
        }
    }

    /// Items that it is to write.
    pub fn writes(&self) -> usize {
        match self.operation() {
            "TransactWriteItems" => self.json()["TransactItems"].as_array().map_or(0, Vec::len),
            "PutItem" | "UpdateItem" => 1,
            _ => 0,
        }
    }
}

fn s3_operation(method: &http::Method, uri: &str) -> &'static str {
    let asks = |name: &str| uri.contains(name);
    match *method {
        http::Method::GET if asks("list-type=2") => "ListObjectsV2",
        http::Method::GET if asks("uploadId=") => "ListParts",
        http::Method::GET => "GetObject",
        http::Method::PUT if asks("uploadId=") => "UploadPart",
        http::Method::PUT => "PutObject",
        http::Method::POST if asks("uploadId=") => "CompleteMultipartUpload",
        http::Method::POST if asks("?uploads") => "CreateMultipartUpload",
        http::Method::DELETE if asks("uploadId=") => "AbortMultipartUpload",
        _ => "Other",
    }
}

fn subject_of_item(json: &Value) -> String {
    let key = |item: &Value| {
        let part = |name: &str| item[name]["S"].as_str().unwrap_or_default().to_owned();
        format!("{} {}", part("pk"), part("sk"))
    };
    if let Some(actions) = json["TransactItems"].as_array() {
        let of_action = |action: &Value| match (&action["Put"]["Item"], &action["Update"]["Key"]) {
            (Value::Object(_), _) => key(&action["Put"]["Item"]),
            (_, Value::Object(_)) => key(&action["Update"]["Key"]),
            _ => key(&action["Delete"]["Key"]),
        };
        return format!("{} and {} more", of_action(&actions[0]), actions.len() - 1);
    }
    if let Some(tables) = json["RequestItems"].as_object() {
        let keys: Vec<_> = tables
            .values()
            .flat_map(|table| table["Keys"].as_array().into_iter().flatten())
            .map(key)
            .collect();
        return keys.join(", ");
    }
    match (&json["Key"], &json["Item"], &json["IndexName"]) {
        (Value::Object(_), _, _) => key(&json["Key"]),
        (_, Value::Object(_), _) => key(&json["Item"]),
        (_, _, Value::String(index)) => {
            let values = &json["ExpressionAttributeValues"];
            let shard = values[":shard"]["S"]
                .as_str()
                .or(values[":list"]["S"].as_str());
            format!("index {index} {}", shard.unwrap_or_default())
        }
        _ => json["ExpressionAttributeValues"][":pk"]["S"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
    }
}
