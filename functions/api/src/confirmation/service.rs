//! A link's token turned into a confirmed profile, or, if the person never
//! asked for one, into none.
//!
//! Anybody may sign an address up, also one that is signed up already. Each link
//! therefore stands for one sign-up, and what was said in that one is what it
//! confirms; what others said is dropped with it. What an operator or an import
//! said is not a stranger's to replace: their profiles do not expire, which tells
//! them apart.

use std::fmt;
use std::sync::Arc;

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use muster_core::mail::item::{MailItem, MailKind, MailStatus};
use muster_core::mail::link_token::Token;
use muster_core::people::email_lock::lock_key;
use muster_core::people::erasure::{self, Begun};
use muster_core::people::locale::Locale;
use muster_core::people::profile::{ProfileItem, ProfileStatus, list, profile_key};
use muster_core::people::profile_with_mails::{Dossier, Signup};
use muster_core::people::source::Source;
use muster_core::people::undeliverable::Cause;
use muster_core::platform::failure::Failure;
use muster_core::platform::random::Random;
use muster_core::platform::table::{
    Condition, Key, NotCommitted, Table, encode_value, number, text,
};
use muster_core::platform::time::{Clock, Time};

use crate::profiles::reactivate::Reactivations;
use crate::signup::rate_limits::Rates;

/// How often a click looks again when something else came in between.
const TRIES: u32 = 4;
/// The most mails that one transaction changes. A profile with more has old
/// ones among them, whose links have long expired.
const MOST_MAILS: usize = 90;

/// Who changed a profile, if its owner did by a link.
const OWNER: &str = "owner";

/// Confirms addresses.
pub struct Confirmations {
    table: Table,
    rates: Arc<Rates>,
    reactivations: Arc<Reactivations>,
    clock: Clock,
    random: Random,
}

/// What a token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Confirming the address.
    Fresh,
    /// Nothing more: the address is confirmed.
    Used,
    /// Having mail go to the address again: it is too late to confirm, or done.
    Unreachable {
        /// Why none does.
        cause: Cause,
        /// Since when.
        since: Time,
    },
    /// Nothing more: it confirmed the address, which was changed since, and
    /// changed back.
    ConfirmedBefore,
    /// Nothing more: the profile has another address by now.
    UsedUp,
    /// Nothing more: it came too late.
    Expired,
    /// Nothing: it is not, or no longer, one of ours.
    Unknown,
}

/// What confirming led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The address is confirmed now.
    Confirmed,
    /// Mail goes to the address again.
    Resumed {
        /// Whether it is confirmed, by another click than this.
        confirmed: bool,
    },
    /// It was already, or it cannot be: as the token stands.
    Refused(Standing),
}

/// What a link's page shows.
#[derive(Clone, PartialEq, Eq)]
pub enum Shown {
    /// Whose data a fresh link confirms.
    Question {
        /// The name that was given.
        name: Option<String>,
        /// The address.
        email: String,
    },
    /// That it confirms nothing more.
    Refused(Standing),
}

/// Personal data: a page in a log is what it is about.
impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Question { .. } => f.write_str("Question(…)"),
            Self::Refused(standing) => write!(f, "Refused({standing:?})"),
        }
    }
}

/// What a token and its profile are, looked at together.
struct Look {
    standing: Standing,
    dossier: Dossier,
}

impl Confirmations {
    /// Confirmations in that table.
    pub const fn new(
        table: Table,
        rates: Arc<Rates>,
        reactivations: Arc<Reactivations>,
        clock: Clock,
        random: Random,
    ) -> Self {
        Self {
            table,
            rates,
            reactivations,
            clock,
            random,
        }
    }

