//! An import with everything that people do to it: options, repeated and known
//! addresses, people who sign up before it and meanwhile, edits and erasures of rows
//! in between, a cancel and a resume.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use muster_core::ids::{ImportId, ProfileId};
use muster_core::random::Random;
use muster_core::table::Item;

use crate::endpoint::Shared;
use crate::invariants::{find, number, of_kind, text};
use crate::s3::BUCKET;
use crate::story::{Act, Rule, Story};

/// The name that an edit gives.
pub const EDITED: &str = "Edited";

/// What happens to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// An operator gave the profile of that address another name, when its row
    /// was imported already.
    Edited(String),
    /// An operator erased it, when its row was imported already.
    Erased(String),
    /// The import stood still from then to then (milliseconds since 1970).
    Rested(i64, i64),
}

/// A row of the file.
#[derive(Debug, Clone)]
struct Row {
    line: u64,
    /// None in a row that is refused whatever happens.
    address: Option<String>,
    /// The name that it gives; empty if it gives none.
    name: String,
}

/// What the rules are about.
#[derive(Debug, Clone)]
struct Plan {
    options: BTreeMap<&'static str, String>,
    rows: Vec<Row>,
}

impl Plan {
    fn is(&self, option: &str, value: &str) -> bool {
        self.options.get(option).is_some_and(|found| found == value)
    }

    fn bad(&self) -> impl Iterator<Item = u64> + '_ {
        let bad = self.rows.iter().filter(|row| row.address.is_none());
        bad.map(|row| row.line)
    }

    /// The rows with that address, in their order.
    fn rows_of<'p>(&'p self, address: &'p str) -> impl Iterator<Item = &'p Row> {
        let rows = self.rows.iter();
        rows.filter(move |row| row.address.as_deref() == Some(address))
    }

    fn addresses(&self) -> BTreeSet<&str> {
        self.rows
            .iter()
            .filter_map(|row| row.address.as_deref())
            .collect()
    }
}

/// One import, of any options, and what people do meanwhile.
pub fn story(random: &Random) -> Story {
    let draw = |limit: u64| u64::from_le_bytes(random.bytes()) % limit;
    let second = |limit: u64| Duration::from_millis(draw(limit * 1000));
    let options = BTreeMap::from([
        (
            "on_conflict",
            ["skip", "update", "fail"][draw(3) as usize].to_owned(),
        ),
        (
            "confirm",
            ["skip", "send", "mark_confirmed"][draw(3) as usize].to_owned(),
        ),
        ("dry_run", (draw(5) == 0).to_string()),
    ]);
    let (csv, rows) = file(90, true);
    let mut acts: Vec<_> = [PENDING[0], PENDING[1], OWNED]
        .map(|known| (second(30), Act::SignUp(known)))
        .into();
    acts.push((second(30), Act::Create(MADE)));
    let asked_for = draw(2) == 0;
    let manual = asked_for && draw(3) == 0;
    let came = Duration::from_secs(5) + second(20);
    acts.push((
        came,
        match asked_for {
            true => Act::Import {
                options: options.clone(),
                manual,
                csv,
            },
            false => Act::Upload {
                key: "uploads/people.csv".to_owned(),
                csv,
                options: options.clone(),
            },
        },
    ));
    for row in [2, 42, 82] {
        acts.push((came + second(120), Act::Edit(address(row))));
        acts.push((came + second(120), Act::Erase(address(row + 1))));
    }
    acts.push((came + second(120), Act::Edit(PENDING[0].to_owned())));
    acts.push((came + second(120), Act::Erase(PENDING[1].to_owned())));
    acts.push((came + second(120), Act::Edit(MADE.to_owned())));
    // People sign up while they are imported.
    acts.push((came + second(120), Act::SignUp(LATE)));
    let mut then = vec![(Act::SignUp(OWNED), second(40), Act::Confirm(OWNED))];
    if manual {
        acts.push((came + second(60), Act::Start));
    }
    if draw(3) > 0 {
        acts.push((came + second(90), Act::Cancel));
        then.push((Act::Cancel, second(300), Act::Resume));
    }
    let plan = Plan { options, rows };
    Story {
        acts,
        then,
        rules: rules(&plan),
    }
}

/// One import of a file in which no address occurs twice, with a cancel and a
/// resume, and nothing else: what is stored in the end is the same whatever
/// happens on the way.
pub fn plain_story(random: &Random) -> Story {
    let draw = |limit: u64| u64::from_le_bytes(random.bytes()) % limit;
    let second = |limit: u64| Duration::from_millis(draw(limit * 1000));
    let (csv, rows) = file(90, false);
    let options = BTreeMap::from([("confirm", "send".to_owned())]);
    let key = "uploads/people.csv".to_owned();
    let upload = Act::Upload {
        key,
        csv,
        options: options.clone(),
    };
    Story {
        acts: vec![(Duration::ZERO, upload), (second(60), Act::Cancel)],
        then: vec![(Act::Cancel, second(300), Act::Resume)],
        rules: rules(&Plan { options, rows }),
    }
}

