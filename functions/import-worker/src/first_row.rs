//! A row that comes before the one that has its place.
//!
//! Of several rows with one address the first one counts, but chunks run at once:
//! a later row may have been imported sooner. Then the first one takes its place, in
//! one transaction with a [correction](crate::corrections) for the later one.
//!
//! | what the later row left | then |
//! | --- | --- |
//! | a profile that nothing has changed since | it becomes the first row's, with its lock and a mail that was not sent yet |
//! | a change of another profile, which nothing has changed since | is undone, and the first row's is made |
//! | nothing, as that profile said it all | the first row updates it |
//! | a profile or a change that was edited, confirmed, returned or erased since | stays; the first row counts as the repeated one |

use aws_sdk_dynamodb::types::TransactWriteItem;
use muster_core::mail::item::{FIRST, MailItem, mail_key};
use muster_core::people::email_lock::{LockItem, lock_key};
use muster_core::people::profile::{Outcome, ProfileItem, ProfileStatus, profile_key};
use muster_core::platform::failure::Failure;
use muster_core::platform::table::{Condition, Table, encode_value, number, text};
use muster_core::platform::time::Clock;
use muster_imports::import::ImportItem;
use muster_imports::options::Confirm;

use crate::corrections::Correction;
use crate::row::CREATED_BY;
use crate::task::Task;
use crate::undo::before_row;
use crate::update::{Update, merged, outcome};
use crate::verdict::Verdict;
use crate::window::Row;

/// What a row that comes first needs.
pub(crate) enum Plan {
    /// Nothing: it is answered like this.
    Answered(Verdict),
    /// These actions, which make that of the row.
    Actions(Vec<TransactWriteItem>, Outcome),
}

/// Gives rows the place that later ones took.
pub(crate) struct FirstRows {
    table: Table,
    clock: Clock,
}

impl FirstRows {
    /// Rows in that table.
    pub(crate) const fn new(table: Table, clock: Clock) -> Self {
        Self { table, clock }
    }

    /// What it takes to give a row the place of a later one, which left `found` at
    /// their id.
    ///
    /// # Errors
    /// When the table cannot be read.
    pub(crate) async fn plan(
        &self,
        row: &Row,
        found: &ProfileItem,
        task: Task<'_>,
    ) -> Result<Plan, Failure> {
        let later = found.line.unwrap_or_default();
        let stays = || Plan::Answered(Verdict::Repeated(later));
        let dry_run = task.import.options.dry_run;
        Ok(match found.outcome {
            None if is_untouched(found, task.import) => {
                let actions = self.become_of(row, found, task).await?;
                Plan::Actions(actions, Outcome::Created)
            }
            Some(Outcome::Created) if dry_run => {
                let mut actions = vec![self.trace(row, found, Outcome::Created, task)?];
                actions.push(self.correction(row, later, Outcome::Created, task)?);
                Plan::Actions(actions, Outcome::Created)
            }
            Some(Outcome::Updated | Outcome::Unchanged) => {
                self.update_instead(row, found, task).await?
            }
            // It was edited or erased.
            None | Some(Outcome::Created) => stays(),
        })
    }

    /// The later row's profile becomes this row's.
    async fn become_of(
        &self,
        row: &Row,
        found: &ProfileItem,
        task: Task<'_>,
    ) -> Result<Vec<TransactWriteItem>, Failure> {
        let (table, profile) = (&self.table, &row.profile);
        // Who read the later row's is to be told from who read this one's.
        let after = ProfileItem {
            version: found.version + 1,
            ..profile.item()
        };
        let ours = Condition::new("profile_id = :id")
            .with(":id", text(profile.id.to_string()))
            .with(":line", number(row.line));
        let (change, ours) = match &profile.locale {
            Some(locale) => (
                "SET line = :line, #locale = :locale",
                ours.with(":locale", text(locale.as_str())),
            ),
            None => ("SET line = :line REMOVE #locale", ours),
        };
        let mut actions = vec![
            table.put(&profile_key(profile.id), &after, &found.unchanged())?,
            table.change(&lock_key(profile.email.key()), change, &ours)?,
            self.correction(row, found.line.unwrap_or_default(), Outcome::Created, task)?,
        ];
        if task.import.sends_mails() {
            actions.extend(self.mail(row).await?);
        }
        Ok(actions)
    }

