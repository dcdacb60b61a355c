//! Who may change something. Closed without a configured token, and without a key that has the scope `control`; whoever
//! sends the token may do everything.
//!
//! There are no cookies, so that no page can make a browser act for its user; a request that says it comes from a page
//! of another origin is refused all the same. Every attempt, also a refused one, leaves a row in the audit trail: the row
//! of an order is written before the order is carried out, and without it nothing is.

use super::{
    AppState, Problem,
    admit::{self, Identity},
    credential::bearer,
};
use crate::{
    access::{Key, Keys, Scope},
    config::ControlToken,
    store::{AuditEntry, AuditOutcome},
};
use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{HeaderMap, StatusCode, Uri, header, request::Parts},
};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use secrecy::{ExposeSecret, SecretBox, SecretString};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use subtle::ConstantTimeEq;

/// Refused attempts that are recorded at once, and per minute after that: guessing a token must fill no table.
const RECORDED: (NonZeroU32, NonZeroU32) = (NonZeroU32::new(20).expect("not 0"), NonZeroU32::new(6).expect("not 0"));

/// What holds the token's digest. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Of the token; `None`: closed.
    digest: Option<SecretBox<[u8; 32]>>,
    keys: Option<Keys>,
    recorded: DefaultDirectRateLimiter,
    /// Refused attempts since the last one that was recorded.
    unrecorded: AtomicU64,
}

impl Gate {
    pub fn new(token: Option<&ControlToken>, keys: Option<Keys>) -> Self {
        let digest = token.map(|token| SecretBox::new(Box::new(digest(token.0.expose_secret()))));
        let recorded = RateLimiter::direct(Quota::per_minute(RECORDED.1).allow_burst(RECORDED.0));
        Self(Arc::new(Inner { digest, keys, recorded, unrecorded: AtomicU64::new(0) }))
    }

    /// Whether there is anything at all that opens it.
    pub fn is_open(&self) -> bool {
        self.0.digest.is_some() || self.0.keys.as_ref().is_some_and(|keys| keys.any_may(Scope::Control))
    }

    /// Whether this is the control token. Digests are compared, which all have the same length, so that the time tells
    /// neither content nor length.
    pub(super) fn is_token(&self, text: &SecretString) -> bool {
        let expected = self.0.digest.as_ref();
        expected.is_some_and(|expected| digest(text.expose_secret()).ct_eq(expected.expose_secret()).into())
    }

    /// Why the attempt is not let in, if it is not.
    fn refusal(&self, attempt: &Attempt) -> Option<Problem> {
        if !self.is_open() {
            return Some(closed());
        }
        if !attempt.same_origin {
            return Some(Problem::new(
                StatusCode::FORBIDDEN,
                "wrong_origin",
                "Wrong origin",
                "Orders are not taken from pages of another origin.",
            ));
        }
        if let Some(key) = &attempt.key {
            return (!key.may(Scope::Control)).then(|| admit::insufficient_scope(Scope::Control));
        }
        let Some(token) = &attempt.token else {
            return Some(Problem::unauthorized("Send the control token: Authorization: Bearer <token>."));
        };
        (!self.is_token(token)).then(|| Problem::unauthorized("This is not the control token of this server."))
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

fn closed() -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "control_off",
        "Control is off",
        "The control endpoints are off: start stockstream with --control-token, or set STOCKSTREAM_CONTROL_TOKEN.",
    )
}

/// A request that asks for something which is not everybody's: who says to be asking.
#[derive(Debug)]
pub struct Attempt {
    token: Option<SecretString>,
    key: Option<Arc<Key>>,
    same_origin: bool,
    peer: Option<IpAddr>,
}

impl<S: Sync> FromRequestParts<S> for Attempt {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
        let key = parts.extensions.get::<Identity>().and_then(Identity::key).cloned();
        Ok(Self { token: bearer(&parts.headers), key, same_origin: is_same_origin(&parts.headers), peer })
    }
}

/// Whether the request comes from no page, or from one of this very server.
fn is_same_origin(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin" || site == "none");
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let origin = match (origins.next(), origins.next()) {
        (None, _) => true,
        (Some(origin), None) => origin
            .to_str()
            .ok()
            .and_then(|origin| origin.parse::<Uri>().ok())
            .and_then(|origin| origin.authority().cloned())
            .is_some_and(|origin| headers.get(header::HOST).is_some_and(|host| host == origin.as_str())),
        (Some(_), Some(_)) => false,
    };
    site && origin
}

/// Somebody who was let in.
#[derive(Debug)]
pub struct Operator {
    /// As the audit trail and the pipeline's status name them.
    pub name: String,
}

impl AppState {
    /// Lets an attempt in that only reads. It leaves no row.
    ///
    /// # Errors
    /// 403 when control is off or the origin is wrong, 401 when the token is.
    pub(super) fn admit_reader(&self, attempt: &Attempt) -> Result<Operator, Problem> {
        match self.gate.refusal(attempt) {
            None => Ok(Operator {
                name: match &attempt.key {
                    Some(key) => name(&format!("key {}", key.id), attempt.peer),
                    None => name("token", attempt.peer),
                },
            }),
            Some(problem) => Err(problem),
        }
    }

