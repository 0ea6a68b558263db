//! Profiles in transactions of many rows.
//!
//! A transaction commits all its rows or none, and says of each action why it
//! would not. A row that clashes is answered and dropped, and the rest goes
//! again. What a clash means is read off the item that was in the way:
//!
//! | in the way | then |
//! | --- | --- |
//! | the row's own id, of this line | what an earlier try of ours made of it |
//! | the row's own id, of an earlier line | skipped, or refused: that row is the first |
//! | the row's own id, of a later line | this row takes its place: see [`first_row`](crate::first_row) |
//! | the lock of a sign-up that is not confirmed | taken over: the sign-up is removed |
//! | another profile's lock | skipped, refused, or that profile updated |
//!
//! A dry run writes what became of the row in the place of the profile, and only
//! looks at the lock: the same clashes, and nobody is any the wiser.

use aws_sdk_dynamodb::types::{CancellationReason, TransactWriteItem};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use muster_core::people::email_lock::{LockItem, lock_key};
use muster_core::people::new_profile::{LOCK_ACTION, PROFILE_ACTION};
use muster_core::people::profile::{Outcome, ProfileItem, profile_key};
use muster_core::people::validation::Violation;
use muster_core::platform::failure::Failure;
use muster_core::platform::random::Random;
use muster_core::platform::table::{
    Condition, MAX_TRANSACTION_ACTIONS, NotCommitted, Table, condition_failed, decode,
};
use muster_core::platform::time::Clock;
use muster_imports::import::{Counts, ImportItem};
use muster_imports::options::OnConflict;

use crate::corrections::imported_before;
use crate::first_row::{FirstRows, Plan};
use crate::patience::Patience;
use crate::row::BadRow;
use crate::task::Task;
use crate::turns::Turns;
use crate::update::Updates;
use crate::verdict::Verdict;
use crate::window::{Row, repeats, repeats_changed};

/// Transactions under way at once. Eight of 100 writes keep a fresh on-demand
/// table (4,000 write units a second) busy without drowning it.
const CONCURRENCY: usize = 8;

/// Writes profiles.
pub(crate) struct Writer {
    table: Table,
    updates: Updates,
    first_rows: FirstRows,
    turns: Turns,
    clock: Clock,
    random: Random,
}

/// What became of rows.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// How many of which.
    pub counts: Counts,
    /// Those that were refused, in any order; counted by whoever reports them.
    pub bad: Vec<BadRow>,
}

impl Writer {
    /// A writer to that table.
    pub(crate) fn new(table: Table, clock: Clock, random: Random) -> Self {
        Self {
            updates: Updates::new(table.clone(), clock.clone(), random.clone()),
            first_rows: FirstRows::new(table.clone(), clock.clone()),
            turns: Turns::default(),
            table,
            clock,
            random,
        }
    }

    /// Writes every profile that is not there yet and says what became of each
    /// row.
    ///
    /// # Errors
    /// When the table stays out of reach. Some of the rows may be written;
    /// writing them again finds them written.
    pub(crate) async fn write(&self, rows: &[Row], task: Task<'_>) -> Result<Written, Failure> {
        stream::iter(rows.chunks(MAX_TRANSACTION_ACTIONS / actions(task.import)))
            .map(|rows| self.write_together(rows.iter().collect(), task))
            .buffer_unordered(CONCURRENCY)
            .try_fold(Written::default(), async |sum, more| Ok(sum.and(more)))
            .await
    }

    async fn write_together(
        &self,
        mut rows: Vec<&Row>,
        task: Task<'_>,
    ) -> Result<Written, Failure> {
        let mut written = Written::default();
        let mut token = self.random.name();
        let mut patience = Patience::until(task.until, &self.clock, &self.random);
        while !rows.is_empty() {
            patience.check()?;
            let failure = match self.commit(&rows, task.import, &token).await {
                Ok(()) => {
                    written.counts.created += rows.len() as u64;
                    return Ok(written);
                }
                Err(NotCommitted::Cancelled(reasons)) => {
                    let before = rows.len();
                    let verdicts = verdicts(&rows, &reasons, actions(task.import))?;
                    rows = self
                        .settle(rows.into_iter().zip(verdicts), task, &mut written)
                        .await?;
                    token = self.random.name();
                    if rows.len() < before {
                        continue;
                    }
                    NotCommitted::Cancelled(reasons).into()
                }
                Err(NotCommitted::Failed(failure)) => failure,
            };
            patience.wait(failure).await?;
        }
        Ok(written)
    }

