//! Certificates of a cluster: a private authority, and one certificate for each host, by which hosts know each other (mutual TLS).
//!
//! A folder holds what a host needs: the authority's certificate, and the host's own with its key. The folder in which a cluster was
//! [made](create) also holds the authority's key, by which certificates for further hosts are [issued](issue).

use crate::stream::Stream;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use std::fs;
use std::io;
use std::net::{IpAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

const AUTHORITY: &str = "authority.pem";
const AUTHORITY_KEY: &str = "authority.key";
const HOST: &str = "host.pem";
const HOST_KEY: &str = "host.key";
/// The files of an authority.
pub const OF_AN_AUTHORITY: [&str; 2] = [AUTHORITY, AUTHORITY_KEY];
/// The files that every host of a cluster has.
pub const OF_A_HOST: [&str; 3] = [AUTHORITY, HOST_KEY, HOST];
/// How long an authority's certificate holds, and for how long before now: clocks differ.
const AUTHORITY_VALID: Duration = Duration::from_secs(10 * 365 * 86_400);
const SLACK: Duration = Duration::from_secs(300);

/// What is wrong with the certificates of a cluster.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file holds no certificate or key.
    #[error("{}: {reason}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A host cannot have this name.
    #[error("`{0}` is no name of a host: give one of letters, digits, dots and dashes")]
    Name(String),
    /// A certificate cannot be made, or is not taken.
    #[error("{0}")]
    Certificate(String),
}

pub(crate) fn refused(error: impl std::fmt::Display) -> TlsError {
    TlsError::Certificate(error.to_string())
}

/// A file of a host's folder, for its owner alone.
pub struct Pem {
    /// Its name.
    pub file: &'static str,
    /// What is in it.
    pub text: String,
}

/// Makes an authority, and the certificate of the first host: all files of the folder of a cluster. The certificate holds for its other
/// names and addresses, too.
///
/// # Errors
/// If a host cannot have this name.
pub fn create(name: &str, others: &[String], now: SystemTime, valid: Duration) -> Result<Vec<Pem>, TlsError> {
    let authority = Authority::create(now)?;
    let [_, signer] = authority.files();
    Ok([signer].into_iter().chain(authority.issue_for(name, others, now, valid)?).collect())
}

/// Makes the certificate of a further host, by the authority in a folder: all files of that host's own folder.
///
/// # Errors
/// If there is no authority, or a host cannot have this name.
pub fn issue(
    authority: &Path,
    name: &str,
    others: &[String],
    now: SystemTime,
    valid: Duration,
) -> Result<Vec<Pem>, TlsError> {
    check_name(name)?;
    Ok(Authority::load(authority)?.issue_for(name, others, now, valid)?.into())
}

/// The files of a host's folder.
pub(crate) fn files(authority: &CertificateDer<'_>, host: &CertificateDer<'_>, key: &KeyPair) -> [Pem; 3] {
    let mut texts = [pem(authority), key.serialize_pem(), pem(host)];
    std::array::from_fn(|at| Pem { file: OF_A_HOST[at], text: std::mem::take(&mut texts[at]) })
}

/// A certificate as text.
fn pem(certificate: &CertificateDer<'_>) -> String {
    let lines = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new("CERTIFICATE", certificate.as_ref()), lines)
}

