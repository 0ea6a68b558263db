//! A link's token turned into a confirmed profile, or, if the person never
//! asked for one, into none.

use std::sync::Arc;

use aws_sdk_dynamodb::types::TransactWriteItem;
use muster_core::erasure::{self, Begun};
use muster_core::failure::Failure;
use muster_core::mail::{MailItem, MailKind, MailStatus};
use muster_core::profile::{
    Dossier, ProfileItem, ProfileStatus, Source, list, lock_key, profile_key,
};
use muster_core::random::Random;
use muster_core::table::{Condition, NotCommitted, Table, encode_value, number, text};
use muster_core::time::Clock;
use muster_core::token::Token;

use crate::rates::Rates;

/// How often a click looks again when something else came in between.
const TRIES: u32 = 4;
/// The most mails that one transaction changes. A profile with more has old
/// ones among them, whose links have long expired.
const MOST_MAILS: usize = 90;

/// Confirms addresses.
pub struct Confirmations {
    table: Table,
    rates: Arc<Rates>,
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
    /// It was already, or it cannot be: as the token stands.
    Refused(Standing),
}

/// What a token and its profile are, looked at together.
struct Look {
    standing: Standing,
    dossier: Dossier,
}

impl Confirmations {
    /// Confirmations in that table.
    pub const fn new(table: Table, rates: Arc<Rates>, clock: Clock, random: Random) -> Self {
        Self {
            table,
            rates,
            clock,
            random,
        }
    }

    /// Looks at a token and changes nothing: mail scanners open links too.
    ///
    /// # Errors
    /// When the table cannot be read.
    pub async fn standing(&self, token: &Token) -> Result<Standing, Failure> {
        Ok(self.look(token).await?.standing)
    }

    /// Confirms the address that the token was sent to: profile, lock and
    /// mails in one transaction, after which nothing of it expires.
    ///
    /// # Errors
    /// When the table cannot be reached.
    pub async fn confirm(&self, token: &Token) -> Result<Outcome, Failure> {
        let mut cancelled = Vec::new();
        for _ in 0..TRIES {
            let Look { standing, dossier } = self.look(token).await?;
            let (Standing::Fresh, Some(profile)) = (standing, &dossier.profile) else {
                return Ok(Outcome::Refused(standing));
            };
            let actions = self.actions(profile, &dossier)?;
            match self.table.transact(actions, &self.random.name()).await {
                Ok(()) => {
                    tracing::info!(profile_id = %profile.id, "address confirmed");
                    return Ok(Outcome::Confirmed);
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
        match dossier.present(now) {
            None => Standing::Expired,
            Some(profile) if profile.email_key != mail.email_key => Standing::UsedUp,
            Some(profile) if profile.status == ProfileStatus::Confirmed => Standing::Used,
            Some(_) if used => Standing::UsedUp,
            Some(_) if mail.links_until.is_none_or(|until| until <= now) => Standing::Expired,
            Some(_) => Standing::Fresh,
        }
    }

    fn actions(
        &self,
        profile: &ProfileItem,
        dossier: &Dossier,
    ) -> Result<Vec<TransactWriteItem>, Failure> {
        let now = self.clock.now();
        let pending = Condition::new(
            "version = :seen AND email_key = :email_key \
             AND #status IN (:pending, :undeliverable) \
             AND (attribute_not_exists(expires_at) OR expires_at > :seconds)",
        )
        .with(":seen", number(profile.version))
        .with(":email_key", text(&profile.email_key))
        .with(":pending", ProfileStatus::Pending.into())
        .with(":undeliverable", ProfileStatus::Undeliverable.into())
        .with(":seconds", number(now.as_seconds()))
        .with(":confirmed", ProfileStatus::Confirmed.into())
        .with(":version", number(profile.version + 1))
        .with(":now", number(now.as_millis()))
        .with(":owner", text("owner"))
        .with(":list", text(list(ProfileStatus::Confirmed, profile.id)));
        // A mail that was written meanwhile would go on expiring.
        let no_other_mail = Condition::new("profile_id = :id AND mails = :mails")
            .with(":id", text(profile.id.to_string()))
            .with(":mails", number(dossier.last_mail()))
            .with(":yes", encode_value(&true)?);
        let mut actions = vec![
            self.table.change(
                &profile_key(profile.id),
                "SET #status = :confirmed, version = :version, updated_at = :now, \
                     updated_by = :owner, #list = :list REMOVE expires_at",
                &pending,
            )?,
            self.table.change(
                &lock_key(&profile.email_key),
                "SET confirmed = :yes REMOVE expires_at, undeliverable",
                &no_other_mail,
            )?,
        ];
        for mail in dossier.mails.iter().rev().take(MOST_MAILS) {
            actions.push(self.settle(mail)?);
        }
        Ok(actions)
    }

    /// A mail of a profile that is confirmed now: it does not expire, its links
    /// only say so, and if it asks for a confirmation it need not go, nor go
    /// again. Of a reminder that was not needed nothing stays.
    fn settle(&self, mail: &MailItem) -> Result<TransactWriteItem, Failure> {
        let mut condition =
            Condition::new("#status = :seen").with(":seen", text(mail.status.as_str()));
        if mail.kind == MailKind::Reminder && mail.status.is_waiting() {
            return self.table.delete(&mail.key(), Some(&condition));
        }
        let (mut set, mut remove) = (Vec::new(), vec!["expires_at"]);
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
