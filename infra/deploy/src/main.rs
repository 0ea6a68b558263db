//! `muster-deploy --environment prod SenderAddress=hello@your.domain`

use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitCode};

use clap::Parser;
use muster_cli::trouble::{OrTrouble, Trouble};
use muster_deploy::plan::{Given, Plan};
use muster_deploy::samconfig::Environment;
use muster_deploy::template::Template;

/// Deploys Muster to AWS: checks what AWS would refuse half-way, then runs sam deploy.
#[derive(Parser)]
#[command(name = "muster-deploy")]
struct Arguments {
    /// The environment of samconfig.toml.
    #[arg(long)]
    environment: String,
    /// The stack's name, in the place of samconfig.toml's.
    #[arg(long)]
    stack: Option<String>,
    /// The region, in the place of samconfig.toml's.
    #[arg(long, env = "AWS_REGION")]
    region: Option<String>,
    /// Where the region is looked for last.
    #[arg(long, env = "AWS_DEFAULT_REGION", hide = true)]
    default_region: Option<String>,
    /// Only check, and deploy nothing.
    #[arg(long)]
    check: bool,
    /// Parameters of template.yaml, as Key=Value.
    parameters: Vec<String>,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            // Whoever closed standard error wants to hear nothing.
            let _ = writeln!(std::io::stderr(), "{trouble}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Trouble> {
    let environment = Environment::parse(&read("samconfig.toml")?, &arguments.environment)?;
    let template = Template::parse(&read("template.yaml")?)?;
    let region = arguments.region.or_else(|| {
        let of_environment = environment.region.clone();
        of_environment.or(arguments.default_region)
    });
    let given = Given {
        stack: arguments.stack,
        region,
        parameters: arguments.parameters,
    };
    let plan = Plan::new(environment, given).map_err(|faults| refused(&faults))?;
    let faults = plan.faults(&template);
    if !faults.is_empty() {
        return Err(refused(&faults));
    }
    if arguments.check {
        return Ok(());
    }
    let status = Command::new("sam")
        .args(plan.arguments(&arguments.environment))
        .status()
        .or_trouble(
            "sam cannot be started",
            "Use make deploy, which installs it.",
        )?;
    match status.success() {
        true => Ok(()),
        false => Err(Trouble::new(
            "sam deploy failed",
            "Its output above says why; it can be run again.",
        )),
    }
}

fn read(name: &str) -> Result<String, Trouble> {
    std::fs::read_to_string(Path::new(name)).or_trouble(
        format!("{name} cannot be read"),
        "Run this from the top of the repository, or use make.",
    )
}

fn refused(faults: &[String]) -> Trouble {
    Trouble::new("Nothing is deployed:", format!("- {}", faults.join("\n- ")))
}
