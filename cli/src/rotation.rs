//! When files make way for the next ones.

use crate::invalid::Invalid;
use crate::size::size;
use legonf_engine::arguments::time;
use legonf_io::sink::Rotation;
use std::time::Duration;

/// What a file must have for the next one to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Every {
    /// So many bytes.
    Size(u64),
    /// This age.
    Time(Duration),
}

/// A size, or a time with its unit. Lower-case `m` is minutes, as in all times, and `M` is mebibytes.
pub fn every(text: &str) -> Result<Every, Invalid> {
    const EXPECTED: Invalid =
        Invalid::Value("a size such as 500000, 64K, 32M or 1G, or a time such as 30m, 1h or 1d");
    let is_time = text.ends_with(['s', 'm', 'h', 'd', 'w']);
    if is_time {
        return time(text).map(Every::Time).map_err(|_| EXPECTED);
    }
    size(text).map(Every::Size).map_err(|_| EXPECTED)
}

/// What both options stand for.
pub fn rotation(every: Option<Every>, keep: Option<u64>) -> Rotation {
    match every {
        Some(Every::Size(size)) => Rotation { size: Some(size), time: None, keep },
        Some(Every::Time(time)) => Rotation { size: None, time: Some(time), keep },
        None => Rotation { keep, ..Rotation::default() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_told_apart() {
        assert_eq!(every("10M").unwrap(), Every::Size(10 << 20));
        assert_eq!(every("4096").unwrap(), Every::Size(4096));
        assert_eq!(every("10m").unwrap(), Every::Time(Duration::from_secs(600)));
        assert_eq!(every("1d").unwrap(), Every::Time(Duration::from_secs(86_400)));
        for text in ["", "0", "0s", "M", "m", "1y", "soon"] {
            assert!(every(text).is_err(), "{text}");
        }
    }
}
