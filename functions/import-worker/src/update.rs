//! A row whose address another profile has, and that is to update it.
//!
//! The profile takes what the row says; what the row does not say stays. With it,
//! in the same transaction, what became of the row is written at the row's own
//! id, where the next try of the row finds it and leaves the profile alone: it
//! may have been edited since.

use aws_sdk_dynamodb::types::TransactWriteItem;
use muster_core::people::new_profile::{NewProfile, PROFILE_ACTION};
use muster_core::people::person::Attributes;
use muster_core::people::profile::{Outcome, ProfileItem, profile_key};
use muster_core::people::validation::Violation;
use muster_core::platform::failure::Failure;
use muster_core::platform::ids::ProfileId;
use muster_core::platform::random::Random;
use muster_core::platform::table::{Condition, NotCommitted, Table, condition_failed};
use muster_core::platform::time::Clock;

use crate::patience::Patience;
use crate::task::Task;
use crate::undo::overwritten;
use crate::verdict::Verdict;
use crate::window::Row;

/// Updates profiles.
pub(crate) struct Updates {
    table: Table,
    clock: Clock,
    random: Random,
}

impl Updates {
    /// Updates of that table.
    pub(crate) const fn new(table: Table, clock: Clock, random: Random) -> Self {
        Self {
            table,
            clock,
            random,
        }
    }

    /// Has the profile that has a row's address take what the row says.
    ///
    /// # Errors
    /// When the table stays out of reach.
    pub(crate) async fn update(
        &self,
        row: &Row,
        owner: ProfileId,
        task: Task<'_>,
    ) -> Result<Verdict, Failure> {
        let mut patience = Patience::until(task.until, &self.clock, &self.random);
        loop {
            patience.check()?;
            let before: Option<ProfileItem> = self.table.get(&profile_key(owner)).await?;
            let before = before.filter(|before| before.email_key == row.profile.email.key());
            // It has another address by now, or is a sign-up: the row's may be free.
            let Some(before) = before.filter(|before| before.expires_at.is_none()) else {
                return Ok(Verdict::Again);
            };
            if !before.is_present(self.clock.now()) {
                return Ok(Verdict::Refused(being_erased()));
            }
            let after = match merged(&before, &row.profile) {
                Ok(after) => after,
                Err(violation) => return Ok(Verdict::Refused(violation)),
            };
            let failure = match self.store(row, &before, after, task).await {
                Ok(outcome) => return Ok(Verdict::Known(outcome)),
                Err(NotCommitted::Cancelled(reasons)) => {
                    let own = reasons.get(PROFILE_ACTION);
                    if own.is_some_and(condition_failed) {
                        return Ok(Verdict::Again);
                    }
                    // Somebody edited it meanwhile, or is at it.
                    NotCommitted::Cancelled(reasons).into()
                }
                Err(NotCommitted::Failed(failure)) => failure,
            };
            patience.wait(failure).await?;
        }
    }

    async fn store(
        &self,
        row: &Row,
        before: &ProfileItem,
        after: ProfileItem,
        task: Task<'_>,
    ) -> Result<Outcome, NotCommitted> {
        let outcome = outcome(before, &after);
        let profile = &row.profile;
        let of = (task.import.id, row.line);
        let left = ProfileItem::of_row(profile.id, of, outcome, profile.now);
        let table = &self.table;
        let mut actions = vec![table.put(&profile_key(profile.id), &left, &Condition::absent())?];
        if outcome == Outcome::Updated && !task.import.options.dry_run {
            let update = Update {
                stored: before,
                before,
                after,
            };
            actions.extend(update.actions(table, row, task)?);
        }
        table.transact(actions, &self.random.name()).await?;
        Ok(outcome)
    }
}

/// A profile that a row changes.
pub(crate) struct Update<'a> {
    /// As it is stored.
    pub stored: &'a ProfileItem,
    /// As it was before any row of the import.
    pub before: &'a ProfileItem,
    /// With what the row says of it.
    pub after: ProfileItem,
}

