//! What a place in etcd is written as.

use crate::CoordinationError;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use ureq::http::Uri;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

/// Bytes of a file of certificates at most.
const LARGEST_PEM: u64 = 1 << 20;

#[derive(Debug)]
pub(super) struct Place {
    /// Each as `SCHEME://HOST:PORT`.
    pub(super) endpoints: Vec<String>,
    /// Set if the scheme is `https`.
    pub(super) tls: Option<TlsConfig>,
}

pub(super) fn parse(place: &str) -> Result<Place, CoordinationError> {
    let wrong = |what: &str, expected| CoordinationError::Place { what: what.into(), expected };
    let (mut endpoints, mut ca, mut cert, mut key) = (Vec::new(), None, None, None);
    for part in place.split(',') {
        match part.split_once('=') {
            _ if part.contains("://") => endpoints.push(endpoint(part)?),
            Some(("ca", file)) => ca = Some(file),
            Some(("cert", file)) => cert = Some(file),
            Some(("key", file)) => key = Some(file),
            _ => {
                return Err(wrong(
                    part,
                    "http://HOST:PORT, https://HOST:PORT, ca=FILE, cert=FILE or key=FILE",
                ));
            }
        }
    }
    let secure = endpoints.iter().filter(|endpoint| endpoint.starts_with("https:")).count();
    let files = ca.is_some() || cert.is_some() || key.is_some();
    match (endpoints.len(), secure) {
        (0, _) => Err(wrong(place, "an endpoint: http://HOST:PORT or https://HOST:PORT")),
        (all, some) if some != 0 && some != all => Err(wrong(place, "either http:// or https:// throughout")),
        (_, 0) if files => Err(wrong(place, "https://, as certificates are given")),
        (_, 0) => Ok(Place { endpoints, tls: None }),
        _ => Ok(Place { endpoints, tls: Some(tls(ca, cert, key)?) }),
    }
}

fn endpoint(text: &str) -> Result<String, CoordinationError> {
    let expected = "an endpoint http://HOST:PORT or https://HOST:PORT";
    let wrong = || CoordinationError::Place { what: text.into(), expected };
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    let (Some(scheme @ ("http" | "https")), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(wrong());
    };
    let plain = uri.path_and_query().is_none_or(|path| path.as_str() == "/");
    let named = !authority.host().is_empty() && !authority.as_str().contains('@');
    match authority.port_u16() {
        Some(1..) if plain && named => Ok(format!("{scheme}://{authority}")),
        _ => Err(wrong()),
    }
}

fn tls(ca: Option<&str>, cert: Option<&str>, key: Option<&str>) -> Result<TlsConfig, CoordinationError> {
    let mut config = TlsConfig::builder();
    if let Some(file) = ca {
        config = config.root_certs(RootCerts::from(certificates(file)?));
    }
    config = match (cert, key) {
        (None, None) => config,
        (Some(cert), Some(key)) => {
            let client = ClientCert::new_with_certs(&certificates(cert)?, private_key(key)?);
            config.client_cert(Some(client))
        }
        (Some(file), None) | (None, Some(file)) => {
            return Err(CoordinationError::Place {
                what: file.into(),
                expected: "cert=FILE and key=FILE together",
            });
        }
    };
    Ok(config.build())
}

fn pem(file: &str) -> Result<Vec<PemItem<'static>>, CoordinationError> {
    let path = Path::new(file);
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|opened| opened.take(LARGEST_PEM).read_to_end(&mut bytes));
    read.map_err(CoordinationError::file(path))?;
    let damaged = |_| CoordinationError::Place { what: file.into(), expected: "a PEM file" };
    parse_pem(&bytes).collect::<Result<_, _>>().map_err(damaged)
}

fn certificates(file: &str) -> Result<Vec<Certificate<'static>>, CoordinationError> {
    let certificate = |item| match item {
        PemItem::Certificate(certificate) => Some(certificate),
        _ => None,
    };
    let found: Vec<_> = pem(file)?.into_iter().filter_map(certificate).collect();
    match found.is_empty() {
        true => {
            Err(CoordinationError::Place { what: file.into(), expected: "a PEM file with a certificate" })
        }
        false => Ok(found),
    }
}

fn private_key(file: &str) -> Result<PrivateKey<'static>, CoordinationError> {
    let key = |item| match item {
        PemItem::PrivateKey(key) => Some(key),
        _ => None,
    };
    let none = || CoordinationError::Place { what: file.into(), expected: "a PEM file with a private key" };
    pem(file)?.into_iter().find_map(key).ok_or_else(none)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read() {
        let place = parse("http://a:2379,http://127.0.0.1:2379/,http://[::1]:2379").unwrap();
        assert_eq!(place.endpoints, ["http://a:2379", "http://127.0.0.1:2379", "http://[::1]:2379"]);
        assert!(place.tls.is_none());
        let place = parse("https://a:2379").unwrap();
        assert!(place.tls.is_some());
    }

    #[test]
    fn what_is_no_place_is_named() {
        for (place, expected) in [
            ("", "\"\": expected http://HOST:PORT"),
            ("a:2379", "\"a:2379\": expected http://HOST:PORT"),
            ("ftp://a:2379", "expected an endpoint"),
            ("http://a", "expected an endpoint"),
            ("http://a:0", "expected an endpoint"),
            ("http://:2379", "expected an endpoint"),
            ("http://user@a:2379", "expected an endpoint"),
            ("http://a:2379/v3", "expected an endpoint"),
            ("http://a:2379?x", "expected an endpoint"),
            ("http://a:2379,https://b:2379", "throughout"),
            ("http://a:2379,ca=ca.pem", "expected https://, as certificates are given"),
            ("ca=ca.pem", "expected an endpoint"),
            ("https://a:2379,ca=/none.pem", "/none.pem: "),
            ("https://a:2379,cert=/none.pem", "expected cert=FILE and key=FILE together"),
            ("https://a:2379,ca=/dev/null", "\"/dev/null\": expected a PEM file with a certificate"),
        ] {
            let text = parse(place).unwrap_err().to_string();
            assert!(text.contains(expected) && text.lines().count() == 1, "{place}: {text}");
        }
    }
}
