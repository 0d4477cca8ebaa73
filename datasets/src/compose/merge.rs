//! The second pass: packets of every capture in the order of time.

use super::hosts::Hosts;
use super::manifest::RULE;
use super::mapping::Mapping;
use super::rewrite::rewrite;
use super::stream::Stream;
use super::survey::Survey;
use super::{Attack, AttackPart, Became, ComposeError, Config, Input, Manifest, Output, Part};
use legonf_core::{LinkType, Packets, Progress, Timestamp};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use std::collections::BTreeMap;
use std::path::Path;

/// A composite being made, packet by packet.
pub struct Composer {
    config: Config,
    benign: Lane,
    attacks: Vec<(Intruder, Lane)>,
    malicious: u64,
    first_malicious: Option<u64>,
    seq: u64,
}

/// One capture in the merge.
struct Lane {
    stream: Stream,
    head: Option<Head>,
    /// The latest stream time so far: within a capture the order of packets stays even where time runs backwards.
    latest: Timestamp,
    /// From the time stamp of the last packet written to its stream time.
    shift: i64,
    written: u64,
    left_out: BTreeMap<&'static str, u64>,
}

/// The next packet of a capture: its stream time, and when its turn is. Its bytes are in the stream, or rewritten in the
/// intruder.
#[derive(Clone, Copy, Debug)]
struct Head {
    time: Timestamp,
    turn: Timestamp,
}

/// How an attack's packets are rewritten.
struct Intruder {
    mapping: Mapping,
    first: Timestamp,
    begin: Timestamp,
    start: f64,
    speed: f64,
    /// One of so many packets comes, and how many there were.
    thin: u32,
    seen: u32,
    frame: Vec<u8>,
    wire_len: u32,
}

impl Lane {
    fn open(input: &Input, wanted: bool) -> Result<Self, ComposeError> {
        let stream = Stream::open(input, wanted)?;
        let latest = Timestamp::from_nanos(i64::MIN);
        Ok(Self { stream, head: None, latest, shift: 0, written: 0, left_out: BTreeMap::new() })
    }

    fn arrive(&mut self, time: Timestamp) {
        self.latest = self.latest.max(time);
        self.head = Some(Head { time, turn: self.latest });
    }

    fn advance_benign(&mut self) -> Result<(), ComposeError> {
        self.head = None;
        if let Some(time) = self.stream.advance()?.map(|(record, _)| record.stream_time()) {
            self.arrive(time);
        }
        Ok(())
    }

    /// Goes on to the next packet that can be rewritten.
    fn advance_attack(&mut self, intruder: &mut Intruder) -> Result<(), ComposeError> {
        self.head = None;
        while let Some((record, bytes)) = self.stream.advance()? {
            if !intruder.takes_next() {
                *self.left_out.entry("thinned").or_default() += 1;
                continue;
            }
            match rewrite(record.link, bytes, &intruder.mapping, &mut intruder.frame) {
                Ok(longer) => {
                    let time = intruder.time(record.stream_time());
                    intruder.wire_len = record.wire_len.saturating_add_signed(longer);
                    self.arrive(time);
                    break;
                }
                Err(reason) => *self.left_out.entry(reason.label()).or_default() += 1,
            }
        }
        Ok(())
    }

    fn part(&self, input: &Input, sha256: String) -> Part {
        let (received, unwanted) = self.stream.counts();
        let mut left_out = self.left_out.clone();
        if unwanted > 0 {
            left_out.insert("other-label", unwanted);
        }
        let labels = input.labels.as_deref().map(name);
        Part { file: name(&input.path), sha256, labels, received, written: self.written, left_out }
    }
}

impl Intruder {
    /// Surveys an attack and maps it onto the hosts; `number` sets its random numbers apart from other attacks'.
    fn new(
        attack: &Attack,
        number: u64,
        seed: u64,
        benign: &Survey,
        hosts: &Hosts,
    ) -> Result<Self, ComposeError> {
        let survey = Survey::of(&attack.input, true)?;
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        (0..number).for_each(|_| random.jump());
        let duration = benign.last.as_nanos().saturating_sub(benign.first.as_nanos());
        let start = attack.start.unwrap_or(duration as f64 / 2e9);
        let begin = benign.first.as_nanos().saturating_add((start * 1e9).round() as i64);
        Ok(Self {
            mapping: Mapping::new(&survey.census.busiest(), hosts, &mut random),
            first: survey.first,
            begin: Timestamp::from_nanos(begin),
            start,
            speed: attack.speed,
            thin: attack.thin,
            seen: 0,
            frame: Vec::new(),
            wire_len: 0,
        })
    }

    /// Whether the next packet is one of those that come: the first of every `thin`.
    fn takes_next(&mut self) -> bool {
        let takes = self.seen == 0;
        self.seen = (self.seen + 1) % self.thin;
        takes
    }

    /// A stream time of the attack's capture in that of the composite.
    #[allow(clippy::float_cmp)]
    fn time(&self, recorded: Timestamp) -> Timestamp {
        let after = recorded.as_nanos().saturating_sub(self.first.as_nanos());
        let scaled = if self.speed == 1.0 { after } else { (after as f64 / self.speed).round() as i64 };
        Timestamp::from_nanos(self.begin.as_nanos().saturating_add(scaled))
    }
}

