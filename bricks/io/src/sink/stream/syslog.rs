//! Records of JSON as syslog messages (RFC 5424).

use super::{Framing, Lines, Loss, SinkError};
use serde::Deserialize;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

/// Facility `daemon`, severities `warning` and `informational`.
const WARNING: u8 = 3 * 8 + 4;
const INFORMATION: u8 = 3 * 8 + 6;

/// Who takes syslog messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyslogTarget {
    /// A Unix socket of datagrams on this machine.
    Local(PathBuf),
    /// `HOST:PORT` over UDP (RFC 5426).
    Remote(String),
}

impl SyslogTarget {
    /// The target that `unix:PATH` or `udp://HOST:PORT` stands for.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(path) = text.strip_prefix("unix:") {
            return (!path.is_empty()).then(|| Self::Local(path.into()));
        }
        let address = text.strip_prefix("udp://")?;
        let (host, port) = address.rsplit_once(':')?;
        let is_one = !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0);
        is_one.then(|| Self::Remote(address.into()))
    }
}

impl std::fmt::Display for SyslogTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Local(path) => write!(f, "unix:{}", path.display()),
            Self::Remote(address) => write!(f, "udp://{address}"),
        }
    }
}

/// Sends each line, a JSON object with `timestamp` and `event_type` as EVE has them, as one message. Time and message id are the
/// record's; the severity is `informational` for statistics and `warning` for all else.
///
/// A message that cannot be sent at once is lost and counted. A receiver may come late, go and come again.
#[derive(Debug)]
pub struct Syslog {
    target: SyslogTarget,
    receiver: Receiver,
    /// What messages have between time and message id.
    sender: String,
    message: Vec<u8>,
    loss: Loss,
}

#[derive(Debug)]
enum Receiver {
    Local(UnixDatagram, PathBuf),
    Remote(UdpSocket, SocketAddr),
}

/// What a message says of a record before it.
#[derive(Deserialize)]
struct Head<'a> {
    timestamp: &'a str,
    event_type: &'a str,
}

impl Syslog {
    /// Opens a socket to send by, and finds the receiver's address. Whether somebody receives there shows later.
    ///
    /// # Errors
    /// [`SinkError::Create`] when there is no such host or folder, or the system has no socket.
    pub fn open(target: &SyslogTarget) -> Result<Self, SinkError> {
        let receiver = Receiver::open(target)
            .map_err(|source| SinkError::Create { path: target.to_string(), source })?;
        let sender = format!("{} legonf {}", host(), std::process::id());
        Ok(Self { target: target.clone(), receiver, sender, message: Vec::new(), loss: Loss::default() })
    }

    fn send(&mut self, line: &[u8]) -> io::Result<()> {
        let Head { timestamp, event_type } = serde_json::from_slice(line)?;
        let priority = if matches!(event_type, "stats" | "held_back") { INFORMATION } else { WARNING };
        // EVE writes the zone without the colon that RFC 3339 has.
        let time = timestamp.replace("+0000", "Z");
        self.message.clear();
        self.message.extend(format!("<{priority}>1 {time} {} {event_type} - ", self.sender).as_bytes());
        self.message.extend(line);
        self.receiver.send(&self.message)
    }
}

impl Receiver {
    fn open(target: &SyslogTarget) -> io::Result<Self> {
        match target {
            SyslogTarget::Local(path) => {
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
                if !folder.unwrap_or(Path::new(".")).is_dir() {
                    return Err(io::ErrorKind::NotADirectory.into());
                }
                let socket = UnixDatagram::unbound()?;
                socket.set_nonblocking(true)?;
                Ok(Self::Local(socket, path.clone()))
            }
            SyslogTarget::Remote(name) => {
                let address = name.to_socket_addrs()?.next();
                let address = address.ok_or_else(|| io::Error::other("the host has no address"))?;
                let any = if address.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
                let socket = UdpSocket::bind(any)?;
                socket.set_nonblocking(true)?;
                Ok(Self::Remote(socket, address))
            }
        }
    }

