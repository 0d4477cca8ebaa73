//! The certificate of a server, and whom a client trusts.

use crate::ServerError;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, crypto::ring, version::TLS13};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// Bytes of a file of certificates, at most.
const LONGEST: u64 = 1 << 20;

/// A certificate with its key: a server that has one speaks TLS (1.3) alone.
#[derive(Clone)]
pub struct Encryption(Arc<ServerConfig>);

/// Those whose certificates a client takes.
#[derive(Clone)]
pub struct Authority(TlsConfig);

impl Encryption {
    /// Reads two files in the PEM format: the certificate, followed by those that lead to its authority, and its key, which not
    /// everybody may be able to read.
    ///
    /// # Errors
    /// If one cannot be read, holds no such thing, or the key is that of another certificate.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, ServerError> {
        let chain = certificates("--http-certificate", certificate)?;
        let named = |reason: String| faulty("--http-key", key, reason);
        let text = read("--http-key", key, |mode| {
            let reason = "everybody may read it, or write to it; run `chmod 600` on it";
            if mode & 0o007 == 0 { Ok(()) } else { Err(named(reason.into())) }
        })?;
        let secret =
            PrivateKeyDer::from_pem_slice(&text).map_err(|_| named("there is no key in it (PEM)".into()))?;
        let config = ServerConfig::builder_with_provider(ring::default_provider().into())
            .with_protocol_versions(&[&TLS13])
            .and_then(|config| config.with_no_client_auth().with_single_cert(chain, secret));
        Ok(Self(config.map_err(|error| named(error.to_string()))?.into()))
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.0.clone().into()
    }
}

impl Authority {
    /// Reads certificates (PEM): those of authorities, or that of the server itself where it was signed by its own key.
    ///
    /// # Errors
    /// If the file cannot be read or holds no certificate.
    pub fn read(path: &Path) -> Result<Self, ServerError> {
        let found = certificates("--http-ca", path)?;
        let found: Vec<_> = found.iter().map(|found| Certificate::from_der(found).to_owned()).collect();
        Ok(Self(TlsConfig::builder().root_certs(RootCerts::new_with_certs(&found)).build()))
    }

    pub(crate) fn config(&self) -> TlsConfig {
        self.0.clone()
    }
}

fn faulty(option: &'static str, path: &Path, reason: String) -> ServerError {
    ServerError::File { option, path: path.display().to_string(), reason }
}

fn read(
    option: &'static str,
    path: &Path,
    check: impl Fn(u32) -> Result<(), ServerError>,
) -> Result<Vec<u8>, ServerError> {
    let named = |error: std::io::Error| faulty(option, path, error.to_string());
    let file = File::open(path).map_err(named)?;
    check(file.metadata().map_err(named)?.permissions().mode())?;
    let mut text = Vec::new();
    file.take(LONGEST).read_to_end(&mut text).map_err(named)?;
    Ok(text)
}

/// The certificates in a file, at least one.
fn certificates(option: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, ServerError> {
    let text = read(option, path, |_| Ok(()))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(faulty(option, path, "there is no certificate in it (PEM)".into())),
    }
}

/// Says that there is one, not which.
impl fmt::Debug for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Encryption")
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authority")
    }
}