/// The authority of a cluster, with its key: who has it can make hosts of the cluster.
pub struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Makes one that holds from now on, for ten years.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn create(now: SystemTime) -> Result<Self, TlsError> {
        let (key, mut params) = (KeyPair::generate().map_err(refused)?, authority());
        (params.not_before, params.not_after) = ((now - SLACK).into(), (now + AUTHORITY_VALID).into());
        let certificate = params.self_signed(&key).map_err(refused)?.der().clone();
        Ok(Self { certificate, issuer: Issuer::new(authority(), key) })
    }

    /// Reads the one in a folder.
    pub(crate) fn load(folder: &Path) -> Result<Self, TlsError> {
        Self::of(&|file| Text::read(folder, file))
    }

    /// The one of these [files](Self::files).
    ///
    /// # Errors
    /// If a file is missing or damaged.
    pub fn from_files(files: &[Pem]) -> Result<Self, TlsError> {
        Self::of(&|file| Text::among(files, file))
    }

    fn of(find: &Find<'_>) -> Result<Self, TlsError> {
        let text = find(AUTHORITY_KEY)?;
        let key = KeyPair::from_pem(&text.text).map_err(|error| damaged(&text.path, error))?;
        let mut certificates = find(AUTHORITY)?.certificates()?;
        Ok(Self { certificate: certificates.swap_remove(0), issuer: Issuer::new(authority(), key) })
    }

    /// Its certificate and its key.
    pub fn files(&self) -> [Pem; 2] {
        let (certificate, key) = (pem(&self.certificate), self.issuer.key().serialize_pem());
        let [certificate_file, key_file] = OF_AN_AUTHORITY;
        [Pem { file: certificate_file, text: certificate }, Pem { file: key_file, text: key }]
    }

    /// Makes the certificate of a host, and its key: all files of that host's folder.
    ///
    /// # Errors
    /// If a host cannot have this name.
    pub fn issue(&self, name: &str, now: SystemTime, valid: Duration) -> Result<[Pem; 3], TlsError> {
        self.issue_for(name, &[], now, valid)
    }

    fn issue_for(
        &self,
        name: &str,
        others: &[String],
        now: SystemTime,
        valid: Duration,
    ) -> Result<[Pem; 3], TlsError> {
        check_name(name)?;
        others.iter().try_for_each(|other| match other.parse::<IpAddr>() {
            Ok(_) => Ok(()),
            Err(_) => check_name(other),
        })?;
        let key = KeyPair::generate().map_err(refused)?;
        let host = self.sign(&key, name, others, now, valid)?;
        Ok(files(&self.certificate, &host, &key))
    }

    pub(crate) fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The certificate of a host that has a key.
    pub(crate) fn certify(
        &self,
        key: &impl PublicKeyData,
        name: &str,
        now: SystemTime,
        valid: Duration,
    ) -> Result<CertificateDer<'static>, TlsError> {
        self.sign(key, name, &[], now, valid)
    }

    fn sign(
        &self,
        key: &impl PublicKeyData,
        name: &str,
        others: &[String],
        now: SystemTime,
        valid: Duration,
    ) -> Result<CertificateDer<'static>, TlsError> {
        let names: Vec<_> = [name.to_owned()].into_iter().chain(others.iter().cloned()).collect();
        let mut params = CertificateParams::new(names).map_err(refused)?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        (params.not_before, params.not_after) = ((now - SLACK).into(), (now + valid).into());
        Ok(params.signed_by(key, &self.issuer).map_err(refused)?.der().clone())
    }
}

/// What an authority says of itself. It is the same each time, so that its key alone is needed to sign.
fn authority() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "legonf cluster");
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

pub(crate) fn check_name(name: &str) -> Result<(), TlsError> {
    let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'));
    match ServerName::try_from(name) {
        Ok(ServerName::DnsName(_)) if is_plain => Ok(()),
        _ => Err(TlsError::Name(name.to_owned())),
    }
}

/// Who a host is, and whom it trusts.
#[derive(Clone)]
pub struct Identity {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

impl Identity {
    /// Reads the folder of a host.
    ///
    /// # Errors
    /// If a file is missing or damaged.
    pub fn load(folder: &Path) -> Result<Self, TlsError> {
        Self::of(&|file| Text::read(folder, file))
    }

    /// The host whose [files](OF_A_HOST) these are.
    ///
    /// # Errors
    /// If a file is missing or damaged.
    pub fn from_files(files: &[Pem]) -> Result<Self, TlsError> {
        Self::of(&|file| Text::among(files, file))
    }

