//! How much one caller, and all together, may ask for: connections, requests per second, time.
//!
//! Callers are told apart by address; an IPv6 caller by the first 64 bits, because it owns all the rest. A caller on
//! this machine is the operator or the operator's own reverse proxy, which stands for many: it is exempt unless
//! [`Limits::limit_loopback`] says otherwise, and the limits per caller are then the proxy's to set.

use super::Problem;
use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderName, HeaderValue, Response},
    middleware::Next,
    response::IntoResponse,
};
use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
    state::keyed::HashMapStateStore,
};
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// Requests that may come at once, in seconds' worth of the rate.
const BURST_SECONDS: u32 = 10;
/// Between two looks for callers who have been quiet so long that nothing needs to be remembered of them.
const FORGET_EVERY: Duration = Duration::from_secs(60);

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

/// How many requests per second each address may make. Cheap to clone.
#[derive(Clone)]
pub struct RequestRate(Arc<Rates>);

struct Rates {
    limiter: RateLimiter<IpAddr, HashMapStateStore<IpAddr>, DefaultClock, StateInformationMiddleware>,
    clock: DefaultClock,
    per_second: NonZeroU32,
    limit_loopback: bool,
    policy: HeaderValue,
}

impl RequestRate {
    /// `None` when any number of requests is allowed.
    pub fn new(limits: &Limits) -> Option<Self> {
        let per_second = limits.requests_per_second?;
        let burst = per_second.saturating_mul(NonZeroU32::new(BURST_SECONDS)?);
        let policy = HeaderValue::try_from(format!("\"address\";q={burst};w={BURST_SECONDS}")).ok()?;
        let limiter = RateLimiter::hashmap(Quota::per_second(per_second).allow_burst(burst))
            .with_middleware::<StateInformationMiddleware>();
        let limit_loopback = limits.limit_loopback;
        Some(Self(Arc::new(Rates { limiter, clock: DefaultClock::default(), per_second, limit_loopback, policy })))
    }

    /// Forgets callers who have been quiet; runs until `shutdown`.
    pub async fn forget(self, shutdown: CancellationToken) {
        let mut tick = tokio::time::interval(FORGET_EVERY);
        while shutdown.run_until_cancelled(tick.tick()).await.is_some() {
            self.0.limiter.retain_recent();
            self.0.limiter.shrink_to_fit();
        }
    }
}

/// Refuses with 429 what comes too fast, and tells everybody what is left (draft-ietf-httpapi-ratelimit-headers-10).
pub(super) async fn limit_rate(
    State(rate): State<Option<RequestRate>>,
    request: Request,
    next: Next,
) -> axum::response::Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    let (Some(RequestRate(rates)), Some(peer)) = (rate, peer) else {
        return next.run(request).await;
    };
    let Some(caller) = caller(peer, rates.limit_loopback) else {
        return next.run(request).await;
    };
    match rates.limiter.check_key(&caller) {
        Ok(state) => {
            let left = state.remaining_burst_capacity();
            let used = state.quota().burst_size().get().saturating_sub(left);
            let mut response = next.run(request).await;
            rates.tell(&mut response, left, u64::from(used.div_ceil(rates.per_second.get())));
            response
        }
        Err(early) => {
            metrics::counter!("stockstream_http_rate_limited_total").increment(1);
            let wait = early.wait_time_from(rates.clock.now()).as_secs_f64().ceil().max(1.0) as u32;
            let mut response = Problem::too_many_requests(rates.per_second.get(), wait).into_response();
            rates.tell(&mut response, 0, u64::from(wait));
            response
        }
    }
}

impl Rates {
    /// `left` requests may come at once, and all that are ever allowed after `seconds` of silence.
    fn tell<B>(&self, response: &mut Response<B>, left: u32, seconds: u64) {
        let headers = response.headers_mut();
        headers.insert(HeaderName::from_static("ratelimit-policy"), self.policy.clone());
        if let Ok(value) = HeaderValue::try_from(format!("\"address\";r={left};t={seconds}")) {
            headers.insert(HeaderName::from_static("ratelimit"), value);
        }
    }
}

/// Answers 503 when a handler has not begun to answer in time. An open WebSocket is an answer that has begun.
pub(super) async fn limit_time(
    State(limit): State<Duration>,
    request: Request,
    next: Next,
) -> axum::response::Response {
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_elapsed) => Problem::too_slow().into_response(),
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
