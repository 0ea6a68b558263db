//! Stack, region and parameters of one deployment; what is wrong with them.

use std::collections::BTreeMap;

use muster_imports::options::Presets;

use crate::samconfig::Environment;
use crate::template::Template;

/// CloudFormation makes the bucket's name of the stack's, `-uploadsbucket-` and twelve
/// characters, and cuts the stack's where the whole is longer than the 63 characters
/// of a bucket: the queue's policy, which names the bucket by its stack, would not let
/// it in.
const LONGEST_STACK_NAME: usize = 35;

/// What Cognito lets no prefix of a domain contain.
const RESERVED: [&str; 3] = ["aws", "amazon", "cognito"];

/// One deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The name of the stack.
    pub stack: String,
    /// The region, if anybody says which.
    pub region: Option<String>,
    /// Values by parameter, those that are given.
    pub parameters: BTreeMap<String, String>,
}

/// What the command line says: it overrides the environment of `samconfig.toml`.
#[derive(Debug, Default)]
pub struct Given {
    /// The name of the stack.
    pub stack: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// `Key=Value`.
    pub parameters: Vec<String>,
}

impl Plan {
    /// What is deployed when this is given for that environment.
    ///
    /// # Errors
    /// Each parameter that is not `Key=Value`, and a stack without a name.
    pub fn new(environment: Environment, given: Given) -> Result<Self, Vec<String>> {
        let mut faults = Vec::new();
        let mut parameters = BTreeMap::new();
        for text in environment
            .parameter_overrides
            .iter()
            .chain(&given.parameters)
        {
            match text.split_once('=') {
                Some((key, value)) => {
                    parameters.insert(key.to_owned(), unquoted(value));
                }
                None => faults.push(format!("{text}: say Key=Value")),
            }
        }
        let stack = given.stack.or(environment.stack_name).unwrap_or_default();
        if faults.is_empty() {
            let region = given.region.or(environment.region);
            Ok(Self {
                stack,
                region: region.filter(|region| !region.is_empty()),
                parameters,
            })
        } else {
            Err(faults)
        }
    }

    /// All that would make the deployment fail, or not do what was meant.
    pub fn faults(&self, template: &Template) -> Vec<String> {
        let mut faults = self.faults_of_name();
        if self.region.is_none() {
            faults.push(
                "no region: say REGION=eu-central-1, set AWS_REGION, or write region into \
                 samconfig.toml"
                    .to_owned(),
            );
        }
        for (name, value) in &self.parameters {
            match template.parameters.get(name) {
                None => faults.push(format!("{name}: template.yaml has no such parameter")),
                Some(parameter) => {
                    let refused = parameter.refuses(value);
                    faults.extend(refused.map(|reason| format!("{name} {reason}")));
                }
            }
        }
        for (name, parameter) in &template.parameters {
            if parameter.default.is_none() && !self.parameters.contains_key(name) {
                faults.push(format!("{name} is not given: say {name}=…"));
            }
        }
        if let Some(presets) = self.parameters.get("ImportPresets")
            && let Err(error) = presets.parse::<Presets>()
        {
            faults.push(format!("ImportPresets: {error}"));
        }
        faults
    }

    fn faults_of_name(&self) -> Vec<String> {
        let name = &self.stack;
        let mut faults = Vec::new();
        let is_lower_case = name.starts_with(|first: char| first.is_ascii_lowercase())
            && name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if !is_lower_case {
            faults.push(format!(
                "stack name {name:?}: use lower-case letters, digits and hyphens, a letter \
                 first; S3 and Cognito take no others"
            ));
        }
        if name.len() > LONGEST_STACK_NAME {
            faults.push(format!(
                "stack name {name:?}: use at most {LONGEST_STACK_NAME} characters, so that the \
                 bucket's name can begin with it"
            ));
        }
        let has_pool = self
            .parameters
            .get("OidcIssuer")
            .is_none_or(String::is_empty);
        for word in RESERVED
            .iter()
            .filter(|word| has_pool && name.contains(*word))
        {
            faults.push(format!(
                "stack name {name:?}: leave out \"{word}\", which Cognito lets no domain contain"
            ));
        }
        faults
    }

    /// What `sam deploy` is told.
    pub fn arguments(&self, environment: &str) -> Vec<String> {
        let mut arguments: Vec<String> = [
            "deploy",
            "--config-env",
            environment,
            "--stack-name",
            &self.stack,
        ]
        .map(str::to_owned)
        .to_vec();
        if let Some(region) = &self.region {
            arguments.extend(["--region".to_owned(), region.clone()]);
        }
        if !self.parameters.is_empty() {
            arguments.push("--parameter-overrides".to_owned());
            let pairs = self.parameters.iter();
            arguments.extend(pairs.map(|(key, value)| format!("{key}={}", quoted(value))));
        }
        arguments
    }
}

/// As SAM writes a value with spaces or quotation marks in it.
fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('"', "\\\""))
}

