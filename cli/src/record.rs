//! `legonf record`: the packets of a network interface into a capture file.

use crate::failure::{Failure, json};
use crate::listening::Listening;
use crate::rotation::{Every, every, rotation};
use crate::summary::width::fit;
use crate::{Style, interrupt};
use clap::Args;
use legonf_core::count;
use legonf_engine::live::{Recorded, Recording};
use legonf_output::{one_line, printable};
use std::io::Write;
use std::path::PathBuf;

/// Writes the packets of a network interface into a capture (pcapng with nanoseconds), until Ctrl-C,
/// SIGTERM, --duration or --limit. It needs no model: it is how you get the traffic to train on.
///
/// It needs the capability CAP_NET_RAW and gives up all capabilities once the interface is open, as
/// `legonf live` does (`legonf live --help` says how to grant it). The file is for its owner alone to
/// read. Packets that the kernel, the interface or the disk lost are counted.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    /// Interface to listen on; `any` is all of them.
    #[arg(long, short, value_name = "IFACE")]
    interface: String,
    /// The capture; `-` is standard output (the summary then goes to standard error). A file of this name becomes FILE.1.
    #[arg(long, short, alias = "output", value_name = "FILE")]
    out: PathBuf,
    /// Begin a new file before one exceeds this size (K, M, G), or at this age (30m, 1h, 1d); the full one becomes FILE.1, the one
    /// before it FILE.2, and so on.
    #[arg(long, value_name = "SIZE|TIME", value_parser = every)]
    rotate: Option<Every>,
    /// Keep this many full files, and remove those that are older.
    #[arg(long, value_name = "N", requires = "rotate", value_parser = clap::value_parser!(u64).range(1..))]
    keep: Option<u64>,
    #[command(flatten)]
    listening: Listening,
}

pub fn run(arguments: &Arguments, style: Style) -> Result<(), Failure> {
    let recording = Recording {
        config: arguments.listening.config(&arguments.interface),
        bounds: arguments.listening.bounds(),
        user: arguments.listening.user.clone(),
        file: arguments.out.clone(),
        rotation: rotation(arguments.rotate, arguments.keep),
        reopen: interrupt::hang_up(),
    };
    let recorded = recording.run(&style.session())?;
    let told = match style {
        Style { json: true, .. } => json(&recorded)?,
        Style { quiet: true, .. } => String::new(),
        _ => fit(&text(&recorded)),
    };
    match arguments.out.as_os_str() == "-" {
        true => std::io::stderr().write_all(printable(&told).as_bytes())?,
        false => crate::failure::print(&told)?,
    }
    recorded.ended.map_or(Ok(()), |ended| Err(ended.into()))
}

/// The summary in words.
fn text(recorded: &Recorded) -> String {
    let Recorded { received, written, dropped, .. } = recorded;
    let reasons: Vec<_> = dropped.iter().map(|(reason, packets)| format!("{reason} {packets}")).collect();
    let reasons = if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join(", ")) };
    let lost: u64 = dropped.values().sum();
    let mut text = format!(
        "recorded    {} into {} in {:.3} s\n",
        count(*written, "packet"),
        one_line(&recorded.file),
        recorded.seconds
    );
    text += &format!("coverage    {received} received = {written} written + {lost} dropped{reasons}\n");
    if recorded.interface_down > 0 {
        text += &format!("interface   went down {} times, and the run went on\n", recorded.interface_down);
    }
    text.extend(recorded.trouble.iter().map(|reason| format!("trouble     {reason}\n")));
    text
}
