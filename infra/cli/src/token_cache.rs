//! Tokens of a machine client, kept between commands until they expire: Cognito charges
//! for each. A token that cannot be kept is fetched again; no command fails for that.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use etcetera::{BaseStrategy, choose_base_strategy};
use muster_core::platform::hex::hex;
use muster_core::platform::time::{Clock, Time};
use rustix::process::geteuid;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use tokio::time::sleep;

use crate::client_credentials::{ClientCredentials, Grant};
use crate::trouble::Trouble;

/// A token is not used any more so long before it expires: the request has to arrive.
const MARGIN: Duration = Duration::from_secs(60);
/// How long a token is kept at most, whatever its issuer says.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// Longer than any token.
const MOST_BYTES: u64 = 64 * 1024;
/// How often to look whether another command has its token: 35 s, its time-out.
const LOOKS: u32 = 350;
const PAUSE: Duration = Duration::from_millis(100);

/// The token of one client, with one list of scopes, from one endpoint.
pub(crate) struct TokenCache {
    /// Its file; `None` if tokens are not kept.
    file: Option<PathBuf>,
    clock: Clock,
}

/// A token, and whether it was fetched just now.
pub(crate) struct Token {
    /// The token.
    pub text: String,
    /// Whether it was fetched for this request: another one would be no better.
    pub fresh: bool,
}

impl Token {
    /// A token that was fetched before.
    pub(crate) const fn known(text: String) -> Self {
        Self { text, fresh: false }
    }
}

/// What the file holds. It is a secret, so it has no `Debug`.
#[derive(Serialize, Deserialize)]
struct Kept {
    access_token: String,
    /// Milliseconds since 1970.
    expires_at: i64,
}

impl TokenCache {
    /// The cache in a directory; without one, nothing is kept.
    pub(crate) fn new(
        directory: Option<&Path>,
        credentials: &ClientCredentials,
        scopes: &str,
    ) -> Self {
        // The lengths keep the parts apart.
        let key = [&credentials.token_url, &credentials.id, scopes];
        let key = key.map(|part| format!("{}:{part}", part.len())).concat();
        let name = format!("{}.json", hex(&Sha256::digest(key)));
        Self {
            file: directory.map(|directory| directory.join(name)),
            clock: Clock::system(),
        }
    }

    /// The same, with another clock.
    #[cfg(test)]
    fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// The token that is kept, or else a fresh one. Commands at the same time fetch one
    /// for all.
    ///
    /// # Errors
    /// When the token endpoint refuses.
    pub(crate) async fn token(
        &self,
        credentials: &ClientCredentials,
        scopes: &str,
    ) -> Result<Token, Trouble> {
        if let Some(kept) = self.read() {
            return Ok(Token::known(kept));
        }
        let _turn = self.turn().await;
        if let Some(kept) = self.read() {
            return Ok(Token::known(kept));
        }
        let grant = credentials.grant(scopes).await?;
        self.keep(&grant);
        Ok(Token {
            text: grant.access_token,
            fresh: true,
        })
    }

    /// The token that is kept, if it is still good.
    fn read(&self) -> Option<String> {
        let kept = load(self.file.as_deref()?)?;
        let expires_at = Time::from_millis(kept.expires_at);
        (self.clock.now().after(MARGIN) < expires_at).then_some(kept.access_token)
    }

    /// Keeps a token, if the issuer says for how long.
    fn keep(&self, grant: &Grant) {
        if let (Some(file), Some(lifetime)) = (&self.file, grant.lifetime) {
            let kept = Kept {
                access_token: grant.access_token.clone(),
                expires_at: self.clock.now().after(lifetime.min(LONGEST)).as_millis(),
            };
            // The next command fetches its own.
            let _ = store(file, &kept);
        }
    }

    /// Drops a token that was refused, unless another one is kept by now.
    pub(crate) fn forget(&self, token: &str) {
        if let Some(file) = &self.file
            && load(file).is_some_and(|kept| kept.access_token == token)
        {
            let _ = std::fs::remove_file(file);
        }
    }

    /// Waits while another command fetches this token. The turn ends when the file is
    /// closed.
    async fn turn(&self) -> Option<File> {
        let file = self.file.as_ref()?;
        make_directory(file).ok()?;
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(false).mode(0o600);
        let lock = options.open(file.with_extension("lock")).ok()?;
        for _ in 0..LOOKS {
            match lock.try_lock() {
                Err(TryLockError::WouldBlock) => sleep(PAUSE).await,
                Ok(()) => return Some(lock),
                Err(TryLockError::Error(_)) => return None,
            }
        }
        None
    }
}

/// Where the platform keeps caches: `~/.cache` where XDG rules.
pub(crate) fn default_directory() -> Option<PathBuf> {
    let strategy = choose_base_strategy().ok()?;
    Some(strategy.cache_dir().join("muster").join("tokens"))
}