    /// Looks at a token and changes nothing: mail scanners open links too.
    ///
    /// # Errors
    /// When the table cannot be read.
    pub async fn show(&self, token: &Token) -> Result<Shown, Failure> {
        let Look { standing, dossier } = self.look(token).await?;
        let (Standing::Fresh, Some(profile)) = (standing, &dossier.profile) else {
            return Ok(Shown::Refused(standing));
        };
        let (name, email) = match dossier.signup_of(token.mail) {
            Some(Signup { data, email, .. }) => (Some(&data.name), email),
            None => (profile.name.as_ref(), profile.email.as_str()),
        };
        Ok(Shown::Question {
            name: name.cloned(),
            email: email.to_owned(),
        })
    }

    /// Confirms the address that the token was sent to, with what was said in the
    /// sign-up that its mail stands for: profile, lock and mails in one
    /// transaction, after which nothing of it expires. If mail does not go there
    /// any more, it does again: who has the token has had mail at the address.
    ///
    /// # Errors
    /// When the table cannot be reached.
    pub async fn confirm(&self, token: &Token) -> Result<Outcome, Failure> {
        let mut cancelled = Vec::new();
        for _ in 0..TRIES {
            let Look { standing, dossier } = self.look(token).await?;
            let (actions, outcome) = match (standing, &dossier.profile) {
                (Standing::Fresh, Some(profile)) => {
                    self.reactivations
                        .unsuppress(profile, &dossier.mails)
                        .await?;
                    let signup = dossier.signup_of(token.mail);
                    (self.actions(profile, &dossier, signup)?, Outcome::Confirmed)
                }
                (Standing::Unreachable { .. }, Some(profile)) => {
                    self.reactivations
                        .unsuppress(profile, &dossier.mails)
                        .await?;
                    let confirmed = profile.status == ProfileStatus::Confirmed;
                    let actions = self.reactivations.actions(profile, OWNER)?;
                    (actions, Outcome::Resumed { confirmed })
                }
                _ => return Ok(Outcome::Refused(standing)),
            };
            match self.table.transact(actions, &self.random.name()).await {
                Ok(()) => {
                    tracing::info!(profile_id = %token.profile, ?outcome, "the owner of an address has followed a link");
                    return Ok(outcome);
                }
                Err(NotCommitted::Failed(failure)) => return Err(failure),
                // Another click was faster, or the profile has changed.
                Err(NotCommitted::Cancelled(reasons)) => cancelled = reasons,
            }
        }
        Err(NotCommitted::Cancelled(cancelled).into())
    }

    /// Removes a sign-up that its address's owner knows nothing of, and keeps
    /// quiet for the rest of the day whoever signs it up again. Says whether
    /// the token was good for that.
    ///
    /// # Errors
    /// When the table cannot be reached.
    pub async fn disown(&self, token: &Token) -> Result<bool, Failure> {
        let Some(profile) = self.disownable(token).await? else {
            return Ok(false);
        };
        self.rates.silence(&profile.email_key).await?;
        let is_meant = |now: &ProfileItem| now.version == profile.version;
        let (table, clock, random) = (&self.table, &self.clock, &self.random);
        if erasure::begin(table, profile.id, is_meant, clock, random).await? == Begun::Changed {
            // The other link was faster.
            return Ok(false);
        }
        // From here on it counts as removed: if we fail, the sweeper does the rest.
        let finished = erasure::finish(table, profile.id, erasure::PATIENCE, clock, random).await;
        if let Err(error) = finished {
            tracing::warn!(profile_id = %profile.id, %error, "the erasure is left to the sweeper");
        }
        tracing::info!(metric = "signup_disowned", profile_id = %profile.id, "sign-up removed by the address's owner");
        Ok(true)
    }

    /// Whether a token is good for removing a sign-up.
    ///
    /// # Errors
    /// When the table cannot be read.
    pub async fn can_be_disowned(&self, token: &Token) -> Result<bool, Failure> {
        Ok(self.disownable(token).await?.is_some())
    }

