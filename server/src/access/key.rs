//! What a key looks like, and what it may be used for.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use rand::{Rng, RngCore};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use std::{fmt, str::FromStr};

/// With which every id begins, so that a key that was left lying about is recognised.
const PREFIX: &str = "SK";
/// Characters of an id after the prefix, five bits each.
const ID_LENGTH: usize = 18;
const ID_ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// Random bytes of a secret.
const SECRET_BYTES: usize = 32;
/// The longest text that is looked at.
const LONGEST: usize = 256;

/// What a key may be used for; the words of OAuth 2.0 (RFC 6749, section 3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Every question over HTTP.
    Read,
    /// Live streams.
    Stream,
    /// Orders to the pipeline, to the quarantine and to checkpoints, and the audit trail.
    Control,
}

impl Scope {
    pub const ALL: [Self; 3] = [Self::Read, Self::Stream, Self::Control];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Stream => "stream",
            Self::Control => "control",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text).ok_or("must be read, stream or control")
    }
}

/// The name of a key: `SK` and 18 characters. No secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(String);

impl KeyId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// It is not a key, or not the id of one. What it was is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id is SK and 18 characters of A-Z and 2-7; a whole key is its id, a full stop and its secret")]
pub struct KeySyntax;

impl FromStr for KeyId {
    type Err = KeySyntax;

    fn from_str(text: &str) -> Result<Self, KeySyntax> {
        let rest = text.strip_prefix(PREFIX).ok_or(KeySyntax)?;
        let is_id = rest.len() == ID_LENGTH && rest.bytes().all(|byte| ID_ALPHABET.contains(&byte));
        is_id.then(|| Self(text.to_owned())).ok_or(KeySyntax)
    }
}

/// A whole key, as somebody presents it. Its secret does not print.
#[derive(Clone, Debug)]
pub struct ApiKey {
    pub id: KeyId,
    secret: SecretString,
}

impl ApiKey {
    /// A new one, from the generator of this thread: a cryptographic one, which the system seeds.
    pub fn random() -> Self {
        let mut random = rand::rng();
        let mut secret = [0; SECRET_BYTES];
        random.fill_bytes(&mut secret);
        let id: String = (0..ID_LENGTH).map(|_| char::from(ID_ALPHABET[random.random_range(0..32)])).collect();
        Self { id: KeyId(format!("{PREFIX}{id}")), secret: BASE64_URL_SAFE_NO_PAD.encode(secret).into() }
    }

    /// A key whose id and secret come apart, as Alpaca's clients send them.
    ///
    /// # Errors
    /// It cannot be one.
    pub fn of(id: &str, secret: &str) -> Result<Self, KeySyntax> {
        let is_secret = (1..=LONGEST).contains(&secret.len()) && secret.bytes().all(|byte| byte.is_ascii_graphic());
        if is_secret { Ok(Self { id: id.parse()?, secret: secret.into() }) } else { Err(KeySyntax) }
    }

    /// Its secret, to be shown once.
    pub fn secret(&self) -> &SecretString {
        &self.secret
    }

    /// All of it as one text, to be shown once: `SK….secret`.
    pub fn whole(&self) -> SecretString {
        format!("{}.{}", self.id, self.secret.expose_secret()).into()
    }

    /// SHA-256 of the secret: what is kept. No slow hash and no salt, for the secret is 256 random bits: there is no
    /// likely one to begin guessing with, and each request has to be answered at once.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.secret.expose_secret()).into()
    }
}

impl FromStr for ApiKey {
    type Err = KeySyntax;

    fn from_str(text: &str) -> Result<Self, KeySyntax> {
        let (id, secret) = text.split_once('.').ok_or(KeySyntax)?;
        Self::of(id, secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_reads_back_and_its_secret_does_not_print() {
        let (key, other) = (ApiKey::random(), ApiKey::random());
        let read: ApiKey = key.whole().expose_secret().parse().unwrap();
        assert_eq!((&read.id, read.digest()), (&key.id, key.digest()));
        assert_ne!(key.id, other.id);
        assert_ne!(key.digest(), other.digest());
        assert_eq!(key.secret().expose_secret().len(), 43, "256 bits in base64");
        assert!(!format!("{key:?}").contains(key.secret().expose_secret()));
    }

    #[test]
    fn what_is_no_key_is_refused_without_being_repeated() {
        let id = "SKABCDEFGHIJKLMNOP23";
        assert!(format!("{id}.canary").parse::<ApiKey>().is_ok());
        for wrong in ["", "canary", id, &format!("{id}."), ".canary", &format!("{id}.can ary"), &format!("{id}.canäry")]
        {
            let error = wrong.parse::<ApiKey>().unwrap_err();
            assert!(!error.to_string().contains("canary"), "{wrong}");
        }
        for wrong in ["skABCDEFGHIJKLMNOP23", "SKABCDEFGHIJKLMNOP01", "SKABCDEFGHIJKLMNOP2", "PKABCDEFGHIJKLMNOP23"] {
            assert!(wrong.parse::<KeyId>().is_err(), "{wrong}");
        }
        assert!(format!("{id}.{}", "x".repeat(1_000)).parse::<ApiKey>().is_err());
    }
}
