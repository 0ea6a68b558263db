//! A link's token turned into a confirmed profile.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem, Update};
use muster_core::failure::Failure;
use muster_core::mail::{MailItem, mail_key};
use muster_core::profile::{ProfileStatus, expired, list, lock_key, profile_key};
use muster_core::random::Random;
use muster_core::table::{Key, NotCommitted, Table, number, text};
use muster_core::time::Clock;
use muster_core::token::Token;

/// Confirms addresses.
pub struct Confirmations {
    table: Table,
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

impl Confirmations {
    /// Confirmations in that table.
    pub const fn new(table: Table, clock: Clock, random: Random) -> Self {
        Self {
            table,
            clock,
            random,
        }
    }

    /// Looks at a token and changes nothing: mail scanners open links too.
    ///
    /// # Errors
    /// When the table cannot be read.
    pub async fn standing(&self, token: &Token) -> Result<Standing, Failure> {
        Ok(self.look(token).await?.0)
    }

    /// Confirms the address that the token was sent to: profile, lock and
    /// mail in one transaction, after which nothing of it expires.
    ///
    /// # Errors
    /// When the table cannot be reached.
    pub async fn confirm(&self, token: &Token) -> Result<Outcome, Failure> {
        let (standing, mail) = self.look(token).await?;
        let (Standing::Fresh, Some(mail)) = (standing, mail) else {
            return Ok(Outcome::Refused(standing));
        };
        match self
            .table
            .transact(self.actions(&mail)?, &self.random.name())
            .await
        {
            Ok(()) => {
                tracing::info!(profile_id = %mail.profile_id, "address confirmed");
                Ok(Outcome::Confirmed)
            }
            // Another click was faster, or the profile has changed: look again.
            Err(NotCommitted::Cancelled(reasons)) => match self.standing(token).await? {
                Standing::Fresh => Err(Failure::Unavailable {
                    operation: "TransactWriteItems",
                    source: NotCommitted::Cancelled(reasons).into(),
                }),
                standing => Ok(Outcome::Refused(standing)),
            },
            Err(NotCommitted::Failed(failure)) => Err(failure),
        }
    }

    async fn look(&self, token: &Token) -> Result<(Standing, Option<MailItem>), Failure> {
        let mail: Option<MailItem> = self.table.get(&mail_key(token.profile, token.mail)).await?;
        let standing = mail
            .as_ref()
            .map_or(Standing::Unknown, |mail| self.judge(token, mail));
        Ok((standing, mail))
    }

    fn judge(&self, token: &Token, mail: &MailItem) -> Standing {
        let now = self.clock.now();
        if token.matches(&mail.used_token_hashes) {
            Standing::Used
        } else if !token.matches(&mail.token_hashes) {
            Standing::Unknown
        } else if expired(mail.expires_at, now) || mail.links_until.is_none_or(|until| until <= now)
        {
            Standing::Expired
        } else {
            Standing::Fresh
        }
    }

    fn actions(&self, mail: &MailItem) -> Result<Vec<TransactWriteItem>, Failure> {
        let now = self.clock.now();
        let profile = self.update(
            &profile_key(mail.profile_id),
            "attribute_exists(pk) AND #status IN (:pending, :undeliverable) AND email_key = :email_key \
             AND (attribute_not_exists(expires_at) OR expires_at > :seconds)",
            "SET #status = :confirmed, version = version + :one, updated_at = :now, \
                 updated_by = :owner, #list = :list REMOVE expires_at",
            [
                (":pending", ProfileStatus::Pending.into()),
                (":undeliverable", ProfileStatus::Undeliverable.into()),
                (":confirmed", ProfileStatus::Confirmed.into()),
                (":email_key", text(&mail.email_key)),
                (":seconds", number(now.as_seconds())),
                (":now", number(now.as_millis())),
                (":one", number(1)),
                (":owner", text("owner")),
                (":list", text(list(ProfileStatus::Confirmed, mail.profile_id))),
            ],
        );
        let lock = self.update(
            &lock_key(&mail.email_key),
            "profile_id = :id",
            "REMOVE expires_at",
            [(":id", text(mail.profile_id.to_string()))],
        );
        let mail = self.update(
            &mail.key(),
            "attribute_exists(token_hashes)",
            "SET used_token_hashes = token_hashes REMOVE token_hashes, links_until, expires_at",
            [],
        );
        [profile, lock, mail].into_iter().collect()
    }

    fn update<const N: usize>(
        &self,
        key: &Key,
        condition: &str,
        expression: &str,
        values: [(&str, AttributeValue); N],
    ) -> Result<TransactWriteItem, Failure> {
        let names = [("#status", "status"), ("#list", "list")]
            .into_iter()
            .filter(|(name, _)| condition.contains(name) || expression.contains(name))
            .map(|(name, attribute)| (name.to_owned(), attribute.to_owned()))
            .collect::<HashMap<_, _>>();
        let values: HashMap<_, _> = values
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        let update = Update::builder()
            .table_name(self.table.name())
            .set_key(Some(key.to_item()))
            .condition_expression(condition)
            .update_expression(expression)
            // DynamoDB refuses empty maps.
            .set_expression_attribute_names(Some(names).filter(|names| !names.is_empty()))
            .set_expression_attribute_values(Some(values).filter(|values| !values.is_empty()))
            .build()
            .map_err(|error| Failure::unreadable("build Update", error))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }
}
