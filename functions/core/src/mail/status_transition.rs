//! Where an event moves a mail.
//!
//! ```text
//!  queued, sending ──Send──▶ sent ──Delivery──▶ delivered ──Bounce──▶ bounced
//!                             └────────────────────Reject──▶ abandoned
//! ```
//!
//! Only ever forward, over as many steps as it takes: an event that comes
//! again, or after a later one, finds the mail further on and changes nothing.
//! A mail that is still `queued` or `sending` was accepted by SES, and whoever
//! sent it died, or does not know it yet: the event saves it from going again.
//! One that was given up meanwhile went all the same, and says so.

use crate::mail::item::{MailItem, MailStatus};

use crate::mail::ses_event::News;

/// A move of a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step<'a> {
    /// To that status.
    pub to: MailStatus,
    /// And why, if it did not go well.
    pub reason: Option<&'a str>,
    from: &'static [MailStatus],
}

const NOT_YET_SENT: &[MailStatus] = &[MailStatus::Queued, MailStatus::Sending];
const NOT_YET_DELIVERED: &[MailStatus] =
    &[MailStatus::Queued, MailStatus::Sending, MailStatus::Sent];
const NOT_YET_BACK: &[MailStatus] = &[
    MailStatus::Queued,
    MailStatus::Sending,
    MailStatus::Sent,
    MailStatus::Delivered,
];

impl<'a> Step<'a> {
    /// The move that an event asks for.
    pub fn of(news: &'a News) -> Self {
        let (to, from, reason) = match news {
            News::Sent => (MailStatus::Sent, NOT_YET_SENT, None),
            News::Delayed(reason) => (MailStatus::Sent, NOT_YET_DELIVERED, Some(reason)),
            News::Delivered => (MailStatus::Delivered, NOT_YET_DELIVERED, None),
            // Who complains has got it.
            News::Complained(reason) => (MailStatus::Delivered, NOT_YET_BACK, Some(reason)),
            News::Bounced { reason, .. } => (MailStatus::Bounced, NOT_YET_BACK, Some(reason)),
            News::Rejected(reason) => (MailStatus::Abandoned, NOT_YET_DELIVERED, Some(reason)),
        };
        Self {
            to,
            reason: reason.map(String::as_str),
            from,
        }
    }

    /// Whether it has moved this mail already: the event comes again.
    pub fn is_made(&self, mail: &MailItem) -> bool {
        mail.status == self.to
            && mail.ses_message_id.is_some()
            && mail.reason.as_deref() == self.reason
    }

    /// Whether it moves this mail.
    pub fn moves(&self, mail: &MailItem) -> bool {
        self.moves_from(mail.status, mail.ses_message_id.is_some())
    }

    fn moves_from(&self, status: MailStatus, is_reported: bool) -> bool {
        self.from.contains(&status) || (status == MailStatus::Abandoned && !is_reported)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::people::undeliverable::Cause;

    /// The status that events in this order lead to.
    fn after(start: MailStatus, news: &[&News]) -> (MailStatus, Option<String>) {
        let start = (start, None, false);
        let end = news
            .iter()
            .fold(start, |(status, reason, is_reported), news| {
                let step = Step::of(news);
                if step.moves_from(status, is_reported) {
                    (step.to, step.reason.map(str::to_owned), true)
                } else {
                    (status, reason, is_reported)
                }
            });
        (end.0, end.1)
    }

    /// All orders of these.
    fn orders<'a>(news: &[&'a News]) -> Vec<Vec<&'a News>> {
        if news.is_empty() {
            return vec![Vec::new()];
        }
        let mut all = Vec::new();
        for (index, first) in news.iter().enumerate() {
            let mut rest = news.to_vec();
            rest.remove(index);
            for mut order in orders(&rest) {
                order.insert(0, first);
                all.push(order);
            }
        }
        all
    }

    #[test]
    fn neither_order_nor_repetition_matters() {
        let reason = || "reason".to_owned();
        let [delayed, complained, rejected] = [
            News::Delayed(reason()),
            News::Complained(reason()),
            News::Rejected(reason()),
        ];
        let bounced = News::Bounced {
            blamed: Some(Cause::Bounced),
            reason: reason(),
        };
        let (sent, delivered) = (News::Sent, News::Delivered);
        // What SES reports of one mail, in the order it happened.
        let lives: [&[&News]; 5] = [
            &[&sent, &delayed, &delivered],
            &[&sent, &delivered, &complained],
            &[&sent, &delayed, &bounced],
            &[&sent, &delivered, &bounced, &complained],
            &[&sent, &rejected],
        ];
        for life in lives {
            let end = after(MailStatus::Sending, life);
            for mut order in orders(life) {
                for start in [
                    MailStatus::Queued,
                    MailStatus::Sending,
                    MailStatus::Abandoned,
                ] {
                    assert_eq!(after(start, &order), end, "{order:?}");
                }
                order.extend(order.clone());
                assert_eq!(after(MailStatus::Sending, &order), end, "{order:?}");
            }
        }
    }
}
