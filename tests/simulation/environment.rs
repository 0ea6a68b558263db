//! The environment variables of every process of the simulation.

use crate::dynamodb::TABLE;
use crate::queues::{BULK_MAIL, CHUNK, FEEDBACK, IMPORT, MAIL, dead_letters_url, url};
use crate::s3::BUCKET;

/// The parameter that holds the document of the sources.
pub const SOURCES: &str = "/muster/sources";

/// The value of a variable; `None` if it is not set.
pub fn setting(name: &str) -> Option<String> {
    let value = match name {
        "AWS_SESSION_TOKEN"
        | "MUSTER_CAPTCHA_URL"
        | "MUSTER_VIEWER_ADDRESS_HEADER"
        | "MUSTER_SOURCES_FILE" => return None,
        "AWS_ENDPOINT_URL" => "http://aws.local".to_owned(),
        "MUSTER_TABLE" => TABLE.to_owned(),
        "MUSTER_MAIL_QUEUE_URL" => url(MAIL),
        "MUSTER_BULK_MAIL_QUEUE_URL" => url(BULK_MAIL),
        "MUSTER_IMPORT_QUEUE_URL" => url(IMPORT),
        "MUSTER_CHUNK_QUEUE_URL" => url(CHUNK),
        "MUSTER_FEEDBACK_QUEUE_URL" => url(FEEDBACK),
        "MUSTER_MAIL_DLQ_URL" => dead_letters_url(MAIL),
        "MUSTER_BULK_MAIL_DLQ_URL" => dead_letters_url(BULK_MAIL),
        "MUSTER_IMPORT_DLQ_URL" => dead_letters_url(IMPORT),
        "MUSTER_CHUNK_DLQ_URL" => dead_letters_url(CHUNK),
        "MUSTER_FEEDBACK_DLQ_URL" => dead_letters_url(FEEDBACK),
        "MUSTER_MAILS_PER_MINUTE" => "600".to_owned(),
        "MUSTER_REMINDER_HOURS" => "24".to_owned(),
        "MUSTER_MAIL_PAUSED" => "false".to_owned(),
        "MUSTER_SIGNUPS_PER_ADDRESS"
        | "MUSTER_SIGNUP_MAILS_PER_HOUR"
        | "MUSTER_SIGNUP_MAILS_PER_DOMAIN" => "1000000".to_owned(),
        "MUSTER_PUBLIC_URL" => "https://muster.example".to_owned(),
        "MUSTER_ACCENT_COLOUR" => "#1d4ed8".to_owned(),
        "MUSTER_DEFAULT_LANGUAGE" => "en".to_owned(),
        "MUSTER_UPLOADS_BUCKET" => BUCKET.to_owned(),
        "MUSTER_IMPORT_PRESETS" => r#"{"look": {"dry_run": true}}"#.to_owned(),
        "MUSTER_IMPORT_CHUNKS_AT_ONCE" => "2".to_owned(),
        "MUSTER_IMPORT_MAX_FILE_BYTES" => "5368709120".to_owned(),
        "MUSTER_IMPORT_MAX_ROWS" => "10000000".to_owned(),
        "MUSTER_IMPORT_MAX_LINE_BYTES" => "65536".to_owned(),
        "MUSTER_IMPORT_MAX_FIELD_BYTES" => "32768".to_owned(),
        "MUSTER_IMPORT_MAX_COLUMNS" => "212".to_owned(),
        "MUSTER_SOURCES_PARAMETER" => SOURCES.to_owned(),
        "MUSTER_SENDER" => "muster@example.com".to_owned(),
        _ => "local".to_owned(),
    };
    Some(value)
}
