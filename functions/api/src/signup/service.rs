//! Sign-ups and resends, which tell a stranger nothing.
//!
//! ```text
//!              ┌─ UpdateItem: requests of the network address ─┐
//!  request ────┤                                               ├──┐
//!              └─ BatchGetItem: lock, mails of the mailbox,    │  │
//!                 of the domain, of the hour ──────────────────┘  │
//!              ┌──────────────────────────────────────────────────┘
//!              │  (the captcha's verifier, if there is one)
//!              ├─ TransactWriteItems: four writes ─────┐
//!              ├─ SendMessage (delayed by 1 s) ────────┼──▶ answer
//!              ├─ UpdateItem: mails of the hour ───────┤
//!              └─ UpdateItem: mails of the domain ─────┘
//! ```
//!
//! Who asks too often is told so before anything else; the counts of mails change only
//! if a mail goes.
//!
//! | the address | sign-up writes | resend writes |
//! | --- | --- | --- |
//! | is unknown | rate, profile, lock, mail | rate, three decoys |
//! | has a profile | rate, profile, lock, mail | rate, profile, lock, mail |
//! | was written to just now, or nothing can go there | rate, three decoys | rate, three decoys |
//! | is of a domain that got enough mails today | rate, three decoys | rate, three decoys |
//! | has a profile that is being erased | the same, at the second try | the same, at the second try |
//!
//! Whatever is known of the address, the answer is the same, and so are the
//! calls, the number of writes and, but for a few hundred bytes, their size: what
//! a sign-up says is in the profile, in the mail, or made up for by filler. So
//! their time tells nothing either. The owner of a known address is told by mail.
//! A decoy holds nothing of the person, and expires within the hour.
//!
//! What a sign-up says belongs to its mail: anybody may sign an address up, and
//! only its owner reads which of them a link confirms. The first one's is the
//! profile's, a later one's is kept in its mail until a link is followed. A resend
//! stands for the newest sign-up, whose mail the lock names.
//!
//! A nudge whose mail was not written finds nothing and is forgotten; a mail
//! whose nudge was lost is due a minute later.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::{CancellationReason, TransactWriteItem};
use muster_core::mail::item::{MailItem, MailKind, Recipient, expires_as_seen};
use muster_core::mail::signup_data::SignupData;
use muster_core::people::email::Email;
use muster_core::people::email_lock::{LockItem, lock_key};
use muster_core::people::new_profile::{NewProfile, leftovers};
use muster_core::people::profile::{ProfileStatus, present, profile_key};
use muster_core::people::source::Source;
use muster_core::platform::failure::Failure;
use muster_core::platform::ids::ProfileId;
use muster_core::platform::random::Random;
use muster_core::platform::table::expired;
use muster_core::platform::table::{
    Condition, Item, Key, NotCommitted, Table, condition_failed, decode, encode_value, number, text,
};
use muster_core::platform::time::{Clock, Time};
use muster_http::problem::Problem;

use crate::queue::Nudges;
use crate::signup::applicant::Applicant;
use crate::signup::captcha_proof::{Proof, Proofs, Worth};
use crate::signup::rate_limits::{AddressRate, Counters, Part, Rates, decoy};

/// How often a request looks again when another one came in between.
const TRIES: u32 = 4;
/// How long a decoy stays, at least.
const DECOY: Duration = Duration::from_secs(30 * 60);

/// Takes sign-ups and resends.
pub struct Signups {
    table: Table,
    nudges: Nudges,
    rates: Arc<Rates>,
    proofs: Proofs,
    clock: Clock,
    random: Random,
}