/// An import whose chunks are worked on one after the other in long lanes: of each
/// chunk of the simulation's forty rows, one row is a person.
pub fn long_story(_: &Random) -> Story {
    let lines = 2..2 + 40 * 40;
    let mut csv = "email\n".to_owned();
    let mut rows = Vec::new();
    for line in lines {
        let address = (line % 40 == 2).then(|| address(line));
        csv.push_str(address.as_deref().unwrap_or("nobody"));
        csv.push('\n');
        rows.push(Row {
            line,
            address,
            name: String::new(),
        });
    }
    let upload = Act::Upload {
        key: "uploads/people.csv".to_owned(),
        csv: csv.into_bytes(),
        options: BTreeMap::new(),
    };
    Story {
        acts: vec![(Duration::ZERO, upload)],
        then: Vec::new(),
        rules: rules(&Plan {
            options: BTreeMap::new(),
            rows,
        }),
    }
}

/// One import of a file in which addresses occur three times, in chunks apart:
/// what is stored in the end follows from the order of the rows alone.
pub fn repeats_story(random: &Random) -> Story {
    let draw = |limit: u64| u64::from_le_bytes(random.bytes()) % limit;
    let second = |limit: u64| Duration::from_millis(draw(limit * 1000));
    let options = BTreeMap::from([
        (
            "on_conflict",
            ["skip", "update", "fail"][draw(3) as usize].to_owned(),
        ),
        ("confirm", ["skip", "send"][draw(2) as usize].to_owned()),
        ("dry_run", (draw(4) == 0).to_string()),
    ]);
    let (csv, rows) = repeats();
    let upload = Act::Upload {
        key: "uploads/people.csv".to_owned(),
        csv,
        options: options.clone(),
    };
    let plan = Plan { options, rows };
    let mut rules = rules(&plan);
    rules.push(rule(&plan, "rows count as in their order", counts_follow));
    Story {
        acts: vec![
            (Duration::ZERO, Act::Create(MADE)),
            (Duration::ZERO, Act::SignUp(PENDING[0])),
        ],
        then: vec![
            (Act::Create(MADE), Duration::from_secs(60), upload.clone()),
            (upload, second(60), Act::Cancel),
            (Act::Cancel, second(300), Act::Resume),
            // Of a chunk that three workers died on, or nothing.
            (Act::Resume, Duration::from_secs(3 * 60 * 60), Act::Resume),
        ],
        rules,
    }
}

/// People who sign up, do not confirm, and are in the file.
const PENDING: [&str; 2] = ["pending0@example.com", "pending1@example.com"];
/// Signs up, confirms, and is in the file.
const OWNED: &str = "owned@example.com";
/// Is made by an operator, and in the file.
const MADE: &str = "made@example.com";
/// Is in the file, and signs up meanwhile.
const LATE: &str = "row15@example.com";

/// Who signs up, and is written to for that.
const SIGNS_UP: [&str; 4] = [PENDING[0], PENDING[1], OWNED, LATE];

fn address(row: u64) -> String {
    format!("row{row}@example.com")
}

/// So many rows: in several chunks, some bad, some over two lines, and some, if
/// they may, with addresses that repeat across chunks or are known already.
fn file(rows: u64, repeats: bool) -> (Vec<u8>, Vec<Row>) {
    let mut csv = "email,name,note\n".to_owned();
    let mut found = Vec::new();
    let mut line = 2;
    for row in 0..rows {
        let email = match row {
            _ if row % 17 == 7 => None,
            12 | 52 if repeats => Some(MADE.to_owned()),
            22 | 72 if repeats => Some(OWNED.to_owned()),
            30 | 60 if repeats => Some(PENDING[0].to_owned()),
            63 | 85 if repeats => Some(PENDING[1].to_owned()),
            _ if repeats && row % 10 == 9 => Some(address(row / 2)),
            _ => Some(address(row)),
        };
        let text = email.clone().unwrap_or(format!("=bad{row}"));
        let note = if row % 5 == 1 {
            "\"two\nlines\""
        } else {
            "one line"
        };
        let name = format!("Row {row}");
        csv.push_str(&format!("{text},{name},{note}\n"));
        found.push(Row {
            line,
            address: email,
            name,
        });
        line += if row % 5 == 1 { 2 } else { 1 };
    }
    (csv.into_bytes(), found)
}