    async fn commit(
        &self,
        rows: &[&Row],
        import: &ImportItem,
        token: &str,
    ) -> Result<(), NotCommitted> {
        self.turns.next().await;
        let mut actions = Vec::with_capacity(MAX_TRANSACTION_ACTIONS);
        for row in rows {
            actions.extend(self.actions(row, import)?);
        }
        // To write it out and sign it takes as long again.
        self.turns.next().await;
        self.table.transact(actions, token).await
    }

    /// What makes a profile of a row; in a dry run, what finds out whether it
    /// would. The first is of the row's own id, the second of its lock.
    fn actions(&self, row: &Row, import: &ImportItem) -> Result<Vec<TransactWriteItem>, Failure> {
        let profile = &row.profile;
        if import.options.dry_run {
            let of = (import.id, row.line);
            let would = ProfileItem::of_row(profile.id, of, Outcome::Created, profile.now);
            let free = Condition::new("attribute_not_exists(pk) OR attribute_exists(expires_at)");
            return Ok(vec![
                self.table
                    .put(&profile_key(profile.id), &would, &Condition::absent())?,
                self.table.check(&lock_key(profile.email.key()), &free)?,
            ]);
        }
        let mail = import.sends_mails().then(|| profile.confirmation());
        // A sign-up that has expired leaves more than its lock: it is taken over.
        let free = Condition::absent();
        profile.actions_on(&self.table, &profile.item(), mail.as_ref(), &free)
    }

    /// Answers the rows that clashed and gives back the rest.
    async fn settle<'r>(
        &self,
        rows: impl Iterator<Item = (&'r Row, Verdict)>,
        task: Task<'_>,
        written: &mut Written,
    ) -> Result<Vec<&'r Row>, Failure> {
        let rows = self.recall(rows.collect(), task).await?;
        let answered = stream::iter(rows)
            .map(async |(row, verdict)| {
                let verdict = self.answer(row, verdict, task).await?;
                Ok::<_, Failure>((row, verdict))
            })
            .buffered(CONCURRENCY);
        let answered: Vec<_> = answered.try_collect().await?;
        let mut again = Vec::new();
        for (row, verdict) in answered {
            match verdict {
                Verdict::Again => again.push(row),
                verdict => written.add(verdict, row, task),
            }
        }
        Ok(again)
    }

    /// An earlier try may have written a row that lost its place since: it counts as
    /// what it was written as, and its correction does the rest.
    async fn recall<'r>(
        &self,
        mut rows: Vec<(&'r Row, Verdict)>,
        task: Task<'_>,
    ) -> Result<Vec<(&'r Row, Verdict)>, Failure> {
        let repeated = rows.iter().filter_map(|(row, verdict)| match verdict {
            Verdict::Repeated(first) if *first < row.line => Some(row.line),
            _ => None,
        });
        let before = imported_before(&self.table, task.import.id, repeated).await?;
        for (row, verdict) in &mut rows {
            if let Some(outcome) = before.get(&row.line) {
                *verdict = Verdict::Known(*outcome);
            }
        }
        Ok(rows)
    }

    /// Does what a row needs by itself.
    async fn answer(
        &self,
        row: &Row,
        verdict: Verdict,
        task: Task<'_>,
    ) -> Result<Verdict, Failure> {
        match (verdict, task.import.options.on_conflict) {
            (Verdict::Taken(owner), OnConflict::Update) => {
                self.updates.update(row, owner, task).await
            }
            (Verdict::First(found), _) => match self.first_rows.plan(row, &found, task).await? {
                Plan::Actions(actions, outcome) => self.commit_one(actions, outcome, task).await,
                Plan::Answered(verdict) => Ok(verdict),
            },
            (Verdict::SignedUp(lock), _) => {
                let profile = &row.profile;
                let mail = task.import.sends_mails().then(|| profile.confirmation());
                let item = profile.item();
                let actions = profile.actions_over(&self.table, &item, mail.as_ref(), &lock)?;
                self.commit_one(actions, Outcome::Created, task).await
            }
            (verdict, _) => Ok(verdict),
        }
    }

    /// Commits the actions of one row. If something else was faster, the row is
    /// judged again.
    async fn commit_one(
        &self,
        actions: Vec<TransactWriteItem>,
        outcome: Outcome,
        task: Task<'_>,
    ) -> Result<Verdict, Failure> {
        let token = self.random.name();
        let mut patience = Patience::until(task.until, &self.clock, &self.random);
        loop {
            patience.check()?;
            match self.table.transact(actions.clone(), &token).await {
                Ok(()) => return Ok(Verdict::Known(outcome)),
                Err(NotCommitted::Cancelled(_)) => return Ok(Verdict::Again),
                Err(NotCommitted::Failed(failure)) => patience.wait(failure).await?,
            }
        }
    }
}

