//! What must hold of an import when all has come to rest.

use std::collections::{BTreeMap, BTreeSet};

use muster_core::platform::ids::{ImportId, ProfileId};
use muster_core::platform::table::Item;

use crate::actions::{CompletedAction, EDITED};
use crate::import_input::{ImportInput, MADE, SIGNS_UP};
use crate::invariants::{find, number, of_kind, text};
use crate::scenario::Rule;
use crate::state::Shared;

/// The rules of every import.
pub fn rules(input: &ImportInput) -> Vec<Rule> {
    let rule = |name, check| rule(input, name, check);
    vec![
        rule("an import ends well", ends_well),
        rule("every row is answered once", rows_are_answered),
        rule("what is counted is there", counts_are_true),
        rule("the report has the refused rows", report_is_whole),
        rule("the first row of an address counts", first_rows_count),
        rule("no later edit is touched", edits_stay),
        rule("nobody erased comes back", erased_stay),
        rule("a dry run changes nobody", dry_runs_are_dry),
        rule(
            "mails go if they are to, and while they are",
            mails_are_asked_for,
        ),
        rule("who counts as confirmed is", confirmed_are),
    ]
}

/// The rule of a file whose people nobody changes: the counts and the report follow
/// from the order of the rows.
pub fn counts_follow_order(input: &ImportInput) -> Rule {
    rule(input, "rows count as in their order", counts_follow)
}

fn rule(
    input: &ImportInput,
    name: &'static str,
    check: fn(&ImportInput, &FinalState<'_>) -> Vec<String>,
) -> Rule {
    let input = input.clone();
    Rule::new(name, move |shared, items| {
        match FinalState::of(shared, items) {
            Ok(state) => check(&input, &state),
            Err(finding) => vec![finding],
        }
    })
}

/// The import, and what is stored in the end.
struct FinalState<'a> {
    shared: &'a Shared,
    items: &'a [Item],
    import: &'a Item,
    id: ImportId,
}

impl<'a> FinalState<'a> {
    fn of(shared: &'a Shared, items: &'a [Item]) -> Result<Self, String> {
        let imports: Vec<_> = of_kind(items, "IMPORT#", "IMPORT").collect();
        let [import] = imports[..] else {
            return Err(format!("{} imports are there", imports.len()));
        };
        let id = text(import, "id").parse().map_err(|_| "no id")?;
        Ok(Self {
            shared,
            items,
            import,
            id,
        })
    }

    fn count(&self, kind: &str) -> u64 {
        let counts = self
            .import
            .get("counts")
            .and_then(|value| value.as_m().ok());
        counts.map_or(0, |counts| number(counts, kind))
    }

    /// What is stored at the id of the row of an address.
    fn row(&self, address: &str) -> Option<&'a Item> {
        let id = ProfileId::imported(self.id, address);
        find(self.items, &format!("PROFILE#{id}"), "PROFILE")
    }

    /// The profile that has an address.
    fn holder(&self, address: &str) -> Option<&'a Item> {
        let lock = find(self.items, &format!("EMAIL#{address}"), "EMAIL")?;
        let id = text(lock, "profile_id");
        find(self.items, &format!("PROFILE#{id}"), "PROFILE")
    }

    /// Profiles that rows became.
    fn created<'p>(&'p self, input: &'p ImportInput) -> impl Iterator<Item = &'a Item> + 'p {
        let rows = input.addresses();
        rows.into_iter()
            .filter_map(|address| self.row(address))
            .filter(|item| !item.contains_key("outcome"))
    }
}

fn ends_well(_: &ImportInput, state: &FinalState<'_>) -> Vec<String> {
    let expected = match state.count("failed") {
        0 => "completed",
        _ => "completed_with_errors",
    };
    let status = text(state.import, "status");
    if status == expected {
        Vec::new()
    } else {
        vec![format!("it is {status}: {:?}", state.import.get("reason"))]
    }
}