    /// The mail says what this row says, if it has not begun to be sent.
    async fn mail(&self, row: &Row) -> Result<Option<TransactWriteItem>, Failure> {
        let profile = &row.profile;
        let key = mail_key(profile.id, FIRST);
        let mail: Option<MailItem> = self.table.get(&key).await?;
        let Some(mail) = mail.filter(|mail| mail.attempts == 0) else {
            return Ok(None);
        };
        let unsent = Condition::new("attempts = :none AND #status = :seen")
            .with(":none", number(0))
            .with(":seen", text(mail.status.as_str()));
        let new = profile.confirmation();
        let mail = MailItem {
            to: new.to,
            name: new.name,
            locale: new.locale,
            ..mail
        };
        Ok(Some(self.table.put(&key, &mail, &unsent)?))
    }

    /// The profile that has the address takes what this row says, and not what the
    /// later one said.
    async fn update_instead(
        &self,
        row: &Row,
        found: &ProfileItem,
        task: Task<'_>,
    ) -> Result<Plan, Failure> {
        let (table, profile) = (&self.table, &row.profile);
        let later = found.line.unwrap_or_default();
        let stays = Plan::Answered(Verdict::Repeated(later));
        let lock: Option<LockItem> = table.get(&lock_key(profile.email.key())).await?;
        let Some(lock) = lock.filter(|lock| !lock.yields()) else {
            return Ok(stays);
        };
        let now: Option<ProfileItem> = table.get(&profile_key(lock.profile_id)).await?;
        let Some(now) = now.filter(|now| now.is_present(self.clock.now())) else {
            return Ok(stays);
        };
        let dry_run = task.import.options.dry_run;
        let is_undone = found.outcome == Some(Outcome::Updated) && !dry_run;
        let before = match is_undone {
            true => before_row(&now, (task.import.id, later)),
            // The later row changed nothing. A change since then stays; a dry run
            // overwrites none.
            false => (dry_run || now.updated_at <= found.updated_at).then(|| now.clone()),
        };
        let Some(before) = before.filter(|before| before.email_key == profile.email.key()) else {
            return Ok(stays);
        };
        let after = match merged(&before, profile) {
            Ok(after) => after,
            Err(violation) => return Ok(Plan::Answered(Verdict::Refused(violation))),
        };
        let outcome = outcome(&before, &after);
        let mut actions = vec![self.trace(row, found, outcome, task)?];
        if found.outcome == Some(Outcome::Updated) {
            actions.push(self.correction(row, later, Outcome::Updated, task)?);
        }
        if !dry_run && (is_undone || outcome == Outcome::Updated) {
            let update = Update {
                stored: &now,
                before: &before,
                after,
            };
            actions.extend(update.actions(table, row, task)?);
        }
        Ok(Plan::Actions(actions, outcome))
    }

    /// What is left of this row in the place of what the later one left.
    fn trace(
        &self,
        row: &Row,
        found: &ProfileItem,
        outcome: Outcome,
        task: Task<'_>,
    ) -> Result<TransactWriteItem, Failure> {
        let profile = &row.profile;
        let trace =
            ProfileItem::of_row(profile.id, (task.import.id, row.line), outcome, profile.now);
        let unchanged = Condition::new("line = :line AND #outcome = :outcome")
            .with(":line", number(found.line.unwrap_or_default()))
            .with(":outcome", encode_value(&found.outcome)?);
        self.table.put(&profile_key(profile.id), &trace, &unchanged)
    }

    fn correction(
        &self,
        row: &Row,
        later: u64,
        was: Outcome,
        task: Task<'_>,
    ) -> Result<TransactWriteItem, Failure> {
        let correction = Correction::new(later, row.line, was, row.profile.now);
        correction.put(&self.table, task.import.id)
    }
}

/// Whether a profile is what the row made it: nobody changed it, confirmed it, or
/// found that no mail reaches it.
fn is_untouched(profile: &ProfileItem, import: &ImportItem) -> bool {
    let status = match import.options.confirm {
        Confirm::MarkConfirmed => ProfileStatus::Confirmed,
        Confirm::Skip | Confirm::Send => ProfileStatus::Pending,
    };
    profile.status == status
        && profile.updated_by == CREATED_BY
        && profile.updated_at == profile.created_at
}
