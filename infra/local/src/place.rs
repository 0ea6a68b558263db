//! Where the stack lives.

use std::path::{Path, PathBuf};

use muster_cli::trouble::{OrTrouble, Trouble};

const DEFAULT_PORT: u16 = 4566;

/// The region that `samconfig.toml` deploys `local` to.
pub const REGION: &str = "us-east-1";
/// The emulator takes any credentials.
pub const CREDENTIAL: &str = "test";

/// Folder, port, repository.
#[derive(Debug, Clone)]
pub struct Place {
    /// The repository: where `template.yaml` is.
    pub repository: PathBuf,
    /// What the stack leaves on disk.
    pub dir: PathBuf,
    /// The emulator's port.
    pub port: u16,
    /// An emulator that runs already and is none of ours.
    pub given_endpoint: Option<String>,
}

impl Place {
    /// Reads `MUSTER_LOCAL_DIR`, `MUSTER_LOCAL_PORT` and `AWS_ENDPOINT_URL`.
    ///
    /// # Errors
    /// When the working directory is not the repository, or the port is none.
    pub fn find() -> Result<Self, Trouble> {
        let repository = std::env::current_dir().or_trouble(
            "the working directory cannot be read",
            "Go to the repository and try again.",
        )?;
        if !repository.join("template.yaml").is_file() {
            return Err(Trouble::new(
                "there is no template.yaml here",
                "Run this from the top of the repository, or use make.",
            ));
        }
        let dir = set("MUSTER_LOCAL_DIR").unwrap_or_else(|| ".local".to_owned());
        let port = match set("MUSTER_LOCAL_PORT") {
            None => DEFAULT_PORT,
            Some(text) => text.parse().or_trouble(
                "MUSTER_LOCAL_PORT is not a port",
                "Give a number from 1 to 65535.",
            )?,
        };
        Ok(Self {
            dir: repository.join(dir),
            repository,
            port,
            given_endpoint: set("AWS_ENDPOINT_URL"),
        })
    }

    /// Where AWS is.
    pub fn endpoint(&self) -> String {
        self.given_endpoint
            .clone()
            .unwrap_or_else(|| format!("http://127.0.0.1:{}", self.port))
    }

    /// A program that `make` installed.
    ///
    /// # Errors
    /// When it did not.
    pub fn tool(&self, environment: &str, program: &str) -> Result<PathBuf, Trouble> {
        let path = self
            .repository
            .join(".venv")
            .join(environment)
            .join("bin")
            .join(program);
        if path.is_file() {
            Ok(path)
        } else {
            Err(Trouble::new(
                format!("{program} is not installed in .venv/{environment}"),
                "make tools installs it.",
            ))
        }
    }

    /// A file of the stack.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

/// The end of a log, for people: what happened is rarely further up.
pub fn last_lines(log: &Path, count: usize) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

fn set(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
