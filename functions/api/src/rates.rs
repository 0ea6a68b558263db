//! Limits against abuse.
//!
//! | who | how much | then |
//! | --- | --- | --- |
//! | one network address | so many sign-ups and resends in ten minutes | 429 with `Retry-After` |
//! | one e-mail address | a mail in three minutes, five a day | silence: 202, and no mail |
//! | everybody together | so many sign-up mails an hour | 503 with `Retry-After`, a metric |
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
use muster_core::email::Email;
use muster_core::failure::Failure;
use muster_core::random::Random;
use muster_core::table::{Condition, Item, Key, Table, Updated, number, run};
use muster_core::time::{Clock, Time};
use muster_http::problem::{Kind, Problem};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use tokio::sync::OnceCell;

/// How long the requests of one network address are counted together.
const WINDOW: Duration = Duration::from_secs(10 * 60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long an address hears nothing after a mail: as long as an impatient
/// person takes to look into the junk folder.
const COOL_DOWN: Duration = Duration::from_secs(3 * 60);
/// The most mails that an address gets in a day because somebody asked.
const MAILS_A_DAY: u32 = 5;

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
pub struct AddressRate {
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
    pub async fn address_key(&self, email: &Email) -> Result<Key, Failure> {
        Ok(key("address", &self.hash(email.key()).await?))
    }

    /// Where the mails of this hour are counted.
    pub fn hour_key(&self) -> Key {
        let hour = self.clock.now().as_seconds() / HOUR.as_secs() as i64;
        key("hour", &hour.to_string())
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
            .count(&key("network", &format!("{who}#{window}")), WINDOW)
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
    pub fn room(&self, hour: Option<&Item>) -> Result<(), Problem> {
        if counted(hour) < self.limits.mails_per_hour {
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

    /// Counts a mail of this hour. That it is not counted is no reason not to
    /// send it.
    pub async fn count_mail(&self) {
        if let Err(error) = self.count(&self.hour_key(), HOUR).await {
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
        let key = key("address", &self.hash(email_key).await?);
        self.table.put_if(&key, &enough, &Condition::any()).await?;
        Ok(())
    }

    async fn count(&self, key: &Key, lasts: Duration) -> Result<u32, Failure> {
        let expires_at = self.clock.now().after(lasts * 2).as_seconds();
        let update = self
            .table
            .update_plain(key)
            .update_expression("SET expires_at = :expires_at ADD requests :one")
            .expression_attribute_values(":expires_at", number(expires_at))
            .expression_attribute_values(":one", number(1))
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

impl AddressRate {
    /// When the next mail may go to an address with these mails.
    pub fn next(seen: Option<&Self>, now: Time) -> Time {
        let Some(seen) = seen else { return now };
        let next = now.max(seen.next_at);
        if seen.mails >= MAILS_A_DAY && day(next) == seen.day {
            let tomorrow = (seen.day + 1) * DAY.as_millis() as i64;
            return Time::from_millis(tomorrow);
        }
        next
    }

    /// No mails yet.
    pub const fn none(now: Time) -> Self {
        Self {
            day: day(now),
            mails: 0,
            next_at: now,
            expires_at: now.after(DAY.saturating_mul(2)).as_seconds(),
        }
    }

    /// The rate with another mail at that time.
    pub fn with(seen: Option<&Self>, at: Time) -> Self {
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
    pub fn replace(
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
