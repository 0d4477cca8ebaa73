//! `legonf dataset`: makes labelled captures, and brings public ones.

mod compose;
mod fetch;
mod list;
mod place;
mod verify;

use crate::failure::{Failure, print_json, tell};
use crate::progress::Bar;
use crate::{Style, interrupt};
use clap::{Args, Subcommand};
use legonf_core::{BATCH, Packets, Progress, count};
use legonf_datasets::generate::{Attack, Config, Generator, Mix};
use legonf_engine::arguments::rate;
use legonf_io::sink::{OutputFile, PacketFile};
use serde::Serialize;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

/// The subcommands of `legonf dataset`.
#[derive(Subcommand)]
pub enum Command {
    /// Make synthetic traffic: benign flows, and a scan or a flood on top; the same bytes for the same options.
    Generate(Generate),
    /// Merge attacks of other captures into benign traffic: addresses, MACs and times rewritten, labels written.
    Compose(compose::Compose),
    /// List the public data sets that legonf knows.
    List,
    Info(list::Info),
    Fetch(fetch::Fetch),
    Verify(verify::Verify),
}

/// Arguments of `legonf dataset generate`.
#[derive(Args)]
pub struct Generate {
    /// Where the capture goes (pcapng).
    #[arg(long = "out", short, alias = "output", value_name = "FILE")]
    output: PathBuf,
    /// Where the labels go (CSV: index,label).
    #[arg(long = "labels-out", alias = "labels", value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Seed of everything.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Packets in all.
    #[arg(long, default_value_t = 100_000, value_name = "N")]
    packets: u64,
    /// Hosts, each with a MAC and an address in 10.0.0.0/8.
    #[arg(long, default_value_t = 50, value_name = "N")]
    hosts: u32,
    /// Benign flows among the hosts.
    #[arg(long, default_value_t = 500, value_name = "N")]
    flows: u32,
    /// Benign packets a second.
    #[arg(long, default_value_t = 1000.0, value_name = "PPS", value_parser = rate)]
    rate: f64,
    /// Shortest and longest benign frame in bytes.
    #[arg(long, default_values_t = [60, 1514], num_args = 2, value_names = ["MIN", "MAX"])]
    size: Vec<u16>,
    /// Shares of TCP, UDP, ICMP and ARP among the benign flows.
    #[arg(long, default_values_t = [0.6, 0.35, 0.03, 0.02], num_args = 4, value_names = ["TCP", "UDP", "ICMP", "ARP"])]
    mix: Vec<f64>,
    /// A telnet scan: second at which it starts, and packets a second.
    #[arg(long, num_args = 2, value_names = ["START", "PPS"])]
    scan: Option<Vec<f64>>,
    /// A UDP flood: second at which it starts, and packets a second.
    #[arg(long, num_args = 2, value_names = ["START", "PPS"])]
    flood: Option<Vec<f64>>,
    /// Distinct source addresses of the flood; 0 for the attacker's own.
    #[arg(long, default_value_t = 0, value_name = "N")]
    spoofed_sources: u32,
}

#[derive(Serialize)]
struct Report {
    output: String,
    packets: u64,
    malicious: u64,
    config: Config,
}

pub fn run(command: &Command, style: Style) -> Result<(), Failure> {
    match command {
        Command::Generate(arguments) => generate(arguments, style),
        Command::Compose(arguments) => compose::run(arguments, style),
        Command::List => list::list(style),
        Command::Info(arguments) => list::info(arguments, style),
        Command::Fetch(arguments) => fetch::run(arguments, style),
        Command::Verify(arguments) => verify::run(arguments, style),
    }
}

impl Generate {
    fn config(&self) -> Config {
        let attack = |pair: &Option<Vec<f64>>| pair.as_ref().map(|p| Attack { start: p[0], rate: p[1] });
        Config {
            seed: self.seed,
            packets: self.packets,
            hosts: self.hosts,
            flows: self.flows,
            rate: self.rate,
            min_size: self.size[0],
            max_size: self.size[1],
            mix: Mix { tcp: self.mix[0], udp: self.mix[1], icmp: self.mix[2], arp: self.mix[3] },
            scan: attack(&self.scan),
            flood: attack(&self.flood),
            spoofed_sources: self.spoofed_sources,
            ..Config::default()
        }
    }
}

fn generate(arguments: &Generate, style: Style) -> Result<(), Failure> {
    let config = arguments.config();
    let mut generator = Generator::new(config)?;
    style.check_results([&*arguments.output].into_iter().chain(arguments.labels.as_deref()))?;
    let mut capture = PacketFile::create(&arguments.output)?;
    let mut table = arguments.labels.as_deref().map(OutputFile::create).transpose()?;
    if let Some(table) = &mut table {
        table.put(b"index,label\n")?;
    }
    let bar = Bar::new("generating", Some(config.packets), style.quiet);
    let stop = interrupt::install();
    let (mut packets, mut labels, mut malicious) = (Packets::default(), Vec::new(), 0);
    while generator.position() < config.packets {
        if stop.load(Ordering::Relaxed) {
            return Err(Failure::Interrupted(format!("{}.partial is not whole", arguments.output.display())));
        }
        packets.clear();
        labels.clear();
        generator.append(&mut packets, &mut labels, BATCH);
        for ((record, bytes), label) in packets.iter().zip(&labels) {
            capture.packet(record, bytes)?;
            malicious += u64::from(*label);
            if let Some(table) = &mut table {
                table.put(format!("{},{}\n", record.seq, u8::from(*label)).as_bytes())?;
            }
        }
        bar.update(Progress::default(), generator.position());
    }
    bar.clear();
    capture.finish()?;
    if let Some(table) = &mut table {
        table.finish()?;
    }
    report(
        &Report {
            output: arguments.output.display().to_string(),
            packets: capture.written(),
            malicious,
            config,
        },
        style,
    )
}

fn report(report: &Report, style: Style) -> Result<(), Failure> {
    if style.json {
        return print_json(report);
    }
    if style.quiet {
        return Ok(());
    }
    let Report { output, packets, malicious, .. } = report;
    tell(&format!("{output}: {}, {malicious} of them malicious\n", count(*packets, "packet")))
}
