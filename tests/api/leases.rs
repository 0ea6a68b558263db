//! A mailer whose lease has ended (SES took too long to answer) has no say in the
//! mail any more: another has it.

use std::time::Duration;

use muster_core::mail::nudge::MailNudge;
use muster_core::platform::random::Random;
use muster_core::platform::time::Clock;
use muster_mailer::mails::{Claim, Claimed, Mails};
use muster_simulation::invariants::text;

use crate::place::Place;

/// Longer than a lease.
const TOO_LATE: Duration = Duration::from_secs(46);
const REMINDER: Duration = Duration::from_secs(24 * 60 * 60);

/// What a mailer may do to the mail that it has claimed.
#[derive(Debug, Clone, Copy)]
enum End {
    Sent,
    Abandoned,
    Postponed,
}

impl End {
    async fn of(self, mails: &Mails, claimed: &Claimed) {
        match self {
            Self::Sent => mails.sent(claimed, "ses-late").await,
            Self::Abandoned => mails.abandon(claimed, "refused late").await,
            Self::Postponed => mails.postpone(claimed, "throttled late").await,
        }
        .unwrap();
    }
}

async fn claim(mails: &Mails, nudge: MailNudge) -> Claimed {
    match mails.claim(nudge).await.unwrap() {
        Claim::Claimed(claimed) => *claimed,
        other => panic!("{other:?}"),
    }
}

/// Status, SES's id and reason of the mail.
fn mail(place: &Place) -> [String; 3] {
    let items = place.items();
    let mail = items.iter().find(|item| text(item, "sk") == "MAIL#1");
    ["status", "ses_message_id", "reason"].map(|name| text(mail.unwrap(), name))
}

#[tokio::test(start_paused = true)]
async fn a_former_owner_changes_nothing() {
    for late in [End::Sent, End::Abandoned, End::Postponed] {
        for second in [End::Sent, End::Abandoned, End::Postponed] {
            let place = Place::new();
            place.sign_up("ada@example.com").await;
            let profile = place.profile("ada@example.com").await.unwrap();
            let nudge = MailNudge {
                profile_id: profile["id"].as_str().unwrap().parse().unwrap(),
                mail: 1,
            };
            let clock = Clock::manual(place.now());
            let mails = Mails::new(place.table(), REMINDER, clock.clone(), Random::seeded(5));
            let former = claim(&mails, nudge).await;
            clock.advance(TOO_LATE);
            let owner = claim(&mails, nudge).await;

            // While another sends it.
            let before = place.items();
            late.of(&mails, &former).await;
            assert_eq!(place.items(), before, "{late:?}");

            // And when that is over.
            second.of(&mails, &owner).await;
            let expected = match second {
                End::Sent => ["sent", "ses-late", ""],
                End::Abandoned => ["abandoned", "", "refused late"],
                End::Postponed => ["queued", "", "throttled late"],
            };
            assert_eq!(mail(&place), expected);
            let before = place.items();
            late.of(&mails, &former).await;
            assert_eq!(place.items(), before, "{late:?} after {second:?}");
        }
    }
}
