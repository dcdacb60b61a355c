//! How many requests per second a caller may make: a key as many as it was made for, everybody else by address.

use super::{
    Problem,
    limit::{self, Limits},
};
use crate::access::{Key, KeyId};
use axum::{
    http::{HeaderName, HeaderValue, Response},
    response::IntoResponse,
};
use governor::{
    NotUntil, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::{StateInformationMiddleware, StateSnapshot},
    state::{InMemoryState, NotKeyed, keyed::HashMapStateStore},
};
use std::{
    collections::HashMap,
    net::IpAddr,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// Requests that may come at once, in seconds' worth of the rate.
const BURST_SECONDS: u32 = 10;
/// Between two looks for callers who have been quiet so long that nothing needs to be remembered of them.
const FORGET_EVERY: Duration = Duration::from_secs(60);

/// How many requests per second each caller may make. Cheap to clone.
#[derive(Clone)]
pub struct RequestRate(Arc<Rates>);

struct Rates {
    /// `None`: any number.
    addresses: Option<Addresses>,
    /// Of keys that were used lately.
    keys: Mutex<HashMap<KeyId, Arc<OfKey>>>,
    clock: DefaultClock,
    limit_loopback: bool,
}

struct Addresses {
    limiter: RateLimiter<IpAddr, HashMapStateStore<IpAddr>, DefaultClock, StateInformationMiddleware>,
    terms: Terms,
}

struct OfKey {
    limiter: RateLimiter<NotKeyed, InMemoryState, DefaultClock, StateInformationMiddleware>,
    terms: Terms,
}

/// What a bucket is called and allows.
#[derive(Clone)]
struct Terms {
    name: &'static str,
    per_second: NonZeroU32,
    policy: HeaderValue,
}

impl Terms {
    fn new(name: &'static str, per_second: NonZeroU32) -> (Self, Quota) {
        let burst = per_second.saturating_mul(NonZeroU32::new(BURST_SECONDS).expect("not 0"));
        let policy = format!("\"{name}\";q={burst};w={BURST_SECONDS}");
        let policy = HeaderValue::try_from(policy).expect("a name and numbers are ASCII");
        (Self { name, per_second, policy }, Quota::per_second(per_second).allow_burst(burst))
    }
}

/// What is left of a caller's bucket; for the answer's headers (draft-ietf-httpapi-ratelimit-headers-10).
pub(super) struct Left {
    terms: Terms,
    /// Requests that may come at once.
    requests: u32,
    /// Of silence, after which there are all that are ever allowed.
    seconds: u64,
}

impl Left {
    pub(super) fn tell<B>(&self, response: &mut Response<B>) {
        let headers = response.headers_mut();
        headers.insert(HeaderName::from_static("ratelimit-policy"), self.terms.policy.clone());
        let left = format!("\"{}\";r={};t={}", self.terms.name, self.requests, self.seconds);
        if let Ok(value) = HeaderValue::try_from(left) {
            headers.insert(HeaderName::from_static("ratelimit"), value);
        }
    }
}

impl RequestRate {
    pub fn new(limits: &Limits) -> Self {
        let addresses = limits.requests_per_second.map(|per_second| {
            let (terms, quota) = Terms::new("address", per_second);
            Addresses { limiter: RateLimiter::hashmap(quota).with_middleware(), terms }
        });
        let limit_loopback = limits.limit_loopback;
        Self(Arc::new(Rates { addresses, keys: Mutex::default(), clock: DefaultClock::default(), limit_loopback }))
    }

    /// Forgets callers who have been quiet; runs until `shutdown`.
    pub async fn forget(self, shutdown: CancellationToken) {
        let mut tick = tokio::time::interval(FORGET_EVERY);
        while shutdown.run_until_cancelled(tick.tick()).await.is_some() {
            if let Some(Addresses { limiter, .. }) = &self.0.addresses {
                limiter.retain_recent();
                limiter.shrink_to_fit();
            }
            self.0.forget_keys();
        }
    }

    /// Counts a request of a key, or of an address; `None`: there is no limit for it.
    ///
    /// # Errors
    /// It comes too fast: the whole answer.
    pub(super) fn count(
        &self,
        key: Option<&Key>,
        peer: Option<IpAddr>,
    ) -> Result<Option<Left>, Box<axum::response::Response>> {
        let rates = &self.0;
        if let Some(key) = key {
            let Some(per_second) = key.requests_per_second else { return Ok(None) };
            let bucket = rates.of_key(&key.id, per_second);
            return rates.judge(&bucket.terms, bucket.limiter.check(), "with this key");
        }
        let caller = peer.and_then(|peer| limit::caller(peer, rates.limit_loopback));
        let (Some(Addresses { limiter, terms }), Some(caller)) = (&rates.addresses, caller) else { return Ok(None) };
        rates.judge(terms, limiter.check_key(&caller), "from your address")
    }
}

impl Rates {
    fn of_key(&self, id: &KeyId, per_second: NonZeroU32) -> Arc<OfKey> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = keys.get(id).filter(|known| known.terms.per_second == per_second) {
            return known.clone();
        }
        let (terms, quota) = Terms::new("key", per_second);
        let new = Arc::new(OfKey { limiter: RateLimiter::direct(quota).with_middleware(), terms });
        keys.insert(id.clone(), new.clone());
        new
    }

    /// A bucket that is full again is as good as a new one.
    fn forget_keys(&self) {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        keys.retain(|_, bucket| {
            let state = bucket.limiter.check();
            !state.is_ok_and(|state| state.remaining_burst_capacity() + 1 >= state.quota().burst_size().get())
        });
    }

    fn judge(
        &self,
        terms: &Terms,
        verdict: Result<StateSnapshot, NotUntil<<DefaultClock as Clock>::Instant>>,
        whose: &str,
    ) -> Result<Option<Left>, Box<axum::response::Response>> {
        match verdict {
            Ok(state) => {
                let requests = state.remaining_burst_capacity();
                let used = state.quota().burst_size().get().saturating_sub(requests);
                let seconds = u64::from(used.div_ceil(terms.per_second.get()));
                Ok(Some(Left { terms: terms.clone(), requests, seconds }))
            }
            Err(early) => {
                metrics::counter!("stockstream_http_rate_limited_total", "by" => terms.name).increment(1);
                let wait = early.wait_time_from(self.clock.now()).as_secs_f64().ceil().max(1.0) as u32;
                let mut response = Problem::too_many_requests(terms.per_second.get(), whose, wait).into_response();
                Left { terms: terms.clone(), requests: 0, seconds: u64::from(wait) }.tell(&mut response);
                Err(Box::new(response))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_that_is_full_is_forgotten_and_one_in_use_is_not() {
        let rate = RequestRate::new(&Limits::default());
        let (busy, quiet): (KeyId, KeyId) =
            ("SKABCDEFGHIJKLMNOP23".parse().unwrap(), "SKABCDEFGHIJKLMNOP24".parse().unwrap());
        let one = NonZeroU32::new(1).unwrap();
        let bucket = rate.0.of_key(&busy, one);
        for _ in 0..5 {
            bucket.limiter.check().unwrap();
        }
        rate.0.of_key(&quiet, one);
        rate.0.forget_keys();
        let kept: Vec<KeyId> = rate.0.keys.lock().unwrap().keys().cloned().collect();
        assert_eq!(kept, std::slice::from_ref(&busy));
        let faster = rate.0.of_key(&busy, NonZeroU32::new(7).unwrap());
        assert_eq!(faster.terms.policy, "\"key\";q=70;w=10", "a key with another rate begins anew");
    }
}
