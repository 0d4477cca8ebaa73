//! `legonf cluster accept` and `legonf cluster join`: a host gets its certificate by a token.

use super::{Written, validity};
use crate::Style;
use crate::failure::{Failure, print, print_json};
use crate::invalid::Invalid;
use clap::Args;
use legonf_engine::arguments::time;
use legonf_engine::{Accepting, Admitted, Joining};
use serde::Serialize;
use std::io::{self, BufRead};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// What stands for standard input.
const INPUT: &str = "-";
/// Bytes that a line with a token has at most.
const LONGEST: u64 = 4096;

/// Admits hosts to the cluster until the time is over, or until every host has joined that --name gives. It prints a token, and the command
/// for the new host. Who has the token can join, so show it to nobody else. A name is given once.
#[derive(Args)]
pub struct Accept {
    /// Folder of `legonf cluster init`.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Where to listen; port 0 takes a free one, which is printed.
    #[arg(long, value_name = "IP:PORT")]
    listen: SocketAddr,
    /// How long hosts can join.
    #[arg(long = "for", value_name = "TIME", default_value = "10m", value_parser = duration)]
    time: Duration,
    /// Name of a host that may join; once for each. Without it a host may take any name that is free.
    #[arg(long = "name", value_name = "NAME")]
    names: Vec<String>,
    /// How long the certificates hold.
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = validity)]
    valid: Duration,
}

/// Makes a folder with the certificate of this host, which `legonf cluster accept` gives. The private key is made here and stays here.
#[derive(Args)]
pub struct Join {
    /// Folder to make.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Name of this host, as --host and --place say it.
    #[arg(long, value_name = "NAME")]
    name: String,
    /// Where `legonf cluster accept` listens.
    #[arg(long, value_name = "HOST:PORT")]
    at: String,
    /// The token that it has printed; `-` reads it from standard input, so that other users of this host do not see it.
    #[arg(long, value_name = "TOKEN")]
    token: String,
}

/// A time from a second to a day.
fn duration(text: &str) -> Result<Duration, Invalid> {
    let bounds = Duration::from_secs(1)..=Duration::from_secs(86_400);
    let time = time(text).ok().filter(|time| bounds.contains(time));
    time.ok_or(Invalid::Value("a time from 1s to 1d, such as 10m"))
}

/// What is printed as JSON for those who admit hosts by a program.
#[derive(Serialize)]
struct Invitation<'a> {
    address: SocketAddr,
    token: &'a str,
    commands: Vec<String>,
}

impl Accept {
    pub fn run(&self, style: Style) -> Result<(), Failure> {
        let accepting = Accepting {
            authority: self.folder.clone(),
            listen: self.listen,
            time: self.time,
            names: self.names.clone(),
            valid: self.valid,
        };
        accepting.run(&style.session(), |admitted| match admitted {
            Admitted::Listening { address, token } if style.json => {
                print_json(&Invitation { address, token, commands: self.commands(address, token) })
            }
            Admitted::Listening { token, .. } if style.quiet => print(&format!("{token}\n")),
            Admitted::Listening { address, token } => print(&self.told(address, token)),
            Admitted::Joined { .. } if style.json || style.quiet => Ok(()),
            Admitted::Joined { name, from } => print(&format!("joined      {name} ({from})\n")),
        })
    }

    /// The command of each host that is named, or of any.
    fn commands(&self, address: SocketAddr, token: &str) -> Vec<String> {
        let at = match address.ip() {
            ip if ip.is_unspecified() => format!("HOST:{}", address.port()),
            _ => address.to_string(),
        };
        let any = ["NAME".to_owned()];
        let names = if self.names.is_empty() { &any[..] } else { &self.names };
        let command =
            |name| format!("legonf cluster join cluster-{name} --name {name} --at {at} --token {token}");
        names.iter().map(command).collect()
    }

    fn told(&self, address: SocketAddr, token: &str) -> String {
        let time = self.time.as_secs();
        let time = if time.is_multiple_of(60) { format!("{} min", time / 60) } else { format!("{time} s") };
        let commands: String =
            self.commands(address, token).iter().map(|command| format!("  {command}\n")).collect();
        let hosts = if self.names.len() > 1 { "each new host" } else { "the new host" };
        let placeholder = match (address.ip().is_unspecified(), self.names.is_empty()) {
            (true, true) => ", with its NAME and with an address of this one as HOST",
            (true, false) => ", with an address of this one as HOST",
            (false, true) => ", with its NAME",
            (false, false) => "",
        };
        format!(
            "listening on {address}\ntoken       {token}\nholds       {time}\nOn {hosts} run{placeholder}:\n{commands}"
        )
    }
}

impl Join {
    pub(super) fn run(&self, style: Style) -> Result<Written<'_>, Failure> {
        let line = if self.token == INPUT { first_line(io::stdin().lock())? } else { self.token.clone() };
        let token = line.parse().map_err(|error| Failure::fault(format!("--token: {error}")))?;
        let (folder, name) = (self.folder.clone(), self.name.clone());
        Joining { folder, name, address: self.at.clone(), token }.run(&style.session())?;
        Ok(Written { folder: &self.folder, name: &self.name })
    }
}

/// The first line, of no more bytes than one can have.
fn first_line(input: impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    input.take(LONGEST).read_line(&mut line)?;
    Ok(line)
}
