//! Limits against abuse.

use std::time::Duration;

use muster_simulation::faults::{Fault, Schedule};
use serde_json::json;

use crate::place::{Answer, Place};

async fn sign_up_from(place: &Place, from: &str, address: &str) -> Answer {
    let body = json!({ "email": address, "name": "Somebody" });
    place
        .request(json!({ "method": "POST", "path": "/signup", "from": from, "body": body }))
        .await
}

#[tokio::test(start_paused = true)]
async fn a_network_address_may_ask_so_often_in_ten_minutes() {
    let place = Place::with(&[("MUSTER_SIGNUPS_PER_ADDRESS", "3")]);
    let household = ["2001:db8:1:2::1", "2001:db8:1:2::2", "2001:db8:1:2:3::"];
    for (index, from) in household.into_iter().enumerate() {
        let answer = sign_up_from(&place, from, &format!("p{index}@example.com")).await;
        assert_eq!(answer.status(), 202);
    }
    let refused = sign_up_from(&place, "2001:db8:1:2::4", "p4@example.com").await;
    assert_eq!(
        (refused.status(), refused.problem()),
        (429, "too-many-requests")
    );
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=600).contains(&wait), "{wait}");
    let resend = json!({ "method": "POST", "path": "/signup/resend", "from": household[0], "body": { "email": "p0@example.com" } });
    assert_eq!(place.request(resend).await.status(), 429);
    assert!(place.profile("p4@example.com").await.is_none());

    let neighbour = sign_up_from(&place, "2001:db8:1:3::1", "p4@example.com").await;
    assert_eq!(neighbour.status(), 202);
    place.pass(Duration::from_secs(wait)).await;
    let later = sign_up_from(&place, "2001:db8:1:2::4", "p5@example.com").await;
    assert_eq!(later.status(), 202);
}

#[tokio::test(start_paused = true)]
async fn network_addresses_are_not_to_be_read_in_the_table() {
    let place = Place::new();
    sign_up_from(&place, "203.0.113.77", "ada@example.com").await;
    let rates: Vec<_> = place
        .items()
        .into_iter()
        .filter(|item| item["pk"].as_s().unwrap().starts_with("RATE#"))
        .collect();
    assert_eq!(rates.len(), 4);
    let text = format!("{rates:?}");
    assert!(
        ["203.0.113.77", "ada@", "example.com"]
            .iter()
            .all(|secret| !text.contains(secret)),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_hour_has_room_for_so_many_mails() {
    let place = Place::with(&[("MUSTER_SIGNUP_MAILS_PER_HOUR", "2")]);
    assert_eq!(place.sign_up("a@example.com").await.status(), 202);
    assert_eq!(place.sign_up("b@example.com").await.status(), 202);
    let refused = place.sign_up("c@example.com").await;
    assert_eq!((refused.status(), refused.problem()), (503, "unavailable"));
    assert!(place.profile("c@example.com").await.is_none());
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=3600).contains(&wait), "{wait}");
    place.pass(Duration::from_secs(wait)).await;
    assert_eq!(place.sign_up("c@example.com").await.status(), 202);
}

async fn resend(place: &Place, address: &str) -> u64 {
    let body = json!({ "email": address });
    place.ask("POST", "/signup/resend", body).await.status()
}

