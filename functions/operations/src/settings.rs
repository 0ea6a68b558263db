//! What the operations are told by their environment, and which queues there are.

use muster_core::platform::aws::AwsSettings;
use muster_core::platform::settings::{SettingsError, Variables};

/// What a queue carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Nudges to the mailer.
    Mails,
    /// Events of S3, and nudges to the import planner.
    Uploads,
    /// Nudges to the import worker.
    Chunks,
    /// Events of SES.
    Reports,
}

impl Content {
    /// The same for people.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Mails => "nudges to the mailer: whose mail to send",
            Self::Uploads => "S3's events and nudges to the import planner: which file to cut",
            Self::Chunks => "nudges to the import worker: which chunk to import",
            Self::Reports => "SES's events: what became of a mail that was sent",
        }
    }
}

/// A queue of `template.yaml`: its name for operators, what it carries, and the
/// variables that have the URLs of it and of its dead-letter queue.
pub struct Entry(
    pub &'static str,
    pub Content,
    pub &'static str,
    pub &'static str,
);

/// Every queue. Another one is another entry.
#[rustfmt::skip]
pub const QUEUES: [Entry; 5] = [
    Entry("mail", Content::Mails, "MUSTER_MAIL_QUEUE_URL", "MUSTER_MAIL_DLQ_URL"),
    Entry("bulk-mail", Content::Mails, "MUSTER_BULK_MAIL_QUEUE_URL", "MUSTER_BULK_MAIL_DLQ_URL"),
    Entry("import", Content::Uploads, "MUSTER_IMPORT_QUEUE_URL", "MUSTER_IMPORT_DLQ_URL"),
    Entry("chunk", Content::Chunks, "MUSTER_CHUNK_QUEUE_URL", "MUSTER_CHUNK_DLQ_URL"),
    Entry("feedback", Content::Reports, "MUSTER_FEEDBACK_QUEUE_URL", "MUSTER_FEEDBACK_DLQ_URL"),
];

/// A queue and its dead-letter queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Its name for operators.
    pub name: &'static str,
    /// What it carries.
    pub content: Content,
    /// Where it is.
    pub url: String,
    /// Where its dead letters are.
    pub dead_letters_url: String,
}

/// The operations' settings.
#[derive(Clone)]
pub struct Settings {
    /// Region, credentials, endpoint.
    pub aws: AwsSettings,
    /// `MUSTER_TABLE`
    pub table: String,
    /// The queues: see [`QUEUES`].
    pub queues: Vec<Queue>,
}

impl Settings {
    /// Reads all of it.
    ///
    /// # Errors
    /// Names every variable that is missing.
    pub fn read(mut variables: Variables<'_>) -> Result<Self, SettingsError> {
        let settings = Self {
            aws: AwsSettings::read(&mut variables),
            table: variables.required("MUSTER_TABLE"),
            queues: QUEUES
                .iter()
                .map(|Entry(name, content, url, dead_letters_url)| Queue {
                    name,
                    content: *content,
                    url: variables.required(url),
                    dead_letters_url: variables.required(dead_letters_url),
                })
                .collect(),
        };
        variables.finish()?;
        Ok(settings)
    }
}