/// Ninety rows in which eleven addresses are three times: the first time without a
/// name, the second with an attribute more, the third with another one. One of
/// them was made by an operator, one is a sign-up's.
fn repeats() -> (Vec<u8>, Vec<Row>) {
    let mut csv = "email,name,note,second,third\n".to_owned();
    let mut found = Vec::new();
    for row in 0..90 {
        let email = match row % 30 {
            3 => None,
            4 => Some(MADE.to_owned()),
            5 => Some(PENDING[0].to_owned()),
            other @ 0..12 => Some(address(other)),
            _ => Some(address(row)),
        };
        let text = email.clone().unwrap_or(format!("bad{row}"));
        let (name, more) = match row / 30 {
            0 => (String::new(), ","),
            1 => (format!("Row {row}"), "yes,"),
            _ => (format!("Row {row}"), ",yes"),
        };
        csv.push_str(&format!("{text},{name},note {row},{more}\n"));
        found.push(Row {
            line: row + 2,
            address: email,
            name,
        });
    }
    (csv.into_bytes(), found)
}

fn rule(plan: &Plan, name: &'static str, check: fn(&Plan, &Seen<'_>) -> Vec<String>) -> Rule {
    let plan = plan.clone();
    Rule::new(name, move |shared, items| match Seen::of(shared, items) {
        Ok(seen) => check(&plan, &seen),
        Err(finding) => vec![finding],
    })
}

/// What must hold of an import when all has come to rest.
fn rules(plan: &Plan) -> Vec<Rule> {
    let rule = |name, check| rule(plan, name, check);
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

/// The import, and what is there of it.
struct Seen<'a> {
    shared: &'a Shared,
    items: &'a [Item],
    import: &'a Item,
    id: ImportId,
}

impl<'a> Seen<'a> {
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
    fn created<'p>(&'p self, plan: &'p Plan) -> impl Iterator<Item = &'a Item> + 'p {
        let rows = plan.addresses();
        rows.into_iter()
            .filter_map(|address| self.row(address))
            .filter(|item| !item.contains_key("outcome"))
    }
}

fn ends_well(_: &Plan, seen: &Seen<'_>) -> Vec<String> {
    let expected = match seen.count("failed") {
        0 => "completed",
        _ => "completed_with_errors",
    };
    let status = text(seen.import, "status");
    if status == expected {
        Vec::new()
    } else {
        vec![format!("it is {status}: {:?}", seen.import.get("reason"))]
    }
}

fn rows_are_answered(plan: &Plan, seen: &Seen<'_>) -> Vec<String> {
    let counts = ["created", "updated", "skipped", "failed"].map(|kind| seen.count(kind));
    let answered: u64 = counts.iter().sum();
    let total = plan.rows.len() as u64;
    let mut findings = Vec::new();
    if answered != total || number(seen.import, "rows") != total {
        findings.push(format!("{counts:?} are {answered} of {total} rows"));
    }
    if !plan.is("on_conflict", "update") && counts[1] > 0 {
        findings.push(format!("{counts:?}: none was to be updated"));
    }
    findings
}

