//! Changes to a profile: JSON merge patch (RFC 7396), made to the version that
//! was looked at.
//!
//! A new address is another matter than a new name. The lock moves with it in
//! one transaction, the profile is pending until the new address is confirmed,
//! both addresses are written to, and what was still to be sent to the old one
//! is not.
//!
//! A sign-up that is changed by an operator is theirs from then on: nothing of it
//! expires, and no link replaces what they said by what a stranger did.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::TransactWriteItem;
use axum::body::Bytes;
use axum::http::HeaderMap;
use futures_util::future::join_all;
use muster_core::mail::item::{MailItem, MailKind, Recipient};
use muster_core::people::email::Email;
use muster_core::people::email_lock::{LockItem, lock_key};
use muster_core::people::locale::Locale;
use muster_core::people::new_profile::{PROFILE_ACTION, remove_signup};
use muster_core::people::person::{Attributes, Name};
use muster_core::people::profile::{ProfileItem, ProfileStatus, list, profile_key};
use muster_core::people::profile_with_mails::Dossier;
use muster_core::platform::failure::Failure;
use muster_core::platform::random::Random;
use muster_core::platform::table::{
    Condition, MAX_TRANSACTION_ACTIONS, NotCommitted, Table, condition_failed, number, text,
};
use muster_core::platform::time::Clock;
use muster_http::body::{Fields, JSON, MERGE_PATCH, Members, attribute_error};
use muster_http::openapi::people;
use muster_http::problem::Problem;
use utoipa::ToSchema;

use crate::openapi::values;
use crate::queue::Nudges;

/// Why a mail to the old address is given up.
const MOVED: &str = "the address was changed before it went";
/// How often a change looks again when a mail was written or moved on in between.
const TRIES: u32 = 4;

/// What is to change: a field that is not here stays.
#[derive(Debug, PartialEq, Eq, ToSchema)]
#[schema(
    as = ProfileChanges,
    examples(json!({ "name": "Ada King", "locale": "fr-FR", "attributes": { "city": null, "plan": "basic" } }))
)]
#[serde(deny_unknown_fields)]
pub(crate) struct Patch {
    /// The new address. It is to be confirmed, and both addresses are written to.
    #[schema(value_type = people::EmailAddress, required = false)]
    email: Option<Email>,
    /// `null` takes the name away.
    #[schema(value_type = Option<people::Name>)]
    name: Option<Option<Name>>,
    /// The language of mails from now on; `null` takes it away.
    #[schema(value_type = Option<people::Locale>)]
    locale: Option<Option<Locale>>,
    /// `null` takes all of them away; a value that is `null`, that one.
    #[schema(value_type = values::AttributeChanges, required = false)]
    attributes: Option<Option<Members>>,
}

impl Patch {
    /// Reads a body.
    ///
    /// # Errors
    /// 4xx that names every bad field.
    pub(crate) fn parse(headers: &HeaderMap, body: &Bytes) -> Result<Self, Problem> {
        let mut fields = Fields::parse_as(&[MERGE_PATCH, JSON], headers, body)?;
        let patch = Self {
            email: fields.optional("email", Email::parse),
            name: fields.nullable("name", Name::parse),
            locale: fields.nullable("locale", Locale::parse),
            attributes: fields.members("attributes"),
        };
        fields.finish()?;
        Ok(patch)
    }

    /// The profile as it is to be, but for its version. It does not expire.
    ///
    /// # Errors
    /// 422 if what comes of old and new attributes breaks a rule.
    pub(crate) fn apply(self, before: &ProfileItem) -> Result<ProfileItem, Problem> {
        let mut after = before.clone();
        after.expires_at = None;
        if let Some(email) = self.email {
            after.email = email.as_str().to_owned();
            after.email_key = email.key().to_owned();
        }
        if let Some(name) = self.name {
            after.name = name.map(|name| name.as_str().to_owned());
        }
        if let Some(locale) = self.locale {
            after.locale = locale;
        }
        match self.attributes {
            None => {}
            Some(None) => after.attributes = BTreeMap::new(),
            Some(Some(members)) => merge(&mut after.attributes, members)?,
        }
        Ok(after)
    }
}