impl Written {
    fn add(&mut self, verdict: Verdict, row: &Row, task: Task<'_>) {
        let refuses = task.import.options.on_conflict == OnConflict::Fail;
        let mut refuse = |column, violation| self.bad.push(row.refused(column, violation));
        match verdict {
            Verdict::Known(Outcome::Created) => self.counts.created += 1,
            Verdict::Known(Outcome::Updated) => self.counts.updated += 1,
            Verdict::Repeated(other) if refuses => {
                let violation = match other < row.line {
                    true => repeats(other),
                    false => repeats_changed(other),
                };
                refuse(Some(task.email), violation);
            }
            Verdict::Taken(_) if refuses => refuse(
                Some(task.email),
                Violation::new("address_taken", "another profile has this address"),
            ),
            Verdict::Refused(violation) => refuse(None, violation),
            Verdict::Known(Outcome::Unchanged) | Verdict::Repeated(_) | Verdict::Taken(_) => {
                self.counts.skipped += 1;
            }
            Verdict::Again | Verdict::First(_) | Verdict::SignedUp(_) => {}
        }
    }

    fn and(mut self, other: Self) -> Self {
        self.counts = self.counts + other.counts;
        self.bad.extend(other.bad);
        self
    }
}

/// How many actions make a row a profile.
fn actions(import: &ImportItem) -> usize {
    match import.sends_mails() {
        true => 3,
        false => 2,
    }
}

/// Reads the reasons of a transaction, row by row.
fn verdicts(
    rows: &[&Row],
    reasons: &[CancellationReason],
    actions_a_row: usize,
) -> Result<Vec<Verdict>, Failure> {
    rows.iter()
        .zip(reasons.chunks(actions_a_row))
        .map(|(row, reasons)| judge(row, reasons))
        .collect()
}

/// Reads the reasons of one row's actions. What stands at the row's own id comes
/// first: that profile may have another address by now, or be gone, and is not
/// to be touched again.
fn judge(row: &Row, reasons: &[CancellationReason]) -> Result<Verdict, Failure> {
    let clash = |action: usize| {
        reasons
            .get(action)
            .filter(|reason| condition_failed(reason))
    };
    if let Some(reason) = clash(PROFILE_ACTION) {
        return Ok(known(row, in_the_way(reason)?));
    }
    if let Some(reason) = clash(LOCK_ACTION) {
        let lock: LockItem = in_the_way(reason)?;
        return Ok(match lock.yields() {
            true => Verdict::SignedUp(Box::new(lock)),
            false => Verdict::Taken(lock.profile_id),
        });
    }
    // A mail without its profile, or an action that DynamoDB finds invalid:
    // trying again would not end.
    if let Some(reason) = reasons.iter().find(|reason| !may_pass(reason)) {
        let error = format!("a row was refused: {}", reason.code().unwrap_or("?"));
        return Err(Failure::unreadable("TransactWriteItems", error));
    }
    Ok(Verdict::Again)
}