/// DynamoDB may remove an item as soon as it has expired.
#[tokio::test(start_paused = true)]
async fn what_counts_does_not_expire_while_it_counts() {
    for (setting, time, status) in [
        (
            "MUSTER_SIGNUPS_PER_ADDRESS",
            Duration::from_secs(9 * 60),
            429,
        ),
        (
            "MUSTER_SIGNUP_MAILS_PER_HOUR",
            Duration::from_secs(59 * 60),
            503,
        ),
        (
            "MUSTER_SIGNUP_MAILS_PER_DOMAIN",
            Duration::from_secs(23 * 3600),
            202,
        ),
    ] {
        let place = Place::with(&[(setting, "1")]);
        place.sign_up("a@example.com").await;
        place.pass(time).await;
        place.expired().iter().for_each(|key| place.remove(key));
        assert_eq!(place.sign_up("b@example.com").await.status(), status);
        assert!(place.profile("b@example.com").await.is_none(), "{setting}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_gets_five_mails_a_day_whatever_expires() {
    let place = Place::new();
    for minutes in [10, 10, 10, 10, 10, 21 * 60, 30] {
        place.sign_up("a@example.com").await;
        place.pass(Duration::from_secs(minutes * 60)).await;
        place.expired().iter().for_each(|key| place.remove(key));
        place.deliver_mails().await;
    }
    assert_eq!(place.mails_to("a@example.com").len(), 5);
}

/// The owner, whose address a stranger asks for again and again.
#[tokio::test(start_paused = true)]
async fn asking_alone_does_not_put_off_the_next_mail() {
    let place = Place::new();
    place.sign_up("a@example.com").await;
    place.deliver_mails().await;
    for mails in [1, 1, 2] {
        place.pass(Duration::from_secs(61)).await;
        assert_eq!(resend(&place, "a@example.com").await, 202);
        place.deliver_mails().await;
        assert_eq!(place.mails_to("a@example.com").len(), mails);
    }
}

#[tokio::test(start_paused = true)]
async fn requests_without_a_mail_leave_the_hour_alone() {
    let place = Place::with(&[("MUSTER_SIGNUP_MAILS_PER_HOUR", "3")]);
    for stranger in 0..20 {
        assert_eq!(
            resend(&place, &format!("s{stranger}@example.com")).await,
            202
        );
    }
    place.sign_up("a@example.com").await;
    for _ in 0..20 {
        // In its cool-down.
        assert_eq!(resend(&place, "a@example.com").await, 202);
    }
    assert_eq!(place.sign_up("b@example.com").await.status(), 202);
    assert_eq!(place.sign_up("c@example.com").await.status(), 202);
    assert_eq!(place.sign_up("d@example.com").await.status(), 503);
    assert_eq!(resend(&place, "stranger@example.com").await, 503, "for all");
}

/// Of many requests for one address one has its mail written; the others look again
/// and find nothing to do.
#[tokio::test(start_paused = true)]
async fn a_mail_counts_once_whatever_came_in_between() {
    let place = Place::with(&[("MUSTER_SIGNUP_MAILS_PER_HOUR", "2")]);
    let together = (0..3).map(|_| place.sign_up("a@example.com"));
    for answer in futures_util::future::join_all(together).await {
        assert_eq!(answer.status(), 202);
    }
    place.deliver_mails().await;
    assert_eq!(place.mails_to("a@example.com").len(), 1);
    assert_eq!(place.sign_up("b@example.com").await.status(), 202);
    assert_eq!(place.sign_up("c@example.com").await.status(), 503);
}

#[tokio::test(start_paused = true)]
async fn a_mail_that_was_not_written_does_not_count() {
    let place = Place::with(&[("MUSTER_SIGNUP_MAILS_PER_HOUR", "1")]);
    let (name, fault) = ("DynamoDb.TransactWriteItems", Fault::Conflict);
    place.state.lock().schedule = Schedule::Operation { name, fault };
    assert_eq!(place.sign_up("a@example.com").await.status(), 503);
    place.state.lock().schedule = Schedule::Clean;
    assert!(place.profile("a@example.com").await.is_none());
    assert_eq!(place.sign_up("b@example.com").await.status(), 202);
    assert_eq!(place.sign_up("c@example.com").await.status(), 503, "one");
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_is_one_however_its_address_is_spelt() {
    let place = Place::new();
    let spellings = [
        [
            "ada@example.com",
            "ada+1@example.com",
            "Ada+2+3@example.com",
        ],
        ["ada@gmail.com", "a.d.a+x@gmail.com", "Ad.a@googlemail.com"],
    ];
    for spellings in spellings {
        let spelt: Vec<_> = spellings.iter().collect();
        for address in &spelt {
            assert_eq!(place.sign_up(address).await.status(), 202);
        }
        place.deliver_mails().await;
        let mails: usize = spelt.iter().map(|to| place.mails_to(to).len()).sum();
        assert_eq!(mails, 1, "{spellings:?}");
    }
    // Elsewhere dots are part of the name.
    for address in ["b.c@example.com", "bc@example.com"] {
        place.sign_up(address).await;
        place.deliver_mails().await;
        assert_eq!(place.mails_to(address).len(), 1, "{address}");
    }
    // The profiles are several, each with the address that was typed.
    let profile = place.profile("Ada%2B2%2B3@example.com").await.unwrap();
    assert_eq!(profile["email"], "Ada+2+3@example.com");
}

#[tokio::test(start_paused = true)]
async fn a_domain_of_few_mailboxes_gets_so_many_mails_a_day() {
    let place = Place::with(&[("MUSTER_SIGNUP_MAILS_PER_DOMAIN", "2")]);
    for name in ["a", "b", "c", "d"] {
        let address = format!("{name}@catch-all.example");
        assert_eq!(place.sign_up(&address).await.status(), 202);
        assert_eq!(
            place.profile(&address).await.is_some(),
            ["a", "b"].contains(&name),
            "{name}"
        );
    }
    place.pass(Duration::from_secs(300)).await;
    assert_eq!(resend(&place, "a@catch-all.example").await, 202);
    place.deliver_mails().await;
    assert_eq!(place.mails().len(), 2, "a resend is a mail like others");
    // Others are not concerned, nor are those who have millions of mailboxes.
    for address in [
        "a@other.example",
        "a@gmail.com",
        "b@gmail.com",
        "c@gmail.com",
    ] {
        place.sign_up(address).await;
        assert!(place.profile(address).await.is_some(), "{address}");
    }
    place.pass(Duration::from_secs(24 * 60 * 60)).await;
    place.sign_up("c@catch-all.example").await;
    assert!(place.profile("c@catch-all.example").await.is_some());
}

#[tokio::test(start_paused = true)]
async fn an_address_hears_at_most_every_three_minutes_and_five_times_a_day() {
    let place = Place::new();
    place.sign_up("ada@example.com").await;
    for minute in 0..60 {
        for path in ["/signup", "/signup/resend"] {
            let mut body = json!({ "email": "ada@example.com" });
            if path == "/signup" {
                body["name"] = json!("Ada");
            }
            assert_eq!(place.ask("POST", path, body).await.status(), 202);
        }
        place.deliver_mails().await;
        let mails = place.mails_to("ada@example.com").len();
        assert_eq!(mails, (minute / 3 + 1).min(5), "minute {minute}");
        place.pass(Duration::from_secs(60)).await;
    }
    place.pass(Duration::from_secs(24 * 60 * 60)).await;
    place
        .ask(
            "POST",
            "/signup/resend",
            json!({ "email": "ada@example.com" }),
        )
        .await;
    place.deliver_mails().await;
    assert_eq!(place.mails_to("ada@example.com").len(), 6);
}

#[tokio::test(start_paused = true)]
async fn asking_in_vain_keeps_nobody_waiting() {
    let place = Place::new();
    for _ in 0..10 {
        place
            .ask(
                "POST",
                "/signup/resend",
                json!({ "email": "ada@example.com" }),
            )
            .await;
    }
    place.sign_up("ada@example.com").await;
    place.deliver_mails().await;
    assert_eq!(place.mails_to("ada@example.com").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_sign_up_that_was_not_mine_is_gone_and_stays_quiet() {
    let place = Place::new();
    place.sign_up("ada@example.com").await;
    place.deliver_mails().await;
    let mail = place.mails_to("ada@example.com").pop().unwrap();
    let link = mail
        .text
        .split_whitespace()
        .find(|word| word.contains("/not-me?"));
    let path = link
        .unwrap()
        .strip_prefix("https://muster.example")
        .unwrap()
        .to_owned();
    let before = place.items();
    for _ in 0..3 {
        let page = place.get(&path).await;
        assert!(page.text().contains("It was not me"), "{}", page.text());
    }
    assert_eq!(place.items(), before, "looking changes nothing");

    let click = async || {
        let body = path.split_once('?').unwrap().1;
        let form = ("content-type", "application/x-www-form-urlencoded");
        place.ask_with("POST", "/not-me", form, json!(body)).await
    };
    assert!(click().await.text().contains("The sign-up is removed"));
    assert_eq!(click().await.status(), 404, "once is enough");
    assert!(!format!("{:?}", place.items()).contains("ada@example.com"));

    // Whoever signs the address up again, its owner hears no more today; the
    // sign-up itself is taken all the same.
    assert_eq!(place.sign_up("ada@example.com").await.status(), 202);
    place.deliver_mails().await;
    place.pass(Duration::from_secs(600)).await;
    place.sweep().await;
    place.deliver_mails().await;
    assert_eq!(place.mails_to("ada@example.com").len(), 1);
    place.pass(Duration::from_secs(24 * 60 * 60)).await;
    place.sweep().await;
    place.deliver_mails().await;
    assert_eq!(
        place.mails_to("ada@example.com").len(),
        2,
        "but not for ever"
    );
}

#[tokio::test(start_paused = true)]
async fn only_a_sign_up_can_be_disowned() {
    let place = Place::new();
    let person = json!({ "email": "made@example.com", "name": "Made" });
    place.ask("POST", "/profiles", person).await;
    place.deliver_mails().await;
    let mail = place.mails_to("made@example.com").pop().unwrap();
    assert!(!mail.text.contains("/not-me"));
    let form = ("content-type", "application/x-www-form-urlencoded");
    let body = json!(format!("token={}", mail.token));
    assert_eq!(
        place.ask_with("POST", "/not-me", form, body).await.status(),
        404
    );
    assert!(place.profile("made@example.com").await.is_some());
}

/// Both buttons at once: whichever is faster, the page says what happened.
#[tokio::test(start_paused = true)]
async fn removed_is_said_only_of_what_is_removed() {
    let place = Place::new();
    let (mut removed, mut kept) = (0, 0);
    for person in 0..40 {
        let address = format!("p{person}@example.com");
        place.sign_up(&address).await;
        place.deliver_mails().await;
        let token = place.mails_to(&address).pop().unwrap().token;
        let form = ("content-type", "application/x-www-form-urlencoded");
        // The other has a head start, or has none.
        let confirm = async {
            tokio::time::sleep(Duration::from_millis(person)).await;
            place
                .ask("POST", "/confirm", json!({ "token": token }))
                .await
        };
        let (_, page) = tokio::join!(
            confirm,
            place.ask_with("POST", "/not-me", form, json!(format!("token={token}"))),
        );
        let said = page.text().contains("The sign-up is removed");
        let gone = place.profile(&address).await.is_none();
        assert_eq!(said, gone, "{address}: {}", page.text());
        *(if gone { &mut removed } else { &mut kept }) += 1;
    }
    assert!(removed > 0 && kept > 0, "{removed} removed, {kept} kept");
}