impl Update<'_> {
    /// The actions that store it if nobody was faster. What the row overwrites is
    /// kept where an earlier row may come later: in all chunks but the first.
    ///
    /// # Errors
    /// When the item cannot be encoded.
    pub(crate) fn actions(
        self,
        table: &Table,
        row: &Row,
        task: Task<'_>,
    ) -> Result<Vec<TransactWriteItem>, Failure> {
        let mut after = ProfileItem {
            version: self.stored.version + 1,
            updated_at: row.profile.now,
            updated_by: row.profile.created_by.clone(),
            ..self.after
        };
        let of = (task.import.id, row.line);
        after.overwritten =
            (task.chunk > 0).then(|| Box::new(overwritten(of, self.before, &after)));
        let unchanged = self.stored.unchanged();
        let mut actions = vec![table.put(&profile_key(after.id), &after, &unchanged)?];
        if after.locale != self.stored.locale {
            actions.push(after.keep_locale(table)?);
        }
        Ok(actions)
    }
}

/// What becomes of a row that makes the one of the other.
pub(crate) fn outcome(before: &ProfileItem, after: &ProfileItem) -> Outcome {
    match after == before {
        true => Outcome::Unchanged,
        false => Outcome::Updated,
    }
}

/// The profile with what a row says of it.
///
/// # Errors
/// The rule that they break together.
pub(crate) fn merged(before: &ProfileItem, row: &NewProfile) -> Result<ProfileItem, Violation> {
    let mut after = before.clone();
    if let Some(name) = &row.name {
        after.name = Some(name.as_str().to_owned());
    }
    if row.locale.is_some() {
        after.locale.clone_from(&row.locale);
    }
    after.attributes.extend(row.attributes.as_map().clone());
    // Each is fine by itself; together they may be too many, or too long.
    let together = Attributes::parse(after.attributes).map_err(|mut violations| {
        let (_, violation) = violations.remove(0);
        violation
    })?;
    after.attributes = together.as_map().clone();
    Ok(after)
}

fn being_erased() -> Violation {
    Violation::new(
        "being_erased",
        "the profile that has this address is being erased; the row can be imported in a few minutes",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_core::people::email::Email;
    use muster_core::people::locale::Locale;
    use muster_core::people::person::Name;
    use muster_core::people::source::Source;
    use muster_core::platform::time::Time;

    fn profile(
        name: Option<&str>,
        locale: Option<&str>,
        attributes: &[(&str, &str)],
    ) -> NewProfile {
        let attributes = attributes
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        NewProfile {
            id: ProfileId::new(Time::from_millis(1), &Random::seeded(1)),
            email: Email::parse("ada@example.com").unwrap(),
            name: name.map(|name| Name::parse(name).unwrap()),
            locale: locale.map(|locale| Locale::parse(locale).unwrap()),
            attributes: Attributes::parse(attributes).unwrap(),
            source: Source::Import,
            created_by: "import".to_owned(),
            row: None,
            confirmed: false,
            now: Time::from_millis(1),
        }
    }

    #[test]
    fn what_a_row_does_not_say_stays() {
        let before = profile(
            Some("Ada"),
            Some("en"),
            &[("city", "London"), ("plan", "basic")],
        )
        .item();
        let nothing = merged(&before, &profile(None, None, &[])).unwrap();
        assert_eq!(nothing, before);
        let after = merged(
            &before,
            &profile(None, Some("de"), &[("plan", "pro"), ("team", "x")]),
        )
        .unwrap();
        assert_eq!(after.name.as_deref(), Some("Ada"));
        assert_eq!(after.locale.unwrap().as_str(), "de");
        let attributes: Vec<_> = after
            .attributes
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        assert_eq!(
            attributes,
            [("city", "London"), ("plan", "pro"), ("team", "x")]
        );
    }

    #[test]
    fn what_comes_of_it_keeps_the_rules() {
        let many: Vec<String> = (0..50).map(|n| format!("a{n}")).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|name| (&**name, "x")).collect();
        let before = profile(None, None, &many).item();
        let violation = merged(&before, &profile(None, None, &[("one more", "x")])).unwrap_err();
        assert_eq!(violation.code, "too_many_attributes");
    }
}
