//! What fails for a moment is tried again.

use std::time::Duration;

use tokio::time::sleep;

use crate::progress::Progress;
use crate::trouble::Trouble;

/// How often something may fail in a row. At a pace of a second that is after
/// three minutes and a half.
pub const TRIES: u32 = 12;
/// The longest pause, in paces.
const LONGEST: u32 = 30;

/// Tries until it works, or the trouble looks as if it were there to stay. Who
/// watches is told meanwhile.
///
/// # Errors
/// The last trouble.
pub async fn patiently<T>(
    pace: Duration,
    progress: &mut Progress<'_>,
    mut attempt: impl AsyncFnMut() -> Result<T, Trouble>,
) -> Result<T, Trouble> {
    let mut failed = 0;
    loop {
        let trouble = match attempt().await {
            Err(trouble) if trouble.passing => trouble,
            settled => return settled,
        };
        failed += 1;
        if failed == TRIES {
            return Err(trouble);
        }
        let what = trouble.what.lines().next().unwrap_or_default();
        progress.say("trouble", &format!("{what}; trying again"));
        sleep(pace * LONGEST.min(1 << (failed - 1))).await;
    }
}
