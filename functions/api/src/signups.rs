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
//!
//! Whatever is known of the address, the answer is the same, and so are the
//! calls and the number of writes, so that their time tells nothing either. The
//! owner of a known address is told by mail. A decoy holds nothing of the person,
//! and expires within the hour.
//!
//! A nudge whose mail was not written finds nothing and is forgotten; a mail
//! whose nudge was lost is due a minute later.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::TransactWriteItem;
use muster_core::email::Email;
use muster_core::failure::Failure;
use muster_core::ids::ProfileId;
use muster_core::mail::{MailItem, MailKind, Recipient};
use muster_core::profile::{
    LockItem, NewProfile, ProfileStatus, Source, expired, leftovers, lock_key, present, profile_key,
};
use muster_core::random::Random;
use muster_core::table::{Condition, Item, Key, NotCommitted, Table, decode, number, text};
use muster_core::time::{Clock, Time};
use muster_http::problem::Problem;

use crate::applicant::Applicant;
use crate::nudges::Nudges;
use crate::proof::{Proof, Proofs, Worth};
use crate::rates::{AddressRate, Counters, Part, Rates, decoy};

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
        for _ in 0..TRIES {
            let plan = self.plan(&asked, worth, &keys, &seen)?;
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
        worth: Worth,
        keys: &Keys,
        seen: &Seen,
    ) -> Result<Plan, Failure> {
        let now = self.clock.now();
        let next = AddressRate::next(seen.rate.as_ref(), now);
        let lock = seen.lock.as_ref();
        let held = lock.filter(|lock| !expired(lock.expires_at, now));
        let silent = worth == Worth::OthersLink || self.rates.is_full(seen.domain.as_ref());
        let mailbox = &keys.counters.mailbox;
        let mut plan = match (asked, held) {
            _ if silent => self.pretend(asked.email(), mailbox)?,
            (Asked::SignUp(applicant), None) => self.create(applicant, lock, next)?,
            (_, Some(lock)) if next <= now && !lock.undeliverable => {
                self.write_again(asked.email(), lock)?
            }
            _ => self.pretend(asked.email(), mailbox)?,
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

    /// Another mail to the owner of a profile. Neither the name that was given
    /// nor anything else a stranger typed goes into it, or into the profile;
    /// the language is the one that the lock remembers.
    fn write_again(&self, email: &Email, lock: &LockItem) -> Result<Plan, Failure> {
        let now = self.clock.now();
        let id = lock.profile_id;
        let last = lock.mails + 1;
        let kind = if lock.confirmed {
            MailKind::AlreadyRegistered
        } else {
            MailKind::Confirm
        };
        let recipient = Recipient {
            profile_id: id,
            to: email.as_str(),
            email_key: email.key(),
            name: None,
            locale: lock.locale.as_ref(),
            expires_at: lock.expires_at,
        };
        let mail = MailItem::new(kind, last, recipient, now);
        let present = present(now).with(":now", number(now.as_millis()));
        let unchanged = Condition::new(
            "profile_id = :id AND mails = :before AND attribute_not_exists(undeliverable)",
        )
        .with(":id", text(id.to_string()))
        .with(":before", number(lock.mails))
        .with(":after", number(last));
        let table = &self.table;
        Ok(Plan {
            actions: vec![
                table.change(&profile_key(id), "SET asked_at = :now", &present)?,
                table.change(&lock_key(email.key()), "SET mails = :after", &unchanged)?,
                table.put(&mail.key(), &mail, &Condition::absent())?,
            ],
            nudge: (id, last),
            mails: 1,
        })
    }

    /// As much work as [`write_again`](Self::write_again), in as many bytes, to
    /// nobody.
    fn pretend(&self, email: &Email, rate: &Key) -> Result<Plan, Failure> {
        let now = self.clock.now();
        let id = ProfileId::new(now, &self.random);
        let until = now.after(DECOY).as_seconds();
        let nobody = "-".repeat(email.key().len());
        let recipient = Recipient {
            profile_id: id,
            to: &nobody,
            email_key: &nobody,
            name: None,
            locale: None,
            expires_at: Some(until),
        };
        let mail = MailItem {
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
