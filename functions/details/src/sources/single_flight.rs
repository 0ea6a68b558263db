//! Single flight: whoever asks for what is being asked for already waits for that
//! answer.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};

type Flight<T> = Shared<BoxFuture<'static, T>>;

/// Answers that are under way, by what was asked for.
///
/// An answer belongs to those who wait for it: once nobody does, it is cancelled.
pub(crate) struct Flights<T> {
    under_way: Mutex<HashMap<String, WeakShared<BoxFuture<'static, T>>>>,
}

/// Nothing is under way.
impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self {
            under_way: Mutex::default(),
        }
    }
}

impl<T: Clone> Flights<T> {
    /// Joins what is under way, or starts it.
    pub(crate) fn join(
        &self,
        key: &str,
        start: impl FnOnce() -> BoxFuture<'static, T>,
    ) -> Flight<T> {
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        under_way.retain(|_, flight| {
            flight
                .upgrade()
                .is_some_and(|flight| flight.peek().is_none())
        });
        if let Some(flight) = under_way.get(key).and_then(WeakShared::upgrade) {
            return flight;
        }
        let flight = start().shared();
        if let Some(weak) = flight.downgrade() {
            under_way.insert(key.to_owned(), weak);
        }
        flight
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures_util::future::join;
    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn two_who_ask_the_same_share_one_answer() {
        let (flights, asked) = (Flights::default(), AtomicU32::new(0));
        let go = Arc::new(Notify::new());
        let ask = |key: &str| {
            flights.join(key, || {
                let (number, go) = (asked.fetch_add(1, Ordering::SeqCst), go.clone());
                Box::pin(async move {
                    go.notified().await;
                    number
                })
            })
        };
        let (first, same, other) = (ask("a"), ask("a"), ask("b"));
        go.notify_one();
        assert_eq!(join(first, same).await, (0, 0));
        go.notify_one();
        assert_eq!(other.await, 1);
        go.notify_one();
        assert_eq!(
            ask("a").await,
            2,
            "an answer that is there is no longer under way"
        );
    }

    #[tokio::test]
    async fn what_nobody_waits_for_is_cancelled() {
        let (flights, alive) = (Flights::default(), Arc::new(()));
        let ask = || {
            flights.join("a", || {
                let alive = alive.clone();
                Box::pin(async move {
                    let _alive = alive;
                    std::future::pending::<()>().await;
                })
            })
        };
        let (first, second) = (ask(), ask());
        drop(first);
        assert_eq!(Arc::strong_count(&alive), 2);
        drop(second);
        assert_eq!(Arc::strong_count(&alive), 1);
    }
}