/// What a stranger asks for.
enum Asked<'a> {
    SignUp(&'a Applicant),
    Resend(&'a Email),
}

/// Where what must be known of an address is.
struct Keys {
    lock: Key,
    counters: Counters,
}

/// What is known of an address.
struct Seen {
    lock: Option<LockItem>,
    rate: Option<AddressRate>,
    hour: Option<Item>,
    domain: Option<Item>,
}

/// What is done about a request.
struct Plan {
    actions: Vec<TransactWriteItem>,
    nudge: (ProfileId, u32),
    /// How many mails go.
    mails: i32,
}

impl Asked<'_> {
    const fn email(&self) -> &Email {
        match self {
            Self::SignUp(applicant) => &applicant.email,
            Self::Resend(email) => email,
        }
    }

    /// What a sign-up says.
    fn data(&self) -> Option<SignupData> {
        match self {
            Self::SignUp(applicant) => Some(SignupData {
                name: applicant.name.as_str().to_owned(),
                locale: applicant.locale.clone(),
                attributes: applicant.attributes.as_map().clone(),
            }),
            Self::Resend(_) => None,
        }
    }

    /// As many bytes as a sign-up says.
    fn filler(&self) -> Option<SignupData> {
        self.data().as_ref().map(SignupData::blank)
    }
}

impl Signups {
    /// Sign-ups over these clients.
    pub const fn new(
        table: Table,
        nudges: Nudges,
        rates: Arc<Rates>,
        proofs: Proofs,
        clock: Clock,
        random: Random,
    ) -> Self {
        Self {
            table,
            nudges,
            rates,
            proofs,
            clock,
            random,
        }
    }

    /// Somebody signs up.
    ///
    /// # Errors
    /// 429 for too many of one network address, 422 without the proof that the
    /// deployment asks for, 503 for too many in all, 5xx when AWS does not do its part.
    pub async fn sign_up(
        &self,
        applicant: &Applicant,
        proof: &Proof,
        from: Option<IpAddr>,
    ) -> Result<(), Problem> {
        self.take(Asked::SignUp(applicant), proof, from).await
    }

    /// Somebody wants the mail again.
    ///
    /// # Errors
    /// As for [`sign_up`](Self::sign_up).
    pub async fn resend(
        &self,
        email: &Email,
        proof: &Proof,
        from: Option<IpAddr>,
    ) -> Result<(), Problem> {
        self.take(Asked::Resend(email), proof, from).await
    }

    async fn take(
        &self,
        asked: Asked<'_>,
        proof: &Proof,
        from: Option<IpAddr>,
    ) -> Result<(), Problem> {
        let email = asked.email();
        let keys = Keys {
            lock: lock_key(email.key()),
            counters: self.rates.counters(email).await?,
        };
        let (admitted, seen) = tokio::join!(self.rates.admit(from), self.look(&keys));
        admitted?;
        let worth = self.proofs.check(proof, email, from).await?;
        let mut seen = seen?;
        self.rates.room(seen.hour.as_ref(), part(worth))?;
        let mut counted = 0;
        let mut cancelled = Vec::new();
        let mut is_silent = worth == Worth::OthersLink;
        for _ in 0..TRIES {
            let plan = self.plan(&asked, is_silent, &keys, &seen)?;
            let token = self.random.name();
            let (committed, (), ()) = tokio::join!(
                self.table.transact(plan.actions, &token),
                self.nudges.mail(plan.nudge.0, plan.nudge.1),
                self.rates.count_mails(&keys.counters, plan.mails - counted),
            );
            counted = plan.mails;
            match committed {
                Ok(()) => return Ok(()),
                Err(NotCommitted::Failed(failure)) => return Err(failure.into()),
                // The profile counts as absent, and its lock goes when the rest does.
                Err(NotCommitted::Cancelled(reasons)) if reasons.iter().any(is_erasure) => {
                    is_silent = true;
                    cancelled = reasons;
                }
                // Another request was faster: look at what it left.
                Err(NotCommitted::Cancelled(reasons)) => {
                    cancelled = reasons;
                    seen = self.look(&keys).await?;
                }
            }
        }
        self.rates.count_mails(&keys.counters, -counted).await;
        Err(Failure::from(NotCommitted::Cancelled(cancelled)).into())
    }

