//! `.local/env`: what others need to know of the stack, as `KEY=value` lines
//! that a shell can read.

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use muster_cli::client_credentials::ClientCredentials;
use muster_cli::trouble::{OrTrouble, Trouble};

use crate::deployment::Outputs;
use crate::place::{CREDENTIAL, Place, REGION};

/// Which variable has which output of the template.
const FROM_OUTPUTS: [(&str, &str); 22] = [
    ("MUSTER_API_URL", "ApiUrl"),
    ("MUSTER_TABLE", "TableName"),
    ("MUSTER_UPLOADS_BUCKET", "UploadsBucketName"),
    ("MUSTER_MAIL_QUEUE_URL", "MailQueueUrl"),
    ("MUSTER_BULK_MAIL_QUEUE_URL", "BulkMailQueueUrl"),
    ("MUSTER_IMPORT_QUEUE_URL", "ImportQueueUrl"),
    ("MUSTER_CHUNK_QUEUE_URL", "ChunkQueueUrl"),
    ("MUSTER_FEEDBACK_QUEUE_URL", "FeedbackQueueUrl"),
    ("MUSTER_MAIL_DLQ_URL", "MailDeadLetterQueueUrl"),
    ("MUSTER_BULK_MAIL_DLQ_URL", "BulkMailDeadLetterQueueUrl"),
    ("MUSTER_IMPORT_DLQ_URL", "ImportDeadLetterQueueUrl"),
    ("MUSTER_CHUNK_DLQ_URL", "ChunkDeadLetterQueueUrl"),
    ("MUSTER_FEEDBACK_DLQ_URL", "FeedbackDeadLetterQueueUrl"),
    ("MUSTER_API_FUNCTION", "ApiFunctionName"),
    ("MUSTER_MAILER_FUNCTION", "MailerFunctionName"),
    (
        "MUSTER_IMPORT_PLANNER_FUNCTION",
        "ImportPlannerFunctionName",
    ),
    ("MUSTER_IMPORT_WORKER_FUNCTION", "ImportWorkerFunctionName"),
    ("MUSTER_SWEEPER_FUNCTION", "SweeperFunctionName"),
    ("MUSTER_FEEDBACK_FUNCTION", "FeedbackFunctionName"),
    ("MUSTER_CONFIGURATION_SET", "ConfigurationSetName"),
    ("MUSTER_OPERATIONS_FUNCTION", "OperationsFunctionName"),
    ("MUSTER_DETAILS_FUNCTION", "DetailsFunctionName"),
];

/// The variables, in the order they are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment(Vec<(String, String)>);

impl Environment {
    /// What there is to know of a deployed stack.
    ///
    /// # Errors
    /// When an output is missing or no token is to be had.
    pub async fn of(
        place: &Place,
        outputs: &Outputs,
        credentials: &ClientCredentials,
    ) -> Result<Self, Trouble> {
        let token = credentials.token("").await?;
        let own = [
            ("AWS_ENDPOINT_URL", place.endpoint()),
            ("AWS_REGION", REGION.to_owned()),
            // The AWS command line reads this one.
            ("AWS_DEFAULT_REGION", REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", CREDENTIAL.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", CREDENTIAL.to_owned()),
            ("MUSTER_TOKEN", token),
            ("MUSTER_TOKEN_URL", credentials.token_url.clone()),
            ("MUSTER_CLIENT_ID", credentials.id.clone()),
            ("MUSTER_CLIENT_SECRET", credentials.secret.clone()),
        ];
        let mut variables: Vec<_> = own.map(|(name, value)| (name.to_owned(), value)).to_vec();
        for (name, output) in FROM_OUTPUTS {
            variables.push((name.to_owned(), outputs.get(output)?.to_owned()));
        }
        Ok(Self(variables))
    }

    /// Reads the file that [`write`](Self::write) wrote.
    ///
    /// # Errors
    /// When there is none.
    pub fn load(path: &Path) -> Result<Self, Trouble> {
        let text = std::fs::read_to_string(path).or_trouble(
            format!("{} cannot be read", path.display()),
            "Is the stack up? make up",
        )?;
        Ok(Self::parse(&text))
    }

    fn parse(text: &str) -> Self {
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        Self(
            pairs
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        )
    }

    /// One variable.
    ///
    /// # Errors
    /// When it is not there.
    pub fn get(&self, name: &str) -> Result<&str, Trouble> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
            .ok_or_else(|| {
                Trouble::new(
                    format!("the stack's env has no {name}"),
                    "make up writes it anew.",
                )
            })
    }

    /// The credentials of the machine client.
    ///
    /// # Errors
    /// When its variables are not there.
    pub fn client_credentials(&self) -> Result<ClientCredentials, Trouble> {
        Ok(ClientCredentials {
            token_url: self.get("MUSTER_TOKEN_URL")?.to_owned(),
            id: self.get("MUSTER_CLIENT_ID")?.to_owned(),
            secret: self.get("MUSTER_CLIENT_SECRET")?.to_owned(),
        })
    }

    /// Writes the file whole or not at all, for its owner's eyes: it has a
    /// token in it.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub fn write(&self, path: &Path) -> Result<(), Trouble> {
        let fresh = path.with_extension("new");
        let written = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&fresh)
            .and_then(|mut file| file.write_all(self.text().as_bytes()))
            .and_then(|()| std::fs::rename(&fresh, path));
        written.or_trouble(
            format!("{} cannot be written", path.display()),
            "Check that the folder can be written to.",
        )
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.0 {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name}={value}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_reads_back_as_it_was_written() {
        let pairs = [("AWS_REGION", "us-east-1"), ("MUSTER_TOKEN", "a.b=c")];
        let environment = Environment(pairs.map(|(n, v)| (n.to_owned(), v.to_owned())).to_vec());
        let path = std::env::temp_dir().join(format!("muster-env-{}", std::process::id()));
        environment.write(&path).unwrap();
        let loaded = Environment::load(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(loaded, environment);
        assert_eq!(loaded.get("MUSTER_TOKEN").unwrap(), "a.b=c");
        assert!(
            loaded
                .get("MUSTER_TABLE")
                .unwrap_err()
                .what
                .contains("MUSTER_TABLE")
        );
    }
}
