//! Profiles in transactions of many rows.
//!
//! A transaction commits all its rows or none, and says of each action why it
//! would not. A row that clashes is answered and dropped, and the rest goes
//! again. What a clash means is read off the item that was in the way:
//!
//! | in the way | then |
//! | --- | --- |
//! | our own profile, of this line | created, by an earlier try of ours |
//! | our own profile, of another line | skipped: that row was first |
//! | another profile's lock | skipped |

use std::time::Duration;

use aws_sdk_dynamodb::types::CancellationReason;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use muster_core::failure::Failure;
use muster_core::import::{Confirm, Counts};
use muster_core::profile::{LOCK_ACTION, LockItem, NewProfile, PROFILE_ACTION, ProfileItem};
use muster_core::random::Random;
use muster_core::table::{MAX_TRANSACTION_ACTIONS, NotCommitted, Table, condition_failed, decode};

/// Transactions under way at once. Eight of 100 writes keep a fresh on-demand
/// table (4,000 write units a second) busy without drowning it.
const CONCURRENCY: usize = 8;
/// Tries of one transaction that is throttled or in conflict.
const MAX_TRIES: u32 = 8;
/// The back-off before the second try; doubled before each further one.
const FIRST_BACK_OFF: Duration = Duration::from_millis(50);

/// Writes profiles.
pub struct Writer {
    table: Table,
    random: Random,
}

/// What became of a row in a transaction that did not commit.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Created,
    Skipped,
    Again,
}

impl Writer {
    /// A writer to that table.
    pub const fn new(table: Table, random: Random) -> Self {
        Self { table, random }
    }

    /// Writes every profile that is not there yet and counts what became of
    /// each.
    ///
    /// # Errors
    /// When the table stays out of reach. Some of the rows may be written;
    /// writing them again counts them right.
    pub async fn write(
        &self,
        profiles: &[NewProfile],
        confirm: Confirm,
    ) -> Result<Counts, Failure> {
        let actions_a_row = match confirm {
            Confirm::Skip => 2,
            Confirm::Send => 3,
        };
        stream::iter(profiles.chunks(MAX_TRANSACTION_ACTIONS / actions_a_row))
            .map(|rows| self.write_together(rows.iter().collect(), confirm))
            .buffer_unordered(CONCURRENCY)
            .try_fold(Counts::default(), async |sum, counts| Ok(sum + counts))
            .await
    }

    async fn write_together(
        &self,
        mut rows: Vec<&NewProfile>,
        confirm: Confirm,
    ) -> Result<Counts, Failure> {
        let mut counts = Counts::default();
        let mut token = self.random.name();
        let mut tries = 0;
        while !rows.is_empty() {
            let failure = match self.commit(&rows, confirm, &token).await {
                Ok(()) => {
                    counts.created += rows.len() as u64;
                    return Ok(counts);
                }
                Err(NotCommitted::Cancelled(reasons)) => {
                    let before = rows.len();
                    rows = settle(rows, &reasons, &mut counts)?;
                    token = self.random.name();
                    if rows.len() < before {
                        continue;
                    }
                    NotCommitted::Cancelled(reasons).into()
                }
                Err(NotCommitted::Failed(failure)) => failure,
            };
            tries += 1;
            if !failure.is_transient() || tries == MAX_TRIES {
                return Err(failure);
            }
            tokio::time::sleep(self.random.up_to(FIRST_BACK_OFF * 2_u32.pow(tries))).await;
        }
        Ok(counts)
    }

    async fn commit(
        &self,
        rows: &[&NewProfile],
        confirm: Confirm,
        token: &str,
    ) -> Result<(), NotCommitted> {
        let mut actions = Vec::with_capacity(MAX_TRANSACTION_ACTIONS);
        for row in rows {
            let mail = (confirm == Confirm::Send).then(|| row.confirmation());
            actions.extend(row.actions(&self.table, mail.as_ref())?);
        }
        self.table.transact(actions, token).await
    }
}

/// Answers the rows that clashed and gives back the rest.
fn settle<'a>(
    rows: Vec<&'a NewProfile>,
    reasons: &[CancellationReason],
    counts: &mut Counts,
) -> Result<Vec<&'a NewProfile>, Failure> {
    let actions_a_row = reasons.len() / rows.len().max(1);
    let mut again = Vec::new();
    for (row, reasons) in rows.into_iter().zip(reasons.chunks(actions_a_row.max(1))) {
        match judge(row, reasons)? {
            Verdict::Created => counts.created += 1,
            Verdict::Skipped => counts.skipped += 1,
            Verdict::Again => again.push(row),
        }
    }
    Ok(again)
}