    async fn look(&self, keys: &Keys) -> Result<Seen, Failure> {
        let Counters {
            mailbox,
            hour,
            domain,
        } = &keys.counters;
        let mut all = vec![keys.lock.clone(), mailbox.clone(), hour.clone()];
        all.extend(domain.clone());
        let mut found = self.table.get_many(&all).await?.into_iter();
        let mut next = || found.next().flatten();
        Ok(Seen {
            lock: next().map(decode).transpose()?,
            rate: next().map(decode).transpose()?,
            hour: next(),
            domain: next(),
        })
    }

    fn plan(
        &self,
        asked: &Asked<'_>,
        is_silent: bool,
        keys: &Keys,
        seen: &Seen,
    ) -> Result<Plan, Failure> {
        let now = self.clock.now();
        let next = AddressRate::next(seen.rate.as_ref(), now);
        let lock = seen.lock.as_ref();
        let held = lock.filter(|lock| !expired(lock.expires_at, now));
        let is_silent = is_silent || self.rates.is_full(seen.domain.as_ref());
        let mailbox = &keys.counters.mailbox;
        let mut plan = match (asked, held) {
            _ if is_silent => self.pretend(asked, mailbox)?,
            (Asked::SignUp(applicant), None) => self.create(applicant, lock, next)?,
            (_, Some(lock)) if next <= now && !lock.undeliverable => {
                self.write_again(asked, lock)?
            }
            _ => self.pretend(asked, mailbox)?,
        };
        // Only mails count: asking alone is not to keep the owner waiting.
        let rate = match &seen.rate {
            rate if plan.mails > 0 => AddressRate::with(rate.as_ref(), next),
            Some(rate) => rate.clone(),
            None => AddressRate::none(now),
        };
        let rate = rate.replace(&self.table, mailbox, seen.rate.as_ref())?;
        plan.actions.insert(0, rate);
        Ok(plan)
    }

    /// A new profile, with a mail that goes when the address may hear of us.
    fn create(
        &self,
        applicant: &Applicant,
        expired: Option<&LockItem>,
        next: Time,
    ) -> Result<Plan, Failure> {
        let now = self.clock.now();
        let profile = NewProfile {
            id: ProfileId::new(now, &self.random),
            email: applicant.email.clone(),
            name: Some(applicant.name.clone()),
            locale: applicant.locale.clone(),
            attributes: applicant.attributes.clone(),
            source: Source::Signup,
            created_by: "signup".to_owned(),
            confirmed: false,
            row: None,
            now,
        };
        let mut mail = profile.confirmation();
        if next > now {
            mail = mail.scheduled(next);
        }
        let mut actions = profile.actions(&self.table, Some(&mail))?;
        if let Some(lock) = expired {
            actions.extend(leftovers(&self.table, lock, now)?);
        }
        Ok(Plan {
            actions,
            nudge: (profile.id, mail.number),
            mails: 1,
        })
    }

    /// Another mail to the owner of a profile.
    fn write_again(&self, asked: &Asked<'_>, lock: &LockItem) -> Result<Plan, Failure> {
        let now = self.clock.now();
        let (id, email) = (lock.profile_id, asked.email());
        let mail = another_mail(asked, lock, now);
        let present = present(now).with(":now", number(now.as_millis()));
        let unchanged = Condition::new(
            "profile_id = :id AND mails = :before AND confirmed = :confirmed \
             AND attribute_not_exists(undeliverable)",
        )
        .with(":id", text(id.to_string()))
        .with(":before", number(lock.mails))
        .with(":confirmed", encode_value(&lock.confirmed)?)
        .with(":after", number(mail.number));
        let unchanged = expires_as_seen(lock.expires_at, unchanged);
        let (count, unchanged) = match mail.signup.as_ref().map(|data| &data.locale) {
            Some(Some(locale)) => (
                "SET mails = :after, signup_mail = :after, #locale = :locale",
                unchanged.with(":locale", text(locale.as_str())),
            ),
            Some(None) => (
                "SET mails = :after, signup_mail = :after REMOVE #locale",
                unchanged,
            ),
            None => ("SET mails = :after", unchanged),
        };
        let table = &self.table;
        Ok(Plan {
            actions: vec![
                table.change(&profile_key(id), "SET asked_at = :now", &present)?,
                table.change(&lock_key(email.key()), count, &unchanged)?,
                table.put(&mail.key(), &mail, &Condition::absent())?,
            ],
            nudge: (id, mail.number),
            mails: 1,
        })
    }

