//! What can be typed about imports.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

/// A file to import.
#[derive(Args)]
pub struct Import {
    /// The file: UTF-8, commas, a header row with a column email.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Look what would become of each row, and change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// What to do with a row whose address has a profile already.
    #[arg(long, value_enum, default_value_t = OnConflict::Skip)]
    pub on_conflict: OnConflict,
    /// What becomes of the addresses of new profiles.
    #[arg(long, value_enum, default_value_t = Confirm::Skip)]
    pub confirm: Confirm,
    /// Leave once the file is uploaded.
    #[arg(long, conflicts_with = "path")]
    pub no_follow: bool,
    /// Where the rows go that are refused.
    #[command(flatten)]
    pub report: Report,
}

/// Where the rows go that are refused.
#[derive(Args)]
pub struct Report {
    /// Where to put the refused rows; - is standard output, and all else is then shown on standard
    /// error. Otherwise they go into a new file: people.errors.csv beside people.csv, or here, named
    /// after the import's id.
    #[arg(long = "report", value_name = "PATH")]
    pub path: Option<PathBuf>,
    /// Replace the file that is there.
    #[arg(long, requires = "path")]
    pub force: bool,
}

/// What to do with a row whose address has a profile.
#[derive(Debug, Clone, Copy, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnConflict {
    /// Leave the profile as it is.
    Skip,
    /// Have the profile take what the row says.
    Update,
    /// Refuse the row.
    Fail,
}

/// What becomes of the addresses of new profiles.
#[derive(Debug, Clone, Copy, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Confirm {
    /// They are not confirmed, and no mail asks for it.
    Skip,
    /// A confirmation mail goes to each.
    Send,
    /// They count as confirmed.
    #[value(alias = "mark_confirmed")]
    MarkConfirmed,
}

/// What to do about imports.
#[derive(Subcommand)]
pub enum Imports {
    /// List imports, the newest first.
    List {
        /// The most imports to list.
        #[arg(long, default_value_t = 20, value_parser = at_least_one)]
        limit: usize,
    },
    /// Show one import: how far it is, what became of its rows, what failed.
    Show {
        /// Id of the import: see muster imports list.
        id: String,
        /// Wait until it is over. The exit status is then that of muster import.
        #[arg(long)]
        follow: bool,
    },
    /// Start an import that waits for somebody to start it.
    Start {
        /// Id of the import.
        id: String,
    },
    /// Stop an import. What it has done stays; it can be resumed.
    Cancel {
        /// Id of the import.
        id: String,
    },
    /// Have an import go on that was cancelled, or failed.
    Resume {
        /// Id of the import.
        id: String,
        /// Only this chunk of those that failed. May be given more than once.
        #[arg(long = "chunk", value_name = "N")]
        chunks: Vec<u32>,
    },
    /// Download the rows that an import refused, each with its reason.
    Errors {
        /// Id of the import.
        id: String,
        /// Where they go.
        #[command(flatten)]
        report: Report,
    },
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("it must be at least 1".to_owned()),
        other => other.map_err(|error: std::num::ParseIntError| error.to_string()),
    }
}