    /// The sign-up that a token is good for removing: unconfirmed, and nothing
    /// that an operator keeps, which would not expire.
    async fn disownable(&self, token: &Token) -> Result<Option<ProfileItem>, Failure> {
        let Look { standing, dossier } = self.look(token).await?;
        let mut mails = dossier.mails.iter();
        let link_disowns = mails.any(|mail| mail.number == token.mail && mail.kind.disowns());
        let may_go = |profile: &ProfileItem| {
            standing == Standing::Fresh
                && link_disowns
                && profile.source == Source::Signup
                && profile.expires_at.is_some()
        };
        Ok(dossier.profile.filter(may_go))
    }

    async fn look(&self, token: &Token) -> Result<Look, Failure> {
        let dossier = Dossier::read(&self.table, token.profile).await?;
        let standing = self.judge(token, &dossier);
        Ok(Look { standing, dossier })
    }

    fn judge(&self, token: &Token, dossier: &Dossier) -> Standing {
        let now = self.clock.now();
        let mut mails = dossier.mails.iter();
        let Some(mail) = mails.find(|mail| mail.number == token.mail && mail.kind.confirms())
        else {
            return Standing::Unknown;
        };
        let used = token.matches(&mail.used_token_hashes);
        if !(used | token.matches(&mail.token_hashes)) {
            return Standing::Unknown;
        }
        let Some(profile) = dossier.present(now) else {
            return Standing::Expired;
        };
        if profile.email_key != mail.email_key {
            return Standing::UsedUp;
        }
        let confirmed = profile.status == ProfileStatus::Confirmed;
        let in_time = mail.links_until.is_some_and(|until| now < until);
        match &profile.undeliverable {
            _ if !confirmed && !used && in_time => Standing::Fresh,
            Some(why) => Standing::Unreachable {
                cause: why.cause,
                since: why.since,
            },
            None if confirmed => Standing::Used,
            None if used => Standing::ConfirmedBefore,
            None => Standing::Expired,
        }
    }

    fn actions(
        &self,
        profile: &ProfileItem,
        dossier: &Dossier,
        signup: Option<Signup<'_>>,
    ) -> Result<Vec<TransactWriteItem>, Failure> {
        let mut actions = vec![
            self.confirm_profile(profile, signup)?,
            self.confirm_lock(profile, dossier, signup)?,
        ];
        let confirmed = signup.map(|signup| signup.mail);
        for mail in dossier.mails.iter().rev().take(MOST_MAILS) {
            actions.push(self.settle(mail, confirmed)?);
        }
        Ok(actions)
    }

    fn confirm_profile(
        &self,
        profile: &ProfileItem,
        signup: Option<Signup<'_>>,
    ) -> Result<TransactWriteItem, Failure> {
        let now = self.clock.now();
        let pending = Condition::new(
            "version = :seen AND email_key = :email_key \
             AND #status = :pending \
             AND (attribute_not_exists(expires_at) OR expires_at > :seconds)",
        )
        .with(":seen", number(profile.version))
        .with(":email_key", text(&profile.email_key))
        .with(":pending", ProfileStatus::Pending.into())
        .with(":seconds", number(now.as_seconds()))
        .with(":confirmed", ProfileStatus::Confirmed.into())
        .with(":version", number(profile.version + 1))
        .with(":now", number(now.as_millis()))
        .with(":owner", text(OWNER))
        .with(":list", text(list(ProfileStatus::Confirmed, profile.id)));
        let mut update = Update::new(
            "#status = :confirmed, version = :version, updated_at = :now, \
             updated_by = :owner, #list = :list",
            "expires_at, undeliverable",
            pending,
        );
        if profile.undeliverable.is_some() {
            update = update.set("reachable_since", number(now.as_millis()));
        }
        if let Some(Signup { data, email, .. }) = signup {
            update = update
                .set("email", text(email))
                .set("name", text(&data.name))
                .set("attributes", encode_value(&data.attributes)?)
                .set_or_remove("locale", stored(data.locale.as_ref()));
        }
        update.action(&self.table, &profile_key(profile.id))
    }

