//! All keys of this server, in memory.

use super::{ApiKey, KeyId, Scope};
use crate::store::{ActiveKey, Store};
use clap::ValueEnum;
use std::{
    collections::HashMap,
    fmt,
    num::NonZeroU32,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use subtle::ConstantTimeEq;
use tokio_util::sync::CancellationToken;

/// How often keys are read again although nobody told of a change: a proxy of connections may swallow what PostgreSQL tells.
const READ_EVERY: Duration = Duration::from_secs(30);
/// Between two attempts while PostgreSQL does not answer.
const RETRY: Duration = Duration::from_secs(1);

/// Who has to have a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KeyMode {
    /// Nobody; what is sent is not looked at.
    Off,
    /// Nobody, but a key that is sent must be right, and then counts for itself.
    Optional,
    /// Everybody, browsers included.
    Required,
}

impl fmt::Display for KeyMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::Optional => "optional",
            Self::Required => "required",
        })
    }
}

/// A key that is in force.
#[derive(Debug)]
pub struct Key {
    pub id: KeyId,
    /// Of its secret.
    digest: [u8; 32],
    scopes: Vec<Scope>,
    /// `None`: any number.
    pub requests_per_second: Option<NonZeroU32>,
    /// It was revoked after somebody had come in with it.
    revoked: AtomicBool,
}

impl Key {
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }

    fn is_same(&self, key: &ActiveKey) -> bool {
        (&self.digest, &self.scopes, self.requests_per_second) == (&key.digest, &key.scopes, key.requests_per_second)
    }
}

/// With what somebody came in: a key, or nothing where nothing is needed.
#[derive(Clone, Debug, Default)]
pub struct Pass(Option<Arc<Key>>);

impl Pass {
    /// Whether it still holds.
    pub fn is_good(&self) -> bool {
        self.0.as_ref().is_none_or(|key| !key.revoked.load(Ordering::Relaxed))
    }
}

impl From<Arc<Key>> for Pass {
    fn from(key: Arc<Key>) -> Self {
        Self(Some(key))
    }
}

/// Why a key does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// There is no such key, or it was revoked.
    Unknown,
    /// The keys could not be read yet.
    Unread,
}

/// All keys in force. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Keys(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    mode: KeyMode,
    /// `None`: not read yet.
    known: RwLock<Option<HashMap<KeyId, Arc<Key>>>>,
}

impl Keys {
    /// Without keys until [`Self::keep`] has read them.
    pub fn new(mode: KeyMode) -> Self {
        Self(Arc::new(Inner { mode, known: RwLock::default() }))
    }

    pub fn mode(&self) -> KeyMode {
        self.0.mode
    }

    pub fn are_on(&self) -> bool {
        self.0.mode != KeyMode::Off
    }

    /// Whether any key may be used for this.
    pub fn any_may(&self, scope: Scope) -> bool {
        let known = self.0.known.read().unwrap_or_else(PoisonError::into_inner);
        known.iter().flat_map(HashMap::values).any(|key| key.may(scope))
    }

    /// The key that was presented. Only ids are looked up, which are no secrets; secrets are compared by digest, in a time
    /// that tells nothing of them.
    ///
    /// # Errors
    /// It does not count.
    pub fn find(&self, presented: &ApiKey) -> Result<Arc<Key>, Denied> {
        let known = self.0.known.read().unwrap_or_else(PoisonError::into_inner);
        let known = known.as_ref().ok_or(Denied::Unread)?;
        let key = known.get(&presented.id).ok_or(Denied::Unknown)?;
        let is_right = bool::from(presented.digest().ct_eq(&key.digest));
        if is_right { Ok(key.clone()) } else { Err(Denied::Unknown) }
    }

