//! Flow records: a line for each flow of a capture.

use crate::assembly::{AS_MADE, assemble};
use crate::captures::{Captures, Series};
use crate::models::Models;
use crate::scoring::whole;
use crate::summary::{ClockReport, flatten};
use crate::supply::Maker;
use crate::{Error, Extent, Session, Workers};
use legonf_core::{Batch, BindError, ColumnSpec, Fault, Handle, Layout, Rows, Sink};
use legonf_extract::flow::{FlowColumn, FlowTable, FlowTableConfig, RECORD, RECORD_FIELDS, Ready, Record};
use legonf_io::Content;
use legonf_io::sink::{Field, Kind, Records, SinkError, Value};
use legonf_runtime::{GraphSpec, Outcome, RunFault};
use legonf_wire::PacketBatching;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Bytes of the longest address as text.
const ADDRESS: usize = 39;

/// The columns of flow records, by the names of IPFIX (RFC 7012, RFC 5103). The source sent the flow's first packet. IPFIX has the
/// addresses of each version apart; here they are in one column.
pub const FLOW_FIELDS: [Field; 19] = {
    const fn number(name: &'static str) -> Field {
        Field { name, kind: Kind::Number }
    }
    [
        number("flowId"),
        Field { name: "flowStartNanoseconds", kind: Kind::Time },
        Field { name: "flowEndNanoseconds", kind: Kind::Time },
        number("ipVersion"),
        Field { name: "sourceIPAddress", kind: Kind::Word(ADDRESS) },
        Field { name: "destinationIPAddress", kind: Kind::Word(ADDRESS) },
        number("sourceTransportPort"),
        number("destinationTransportPort"),
        number("protocolIdentifier"),
        number("vlanId"),
        number("packetTotalCount"),
        number("octetTotalCount"),
        number("reversePacketTotalCount"),
        number("reverseOctetTotalCount"),
        number("payloadOctetTotalCount"),
        number("reversePayloadOctetTotalCount"),
        number("tcpControlBits"),
        number("reverseTcpControlBits"),
        number("flowEndReason"),
    ]
};

/// A record for every flow of a capture.
#[derive(Clone, Debug)]
pub struct FlowRecords {
    /// Captures.
    pub captures: Captures,
    /// Where the records go, if anywhere; the ending (.csv, .parquet, .npy or .log) names the format.
    pub output: Option<PathBuf>,
    /// The flow table; rows leave when flows end, whatever it says.
    pub table: FlowTableConfig,
    /// Read only the first packets.
    pub limit: Option<u64>,
    /// How bricks are laid out over threads.
    pub workers: Workers,
}

/// Records that were written.
#[derive(Clone, Debug, Serialize)]
pub struct FlowsWritten {
    /// Their file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// Records: flows.
    pub flows: u64,
    /// Packets that were read.
    pub packets: u64,
    /// Packets of all records.
    pub packets_in_flows: u64,
    /// Packets that belong to no flow, by reason.
    pub packets_in_none: BTreeMap<String, u64>,
    /// Packets that the filter left out, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filtered_out: Option<u64>,
    /// Counters of the bricks that are not zero.
    pub counters: BTreeMap<String, u64>,
    /// What was wrong with the capture's clock; none where it was in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock: Option<ClockReport>,
}

/// Counters of packets without a flow, with the words for why.
const IN_NONE: [(&str, &str); 2] =
    [("packets-without-flow", "no-ip"), ("packets-behind-end-of-flow", "behind-end")];

