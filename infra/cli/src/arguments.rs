//! What can be typed, and what the environment may say instead.

pub(crate) mod imports;
pub(crate) mod sources;

use std::ffi::OsString;

use clap::{Args, Parser, Subcommand, ValueEnum};

use imports::{Import, Imports};
use sources::Sources;

/// Looks after a deployed Muster: its queues, what they gave up, its mails, its
/// imports, its sources.
///
/// It asks the HTTP API, so it needs the API's address and a token (all but muster
/// sources check); flags go before the environment. On the local stack, `make up` writes all of it:
///
///   set -a; . .local/env; set +a
///   muster queues
///
/// Against AWS, take MUSTER_API_URL from the stack's output ApiUrl,
/// MUSTER_TOKEN_URL from TokenUrl, MUSTER_CLIENT_ID from MachineClientId, and
/// MUSTER_CLIENT_SECRET from the user pool. The token needs the scopes
/// operations/read and operations/write for queues, profiles/read for mails,
/// imports/read and imports/write for imports.
///
/// The exit status is 0 if all that was asked for was done, 1 if not, 2 if the
/// command makes no sense, 3 if an import refused some of its rows, 130 after
/// Ctrl-C, and 143 after SIGTERM.
#[derive(Parser)]
#[command(name = "muster", version, verbatim_doc_comment, max_term_width = 100)]
pub struct Arguments {
    /// How to get at the API.
    #[command(flatten)]
    pub access: Access,
    /// How to show what is found: for people or for programs.
    #[arg(long, global = true, value_enum, default_value_t = Output::Table)]
    pub output: Output,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Where the API is, and who we are there.
#[derive(Args)]
#[command(next_help_heading = "Access")]
pub struct Access {
    /// Address of the API.
    #[arg(long, global = true, env = "MUSTER_API_URL", value_name = "URL")]
    pub api_url: Option<String>,
    /// An access token. If there is none, or it is refused, and a client is given, the client gets
    /// a fresh one.
    #[arg(long, global = true, env = "MUSTER_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Where the client gets its tokens.
    #[arg(long, global = true, env = "MUSTER_TOKEN_URL", value_name = "URL")]
    pub token_url: Option<String>,
    /// The client for machines.
    #[arg(long, global = true, env = "MUSTER_CLIENT_ID", value_name = "ID")]
    pub client_id: Option<String>,
    /// Its secret. Better kept in the environment: others see what is typed.
    #[arg(
        long,
        global = true,
        env = "MUSTER_CLIENT_SECRET",
        hide_env_values = true,
        value_name = "SECRET"
    )]
    pub client_secret: Option<String>,
    /// Where the client's tokens are kept until they expire, for this user only. If it is not
    /// said, in the user's cache directory; if it is empty, nowhere.
    #[arg(
        long,
        global = true,
        env = "MUSTER_TOKEN_CACHE",
        value_name = "DIRECTORY"
    )]
    pub token_cache: Option<OsString>,
}

/// How to show what is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Columns for people.
    Table,
    /// JSON as the API has it.
    Json,
}

/// What to do.
#[derive(Subcommand)]
pub enum Command {
    /// Show how full the queues are, and how many dead letters each has.
    Queues,
    /// Look at what a queue gave up, try it again, or throw it away.
    ///
    /// A message that failed five times is a dead letter. Its reason says what the
    /// table knows, and with that what to do:
    ///
    ///   unfinished   mend the cause (see the function's log), then redrive it
    ///   undecodable  none of this queue's: find out who sent it, then purge it
    ///   gone         what it is about is not there any more: purge it
    ///   settled      what it asks for is over, well or badly: purge it
    #[command(subcommand, verbatim_doc_comment)]
    DeadLetters(DeadLetters),
    /// Show the mails of a profile: what became of each, and why.
    Mails {
        /// Id of the profile, or its e-mail address.
        profile: String,
    },
    /// Import people from a CSV file, and follow it until it is over.
    ///
    /// The file is uploaded, and imported while this shows how far it is. Ctrl-C
    /// during the upload cancels the import, and says what was imported; a second one
    /// quits at once. After the upload, the import goes on. Rows that are refused are
    /// downloaded, each with its reason. Try it with --dry-run first.
    ///
    /// The token needs the scopes imports/write and imports/read. The exit status:
    ///
    ///   0    every row was taken
    ///   1    the import failed or was cancelled, or something else went wrong
    ///   2    the command makes no sense
    ///   3    some rows were refused, the others taken
    ///   130  Ctrl-C
    ///   143  SIGTERM
    #[command(verbatim_doc_comment)]
    Import(Import),
    /// Look at imports, have them start, stop or go on, get the rows they refused.
    #[command(subcommand)]
    Imports(Imports),
    /// Look at the sources that the details of a profile come from.
    #[command(subcommand)]
    Sources(Sources),
}

/// What to do about dead letters.
#[derive(Subcommand)]
pub enum DeadLetters {
    /// List dead letters, the oldest first, each with its reason. Uses none up.
    List {
        /// Name of the queue: see muster queues.
        queue: String,
        /// The most letters to list, up to 100.
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// Show one dead letter whole.
    Show {
        /// Name of the queue.
        queue: String,
        /// Id of the letter.
        id: String,
    },
    /// Send dead letters to their queue again. None is lost, whatever fails; one may go twice,
    /// which does no harm.
    Redrive(Selection),
    /// Throw dead letters away for good.
    Purge(Selection),
}

/// Which dead letters.
#[derive(Args)]
pub struct Selection {
    /// Name of the queue.
    pub queue: String,
    /// Ids of the letters.
    #[arg(
        required_unless_present = "all",
        conflicts_with = "all",
        value_name = "ID"
    )]
    pub ids: Vec<String>,
    /// All dead letters of the queue.
    #[arg(long)]
    pub all: bool,
    /// Do not ask whether it is meant.
    #[arg(long)]
    pub yes: bool,
}
