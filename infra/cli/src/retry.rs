//! Tries a request again while it fails for a passing reason.

use std::time::Duration;

use tokio::time::sleep;

use crate::progress::Progress;
use crate::trouble::Trouble;

/// The most attempts in a row that may fail. At a pace of a second, the last one comes after
/// three and a half minutes.
pub(crate) const TRIES: u32 = 12;
/// The longest pause, in paces.
const LONGEST: u32 = 30;

/// Tries until it works, the error is permanent, or [`TRIES`] attempts in a row have
/// failed. `progress` shows each failure.
///
/// # Errors
/// The last error.
pub(crate) async fn retry<T>(
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