    /// What the database says now. A key that has not changed stays the one that sockets hold.
    fn replace(&self, active: Vec<ActiveKey>) {
        // No code panics while it holds the lock, and every state is valid.
        let mut known = self.0.known.write().unwrap_or_else(PoisonError::into_inner);
        let mut before = known.take().unwrap_or_default();
        let mut after = HashMap::new();
        for key in active {
            let key = match before.remove(&key.id) {
                Some(same) if same.is_same(&key) => same,
                other => {
                    other.inspect(|changed| changed.revoked.store(true, Ordering::Relaxed));
                    let ActiveKey { id, digest, scopes, requests_per_second } = key;
                    Arc::new(Key { id, digest, scopes, requests_per_second, revoked: AtomicBool::new(false) })
                }
            };
            after.insert(key.id.clone(), key);
        }
        for gone in before.into_values() {
            gone.revoked.store(true, Ordering::Relaxed);
        }
        metrics::gauge!("stockstream_api_keys").set(after.len() as f64);
        *known = Some(after);
    }

    /// Reads the keys once.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn read(&self, store: &Store) -> Result<(), crate::store::ReadError> {
        self.replace(store.active_api_keys().await?);
        Ok(())
    }

    /// Keeps the keys as the database has them, until `shutdown`. While it is away, those that were read last stay in force.
    pub async fn keep(self, store: Store, shutdown: CancellationToken) {
        if !self.are_on() {
            return;
        }
        let mut listener = None;
        let mut has_complained = false;
        while !shutdown.is_cancelled() {
            // Listen first, read after: what changes in between is told.
            if listener.is_none() && store.is_migrated() {
                listener = store.listen_for_api_keys().await.ok();
            }
            let read = if store.is_migrated() { self.read(&store).await.map(|()| true) } else { Ok(false) };
            let pause = match read {
                Ok(true) if listener.is_some() => {
                    has_complained = false;
                    READ_EVERY
                }
                Ok(_) => RETRY,
                Err(error) => {
                    if !std::mem::replace(&mut has_complained, true) {
                        tracing::warn!(%error, "API keys cannot be read; those read last stay in force");
                    }
                    RETRY
                }
            };
            let told = async {
                match &mut listener {
                    // Also when the connection was lost: what was told meanwhile was not heard.
                    Some(changes) => changes.next().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                heard = tokio::time::timeout(pause, told) => {
                    if matches!(heard, Ok(Err(_))) {
                        listener = None;
                    }
                }
                () = shutdown.cancelled() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    fn active(key: &ApiKey, scopes: &[Scope]) -> ActiveKey {
        ActiveKey { id: key.id.clone(), digest: key.digest(), scopes: scopes.to_vec(), requests_per_second: None }
    }

    #[test]
    fn a_key_counts_with_its_own_secret_until_it_is_revoked() {
        let keys = Keys::new(KeyMode::Required);
        let (mine, other) = (ApiKey::random(), ApiKey::random());
        assert_eq!(keys.find(&mine).unwrap_err(), Denied::Unread);
        keys.replace(vec![active(&mine, &[Scope::Read]), active(&other, &[Scope::Read])]);
        let pass = Pass::from(keys.find(&mine).unwrap());
        let mixed = ApiKey::of(mine.id.as_str(), other.secret().expose_secret()).unwrap();
        assert_eq!(keys.find(&mixed).unwrap_err(), Denied::Unknown);
        keys.replace(vec![active(&mine, &[Scope::Read])]);
        assert!(pass.is_good(), "a key that did not change stays what it was");
        assert_eq!(keys.find(&other).unwrap_err(), Denied::Unknown);
        keys.replace(Vec::new());
        assert!(!pass.is_good());
        assert_eq!(keys.find(&mine).unwrap_err(), Denied::Unknown);
        assert!(Pass::default().is_good());
    }

    #[test]
    fn a_key_that_may_do_less_has_to_come_in_again() {
        let keys = Keys::new(KeyMode::Optional);
        let key = ApiKey::random();
        keys.replace(vec![active(&key, &[Scope::Read, Scope::Stream])]);
        let found = keys.find(&key).unwrap();
        assert!(found.may(Scope::Stream) && !found.may(Scope::Control) && !keys.any_may(Scope::Control));
        keys.replace(vec![active(&key, &[Scope::Read])]);
        assert!(!Pass::from(found).is_good());
        assert!(!keys.find(&key).unwrap().may(Scope::Stream));
    }
}
