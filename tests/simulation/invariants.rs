//! What must hold when a run has come to rest, whatever went wrong in it.

use std::collections::BTreeMap;
use std::time::Duration;

use muster_core::platform::table::Item;
use muster_core::platform::time::Time;

use crate::actions::EDITED;
use crate::addresses::{BOUNCES, COMPLAINS, KEPT, LEAVES, MOVED, STAYS, TWICE};
use crate::state::Shared;

/// A rule over the final state: its findings, one line each.
pub type Invariant = fn(&Shared, &[Item]) -> Vec<String>;

/// Every rule, by name.
pub const INVARIANTS: [(&str, Invariant); 16] = [
    ("no profile without lock and mail", profiles_are_whole),
    ("no lock without profile", locks_have_profiles),
    ("nothing of a profile that is gone", what_is_erased_is_gone),
    ("whoever clicked is confirmed", clicks_count),
    (
        "what operators and imports touch does not expire",
        what_is_touched_stays,
    ),
    (
        "a link confirms what one sign-up said",
        sign_ups_are_not_mixed,
    ),
    ("one request makes one thing", requests_happen_once),
    (
        "every mail sent, or abandoned with a reason",
        mails_are_settled,
    ),
    ("what is marked sent was sent", sent_is_sent),
    ("what SES reports is known", reports_are_known),
    ("nothing goes where nothing is wanted", refusals_are_final),
    (
        "whom SES suppresses we know of, and no other",
        suppressions_are_known,
    ),
    ("no mail twice outside the window", mails_go_once),
    ("nothing left leased or due", nothing_is_left),
    ("no dead letters", no_dead_letters),
    ("imports are forgotten one day", imports_are_bounded),
];

/// A text attribute; empty if there is none.
pub fn text(item: &Item, name: &str) -> String {
    item.get(name)
        .and_then(|value| value.as_s().ok())
        .cloned()
        .unwrap_or_default()
}

/// A number attribute; 0 if there is none.
pub fn number(item: &Item, name: &str) -> u64 {
    item.get(name)
        .and_then(|value| value.as_n().ok())
        .and_then(|n| n.parse().ok())
        .unwrap_or_default()
}

/// When an item is due.
pub fn due_at(item: &Item) -> Option<Time> {
    let due: jiff::Timestamp = text(item, "due_at").parse().ok()?;
    Some(Time::from_millis(due.as_millisecond()))
}

/// The items whose keys start like that.
pub fn of_kind<'a>(items: &'a [Item], pk: &'a str, sk: &'a str) -> impl Iterator<Item = &'a Item> {
    items
        .iter()
        .filter(move |item| text(item, "pk").starts_with(pk) && text(item, "sk").starts_with(sk))
}

/// The item of that key.
pub fn find<'a>(items: &'a [Item], pk: &str, sk: &str) -> Option<&'a Item> {
    items
        .iter()
        .find(|item| text(item, "pk") == pk && text(item, "sk") == sk)
}

/// Profiles, and not what is left of rows.
fn profiles(items: &[Item]) -> impl Iterator<Item = &Item> {
    of_kind(items, "PROFILE#", "PROFILE").filter(|item| !item.contains_key("outcome"))
}

fn profiles_are_whole(_: &Shared, items: &[Item]) -> Vec<String> {
    let mut findings = Vec::new();
    for profile in profiles(items) {
        let id = text(profile, "id");
        let lock = find(
            items,
            &format!("EMAIL#{}", text(profile, "email_key")),
            "EMAIL",
        );
        if lock.is_none_or(|lock| text(lock, "profile_id") != id) {
            findings.push(format!("profile {id} has no lock of its own"));
        }
        // Of several sign-ups that are not confirmed it remembers the newest.
        let differs = |lock: &Item| text(lock, "locale") != text(profile, "locale");
        if lock.is_some_and(|lock| !lock.contains_key("signup_mail") && differs(lock)) {
            findings.push(format!("profile {id} and its lock are in two languages"));
        }
        let has_mail = find(items, &format!("PROFILE#{id}"), "MAIL#1").is_some();
        if !has_mail && text(profile, "source") != "import" {
            findings.push(format!("profile {id} has no mail"));
        }
    }
    findings
}

fn locks_have_profiles(_: &Shared, items: &[Item]) -> Vec<String> {
    of_kind(items, "EMAIL#", "EMAIL")
        .map(|lock| text(lock, "profile_id"))
        .filter(|id| !profiles(items).any(|profile| text(profile, "id") == **id))
        .map(|id| format!("a lock is held by {id}, which is not there"))
        .collect()
}

fn what_is_erased_is_gone(_: &Shared, items: &[Item]) -> Vec<String> {
    let orphans = of_kind(items, "PROFILE#", "MAIL#")
        .filter(|mail| find(items, &text(mail, "pk"), "PROFILE").is_none())
        .map(|mail| format!("{} {} has no profile", text(mail, "pk"), text(mail, "sk")));
    let traces = items
        .iter()
        .filter(|item| format!("{item:?}").contains(LEAVES))
        .map(|item| format!("{} {} is of who left", text(item, "pk"), text(item, "sk")));
    orphans.chain(traces).collect()
}

