//! The seed by which streams are divided into slots.

use crate::Error;
use legonf_extract::Limits;
use legonf_runtime::{BrickSpec, GraphSpec};
use toml::{Table, Value};

/// Where the seed of a graph comes from, by which its extractors, flow tables and functions of chains divide streams and flows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Seed {
    /// The graph file, or the fixed one: equal runs give equal bytes.
    #[default]
    Repeatable,
    /// The command line.
    Given(u64),
    /// Nobody, unless the graph file names one, which is that of all bricks that name none: who sends packets cannot choose slots.
    Random,
}

impl Seed {
    /// Puts the seed into a graph. Where neither the command line nor the graph file names one, a brick takes that of its saved state:
    /// `saved` gives it by the brick's identifier.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn set(self, spec: &mut GraphSpec, saved: impl Fn(&str) -> Option<u64>) -> Result<(), Error> {
        let given = match self {
            Self::Given(seed) => Some(seed),
            Self::Repeatable | Self::Random => None,
        };
        let own = match self {
            Self::Random => Some(named(spec).map_or_else(random, Ok)?),
            Self::Repeatable | Self::Given(_) => None,
        };
        for brick in &mut spec.bricks {
            let Some(seed) = given.or_else(|| saved(&brick.id)).or(own) else { continue };
            for table in legonf_catalog::seeded(&brick.kind, &mut brick.config) {
                if given.is_some() || !table.contains_key("seed") {
                    table.insert("seed".into(), Value::Integer(seed.min(i64::MAX as u64) as i64));
                }
            }
        }
        Ok(())
    }
}

/// The first seed that a graph names.
fn named(spec: &GraphSpec) -> Option<u64> {
    let seed = |brick: &BrickSpec| {
        let (kind, mut config) = (&brick.kind, brick.config.clone());
        let tables = legonf_catalog::seeded(kind, &mut config);
        tables.iter().find_map(|table| table.get("seed")?.as_integer()).map(|seed| seed as u64)
    };
    spec.bricks.iter().find_map(seed)
}

/// The seed by which a graph divides streams and flows; none where it divides nothing.
pub fn of(spec: &GraphSpec) -> Option<u64> {
    let divides =
        |brick: &BrickSpec| !legonf_catalog::seeded(&brick.kind, &mut brick.config.clone()).is_empty();
    spec.bricks.iter().any(divides).then(|| named(spec).unwrap_or(Limits::default().seed))
}

/// Takes the seeds out of a graph.
pub fn remove(spec: &mut GraphSpec) {
    for brick in &mut spec.bricks {
        for table in legonf_catalog::seeded(&brick.kind, &mut brick.config) {
            table.remove("seed");
        }
        if brick.config.get("limits").and_then(Value::as_table).is_some_and(Table::is_empty) {
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
    fn all_bricks_of_a_graph_get_one_seed() {
        let chain = |config: &str| {
            let text = format!(
                "name = \"chain\"\n[[brick]]\nid = \"batching\"\nkind = \"packet-batching\"\nnext = \"monitor\"\n\
                 [[brick]]\nid = \"monitor\"\nkind = \"monitor\"\nnext = \"fast\"\n[[brick]]\nid = \"fast\"\nkind = \"fast-path\"\n\
                 [brick.config]\nfunctions = [{{ kind = \"check-ip-header\" }}, {{ kind = \"firewall\", inside = [\"10.0.0.0/8\"]{config} }}]\n"
            );
            GraphSpec::from_toml(&text).unwrap()
        };
        let seeds = |spec: &GraphSpec| {
            let firewall = spec.bricks[2].config["functions"][1].get("seed").and_then(Value::as_integer);
            (spec.bricks[1].config.get("seed").and_then(Value::as_integer), firewall)
        };
        let mut spec = chain("");
        Seed::Random.set(&mut spec, |_| None).unwrap();
        let (monitor, firewall) = seeds(&spec);
        assert!(monitor.is_some() && monitor == firewall && of(&spec) == monitor.map(|seed| seed as u64));
        assert!(spec.bricks[2].config["functions"][0].get("seed").is_none(), "a check divides nothing");
        remove(&mut spec);
        assert_eq!((seeds(&spec), of(&spec)), ((None, None), Some(1234)));
        // One that is named is that of all.
        let mut spec = chain(", seed = 5");
        Seed::Random.set(&mut spec, |_| None).unwrap();
        assert_eq!(seeds(&spec), (Some(5), Some(5)));
        Seed::Given(7).set(&mut spec, |_| None).unwrap();
        assert_eq!(seeds(&spec), (Some(7), Some(7)));
    }

    #[test]
    fn a_graph_that_names_one_keeps_it_unless_another_is_given() {
        let named = "[limits]\nseed = 5";
        assert_eq!(seeded(Seed::Random, named), Some(5));
        assert_eq!(seeded(Seed::Given(7), named), Some(7));
        assert_eq!(of(&nf::scoring_features(nf::Kernel::KitNet, None)), None);
    }
}