impl Composer {
    /// Surveys every capture and stands before the first packet.
    ///
    /// # Errors
    /// If a number is out of range, a capture or a label file cannot be read, or nothing is left of one.
    pub fn new(config: Config) -> Result<Self, ComposeError> {
        config.attacks.iter().try_for_each(Attack::validate)?;
        let survey = Survey::of(&config.benign, false)?;
        let hosts = survey.census.hosts();
        let mut benign = Lane::open(&config.benign, false)?;
        benign.advance_benign()?;
        let mut attacks = Vec::new();
        for (attack, number) in config.attacks.iter().zip(0..) {
            let mut intruder = Intruder::new(attack, number, config.seed, &survey, &hosts)?;
            let mut lane = Lane::open(&attack.input, true)?;
            lane.advance_attack(&mut intruder)?;
            attacks.push((intruder, lane));
        }
        Ok(Self { config, benign, attacks, malicious: 0, first_malicious: None, seq: 0 })
    }

    /// Appends up to `max` packets to `packets` and whether each is part of an attack to `labels`; none at the end.
    ///
    /// # Errors
    /// If a capture or a label file cannot be read.
    pub fn append(
        &mut self,
        packets: &mut Packets,
        labels: &mut Vec<bool>,
        max: usize,
    ) -> Result<(), ComposeError> {
        for _ in 0..max {
            let Some(label) = self.step(packets)? else { break };
            labels.push(label);
            self.seq += 1;
        }
        Ok(())
    }

    /// Moves the packet whose turn it is; among equals the benign one, then the attacks in their order.
    fn step(&mut self, packets: &mut Packets) -> Result<Option<bool>, ComposeError> {
        let lanes = std::iter::once(&self.benign).chain(self.attacks.iter().map(|(_, lane)| lane));
        let heads = lanes.enumerate().filter_map(|(at, lane)| Some((lane.head?.turn, at)));
        match heads.min() {
            None => Ok(None),
            Some((_, 0)) => self.pass(packets).map(|()| Some(false)),
            Some((_, at)) => self.intrude(at - 1, packets).map(|()| Some(true)),
        }
    }

    fn pass(&mut self, packets: &mut Packets) -> Result<(), ComposeError> {
        if let Some((record, bytes)) = self.benign.stream.current() {
            packets.push(self.seq, record.timestamp, record.wire_len, record.link, bytes);
            (self.benign.written, self.benign.shift) = (self.benign.written + 1, record.shift);
        }
        self.benign.advance_benign()
    }

    fn intrude(&mut self, at: usize, packets: &mut Packets) -> Result<(), ComposeError> {
        let (intruder, lane) = &mut self.attacks[at];
        if let Some(head) = lane.head {
            // By the clock of the benign capture, also where it is wrong.
            let time = Timestamp::from_nanos(head.time.as_nanos().wrapping_sub(self.benign.shift));
            packets.push(self.seq, time, intruder.wire_len, LinkType::Ethernet, &intruder.frame);
            lane.written += 1;
            self.malicious += 1;
            self.first_malicious.get_or_insert(self.seq);
        }
        lane.advance_attack(intruder)
    }

    /// Packets composed so far.
    pub fn position(&self) -> u64 {
        self.seq
    }

    /// Packets of attacks composed so far.
    pub fn malicious(&self) -> u64 {
        self.malicious
    }

    /// How far the captures have been read, all together.
    pub fn progress(&self) -> Progress {
        let lanes = std::iter::once(&self.benign).chain(self.attacks.iter().map(|(_, lane)| lane));
        let add = |a: Option<u64>, b: Option<u64>| Some(a? + b?);
        lanes.map(|lane| lane.stream.progress()).fold(
            Progress { read_bytes: 0, total_bytes: Some(0) },
            |sum, p| Progress {
                read_bytes: sum.read_bytes + p.read_bytes,
                total_bytes: add(sum.total_bytes, p.total_bytes),
            },
        )
    }

    /// The manifest of what was composed, written to `output`; `digest` gives the SHA-256 of a file in hexadecimal
    /// digits.
    ///
    /// # Errors
    /// Those of `digest`.
    pub fn manifest<E>(
        &self,
        output: &Path,
        digest: impl Fn(&Path) -> Result<String, E>,
    ) -> Result<Manifest, E> {
        let benign = self.benign.part(&self.config.benign, digest(&self.config.benign.path)?);
        let mut attacks = Vec::new();
        for ((intruder, lane), attack) in self.attacks.iter().zip(&self.config.attacks) {
            let part = lane.part(&attack.input, digest(&attack.input.path)?);
            attacks.push(AttackPart {
                part,
                start_seconds: intruder.start,
                speed: intruder.speed,
                thin: intruder.thin,
                hosts: became(&intruder.mapping),
            });
        }
        let output = Output {
            file: name(output),
            sha256: digest(output)?,
            packets: self.seq,
            malicious: self.malicious,
            first_malicious_index: self.first_malicious,
        };
        let (made_by, seed) = ("legonf dataset compose", self.config.seed);
        Ok(Manifest { kind: "composite", made_by, seed, rule: RULE, output, benign, attacks })
    }
}

fn became(mapping: &Mapping) -> Vec<Became> {
    let text = |(from, to): &(std::net::IpAddr, std::net::IpAddr)| Became {
        from: from.to_string(),
        to: to.to_string(),
    };
    mapping.chosen().iter().map(text).collect()
}

/// A file's name without folders.
fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests;