fn counts_are_true(plan: &Plan, seen: &Seen<'_>) -> Vec<String> {
    let mut there = BTreeMap::from([("created", 0), ("updated", 0)]);
    for address in plan.addresses() {
        let Some(item) = seen.row(address) else {
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
        .filter(|(kind, there)| seen.count(kind) != *there);
    wrong
        .map(|(kind, there)| format!("{kind} are {}, and {there} are there", seen.count(kind)))
        .collect()
}

/// The lines that a report names, in its order.
fn reported(seen: &Seen<'_>) -> Vec<u64> {
    let key = text(seen.import, "report_key");
    let Some(file) = object(seen.shared, &key) else {
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

/// An object of the bucket.
pub fn object(shared: &Shared, key: &str) -> Option<Bytes> {
    if key.is_empty() {
        return None;
    }
    let mut request = http::Request::new(Bytes::new());
    *request.uri_mut() = format!("http://s3.local/{BUCKET}/{key}").parse().ok()?;
    let host = http::HeaderValue::from_static("s3.local");
    request.headers_mut().insert("host", host);
    let answer = shared.s3.call(request);
    answer.status().is_success().then(|| answer.into_body())
}

fn report_is_whole(plan: &Plan, seen: &Seen<'_>) -> Vec<String> {
    let lines = reported(seen);
    let mut findings = Vec::new();
    if lines.len() as u64 != seen.count("failed") {
        findings.push(format!(
            "{} rows are reported, {} failed",
            lines.len(),
            seen.count("failed")
        ));
    }
    if lines.windows(2).any(|pair| pair[0] >= pair[1]) {
        findings.push(format!("not in order, or twice: {lines:?}"));
    }
    let missing: Vec<_> = plan.bad().filter(|line| !lines.contains(line)).collect();
    if !missing.is_empty() {
        findings.push(format!("not reported: {missing:?}"));
    }
    findings
}

/// But for what was changed since by anybody else.
fn first_rows_count(plan: &Plan, seen: &Seen<'_>) -> Vec<String> {
    let mut findings = Vec::new();
    for address in plan.addresses() {
        let (Some(first), Some(left)) = (plan.rows_of(address).next(), seen.row(address)) else {
            continue;
        };
        let is_profile = !left.contains_key("outcome");
        let holder = seen.holder(address).unwrap_or(left);
        let is_imported = text(holder, "updated_by") == "import";
        let is_dry = plan.is("dry_run", "true");
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

/// In a file whose people nobody changes, the counts and the report follow from the
/// order of the rows.
fn counts_follow(plan: &Plan, seen: &Seen<'_>) -> Vec<String> {
    let mut expected = BTreeMap::from([("created", 0), ("updated", 0), ("skipped", 0)]);
    let mut refused: BTreeSet<u64> = plan.bad().collect();
    let mut known = BTreeSet::new();
    let fails = plan.is("on_conflict", "fail");
    for row in &plan.rows {
        let Some(address) = row.address.as_deref() else {
            continue;
        };
        let is_first = known.insert(address);
        let kind = match is_first {
            true if address != MADE => "created",
            true if plan.is("on_conflict", "update") => "updated",
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
        .filter(|(kind, expected)| seen.count(kind) != *expected)
        .map(|(kind, expected)| format!("{kind} are {}, not {expected}", seen.count(kind)))
        .collect();
    let lines: BTreeSet<_> = reported(seen).into_iter().collect();
    if lines != refused {
        findings.push(format!("refused are {lines:?}, not {refused:?}"));
    }
    findings
}

fn edits_stay(_: &Plan, seen: &Seen<'_>) -> Vec<String> {
    let deeds = seen.shared.deeds.iter();
    let edited = deeds.filter_map(|deed| match deed {
        Deed::Edited(address) => Some(address),
        _ => None,
    });
    edited
        .filter(|address| {
            let holder = seen.holder(address);
            holder.is_some_and(|profile| text(profile, "name") != EDITED)
        })
        .map(|address| format!("{address} was edited, and is not any more"))
        .collect()
}

fn erased_stay(_: &Plan, seen: &Seen<'_>) -> Vec<String> {
    let deeds = seen.shared.deeds.iter();
    let erased = deeds.filter_map(|deed| match deed {
        Deed::Erased(address) => Some(address),
        _ => None,
    });
    erased
        // People may sign up again.
        .filter(|address| {
            let holder = seen.holder(address);
            holder.is_some_and(|profile| text(profile, "source") == "import")
        })
        .map(|address| format!("{address} was erased, and is there again"))
        .collect()
}

fn dry_runs_are_dry(plan: &Plan, seen: &Seen<'_>) -> Vec<String> {
    if !plan.is("dry_run", "true") {
        return Vec::new();
    }
    of_kind(seen.items, "PROFILE#", "PROFILE")
        .filter(|item| !item.contains_key("outcome"))
        .filter(|item| text(item, "source") == "import" || text(item, "updated_by") == "import")
        .map(|item| format!("{} is of a dry run", text(item, "pk")))
        .collect()
}

fn mails_are_asked_for(plan: &Plan, seen: &Seen<'_>) -> Vec<String> {
    let mut findings = Vec::new();
    let sends = plan.is("confirm", "send") && !plan.is("dry_run", "true");
    // Who signs up as well is written to for that.
    let others = seen
        .created(plan)
        .filter(|profile| !SIGNS_UP.contains(&&*text(profile, "email")));
    for profile in others {
        let pk = text(profile, "pk");
        if find(seen.items, &pk, "MAIL#1").is_some() != sends {
            findings.push(format!(
                "{pk}: a mail {}",
                if sends { "is missing" } else { "too many" }
            ));
        }
    }
    let created: BTreeSet<_> = seen
        .created(plan)
        .map(|profile| text(profile, "id"))
        .collect();
    for deed in &seen.shared.deeds {
        let Deed::Rested(from, to) = deed else {
            continue;
        };
        let meanwhile = seen.shared.ses.accepted.iter().filter(|mail| {
            created.contains(&mail.profile_id) && (*from..*to).contains(&mail.at.as_millis())
        });
        findings.extend(
            meanwhile.map(|mail| format!("{} was written to while it was cancelled", mail.to)),
        );
    }
    findings
}

fn confirmed_are(plan: &Plan, seen: &Seen<'_>) -> Vec<String> {
    if !plan.is("confirm", "mark_confirmed") {
        return Vec::new();
    }
    seen.created(plan)
        .filter(|profile| text(profile, "status") == "pending")
        .map(|profile| format!("{} is pending", text(profile, "pk")))
        .collect()
}
