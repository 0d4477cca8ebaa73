//! Where a server listens, and where a client finds it.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// A host and a port, such as `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080` or `https://192.0.2.7:8443`. Port 0 is any that is free.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// A name, or an IP address without brackets.
    host: String,
    port: u16,
    is_https: bool,
}

/// Text that is no such address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a host and a port, such as 127.0.0.1:8080 or https://192.0.2.7:8443")]
pub struct NoAddress;

impl Address {
    /// The host, as a name or an IP address, and the port.
    pub fn host_and_port(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    /// Whether it begins with `https://`.
    pub fn is_https(&self) -> bool {
        self.is_https
    }

    /// Whether only programs of this machine reach it.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }

    /// The same, encrypted.
    pub(crate) fn encrypted(self) -> Self {
        Self { is_https: true, ..self }
    }

    /// What stands before a path.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.is_https { "https" } else { "http" };
        format!("{scheme}://{}", self.authority())
    }

    fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        match host.parse::<Ipv6Addr>() {
            Ok(_) => format!("[{host}]:{port}"),
            Err(_) => format!("{host}:{port}"),
        }
    }
}

impl FromStr for Address {
    type Err = NoAddress;

    fn from_str(text: &str) -> Result<Self, NoAddress> {
        let (is_https, rest) = match text.split_once("://") {
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            Some(_) => return Err(NoAddress),
            None => (false, text),
        };
        let rest = if text.contains("://") { rest.strip_suffix('/').unwrap_or(rest) } else { rest };
        let (host, port) = rest.rsplit_once(':').ok_or(NoAddress)?;
        let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_sound = match inner {
            Some(inner) => inner.parse::<Ipv6Addr>().is_ok(),
            None => is_name(host),
        };
        let port = port.bytes().all(|byte| byte.is_ascii_digit()).then(|| port.parse().ok()).flatten();
        let host = inner.unwrap_or(host).to_owned();
        port.filter(|_| is_sound).map(|port| Self { host, port, is_https }).ok_or(NoAddress)
    }
}

/// Whether it is a name, or an IPv4 address.
fn is_name(host: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    !host.is_empty() && host.chars().all(fits)
}

fn is_loopback(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_https { f.write_str(&self.url()) } else { f.write_str(&self.authority()) }
    }
}

/// Whether the `Host` of a request names this machine. A page of another origin, whose name was made to lead here, does not.
pub(crate) fn is_local(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    is_loopback(name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_hosts_with_ports() {
        for (text, shown, is_loopback) in [
            ("127.0.0.1:8080", "127.0.0.1:8080", true),
            ("http://127.0.0.1:8080/", "127.0.0.1:8080", true),
            ("localhost:0", "localhost:0", true),
            ("[::1]:80", "[::1]:80", true),
            ("127.3.2.1:1", "127.3.2.1:1", true),
            ("0.0.0.0:80", "0.0.0.0:80", false),
            ("[::]:80", "[::]:80", false),
            ("https://monitor.example:8443", "https://monitor.example:8443", false),
            ("https://[2001:db8::7]:8443/", "https://[2001:db8::7]:8443", false),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!((address.to_string().as_str(), address.is_loopback()), (shown, is_loopback), "{text}");
            assert_eq!(address.is_https(), text.starts_with("https"), "{text}");
        }
        for text in [
            "",
            "8080",
            "127.0.0.1",
            "localhost",
            "localhost:x",
            "127.0.0.1:70000",
            "127.0.0.1:+80",
            "ftp://a:1",
            "a b:1",
            "[127.0.0.1]:1",
            "https://user@host:1",
            "a/b:1",
        ] {
            assert_eq!(text.parse::<Address>(), Err(NoAddress), "{text}");
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