    /// Lets an attempt in that changes something. A refused one leaves a row; one that is let in is for the caller to
    /// [record](Self::record), before anything is changed.
    ///
    /// # Errors
    /// As for a reader.
    pub(super) async fn admit(
        &self,
        attempt: &Attempt,
        action: &'static str,
        subject: &str,
    ) -> Result<Operator, Problem> {
        let problem = match self.admit_reader(attempt) {
            Ok(operator) => return Ok(operator),
            Err(problem) => problem,
        };
        metrics::counter!("stockstream_control_refused_total").increment(1);
        let gate = &self.gate.0;
        // A server whose endpoints are off records nothing: there is nothing to guess.
        if self.gate.is_open() {
            if gate.recorded.check().is_ok() {
                tracing::warn!(
                    action,
                    peer = attempt.peer.map(tracing::field::display),
                    "a control request is refused"
                );
                let unrecorded = gate.unrecorded.swap(0, Ordering::Relaxed);
                let detail = json!({ "status": problem.status().as_u16(), "unrecorded_before": unrecorded });
                let anonymous = Operator { name: name("anonymous", attempt.peer) };
                // The answer is the same whether or not the row can be written.
                drop(self.record(&anonymous, action, subject, AuditOutcome::Refused, detail).await);
            } else {
                gate.unrecorded.fetch_add(1, Ordering::Relaxed);
            }
        }
        Err(problem)
    }

    /// Writes a row of the audit trail.
    ///
    /// # Errors
    /// 503 when Postgres does not answer.
    pub(super) async fn record(
        &self,
        operator: &Operator,
        action: &'static str,
        subject: &str,
        outcome: AuditOutcome,
        detail: Value,
    ) -> Result<(), Problem> {
        let entry = AuditEntry { actor: operator.name.clone(), action, subject: subject.to_owned(), outcome, detail };
        self.feed.store.record_audit(&entry).await?;
        Ok(())
    }
}

fn name(kind: &str, peer: Option<IpAddr>) -> String {
    peer.map_or_else(|| kind.to_owned(), |peer| format!("{kind} {peer}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "a-token-of-some-length";

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    fn status(gate: &Gate, lines: &[(&'static str, &str)]) -> Option<u16> {
        let headers = headers(lines);
        let same_origin = is_same_origin(&headers);
        let attempt = Attempt { token: bearer(&headers), key: None, same_origin, peer: None };
        gate.refusal(&attempt).map(|problem| problem.status().as_u16())
    }

    #[test]
    fn only_the_whole_token_opens_the_gate() {
        let gate = Gate::new(Some(&TOKEN.parse().unwrap()), None);
        let with = |value: &str| status(&gate, &[("authorization", value)]);
        assert_eq!(with(&format!("Bearer {TOKEN}")), None);
        assert_eq!(with(&format!("bearer  {TOKEN}")), None);
        for wrong in [
            "Bearer",
            "Bearer ",
            TOKEN,
            &format!("Basic {TOKEN}"),
            &format!("Bearer {}", &TOKEN[1..]),
            &format!("Bearer {TOKEN}x"),
            &format!("Bearer {}", TOKEN.to_uppercase()),
            &format!("Bearer {TOKEN} {TOKEN}"),
        ] {
            assert_eq!(with(wrong), Some(401), "{wrong:?}");
        }
        assert_eq!(status(&gate, &[]), Some(401));
        let right = format!("Bearer {TOKEN}");
        assert_eq!(status(&gate, &[("authorization", &right), ("authorization", &right)]), Some(401));
        assert_eq!(status(&Gate::new(None, None), &[("authorization", &right)]), Some(403));
        assert!(!format!("{gate:?}").contains(TOKEN));
    }

    #[test]
    fn pages_of_other_origins_are_refused_even_with_the_token() {
        let gate = Gate::new(Some(&TOKEN.parse().unwrap()), None);
        let right = format!("Bearer {TOKEN}");
        let with = |lines: &[(&'static str, &str)]| {
            let mut all = vec![("authorization", right.as_str()), ("host", "stocks.example:8080")];
            all.extend(lines);
            status(&gate, &all)
        };
        assert_eq!(with(&[("origin", "http://stocks.example:8080")]), None);
        assert_eq!(with(&[("origin", "http://stocks.example:8080"), ("sec-fetch-site", "same-origin")]), None);
        for wrong in ["http://evil.example", "null", "http://stocks.example", "http://stocks.example:80800", ""] {
            assert_eq!(with(&[("origin", wrong)]), Some(403), "{wrong:?}");
        }
        assert_eq!(with(&[("sec-fetch-site", "cross-site")]), Some(403));
        assert_eq!(with(&[("origin", "http://stocks.example:8080"), ("origin", "http://evil.example")]), Some(403));
    }
}
