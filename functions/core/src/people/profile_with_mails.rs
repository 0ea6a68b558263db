//! A profile and its mails, read together.

use std::fmt;

use aws_sdk_dynamodb::types::TransactWriteItem;

use crate::mail::item::{MAIL_PREFIX, MailItem};
use crate::mail::signup_data::SignupData;
use crate::people::email_lock::lock_key;
use crate::people::profile::{PROFILE, ProfileItem, profile_key};
use crate::platform::failure::Failure;
use crate::platform::ids::ProfileId;
use crate::platform::table::{Condition, Key, Table, decode, number, text};
use crate::platform::time::Time;

/// The most mails that one transaction keeps, the newest first. The links of others
/// have long expired, and time-to-live may have them.
const MOST_KEPT: usize = 90;

/// A profile with its mails, read together. What sources said of the person comes
/// before them in the partition, and may be much: it is not read.
#[derive(Debug, Clone)]
pub struct Dossier {
    /// The profile, unless time-to-live has taken it.
    pub profile: Option<ProfileItem>,
    /// Its mails, by number.
    pub mails: Vec<MailItem>,
}

/// A later sign-up for an address that is signed up already.
#[derive(Clone, Copy)]
pub struct Signup<'a> {
    /// The mail that was written for it.
    pub mail: u32,
    /// The address as it was typed in it.
    pub email: &'a str,
    /// What was said in it.
    pub data: &'a SignupData,
}

/// Personal data: a sign-up in a log is the number of its mail.
impl fmt::Debug for Signup<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signup({})", self.mail)
    }
}

impl Dossier {
    /// Reads it, as it is now.
    ///
    /// # Errors
    /// When the table cannot be read, or an item cannot be understood.
    pub async fn read(table: &Table, id: ProfileId) -> Result<Self, Failure> {
        let mut dossier = Self {
            profile: None,
            mails: Vec::new(),
        };
        let first = Key {
            sk: MAIL_PREFIX.to_owned(),
            ..profile_key(id)
        };
        for item in table.partition_from(&first).await? {
            match Key::of(&item) {
                Some(key) if key.sk == PROFILE => dossier.profile = Some(decode(item)?),
                Some(key) if key.sk.starts_with(MAIL_PREFIX) => dossier.mails.push(decode(item)?),
                _ => {}
            }
        }
        dossier.mails.sort_by_key(|mail| mail.number);
        Ok(dossier)
    }

    /// The profile, if it counts as there.
    pub fn present(&self, now: Time) -> Option<&ProfileItem> {
        self.profile
            .as_ref()
            .filter(|profile| profile.is_present(now))
    }

    /// The number of the last mail.
    pub fn last_mail(&self) -> u32 {
        self.mails.last().map_or(0, |mail| mail.number)
    }

    /// The sign-up that the link of a mail confirms, if it is not the first, whose
    /// data the profile holds. Only a sign-up that expires has others beside it.
    pub fn signup_of(&self, mail: u32) -> Option<Signup<'_>> {
        self.profile.as_ref()?.expires_at?;
        let mail = self.mails.iter().find(|item| item.number == mail)?;
        self.signup(mail.signup_mail?)
    }

    /// The newest sign-up, if it is not the first.
    pub fn newest_signup(&self) -> Option<Signup<'_>> {
        self.profile.as_ref()?.expires_at?;
        let mail = self.mails.iter().rev().find(|mail| mail.signup.is_some())?;
        self.signup(mail.number)
    }

    fn signup(&self, number: u32) -> Option<Signup<'_>> {
        let mail = self.mails.iter().find(|mail| mail.number == number)?;
        Some(Signup {
            mail: number,
            email: &mail.to,
            data: mail.signup.as_ref()?,
        })
    }

    /// The actions that keep a sign-up that an operator or an import takes on:
    /// beside the profile, which they write themselves without its expiry. Its lock
    /// and its mails expire no more, and the lock remembers the language of
    /// `profile`. They refuse if there is a mail that was not seen, or one was moved
    /// on: look again then.
    ///
    /// # Errors
    /// None that a caller of ours can cause.
    pub fn keep(
        &self,
        table: &Table,
        profile: &ProfileItem,
    ) -> Result<Vec<TransactWriteItem>, Failure> {
        let no_other_mail = Condition::new("profile_id = :id AND mails = :mails")
            .with(":id", text(profile.id.to_string()))
            .with(":mails", number(self.last_mail()));
        let (expression, no_other_mail) = match &profile.locale {
            Some(locale) => (
                "SET #locale = :locale REMOVE expires_at, signup_mail",
                no_other_mail.with(":locale", text(locale.as_str())),
            ),
            None => ("REMOVE #locale, expires_at, signup_mail", no_other_mail),
        };
        let lock = table.change(&lock_key(&profile.email_key), expression, &no_other_mail);
        let mails = self.mails.iter().rev().take(MOST_KEPT);
        std::iter::once(lock)
            .chain(mails.map(|mail| mail.keep(table)))
            .collect()
    }
}
