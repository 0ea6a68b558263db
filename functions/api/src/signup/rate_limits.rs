//! Limits against abuse.
//!
//! | who | how much | then |
//! | --- | --- | --- |
//! | one network address | so many sign-ups and resends in ten minutes | 429 with `Retry-After` |
//! | one mailbox | a mail in three minutes, five a day | silence: 202, and no mail |
//! | one domain of few mailboxes | so many sign-up mails a day | the same |
//! | everybody together | so many sign-up mails an hour | 503 with `Retry-After`, a metric |
//!
//! Mails are counted, not requests: once each, and only those that go. Where a deployment
//! has a captcha, the last fifth of an hour's mails is for those who solved one.
//!
//! What is counted is kept under a keyed hash: whoever reads an item of the
//! table alone learns nothing of the person. The key is made on first use and
//! kept in the table, so there is nothing to set up, and every process has the
//! same.

use std::net::IpAddr;
use std::time::Duration;

use aws_sdk_dynamodb::types::{ReturnValue, TransactWriteItem};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use muster_core::people::email::Email;
use muster_core::platform::failure::Failure;
use muster_core::platform::random::Random;
use muster_core::platform::table::{Condition, Item, Key, Table, Updated, number, run};
use muster_core::platform::time::{Clock, Time};
use muster_http::problem::{Kind, Problem};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use tokio::sync::OnceCell;

use crate::signup::mailbox;

/// How long the requests of one network address are counted together.
const WINDOW: Duration = Duration::from_secs(10 * 60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long an address hears nothing after a mail: as long as an impatient
/// person takes to look into the junk folder.
const COOL_DOWN: Duration = Duration::from_secs(3 * 60);
/// The most mails that an address gets in a day because somebody asked.
const MAILS_A_DAY: u32 = 5;
/// Which part of an hour's mails is kept for requests with a solved captcha: one in so
/// many.
const KEPT_PART: u32 = 5;

/// A block of SHA-256, which HMAC takes as it is.
const SECRET_BYTES: usize = 64;
type Secret = [u8; SECRET_BYTES];

/// The limits that a deployment sets.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Sign-ups and resends of one network address in ten minutes.
    pub per_network_address: u32,
    /// Mails that sign-ups and resends send in an hour, all together.
    pub mails_per_hour: u32,
    /// Mails that they send in a day to one domain of few mailboxes.
    pub mails_per_domain: u32,
}

/// Where the mails to an address are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counters {
    /// Those to its mailbox.
    pub mailbox: Key,
    /// Those of this hour.
    pub hour: Key,
    /// Those of this day to its domain, if that has few mailboxes.
    pub domain: Option<Key>,
}

/// Which mails of an hour a request may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All.
    Whole,
    /// All but those that are kept for requests with a solved captcha.
    Unkept,
}

/// Counts, and says when it is enough.
pub struct Rates {
    table: Table,
    clock: Clock,
    random: Random,
    limits: Limits,
    secret: OnceCell<Secret>,
}

#[derive(Serialize, Deserialize)]
struct SecretItem {
    secret: String,
}

/// The mails that one address got because somebody asked for them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AddressRate {
    /// The day of the last one, in days since 1970.
    day: i64,
    /// How many there were on that day.
    mails: u32,
    /// When the next one may go.
    next_at: Time,
    /// Until when it is kept (seconds since 1970).
    expires_at: i64,
}

impl Rates {
    /// Rates in that table.
    pub fn new(table: Table, clock: Clock, random: Random, limits: Limits) -> Self {
        Self {
            table,
            clock,
            random,
            limits,
            secret: OnceCell::new(),
        }
    }

    /// Where the mails to an address are counted.
    ///
    /// # Errors
    /// When the table cannot be reached.
    pub async fn counters(&self, email: &Email) -> Result<Counters, Failure> {
        let now = self.clock.now();
        let (hour, _) = window(now, HOUR);
        let domain = match mailbox::small_domain(email.key()) {
            Some(domain) => {
                let domain = self.hash(domain).await?;
                Some(key("domain", &format!("{domain}#{}", day(now))))
            }
            None => None,
        };
        Ok(Counters {
            mailbox: self.mailbox_key(email.key()).await?,
            hour: key("hour", &hour.to_string()),
            domain,
        })
    }

    async fn mailbox_key(&self, email_key: &str) -> Result<Key, Failure> {
        Ok(key("address", &self.hash(&mailbox::of(email_key)).await?))
    }