    fn of(find: &Find<'_>) -> Result<Self, TlsError> {
        let (mut roots, authority) = (RootCertStore::empty(), find(AUTHORITY)?);
        for certificate in authority.certificates()? {
            roots.add(certificate).map_err(|error| damaged(&authority.path, error))?;
        }
        let roots = Arc::new(roots);
        let own = find(HOST)?.certificates()?;
        let text = find(HOST_KEY)?;
        let key = || {
            PrivateKeyDer::from_pem_slice(text.text.as_bytes()).map_err(|error| damaged(&text.path, error))
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone());
        let server = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(refused)?
            .with_client_cert_verifier(verifier.build().map_err(refused)?)
            .with_single_cert(own.clone(), key()?)
            .map_err(refused)?;
        let client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(refused)?
            .with_root_certificates(roots)
            .with_client_auth_cert(own, key()?)
            .map_err(refused)?;
        Ok(Self { client: client.into(), server: server.into() })
    }

    /// Talks to the host of a name, which must have its certificate, over a connection to it.
    ///
    /// # Errors
    /// If the host has another name, its certificate has expired, or another authority signed it.
    pub fn connect(&self, name: &str, mut socket: TcpStream, patience: Duration) -> Result<Stream, TlsError> {
        let host = ServerName::try_from(name.to_owned()).map_err(|_| TlsError::Name(name.to_owned()))?;
        let mut connection = ClientConnection::new(self.client.clone(), host).map_err(refused)?;
        socket.set_read_timeout(Some(patience)).map_err(refused)?;
        while connection.is_handshaking() {
            connection.complete_io(&mut socket).map_err(refused)?;
        }
        socket.set_read_timeout(None).map_err(refused)?;
        Stream::client(connection, socket).map_err(refused)
    }

    /// Talks to whoever connected, if a host of the cluster.
    ///
    /// # Errors
    /// If it has no certificate of the authority, or that has expired.
    pub fn accept(&self, mut socket: TcpStream, patience: Duration) -> Result<Stream, TlsError> {
        let mut connection = ServerConnection::new(self.server.clone()).map_err(refused)?;
        socket.set_read_timeout(Some(patience)).map_err(refused)?;
        while connection.is_handshaking() {
            connection.complete_io(&mut socket).map_err(refused)?;
        }
        socket.set_read_timeout(None).map_err(refused)?;
        Stream::server(connection, socket).map_err(refused)
    }
}

/// Finds a file by its name.
type Find<'a> = dyn Fn(&'static str) -> Result<Text, TlsError> + 'a;

/// What is in a file.
struct Text {
    path: PathBuf,
    text: String,
}

impl Text {
    fn read(folder: &Path, file: &str) -> Result<Self, TlsError> {
        let path = folder.join(file);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Self { path, text }),
            Err(source) => Err(TlsError::File { path, source }),
        }
    }

    fn among(files: &[Pem], file: &str) -> Result<Self, TlsError> {
        let path = PathBuf::from(file);
        match files.iter().find(|pem| pem.file == file) {
            Some(pem) => Ok(Self { path, text: pem.text.clone() }),
            None => Err(TlsError::File { path, source: io::ErrorKind::NotFound.into() }),
        }
    }

    /// Its certificates, at least one.
    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(self.text.as_bytes()).collect();
        match found {
            Ok(found) if !found.is_empty() => Ok(found),
            Ok(_) => Err(damaged(&self.path, "there is no certificate in it")),
            Err(error) => Err(damaged(&self.path, error)),
        }
    }
}

/// The certificate of the host whose folder this is.
pub(crate) fn host(folder: &Path) -> Result<CertificateDer<'static>, TlsError> {
    Ok(Text::read(folder, HOST)?.certificates()?.swap_remove(0))
}

