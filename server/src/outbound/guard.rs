//! Whether a URL, and an address its host has, may be asked. Pure: no lookups, no clock.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};
use url::{Host, Url};

/// What is allowed besides public addresses by `https`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// The only hosts that may be asked.
    pub hosts: Vec<HostPattern>,
    /// Whether this machine may be asked too, on any port and without TLS.
    pub allow_loopback: bool,
}

/// A host, and the port when it is not 443: `hooks.slack.com`, `alerts.example.com:8443`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    host: String,
    port: u16,
}

impl FromStr for HostPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("{text:?} is not a host, or host:port; no scheme, no path, no wildcard");
        let url = Url::parse(&format!("https://{text}/")).map_err(|_| wrong())?;
        let host = url.host_str().filter(|_| !text.contains(['/', '?', '#', '@', '*', '\\'])).ok_or_else(wrong)?;
        Ok(Self { host: host.to_owned(), port: url.port().unwrap_or(443) })
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.port == 443 { write!(f, "{}", self.host) } else { write!(f, "{}:{}", self.host, self.port) }
    }
}

/// Why a URL or an address may not be asked. Never repeats the URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("is not a URL")]
    NoUrl,
    #[error("must begin with https://")]
    Insecure,
    #[error("must not hold a user name or password")]
    UserInfo,
    #[error("its host is not one of those allowed ({0}); allow it with --alert-host")]
    HostNotAllowed(String),
    #[error("leads to {0}, which is not a public address")]
    NotPublic(IpAddr),
    #[error("its host has no address")]
    NoAddress,
}

/// Checks a URL as it was configured.
///
/// # Errors
/// It is not `https`, holds credentials, or names a host that is not allowed or an address that is not public.
pub fn check_url(text: &str, policy: &Policy) -> Result<Url, Refusal> {
    let url = Url::parse(text).map_err(|_| Refusal::NoUrl)?;
    let host = url.host().ok_or(Refusal::NoUrl)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Refusal::UserInfo);
    }
    let address = match host {
        Host::Ipv4(address) => Some(IpAddr::V4(address)),
        Host::Ipv6(address) => Some(IpAddr::V6(address)),
        Host::Domain(_) => None,
    };
    let here = matches!(host, Host::Domain("localhost")) || address.is_some_and(|address| address.is_loopback());
    if policy.allow_loopback && here && matches!(url.scheme(), "http" | "https") {
        return Ok(url);
    }
    if url.scheme() != "https" {
        return Err(Refusal::Insecure);
    }
    if let Some(address) = address {
        check_address(address, policy)?;
    }
    let wanted = HostPattern { host: host.to_string(), port: url.port().unwrap_or(443) };
    if !policy.hosts.contains(&wanted) {
        let allowed = policy.hosts.iter().map(HostPattern::to_string).collect::<Vec<_>>().join(", ");
        return Err(Refusal::HostNotAllowed(if allowed.is_empty() { "none".to_owned() } else { allowed }));
    }
    Ok(url)
}

/// Checks an address that a host was found to have. A name may be allowed and yet lead inwards.
///
/// # Errors
/// The address is not public, and not of this machine while that is allowed.
pub fn check_address(address: IpAddr, policy: &Policy) -> Result<(), Refusal> {
    let public = match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    };
    if public || (policy.allow_loopback && address.is_loopback()) { Ok(()) } else { Err(Refusal::NotPublic(address)) }
}

/// IANA's registry of special-purpose addresses, and multicast.
fn is_public_v4(address: Ipv4Addr) -> bool {
    const SPECIAL: [([u8; 4], u32); 16] = [
        ([0, 0, 0, 0], 8),       // this network
        ([10, 0, 0, 0], 8),      // private
        ([100, 64, 0, 0], 10),   // shared by carriers
        ([127, 0, 0, 0], 8),     // loopback
        ([169, 254, 0, 0], 16),  // link-local, and the metadata services of clouds
        ([172, 16, 0, 0], 12),   // private
        ([192, 0, 0, 0], 24),    // protocol assignments
        ([192, 0, 2, 0], 24),    // documentation
        ([192, 31, 196, 0], 24), // AS112
        ([192, 52, 193, 0], 24), // AMT
        ([192, 88, 99, 0], 24),  // 6to4 relays
        ([192, 168, 0, 0], 16),  // private
        ([198, 18, 0, 0], 15),   // benchmarks
        ([198, 51, 100, 0], 24), // documentation
        ([203, 0, 113, 0], 24),  // documentation
        ([224, 0, 0, 0], 3),     // multicast and reserved, broadcast included
    ];
    let bits = u32::from(address);
    SPECIAL
        .iter()
        .all(|(network, length)| bits >> (32 - length) != u32::from(Ipv4Addr::from(*network)) >> (32 - length))
}

