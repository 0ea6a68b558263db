//! What can be typed about sources.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use muster_core::people::email::Email;
use muster_core::people::person::Attributes;
use muster_core::platform::ids::ProfileId;

/// What to do about sources.
#[derive(Subcommand)]
pub enum Sources {
    /// Check a document of sources, and ask each source once about a sample person.
    ///
    /// All that is wrong with the document is named. If nothing is, the sources are
    /// asked as the function asks them, but from this machine; what they say is not
    /// shown, only the names of its fields. The exit status is 0 if all of them answered.
    ///
    /// Neither the API nor a token is needed. If the document names secrets, they are
    /// read from Secrets Manager: set AWS_REGION, AWS_ACCESS_KEY_ID,
    /// AWS_SECRET_ACCESS_KEY and, where there is one, AWS_SESSION_TOKEN. A document that
    /// is in use comes from Parameter Store:
    ///
    ///   aws ssm get-parameter --name "$NAME" --query Parameter.Value --output text |
    ///     muster sources check /dev/stdin
    #[command(verbatim_doc_comment)]
    Check(Check),
}

/// A document to check.
#[derive(Args)]
pub struct Check {
    /// The document: JSON.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Allow http, and sources on this machine, as the local stack does.
    #[arg(long)]
    pub local: bool,
    /// Ask no source, and read no secret.
    #[arg(long, conflicts_with_all = ["email", "id", "attributes"])]
    pub no_try: bool,
    /// The sample person's address.
    #[arg(long, default_value = "ada@example.com", value_parser = email, value_name = "ADDRESS")]
    pub email: Email,
    /// The id of their profile.
    #[arg(
        long,
        default_value = "01900000-0000-7000-8000-000000000000",
        value_name = "UUID"
    )]
    pub id: ProfileId,
    /// An attribute of theirs, as if they had confirmed it. May be given more than once.
    #[arg(long = "attribute", value_parser = attribute, value_name = "NAME=VALUE")]
    pub attributes: Vec<(String, String)>,
}

fn email(text: &str) -> Result<Email, String> {
    Email::parse(text).map_err(|violation| violation.detail)
}

fn attribute(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or("an attribute is given as name=value")?;
    let attribute = (name.to_owned(), value.to_owned());
    match Attributes::parse([attribute.clone()]) {
        Ok(_) => Ok(attribute),
        Err(violations) => {
            let details = violations
                .into_iter()
                .map(|(_, violation)| violation.detail);
            Err(details.collect::<Vec<_>>().join("; "))
        }
    }
}