fn merge(attributes: &mut BTreeMap<String, String>, members: Members) -> Result<(), Problem> {
    for (name, value) in members {
        match value {
            Some(value) => attributes.insert(name, value),
            None => attributes.remove(&name),
        };
    }
    let parsed = Attributes::parse(std::mem::take(attributes)).map_err(|violations| {
        Problem::invalid(violations.into_iter().map(attribute_error).collect())
    })?;
    attributes.clone_from(parsed.as_map());
    Ok(())
}

/// A change that was not made.
#[derive(Debug, thiserror::Error)]
pub enum NotChanged {
    /// The profile is another version by now, or gone.
    #[error("the profile has changed meanwhile")]
    Overtaken,
    /// The new address belongs to another profile.
    #[error("the address is taken")]
    Taken,
    /// Something beside the profile changed while it was being looked at.
    #[error("something else changed meanwhile")]
    Disturbed(#[source] Failure),
    /// AWS did not do its part.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<NotCommitted> for NotChanged {
    fn from(error: NotCommitted) -> Self {
        match error {
            NotCommitted::Cancelled(reasons)
                if reasons.get(PROFILE_ACTION).is_some_and(condition_failed) =>
            {
                Self::Overtaken
            }
            NotCommitted::Cancelled(reasons) => {
                Self::Disturbed(NotCommitted::Cancelled(reasons).into())
            }
            NotCommitted::Failed(failure) => Self::Failed(failure),
        }
    }
}

/// Changes profiles.
pub struct Changes {
    table: Table,
    nudges: Nudges,
    clock: Clock,
    random: Random,
}

impl Changes {
    /// Changes to that table.
    pub const fn new(table: Table, nudges: Nudges, clock: Clock, random: Random) -> Self {
        Self {
            table,
            nudges,
            clock,
            random,
        }
    }

    /// Stores a changed profile in the place of the version it comes from.
    ///
    /// # Errors
    /// See [`NotChanged`].
    pub async fn store(
        &self,
        mut dossier: Dossier,
        before: &ProfileItem,
        after: ProfileItem,
        operator: String,
    ) -> Result<ProfileItem, NotChanged> {
        if after == *before {
            return Ok(after);
        }
        let after = ProfileItem {
            version: before.version + 1,
            updated_at: self.clock.now(),
            updated_by: operator,
            // An operator's change is not undone.
            overwritten: None,
            ..after
        };
        let mut tries = 1..TRIES;
        loop {
            match self.replace(&dossier, before, after.clone()).await {
                // A mail was written or moved on meanwhile, and the profile is as it was.
                Err(NotChanged::Disturbed(_)) if tries.next().is_some() => {
                    dossier = Dossier::read(&self.table, before.id).await?;
                }
                other => return other,
            }
        }
    }

    async fn replace(
        &self,
        dossier: &Dossier,
        before: &ProfileItem,
        after: ProfileItem,
    ) -> Result<ProfileItem, NotChanged> {
        if after.email_key != before.email_key {
            return self.move_to(dossier, before, pending(after)).await;
        }
        if before.expires_at.is_some() {
            self.replace_with(before, &after, dossier.keep(&self.table, &after)?)
                .await?;
        } else if after.locale != before.locale {
            let lock = after.keep_locale(&self.table)?;
            self.replace_with(before, &after, vec![lock]).await?;
        } else {
            self.replace_alone(before, &after).await?;
        }
        Ok(after)
    }

    async fn replace_alone(
        &self,
        before: &ProfileItem,
        after: &ProfileItem,
    ) -> Result<(), NotChanged> {
        let key = profile_key(after.id);
        if self.table.put_if(&key, after, &before.unchanged()).await? {
            Ok(())
        } else {
            Err(NotChanged::Overtaken)
        }
    }

