//! Chains, and both ways through them.

use super::differs;
use super::traffic::{SERVICE, Traffic};
use crate::ExperimentError;
use legonf_core::{BATCH, Batch, Brick, ColumnSpec, Disposition, Handle, Layout};
use legonf_engine::Error;
use legonf_engine::measure::processor_time;
use legonf_nf::{ApplyActions, ApplyActionsConfig, FastPath, FastPathConfig, IpFilter, Maglev, Monitor, Nat};
use legonf_wire::PacketBatching;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// Functions in their order, each a table of TOML with its kind.
pub struct Chain {
    pub name: String,
    functions: Vec<toml::Table>,
}

fn table(text: &str) -> toml::Table {
    text.parse().expect("a table of this file")
}

/// A filter whose rules match no packet.
fn filter(rules: u32, default: &str) -> toml::Table {
    let rule = |at: u32| format!("{{ action = \"drop\", src = \"172.16.{at}.0/24\" }}");
    let rules: Vec<_> = (0..rules).map(rule).collect();
    table(&format!("kind = \"ip-filter\"\ndefault = \"{default}\"\nrules = [{}]", rules.join(", ")))
}

impl Chain {
    /// So many filters, of which the last may drop.
    pub fn filters(count: usize, rules: u32, drops: bool) -> Self {
        let default = |at: usize| if drops && at + 1 == count { "drop" } else { "accept" };
        let functions = (0..count).map(|at| filter(rules, default(at))).collect();
        let last = if drops { ", the last drops" } else { "" };
        Self { name: format!("{count} IPFilter{}{last}", if count == 1 { "" } else { "s" }), functions }
    }

    /// NAT, load balancer, monitor and filter (SpeedyBox's chain 1).
    pub fn gateway(rules: u32) -> Self {
        let nat =
            table("kind = \"nat\"\ninside = \"10.0.0.0/8\"\naddresses = [\"203.0.113.1\", \"203.0.113.2\"]");
        let backend = |at: u8| format!("{{ name = \"{at}\", mac = \"02:00:00:00:00:1{at}\" }}");
        let backends: Vec<_> = (0..4).map(backend).collect();
        let maglev =
            format!("kind = \"maglev\"\nservice = \"{SERVICE}\"\nbackends = [{}]", backends.join(", "));
        let functions = vec![nat, table(&maglev), table("kind = \"monitor\""), filter(rules, "accept")];
        Self { name: "NAT, Maglev, Monitor, IPFilter".into(), functions }
    }

    /// The functions, each a brick of its own.
    fn bricks(&self) -> Result<Vec<Box<dyn Brick>>, ExperimentError> {
        let mut bricks: Vec<Box<dyn Brick>> = Vec::new();
        for function in &self.functions {
            let (mut config, kind) = (function.clone(), function["kind"].as_str().unwrap_or_default());
            config.remove("kind");
            match kind {
                IpFilter::KIND => bricks.push(Box::new(IpFilter::brick(&read(config)?).map_err(refused)?)),
                Monitor::KIND => bricks.push(Box::new(Monitor::brick(&read(config)?).map_err(refused)?)),
                Nat::KIND => {
                    bricks.push(Box::new(Nat::brick(&read(config)?).map_err(refused)?));
                    bricks.push(apply("nat-action"));
                }
                _ => {
                    bricks.push(Box::new(Maglev::brick(&read(config)?).map_err(refused)?));
                    bricks.push(apply("maglev-action"));
                }
            }
        }
        Ok(bricks)
    }

    /// The same on one fast path.
    fn fast(&self) -> Result<Vec<Box<dyn Brick>>, ExperimentError> {
        let mut config = toml::Table::new();
        config.insert("functions".into(), self.functions.clone().into());
        let config: FastPathConfig = read(config)?;
        let brick: Box<dyn Brick> = Box::new(FastPath::brick(&config).map_err(refused)?);
        Ok(vec![brick, apply("fast-path-action")])
    }
}

fn read<T: DeserializeOwned>(config: toml::Table) -> Result<T, ExperimentError> {
    config.try_into().map_err(refused)
}

fn refused(error: impl std::fmt::Display) -> ExperimentError {
    Error::refused(error.to_string()).into()
}

fn apply(actions: &str) -> Box<dyn Brick> {
    Box::new(ApplyActions::new(&ApplyActionsConfig { actions: actions.into() }))
}

