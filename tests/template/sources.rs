//! Where details come from: public addresses, over TLS. Only on the local stack
//! they may come from the machine itself.

use serde_yaml_ng::Value;

use crate::template::{Template, items, written};
use crate::{assert_kept, assert_noticed};

/// The account of emulators: AWS gives it to nobody.
const EMULATOR: &str = "000000000000";
const SOMEBODY: &str = "123456789012";
const PARAMETER: &str = "SourcesMayBeLocal";

/// A deployment: to whose account, and with which [`PARAMETER`]. All else is given.
struct Deployment {
    account: &'static str,
    may_be_local: &'static str,
}

impl Deployment {
    /// What `MUSTER_SOURCES_LOCAL` becomes; nothing if a rule stops the deployment.
    fn outcome(&self, template: &Template) -> Option<String> {
        let accepted = template.section("Rules").all(|(_, rule)| self.keeps(rule));
        let function = template.find("AWS::Serverless::Function", "DetailsFunction")?;
        let told = function.property("Environment/Variables/MUSTER_SOURCES_LOCAL");
        accepted.then(|| self.value(told))
    }

    fn keeps(&self, rule: &Value) -> bool {
        let condition = &rule["RuleCondition"];
        let applies = condition.is_null() || self.holds(condition);
        let assertions = items(&rule["Assertions"]);
        !applies
            || assertions
                .iter()
                .all(|assertion| self.holds(&assertion["Assert"]))
    }

    fn holds(&self, condition: &Value) -> bool {
        let Value::Tagged(function) = condition else {
            panic!("no condition: {condition:?}");
        };
        let arguments = items(&function.value);
        let mut held = arguments.iter().map(|argument| self.holds(argument));
        match function.tag.to_string().as_str() {
            "!And" => held.all(|holds| holds),
            "!Or" => held.any(|holds| holds),
            "!Not" => !held.any(|holds| holds),
            "!Equals" => {
                matches!(arguments, [one, other] if self.value(one) == self.value(other))
            }
            other => panic!("no condition: {other}"),
        }
    }

    fn value(&self, value: &Value) -> String {
        written(value)
            .replace("${AWS::AccountId}", self.account)
            .replace(&format!("${{{PARAMETER}}}"), self.may_be_local)
    }
}

/// Whoever asks for local sources gets them in the emulator's account, and can
/// deploy to no other; who does not ask, gets none.
fn local_sources_are_for_the_emulator(template: &Template) -> Vec<String> {
    let mut findings = Vec::new();
    for (account, may_be_local, expected) in [
        (EMULATOR, "true", Some("true")),
        (EMULATOR, "false", Some("false")),
        (SOMEBODY, "true", None),
        (SOMEBODY, "false", Some("false")),
    ] {
        let deployment = Deployment {
            account,
            may_be_local,
        };
        let found = deployment.outcome(template);
        if found.as_deref() != expected {
            findings.push(format!(
                "{PARAMETER}={may_be_local} in {account} makes {found:?}, not {expected:?}"
            ));
        }
    }
    let default = template
        .section("Parameters")
        .find(|(name, _)| *name == PARAMETER)
        .map(|(_, parameter)| written(&parameter["Default"]));
    if default.as_deref() != Some("false") {
        findings.push(format!("{PARAMETER} is {default:?} if nobody says so"));
    }
    findings
}

/// The environments of a samconfig.toml that say something of a parameter.
fn environments_with<'a>(parameter: &str, samconfig: &'a str) -> Vec<&'a str> {
    samconfig
        .split("\n[")
        .filter(|section| section.contains(parameter))
        .filter_map(|section| Some(section.split_once('.')?.0))
        .collect()
}

#[test]
fn sources_are_local_on_the_emulator_alone() {
    assert_kept(local_sources_are_for_the_emulator);
    let rule = "Rules/LocalSourcesAreForTheLocalStack";
    let assertion = format!("{rule}/Assertions/0/Assert");
    let told = "Resources/DetailsFunction/Properties/Environment/Variables/MUSTER_SOURCES_LOCAL";
    assert_noticed(
        local_sources_are_for_the_emulator,
        &[
            // Without the account, or with another.
            (rule, ""),
            (&format!("{rule}/Assertions"), "[]"),
            (&assertion, "!Equals ['', '']"),
            (&assertion, "!Equals [!Ref AWS::AccountId, '123456789012']"),
            (&assertion, "!Not [!Equals [!Ref AWS::AccountId, '']]"),
            (
                &assertion,
                "!Or [!Equals [!Ref AWS::AccountId, '000000000000'], !Equals [!Ref SourcesMayBeLocal, 'true']]",
            ),
            // Not for those who ask for them, or for all.
            (
                &format!("{rule}/RuleCondition"),
                "!Equals [!Ref SourcesMayBeLocal, 'false']",
            ),
            (&format!("{rule}/RuleCondition"), ""),
            // Past the parameter.
            (told, "'true'"),
            (told, ""),
            ("Parameters/SourcesMayBeLocal/Default", "'true'"),
        ],
    );
}

#[test]
fn only_the_local_environment_asks_for_local_sources() {
    let samconfig = include_str!("../../samconfig.toml");
    assert_eq!(environments_with(PARAMETER, samconfig), ["local"]);
    let prod = samconfig.replace(
        "stack_name = \"muster-prod\"",
        "parameter_overrides = [\"SourcesMayBeLocal=true\"]",
    );
    assert_eq!(environments_with(PARAMETER, &prod), ["local", "prod"]);
}