/// Global unicast is 2000::/3. Outside of it lie loopback, link-local, unique-local, multicast, and everything that
/// wraps an IPv4 address: mapped, compatible, NAT64. Inside, the special blocks are taken out.
fn is_public_v6(address: Ipv6Addr) -> bool {
    const SPECIAL: [(u128, u32); 5] = [
        (0x2001_0000 << 96, 23),      // protocol assignments, Teredo among them
        (0x2001_0db8 << 96, 32),      // documentation
        (0x2002_0000 << 96, 16),      // 6to4 wraps an IPv4 address
        (0x2620_004f_8000 << 80, 48), // AS112
        (0x3fff_0000 << 96, 20),      // documentation
    ];
    let bits = u128::from(address);
    bits >> 125 == 1 && SPECIAL.iter().all(|(network, length)| bits >> (128 - length) != network >> (128 - length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn slack() -> Policy {
        Policy { hosts: vec!["hooks.slack.com".parse().unwrap()], allow_loopback: false }
    }

    #[test]
    fn only_https_to_a_listed_host_without_credentials_is_allowed() {
        assert!(check_url("https://hooks.slack.com/services/T0/B0/x", &slack()).is_ok());
        assert!(check_url("https://HOOKS.slack.com:443/services/T0", &slack()).is_ok());
        for (url, why) in [
            ("http://hooks.slack.com/x", Refusal::Insecure),
            ("ftp://hooks.slack.com/x", Refusal::Insecure),
            ("file:///etc/passwd", Refusal::NoUrl),
            ("hooks.slack.com/x", Refusal::NoUrl),
            ("", Refusal::NoUrl),
            ("https://", Refusal::NoUrl),
            ("https://user@hooks.slack.com/x", Refusal::UserInfo),
            ("https://:pass@hooks.slack.com/x", Refusal::UserInfo),
            ("https://hooks.slack.com@evil.example/x", Refusal::UserInfo),
            // ONE DOT LEADER, which looks like a dot
            ("https://hooks.slack.com\u{2024}evil.example/x", Refusal::NoUrl),
        ] {
            assert_eq!(check_url(url, &slack()), Err(why), "{url}");
        }
        for url in [
            "https://evil.example/x",
            "https://hooks.slack.com.evil.example/x",
            "https://evilhooks.slack.com/x",
            "https://slack.com/x",
            "https://hooks.slack.com./x",
            "https://hooks.slack.com:8443/x",
            "https://localhost/x",
            "https://93.184.216.34/x",
        ] {
            assert!(matches!(check_url(url, &slack()), Err(Refusal::HostNotAllowed(_))), "{url}");
        }
    }

    #[test]
    fn an_address_in_disguise_is_still_the_address() {
        for url in [
            "https://127.0.0.1/x",
            "https://2130706433/x",
            "https://0x7f.1/x",
            "https://0177.0.0.1/x",
            "https://127.1/x",
            "https://[::1]/x",
            "https://[::ffff:127.0.0.1]/x",
            "https://[::ffff:a9fe:a9fe]/x",
            "https://169.254.169.254/latest/meta-data",
            "https://10.0.0.1/x",
            "https://[fd00::1]/x",
        ] {
            assert!(matches!(check_url(url, &slack()), Err(Refusal::NotPublic(_))), "{url}");
        }
    }

    #[test]
    fn loopback_is_allowed_by_its_switch_and_nothing_else_is() {
        let policy = Policy { allow_loopback: true, ..slack() };
        for url in ["http://127.0.0.1:9/x", "https://[::1]:9/x", "http://localhost:9/x", "http://127.8.8.8/x"] {
            assert!(check_url(url, &policy).is_ok(), "{url}");
            assert!(check_url(url, &slack()).is_err(), "{url}");
        }
        for url in [
            "http://hooks.slack.com/x",
            "http://10.0.0.1/x",
            "http://[::ffff:127.0.0.1]/x",
            "http://localhost.evil.example/x",
            "http://0.0.0.0/x",
            "gopher://127.0.0.1/x",
        ] {
            assert!(check_url(url, &policy).is_err(), "{url}");
        }
        assert!(check_address("127.0.0.1".parse().unwrap(), &policy).is_ok());
        assert!(check_address("10.0.0.1".parse().unwrap(), &policy).is_err());
    }

    #[test]
    fn no_special_address_is_public() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.255.255.255",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.7",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:8.8.8.8",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(check_address(address, &slack()), Err(Refusal::NotPublic(address)));
        }
        for address in ["8.8.8.8", "3.68.170.153", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::1"] {
            assert_eq!(check_address(address.parse().unwrap(), &slack()), Ok(()), "{address}");
        }
    }

    #[test]
    fn a_refusal_never_repeats_the_url() {
        for url in [
            "http://a/canary",
            "https://canary@b/",
            "https://other.example/canary",
            "canary",
            "https://10.0.0.1/canary",
        ] {
            let refusal = check_url(url, &slack()).unwrap_err();
            assert!(!format!("{refusal} {refusal:?}").contains("canary"), "{refusal:?}");
        }
    }

    #[test]
    fn a_host_pattern_is_a_host_and_nothing_more() {
        for text in ["", "https://a.example", "a.example/x", "a@b", "*.example", "a b", "a.example:0x", "a?b", "a\\b"] {
            assert!(text.parse::<HostPattern>().is_err(), "{text:?}");
        }
        assert_eq!("Alerts.Example:8443".parse::<HostPattern>().unwrap().to_string(), "alerts.example:8443");
    }

    proptest! {
        #[test]
        fn the_standard_library_calls_no_public_address_special(bits: u32) {
            let address = Ipv4Addr::from(bits);
            if is_public_v4(address) {
                prop_assert!(!address.is_private() && !address.is_loopback() && !address.is_link_local());
                prop_assert!(!address.is_multicast() && !address.is_broadcast() && !address.is_unspecified());
                prop_assert!(!address.is_documentation());
            }
            prop_assert!(!is_public_v6(address.to_ipv6_mapped()) && !is_public_v6(address.to_ipv6_compatible()));
        }

        #[test]
        fn no_text_gets_past_the_list(text in "(https?://)?[a-z0-9.@:/\\[\\]%#?-]{0,40}") {
            if let Ok(url) = check_url(&text, &slack()) {
                prop_assert_eq!(url.host_str(), Some("hooks.slack.com"));
                prop_assert_eq!(url.scheme(), "https");
            }
        }
    }
}