/// Bricks at work, and what became of their packets.
pub struct Way {
    bricks: Vec<Box<dyn Brick>>,
    batch: Batch,
    watermark: Handle<Vec<i64>>,
    dispositions: Handle<Vec<Disposition>>,
    next: u64,
    dropped: u64,
    /// The sum of the last bytes that changed packets have, so that both ways can be compared.
    sum: u64,
}

impl Way {
    fn new(chain: Vec<Box<dyn Brick>>) -> Result<Self, ExperimentError> {
        let batching: Box<dyn Brick> = Box::new(PacketBatching::default());
        let mut bricks: Vec<_> = [batching].into_iter().chain(chain).collect();
        let specs: Vec<_> = bricks.iter().map(|brick| brick.descriptor()).collect();
        let own = [ColumnSpec::WATERMARK, ColumnSpec::DISPOSITION];
        let all = specs.iter().flat_map(|brick| brick.reads.iter().chain(&*brick.writes)).chain(&own);
        let layout = Layout::of(all)?;
        bricks.iter_mut().try_for_each(|brick| brick.bind(&layout))?;
        let (watermark, dispositions) = (layout.handle(&own[0])?, layout.handle(&own[1])?);
        let (batch, next, dropped, sum) = (Batch::new(&layout), 0, 0, 0);
        Ok(Self { bricks, batch, watermark, dispositions, next, dropped, sum })
    }

    /// Processes packets, and gives the nanoseconds of processor time that the bricks spent.
    pub fn spend(&mut self, traffic: &Traffic, packets: u64) -> f64 {
        let (end, mut spent) = (self.next + packets, 0.0);
        while self.next < end {
            let count = (end - self.next).min(BATCH as u64);
            self.fill(traffic, count);
            let start = processor_time();
            for brick in &mut self.bricks {
                // None of these bricks has a fault.
                let _ = brick.process(&mut self.batch);
            }
            spent += processor_time().saturating_sub(start).as_nanos() as f64;
            self.note();
            self.next += count;
        }
        spent
    }

    fn fill(&mut self, traffic: &Traffic, count: u64) {
        self.batch.clear();
        traffic.fill(&mut self.batch.packets, self.next, count);
        let times = self.next as i64..(self.next + count) as i64;
        self.batch.columns.get_mut(self.watermark).extend(times.map(|seq| seq * 1000));
        self.batch.columns.get_mut(self.dispositions).resize(count as usize, Disposition::default());
    }

    fn note(&mut self) {
        let dispositions = self.batch.columns.get(self.dispositions);
        for (place, disposition) in dispositions.iter().enumerate() {
            let is_dropped = disposition.dropped().is_some();
            self.dropped += u64::from(is_dropped);
            if !is_dropped {
                let words = self.batch.packets.bytes(place).chunks_exact(4);
                let sum = words
                    .map(|word| u64::from(word[0]) << 16 | u64::from(word[1]) << 8 | u64::from(word[2]))
                    .sum();
                self.sum = self.sum.rotate_left(1).wrapping_add(sum);
            }
        }
    }

    fn counters(&self) -> BTreeMap<&'static str, u64> {
        let mut all = BTreeMap::new();
        for (name, count) in self.bricks.iter().flat_map(|brick| brick.counters()) {
            *all.entry(name).or_default() += count;
        }
        // One brick or several may count the same: only what was counted is compared.
        all.retain(|_, count| *count > 0);
        all
    }
}

/// Both ways through a chain.
pub struct Ways([Way; 2]);

impl Ways {
    pub fn new(chain: &Chain) -> Result<Self, ExperimentError> {
        Ok(Self([Way::new(chain.bricks()?)?, Way::new(chain.fast()?)?]))
    }

    /// Does something one after the other, then on the fast path.
    pub fn both(&mut self, mut work: impl FnMut(&mut Way) -> f64) -> [f64; 2] {
        let [chained, fast] = &mut self.0;
        [work(chained), work(fast)]
    }

    /// Whether both came to the same.
    pub fn check(&self) -> Result<(), ExperimentError> {
        let [chained, fast] = &self.0;
        if (chained.dropped, chained.sum) != (fast.dropped, fast.sum) {
            return Err(differs("packets", [&(chained.dropped, chained.sum), &(fast.dropped, fast.sum)]));
        }
        let counters = [chained.counters(), fast.counters()];
        if counters[0] == counters[1] {
            Ok(())
        } else {
            Err(differs("counters", [&counters[0], &counters[1]]))
        }
    }
}
