//! Flows of captures, as samples.

use crate::models::Models;
use crate::scoring::whole;
use crate::workers::Workers;
use crate::{Error, Session, input};
use legonf_core::{Batch, BindError, ColumnSpec, Fault, Handle, Layout, Mac, Rows, Sink, Table};
use legonf_extract::flow::{
    BYTES, FlowTableConfig, IMAGE_BYTES, RECORD, RECORD_FIELDS, Record, SEQUENCE, SEQUENCE_CELLS,
};
use legonf_runtime::{BrickSpec, Graph, GraphSpec};
use legonf_train::{Flow, Samples};
use std::collections::BTreeSet;
use std::path::Path;

/// Cells of a flow's sequence.
pub(super) fn sequence_width() -> usize {
    SEQUENCE_CELLS * FlowTableConfig::default().packets as usize
}

/// What labels the flows of a capture.
#[derive(Clone, Copy)]
pub(super) struct Labelled<'a> {
    pub capture: &'a Path,
    pub label: usize,
    pub group: usize,
    /// Only flows whose first packet comes from it or goes to it.
    pub device: Option<Mac>,
}

/// Adds the flows of a capture that have payload; how many packets it has.
pub(super) fn add(
    session: &Session,
    labelled: Labelled<'_>,
    samples: &mut Samples,
    seen: &mut Vec<Addresses>,
) -> Result<u64, Error> {
    let mut graph = graph()?;
    let mut source = input::open(session, labelled.capture, None)?;
    let workers = Workers { layout: legonf_runtime::Layout::Fused, ..Workers::default() };
    let options = workers.options(session, None);
    let mut sink = Gather { labelled, samples, seen, of_device: BTreeSet::new(), bound: Bound::default() };
    let outcome = legonf_runtime::run(&mut graph, &mut *source, &mut sink, options, &mut |_, _| {});
    let outcome = whole(outcome, |_| "nothing was written".into())?;
    // Flows that are open at the end of the capture.
    let open = graph.end_flows().map_err(|error| Error::refused(error.to_string()))?;
    sink.write(&open)?;
    Ok(outcome.packets)
}

/// Packets to flows.
const GRAPH: &str = r#"
name = "flows"

[[brick]]
id = "batching"
kind = "packet-batching"
next = "flows"

[[brick]]
id = "flows"
kind = "flow-table"
"#;

fn graph() -> Result<Graph, Error> {
    let spec = GraphSpec::from_toml(GRAPH)?;
    let models = Models::default();
    let make = |brick: &BrickSpec| models.build(&spec, brick, None);
    Ok(Graph::assemble(&spec, &[ColumnSpec::PACKETS], &columns(), make)?)
}

fn columns() -> [ColumnSpec; 3] {
    let sequence = SEQUENCE.of_width(sequence_width());
    [BYTES.of_width(IMAGE_BYTES), sequence, RECORD.of_width(RECORD_FIELDS.len())]
}

/// Addresses and ports of a flow, as numbers for an audit.
pub(super) type Addresses = [f32; ADDRESSES];
/// Numbers of [`Addresses`]: both addresses by their bytes, both ports, the protocol.
pub(super) const ADDRESSES: usize = 13;

fn addresses(record: &Record) -> Addresses {
    let mut out = [0.0; ADDRESSES];
    for (at, (address, port)) in [record.source, record.destination].into_iter().enumerate() {
        let bytes = match address {
            std::net::IpAddr::V4(address) => address.octets(),
            std::net::IpAddr::V6(address) => {
                let all = address.octets();
                [all[0], all[1], all[14], all[15]]
            }
        };
        bytes.iter().enumerate().for_each(|(byte, value)| out[4 * at + byte] = f32::from(*value));
        out[8 + at] = f32::from(port);
    }
    out[10] = f32::from(record.protocol);
    out[11] = record.packets[0] as f32;
    out[12] = record.packets[1] as f32;
    out
}

/// Takes flows out of batches.
struct Gather<'a> {
    labelled: Labelled<'a>,
    samples: &'a mut Samples,
    seen: &'a mut Vec<Addresses>,
    /// Numbers of the packets that the device sent or got.
    of_device: BTreeSet<u64>,
    bound: Bound,
}

#[derive(Default)]
struct Bound {
    bytes: Handle<Rows<u8>>,
    sequence: Handle<Rows<f32>>,
    record: Handle<Rows<u64>>,
}

impl Gather<'_> {
    fn is_wanted(&self, first: u64) -> bool {
        self.labelled.device.is_none() || self.of_device.contains(&first)
    }
}

impl Sink for Gather<'_> {
    fn reads(&self) -> Option<Vec<ColumnSpec>> {
        Some([ColumnSpec::HEADERS].into_iter().chain(columns()).collect())
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        let [bytes, sequence, record] = columns();
        self.bound = Bound {
            bytes: layout.handle(&bytes)?,
            sequence: layout.handle(&sequence)?,
            record: layout.handle(&record)?,
        };
        Ok(())
    }

    fn write(&mut self, batch: &Batch) -> Result<(), Fault> {
        if let Some(device) = self.labelled.device {
            let ours = batch
                .headers
                .iter()
                .filter(|headers| headers.link.is_some_and(|link| [link.src, link.dst].contains(&device)));
            self.of_device.extend(ours.map(|headers| headers.seq));
        }
        for row in 0..batch.rows(Table::Flows) {
            let bytes = batch.columns.get(self.bound.bytes).row(row);
            let record = Record::of(batch.columns.get(self.bound.record).row(row));
            let is_empty = bytes.iter().all(|byte| *byte == 0);
            if is_empty || !self.is_wanted(record.id) {
                continue;
            }
            let sequence = batch.columns.get(self.bound.sequence).row(row);
            let Labelled { label, group, .. } = self.labelled;
            self.samples.push(&Flow { bytes, sequence, label, group });
            self.seen.push(addresses(&record));
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}