fn unquoted(value: &str) -> String {
    let inner = value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'));
    inner.unwrap_or(value).replace("\\\"", "\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template() -> Template {
        Template::parse(include_str!("../../../template.yaml")).unwrap()
    }

    /// A deployment that is right, but for what is given.
    fn plan(stack: &str, given: &[&str]) -> Plan {
        let environment = Environment {
            stack_name: Some("muster-prod".to_owned()),
            region: Some("eu-central-1".to_owned()),
            parameter_overrides: vec!["SenderAddress=hello@example.com".to_owned()],
        };
        let given = Given {
            stack: Some(stack.to_owned()),
            parameters: given.iter().map(|text| (*text).to_owned()).collect(),
            ..Given::default()
        };
        Plan::new(environment, given).unwrap()
    }

    fn faults(stack: &str, given: &[&str]) -> Vec<String> {
        plan(stack, given).faults(&template())
    }

    #[test]
    fn a_deployment_that_is_right_has_no_faults() {
        for given in [
            &[][..],
            &["PublicUrl=https://profiles.example.com"],
            &["PublicUrl=https://profiles.example.com:8443"],
            &["PublicUrl="],
            &["ImportPresets={\"invite\": {\"confirm\": \"send\"}}"],
            &["MailFooter=Straße 1, Köln"],
            &[
                "OidcIssuer=https://login.example.com/realm",
                "OidcAudience=a,b",
            ],
            &["PermissionsBoundary=arn:aws:iam::123456789012:policy/team/boundary"],
        ] {
            assert_eq!(faults("muster-prod", given), [""; 0], "{given:?}");
        }
        // Cognito has no part in it, and the name may have its words.
        let given = ["OidcIssuer=https://login.example.com", "OidcAudience=a"];
        assert_eq!(faults("muster-aws", &given), [""; 0]);
    }

    #[test]
    fn stack_names_that_fail_half_way_are_refused() {
        let long = "muster-with-a-name-that-is-too-long-";
        for (stack, told) in [
            ("Muster", "lower-case"),
            ("muster-PROD", "lower-case"),
            ("1muster", "a letter first"),
            ("muster_prod", "hyphens"),
            ("", "lower-case"),
            ("muster-aws", "\"aws\""),
            ("laws", "\"aws\""),
            ("amazon-profiles", "\"amazon\""),
            ("cognito", "\"cognito\""),
            (long, "at most 35 characters"),
        ] {
            let faults = faults(stack, &[]);
            assert!(
                faults.len() == 1 && faults[0].contains(told),
                "{stack}: {faults:?}"
            );
        }
        assert_eq!(faults(&long[..35], &[]), [""; 0]);
    }

    #[test]
    fn parameters_that_fail_half_way_are_refused_by_name() {
        let long = |name: &str, length| format!("{name}={}", "x".repeat(length));
        for (given, told) in [
            ("PublicUrl=http://profiles.example.com", "PublicUrl must be"),
            (
                "PublicUrl=https://example.com/profiles",
                "PublicUrl must be",
            ),
            ("PublicUrl=https://example.com/", "PublicUrl must be"),
            ("PublicUrl=https://", "PublicUrl must be"),
            ("PublicUrl=https://user@example.com", "PublicUrl must be"),
            ("PublicUrl=https://example.com?a=b", "PublicUrl must be"),
            ("SenderAddress=example.com", "SenderAddress must be"),
            ("SenderAddress=jörg@example.com", "SenderAddress must be"),
            ("OidcIssuer=http://login.example.com", "OidcIssuer must be"),
            (
                "PermissionsBoundary=boundary",
                "PermissionsBoundary must be",
            ),
            ("RequestBurst=6000", "RequestBurst must be at most 5000"),
            ("RequestBurst=many", "RequestBurst must be a number"),
            ("OperatorMfa=OFF", "OperatorMfa must be one of ON, OPTIONAL"),
            ("PublicTraffic=none", "one of low, high, unlimited"),
            (
                "ImportPresets={\"a\": {\"confirm\": \"maybe\"}}",
                "ImportPresets: ",
            ),
            ("ImportPresets=[]", "ImportPresets: "),
            (
                "SenderAdress=hello@example.com",
                "SenderAdress: template.yaml has no",
            ),
            (&long("MailFooter", 301), "MailFooter must have at most 300"),
            (&long("SourcesParameter", 10), "SourcesParameter must be"),
        ] {
            let faults = faults("muster-prod", &[given]);
            assert!(
                faults.len() == 1 && faults[0].contains(told),
                "{given}: {faults:?}"
            );
        }
        let presets = format!("ImportPresets={{{}}}", " ".repeat(1500));
        let refused = faults("muster-prod", &[&presets]);
        assert!(
            refused[0].contains("ImportPresets must have at most 1500"),
            "{refused:?}"
        );
    }

    #[test]
    fn what_nobody_says_is_asked_for() {
        let nothing = Plan::new(Environment::default(), Given::default()).unwrap();
        let faults = nothing.faults(&template()).join("\n");
        for told in ["stack name", "no region", "SenderAddress is not given"] {
            assert!(faults.contains(told), "{faults}");
        }
        let given = Given {
            parameters: vec!["SenderAddress".to_owned()],
            ..Given::default()
        };
        let refused = Plan::new(Environment::default(), given).unwrap_err();
        assert_eq!(refused, ["SenderAddress: say Key=Value"]);
    }

    #[test]
    fn sam_is_told_all_of_it() {
        let plan = plan("muster-prod", &["ProductName=Our \"club\""]);
        let arguments = plan.arguments("prod").join(" ");
        assert_eq!(
            arguments,
            "deploy --config-env prod --stack-name muster-prod --region eu-central-1 \
             --parameter-overrides ProductName=\"Our \\\"club\\\"\" \
             SenderAddress=\"hello@example.com\""
        );
        assert_eq!(unquoted(&quoted("Our \"club\"")), "Our \"club\"");
    }
}