fn clicks_count(_: &Shared, items: &[Item]) -> Vec<String> {
    of_kind(items, "PROFILE#", "PROFILE")
        .filter(|profile| [STAYS, MOVED, TWICE].contains(&text(profile, "email").as_str()))
        .filter(|profile| text(profile, "status") != "confirmed")
        .map(|profile| format!("{} is {}", text(profile, "pk"), text(profile, "status")))
        .collect()
}

/// Only a sign-up that neither its owner nor an operator nor an import has touched
/// expires, and then all of it at the same moment.
fn what_is_touched_stays(_: &Shared, items: &[Item]) -> Vec<String> {
    let mut findings = Vec::new();
    for profile in profiles(items) {
        let id = text(profile, "id");
        let is_signup = text(profile, "source") == "signup"
            && ["signup", "feedback"].contains(&&*text(profile, "updated_by"));
        let expires_at = profile.get("expires_at");
        if expires_at.is_some() && !is_signup {
            findings.push(format!("profile {id} expires"));
        }
        let mails = of_kind(items, "PROFILE#", "MAIL#").filter(|m| text(m, "profile_id") == id);
        let locks = of_kind(items, "EMAIL#", "EMAIL").filter(|l| text(l, "profile_id") == id);
        for item in mails.chain(locks) {
            let name = format!("{} {}", text(item, "pk"), text(item, "sk"));
            if item.get("expires_at") != expires_at {
                findings.push(format!("{name} expires at another time than its profile"));
            }
            if expires_at.is_none() && item.contains_key("signup") {
                findings.push(format!(
                    "{name} holds a sign-up that can no longer be confirmed"
                ));
            }
        }
    }
    findings
}

fn sign_ups_are_not_mixed(_: &Shared, items: &[Item]) -> Vec<String> {
    let mut findings = Vec::new();
    for profile in profiles(items) {
        let said = profile.get("attributes").and_then(|said| said.as_m().ok());
        let by = said.map(|said| text(said, "by")).unwrap_or_default();
        let name = text(profile, "name");
        if text(profile, "email") == KEPT && name != EDITED {
            findings.push(format!("{KEPT} is {name}, and not what an operator said"));
        }
        if by.is_empty() || name == EDITED {
            continue;
        }
        let locale = if by == "First" { "de" } else { "en" };
        let is_whole = said.is_some_and(|said| said.len() == 2 && said.contains_key(&by));
        if name != by || text(profile, "locale") != locale || !is_whole {
            let email = text(profile, "email");
            findings.push(format!("{email} is {name}, with what {by} said"));
        }
    }
    findings
}

fn requests_happen_once(_: &Shared, items: &[Item]) -> Vec<String> {
    let records = of_kind(items, "REQUEST#", "REQUEST");
    let mut findings = Vec::new();
    for record in records {
        let made = text(record, "import_id");
        if !made.is_empty() {
            if find(items, &format!("IMPORT#{made}"), "IMPORT").is_none() {
                findings.push(format!(
                    "{} made import {made}, which is not there",
                    text(record, "pk")
                ));
            }
            continue;
        }
        let id = text(record, "profile_id");
        let profile = find(items, &format!("PROFILE#{id}"), "PROFILE");
        if profile.is_none_or(|profile| text(profile, "request") != text(record, "pk")) {
            findings.push(format!("{} is not of profile {id}", text(record, "pk")));
        }
    }
    let operators = of_kind(items, "PROFILE#", "PROFILE")
        .filter(|profile| text(profile, "source") == "operator");
    let mut made: Vec<_> = operators.map(|profile| text(profile, "email")).collect();
    made.sort();
    if made.windows(2).any(|two| two[0] == two[1]) {
        findings.push("one request made several profiles".to_owned());
    }
    findings
}

fn mails_are_settled(_: &Shared, items: &[Item]) -> Vec<String> {
    of_kind(items, "PROFILE#", "MAIL#")
        .filter(|mail| match text(mail, "status").as_str() {
            "sent" | "delivered" => false,
            "abandoned" | "bounced" => text(mail, "reason").is_empty(),
            _ => true,
        })
        .map(|mail| {
            format!(
                "mail {} {} is {}",
                text(mail, "pk"),
                text(mail, "sk"),
                text(mail, "status")
            )
        })
        .collect()
}

fn sent_is_sent(shared: &Shared, items: &[Item]) -> Vec<String> {
    of_kind(items, "PROFILE#", "MAIL#")
        .filter(|mail| ["sent", "delivered", "bounced"].contains(&&*text(mail, "status")))
        .filter(|mail| !was_accepted(shared, mail))
        .map(|mail| {
            format!(
                "{} {} is marked {}, and SES never saw it",
                text(mail, "pk"),
                text(mail, "sk"),
                text(mail, "status")
            )
        })
        .collect()
}