    fn send(&self, message: &[u8]) -> io::Result<()> {
        match self {
            Self::Local(socket, path) => socket.send_to(message, path).map(drop),
            Self::Remote(socket, address) => socket.send_to(message, address).map(drop),
        }
    }
}

/// Name of this machine; `-`, which stands for none, where it cannot be read.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name: String = name.trim().chars().filter(char::is_ascii_graphic).take(255).collect();
    if name.is_empty() { "-".into() } else { name }
}

impl Lines for Syslog {
    fn name(&self) -> String {
        self.target.to_string()
    }

    fn put(&mut self, units: &[u8]) -> Result<(), SinkError> {
        for line in units.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            if let Err(error) = self.send(line) {
                self.loss.add(Framing::Lines.count(line), &no_receiver(error));
            }
        }
        Ok(())
    }

    fn loss(&self) -> Loss {
        self.loss.clone()
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

/// A socket that is not there is a receiver that is away.
fn no_receiver(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            io::Error::other("nobody receives there")
        }
        io::ErrorKind::WouldBlock => io::Error::other("its reader does not take what there is"),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALERT: &str = r#"{"timestamp":"2018-10-25T06:23:39.846155+0000","event_type":"alert","score":1}"#;
    const STATS: &str = r#"{"timestamp":"2018-10-25T06:23:40.000000+0000","event_type":"stats"}"#;

    fn expected(priority: u8, line: &str, kind: &str, time: &str) -> String {
        let sender = format!("{} legonf {}", host(), std::process::id());
        format!("<{priority}>1 2018-10-25T06:23:{time}Z {sender} {kind} - {line}")
    }

    #[test]
    fn targets_are_sockets_and_addresses() {
        let parse = |text| SyslogTarget::parse(text).map(|target| target.to_string());
        for text in ["unix:/dev/log", "udp://127.0.0.1:514", "udp://[::1]:514", "udp://logs.example.org:1514"]
        {
            assert_eq!(parse(text).as_deref(), Some(text));
        }
        for text in ["", "unix:", "/dev/log", "udp://", "udp://host", "udp://:514", "udp://h:0", "tcp://h:1"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
        let missing = Syslog::open(&SyslogTarget::Local("/nonesuch/log".into())).unwrap_err().to_string();
        assert_eq!(missing, "cannot create unix:/nonesuch/log: its folder is not a folder");
    }

    #[test]
    fn each_line_is_a_message() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = receiver.local_addr().unwrap();
        let mut syslog = Syslog::open(&SyslogTarget::parse(&format!("udp://{address}")).unwrap()).unwrap();
        syslog.put(format!("{ALERT}\n{STATS}\n").as_bytes()).unwrap();
        let mut buffer = [0; 2048];
        for message in [expected(28, ALERT, "alert", "39.846155"), expected(30, STATS, "stats", "40.000000")]
        {
            let length = receiver.recv(&mut buffer).unwrap();
            assert_eq!(std::str::from_utf8(&buffer[..length]).unwrap(), message);
        }
        assert_eq!(syslog.loss(), Loss::default());
    }

    #[test]
    fn a_receiver_that_is_away_is_a_counted_loss_and_may_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut syslog = Syslog::open(&SyslogTarget::Local(path.clone())).unwrap();
        syslog.put(format!("{ALERT}\n").as_bytes()).unwrap();
        assert_eq!(syslog.loss(), Loss { units: 1, reason: Some("nobody receives there".into()) });
        let receiver = UnixDatagram::bind(&path).unwrap();
        syslog.put(format!("{ALERT}\n").as_bytes()).unwrap();
        let mut buffer = [0; 2048];
        let length = receiver.recv(&mut buffer).unwrap();
        assert_eq!(buffer[..length], *expected(28, ALERT, "alert", "39.846155").as_bytes());
        assert_eq!(syslog.loss().units, 1);
    }
}