    /// Counts a request of a network address.
    ///
    /// # Errors
    /// 429 if there were too many; 5xx when the table cannot be reached.
    pub async fn admit(&self, address: Option<IpAddr>) -> Result<(), Problem> {
        let now = self.clock.now();
        let (window, left) = window(now, WINDOW);
        let who = self.hash(&network(address)).await?;
        let count = self
            .add(&key("network", &format!("{who}#{window}")), 1, WINDOW)
            .await?;
        if count > self.limits.per_network_address {
            let problem = Problem::new(
                Kind::TooManyRequests,
                "too many requests from this network address; try again later",
            );
            return Err(problem.retry_after(left));
        }
        Ok(())
    }

    /// Whether this hour has room for another mail.
    ///
    /// # Errors
    /// 503 until the hour is over, if it has not.
    pub fn room(&self, hour: Option<&Item>, part: Part) -> Result<(), Problem> {
        let whole = self.limits.mails_per_hour;
        let limit = match part {
            Part::Whole => whole,
            Part::Unkept => whole - whole / KEPT_PART,
        };
        if counted(hour) < limit {
            return Ok(());
        }
        tracing::warn!(
            metric = "signup_mails_capped",
            "no more sign-up mails this hour"
        );
        let (_, left) = window(self.clock.now(), HOUR);
        let problem = Problem::new(
            Kind::Unavailable,
            "too many people sign up at the moment; try again later",
        );
        Err(problem.retry_after(left))
    }

    /// Whether a domain got as many mails today as it may.
    pub fn is_full(&self, domain: Option<&Item>) -> bool {
        let full = counted(domain) >= self.limits.mails_per_domain;
        if full {
            tracing::warn!(
                metric = "signup_domain_capped",
                "no more sign-up mails for this domain today"
            );
        }
        full
    }

    /// Counts mails of this hour, and to this domain: one more, one less, or none. None is
    /// as much work, on other items. That a mail is not counted is no reason not to
    /// send it.
    pub async fn count_mails(&self, counters: &Counters, mails: i32) {
        let (add, counters) = match mails {
            0 => (1, counters.decoys()),
            mails => (mails, counters.clone()),
        };
        let domain = async {
            match &counters.domain {
                Some(domain) => self.add(domain, add, DAY).await.err(),
                None => None,
            }
        };
        let hour = self.add(&counters.hour, add, HOUR);
        let (hour, domain) = tokio::join!(hour, domain);
        for error in [hour.err(), domain].into_iter().flatten() {
            tracing::warn!(%error, "a sign-up mail was not counted");
        }
    }

    /// An address wants to hear no more today.
    ///
    /// # Errors
    /// When the table cannot be reached.
    pub async fn silence(&self, email_key: &str) -> Result<(), Failure> {
        let now = self.clock.now();
        let enough = AddressRate {
            day: day(now),
            mails: MAILS_A_DAY,
            next_at: now,
            expires_at: now.after(DAY * 2).as_seconds(),
        };
        let key = self.mailbox_key(email_key).await?;
        self.table.put_if(&key, &enough, &Condition::any()).await?;
        Ok(())
    }

    async fn add(&self, key: &Key, requests: i32, lasts: Duration) -> Result<u32, Failure> {
        let expires_at = self.clock.now().after(lasts * 2).as_seconds();
        let update = self
            .table
            .update_plain(key)
            .update_expression("SET expires_at = :expires_at ADD requests :requests")
            .expression_attribute_values(":expires_at", number(expires_at))
            .expression_attribute_values(":requests", number(requests))
            .return_values(ReturnValue::UpdatedNew);
        match run(update).await? {
            Updated::Done(item) => Ok(counted(Some(&item))),
            Updated::Refused(_) => Ok(0),
        }
    }

    async fn hash(&self, text: &str) -> Result<String, Failure> {
        let secret = self.secret.get_or_try_init(|| self.find_secret()).await?;
        let mut mac = Hmac::<Sha256>::new(secret.into());
        mac.update(text.as_bytes());
        Ok(URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    }

    /// The secret that all processes share: the first one makes it.
    async fn find_secret(&self) -> Result<Secret, Failure> {
        let key = Key {
            pk: "SECRET#rates".to_owned(),
            sk: "SECRET".to_owned(),
        };
        loop {
            if let Some(SecretItem { secret }) = self.table.get(&key).await? {
                return URL_SAFE_NO_PAD
                    .decode(secret)
                    .ok()
                    .and_then(|bytes| bytes.try_into().ok())
                    .ok_or_else(|| Failure::unreadable("read secret", "of another length"));
            }
            let secret = URL_SAFE_NO_PAD.encode(self.random.bytes::<SECRET_BYTES>());
            self.table
                .put_if_absent(&key, &SecretItem { secret })
                .await?;
        }
    }
}

impl Counters {
    /// Other items with keys like these, on which nothing depends.
    fn decoys(&self) -> Self {
        Self {
            mailbox: decoy(&self.mailbox),
            hour: decoy(&self.hour),
            domain: self.domain.as_ref().map(decoy),
        }
    }
}

impl AddressRate {
    /// When the next mail may go to an address with these mails.
    pub(crate) fn next(seen: Option<&Self>, now: Time) -> Time {
        let Some(seen) = seen else { return now };
        let next = now.max(seen.next_at);
        if seen.mails >= MAILS_A_DAY && day(next) == seen.day {
            let tomorrow = (seen.day + 1) * DAY.as_millis() as i64;
            return Time::from_millis(tomorrow);
        }
        next
    }

