//! An environment of `samconfig.toml`.

use std::collections::BTreeMap;

use muster_cli::trouble::{OrTrouble, Trouble};
use serde::Deserialize;

/// What `samconfig.toml` says of a deployment.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
pub struct Environment {
    /// The name of the stack.
    pub stack_name: Option<String>,
    /// The region it is in.
    pub region: Option<String>,
    /// `Key=Value`, as `sam deploy` takes them.
    #[serde(default)]
    pub parameter_overrides: Vec<String>,
}

#[derive(Deserialize)]
struct Commands {
    deploy: Option<Command>,
}

#[derive(Deserialize)]
struct Command {
    #[serde(default)]
    parameters: Environment,
}

impl Environment {
    /// Reads one environment of the file.
    ///
    /// # Errors
    /// When the text is no configuration of SAM, or has no such environment.
    pub fn parse(text: &str, name: &str) -> Result<Self, Trouble> {
        let mut tables: BTreeMap<String, toml::Value> = toml::from_str(text)
            .or_trouble("samconfig.toml cannot be read", "Correct the file.")?;
        tables.retain(|_, value| value.is_table());
        let known: Vec<_> = tables
            .keys()
            .filter(|name| *name != "default")
            .cloned()
            .collect();
        let unknown = || {
            Trouble::new(
                format!("samconfig.toml has no environment {name}"),
                format!("Say ENV= with one of: {}.", known.join(", ")),
            )
        };
        let table = tables.remove(name).ok_or_else(unknown)?;
        let commands: Commands = table
            .try_into()
            .or_trouble(format!("samconfig.toml: {name}"), "Correct the file.")?;
        Ok(commands.deploy.ok_or_else(unknown)?.parameters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_has_an_environment_for_each_place() {
        let text = include_str!("../../../samconfig.toml");
        let prod = Environment::parse(text, "prod").unwrap();
        assert_eq!(prod.stack_name.as_deref(), Some("muster-prod"));
        assert_eq!(
            prod.region, None,
            "where people's data is kept, nobody can guess"
        );
        let local = Environment::parse(text, "local").unwrap();
        assert_eq!(local.region.as_deref(), Some("us-east-1"));
        assert!(
            local
                .parameter_overrides
                .contains(&"OperatorMfa=OPTIONAL".to_owned())
        );
    }

    #[test]
    fn an_unknown_environment_names_those_there_are() {
        let text = include_str!("../../../samconfig.toml");
        let trouble = Environment::parse(text, "production").unwrap_err();
        assert!(trouble.remedy.contains("dev, local, prod"), "{trouble}");
        assert!(Environment::parse("version = 0.1", "prod").is_err());
        assert!(Environment::parse("prod = [", "prod").is_err());
    }
}