fn rows_are_answered(input: &ImportInput, state: &FinalState<'_>) -> Vec<String> {
    let counts = ["created", "updated", "skipped", "failed"].map(|kind| state.count(kind));
    let answered: u64 = counts.iter().sum();
    let total = input.rows.len() as u64;
    let mut findings = Vec::new();
    if answered != total || number(state.import, "rows") != total {
        findings.push(format!("{counts:?} are {answered} of {total} rows"));
    }
    if !input.is("on_conflict", "update") && counts[1] > 0 {
        findings.push(format!("{counts:?}: none was to be updated"));
    }
    findings
}

fn counts_are_true(input: &ImportInput, state: &FinalState<'_>) -> Vec<String> {
    let mut there = BTreeMap::from([("created", 0), ("updated", 0)]);
    for address in input.addresses() {
        let Some(item) = state.row(address) else {
            continue;
        };
        match text(item, "outcome").as_str() {
            "" | "created" => *there.entry("created").or_default() += 1,
            "updated" => *there.entry("updated").or_default() += 1,
            _ => {}
        }
    }
    let wrong = there
        .into_iter()
        .filter(|(kind, there)| state.count(kind) != *there);
    wrong
        .map(|(kind, there)| format!("{kind} are {}, and {there} are there", state.count(kind)))
        .collect()
}

/// The lines that a report names, in its order.
fn reported(state: &FinalState<'_>) -> Vec<u64> {
    let key = text(state.import, "report_key");
    let Some(file) = state.shared.s3.object(&key) else {
        return Vec::new();
    };
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .from_reader(&file[..]);
    let column = reader
        .headers()
        .ok()
        .and_then(|header| header.iter().position(|name| name == "error_line"));
    let lines = reader.records().filter_map(|record| {
        let record = record.ok()?;
        record.get(column?)?.parse().ok()
    });
    lines.collect()
}

fn report_is_whole(input: &ImportInput, state: &FinalState<'_>) -> Vec<String> {
    let lines = reported(state);
    let mut findings = Vec::new();
    if lines.len() as u64 != state.count("failed") {
        findings.push(format!(
            "{} rows are reported, {} failed",
            lines.len(),
            state.count("failed")
        ));
    }
    if lines.windows(2).any(|pair| pair[0] >= pair[1]) {
        findings.push(format!("not in order, or twice: {lines:?}"));
    }
    let missing: Vec<_> = input.bad().filter(|line| !lines.contains(line)).collect();
    if !missing.is_empty() {
        findings.push(format!("not reported: {missing:?}"));
    }
    findings
}

/// Profiles that somebody else has changed since are left out.
fn first_rows_count(input: &ImportInput, state: &FinalState<'_>) -> Vec<String> {
    let mut findings = Vec::new();
    for address in input.addresses() {
        let (Some(first), Some(left)) = (input.rows_of(address).next(), state.row(address)) else {
            continue;
        };
        let is_profile = !left.contains_key("outcome");
        let holder = state.holder(address).unwrap_or(left);
        let is_imported = text(holder, "updated_by") == "import";
        let is_dry = input.is("dry_run", "true");
        if (is_imported || is_dry) && number(left, "line") != first.line {
            findings.push(format!(
                "{address} is of line {}, not {}",
                number(left, "line"),
                first.line
            ));
        }
        if is_profile && is_imported && text(left, "name") != first.name {
            findings.push(format!(
                "{address} is called {:?}, not {:?}",
                text(left, "name"),
                first.name
            ));
        }
        let attributes = holder.get("attributes").and_then(|value| value.as_m().ok());
        let has = |name| attributes.is_some_and(|attributes| attributes.contains_key(name));
        if first.name.is_empty() && (has("second") || has("third")) {
            findings.push(format!("{address} has an attribute of a later row"));
        }
    }
    findings
}