fn was_accepted(shared: &Shared, item: &Item) -> bool {
    let (id, number) = (text(item, "profile_id"), number(item, "number").to_string());
    let mut accepted = shared.ses.accepted.iter();
    accepted.any(|mail| mail.profile_id == id && mail.mail == number)
}

/// Whether SES took it and did not deliver it.
fn was_suppressed(shared: &Shared, item: &Item) -> bool {
    let (id, number) = (text(item, "profile_id"), number(item, "number").to_string());
    let mut accepted = shared.ses.accepted.iter();
    accepted.any(|mail| mail.profile_id == id && mail.mail == number && mail.suppressed)
}

fn reports_are_known(shared: &Shared, items: &[Item]) -> Vec<String> {
    of_kind(items, "PROFILE#", "MAIL#")
        .filter(|mail| was_accepted(shared, mail))
        .filter(|mail| {
            let expected = if text(mail, "to") == BOUNCES || was_suppressed(shared, mail) {
                "bounced"
            } else {
                "delivered"
            };
            text(mail, "status") != expected
        })
        .map(|mail| {
            format!(
                "{} {} to {} is {}",
                text(mail, "pk"),
                text(mail, "sk"),
                text(mail, "to"),
                text(mail, "status")
            )
        })
        .collect()
}

fn refuses(address: &str) -> bool {
    [BOUNCES, COMPLAINS].contains(&address)
}

/// A mailer that had claimed a mail when the address was found to be
/// undeliverable may still send it, as long as its lease is.
const ON_ITS_WAY: Duration = Duration::from_secs(45);

fn refusals_are_final(shared: &Shared, items: &[Item]) -> Vec<String> {
    let mut findings = Vec::new();
    for profile in of_kind(items, "PROFILE#", "PROFILE") {
        let address = text(profile, "email");
        if !refuses(&address) {
            continue;
        }
        // Its owner may have followed the link since.
        let Some(undeliverable) = undeliverable(profile) else {
            if address == BOUNCES {
                findings.push(format!("{address} is not undeliverable"));
            }
            continue;
        };
        let known = number(undeliverable, "since");
        let known = Time::from_millis(i64::try_from(known).unwrap_or(0));
        let late = shared.ses.accepted.iter();
        let late = late.filter(|mail| mail.to == address && mail.at > known.after(ON_ITS_WAY));
        findings.extend(late.map(|mail| format!("mail {} went to {address}", mail.mail)));
    }
    findings
}

/// Why a profile gets no mail.
fn undeliverable(profile: &Item) -> Option<&Item> {
    profile.get("undeliverable")?.as_m().ok()
}

fn suppressions_are_known(shared: &Shared, items: &[Item]) -> Vec<String> {
    profiles(items)
        .filter(|profile| {
            let address = text(profile, "email");
            shared.ses.suppressed.contains_key(&address) != undeliverable(profile).is_some()
        })
        .map(|profile| {
            let (address, why) = (text(profile, "email"), undeliverable(profile));
            let on_list = shared.ses.suppressed.get(&address);
            format!("{address}: SES says {on_list:?}, we say {why:?}")
        })
        .collect()
}

fn mails_go_once(shared: &Shared, _: &[Item]) -> Vec<String> {
    let mut sent = BTreeMap::<_, Vec<_>>::new();
    for mail in &shared.ses.accepted {
        sent.entry((&mail.profile_id, &mail.mail))
            .or_default()
            .push(mail);
    }
    sent.into_iter()
        .filter(|(_, times)| times[..times.len() - 1].iter().any(|mail| !mail.in_window))
        .map(|((profile, mail), times)| {
            format!("mail {mail} of {profile} went {} times", times.len())
        })
        .collect()
}

fn nothing_is_left(_: &Shared, items: &[Item]) -> Vec<String> {
    items
        .iter()
        .filter(|item| {
            ["lease_owner", "lease_until", "due_at", "due_shard"]
                .iter()
                .any(|name| item.contains_key(*name))
        })
        .map(|item| {
            format!(
                "{} {} is left leased or due",
                text(item, "pk"),
                text(item, "sk")
            )
        })
        .collect()
}

fn no_dead_letters(shared: &Shared, _: &[Item]) -> Vec<String> {
    shared
        .queues
        .dead_letters()
        .map(|(queue, message)| format!("{queue} has a dead letter: {}", message.body))
        .collect()
}

/// The names of their files may be personal.
fn imports_are_bounded(_: &Shared, items: &[Item]) -> Vec<String> {
    let of_imports = ["IMPORT#", "OBJECT#"].into_iter();
    of_imports
        .flat_map(|kind| of_kind(items, kind, ""))
        .filter(|item| !item.contains_key("expires_at"))
        .map(|item| format!("{} {} never expires", text(item, "pk"), text(item, "sk")))
        .collect()
}