    /// As much work as [`write_again`](Self::write_again), in as many bytes, to
    /// nobody.
    fn pretend(&self, asked: &Asked<'_>, rate: &Key) -> Result<Plan, Failure> {
        let now = self.clock.now();
        let id = ProfileId::new(now, &self.random);
        let until = now.after(DECOY).as_seconds();
        let nobody = "-".repeat(asked.email().key().len());
        let recipient = Recipient {
            profile_id: id,
            to: &nobody,
            email_key: &nobody,
            name: None,
            locale: None,
            expires_at: Some(until),
        };
        let mail = MailItem {
            filler: asked.filler(),
            due_shard: None,
            due_at: None,
            ..MailItem::new(MailKind::Confirm, 1, recipient, now)
        };
        let decoy = |sk: &str| Key {
            sk: sk.to_owned(),
            ..decoy(rate)
        };
        // No decoy has a status or comes back, so these always hold.
        let present = Condition::new(
            "attribute_not_exists(#status) OR (#status <> :erasing AND expires_at > :seconds)",
        )
        .with(":erasing", ProfileStatus::Erasing.into())
        .with(":seconds", number(now.as_seconds()))
        .with(":until", number(until));
        let unchanged = Condition::new(
            "attribute_not_exists(undeliverable) OR (profile_id = :id AND mails = :before)",
        )
        .with(":id", text(id.to_string()))
        .with(":before", number(0))
        .with(":until", number(until));
        let (table, expire) = (&self.table, "SET expires_at = :until");
        Ok(Plan {
            actions: vec![
                table.change(&decoy("PROFILE"), expire, &present)?,
                table.change(&decoy("EMAIL"), expire, &unchanged)?,
                table.put(&decoy("MAIL"), &mail, &Condition::any())?,
            ],
            nudge: (id, 1),
            mails: 0,
        })
    }
}

/// Which mails of the hour a request may use: the last are for those who solved a
/// captcha, if there is one to solve.
const fn part(worth: Worth) -> Part {
    match worth {
        Worth::NotAsked | Worth::Captcha => Part::Whole,
        Worth::OwnLink | Worth::OthersLink => Part::Unkept,
    }
}

/// Whether an action failed on a profile that is being erased.
fn is_erasure(reason: &CancellationReason) -> bool {
    let status = reason.item.as_ref().and_then(|item| item.get("status"));
    condition_failed(reason) && status == Some(&ProfileStatus::Erasing.into())
}

/// The next mail to the owner of a profile. What a stranger typed goes into it only
/// while the profile is a sign-up that would expire, and is nobody's yet. For
/// others it is in the language that the lock remembers, and greets by no name.
fn another_mail(asked: &Asked<'_>, lock: &LockItem, now: Time) -> MailItem {
    let (email, number) = (asked.email(), lock.mails + 1);
    let is_signup = lock.expires_at.is_some();
    let signup = asked.data().filter(|_| is_signup);
    let locale = match &signup {
        Some(data) => data.locale.as_ref(),
        None => lock.locale.as_ref(),
    };
    let recipient = Recipient {
        profile_id: lock.profile_id,
        to: email.as_str(),
        email_key: email.key(),
        name: signup.as_ref().map(|data| data.name.as_str()),
        locale,
        expires_at: lock.expires_at,
    };
    let kind = if lock.confirmed {
        MailKind::AlreadyRegistered
    } else {
        MailKind::Confirm
    };
    let mail = MailItem::new(kind, number, recipient, now);
    match signup {
        Some(data) => MailItem {
            signup_mail: Some(number),
            signup: Some(data),
            ..mail
        },
        None => MailItem {
            signup_mail: lock.signup_mail,
            filler: asked.filler(),
            ..mail
        },
    }
}
