//! `make simulate FROM=<seed> COUNT=<n>`: runs seeds and says what they broke.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use muster_simulation::flood::Flood;
use muster_simulation::kills::Kills;
use muster_simulation::run::{IMPORTS, PEOPLE, PLAIN_IMPORTS, REPEATS, ScenarioRunner};
use muster_simulation::synthetic_csv::Shape;
use muster_simulation::volume::Volume;

/// Runs the simulation.
#[derive(Parser)]
struct Arguments {
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// How many seeds.
    #[arg(long, default_value_t = 300)]
    count: u64,
    /// What happens in them.
    #[arg(long, value_enum, default_value_t = About::People)]
    story: About,
    /// Shows every call of every run.
    #[arg(long)]
    timeline: bool,
    /// So many mails are due: shows how fast they go, and runs nothing else.
    #[arg(long)]
    flood: Option<usize>,
    /// Mails a second that SES lets through in the flood.
    #[arg(long, default_value_t = 14.0)]
    rate: f64,
    /// How long the flood is looked at.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// Has the built functions import a file of a tenth of so many rows, and one of
    /// all, and runs nothing else.
    #[arg(long)]
    rows: Option<u64>,
    /// Calls of a thousand that go wrong meanwhile.
    #[arg(long, default_value_t = 300)]
    per_mille: u64,
    /// Kills so many processes while they import files, and runs nothing else.
    #[arg(long)]
    kills: Option<u64>,
    /// Shows what each action costs, and runs nothing else.
    #[arg(long)]
    budget: bool,
}

/// What happens in a run.
#[derive(Clone, Copy, ValueEnum)]
enum About {
    /// People sign up, confirm, move and leave; a file is dropped.
    People,
    /// An import with everything that is done to one.
    Import,
    /// An import that ends the same whatever happens.
    PlainImport,
    /// An import of a file in which addresses occur in several chunks.
    Repeats,
}

impl About {
    const fn name(self) -> &'static str {
        match self {
            Self::People => "people",
            Self::Import => "import",
            Self::PlainImport => "plain-import",
            Self::Repeats => "repeats",
        }
    }

    fn runner(self) -> &'static ScenarioRunner {
        match self {
            Self::People => &PEOPLE,
            Self::Import => &IMPORTS,
            Self::PlainImport => &PLAIN_IMPORTS,
            Self::Repeats => &REPEATS,
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut out = std::io::stdout().lock();
    if arguments.budget {
        let _ = write!(out, "{}", muster_simulation::budget::table());
        return ExitCode::SUCCESS;
    }
    if let Some(due) = arguments.flood {
        return flood(due, &arguments, &mut out);
    }
    if let Some(rows) = arguments.rows {
        return volume(rows, &arguments, &mut out);
    }
    if let Some(count) = arguments.kills {
        let seed = arguments.from;
        let seen = Kills { count, seed }.run();
        let _ = writeln!(out, "{seen}");
        return exit_code(seen.broken.is_empty());
    }
    let (mut calls, mut doubled, mut failed) = (0, 0, 0);
    let mut faults = BTreeMap::new();
    arguments.story.runner().run_all(
        arguments.from..arguments.from + arguments.count,
        None,
        |seed, run| {
            calls += run.log.calls.len();
            doubled += run.doubled;
            for fault in run.log.calls.iter().filter_map(|call| call.fault) {
                *faults.entry(fault).or_insert(0) += 1;
            }
            if arguments.timeline {
                let _ = writeln!(out, "{}", run.log.timeline());
            }
            if !run.broken.is_empty() {
                failed += 1;
                let _ = writeln!(
                    out,
                    "seed {seed}: make simulate STORY={} FROM={seed} COUNT=1 TIMELINE=1",
                    arguments.story.name()
                );
                for (invariant, findings) in run.broken {
                    let _ = writeln!(out, "  broken: {invariant}");
                    for finding in findings.iter().take(5) {
                        let _ = writeln!(out, "    {finding}");
                    }
                }
            }
        },
    );
    let _ = writeln!(out, "schedules {}, calls {calls}", arguments.count);
    for (fault, times) in faults {
        let _ = writeln!(out, "  {fault:<22} {times}");
    }
    let _ = writeln!(
        out,
        "mails doubled in the window {doubled}, schedules that broke something {failed}"
    );
    exit_code(failed == 0)
}

fn exit_code(good: bool) -> ExitCode {
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Of a tenth of as many rows, the report is too long to be put together in one
/// piece, so that memory is not to grow with the rest.
const MANY: u64 = 1_000_000;

/// A tenth of the rows first, and then all.
fn volume(rows: u64, arguments: &Arguments, out: &mut impl Write) -> ExitCode {
    let imports = [rows / 10, rows].map(|rows| {
        let seen = Volume {
            shape: Shape {
                rows,
                apart: 30_000,
                note: 16_000,
                padding: 0,
                name: "Row",
            },
            per_mille: arguments.per_mille,
            seed: arguments.from,
        }
        .run();
        let _ = writeln!(out, "{seen}");
        seen
    });
    let [first, second] = &imports;
    let grown = match rows >= MANY {
        true => second.grown_since(first),
        false => Vec::new(),
    };
    for finding in &grown {
        let _ = writeln!(out, "{finding}");
    }
    let whole = imports.iter().all(|seen| seen.broken.is_empty());
    exit_code(whole && grown.is_empty())
}

fn flood(due: usize, arguments: &Arguments, out: &mut impl Write) -> ExitCode {
    let flood = Flood {
        due,
        rate: arguments.rate,
        lasts: Duration::from_secs(60 * arguments.minutes),
    };
    let seen = flood.run();
    let _ = writeln!(
        out,
        "{due} bulk mails due, {} minutes, {} mails a second\n{seen}",
        arguments.minutes, arguments.rate
    );
    let good = seen.throttled == 0
        && seen.used >= 0.97
        && seen.wait(990) <= Duration::from_secs(2)
        // What is fed for 75 s, and what goes late as the sweep takes a while.
        && seen.deepest as f64 <= arguments.rate * 90.0;
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
