//! The brick *feature quantization* (LEGO, Table I): headers in, feature vectors out.

use crate::{DEFAULT_SCHEMA, ExtractError, Extractor, Limits, Shard, StateError, build_shards, shards_of};
use legonf_core::{
    Batch, BindError, Brick, BrickError, ColumnSpec, Descriptor, Division, Element, Handle, Layout, Rows,
    Schema, State, Storage, WestEast, typed,
};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Feature vectors, in the order of the schema.
pub const FEATURES: ColumnSpec = ColumnSpec::rows("features", Element::F64);

/// What to extract and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Name of the schema, one of [`SCHEMAS`](crate::SCHEMAS). Default `kitsune-115-clean`.
    pub schema: String,
    /// Bounds of the state.
    pub limits: Limits,
    /// Shards to compute, of `sources`, `channels` and `sockets`. Default all.
    pub shards: Vec<Shard>,
}

impl Default for Config {
    fn default() -> Self {
        Self { schema: DEFAULT_SCHEMA.into(), limits: Limits::default(), shards: Shard::ALL.into() }
    }
}

/// Fills the features of each packet from its headers.
///
/// Stateful: a packet's features depend on the packets before it. Malformed packets have features like any other,
/// of the identity that was read; those of link types that are not parsed change no stream, and their features are NaN.
pub struct FeatureQuantization {
    extractor: Box<dyn Extractor>,
    features: Handle<Rows>,
    seed: u64,
    /// The shards of each part that replicas take.
    parts: Vec<Vec<Shard>>,
}

impl FeatureQuantization {
    /// Name of the kind.
    pub const KIND: &'static str = "feature-quantization";

    /// What the graph needs to know of the brick.
    pub const DESCRIPTOR: Descriptor = Descriptor {
        kind: Self::KIND,
        title: "feature quantization",
        reads: Cow::Borrowed(&[ColumnSpec::HEADERS]),
        writes: Cow::Borrowed(&[FEATURES]),
        state: State::Keyed,
    };

    /// The brick with empty state.
    ///
    /// # Errors
    /// If the schema is unknown, a limit is out of range, or the shards are none or not the schema's.
    pub fn new(config: &Config) -> Result<Self, ExtractError> {
        let Config { schema, limits, shards } = config;
        let extractor = build_shards(schema, *limits, shards)?;
        Ok(Self { extractor, features: Handle::default(), seed: limits.seed, parts: Vec::new() })
    }

    /// The columns of the feature vectors.
    pub fn schema(&self) -> &Schema {
        self.extractor.schema()
    }

    /// Bytes that the streams take now, and at most.
    pub fn state_bytes(&self) -> (usize, usize) {
        (self.extractor.state_bytes(), self.extractor.max_state_bytes())
    }
}

impl Brick for FeatureQuantization {
    fn descriptor(&self) -> Descriptor {
        Descriptor { writes: vec![self.fills()].into(), ..Self::DESCRIPTOR }
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.features = layout.handle(&self.fills())?;
        Ok(())
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        self.extractor.extract(&batch.headers, batch.columns.get_mut(self.features));
        Ok(())
    }

    fn state_size(&self) -> u64 {
        self.extractor.state_bytes() as u64
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        self.extractor.counters()
    }

    fn west_east(&mut self) -> Option<&mut dyn WestEast> {
        Some(self)
    }
}

impl FeatureQuantization {
    fn fills(&self) -> ColumnSpec {
        FEATURES.of_width(self.extractor.schema().len())
    }

    /// The shards that compute a part's groups and no other.
    fn shards(&self, part: &[String]) -> Result<Vec<Shard>, BrickError> {
        let names: Vec<_> = part.iter().map(String::as_str).collect();
        let shards = shards_of(&names);
        let cells = || self.extractor.schema().features.iter();
        let along = |group: &str| shards_of(&[group]).iter().all(|shard| shards.contains(shard));
        match cells().find(|f| along(&f.group) && !names.contains(&f.group.as_str())) {
            Some(f) => {
                let reason =
                    format!("a part of {} without {}: they are computed together", names.join(", "), f.group);
                Err(BrickError { brick: Self::KIND, reason })
            }
            None => Ok(shards),
        }
    }
}