    /// No mails yet.
    pub(crate) const fn none(now: Time) -> Self {
        Self {
            day: day(now),
            mails: 0,
            next_at: now,
            expires_at: now.after(DAY.saturating_mul(2)).as_seconds(),
        }
    }

    /// The rate with another mail at that time.
    pub(crate) fn with(seen: Option<&Self>, at: Time) -> Self {
        let before = seen.filter(|seen| seen.day == day(at));
        Self {
            day: day(at),
            mails: before.map_or(0, |seen| seen.mails) + 1,
            next_at: at.after(COOL_DOWN),
            expires_at: at.after(DAY * 2).as_seconds(),
        }
    }

    /// The action that puts this in the place of what was seen there.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub(crate) fn replace(
        &self,
        table: &Table,
        key: &Key,
        seen: Option<&Self>,
    ) -> Result<TransactWriteItem, Failure> {
        let unchanged = match seen {
            Some(seen) => Condition::new("next_at = :next AND mails = :mails")
                .with(":next", number(seen.next_at.as_millis()))
                .with(":mails", number(seen.mails)),
            None => Condition::absent(),
        };
        table.put(key, self, &unchanged)
    }
}

fn key(kind: &str, of: &str) -> Key {
    Key {
        pk: format!("RATE#{kind}#{of}"),
        sk: "RATE".to_owned(),
    }
}

/// The key of an item that stands in for the one with this key.
pub(crate) fn decoy(of: &Key) -> Key {
    Key {
        pk: of.pk.replacen("RATE", "SHAM", 1),
        ..of.clone()
    }
}

fn counted(item: Option<&Item>) -> u32 {
    item.and_then(|item| item.get("requests")?.as_n().ok()?.parse().ok())
        .unwrap_or(0)
}

/// Which window of that length it is, and how long it still lasts.
fn window(now: Time, length: Duration) -> (i64, Duration) {
    let length = length.as_secs() as i64;
    let left = length - now.as_seconds().rem_euclid(length);
    let left = Duration::from_secs(u64::try_from(left).unwrap_or(0));
    (now.as_seconds().div_euclid(length), left)
}

const fn day(time: Time) -> i64 {
    time.as_seconds().div_euclid(DAY.as_secs() as i64)
}

/// Whom a network address stands for: of version 6 a household has 2^64, so
/// the first half is one household.
fn network(address: Option<IpAddr>) -> String {
    match address.map(|address| address.to_canonical()) {
        Some(IpAddr::V6(address)) => format!("{:x?}", &address.segments()[..4]),
        Some(IpAddr::V4(address)) => address.to_string(),
        None => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Time = Time::from_millis(1_767_268_800_000);

    #[test]
    fn an_address_hears_at_most_every_three_minutes_and_five_times_a_day() {
        assert_eq!(AddressRate::next(None, NOON), NOON);
        let mut rate = None;
        for mail in 1..=5 {
            let at = AddressRate::next(rate.as_ref(), NOON);
            assert_eq!(at, NOON.after(COOL_DOWN * (mail - 1)));
            rate = Some(AddressRate::with(rate.as_ref(), at));
        }
        let tomorrow = AddressRate::next(rate.as_ref(), NOON);
        assert_eq!(tomorrow, NOON.after(Duration::from_secs(12 * 60 * 60)));
        let rate = AddressRate::with(rate.as_ref(), tomorrow);
        assert_eq!(rate.mails, 1, "another day, another five");
    }

    #[test]
    fn a_window_ends_when_the_next_begins() {
        let (first, left) = window(NOON.after(Duration::from_secs(599)), WINDOW);
        assert_eq!(left, Duration::from_secs(1));
        assert_eq!(window(NOON.after(WINDOW), WINDOW).0, first + 1);
    }

    #[test]
    fn a_household_is_one() {
        let network = |text: &str| network(text.parse().ok());
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::9"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
    }
}
