//! Where a server listens.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

/// A loopback address and a port, such as `127.0.0.1:8080`, `[::1]:8080` or `localhost:8080`. Port 0 is any that is free.
///
/// Others are refused: without encryption a token could be read on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address(SocketAddr);

/// Text that is no such address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAddress {
    /// It is none at all.
    #[error("expected an address and a port, such as 127.0.0.1:8080")]
    Syntax,
    /// It can be reached from elsewhere.
    #[error(
        "{0} is not a loopback address, and nothing is encrypted; take 127.0.0.1 or [::1], and reach it from elsewhere by `ssh -L`"
    )]
    Reachable(IpAddr),
}

impl Address {
    /// As the system has it.
    pub fn socket(self) -> SocketAddr {
        self.0
    }
}

impl FromStr for Address {
    type Err = NoAddress;

    fn from_str(text: &str) -> Result<Self, NoAddress> {
        let local = text.strip_prefix("localhost:").and_then(|port| port.parse().ok());
        let local = local.map(|port| SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port));
        let address = local.or_else(|| text.parse().ok()).ok_or(NoAddress::Syntax)?;
        if address.ip().is_loopback() { Ok(Self(address)) } else { Err(NoAddress::Reachable(address.ip())) }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether the `Host` of a request names this machine. A page of another origin, whose name was made to lead here, does not.
pub(crate) fn is_local(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let inner = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || inner.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_of_this_machine() {
        for (text, shown) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("localhost:0", "127.0.0.1:0"),
            ("[::1]:80", "[::1]:80"),
            ("127.3.2.1:1", "127.3.2.1:1"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), shown);
        }
        for text in ["", "8080", "127.0.0.1", "localhost", "localhost:x", "example.org:80", "127.0.0.1:70000"]
        {
            assert_eq!(text.parse::<Address>(), Err(NoAddress::Syntax), "{text}");
        }
        for text in ["0.0.0.0:80", "192.168.0.1:80", "[::]:80"] {
            let line = text.parse::<Address>().unwrap_err().to_string();
            assert!(line.contains("not a loopback address") && line.contains("ssh -L"), "{line}");
        }
    }

    #[test]
    fn other_names_that_lead_here_are_told_apart() {
        for host in ["127.0.0.1", "127.0.0.1:8080", "localhost", "LocalHost:1", "[::1]:80", "[::1]"] {
            assert!(is_local(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:8080",
            "127.0.0.1.evil.example",
            "localhost.evil:1",
            "10.0.0.1",
        ] {
            assert!(!is_local(host), "{host}");
        }
    }
}