fn damaged(path: &Path, reason: impl std::fmt::Display) -> TlsError {
    TlsError::Damaged { path: path.to_owned(), reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Channel;
    use std::net::TcpListener;
    use std::thread;
    use tempfile::TempDir;

    const DAY: Duration = Duration::from_secs(86_400);
    const SHORT: Duration = Duration::from_secs(5);

    fn write(folder: &Path, files: Vec<Pem>) {
        fs::create_dir_all(folder).unwrap();
        files.into_iter().for_each(|Pem { file, text }| fs::write(folder.join(file), text).unwrap());
    }

    /// A cluster made by a host `a`, with a folder for `b`.
    fn cluster(now: SystemTime) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|name| folder.path().join(name));
        write(&a, create("a", &[], now, DAY).unwrap());
        write(&b, issue(&a, "b", &[], now, DAY).unwrap());
        folder
    }

    /// What both sides find where `client` connects to `server` by a name.
    fn meet(client: &Path, server: &Path, name: &str) -> [Result<Stream, TlsError>; 2] {
        let (client, server) = (Identity::load(client).unwrap(), Identity::load(server).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::scope(|scope| {
            let accepted = scope.spawn(move || {
                let mut stream = server.accept(listener.accept().unwrap().0, SHORT)?;
                // A client learns of a certificate that is not taken by what comes first.
                stream.send(b"welcome").map_err(refused)?;
                Ok(stream)
            });
            let connected = client.connect(name, TcpStream::connect(address).unwrap(), SHORT);
            let connected = connected.and_then(|mut stream| {
                stream.receive().map_err(refused)?;
                Ok(stream)
            });
            [connected, accepted.join().unwrap()]
        })
    }

    #[test]
    fn hosts_of_a_cluster_know_each_other() {
        let folder = cluster(SystemTime::now());
        let [mut one, mut other] =
            meet(&folder.path().join("a"), &folder.path().join("b"), "b").map(Result::unwrap);
        thread::scope(|scope| {
            scope.spawn(move || {
                let frame = other.receive().unwrap().to_vec();
                other.send(&frame).unwrap();
            });
            let large = vec![7; 3 << 20];
            one.send(&large).unwrap();
            assert!(one.receive().unwrap() == large);
        });
    }

    #[test]
    fn others_are_refused() {
        let (folder, stranger) = (cluster(SystemTime::now()), cluster(SystemTime::now()));
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        let named = meet(&a, &b, "c")[0].as_ref().err().unwrap().to_string();
        assert!(named.contains("not valid for name"), "{named}");
        let [connected, accepted] = meet(&stranger.path().join("a"), &b, "b");
        assert!(connected.is_err() && accepted.is_err());
        let old = cluster(SystemTime::now() - 3 * DAY);
        let expired =
            meet(&old.path().join("a"), &old.path().join("b"), "b")[0].as_ref().err().unwrap().to_string();
        assert!(expired.contains("expired"), "{expired}");
        let early = cluster(SystemTime::now() + 3 * DAY);
        let early = meet(&early.path().join("a"), &early.path().join("b"), "b")[0]
            .as_ref()
            .err()
            .unwrap()
            .to_string();
        assert!(early.contains("not valid yet"), "{early}");
    }

    #[test]
    fn an_authority_and_a_host_are_the_same_from_their_files_alone() {
        let folder = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let authority = Authority::from_files(&Authority::create(now).unwrap().files()).unwrap();
        let [a, b] = ["a", "b"].map(|name| authority.issue(name, now, DAY).unwrap());
        assert!(Identity::from_files(&a).is_ok());
        let paths = ["a", "b"].map(|name| folder.path().join(name));
        write(&paths[0], a.into());
        write(&paths[1], b.into());
        assert!(meet(&paths[0], &paths[1], "b").iter().all(Result::is_ok));
        let missing = Authority::from_files(&[]).err().unwrap().to_string();
        assert!(missing.starts_with("authority.key: "), "{missing}");
    }

    #[test]
    fn what_is_wrong_with_a_folder_is_named() {
        let folder = cluster(SystemTime::now());
        let b = folder.path().join("b");
        let refused = |made: Result<Vec<Pem>, TlsError>| made.err().unwrap().to_string();
        assert!(refused(create("no name", &[], SystemTime::now(), DAY)).contains("no name of a host"));
        let wrong = ["192.0.2.7".to_owned(), "no name".to_owned()];
        assert!(refused(create("a", &wrong, SystemTime::now(), DAY)).contains("`no name` is no name"));
        assert!(refused(issue(&b, "c", &[], SystemTime::now(), DAY)).contains("authority.key"));
        fs::write(b.join(HOST), "nothing").unwrap();
        let error = Identity::load(&b).err().unwrap().to_string();
        assert!(error.ends_with("host.pem: there is no certificate in it"), "{error}");
    }
}
