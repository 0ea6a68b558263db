//! Chance, from one place.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::platform::hex::hex;

use rand::rngs::{StdRng, SysRng};
use rand::{Rng, SeedableRng, TryRng};

/// Where random bytes come from: the operating system, or a seed.
#[derive(Debug, Clone)]
pub struct Random(Source);

#[derive(Debug, Clone)]
enum Source {
    System,
    Seeded(Arc<Mutex<StdRng>>),
}

impl Random {
    /// The operating system's generator: fit for secrets.
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// The same bytes in the same order for the same seed: for tests only.
    pub fn seeded(seed: u64) -> Self {
        Self(Source::Seeded(Arc::new(Mutex::new(StdRng::seed_from_u64(
            seed,
        )))))
    }

    /// `N` random bytes.
    ///
    /// # Panics
    /// When the operating system has no randomness to give: a secret made
    /// without it would be worse than a failed request.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        match &self.0 {
            Source::System => {
                if let Err(error) = SysRng.try_fill_bytes(&mut bytes) {
                    panic!("the operating system gives no randomness: {error}");
                }
            }
            Source::Seeded(rng) => rng
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .fill_bytes(&mut bytes),
        }
        bytes
    }

    /// A name that nobody else has: the owner of a lease, one transaction.
    /// 32 characters, within the 36 of DynamoDB's `ClientRequestToken`.
    pub fn name(&self) -> String {
        hex(&self.bytes::<16>())
    }

    /// A duration between zero and `limit`: full jitter, so that many who
    /// failed together do not come back together.
    pub fn up_to(&self, limit: Duration) -> Duration {
        let share = u64::from_le_bytes(self.bytes()) as f64 / u64::MAX as f64;
        limit.mul_f64(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_itself() {
        let first: [u8; 16] = Random::seeded(7).bytes();
        let again: [u8; 16] = Random::seeded(7).bytes();
        let other: [u8; 16] = Random::seeded(8).bytes();
        assert_eq!(first, again);
        assert_ne!(first, other);
    }

    #[test]
    fn jitter_stays_below_its_limit() {
        let random = Random::seeded(1);
        let limit = Duration::from_secs(10);
        assert!((0..1000).all(|_| random.up_to(limit) <= limit));
    }
}
