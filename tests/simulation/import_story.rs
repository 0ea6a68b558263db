//! An import with everything that people do to it: options, repeated and known
//! addresses, edits and erasures of rows in between, a cancel and a resume.

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
    let mut acts: Vec<_> = (0..4)
        .map(|known| (second(30), Act::SignUp(KNOWN[known])))
        .collect();
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
    acts.push((came + second(120), Act::Edit(KNOWN[0].to_owned())));
    acts.push((came + second(120), Act::Erase(KNOWN[1].to_owned())));
    let mut then = Vec::new();
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
        rows.push(Row { line, address });
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

/// People who sign up and are in the file, too.
const KNOWN: [&str; 4] = [
    "known0@example.com",
    "known1@example.com",
    "known2@example.com",
    "known3@example.com",
];

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
            _ if repeats && row % 10 == 9 => Some(address(row / 2)),
            _ if repeats && row % 33 == 30 => Some(KNOWN[(row / 33) as usize % 4].to_owned()),
            _ => Some(address(row)),
        };
        let text = email.clone().unwrap_or(format!("=bad{row}"));
        let note = if row % 5 == 1 {
            "\"two\nlines\""
        } else {
            "one line"
        };
        csv.push_str(&format!("{text},Row,{note}\n"));
        found.push(Row {
            line,
            address: email,
        });
        line += if row % 5 == 1 { 2 } else { 1 };
    }
    (csv.into_bytes(), found)
}

/// What must hold of an import when all has come to rest.
fn rules(plan: &Plan) -> Vec<Rule> {
    let rule = |name, check: fn(&Plan, &Seen<'_>) -> Vec<String>| {
        let plan = plan.clone();
        Rule::new(name, move |shared, items| match Seen::of(shared, items) {
            Ok(seen) => check(&plan, &seen),
            Err(finding) => vec![finding],
        })
    };
    vec![
        rule("an import ends well", ends_well),
        rule("every row is answered once", rows_are_answered),
        rule("what is counted is there", counts_are_true),
        rule("the report has the refused rows", report_is_whole),
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
        .filter(|profile| !KNOWN.contains(&&*text(profile, "email")));
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
