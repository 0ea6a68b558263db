//! Much work of one loop, piece by piece.

use tokio::sync::Mutex;

/// Lets one of those that wait go on in each turn of the loop.
///
/// Futures that are polled together, as those of a `buffer_unordered`, have one turn
/// between them: if each only yielded, all of them would go on in the next one, one
/// behind the other, and whatever else is to be done would wait for all.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<()>);

impl Turns {
    /// Waits for a turn that is nobody else's.
    pub(crate) async fn next(&self) {
        let _mine = self.0.lock().await;
        tokio::task::yield_now().await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures_util::future::{join, join_all};

    use super::*;

    #[tokio::test]
    async fn one_goes_on_in_a_turn_and_others_have_theirs_between() {
        let (turns, done, finished) = (Turns::default(), Cell::new(0), Cell::new(false));
        let work = async {
            join_all((0..8).map(async |_| {
                turns.next().await;
                done.set(done.get() + 1);
            }))
            .await;
            finished.set(true);
        };
        let watch = async {
            let mut before = 0;
            while !finished.get() {
                tokio::task::yield_now().await;
                assert!(done.get() <= before + 1, "{} after {before}", done.get());
                before = done.get();
            }
        };
        join(work, watch).await;
        assert_eq!(done.get(), 8);
    }
}
