//! What Ctrl-C or SIGTERM does at the moment.

/// What happens if the command is stopped now.
#[derive(Debug, Default)]
pub enum OnInterrupt {
    /// Exits without a word: nothing is left behind.
    #[default]
    Exit,
    /// Prints this text, which says what has ended or goes on without the command.
    Explain(String),
    /// Cancels the import with this id, whose file is being uploaded.
    CancelImport(String),
}