fn counts_follow(input: &ImportInput, state: &FinalState<'_>) -> Vec<String> {
    let mut expected = BTreeMap::from([("created", 0), ("updated", 0), ("skipped", 0)]);
    let mut refused: BTreeSet<u64> = input.bad().collect();
    let mut known = BTreeSet::new();
    let fails = input.is("on_conflict", "fail");
    for row in &input.rows {
        let Some(address) = row.address.as_deref() else {
            continue;
        };
        let is_first = known.insert(address);
        let kind = match is_first {
            true if address != MADE => "created",
            true if input.is("on_conflict", "update") => "updated",
            _ if fails => {
                refused.insert(row.line);
                continue;
            }
            _ => "skipped",
        };
        *expected.entry(kind).or_default() += 1;
    }
    let mut findings: Vec<_> = expected
        .into_iter()
        .filter(|(kind, expected)| state.count(kind) != *expected)
        .map(|(kind, expected)| format!("{kind} are {}, not {expected}", state.count(kind)))
        .collect();
    let lines: BTreeSet<_> = reported(state).into_iter().collect();
    if lines != refused {
        findings.push(format!("refused are {lines:?}, not {refused:?}"));
    }
    findings
}

fn edits_stay(_: &ImportInput, state: &FinalState<'_>) -> Vec<String> {
    let actions = state.shared.completed_actions.iter();
    let edited = actions.filter_map(|action| match action {
        CompletedAction::Edited(address) => Some(address),
        _ => None,
    });
    edited
        .filter(|address| {
            let holder = state.holder(address);
            holder.is_some_and(|profile| text(profile, "name") != EDITED)
        })
        .map(|address| format!("{address} was edited, and is not any more"))
        .collect()
}

fn erased_stay(_: &ImportInput, state: &FinalState<'_>) -> Vec<String> {
    let actions = state.shared.completed_actions.iter();
    let erased = actions.filter_map(|action| match action {
        CompletedAction::Erased(address) => Some(address),
        _ => None,
    });
    erased
        // People may sign up again.
        .filter(|address| {
            let holder = state.holder(address);
            holder.is_some_and(|profile| text(profile, "source") == "import")
        })
        .map(|address| format!("{address} was erased, and is there again"))
        .collect()
}

fn dry_runs_are_dry(input: &ImportInput, state: &FinalState<'_>) -> Vec<String> {
    if !input.is("dry_run", "true") {
        return Vec::new();
    }
    of_kind(state.items, "PROFILE#", "PROFILE")
        .filter(|item| !item.contains_key("outcome"))
        .filter(|item| text(item, "source") == "import" || text(item, "updated_by") == "import")
        .map(|item| format!("{} is of a dry run", text(item, "pk")))
        .collect()
}

fn mails_are_asked_for(input: &ImportInput, state: &FinalState<'_>) -> Vec<String> {
    let mut findings = Vec::new();
    let sends = input.is("confirm", "send") && !input.is("dry_run", "true");
    // Those who sign up as well get a mail for that.
    let others = state
        .created(input)
        .filter(|profile| !SIGNS_UP.contains(&&*text(profile, "email")));
    for profile in others {
        let pk = text(profile, "pk");
        if find(state.items, &pk, "MAIL#1").is_some() != sends {
            findings.push(format!(
                "{pk}: a mail {}",
                if sends { "is missing" } else { "too many" }
            ));
        }
    }
    let created: BTreeSet<_> = state
        .created(input)
        .map(|profile| text(profile, "id"))
        .collect();
    for action in &state.shared.completed_actions {
        let CompletedAction::Resumed(from, to) = action else {
            continue;
        };
        let meanwhile = state.shared.ses.accepted.iter().filter(|mail| {
            created.contains(&mail.profile_id) && (*from..*to).contains(&mail.at.as_millis())
        });
        findings.extend(
            meanwhile.map(|mail| format!("{} was written to while it was cancelled", mail.to)),
        );
    }
    findings
}

fn confirmed_are(input: &ImportInput, state: &FinalState<'_>) -> Vec<String> {
    if !input.is("confirm", "mark_confirmed") {
        return Vec::new();
    }
    state
        .created(input)
        .filter(|profile| text(profile, "status") == "pending")
        .map(|profile| format!("{} is pending", text(profile, "pk")))
        .collect()
}
