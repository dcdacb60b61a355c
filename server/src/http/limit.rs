//! How much one caller, and all together, may ask for: connections and time; what is allowed of requests is counted in `rate`.
//!
//! Callers are told apart by address; an IPv6 caller by the first 64 bits, because it owns all the rest. A caller on
//! this machine is the operator or the operator's own reverse proxy, which stands for many: it is exempt unless
//! [`Limits::limit_loopback`] says otherwise, and the limits per caller are then the proxy's to set.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// What is allowed.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at the same time, WebSockets included.
    pub connections: usize,
    /// Of these from one address; `None`: as many as all together.
    pub connections_per_address: Option<usize>,
    /// Requests per second from one address; `None`: any number.
    pub requests_per_second: Option<NonZeroU32>,
    /// Whether the limits per address also hold for this machine.
    pub limit_loopback: bool,
    /// From the first wait for a request, which is also how long an idle connection is kept, to the end of its headers.
    pub header: Duration,
    /// From there to the end of its body.
    pub body: Duration,
    /// From there to the beginning of the answer. Longer than a body and than a query may take.
    pub answer: Duration,
    /// For a waiting reader to take at least some of the answer.
    pub write: Duration,
    /// For requests under way when the server is told to stop.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            connections_per_address: Some(512),
            requests_per_second: NonZeroU32::new(50),
            limit_loopback: false,
            header: Duration::from_secs(10),
            body: Duration::from_secs(10),
            answer: Duration::from_secs(20),
            write: Duration::from_secs(15),
            drain: Duration::from_secs(8),
        }
    }
}

/// Whom limits per address count this address as; `None` when they do not hold for it.
pub(super) fn caller(address: IpAddr, limit_loopback: bool) -> Option<IpAddr> {
    let address = match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    };
    let is_local = address.is_loopback() || address == Ipv6Addr::UNSPECIFIED;
    (limit_loopback || !is_local).then_some(address)
}

/// Counts the open connections.
#[derive(Debug)]
pub(super) struct Doorkeeper {
    connections: usize,
    per_address: Option<usize>,
    limit_loopback: bool,
    inside: Mutex<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    total: usize,
    by_caller: HashMap<IpAddr, usize>,
}

/// Why a connection is refused; as a metric's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Total,
    Address,
}

impl Refusal {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Total => "total",
            Self::Address => "address",
        }
    }
}

/// A place among the open connections; dropping it leaves.
#[derive(Debug)]
pub(super) struct Place {
    doorkeeper: Arc<Doorkeeper>,
    caller: Option<IpAddr>,
}

impl Doorkeeper {
    pub(super) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            connections: limits.connections,
            per_address: limits.connections_per_address,
            limit_loopback: limits.limit_loopback,
            inside: Mutex::default(),
        })
    }

    pub(super) fn admit(self: &Arc<Self>, address: IpAddr) -> Result<Place, Refusal> {
        let caller = caller(address, self.limit_loopback);
        // Two counters: whoever panicked while holding the lock cannot have left half of one.
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        if inside.total >= self.connections {
            return Err(Refusal::Total);
        }
        if let Some(caller) = caller {
            let count = inside.by_caller.entry(caller).or_default();
            if self.per_address.is_some_and(|most| *count >= most) {
                return Err(Refusal::Address);
            }
            *count += 1;
        }
        inside.total += 1;
        metrics::gauge!("stockstream_http_connections").set(inside.total as f64);
        Ok(Place { doorkeeper: self.clone(), caller })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inside = self.doorkeeper.inside.lock().unwrap_or_else(PoisonError::into_inner);
        inside.total -= 1;
        metrics::gauge!("stockstream_http_connections").set(inside.total as f64);
        if let Some(caller) = self.caller
            && let Some(count) = inside.by_caller.get_mut(&caller)
        {
            *count -= 1;
            if *count == 0 {
                inside.by_caller.remove(&caller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_network_is_one_caller_and_this_machine_is_none() {
        assert_eq!(caller(ip("2001:db8::1"), false), caller(ip("2001:db8::ffff:1"), false));
        assert_ne!(caller(ip("2001:db8::1"), false), caller(ip("2001:db8:0:1::1"), false));
        assert_eq!(caller(ip("::ffff:192.0.2.1"), false), Some(ip("192.0.2.1")));
        for local in ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(caller(ip(local), false), None, "{local}");
            assert!(caller(ip(local), true).is_some(), "{local}");
        }
    }

    #[test]
    fn a_place_is_free_again_when_its_connection_is_gone() {
        let doorkeeper =
            Doorkeeper::new(&Limits { connections: 3, connections_per_address: Some(2), ..Limits::default() });
        let (one, other) = (ip("192.0.2.1"), ip("192.0.2.2"));
        let first = doorkeeper.admit(one).unwrap();
        let _second = doorkeeper.admit(one).unwrap();
        assert_eq!(doorkeeper.admit(one).unwrap_err(), Refusal::Address);
        let _third = doorkeeper.admit(other).unwrap();
        assert_eq!(doorkeeper.admit(other).unwrap_err(), Refusal::Total);
        drop(first);
        doorkeeper.admit(one).unwrap();
        let inside = doorkeeper.inside.lock().unwrap();
        assert_eq!((inside.total, inside.by_caller.len()), (2, 2), "the one admitted last has left at once");
    }
}