    /// The profile, and what changes with it.
    async fn replace_with(
        &self,
        before: &ProfileItem,
        after: &ProfileItem,
        more: Vec<TransactWriteItem>,
    ) -> Result<(), NotChanged> {
        let table = &self.table;
        let mut actions = vec![table.put(&profile_key(after.id), after, &before.unchanged())?];
        actions.extend(more);
        Ok(table.transact(actions, &self.random.name()).await?)
    }

    async fn move_to(
        &self,
        dossier: &Dossier,
        before: &ProfileItem,
        after: ProfileItem,
    ) -> Result<ProfileItem, NotChanged> {
        let mails = self.mails(dossier, before, &after);
        let held: Option<LockItem> = self.table.get(&lock_key(&after.email_key)).await?;
        if held.as_ref().is_some_and(|held| !held.yields()) {
            return Err(NotChanged::Taken);
        }
        let actions = self.actions(dossier, before, &after, &mails, held.as_ref())?;
        let token = self.random.name();
        let nudges = mails
            .iter()
            .map(|mail| self.nudges.mail(after.id, mail.number));
        let (committed, _) = tokio::join!(self.table.transact(actions, &token), join_all(nudges));
        committed?;
        Ok(after)
    }

    /// One to each address, unless nothing can go to the old one.
    fn mails(&self, dossier: &Dossier, before: &ProfileItem, after: &ProfileItem) -> Vec<MailItem> {
        let last = dossier.last_mail();
        let mail = |kind, number, profile: &ProfileItem| {
            let recipient = Recipient {
                profile_id: after.id,
                to: &profile.email,
                email_key: &profile.email_key,
                name: after.name.as_deref(),
                locale: after.locale.as_ref(),
                expires_at: after.expires_at,
            };
            MailItem::new(kind, number, recipient, after.updated_at)
        };
        let mut mails = vec![mail(MailKind::ConfirmChange, last + 1, after)];
        if before.undeliverable.is_none() {
            mails.push(mail(MailKind::AddressChanged, last + 2, before));
        }
        mails
    }

    fn actions(
        &self,
        dossier: &Dossier,
        before: &ProfileItem,
        after: &ProfileItem,
        mails: &[MailItem],
        held: Option<&LockItem>,
    ) -> Result<Vec<TransactWriteItem>, Failure> {
        let table = &self.table;
        let lock = LockItem {
            profile_id: after.id,
            mails: dossier.last_mail() + mails.len() as u32,
            confirmed: false,
            undeliverable: false,
            locale: after.locale.clone(),
            signup_mail: None,
            line: None,
            expires_at: after.expires_at,
        };
        let free = held.map_or_else(Condition::absent, LockItem::still_yields);
        // Who wrote a mail meanwhile has counted it on the lock.
        let ours = Condition::new("profile_id = :id AND mails = :mails")
            .with(":id", text(after.id.to_string()))
            .with(":mails", number(dossier.last_mail()));
        let mut actions = vec![
            table.put(&profile_key(after.id), after, &before.unchanged())?,
            table.put(&lock_key(&after.email_key), &lock, &free)?,
            table.delete(&lock_key(&before.email_key), Some(&ours))?,
        ];
        for mail in mails {
            actions.push(table.put(&mail.key(), mail, &Condition::absent())?);
        }
        if let Some(held) = held {
            actions.extend(remove_signup(table, held)?);
        }
        let room = MAX_TRANSACTION_ACTIONS - actions.len();
        for mail in dossier.mails.iter().rev().take(room) {
            let is_open = mail.status.is_open() && mail.kind != MailKind::AddressChanged;
            if is_open {
                actions.push(mail.call_off_and_keep(table, MOVED)?);
            } else if mail.expires_at.is_some() {
                actions.push(mail.keep(table)?);
            }
        }
        Ok(actions)
    }
}

/// Nobody has shown yet that the new address is theirs, and no mail has failed
/// there.
fn pending(profile: ProfileItem) -> ProfileItem {
    ProfileItem {
        status: ProfileStatus::Pending,
        undeliverable: None,
        reachable_since: None,
        list: Some(list(ProfileStatus::Pending, profile.id)),
        ..profile
    }
}
