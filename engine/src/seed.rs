//! The seed by which streams are divided into slots.

use crate::Error;
use legonf_extract::{FeatureQuantization, Limits};
use legonf_runtime::GraphSpec;
use toml::{Table, Value};

/// Where the seed of a graph's extractors comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Seed {
    /// The graph file, or the fixed one: equal runs give equal bytes.
    #[default]
    Repeatable,
    /// The command line.
    Given(u64),
    /// Nobody, unless the graph file names one: who sends packets cannot choose slots.
    Random,
}

impl Seed {
    /// Puts the seed into a graph. Where neither the command line nor the graph file names one, a brick takes that of its saved state:
    /// `saved` gives it by the brick's identifier.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn set(self, spec: &mut GraphSpec, saved: impl Fn(&str) -> Option<u64>) -> Result<(), Error> {
        let (given, own) = match self {
            Self::Repeatable => (None, None),
            Self::Given(seed) => (Some(seed), None),
            Self::Random => (None, Some(random()?)),
        };
        for brick in spec.bricks.iter_mut().filter(|brick| brick.kind == FeatureQuantization::KIND) {
            let Some(seed) = given.or_else(|| saved(&brick.id)).or(own) else { continue };
            let limits = brick.config.entry("limits").or_insert_with(|| Table::new().into());
            // What is no table the brick refuses by name.
            let Some(limits) = limits.as_table_mut() else { continue };
            if given.is_some() || !limits.contains_key("seed") {
                limits.insert("seed".into(), Value::Integer(seed.min(i64::MAX as u64) as i64));
            }
        }
        Ok(())
    }
}

/// The seed of a graph's extractor; none where it has no extractor.
pub fn of(spec: &GraphSpec) -> Option<u64> {
    let brick = spec.bricks.iter().find(|brick| brick.kind == FeatureQuantization::KIND)?;
    let seed = brick.config.get("limits").and_then(|limits| limits.get("seed")).and_then(Value::as_integer);
    Some(seed.map_or(Limits::default().seed, |seed| seed as u64))
}

/// Takes the seed out of a graph.
pub fn remove(spec: &mut GraphSpec) {
    for brick in spec.bricks.iter_mut().filter(|brick| brick.kind == FeatureQuantization::KIND) {
        let Some(limits) = brick.config.get_mut("limits").and_then(Value::as_table_mut) else { continue };
        limits.remove("seed");
        if limits.is_empty() {
            brick.config.remove("limits");
        }
    }
}

/// Of 53 bits, which every reader of JSON takes for what they are.
fn random() -> Result<u64, Error> {
    Ok(random_bits()? >> 11)
}

/// Bits that nobody knows.
///
/// # Errors
/// When the system has no random numbers.
pub fn random_bits() -> Result<u64, Error> {
    getrandom::u64().map_err(|error| Error::refused(format!("no random numbers: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nf;

    fn seeded(seed: Seed, config: &str) -> Option<u64> {
        let mut spec = nf::extraction("kitsune-115");
        spec.bricks[1].config.extend(config.parse::<Table>().unwrap());
        seed.set(&mut spec, |_| None).unwrap();
        of(&spec)
    }

    #[test]
    fn a_saved_state_brings_its_seed_along_where_none_is_named() {
        let with = |seed: Seed, config: &str| {
            let mut spec = nf::extraction("kitsune-115");
            spec.bricks[1].config.extend(config.parse::<Table>().unwrap());
            seed.set(&mut spec, |id| (id == "extractor").then_some(99)).unwrap();
            of(&spec)
        };
        assert_eq!((with(Seed::Repeatable, ""), with(Seed::Random, "")), (Some(99), Some(99)));
        assert_eq!((with(Seed::Given(7), ""), with(Seed::Random, "limits.seed = 5")), (Some(7), Some(5)));
    }

    #[test]
    fn a_seed_is_fixed_given_or_random() {
        assert_eq!(seeded(Seed::Repeatable, ""), Some(1234));
        assert_eq!(seeded(Seed::Given(7), ""), Some(7));
        let random = [0; 4].map(|_| seeded(Seed::Random, "[limits]\nsockets_per_slot = 8").unwrap());
        assert!(random.iter().all(|seed| *seed < 1 << 53), "{random:?}");
        assert!(random.windows(2).all(|two| two[0] != two[1]), "{random:?}");
    }

    #[test]
    fn a_graph_that_names_one_keeps_it_unless_another_is_given() {
        let named = "[limits]\nseed = 5";
        assert_eq!(seeded(Seed::Random, named), Some(5));
        assert_eq!(seeded(Seed::Given(7), named), Some(7));
        assert_eq!(of(&nf::scoring_features(nf::Kernel::KitNet, None)), None);
    }
}
