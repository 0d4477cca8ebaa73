//! Benign traffic, generated or captured, as features.

use crate::ExperimentError;
use legonf_core::{Batch, Brick, Clock, Headers, Rows, Schema, Source};
use legonf_datasets::generate::{Config, Generator};
use legonf_engine::{Session, headers, input};
use legonf_extract::{Limits, build};
use legonf_wire::PacketBatching;
use std::path::PathBuf;
use std::time::Duration;

/// Where benign packets come from; as often as asked for, and the same each time.
pub enum Traffic {
    Generated(Config),
    Captured { path: PathBuf, limit: Option<u64> },
}

/// A packet with its row of features.
pub struct Row<'a> {
    pub header: &'a Headers,
    pub features: &'a [f64],
    /// Stream time since the first packet.
    pub elapsed: Duration,
}

impl Traffic {
    /// What a report calls it.
    pub fn name(&self) -> String {
        match self {
            Self::Generated(config) => format!("seed {}", config.seed),
            Self::Captured { path, .. } => input::file_name(path),
        }
    }

    /// Stream time from the first packet to the last.
    pub fn span(&self, session: &Session) -> Result<Duration, ExperimentError> {
        if let Self::Generated(config) = self {
            return Ok(Duration::from_secs_f64(config.packets as f64 / config.rate));
        }
        let mut clock = Clock::default();
        self.each_batch(session, "reading", |packets| {
            for packet in packets {
                clock.shift(packet.seq, packet.timestamp);
            }
            Ok(true)
        })?;
        Ok(Duration::from_nanos(clock.elapsed()))
    }

    /// Gives the rows of all packets that can be read, until `each` has enough.
    pub fn each_row(
        &self,
        session: &Session,
        (task, schema): (&'static str, &Schema),
        mut each: impl FnMut(Row<'_>) -> Result<bool, ExperimentError>,
    ) -> Result<(), ExperimentError> {
        let mut extractor = build(&schema.name, Limits::default())?;
        let (mut rows, mut clock) = (Rows::default(), Clock::default());
        self.each_batch(session, task, |packets| {
            extractor.extract(packets, &mut rows);
            for (header, features) in packets.iter().zip(rows.iter()) {
                clock.shift(header.seq, header.timestamp);
                let elapsed = Duration::from_nanos(clock.elapsed());
                if !header.is_unread() && !each(Row { header, features, elapsed })? {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    fn each_batch(
        &self,
        session: &Session,
        task: &'static str,
        mut each: impl FnMut(&[Headers]) -> Result<bool, ExperimentError>,
    ) -> Result<(), ExperimentError> {
        match self {
            Self::Generated(config) => generated(session, *config, each),
            Self::Captured { path, limit } => {
                let mut goes_on = true;
                headers(session, task, path, *limit, |packets| {
                    goes_on = goes_on && each(packets)?;
                    Ok(())
                })
            }
        }
    }
}

fn generated(
    session: &Session,
    config: Config,
    mut each: impl FnMut(&[Headers]) -> Result<bool, ExperimentError>,
) -> Result<(), ExperimentError> {
    let (mut generator, mut batch) = (Generator::new(config)?, Batch::default());
    let mut parser = PacketBatching::new(legonf_wire::Config {});
    loop {
        batch.clear();
        generator.fill(&mut batch)?;
        if batch.is_empty() {
            return Ok(());
        }
        parser.process(&mut batch)?;
        if session.is_stopped() {
            let reason = "stopped; nothing was measured";
            return Err(legonf_engine::Error::Interrupted(reason.into()).into());
        }
        if !each(&batch.headers)? {
            return Ok(());
        }
    }
}
