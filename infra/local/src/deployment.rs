//! `sam deploy`, and what came of it.

use std::collections::BTreeMap;
use std::process::Stdio;

use muster_cli::trouble::{OrTrouble, Trouble};
use serde::Deserialize;
use tokio::process::Command;

use crate::place::{CREDENTIAL, Place, REGION, last_lines};

/// The stack's name in `samconfig.toml`.
const STACK: &str = "muster";

/// The outputs of the deployed template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outputs(BTreeMap<String, String>);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Output {
    output_key: String,
    output_value: String,
}

impl Outputs {
    fn parse(json: &[u8]) -> Result<Self, serde_json::Error> {
        let outputs: Vec<Output> = serde_json::from_slice(json)?;
        let pairs = outputs
            .into_iter()
            .map(|output| (output.output_key, output.output_value));
        Ok(Self(pairs.collect()))
    }

    /// One of them.
    ///
    /// # Errors
    /// When the template has no such output.
    pub fn get(&self, name: &str) -> Result<&str, Trouble> {
        self.0.get(name).map(String::as_str).ok_or_else(|| {
            Trouble::new(
                format!("the stack has no output {name}"),
                "template.yaml must name it under Outputs.",
            )
        })
    }
}

/// Deploys `template.yaml` and reads its outputs.
///
/// # Errors
/// When SAM does not succeed; the end of its output is part of the message.
pub(crate) async fn deploy(place: &Place) -> Result<Outputs, Trouble> {
    let log = place.file("deploy.log");
    let output = sam(place, &["deploy", "--config-env", "local"])?
        .output()
        .await
        .or_trouble(
            "sam cannot be started",
            "rm -rf .venv and try again: that installs it anew.",
        )?;
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    std::fs::write(&log, text).or_trouble(
        format!("{} cannot be written", log.display()),
        "Check that the folder can be written to.",
    )?;
    if !output.status.success() {
        return Err(Trouble::new(
            format!(
                "sam deploy failed; its output ends with\n{}",
                last_lines(&log, 15)
            ),
            format!("The whole output is {}.", log.display()),
        ));
    }
    outputs(place).await
}

async fn outputs(place: &Place) -> Result<Outputs, Trouble> {
    let arguments = [
        "list",
        "stack-outputs",
        "--stack-name",
        STACK,
        "--output",
        "json",
    ];
    let output = sam(place, &arguments)?.output().await.or_trouble(
        "sam cannot be started",
        "rm -rf .venv and try again: that installs it anew.",
    )?;
    Outputs::parse(&output.stdout).or_trouble(
        format!(
            "sam list stack-outputs gave no JSON: {}",
            String::from_utf8_lossy(&output.stderr)
        ),
        "make down, then try again.",
    )
}

fn sam(place: &Place, arguments: &[&str]) -> Result<Command, Trouble> {
    let mut command = Command::new(place.tool("sam", "sam")?);
    command
        .args(arguments)
        .current_dir(&place.repository)
        .env("AWS_ENDPOINT_URL", place.endpoint())
        .env("AWS_REGION", REGION)
        .env("AWS_DEFAULT_REGION", REGION)
        .env("AWS_ACCESS_KEY_ID", CREDENTIAL)
        .env("AWS_SECRET_ACCESS_KEY", CREDENTIAL)
        .env("SAM_CLI_TELEMETRY", "0")
        // A profile of the machine's owner has no say in where this goes.
        .env_remove("AWS_PROFILE")
        .env_remove("AWS_SESSION_TOKEN")
        .stdin(Stdio::null());
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_found_by_name_and_missed_by_name() {
        let json = br#"[{"OutputKey": "ApiUrl", "OutputValue": "http://x", "Description": "d"}]"#;
        let outputs = Outputs::parse(json).unwrap();
        assert_eq!(outputs.get("ApiUrl").unwrap(), "http://x");
        assert!(
            outputs
                .get("TableName")
                .unwrap_err()
                .what
                .contains("TableName")
        );
    }
}
