//! Which packets commands read that take several captures.

use clap::Args;
use legonf_core::count;
use legonf_engine::Captures;
use std::path::PathBuf;

/// Which packets of captures count.
#[derive(Args)]
pub struct Filter {
    /// Only packets that this BPF expression takes, such as 'tcp and not port 22' (man 7 pcap-filter). The others are no part of the
    /// stream: they are in no statistic, and counted as filtered out. Results number the packets without them. Lines of labels stay
    /// those of all packets, and a capture to warm up with is read whole.
    #[arg(long, value_name = "BPF")]
    filter: Option<String>,
}

impl Filter {
    /// What the engine takes of captures with this filter.
    pub fn of(&self, captures: &[PathBuf]) -> Captures {
        Captures { paths: captures.to_vec(), filter: self.filter.clone() }
    }
}

/// Captures that are read packet by packet, as one stream.
#[derive(Args)]
pub struct Inputs {
    /// Captures: pcap, pcapng or Kitsune's TSV, plain, gzip or zstd, and folders of them; `-` is standard input. Several are read as
    /// one, in the order of their first packets.
    #[arg(required = true, value_name = "CAPTURE")]
    captures: Vec<PathBuf>,
    #[command(flatten)]
    filter: Filter,
    /// Read only the first N packets.
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
}

impl Inputs {
    /// What the engine takes.
    pub fn captures(&self) -> Captures {
        self.filter.of(&self.captures)
    }
}

/// A line on packets that a filter left out, where there was one.
pub fn filtered_out(packets: Option<u64>) -> String {
    packets.map_or_else(String::new, |packets| {
        format!("filtered    {} left out by --filter\n", count(packets, "packet"))
    })
}