    fn confirm_lock(
        &self,
        profile: &ProfileItem,
        dossier: &Dossier,
        signup: Option<Signup<'_>>,
    ) -> Result<TransactWriteItem, Failure> {
        // A mail that was written meanwhile would go on expiring.
        let no_other_mail = Condition::new("profile_id = :id AND mails = :mails")
            .with(":id", text(profile.id.to_string()))
            .with(":mails", number(dossier.last_mail()))
            .with(":yes", encode_value(&true)?);
        // It may remember the language of another sign-up.
        let locale = match signup {
            Some(Signup { data, .. }) => &data.locale,
            None => &profile.locale,
        };
        let update = Update::new(
            "confirmed = :yes",
            "expires_at, undeliverable, signup_mail",
            no_other_mail,
        );
        let update = update.set_or_remove("locale", stored(locale.as_ref()));
        update.action(&self.table, &lock_key(&profile.email_key))
    }

    /// A mail of a profile that is confirmed now: it does not expire, its links
    /// only say so, and if it asks for a confirmation it need not go, nor go
    /// again. Of a reminder that was not needed nothing stays, nor does what was
    /// said in other sign-ups than the `confirmed` one.
    fn settle(
        &self,
        mail: &MailItem,
        confirmed: Option<u32>,
    ) -> Result<TransactWriteItem, Failure> {
        let mut condition =
            Condition::new("#status = :seen").with(":seen", text(mail.status.as_str()));
        if mail.kind == MailKind::Reminder && mail.status.is_waiting() {
            return self.table.delete(&mail.key(), Some(&condition));
        }
        let (mut set, mut remove) = (
            Vec::new(),
            vec!["expires_at", "signup_mail", "signup", "filler"],
        );
        if mail.signup_mail != confirmed {
            remove.push("#name");
        }
        if !mail.token_hashes.is_empty() {
            set.push("used_token_hashes = token_hashes");
            remove.extend(["token_hashes", "links_until"]);
        }
        if mail.status.is_open() && mail.kind.confirms() {
            set.extend(["#status = :abandoned", "reason = :reason"]);
            remove.extend(["due_shard", "due_at", "lease_owner", "lease_until"]);
            condition = condition
                .with(":abandoned", text(MailStatus::Abandoned.as_str()))
                .with(":reason", text("the address was confirmed before it went"));
        }
        let mut expression = String::new();
        if !set.is_empty() {
            expression = format!("SET {} ", set.join(", "));
        }
        expression.push_str(&format!("REMOVE {}", remove.join(", ")));
        self.table.change(&mail.key(), &expression, &condition)
    }
}

/// An update with parts that depend.
struct Update {
    set: String,
    remove: String,
    condition: Condition,
}

impl Update {
    fn new(set: &str, remove: &str, condition: Condition) -> Self {
        Self {
            set: set.to_owned(),
            remove: remove.to_owned(),
            condition,
        }
    }

    fn set(self, name: &str, value: AttributeValue) -> Self {
        Self {
            set: format!("{}, #{name} = :said_{name}", self.set),
            condition: self.condition.with(&format!(":said_{name}"), value),
            ..self
        }
    }

    fn set_or_remove(self, name: &str, value: Option<AttributeValue>) -> Self {
        match value {
            Some(value) => self.set(name, value),
            None => Self {
                remove: format!("{}, #{name}", self.remove),
                ..self
            },
        }
    }

    fn action(&self, table: &Table, key: &Key) -> Result<TransactWriteItem, Failure> {
        let expression = format!("SET {} REMOVE {}", self.set, self.remove);
        table.change(key, &expression, &self.condition)
    }
}

fn stored(locale: Option<&Locale>) -> Option<AttributeValue> {
    locale.map(|locale| text(locale.as_str()))
}