impl FlowRecords {
    /// Writes the records, in the order in which flows end; those that are open at the end of the capture come last. Where the capture
    /// ends in a fault, what came before is complete.
    ///
    /// # Errors
    /// If the capture cannot be read, the records cannot be written, or the session is stopped.
    pub fn run(&self, session: &Session) -> Result<FlowsWritten, Error> {
        let spec = self.graph();
        let models = Models::default();
        let mut graph = assemble(&spec, Content::Packets, (&models, None), None, AS_MADE)?;
        self.workers.check(&mut graph)?;
        let series = self.captures.find(session, None)?;
        let mut source = series.open(session, self.limit)?;
        let records = self.output.as_deref().map(|file| Records::create(file, &FLOW_FIELDS)).transpose()?;
        let mut sink = FlowSink { records, flows: 0, packets: 0, record: Handle::default() };
        let bar = session.begin("flows", Extent::Bytes);
        let maker = Maker { spec: &spec, models: &models, threshold: None, swaps: None };
        let options = self.workers.options(session, Some(&maker));
        let mut observe = |progress, packets| bar.update(progress, packets);
        let outcome = legonf_runtime::run(&mut graph, &mut *source, &mut sink, options, &mut observe);
        drop(bar);
        if !matches!(outcome.fault, Some(RunFault::Sink(_))) {
            let open = graph.end_flows().map_err(|error| Error::refused(error.to_string()))?;
            sink.put(&open)?;
            sink.records.iter_mut().try_for_each(Records::finish)?;
        }
        let outcome = whole(outcome, |packets| match &self.output {
            Some(file) => format!("{} holds the flows of the {packets} before it", file.display()),
            None => format!("there were {packets} before it"),
        })?;
        Ok(self.written(&sink, &series, &outcome))
    }

    /// Packet batching and a flow table.
    fn graph(&self) -> GraphSpec {
        let table =
            FlowTableConfig { ready: Ready::End, columns: vec![FlowColumn::Record], ..self.table.clone() };
        let config = toml::to_string(&table).expect("numbers and words are TOML");
        let text = format!(
            "name = \"flows\"\n[[brick]]\nid = \"batching\"\nkind = \"{}\"\nnext = \"flows\"\n\
             [[brick]]\nid = \"flows\"\nkind = \"{}\"\n[brick.config]\n{config}",
            PacketBatching::KIND,
            FlowTable::KIND
        );
        GraphSpec::from_toml(&text).expect("two bricks in order are a graph")
    }

    fn written(&self, sink: &FlowSink, series: &Series, outcome: &Outcome) -> FlowsWritten {
        let counters = flatten(&outcome.counters);
        let of = |(counter, why): (&str, &str)| Some((why.to_owned(), *counters.get(counter)?));
        FlowsWritten {
            output: self.output.as_ref().map(|file| file.display().to_string()),
            flows: sink.flows,
            packets: outcome.packets,
            packets_in_flows: sink.packets,
            packets_in_none: IN_NONE.into_iter().filter_map(of).collect(),
            filtered_out: series.left_out(),
            clock: ClockReport::of(&outcome.clock, FlowTable::KIND),
            counters,
        }
    }
}

/// Writes the rows of a batch's flows.
struct FlowSink {
    records: Option<Records>,
    flows: u64,
    packets: u64,
    record: Handle<Rows<u64>>,
}

impl FlowSink {
    fn put(&mut self, batch: &Batch) -> Result<(), SinkError> {
        for row in batch.columns.get(self.record).iter() {
            let record = Record::of(row);
            self.flows += 1;
            self.packets += record.packets.iter().sum::<u64>();
            if let Some(records) = &mut self.records {
                records.put(&values(&record))?;
            }
        }
        Ok(())
    }
}

/// The values of a record, in the order of [`FLOW_FIELDS`].
fn values(record: &Record) -> Vec<Value> {
    let Record { source, destination, packets, octets, payload, flags, .. } = record;
    let number = |number: u64| Value::Number(number);
    vec![
        number(record.id),
        Value::Time(record.start),
        Value::Time(record.end),
        number(if source.0.is_ipv6() { 6 } else { 4 }),
        Value::Word(source.0.to_string()),
        Value::Word(destination.0.to_string()),
        number(source.1.into()),
        number(destination.1.into()),
        number(record.protocol.into()),
        number(record.vlan.unwrap_or(0).into()),
        number(packets[0]),
        number(octets[0]),
        number(packets[1]),
        number(octets[1]),
        number(payload[0]),
        number(payload[1]),
        number(flags[0].into()),
        number(flags[1].into()),
        number(record.reason.into()),
    ]
}

impl Sink for FlowSink {
    fn write(&mut self, batch: &Batch) -> Result<(), Fault> {
        Ok(self.put(batch)?)
    }

    fn reads(&self) -> Option<Vec<ColumnSpec>> {
        Some(vec![RECORD.of_width(RECORD_FIELDS.len())])
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.record = layout.handle(&RECORD.of_width(RECORD_FIELDS.len()))?;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}