/// Reads a file of our own that nobody else may read. Others are passed over.
fn load(file: &Path) -> Option<Kept> {
    // To open a FIFO may take for ever.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32)
        .open(file)
        .ok()?;
    let found = file.metadata().ok()?;
    let ours = found.uid() == geteuid().as_raw() && found.mode() & 0o077 == 0;
    if !found.is_file() || !ours {
        return None;
    }
    let mut text = String::new();
    file.take(MOST_BYTES).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

/// Writes a file whole or not at all, so that commands at the same time do no harm.
fn store(file: &Path, kept: &Kept) -> std::io::Result<()> {
    let directory = make_directory(file)?;
    // For its owner's eyes from the beginning.
    let mut fresh = NamedTempFile::new_in(directory)?;
    fresh.write_all(&serde_json::to_vec(kept)?)?;
    fresh.persist(file)?;
    Ok(())
}

fn make_directory(file: &Path) -> std::io::Result<&Path> {
    let directory = file.parent().unwrap_or(Path::new("."));
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    Ok(directory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{Permissions, metadata, read_dir, read_to_string, set_permissions, write};
    use std::os::unix::fs::PermissionsExt;
    use tempfile::TempDir;

    fn credentials() -> ClientCredentials {
        ClientCredentials {
            token_url: "https://example.com/token".to_owned(),
            id: "id".to_owned(),
            secret: "secret".to_owned(),
        }
    }

    fn grant(token: &str, seconds: u64) -> Grant {
        Grant {
            access_token: token.to_owned(),
            lifetime: Some(Duration::from_secs(seconds)),
        }
    }

    fn cache(directory: &TempDir) -> (TokenCache, Clock) {
        let clock = Clock::manual(Time::from_millis(1_000_000));
        let directory = directory.path().join("muster/tokens");
        let cache = TokenCache::new(Some(&directory), &credentials(), "");
        (cache.with_clock(clock.clone()), clock)
    }

    #[test]
    fn a_token_is_kept_until_shortly_before_it_expires() {
        let directory = TempDir::new().unwrap();
        let (cache, clock) = cache(&directory);
        assert_eq!(cache.read(), None);
        cache.keep(&grant("t", 3600));
        clock.advance(Duration::from_secs(3539));
        assert_eq!(cache.read().as_deref(), Some("t"));
        clock.advance(Duration::from_secs(1));
        assert_eq!(cache.read(), None);
    }

    #[test]
    fn a_token_of_unknown_lifetime_is_not_kept() {
        let directory = TempDir::new().unwrap();
        let (cache, _) = cache(&directory);
        cache.keep(&Grant {
            lifetime: None,
            ..grant("t", 0)
        });
        assert_eq!(cache.read(), None);
        cache.keep(&grant("t", u64::MAX));
        assert_eq!(cache.read().as_deref(), Some("t"), "no overflow");
    }

    #[test]
    fn only_its_owner_may_look() {
        let directory = TempDir::new().unwrap();
        let (cache, _) = cache(&directory);
        cache.keep(&grant("t", 3600));
        let file = cache.file.clone().unwrap();
        let mode = |path: &Path| metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(&file), 0o600);
        assert_eq!(mode(file.parent().unwrap()), 0o700);
        assert!(!file.display().to_string().contains("example"));
        assert!(!read_to_string(&file).unwrap().contains("secret"));
    }

    #[test]
    fn a_file_that_others_may_read_or_that_is_broken_is_passed_over() {
        let directory = TempDir::new().unwrap();
        let (cache, _) = cache(&directory);
        cache.keep(&grant("t", 3600));
        let file = cache.file.clone().unwrap();
        for mode in [0o640, 0o604, 0o622] {
            set_permissions(&file, Permissions::from_mode(mode)).unwrap();
            assert_eq!(cache.read(), None, "{mode:o}");
        }
        set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(cache.read().as_deref(), Some("t"));
        for broken in ["", "{", "{}", "\u{0}", "[1]"] {
            write(&file, broken).unwrap();
            assert_eq!(cache.read(), None, "{broken}");
        }
        std::fs::remove_file(&file).unwrap();
        std::fs::create_dir(&file).unwrap();
        assert_eq!(cache.read(), None);
        cache.keep(&grant("t", 3600));
        assert_eq!(cache.read(), None, "it cannot be kept, which is no trouble");
        assert_eq!(
            read_dir(file.parent().unwrap()).unwrap().count(),
            1,
            "no trace"
        );
    }

    #[test]
    fn each_client_endpoint_and_scope_has_a_file_of_its_own() {
        let other = |change: fn(&mut ClientCredentials)| {
            let mut credentials = credentials();
            change(&mut credentials);
            TokenCache::new(Some(Path::new("/x")), &credentials, "").file
        };
        let files = [
            other(|_| {}),
            other(|credentials| credentials.id = "other".to_owned()),
            other(|credentials| credentials.token_url = "https://example.org".to_owned()),
            other(|credentials| {
                credentials.token_url.push_str("id");
                credentials.id.clear();
            }),
            TokenCache::new(Some(Path::new("/x")), &credentials(), "a").file,
        ];
        for (number, file) in files.iter().enumerate() {
            assert!(!files[..number].contains(file), "{number}");
        }
        assert_eq!(files[0], other(|credentials| credentials.secret.clear()));
    }

    #[test]
    fn only_the_refused_token_is_forgotten() {
        let directory = TempDir::new().unwrap();
        let (cache, _) = cache(&directory);
        cache.keep(&grant("new", 3600));
        cache.forget("old");
        assert_eq!(cache.read().as_deref(), Some("new"));
        cache.forget("new");
        assert_eq!(cache.read(), None);
    }
}
