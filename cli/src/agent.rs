//! `legonf agent`: runs bricks for graphs of other hosts.

use crate::Style;
use crate::failure::{Failure, print};
use clap::Args;
use legonf_engine::{Confinement, Hosting, host_here};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Waits for graphs that run on other hosts, and runs bricks for them: those that `--place BRICK=NAME` gives to this one. It needs no
/// graph and no model of its own, since both come with the order. On loopback it needs no certificates:
///
///   legonf agent --listen 127.0.0.1:7077 &
///   legonf replay capture.pcap --model kitsune.onnx --host b=127.0.0.1:7077 --place extractor=b
///
/// Beyond loopback hosts know each other by certificates (`legonf cluster`): give their folder as --cluster on both sides. Once it listens it gives up
/// all rights, as `legonf live` does, and opens no further file where the kernel has Landlock; it says so.
#[derive(Args)]
pub struct Arguments {
    /// Where to listen; port 0 takes a free one, which is printed.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:7077")]
    listen: SocketAddr,
    /// Folder of this host's certificates.
    #[arg(long, value_name = "DIR")]
    cluster: Option<PathBuf>,
    /// Go on as this user (name or number) once it listens.
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Host one brick for the process that started this one.
    #[arg(long, hide = true, conflicts_with_all = ["listen", "cluster", "user"])]
    for_parent: bool,
}

pub fn run(arguments: &Arguments, style: Style) -> Result<(), Failure> {
    let session = style.session();
    if arguments.for_parent {
        return Ok(host_here(&session)?);
    }
    let Arguments { listen, cluster, user, .. } = arguments;
    let hosting = Hosting { listen: *listen, cluster: cluster.clone(), user: user.clone() };
    let ready = |address: SocketAddr, confinement: Confinement| {
        if !style.quiet {
            // Nobody may be reading any more: the agent listens all the same.
            let _ = print(&format!("listening on {address}\nopens       {confinement}\n"));
        }
    };
    Ok(hosting.run(&session, ready)?)
}
