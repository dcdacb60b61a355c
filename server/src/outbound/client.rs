//! The client that asks: it connects to addresses that were checked, and follows nobody elsewhere.

use super::{Policy, Refusal, check_address};
use reqwest::{
    Client,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect,
};
use std::{net::SocketAddr, time::Duration};

/// How long a connection may take, and a whole request.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(10));

/// A client for URLs that [`check_url`](super::check_url) let pass. Every address a name leads to is checked when the
/// connection is made, so that a name which changes its mind after the check leads nowhere. It follows no redirect and
/// heeds no proxy of the environment, which would look the name up by itself.
///
/// # Errors
/// TLS cannot be set up.
pub fn client(policy: &Policy) -> Result<Client, reqwest::Error> {
    use_ring();
    Client::builder()
        .dns_resolver(Checked(policy.clone()))
        .redirect(redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .http1_only()
        .connect_timeout(PATIENCE.0)
        .timeout(PATIENCE.1)
        .user_agent(concat!("stockstream/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// A client for a URL that the person at the keyboard typed: whither it goes is theirs to say, but it follows no
/// redirect, which would carry a token along.
///
/// # Errors
/// TLS cannot be set up.
pub fn personal_client(timeout: Duration) -> Result<Client, reqwest::Error> {
    use_ring();
    Client::builder().redirect(redirect::Policy::none()).timeout(timeout).build()
}

/// Names the process's provider of cryptography, which is the one that Postgres's connections have.
pub fn use_ring() {
    // Whoever was first named the same one.
    drop(rustls::crypto::ring::default_provider().install_default());
}

/// What went wrong, with its cause and without the URL.
pub fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Looks names up as the system does, and hands out only addresses that may be asked.
struct Checked(Policy);

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.0.clone();
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(Box::new(let_pass(found, &policy)?.into_iter()) as Addrs)
        })
    }
}

/// All addresses of a name or none: one that leads inwards makes the others suspect.
fn let_pass(found: Vec<SocketAddr>, policy: &Policy) -> Result<Vec<SocketAddr>, Refusal> {
    if found.is_empty() {
        return Err(Refusal::NoAddress);
    }
    for address in &found {
        check_address(address.ip(), policy)?;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 0)).collect()
    }

    #[test]
    fn one_inward_address_spoils_the_name() {
        let policy = Policy::default();
        assert_eq!(let_pass(addresses(&["8.8.8.8", "2606:4700::1"]), &policy).unwrap().len(), 2);
        let refused = let_pass(addresses(&["8.8.8.8", "10.0.0.1"]), &policy);
        assert_eq!(refused, Err(Refusal::NotPublic("10.0.0.1".parse().unwrap())));
        assert_eq!(let_pass(Vec::new(), &policy), Err(Refusal::NoAddress));
    }

    #[tokio::test]
    async fn a_name_that_leads_to_this_machine_is_not_connected_to() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        // As if an allowed name had been pointed at this machine after the URL was checked.
        let url = format!("http://localhost:{}/secret-path", listener.local_addr().unwrap().port());
        let error = client(&Policy::default()).unwrap().get(&url).send().await.unwrap_err();
        let text = describe(error);
        assert!(text.contains("which is not a public address"), "{text}");
        assert!(!text.contains("secret-path"), "{text}");
        assert!(listener.accept().is_err(), "nobody has called");
    }
}
