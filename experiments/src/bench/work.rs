//! What a packet takes of a core, stage by stage, beside what the core can do: the roofline.

use super::machine::Machine;
use super::role::Role;
use legonf_engine::Network;
use legonf_models::kitnet::Precision;
use serde::Serialize;

/// What a packet takes in one stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Work {
    /// Bytes that are too many for caches: of the capture, and of the streams' state.
    pub memory_bytes_per_packet: f64,
    /// Bytes that a batch keeps in the caches: columns that are read and filled, weights.
    pub cache_bytes_per_packet: f64,
    /// Floating-point operations, a fused multiply-add counting two; none where they are not known.
    pub flops_per_packet: Option<f64>,
    /// Those of them that are divisions.
    pub divisions_per_packet: f64,
    /// Those of them that are square roots.
    pub roots_per_packet: f64,
}

/// The least time that a core can take for some work.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bound {
    /// Nanoseconds: the longest of what arithmetic, divider, memory and cache take for themselves.
    pub bound_ns: f64,
    /// Which of them that is.
    pub bound_by: &'static str,
}

impl Work {
    /// What a stage does for a packet, of which `columns` are the bytes that it reads from batches and fills in them, and
    /// `capture` those that the source reads.
    pub fn of(role: Role, model: &Network, precision: Precision, columns: f64, capture: f64) -> Self {
        let work = Self { cache_bytes_per_packet: columns, ..Self::default() };
        let published = model.schema().name.starts_with("kitsune-115");
        match role {
            Role::Source => Self { memory_bytes_per_packet: capture, flops_per_packet: Some(0.0), ..work },
            Role::Extraction if published => Self {
                memory_bytes_per_packet: 2.0 * legonf_extract::PACKET_STATE_BYTES as f64,
                flops_per_packet: Some(legonf_extract::PACKET_OPERATIONS as f64),
                divisions_per_packet: legonf_extract::PACKET_DIVISIONS as f64,
                roots_per_packet: legonf_extract::PACKET_ROOTS as f64,
                ..work
            },
            Role::KitNet => model.kitnet().map_or(work, |kitnet| {
                let effort = kitnet.effort(precision);
                let cache_bytes_per_packet = columns + effort.weight_bytes;
                let divisions_per_packet = effort.divisions as f64;
                let flops_per_packet = Some(effort.operations as f64);
                Self { cache_bytes_per_packet, flops_per_packet, divisions_per_packet, ..work }
            }),
            Role::Parsing | Role::Mapping | Role::Decision => Self { flops_per_packet: Some(0.0), ..work },
            Role::Extraction | Role::Generic | Role::Other => work,
        }
    }

    /// What the core takes for it at least, with numbers of this precision.
    pub fn bound(&self, machine: &Machine, precision: Precision) -> Bound {
        let divisions = self.divisions_per_packet * machine.division_ns(precision);
        let bounds = [
            (self.flops_per_packet.unwrap_or(0.0) / machine.peak_gflops(precision), "arithmetic"),
            (divisions + self.roots_per_packet * machine.root_f64_ns, "divider"),
            (self.memory_bytes_per_packet / machine.memory_gb_per_s, "memory"),
            (self.cache_bytes_per_packet / machine.cache_gb_per_s, "cache"),
        ];
        let longest = bounds.into_iter().reduce(|a, b| if b.0 > a.0 { b } else { a });
        let (bound_ns, bound_by) = longest.unwrap_or_default();
        Bound { bound_ns, bound_by }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_bound_counts() {
        let machine = Machine {
            instruction_set: "avx2",
            peak_f64_gflops: 50.0,
            peak_f32_gflops: 100.0,
            division_f64_ns: 0.5,
            division_f32_ns: 0.25,
            root_f64_ns: 1.0,
            memory_gb_per_s: 10.0,
            cache_gb_per_s: 40.0,
        };
        let work = |memory, cache, flops| Work {
            memory_bytes_per_packet: memory,
            cache_bytes_per_packet: cache,
            flops_per_packet: flops,
            ..Work::default()
        };
        let bound = |work: Work, precision| {
            let Bound { bound_ns, bound_by } = work.bound(&machine, precision);
            (bound_ns, bound_by)
        };
        assert_eq!(bound(work(100.0, 200.0, Some(1000.0)), Precision::F64), (20.0, "arithmetic"));
        assert_eq!(bound(work(150.0, 200.0, Some(1000.0)), Precision::F32), (15.0, "memory"));
        assert_eq!(bound(work(10.0, 200.0, None), Precision::F64), (5.0, "cache"));
        let divided =
            Work { divisions_per_packet: 40.0, roots_per_packet: 10.0, ..work(10.0, 200.0, Some(1000.0)) };
        assert_eq!(bound(divided, Precision::F64), (30.0, "divider"));
        assert_eq!(bound(divided, Precision::F32), (20.0, "divider"));
    }
}
