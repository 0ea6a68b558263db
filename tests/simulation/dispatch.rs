//! Which service works on a call, and what it makes of it.

use muster_core::platform::time::Time;
use serde_json::{Map, Value, json};

use crate::answer::{Answer, error, refusal, ses_error};
use crate::asked::{Asked, Service};
use crate::chains::Chain;
use crate::faults::Fault;
use crate::queues::FEEDBACK;
use crate::ses::Ses;
use crate::state::Shared;

impl Shared {
    /// Does what call number `number` asks for; the process with that id makes it.
    pub fn work(&mut self, process: u64, asked: &Asked, number: u64, now: Time) -> Answer {
        match asked.service() {
            Service::DynamoDb => self.work_on_table(asked),
            Service::Sqs => {
                let body = String::from_utf8_lossy(&asked.body);
                self.queues.chain = self.chains.get(&process).cloned().unwrap_or_default();
                let answer = self.queues.call(asked.operation(), &body, now);
                self.queues.chain = Chain::default();
                Answer::json(200, answer)
            }
            Service::Ses if asked.operation() == "GetAccount" => {
                Answer::json(200, self.ses.account())
            }
            Service::Ses if asked.operation() == "DeleteSuppressedDestination" => {
                self.ses.unsuppress(&asked.path)
            }
            Service::Ses if !self.ses.admits(now) => refusal(asked, Fault::Throttle),
            Service::Ses => {
                let body = String::from_utf8_lossy(&asked.body);
                if let Some(message) = Ses::refuses(&body) {
                    return ses_error(400, "BadRequestException", message);
                }
                let answer = self.ses.accept(&body, number, process, now);
                for (after, event) in self.ses.reports(&self.random) {
                    self.queues.send(FEEDBACK, &event, after, now);
                }
                Answer::json(200, answer)
            }
            Service::S3 => self.work_on_bucket(asked),
            Service::Ssm | Service::SecretsManager => self.look_up(asked),
        }
    }

    fn look_up(&self, asked: &Asked) -> Answer {
        match (self.parameters.get(&asked.subject()), asked.service()) {
            (Some(value), Service::Ssm) => {
                let parameter = json!({ "Value": value });
                Answer::json(200, json!({ "Parameter": parameter }).to_string())
            }
            (Some(value), _) => Answer::json(200, json!({ "SecretString": value }).to_string()),
            (None, Service::Ssm) => error(400, "ParameterNotFound"),
            (None, _) => error(400, "ResourceNotFoundException"),
        }
    }

    fn work_on_table(&mut self, asked: &Asked) -> Answer {
        let mut request = asked.json();
        if let Some(bug) = self.bug {
            bug.rewrite(asked.operation(), &mut request);
            if bug.splits_checkpoints() && is_checkpoint(&request) {
                self.dynamodb
                    .call("UpdateItem", &counts_only(&request).to_string());
                if self.random.bytes::<1>()[0] < 128 {
                    return refusal(asked, Fault::ServerError);
                }
            }
        }
        request["ReturnConsumedCapacity"] = json!("TOTAL");
        let (status, body) = match asked.operation() {
            "BatchGetItem" => self.read_some(request.clone()),
            operation => self.dynamodb.call(operation, &request.to_string()),
        };
        if status == 200 {
            let actions = request["TransactItems"].as_array().into_iter().flatten();
            let updates = actions.map(|action| &action["Update"]);
            for update in std::iter::once(&request).chain(updates) {
                self.mark_recorded(update);
            }
        }
        Answer {
            units: consumed(&body),
            ..Answer::json(status, body)
        }
    }

    /// As many as are read in a call; the others are left.
    fn read_some(&self, mut request: Value) -> (u16, String) {
        let asked = request["RequestItems"].as_object_mut();
        let mut left = Map::new();
        for (table, asked) in asked.into_iter().flatten() {
            let keys = asked["Keys"].as_array_mut().map(|keys| {
                let read = keys.len().min(self.reads_at_once);
                keys.split_off(read)
            });
            if let Some(keys) = keys.filter(|keys| !keys.is_empty()) {
                left.insert(
                    table.clone(),
                    json!({ "Keys": keys, "ConsistentRead": true }),
                );
            }
        }
        if self.reads_at_once == 0 {
            return (200, json!({ "UnprocessedKeys": left }).to_string());
        }
        let (status, body) = self.dynamodb.call("BatchGetItem", &request.to_string());
        if left.is_empty() || status != 200 {
            return (status, body);
        }
        let mut answer: Value = serde_json::from_str(&body).expect("JSON");
        answer["UnprocessedKeys"] = left.into();
        (status, answer.to_string())
    }

    /// What was said in an update that marks a mail as sent: that is no secret
    /// of the mailer's any more.
    fn mark_recorded(&mut self, update: &Value) {
        let expression = update["UpdateExpression"].as_str().unwrap_or_default();
        if expression.contains("ses_message_id") {
            let part = |name: &str| update["Key"][name]["S"].as_str().unwrap_or_default();
            self.ses.recorded(
                part("pk").trim_start_matches("PROFILE#"),
                part("sk").trim_start_matches("MAIL#"),
            );
        }
    }

    fn work_on_bucket(&self, asked: &Asked) -> Answer {
        if let Some(answer) = self.s3.made(asked) {
            return answer;
        }
        let mut request = http::Request::new(asked.body.clone());
        *request.method_mut() = asked.method.clone();
        *request.uri_mut() = format!("http://aws.local{}", asked.path)
            .parse()
            .expect("an address");
        *request.headers_mut() = asked.headers.clone();
        request
            .headers_mut()
            .insert("host", http::HeaderValue::from_static("aws.local"));
        // The bucket is nobody's: s3s would want to know the secret.
        request.headers_mut().remove("authorization");
        let (parts, body) = self.s3.call(request).into_parts();
        let headers = parts.headers.iter().filter_map(|(name, value)| {
            Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
        });
        // Our answers arrive in pieces of our own.
        let headers = headers.filter(|(name, _)| name != "transfer-encoding");
        Answer {
            headers: headers.collect(),
            ..Answer::json(parts.status.as_u16(), body)
        }
    }
}

/// The capacity that an answer says it took: of one table, or a list of them.
fn consumed(body: &str) -> f64 {
    let answer: Value = serde_json::from_str(body).unwrap_or_default();
    let units = |table: &Value| table["CapacityUnits"].as_f64().unwrap_or_default();
    match &answer["ConsumedCapacity"] {
        Value::Array(tables) => tables.iter().map(units).sum(),
        table => units(table),
    }
}

fn is_checkpoint(request: &Value) -> bool {
    request["UpdateExpression"]
        .as_str()
        .is_some_and(|text| text.contains("checkpoints = :after"))
}

/// The part of a checkpoint that a worker with
/// [`CountOutsideTransaction`](crate::bug::Bug::CountOutsideTransaction) writes first:
/// the counts, added up.
fn counts_only(request: &Value) -> Value {
    json!({
        "TableName": request["TableName"],
        "Key": request["Key"],
        "UpdateExpression": "SET #counts = :counts",
        "ExpressionAttributeNames": { "#counts": "counts" },
        "ExpressionAttributeValues": { ":counts": request["ExpressionAttributeValues"][":counts"] },
    })
}
