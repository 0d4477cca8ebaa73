//! The side that has the authority's key.

use super::message::{Answer, Refusal, Request, decode, encode};
use super::wire::{Timed, Wire};
use super::{BYTES, JoinError, Token, fingerprint, private, shown};
use crate::tls::{self, Authority, TlsError, refused};
use rcgen::{PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::client::verify_server_name;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, ServerConfig, ServerConnection, SignatureScheme};
use std::collections::BTreeSet;
use std::net::TcpStream;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use subtle::ConstantTimeEq;

/// On what terms hosts are admitted.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Until when.
    pub until: SystemTime,
    /// The names that they may have; any that is free where this is empty.
    pub names: Vec<String>,
    /// How long the certificates hold.
    pub valid: Duration,
}

/// Admits hosts to a cluster by a token. A name is given once.
pub struct Admission {
    authority: Authority,
    /// The certificate of this host, which has a name too.
    own: CertificateDer<'static>,
    terms: Terms,
    token: Token,
    server: Arc<ServerConfig>,
    given: Mutex<BTreeSet<String>>,
}

/// What a host is answered.
#[derive(Debug)]
pub struct Answered {
    /// The message.
    pub bytes: Vec<u8>,
    /// The name that the host has now.
    pub outcome: Result<String, JoinError>,
}

impl Admission {
    /// By the authority in a folder, with a secret that nobody else knows: it has to be random.
    ///
    /// # Errors
    /// If there is no authority, or a name is none of a host.
    pub fn new(folder: &Path, terms: Terms, secret: [u8; BYTES]) -> Result<Self, TlsError> {
        terms.names.iter().try_for_each(|name| tls::check_name(name))?;
        let (authority, own) = (Authority::load(folder)?, tls::host(folder)?);
        let (shown, key) = shown()?;
        let token = Token::new(secret, fingerprint(&shown), terms.until);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let anybody = Arc::new(Anybody(provider.signature_verification_algorithms));
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(refused)?
            .with_client_cert_verifier(anybody)
            .with_single_cert(vec![shown], private(&key)?)
            .map_err(refused)?;
        // Nobody comes back: a host joins once.
        server.send_tls13_tickets = 0;
        Ok(Self { authority, own, terms, token, server: server.into(), given: Mutex::default() })
    }

    /// The token of this side.
    pub fn token(&self) -> &Token {
        &self.token
    }

    /// Admits whoever connected, if it has the token, and says by which name. `now` is the time at which it connected.
    ///
    /// # Errors
    /// If it is not admitted, which it is told, or does not say within its time what it wants.
    pub fn admit(&self, socket: TcpStream, patience: Duration, now: SystemTime) -> Result<String, JoinError> {
        let connection = ServerConnection::new(self.server.clone()).map_err(refused)?;
        let mut wire = Wire::new(connection, Timed::new(socket, patience)?)?;
        let shown = wire.connection().peer_certificates().and_then(|shown| shown.first());
        let key = shown.and_then(public_key);
        let request = wire.receive()?;
        let Answered { bytes, outcome } = self.answer(&request, key.as_deref(), now)?;
        wire.send(&bytes)?;
        wire.end()?;
        outcome
    }

    /// What a request is answered, of a host that has shown to have the key of this information (RFC 5280).
    ///
    /// # Errors
    /// If the answer has no room in a message.
    pub fn answer(&self, request: &[u8], key: Option<&[u8]>, now: SystemTime) -> Result<Answered, JoinError> {
        let made = decode(request).map_err(JoinError::Refused).and_then(|request: Request<'_>| {
            Ok((request.name.to_owned(), self.certify(&request, key, now)?))
        });
        let bytes = match &made {
            Ok((_, host)) => encode(&Answer::Joined { authority: self.authority.certificate(), host }),
            Err(JoinError::Refused(refusal)) => encode(&Answer::Refused(*refusal)),
            Err(_) => encode(&Answer::Refused(Refusal::Fault)),
        };
        Ok(Answered { bytes: bytes?, outcome: made.map(|(name, _)| name) })
    }

    fn certify(
        &self,
        request: &Request<'_>,
        key: Option<&[u8]>,
        now: SystemTime,
    ) -> Result<CertificateDer<'static>, JoinError> {
        // First of all: who has no token learns nothing of names.
        if !bool::from(request.secret.ct_eq(&self.token.secret)) {
            return Err(JoinError::Refused(Refusal::Token));
        }
        if self.token.is_expired(now) {
            return Err(JoinError::Refused(Refusal::Expired));
        }
        let key = key.and_then(Key::of).ok_or(JoinError::Refused(Refusal::Key))?;
        let name = request.name;
        tls::check_name(name).map_err(|_| JoinError::Refused(Refusal::Name))?;
        if !self.terms.names.is_empty() && !self.terms.names.iter().any(|known| same(known) == same(name)) {
            return Err(JoinError::Refused(Refusal::Unexpected));
        }
        // Held until there is a certificate: of two hosts that want a name at the same time one gets it.
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        if given.contains(&same(name)) || self.is_own(name) {
            return Err(JoinError::Refused(Refusal::Taken));
        }
        let certificate = self.authority.certify(&key, name, now, self.terms.valid)?;
        given.insert(same(name));
        Ok(certificate)
    }

    /// Whether this host has the name.
    fn is_own(&self, name: &str) -> bool {
        let own = ParsedCertificate::try_from(&self.own);
        let name = ServerName::try_from(name);
        own.is_ok_and(|own| name.is_ok_and(|name| verify_server_name(&own, &name).is_ok()))
    }
}

/// What names have in common that a certificate does not tell apart.
fn same(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// The public key of a certificate.
fn public_key(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    Some(ParsedCertificate::try_from(certificate).ok()?.subject_public_key_info().to_vec())
}

/// The public key of a host: a point of the curve P-256.
struct Key<'a>(&'a [u8]);

impl<'a> Key<'a> {
    /// Bytes of a point, uncompressed.
    const POINT: usize = 65;

    /// That of the information on a public key (RFC 5280).
    fn of(information: &'a [u8]) -> Option<Self> {
        let key = Self(information.get(information.len().checked_sub(Self::POINT)?..)?);
        (key.subject_public_key_info() == information).then_some(key)
    }
}

impl PublicKeyData for Key<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

/// Takes any certificate, of which TLS checks that the other side has its key.
#[derive(Debug)]
struct Anybody(WebPkiSupportedAlgorithms);

impl ClientCertVerifier for Anybody {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
