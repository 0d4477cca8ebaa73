//! Other hosts: agents, as processes of this program, in network namespaces where these may be made.

use crate::ExperimentError;
use legonf_engine::{Error, Session};
use std::io::{self, BufRead, BufReader};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// An agent, which ends with this value.
pub(crate) struct Agent {
    child: Child,
    /// Where it listens.
    pub address: String,
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Agent {
    /// One on loopback.
    pub fn on_loopback() -> Result<Self, ExperimentError> {
        let mut command = Command::new(own()?);
        command.args(["agent", "--listen", "127.0.0.1:0"]);
        Self::start(command)
    }

    /// One in a namespace, with a host's folder of certificates.
    pub fn within(namespace: &Namespace, cluster: &Path) -> Result<Self, ExperimentError> {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &namespace.name]).arg(own()?);
        command.args(["agent", "--listen", &format!("{}:0", namespace.far), "--cluster"]).arg(cluster);
        Self::start(command)
    }

    fn start(mut command: Command) -> Result<Self, ExperimentError> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(Error::from)?;
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut line).map_err(Error::from)?;
        }
        let address = line.trim().strip_prefix("listening on ").unwrap_or_default().to_owned();
        let agent = Self { child, address };
        if agent.address.is_empty() {
            Err(Error::refused("an agent does not start").into())
        } else {
            Ok(agent)
        }
    }

    /// Processor time of the process so far, as Linux counts it in hundredths of a second.
    pub fn processor_time(&self) -> io::Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name, which may hold blanks, ends with the last bracket; the two times are fields 14 and 15.
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let ticks = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok());
        Ok(Duration::from_millis(10 * ticks.sum::<u64>()))
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

/// This program.
pub(crate) fn own() -> Result<std::path::PathBuf, ExperimentError> {
    Ok(std::env::current_exe().map_err(Error::from)?)
}

/// A cluster of hosts: a folder of certificates for each, by its name.
pub(crate) fn cluster(session: &Session, hosts: &[&str]) -> Result<TempDir, ExperimentError> {
    let folder = tempfile::tempdir().map_err(Error::from)?;
    let (valid, of) = (Duration::from_secs(86_400), |name: &str| folder.path().join(name));
    for (number, name) in hosts.iter().enumerate() {
        match number {
            0 => legonf_engine::certificates::create(session, &of(name), name, &[], valid)?,
            _ => legonf_engine::certificates::issue(session, &of(hosts[0]), &of(name), name, &[], valid)?,
        };
    }
    Ok(folder)
}

/// A network namespace at the other end of a link.
///
/// Its addresses are of the range for benchmarks (RFC 2544).
pub(crate) struct Namespace {
    name: String,
    link: String,
    far: Ipv4Addr,
}

/// Namespaces of one process.
const MOST: u32 = 4;

impl Namespace {
    /// One of up to four of this process, by number.
    pub fn new(number: u32) -> Result<Self, ExperimentError> {
        let number = std::process::id() * MOST + number % MOST;
        let net = u32::from(Ipv4Addr::new(198, 18, 0, 0)) + number % (1 << 15) * 4;
        let [near, far] = [net + 1, net + 2].map(Ipv4Addr::from);
        let namespace = Self { name: format!("legonf{number}"), link: format!("lf{number}"), far };
        let end = namespace.end();
        let Self { name, link, .. } = &namespace;
        ip(&["netns", "add", name])?;
        ip(&["link", "add", link, "type", "veth", "peer", "name", &end, "netns", name])?;
        ip(&["addr", "add", &format!("{near}/30"), "dev", link])?;
        ip(&["link", "set", link, "up"])?;
        ip(&["-n", name, "addr", "add", &format!("{far}/30"), "dev", &end])?;
        ip(&["-n", name, "link", "set", &end, "up"])?;
        ip(&["-n", name, "link", "set", "lo", "up"])?;
        Ok(namespace)
    }

    /// The link's end in the namespace.
    fn end(&self) -> String {
        format!("{}r", self.link)
    }

    /// Lets the link go up or down.
    pub fn set_link(&self, up: bool) -> Result<(), ExperimentError> {
        ip(&["-n", &self.name, "link", "set", &self.end(), if up { "up" } else { "down" }])
    }

    /// Has the kernel delay and lose what passes the link, in each direction.
    ///
    /// # Errors
    /// If it has no netem.
    pub fn impair(&self, delay: Duration, loss: f64) -> Result<(), ExperimentError> {
        let (delay, loss) = (format!("{}us", delay.as_micros()), format!("{loss}%"));
        let netem = ["root", "netem", "delay", &delay, "loss", &loss, "limit", "100000"];
        run("tc", &[&["qdisc", "add", "dev", &self.link][..], &netem].concat())?;
        run("tc", &[&["-n", &self.name, "qdisc", "add", "dev", &self.end()][..], &netem].concat())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = ip(&["link", "del", &self.link]);
        let _ = ip(&["netns", "del", &self.name]);
    }
}

fn ip(arguments: &[&str]) -> Result<(), ExperimentError> {
    run("ip", arguments)
}

fn run(program: &str, arguments: &[&str]) -> Result<(), ExperimentError> {
    let what =
        if program == "tc" { "a link cannot be impaired" } else { "a network namespace cannot be made" };
    let failed = |reason: &str| Error::refused(format!("{what}: {}", reason.trim())).into();
    match Command::new(program).args(arguments).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(failed(&String::from_utf8_lossy(&output.stderr))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(failed(&format!("the program `{program}` is not installed")))
        }
        Err(error) => Err(failed(&error.to_string())),
    }
}