/// A part's state is that of its shards: of each the length in four bytes, and what the extractor exports.
impl WestEast for FeatureQuantization {
    fn division(&self) -> Division {
        let schema = self.extractor.schema();
        let cells: Vec<_> = schema.features.iter().map(|feature| feature.group.clone()).collect();
        let mut groups = self.extractor.state_groups();
        groups.retain(|group| cells.contains(&group.name));
        Division { name: schema.name.clone(), groups, seed: self.seed, fills: self.fills(), cells }
    }

    fn divide(&mut self, parts: &[Vec<String>]) -> Result<(), BrickError> {
        let parts = parts.iter().map(|part| self.shards(part)).collect::<Result<Vec<_>, _>>()?;
        self.extractor.divide(&parts).map_err(fault)?;
        self.parts = parts;
        Ok(())
    }

    fn takes_compact_rows(&self) -> bool {
        true
    }

    fn process_part(
        &mut self,
        part: usize,
        batch: &Batch,
        places: &[usize],
        rows: &mut dyn Storage,
    ) -> Result<(), BrickError> {
        let other = || BrickError { brick: Self::KIND, reason: "rows of another type than features".into() };
        let rows = typed::<Rows>(rows).ok_or_else(other)?;
        self.extractor.extract_part(part, &batch.headers, places, rows).map_err(fault)
    }

    fn export(&mut self, part: usize, slots: &[u16]) -> Result<Vec<u8>, BrickError> {
        let shards = self.parts.get(part).ok_or_else(|| fault(StateError::NoPart(part)))?;
        together(shards.iter().map(|shard| self.extractor.export(*shard, slots)))
    }

    fn copy(&self, part: usize, slots: &[u16]) -> Result<Vec<u8>, BrickError> {
        let shards = self.parts.get(part).ok_or_else(|| fault(StateError::NoPart(part)))?;
        together(shards.iter().map(|shard| self.extractor.copy(*shard, slots)))
    }

    fn import(&mut self, _: usize, mut state: &[u8]) -> Result<(), BrickError> {
        let damaged = || fault(StateError::Damaged("a length is wrong"));
        while let Some((len, rest)) = state.split_first_chunk() {
            let (shard, rest) =
                rest.split_at_checked(u32::from_le_bytes(*len) as usize).ok_or_else(damaged)?;
            self.extractor.import(shard).map_err(fault)?;
            state = rest;
        }
        if state.is_empty() { Ok(()) } else { Err(damaged()) }
    }
}

fn together(states: impl Iterator<Item = Result<Vec<u8>, StateError>>) -> Result<Vec<u8>, BrickError> {
    let mut out = Vec::new();
    for state in states {
        let state = state.map_err(fault)?;
        out.extend((state.len() as u32).to_le_bytes());
        out.extend(state);
    }
    Ok(out)
}

