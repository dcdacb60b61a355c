//! How many may come in, and with which keys.

use super::Origin;
use crate::access::{KeyMode, Keys};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// What a socket may cost, and how long it may take.
#[derive(Clone, Debug)]
pub struct SocketConfig {
    /// Whose pages may open a socket, besides those of this server.
    pub allowed_origins: Vec<Origin>,
    /// Sockets open at the same time.
    pub max_sockets: u32,
    /// Sockets open at the same time from one caller.
    pub max_sockets_per_address: u32,
    /// Between two beats, which is also how often a socket's health is looked at.
    pub beat_every: Duration,
    /// Silence after which the client is pinged.
    pub ping_every: Duration,
    /// Time for anything to come after a ping.
    pub pong_within: Duration,
    /// Time for the client to take what it was sent; then it is told that it is too slow.
    pub write_within: Duration,
    /// Time to tell a client why it is let go; then it is cut.
    pub farewell_within: Duration,
}

impl Default for SocketConfig {
    fn default() -> Self {
        Self {
            allowed_origins: Vec::new(),
            max_sockets: 10_000,
            max_sockets_per_address: 256,
            beat_every: Duration::from_secs(market::wire::BEAT_SECONDS),
            ping_every: Duration::from_secs(20),
            pong_within: Duration::from_secs(10),
            write_within: Duration::from_secs(6),
            farewell_within: Duration::from_secs(3),
        }
    }
}

/// Counts the sockets. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Door {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: SocketConfig,
    keys: Keys,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    total: u32,
    by_caller: HashMap<IpAddr, u32>,
}

/// Why there is no seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crowded {
    /// This caller has as many sockets as one may have.
    Caller,
    /// The server has as many as it takes.
    Server,
}

/// One socket's place; leaving is dropping it.
#[derive(Debug)]
pub struct Seat {
    door: Door,
    caller: Option<IpAddr>,
}

impl Door {
    /// Without keys: whatever a client says it is, is right.
    pub fn new(config: SocketConfig) -> Self {
        Self::checking(config, Keys::new(KeyMode::Off))
    }

    pub fn checking(config: SocketConfig, keys: Keys) -> Self {
        Self { inner: Arc::new(Inner { config, keys, taken: Mutex::default() }) }
    }

    /// What clients may present.
    pub fn keys(&self) -> &Keys {
        &self.inner.keys
    }

    pub fn config(&self) -> &SocketConfig {
        &self.inner.config
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        // No code panics while it holds the lock, and every state is valid.
        self.inner.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a seat; `None` for a caller whose sockets are not counted apart.
    ///
    /// # Errors
    /// There is none.
    pub fn enter(&self, caller: Option<IpAddr>) -> Result<Seat, Crowded> {
        let mut taken = self.lock();
        if taken.total >= self.inner.config.max_sockets {
            return Err(Crowded::Server);
        }
        if let Some(caller) = caller {
            let of_caller = taken.by_caller.entry(caller).or_default();
            if *of_caller >= self.inner.config.max_sockets_per_address {
                return Err(Crowded::Caller);
            }
            *of_caller += 1;
        }
        taken.total += 1;
        drop(taken);
        Ok(Seat { door: self.clone(), caller })
    }

    /// Seats taken.
    pub fn taken(&self) -> u32 {
        self.lock().total
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.door.lock();
        taken.total = taken.total.saturating_sub(1);
        if let Some(caller) = self.caller
            && let Some(of_caller) = taken.by_caller.get_mut(&caller)
        {
            *of_caller = of_caller.saturating_sub(1);
            if *of_caller == 0 {
                taken.by_caller.remove(&caller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(total: u32, per_address: u32) -> Door {
        Door::new(SocketConfig { max_sockets: total, max_sockets_per_address: per_address, ..SocketConfig::default() })
    }

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn seats_are_counted_by_caller_and_in_total_and_come_back() {
        let door = door(3, 2);
        let first = door.enter(address("192.0.2.1")).unwrap();
        let _second = door.enter(address("192.0.2.1")).unwrap();
        assert_eq!(door.enter(address("192.0.2.1")).unwrap_err(), Crowded::Caller);
        let _third = door.enter(address("192.0.2.2")).unwrap();
        assert_eq!(door.enter(address("192.0.2.3")).unwrap_err(), Crowded::Server);
        assert_eq!(door.enter(None).unwrap_err(), Crowded::Server);
        drop(first);
        assert_eq!(door.taken(), 2);
        door.enter(address("192.0.2.1")).unwrap();
        assert_eq!(door.taken(), 2);
    }

    #[test]
    fn nothing_is_kept_of_who_left() {
        let door = door(10, 1);
        drop(door.enter(address("192.0.2.1")).unwrap());
        assert_eq!((door.taken(), door.lock().by_caller.len()), (0, 0));
    }
}
