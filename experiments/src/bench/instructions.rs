//! Instructions a packet, counted by valgrind's callgrind: the same number whatever else the machine does.

use super::Arguments;
use crate::ExperimentError;
use clap::ValueEnum;
use legonf_engine::{Error, Session, measure};
use std::collections::BTreeMap;
use std::process::Command;

/// Packets of the longer of the two runs that are compared.
const PACKETS: u64 = 20_000;

/// Instructions a packet.
pub struct Instructions {
    /// Of the whole replay.
    pub all: f64,
    /// Of the source, by [`measure::SOURCE`], and of each brick, by the name of its type.
    stages: BTreeMap<String, f64>,
}

impl Instructions {
    /// Those of the source.
    pub fn of_source(&self) -> Option<f64> {
        self.stages.get(measure::SOURCE).copied()
    }

    /// Those of a brick of this kind: `packet-batching` is a `PacketBatching`.
    pub fn of_kind(&self, kind: &str) -> Option<f64> {
        let of_word = |word: &str| {
            word.chars().take(1).flat_map(char::to_uppercase).chain(word.chars().skip(1)).collect()
        };
        let name: String = kind.split('-').map(|word| -> String { of_word(word) }).collect();
        self.stages.get(&name).copied()
    }

    /// What the longer of two runs counted beyond the shorter, by the packets that it had more: loading and setting up
    /// count for nothing.
    fn between(short: &Count, long: &Count, packets: u64) -> Self {
        let each = |long: u64, short: u64| long.saturating_sub(short) as f64 / packets as f64;
        let before = |name: &str| short.stages.get(name).copied().unwrap_or(0);
        let stages = long.stages.iter().map(|(name, count)| (name.clone(), each(*count, before(name))));
        Self { all: each(long.all, short.all), stages: stages.collect() }
    }
}

/// What callgrind counted in one run.
#[derive(Debug, Default, PartialEq)]
struct Count {
    all: u64,
    stages: BTreeMap<String, u64>,
}

impl Count {
    /// Reads a profile without compression: `cfn=` names the function that is called, and the line behind `calls=` ends in
    /// what it took with all that it called.
    fn read(profile: &str) -> Option<Self> {
        let (mut count, mut callee) = (Self::default(), None);
        let mut lines = profile.lines();
        while let Some(line) = lines.next() {
            if let Some(name) = line.strip_prefix("cfn=") {
                callee = stage(name);
            } else if let Some(all) = line.strip_prefix("summary: ") {
                count.all = all.trim().parse().ok()?;
            } else if line.starts_with("calls=") {
                let cost: u64 = lines.next()?.split(' ').next_back()?.parse().ok()?;
                if let Some(stage) = callee.take() {
                    *count.stages.entry(stage.to_owned()).or_default() += cost;
                }
            }
        }
        (count.all > 0).then_some(count)
    }
}

/// The stage whose work for a batch a function is, such as `<legonf_wire::PacketBatching as legonf_core::Brick>::process`.
fn stage(function: &str) -> Option<&str> {
    let (name, work) = function.strip_prefix('<')?.split_once(" as ")?;
    if work.ends_with("::Source>::fill") {
        return Some(measure::SOURCE);
    }
    work.ends_with("::Brick>::process").then(|| name.rsplit("::").next().unwrap_or(name))
}

/// Refuses where valgrind does not run, before anything is measured.
pub fn check() -> Result<(), ExperimentError> {
    let missing = |e| Error::refused(format!("valgrind: {e}; install it or leave --instructions out"));
    Ok(Command::new("valgrind").arg("--version").output().map(drop).map_err(missing)?)
}

/// The difference between replaying all and half of the packets.
pub fn per_packet(
    session: &Session,
    arguments: &Arguments,
    packets: u64,
) -> Result<Instructions, ExperimentError> {
    let all = packets.min(PACKETS);
    let half = all / 2;
    if half == 0 {
        return Err(Error::refused("--instructions needs two packets at least").into());
    }
    Ok(Instructions::between(&count(session, arguments, half)?, &count(session, arguments, all)?, all - half))
}

fn count(session: &Session, arguments: &Arguments, packets: u64) -> Result<Count, ExperimentError> {
    let output = replay(arguments, packets)?.output()?;
    if session.is_stopped() {
        return Err(Error::Interrupted("instructions were not counted to the end".into()).into());
    }
    let count = Count::read(&String::from_utf8_lossy(&output.stdout)).filter(|_| output.status.success());
    let nothing = || {
        let said = String::from_utf8_lossy(&output.stderr);
        Error::refused(format!("valgrind counted nothing: {}", said.lines().last().unwrap_or_default()))
    };
    Ok(count.ok_or_else(nothing)?)
}

/// The command that replays the first packets in one thread and writes its profile to standard output.
fn replay(arguments: &Arguments, packets: u64) -> Result<Command, ExperimentError> {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--compress-strings=no", "--compress-pos=no"]);
    command.arg("--callgrind-out-file=/dev/stdout").arg(std::env::current_exe()?);
    command.arg("replay").arg(&arguments.capture).arg("--model").arg(&arguments.model);
    command.args(["--quiet", "--workers", "monolithic", "--limit", &packets.to_string()]);
    if let Some(precision) = arguments.execution.precision {
        command.args(["--precision", &precision.to_string()]);
    }
    if let Some(engine) = arguments.execution.engine.and_then(|engine| engine.to_possible_value()) {
        command.args(["--engine", engine.get_name()]);
    }
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILE: &str = "\
version: 1
positions: line
events: Ir
summary: 4321

fn=legonf_runtime::worker::turn
1 7
cfn=<legonf_io::source::reader::Reader<D> as legonf_core::endpoint::Source>::fill
calls=3 0
9 300
cfn=core::ptr::drop_in_place
calls=3 0
9 5
cfn=<legonf_wire::packet_batching::PacketBatching as legonf_core::brick::Brick>::process
calls=2 0
9 40

fn=legonf_runtime::worker::last
cfn=<legonf_wire::packet_batching::PacketBatching as legonf_core::brick::Brick>::process
calls=1 0
9 2
";

    fn counts(stages: &[(&str, u64)], all: u64) -> Count {
        Count { all, stages: stages.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect() }
    }

    #[test]
    fn a_profile_is_read_by_stage() {
        let expected = counts(&[("PacketBatching", 42), ("source", 300)], 4321);
        assert_eq!(Count::read(PROFILE), Some(expected));
        assert_eq!(Count::read("legonf: no such file"), None);
        assert_eq!(Count::read("summary: 7\ncalls=1 0"), None);
        assert_eq!(Count::read("summary: 7\ncalls=1 0\n9 x"), None);
    }

    #[test]
    fn what_both_runs_do_counts_for_nothing() {
        let (short, long) =
            (counts(&[("source", 500)], 2000), counts(&[("source", 900), ("FeatureMapping", 20)], 3000));
        let instructions = Instructions::between(&short, &long, 10);
        assert_eq!((instructions.all, instructions.of_source()), (100.0, Some(40.0)));
        assert_eq!(instructions.of_kind("feature-mapping"), Some(2.0));
        assert_eq!(instructions.of_kind("autoencoder"), None);
    }
}
