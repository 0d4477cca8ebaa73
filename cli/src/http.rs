//! Where others see a run, and where a command finds one.

use crate::failure::Failure;
use clap::Args;
use legonf_engine::monitor::Monitor;
use legonf_server::{Address, Authority, Client, Encryption, Server, Token};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where others see the run while it goes on.
#[derive(Args)]
pub struct Http {
    /// Show the run at this address while it goes on: a page, an API (/openapi.json) and metrics for Prometheus (/metrics). With
    /// port 0 it is any that is free; standard error says which. The results are the same bytes. An address that is not a loopback one
    /// needs --http-certificate and --http-token.
    #[arg(long, value_name = "ADDR:PORT")]
    http: Option<Address>,
    /// Let those who have the token in this file change the run over --http: its layout, threshold, model and suppressions. Nobody but the file's owner may be able to read it.
    #[arg(long, value_name = "FILE", requires = "http")]
    http_token: Option<PathBuf>,
    /// Speak TLS over --http, with this certificate and those that lead to its authority (PEM), such as host.pem of `legonf cluster init`.
    /// Then reading needs the token, too.
    #[arg(long, value_name = "FILE", requires_all = ["http_key", "http_token"])]
    http_certificate: Option<PathBuf>,
    /// The key of --http-certificate (PEM). Not everybody may be able to read it.
    #[arg(long, value_name = "FILE", requires = "http_certificate")]
    http_key: Option<PathBuf>,
    /// Send decisions, and the moves of layout and state that follow, as a trace to the collector of OpenTelemetry at this base address
    /// (OTLP over HTTP), such as http://127.0.0.1:4318. The run never waits for it.
    #[cfg(feature = "otel")]
    #[arg(long, value_name = "URL")]
    otlp: Option<String>,
}

/// The trace that is being sent, once a run has begun.
#[cfg(feature = "otel")]
static EXPORTING: std::sync::Mutex<Option<legonf_server::Exporting>> = std::sync::Mutex::new(None);

/// The work is done: what is left to be told of it is told.
pub fn finish() {
    #[cfg(feature = "otel")]
    if let Ok(Some(exporting)) = EXPORTING.lock().map(|mut exporting| exporting.take()) {
        exporting.finish();
    }
}

/// What reaching a run takes.
#[derive(Args)]
pub struct Reach {
    /// Where the run listens: what it was given as --http, or https://HOST:PORT.
    #[arg(long, value_name = "ADDR:PORT")]
    http: Address,
    /// Take certificates of these authorities (PEM), such as authority.pem of `legonf cluster init`; without it those of public ones.
    #[arg(long, value_name = "FILE")]
    http_ca: Option<PathBuf>,
}

/// A run that is there already.
#[derive(Args)]
pub struct Run {
    #[command(flatten)]
    reach: Reach,
    /// The file with the token that the run was given as --http-token, where reading needs it.
    #[arg(long, value_name = "FILE")]
    http_token: Option<PathBuf>,
}

/// A run that is to change.
#[derive(Args)]
pub struct Changeable {
    #[command(flatten)]
    reach: Reach,
    /// The file with the token that the run was given as --http-token.
    #[arg(long, value_name = "FILE")]
    http_token: PathBuf,
}

impl Http {
    /// Listens, if that is wanted, and says where.
    pub fn monitor(&self) -> Result<Option<Arc<Monitor>>, Failure> {
        let server =
            self.http.as_ref().map(|address| self.server(address, "the run is shown")).transpose()?;
        #[cfg(feature = "otel")]
        let traces = self.otlp.as_deref().map(legonf_server::Traces::new).transpose()?;
        #[cfg(not(feature = "otel"))]
        let traces = None::<()>;
        let is_watched = server.is_some() || traces.is_some();
        let start = move |monitor: &Arc<Monitor>| {
            #[cfg(feature = "otel")]
            if let (Some(traces), Ok(mut exporting)) = (traces, EXPORTING.lock()) {
                *exporting = Some(traces.start(monitor)?);
            }
            server.map_or(Ok(()), |server| server.start(monitor))
        };
        Ok(is_watched.then(|| Monitor::starting(self.http_token.is_some(), start)))
    }

    /// Whether it makes connections.
    pub fn connects(&self) -> bool {
        #[cfg(feature = "otel")]
        return self.otlp.is_some();
        #[cfg(not(feature = "otel"))]
        return false;
    }

    /// Listens there, or where nothing else is wanted.
    pub fn server_or(&self, otherwise: &str, what: &str) -> Result<Server, Failure> {
        match &self.http {
            Some(address) => self.server(address, what),
            None => self.server(&otherwise.parse()?, what),
        }
    }

    fn server(&self, address: &Address, what: &str) -> Result<Server, Failure> {
        let token = self.http_token.as_deref().map(Token::read).transpose()?;
        let encryption = self.http_certificate.as_deref().zip(self.http_key.as_deref());
        let encryption = encryption.map(|(chain, key)| Encryption::read(chain, key)).transpose()?;
        let server = Server::listen(address, token, encryption)?;
        eprintln!("legonf: note: {what} at {}://{}/", server.scheme(), server.address()?);
        Ok(server)
    }
}

impl Run {
    /// Who asks it.
    pub fn client(&self) -> Result<Client, Failure> {
        client(&self.reach.http, self.reach.http_ca.as_deref(), self.http_token.as_deref())
    }
}

impl Changeable {
    /// Who may change it.
    pub fn client(&self) -> Result<Client, Failure> {
        client(&self.reach.http, self.reach.http_ca.as_deref(), Some(&self.http_token))
    }
}

/// Who asks a run at an address, with a token and the certificates of authorities in files.
pub fn client(address: &Address, authority: Option<&Path>, token: Option<&Path>) -> Result<Client, Failure> {
    let authority = authority.map(Authority::read).transpose()?;
    Ok(Client::new(address.clone(), token.map(Token::read).transpose()?, authority)?)
}
