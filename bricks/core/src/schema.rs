//! Feature schemas: what the columns of a feature vector mean.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::time::Duration;

/// Half-lives after which a damped statistic has settled: it has 15/16 of its weight, 1 − 2^(−4).
const SETTLED: f64 = 4.0;

/// Unit of a feature's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// A count of packets (damped).
    Packets,
    /// Bytes.
    Bytes,
    /// Bytes squared.
    BytesSquared,
    /// Seconds.
    Seconds,
    /// Seconds squared.
    SecondsSquared,
    /// A number without a unit.
    One,
}

/// One column of a feature vector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feature {
    /// Unique name within the schema, such as `HH_L0.1_pcc`.
    pub name: String,
    /// State group that it is computed from, such as `HH`.
    pub group: String,
    /// Statistic, such as `pcc`.
    pub statistic: String,
    /// Unit of its values.
    pub unit: Unit,
    /// Decay rate λ in 1/s: a value counts half after 1/λ seconds.
    pub decay: Option<f64>,
}

impl Feature {
    /// What it measures, in words that follow from its group, statistic, unit and decay; the name itself where the group or the
    /// statistic is another than those of Kitsune's damped statistics.
    pub fn words(&self) -> String {
        let (Some(what), Some(whose)) = (self.measure(), self.streams()) else { return self.name.clone() };
        let over =
            self.decay.filter(|decay| *decay > 0.0).map(|decay| format!(" over {}", span(1.0 / decay)));
        format!("{what} {whose}{}", over.unwrap_or_default())
    }

    fn measure(&self) -> Option<&'static str> {
        Some(match (self.statistic.as_str(), self.unit) {
            ("weight", _) => "packets a second",
            ("mean", Unit::Seconds) => "mean time between packets",
            ("var", Unit::SecondsSquared) => "variance of the time between packets",
            ("mean", _) => "mean packet size",
            ("var" | "std", _) => "spread of packet sizes",
            ("magnitude", _) => "packet size in both directions",
            ("radius", _) => "spread of packet sizes in both directions",
            ("cov", _) => "covariance of packet sizes in both directions",
            ("pcc", _) => "correlation of packet sizes in both directions",
            _ => return None,
        })
    }

    /// The streams that its group tells apart.
    fn streams(&self) -> Option<&'static str> {
        Some(match self.group.as_str() {
            "MI" => "from this MAC",
            "H" => "from this address",
            "HH" | "HH_jit" => "to this host",
            "HpHp" => "to this port",
            _ => return None,
        })
    }
}

/// A time in the unit in which it is short.
fn span(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.0} ms", seconds * 1e3) } else { format!("{seconds:.0} s") }
}

/// A named, ordered list of features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schema {
    /// Name, such as `kitsune-115`.
    pub name: String,
    /// Columns, in order.
    pub features: Vec<Feature>,
}

impl Schema {
    /// Number of features.
    pub fn len(&self) -> usize {
        self.features.len()
    }

    /// Whether the schema has no feature.
    pub fn is_empty(&self) -> bool {
        self.features.is_empty()
    }

    /// Time after which the statistics of a stream have settled, 4/λ for the slowest decay λ: 400 s for 0.01. Scores of packets before
    /// that depend on where the capture begins. 0 for a schema without decay rates.
    pub fn settling_time(&self) -> Duration {
        self.half_lives(SETTLED)
    }

    /// So many half-lives of the slowest statistic, `count`/λ; 0 for a schema without decay rates.
    pub fn half_lives(&self, count: f64) -> Duration {
        let rates = self.features.iter().filter_map(|feature| feature.decay).filter(|rate| *rate > 0.0);
        let slowest = rates.fold(f64::INFINITY, f64::min);
        Duration::try_from_secs_f64(count / slowest).unwrap_or(Duration::MAX)
    }

    /// A digest of the name and of every column's name, group, statistic, unit and decay rate, in order.
    pub fn hash(&self) -> SchemaHash {
        let mut digest = Sha256::new();
        let mut field = |text: &str| {
            digest.update((text.len() as u64).to_le_bytes());
            digest.update(text.as_bytes());
        };
        field(&self.name);
        for f in &self.features {
            field(&f.name);
            field(&f.group);
            field(&f.statistic);
            field(&format!("{:?}", f.unit));
            field(&f.decay.map_or(String::new(), |d| format!("{:016x}", d.to_bits())));
        }
        let full = digest.finalize();
        let mut hash = [0; 16];
        hash.copy_from_slice(&full[..16]);
        SchemaHash(hash)
    }
}

/// The first 128 bits of the SHA-256 of a [`Schema`]; shown as 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SchemaHash([u8; 16]);

impl fmt::Display for SchemaHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Schema {
        let feature = |name: &str| Feature {
            name: name.into(),
            group: "MI".into(),
            statistic: "mean".into(),
            unit: Unit::Bytes,
            decay: Some(0.1),
        };
        Schema { name: "test".into(), features: vec![feature("a"), feature("b")] }
    }

    #[test]
    fn statistics_settle_after_four_half_lives_of_the_slowest() {
        let mut schema = schema();
        assert_eq!(schema.settling_time(), Duration::from_secs(40));
        schema.features[1].decay = Some(0.01);
        assert_eq!(schema.settling_time(), Duration::from_secs(400));
        schema.features.iter_mut().for_each(|feature| feature.decay = None);
        assert_eq!(schema.settling_time(), Duration::ZERO);
        schema.features[0].decay = Some(f64::MIN_POSITIVE);
        assert_eq!(schema.settling_time(), Duration::MAX);
    }

    #[test]
    fn hash_depends_on_everything() {
        let base = schema().hash();
        assert_eq!(base, schema().hash());
        let mut swapped = schema();
        swapped.features.swap(0, 1);
        let mut renamed = schema();
        renamed.name.push('x');
        let mut other_decay = schema();
        other_decay.features[1].decay = None;
        for changed in [swapped, renamed, other_decay] {
            assert_ne!(changed.hash(), base);
        }
        assert_eq!(base.to_string().len(), 32);
    }

    #[test]
    fn words_follow_from_the_structure() {
        let words = |group: &str, statistic: &str, unit, decay| {
            let [name, group, statistic] = ["x", group, statistic].map(str::to_owned);
            Feature { name, group, statistic, unit, decay: Some(decay) }.words()
        };
        assert_eq!(words("MI", "weight", Unit::Packets, 0.01), "packets a second from this MAC over 100 s");
        assert_eq!(
            words("HH_jit", "mean", Unit::Seconds, 5.0),
            "mean time between packets to this host over 200 ms"
        );
        assert_eq!(words("HpHp", "std", Unit::Bytes, 1.0), "spread of packet sizes to this port over 1 s");
        assert_eq!(
            [words("flows", "mean", Unit::Bytes, 1.0), words("MI", "entropy", Unit::One, 1.0)],
            ["x", "x"]
        );
    }
}
