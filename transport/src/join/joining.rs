//! The side of the host that joins.

use super::message::{Answer, Request, decode, encode};
use super::wire::{Timed, Wire};
use super::{BYTES, JoinError, Refusal, Token, fingerprint, private, shown};
use crate::tls::{self, Pem, TlsError, refused};
use rcgen::KeyPair;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use subtle::ConstantTimeEq;

/// A host that joins, with a key that it has made for itself.
pub struct Joining {
    name: String,
    token: Token,
    key: KeyPair,
    provider: Arc<CryptoProvider>,
    client: Arc<ClientConfig>,
}

impl Joining {
    /// By a name and a token.
    ///
    /// # Errors
    /// If a host cannot have this name.
    pub fn new(name: &str, token: Token) -> Result<Self, TlsError> {
        tls::check_name(name)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let (shown, key) = shown()?;
        let pinned =
            Pinned { fingerprint: token.fingerprint, algorithms: provider.signature_verification_algorithms };
        let mut client = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(refused)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(pinned))
            .with_client_auth_cert(vec![shown], private(&key)?)
            .map_err(refused)?;
        client.enable_sni = false;
        Ok(Self { name: name.to_owned(), token, key, provider, client: client.into() })
    }

    /// Joins over a connection to the host that made the token: gives the files of this host's folder. `now` is the time by this host's clock.
    ///
    /// # Errors
    /// If the other side is another one, does not admit this host, or gives a certificate that does not hold.
    pub fn join(
        &self,
        socket: TcpStream,
        patience: Duration,
        now: SystemTime,
    ) -> Result<[Pem; 3], JoinError> {
        // The certificate is told by its fingerprint, and has no name.
        let server = ServerName::try_from("legonf").map_err(refused)?;
        let connection = ClientConnection::new(self.client.clone(), server).map_err(refused)?;
        let mut wire = Wire::new(connection, Timed::new(socket, patience)?)?;
        wire.send(&encode(&Request { secret: self.token.secret, name: &self.name })?)?;
        self.take(&wire.receive()?, now)
    }

    /// Reads the answer to a request of this host.
    ///
    /// # Errors
    /// If it is a refusal, or the certificate is not one of this host that holds now.
    pub fn take(&self, answer: &[u8], now: SystemTime) -> Result<[Pem; 3], JoinError> {
        let (authority, host) = match decode(answer) {
            Ok(Answer::Joined { authority, host }) => (authority.to_vec(), host.to_vec()),
            Ok(Answer::Refused(refusal)) | Err(refusal @ Refusal::Version(_)) => {
                return Err(JoinError::Refused(refusal));
            }
            Err(_) => return Err(JoinError::Damaged),
        };
        let (authority, host) = (CertificateDer::from(authority), CertificateDer::from(host));
        self.check(&authority, &host, now)?;
        Ok(tls::files(&authority, &host, &self.key))
    }

    fn check(
        &self,
        authority: &CertificateDer<'static>,
        host: &CertificateDer<'static>,
        now: SystemTime,
    ) -> Result<(), JoinError> {
        let other = |error: rustls::Error| JoinError::Certificate(error.to_string());
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone()).map_err(other)?;
        let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), self.provider.clone());
        let verifier = verifier.build().map_err(refused)?;
        let name = ServerName::try_from(self.name.clone()).map_err(refused)?;
        let now = UnixTime::since_unix_epoch(now.duration_since(UNIX_EPOCH).unwrap_or_default());
        verifier.verify_server_cert(host, &[], &name, &[], now).map_err(|error| match &error {
            rustls::Error::InvalidCertificate(
                CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. }
                | CertificateError::Expired
                | CertificateError::ExpiredContext { .. },
            ) => JoinError::Clock(error.to_string()),
            _ => other(error),
        })?;
        let key = self.provider.key_provider.load_private_key(private(&self.key)?).map_err(other)?;
        CertifiedKey::new(vec![host.clone()], key).keys_match().map_err(other)
    }
}

/// Takes the certificate of a fingerprint, and no other.
#[derive(Debug)]
struct Pinned {
    fingerprint: [u8; BYTES],
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if bool::from(fingerprint(shown).ct_eq(&self.fingerprint)) {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
