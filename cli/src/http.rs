//! Where others see a run, and where a command finds one.

use crate::failure::Failure;
use clap::Args;
use legonf_engine::monitor::Monitor;
use legonf_server::{Address, Client, Server, Token};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where others see the run while it goes on.
#[derive(Args)]
pub struct Http {
    /// Show the run at this loopback address while it goes on: a page, an API (/openapi.json) and metrics for Prometheus (/metrics). With
    /// port 0 it is any that is free; standard error says which. The results are the same bytes.
    #[arg(long, value_name = "ADDR:PORT")]
    http: Option<Address>,
    /// Let those who have the token in this file change the run over --http: its layout, threshold, model and suppressions. Nobody but the file's owner may be able to read it.
    #[arg(long, value_name = "FILE", requires = "http")]
    http_token: Option<PathBuf>,
}

/// A run that is there already.
#[derive(Args)]
pub struct Run {
    /// Where the run listens: what it was given as --http.
    #[arg(long, value_name = "ADDR:PORT")]
    http: Address,
}

/// A run that is to change.
#[derive(Args)]
pub struct Changeable {
    #[command(flatten)]
    run: Run,
    /// The file with the token that the run was given as --http-token.
    #[arg(long, value_name = "FILE")]
    http_token: PathBuf,
}

impl Http {
    /// Listens, if that is wanted, and says where.
    pub fn monitor(&self) -> Result<Option<Arc<Monitor>>, Failure> {
        let Some(address) = self.http else { return Ok(None) };
        let token = self.http_token.as_deref().map(Token::read).transpose()?;
        let server = Server::listen(address, token)?;
        eprintln!("legonf: note: the run is shown at http://{}/", server.address()?);
        Ok(Some(Monitor::starting(self.http_token.is_some(), |monitor| server.start(monitor))))
    }
}

impl Run {
    /// Who asks it.
    pub fn client(&self) -> Client {
        Client::new(self.http, None)
    }

    /// Who may change it, by the token in a file.
    pub fn client_with(&self, token: &Path) -> Result<Client, Failure> {
        client(self.http, token)
    }
}

/// Who may change the run that listens there, by the token in a file.
pub fn client(address: Address, token: &Path) -> Result<Client, Failure> {
    Ok(Client::new(address, Some(Token::read(token)?)))
}

impl Changeable {
    /// Who may change it.
    pub fn client(&self) -> Result<Client, Failure> {
        self.run.client_with(&self.http_token)
    }
}
