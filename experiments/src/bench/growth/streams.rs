//! Parser and extractor: packets a second over the number of streams, and over the batch size.

use super::{PARTS, State, rate};
use crate::ExperimentError;
use crate::flood::load::Traffic;
use legonf_core::{BATCH, Progress};
use legonf_datasets::generate;
use legonf_engine::{Error, Extent, Gauge, Session};

/// Packets measured for each point, in [`PARTS`] parts.
const MEASURED: u64 = 1_000_000;
/// Flows that share a host, so that hosts have several peers.
const FLOWS_PER_HOST: u32 = 4;

/// What a point is measured with.
pub struct Case<'a> {
    pub schema: &'a str,
    pub seed: u64,
    pub streams: u32,
    /// Packets in a batch.
    pub batch: usize,
}

impl Case<'_> {
    /// Four packets a stream: the rarest streams get half of the mean.
    fn warm_up(&self) -> u64 {
        (u64::from(self.streams) * 4).next_multiple_of(BATCH as u64)
    }

    fn traffic(&self) -> Result<Traffic, ExperimentError> {
        let config = generate::Config {
            seed: self.seed,
            packets: self.warm_up() + MEASURED,
            hosts: (self.streams / FLOWS_PER_HOST).clamp(8, generate::MAX_HOSTS),
            flows: self.streams,
            rate: 100_000.0,
            ..generate::Config::default()
        };
        let schema = self.schema.to_owned();
        Traffic::new(config, &legonf_extract::Config { schema, ..Default::default() })
    }

    /// Meets every stream, then measures: packets a second of the fastest part, and the state at the end.
    pub fn measure(&self, session: &Session) -> Result<(f64, State), ExperimentError> {
        let bar = session.begin("streams", Extent::Packets(self.warm_up() + MEASURED));
        let mut traffic = self.traffic()?;
        // The warm-up is done in whole batches, whatever the batches that are measured are.
        advance(session, &mut traffic, self.warm_up(), BATCH, &*bar)?;
        let (begin, mut fastest) = (traffic.position(), 0.0);
        for part in 1..=PARTS as u64 {
            let (from, before) = (traffic.position(), traffic.busy());
            let end = begin + MEASURED * part / PARTS as u64;
            advance(session, &mut traffic, end, self.batch, &*bar)?;
            fastest = rate(traffic.position() - from, traffic.busy().saturating_sub(before)).max(fastest);
        }
        let (state, bound) = traffic.state_bytes();
        let evicted = traffic.evicted().into_iter().map(|(table, count)| (table.to_owned(), count));
        let (state_bytes, state_bytes_bound) = (state as u64, bound as u64);
        Ok((fastest, State { state_bytes, state_bytes_bound, evicted: evicted.collect() }))
    }
}

/// Goes on to packet `end` or the batch that it is in, or to the end of the traffic.
fn advance(
    session: &Session,
    traffic: &mut Traffic,
    end: u64,
    batch: usize,
    bar: &dyn Gauge,
) -> Result<(), ExperimentError> {
    while traffic.position() < end && traffic.next_of(batch)? {
        if session.is_stopped() {
            return Err(Error::Interrupted("the point that was being measured is lost".into()).into());
        }
        bar.update(Progress::default(), traffic.position());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_a_positive_rate_at_any_batch_size() {
        for batch in [1, 1024] {
            let case = Case { schema: "kitsune-115", seed: 1, streams: 100, batch };
            let (per_second, state) = case.measure(&Session::default()).unwrap();
            assert!(per_second > 0.0 && per_second.is_finite(), "{batch}");
            assert!(state.state_bytes > 0 && state.state_bytes <= state.state_bytes_bound);
        }
    }
}