/// Reads the reasons of one row's actions.
fn judge(row: &NewProfile, reasons: &[CancellationReason]) -> Result<Verdict, Failure> {
    let clash = |action: usize| {
        reasons
            .get(action)
            .filter(|reason| condition_failed(reason))
    };
    let line = row.row.map(|(_, line)| line);
    if let Some(reason) = clash(LOCK_ACTION) {
        let lock: LockItem = in_the_way(reason)?;
        let ours = lock.profile_id == row.id && lock.line == line;
        return Ok(if ours {
            Verdict::Created
        } else {
            Verdict::Skipped
        });
    }
    // The address was free but the id is not: the profile was ours and its
    // owner has another address by now. That edit is not to be touched.
    if let Some(reason) = clash(PROFILE_ACTION) {
        let profile: ProfileItem = in_the_way(reason)?;
        return Ok(if profile.line == line {
            Verdict::Created
        } else {
            Verdict::Skipped
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
    use muster_core::email::Email;
    use muster_core::ids::{ImportId, ProfileId};
    use muster_core::person::Attributes;
    use muster_core::profile::{Source, lock_key, profile_key};
    use muster_core::table::{Item, encode};
    use muster_core::time::Time;

    fn row(address: &str, line: u64) -> NewProfile {
        let import = ImportId::of_event("b", "k", "1");
        let email = Email::parse(address).unwrap();
        NewProfile {
            id: ProfileId::imported(import, email.key()),
            email,
            name: None,
            locale: None,
            attributes: Attributes::default(),
            source: Source::Import,
            created_by: "import".to_owned(),
            row: Some((import, line)),
            now: Time::from_millis(0),
        }
    }

    fn lock_of(row: &NewProfile) -> Item {
        encode(&lock_key(row.email.key()), &row.lock(0)).unwrap()
    }

    fn profile_of(row: &NewProfile) -> Item {
        encode(&profile_key(row.id), &row.item()).unwrap()
    }

    fn reason(code: &str, item: Option<Item>) -> CancellationReason {
        CancellationReason::builder()
            .code(code)
            .set_item(item)
            .build()
    }

    const CLASH: &str = "ConditionalCheckFailed";

    #[test]
    fn the_item_in_the_way_says_what_a_clash_means() {
        let ours = row("ada@example.com", 5);
        let earlier = row("ada@example.com", 2);
        let mut strangers = row("ada@example.com", 5);
        strangers.id = ProfileId::imported(ImportId::of_event("b", "k", "2"), "ada@example.com");
        for (profile, lock, verdict) in [
            (
                reason(CLASH, Some(profile_of(&ours))),
                reason(CLASH, Some(lock_of(&ours))),
                Verdict::Created,
            ),
            (
                reason(CLASH, Some(profile_of(&earlier))),
                reason(CLASH, Some(lock_of(&earlier))),
                Verdict::Skipped,
            ),
            (
                reason("None", None),
                reason(CLASH, Some(lock_of(&strangers))),
                Verdict::Skipped,
            ),
            (
                reason(CLASH, Some(profile_of(&ours))),
                reason("None", None),
                Verdict::Created,
            ),
            (
                reason(CLASH, Some(profile_of(&earlier))),
                reason("None", None),
                Verdict::Skipped,
            ),
            (reason("None", None), reason("None", None), Verdict::Again),
            (
                reason("TransactionConflict", None),
                reason("None", None),
                Verdict::Again,
            ),
            (
                reason("None", None),
                reason("ThrottlingError", None),
                Verdict::Again,
            ),
        ] {
            assert_eq!(judge(&ours, &[profile, lock]).unwrap(), verdict);
        }
    }

    #[test]
    fn what_can_never_pass_is_not_tried_for_ever() {
        let row = row("ada@example.com", 5);
        let failure = judge(
            &row,
            &[reason("ValidationError", None), reason("None", None)],
        )
        .unwrap_err();
        assert!(!failure.is_transient());
    }

    #[test]
    fn clashing_rows_are_dropped_and_the_rest_goes_again() {
        let rows = [row("a@x.org", 2), row("b@x.org", 3), row("c@x.org", 4)];
        let reasons = [
            reason("None", None),
            reason("None", None),
            reason(CLASH, Some(profile_of(&rows[1]))),
            reason(CLASH, Some(lock_of(&rows[1]))),
            reason("None", None),
            reason("None", None),
        ];
        let mut counts = Counts::default();
        let rest = settle(rows.iter().collect(), &reasons, &mut counts).unwrap();
        let lines: Vec<u64> = rest
            .iter()
            .filter_map(|row| row.row)
            .map(|(_, line)| line)
            .collect();
        assert_eq!(lines, [2, 4]);
        assert_eq!(
            counts,
            Counts {
                created: 1,
                ..Counts::default()
            }
        );
    }
}
