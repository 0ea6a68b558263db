//! The secret behind a confirmation link.
//!
//! A link's token is `<profile id>.<mail n>.<secret>`. It names the mail item
//! it belongs to, so confirming takes one `GetItem`; the item keeps only the
//! SHA-256 of the secret, so the table alone confirms nobody.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::platform::ids::ProfileId;
use crate::platform::random::Random;

/// 256 random bits: nobody guesses one, so nothing has to count guesses.
const SECRET_BYTES: usize = 32;

/// What a confirmation link carries.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// Whose link it is.
    pub profile: ProfileId,
    /// Which of the profile's mails carried it.
    pub mail: u32,
    secret: [u8; SECRET_BYTES],
}

impl Token {
    /// A fresh token for one mail.
    pub fn mint(profile: ProfileId, mail: u32, random: &Random) -> Self {
        Self {
            profile,
            mail,
            secret: random.bytes(),
        }
    }

    /// What the mail item keeps of the secret.
    pub fn hash(&self) -> TokenHash {
        TokenHash(URL_SAFE_NO_PAD.encode(Sha256::digest(self.secret)))
    }

    /// Whether this token's hash is among `hashes`. Takes the same time
    /// whichever it is.
    pub fn matches(&self, hashes: &[TokenHash]) -> bool {
        let own = self.hash();
        hashes.iter().fold(false, |found, hash| {
            found | bool::from(hash.0.as_bytes().ct_eq(own.0.as_bytes()))
        })
    }
}

/// The SHA-256 of a token's secret, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct TokenHash(String);

impl TokenHash {
    /// The hash as text (base64url).
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text is no token of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a confirmation token")]
pub struct NotAToken;

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secret = URL_SAFE_NO_PAD.encode(self.secret);
        write!(f, "{}.{}.{secret}", self.profile, self.mail)
    }
}

/// A token is a secret: only whose it is reaches a log.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({}.{}.…)", self.profile, self.mail)
    }
}

impl FromStr for Token {
    type Err = NotAToken;

    fn from_str(text: &str) -> Result<Self, NotAToken> {
        let mut parts = text.splitn(3, '.');
        let mut next = || parts.next().ok_or(NotAToken);
        let (profile, mail, secret) = (next()?, next()?, next()?);
        let token = Self {
            profile: profile.parse().map_err(|_| NotAToken)?,
            mail: mail.parse().map_err(|_| NotAToken)?,
            secret: URL_SAFE_NO_PAD
                .decode(secret)
                .ok()
                .and_then(|bytes| bytes.try_into().ok())
                .ok_or(NotAToken)?,
        };
        // `+1` and `01` parse as numbers, but no link of ours says them.
        if token.to_string() == text {
            Ok(token)
        } else {
            Err(NotAToken)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::time::Time;

    fn token() -> Token {
        let random = Random::seeded(1);
        Token::mint(ProfileId::new(Time::from_millis(0), &random), 1, &random)
    }

    #[test]
    fn a_token_survives_its_link() {
        assert_eq!(token().to_string().parse::<Token>(), Ok(token()));
    }

    #[test]
    fn only_the_right_secret_matches() {
        let random = Random::seeded(2);
        let other = Token::mint(token().profile, 1, &random);
        assert!(token().matches(&[other.hash(), token().hash()]));
        assert!(!token().matches(&[other.hash()]));
        assert!(!token().matches(&[]));
    }

    #[test]
    fn nothing_else_parses() {
        let good = token().to_string();
        for bad in [
            String::new(),
            "a.b.c".to_owned(),
            good[..good.len() - 1].to_owned(),
            format!("{good}A"),
            good.replacen(".1.", ".01.", 1),
            good.replacen(".1.", ".+1.", 1),
            good.to_uppercase(),
        ] {
            assert_eq!(bad.parse::<Token>(), Err(NotAToken), "{bad}");
        }
    }

    #[test]
    fn debug_keeps_the_secret() {
        let text = token().to_string();
        let secret = text.rsplit('.').next().unwrap();
        assert!(!format!("{:?}", token()).contains(secret));
    }
}