/// What stands at the id of a row says what became of that row, or of the other one
/// that has the address.
fn known(row: &Row, there: ProfileItem) -> Verdict {
    match there.line {
        Some(line) if line < row.line => Verdict::Repeated(line),
        Some(line) if line > row.line => Verdict::First(Box::new(there)),
        _ => Verdict::Known(there.outcome.unwrap_or(Outcome::Created)),
    }
}

/// The item that a condition failed on.
///
/// # Errors
/// When it cannot be understood.
fn in_the_way<T: serde::de::DeserializeOwned>(reason: &CancellationReason) -> Result<T, Failure> {
    decode(reason.item.clone().unwrap_or_default())
}

/// Whether the action itself was fine, or only the moment was not.
fn may_pass(reason: &CancellationReason) -> bool {
    matches!(
        reason.code(),
        None | Some(
            "None" | "TransactionConflict" | "ProvisionedThroughputExceeded" | "ThrottlingError"
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_core::people::email::Email;
    use muster_core::people::new_profile::NewProfile;
    use muster_core::people::person::Attributes;
    use muster_core::people::source::Source;
    use muster_core::platform::ids::ImportId;
    use muster_core::platform::ids::ProfileId;
    use muster_core::platform::table::{Item, encode};
    use muster_core::platform::time::Time;
    use muster_imports::import::ImportItem;
    use muster_imports::options::Options;

    fn import(of: &str) -> ImportId {
        ImportId::of_event("b", "k", of)
    }

    fn row_of(import: ImportId, address: &str, line: u64) -> Row {
        let email = Email::parse(address).unwrap();
        let profile = NewProfile {
            id: ProfileId::imported(import, email.key()),
            email,
            name: None,
            locale: None,
            attributes: Attributes::default(),
            source: Source::Import,
            created_by: "import".to_owned(),
            row: Some((import, line)),
            confirmed: false,
            now: Time::from_millis(0),
        };
        Row {
            profile,
            line,
            fields: vec![address.as_bytes().to_vec()],
        }
    }

    fn row(address: &str, line: u64) -> Row {
        row_of(import("1"), address, line)
    }

    fn lock_of(row: &Row) -> Item {
        let profile = &row.profile;
        encode(&lock_key(profile.email.key()), &profile.lock(0)).unwrap()
    }

    fn profile_of(row: &Row) -> Item {
        encode(&profile_key(row.profile.id), &row.profile.item()).unwrap()
    }

    fn left_of(row: &Row, outcome: Outcome) -> Item {
        let profile = &row.profile;
        let left = ProfileItem::of_row(profile.id, profile.row.unwrap(), outcome, profile.now);
        encode(&profile_key(profile.id), &left).unwrap()
    }

    fn reason(code: &str, item: Option<Item>) -> CancellationReason {
        CancellationReason::builder()
            .code(code)
            .set_item(item)
            .build()
    }

    fn clash(item: Item) -> CancellationReason {
        reason("ConditionalCheckFailed", Some(item))
    }

    #[test]
    fn the_item_in_the_way_says_what_a_clash_means() {
        let none = || reason("None", None);
        let ours = row("ada@example.com", 5);
        let earlier = row("ada@example.com", 2);
        let strangers = row_of(import("2"), "ada@example.com", 5);
        let taken = Verdict::Taken(strangers.profile.id);
        let later = row("ada@example.com", 9);
        let signed_up = LockItem {
            expires_at: Some(1),
            ..strangers.profile.lock(1)
        };
        let lock_key = lock_key("ada@example.com");
        for (profile, lock, verdict) in [
            (
                clash(profile_of(&later)),
                clash(lock_of(&later)),
                Verdict::First(Box::new(later.profile.item())),
            ),
            (
                none(),
                clash(encode(&lock_key, &signed_up).unwrap()),
                Verdict::SignedUp(Box::new(signed_up)),
            ),
            (
                clash(profile_of(&ours)),
                clash(lock_of(&ours)),
                Verdict::Known(Outcome::Created),
            ),
            (
                clash(profile_of(&earlier)),
                clash(lock_of(&earlier)),
                Verdict::Repeated(2),
            ),
            (none(), clash(lock_of(&strangers)), taken),
            // It has another address by now.
            (
                clash(profile_of(&ours)),
                none(),
                Verdict::Known(Outcome::Created),
            ),
            // It has, and somebody else took the one it had.
            (
                clash(profile_of(&ours)),
                clash(lock_of(&strangers)),
                Verdict::Known(Outcome::Created),
            ),
            (clash(profile_of(&earlier)), none(), Verdict::Repeated(2)),
            // It was erased, or was another profile's change from the start.
            (
                clash(left_of(&ours, Outcome::Created)),
                none(),
                Verdict::Known(Outcome::Created),
            ),
            (
                clash(left_of(&ours, Outcome::Updated)),
                clash(lock_of(&strangers)),
                Verdict::Known(Outcome::Updated),
            ),
            (
                clash(left_of(&earlier, Outcome::Updated)),
                none(),
                Verdict::Repeated(2),
            ),
            (none(), none(), Verdict::Again),
            (reason("TransactionConflict", None), none(), Verdict::Again),
            (none(), reason("ThrottlingError", None), Verdict::Again),
        ] {
            assert_eq!(judge(&ours, &[profile, lock]).unwrap(), verdict);
        }
    }

    #[test]
    fn what_can_never_pass_is_not_tried_for_ever() {
        let row = row("ada@example.com", 5);
        let reasons = [reason("ValidationError", None), reason("None", None)];
        let failure = judge(&row, &reasons).unwrap_err();
        assert!(!failure.is_transient());
    }

    #[test]
    fn each_row_has_its_own_reasons() {
        let rows = [row("a@x.org", 2), row("b@x.org", 3), row("c@x.org", 4)];
        let none = || reason("None", None);
        let reasons = [
            none(),
            none(),
            clash(profile_of(&rows[1])),
            clash(lock_of(&rows[1])),
            none(),
            none(),
        ];
        let rows: Vec<_> = rows.iter().collect();
        let created = Verdict::Known(Outcome::Created);
        let expected = [Verdict::Again, created, Verdict::Again];
        assert_eq!(verdicts(&rows, &reasons, 2).unwrap(), expected);
    }

    #[test]
    fn what_a_conflict_comes_to_is_the_imports_to_say() {
        let taken = || Verdict::Taken(row("x@x.org", 1).profile.id);
        for (on_conflict, verdict, skipped, code) in [
            (OnConflict::Skip, taken(), 1, None),
            (OnConflict::Skip, Verdict::Repeated(3), 1, None),
            (OnConflict::Update, Verdict::Repeated(3), 1, None),
            (
                OnConflict::Update,
                Verdict::Known(Outcome::Unchanged),
                1,
                None,
            ),
            (OnConflict::Fail, taken(), 0, Some("address_taken")),
            (
                OnConflict::Fail,
                Verdict::Repeated(3),
                0,
                Some("repeated_address"),
            ),
            (
                OnConflict::Fail,
                Verdict::Repeated(9),
                0,
                Some("repeated_address"),
            ),
        ] {
            let now = Time::from_millis(0);
            let import = ImportItem {
                options: Options {
                    on_conflict,
                    ..Options::default()
                },
                ..ImportItem::new(import("1"), String::new(), String::new(), now)
            };
            let task = Task {
                import: &import,
                chunk: 0,
                email: "email",
                until: now,
            };
            let mut written = Written::default();
            written.add(verdict, &row("a@x.org", 7), task);
            assert_eq!(written.counts.rows(), skipped);
            let errors = written.bad.iter().flat_map(|bad| &bad.errors);
            let codes: Vec<_> = errors.map(|error| error.violation.code).collect();
            assert_eq!(codes, Vec::from_iter(code));
        }
    }
}