fn fault(error: StateError) -> BrickError {
    BrickError { brick: FeatureQuantization::KIND, reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use legonf_core::{Headers, Layer, Timestamp};

    #[test]
    fn fills_a_row_per_packet() {
        let mut brick = FeatureQuantization::new(&Config::default()).unwrap();
        let headers = vec![Headers { wire_len: 60, ..Headers::default() }; 3];
        let layout = Layout::binding(&mut [&mut brick]).unwrap();
        let mut batch = Batch { headers, ..Batch::new(&layout) };
        brick.process(&mut batch).unwrap();
        let features = batch.columns.get(brick.features);
        assert_eq!((features.len(), features.width()), (3, brick.schema().len()));
        assert_eq!(features.row(2)[..2], [3.0, 60.0]);
        assert!(brick.counters().iter().all(|(name, count)| name.starts_with("evicted-") && *count == 0));
        let (now, most) = brick.state_bytes();
        assert!(0 < now && now < most);
    }

    fn packet(at: u32) -> Headers {
        let ip = |low: u32| Some(std::net::Ipv4Addr::from_bits(low).into());
        let outer = Layer { src: ip(at * at % 7), dst: ip(at % 5 + 7), ..Layer::default() };
        let timestamp = Timestamp::from_nanos(i64::from(at) * 1_000_000);
        Headers { seq: at.into(), wire_len: 60 + at % 11, timestamp, outer, ..Headers::default() }
    }

    #[test]
    fn parts_side_by_side_are_the_whole_and_their_slots_move() {
        let parts =
            [&["MI", "H"][..], &["HH", "HH_jit", "HpHp"]].map(|p| p.iter().map(|g| (*g).into()).collect());
        let (mut whole, mut one, mut other) =
            [(); 3].map(|()| FeatureQuantization::new(&Config::default()).unwrap()).into();
        let layout = Layout::binding(&mut [&mut whole]).unwrap();
        one.divide(&parts).unwrap();
        other.divide(&parts).unwrap();
        let all: Vec<u16> = (0..4096).collect();
        for round in 0..4 {
            let headers: Vec<_> = (0..100).map(|at| packet(100 * round + at)).collect();
            let mut batch = Batch { headers, ..Batch::new(&layout) };
            whole.process(&mut batch).unwrap();
            let holder = if round % 2 == 0 { &mut one } else { &mut other };
            let mut rows: Rows = Rows::default();
            rows.reset(batch.len(), whole.schema().len());
            let places: Vec<_> = (0..batch.len()).collect();
            for (part, columns) in [0..30, 30..115].into_iter().enumerate() {
                holder.process_part(part, &batch, &places, &mut rows).unwrap();
                for (whole, row) in batch.columns.get(whole.features).iter().zip(rows.iter()) {
                    assert_eq!(whole[columns.clone()], row[columns.clone()]);
                }
            }
            let (from, to) = if round % 2 == 0 { (&mut one, &mut other) } else { (&mut other, &mut one) };
            for part in 0..2 {
                let copy = from.copy(part, &all).unwrap();
                let state = from.export(part, &all).unwrap();
                assert_eq!(copy, state);
                assert_ne!(from.copy(part, &all).unwrap(), state);
                to.import(part, &state).unwrap();
            }
        }
    }

    #[test]
    fn parts_that_cannot_be_are_named() {
        let mut brick = FeatureQuantization::new(&Config::default()).unwrap();
        let error = brick.divide(&[vec!["MI".into()]]).unwrap_err().to_string();
        assert!(error.contains("MI without H"), "{error}");
        assert!(brick.export(0, &[1]).unwrap_err().to_string().contains("no part 0"));
        let error = brick
            .process_part(3, &Batch::default(), &[], &mut Rows::<f64>::default())
            .unwrap_err()
            .to_string();
        assert!(error.contains("no part 3"), "{error}");
        let error = brick.process_part(0, &Batch::default(), &[], &mut Vec::<u8>::new()).unwrap_err();
        assert!(error.to_string().contains("rows of another type"), "{error}");
        brick.divide(&[vec!["MI".into(), "H".into()]]).unwrap();
        assert!(brick.import(0, &[9, 0, 0, 0, 1]).unwrap_err().to_string().contains("length"));
        assert!(brick.import(0, &[9]).unwrap_err().to_string().contains("length"));
        let mut chained =
            FeatureQuantization::new(&Config { schema: "kitsune-py-100".into(), ..Config::default() })
                .unwrap();
        assert!(chained.division().groups.iter().any(|group| group.coupled.is_some()));
        assert!(chained.divide(&[vec!["MI".into()]]).is_err());
    }

    #[test]
    fn an_unknown_field_is_refused() {
        let error = toml::from_str::<Config>("schema = 'kitsune-115'\nrate = 3").unwrap_err();
        assert!(error.to_string().contains("rate"), "{error}");
        let config: Config = toml::from_str("[limits]\nsockets_per_slot = 7").unwrap();
        assert_eq!(config.limits.sockets_per_slot, 7);
    }
}
