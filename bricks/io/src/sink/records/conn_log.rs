//! Flow records as Zeek's `conn.log`.

use super::{Field, Format, Value};
use crate::sink::zeek::{self, Cell, Column};
use crate::sink::{OutputFile, SinkError};
use legonf_core::Timestamp;
use std::path::Path;

/// A column, and the record's fields of which it is made: one, or the begin and the end of a time.
struct Source {
    column: Column,
    fields: &'static [&'static str],
}

const fn of(name: &'static str, kind: &'static str, fields: &'static [&'static str]) -> Source {
    Source { column: (name, kind), fields }
}

/// Zeek's names for what IPFIX names otherwise. Zeek has no columns of the last three.
const SOURCES: [Source; 18] = [
    of("ts", "time", &["flowStartNanoseconds"]),
    of("uid", "string", &["flowId"]),
    of("id.orig_h", "addr", &["sourceIPAddress"]),
    of("id.orig_p", "port", &["sourceTransportPort"]),
    of("id.resp_h", "addr", &["destinationIPAddress"]),
    of("id.resp_p", "port", &["destinationTransportPort"]),
    of("proto", "enum", &["protocolIdentifier"]),
    of("duration", "interval", &["flowStartNanoseconds", "flowEndNanoseconds"]),
    of("orig_bytes", "count", &["payloadOctetTotalCount"]),
    of("resp_bytes", "count", &["reversePayloadOctetTotalCount"]),
    of("orig_pkts", "count", &["packetTotalCount"]),
    of("orig_ip_bytes", "count", &["octetTotalCount"]),
    of("resp_pkts", "count", &["reversePacketTotalCount"]),
    of("resp_ip_bytes", "count", &["reverseOctetTotalCount"]),
    of("vlan", "int", &["vlanId"]),
    of("orig_tcp_flags", "count", &["tcpControlBits"]),
    of("resp_tcp_flags", "count", &["reverseTcpControlBits"]),
    of("end_reason", "count", &["flowEndReason"]),
];

pub(super) struct ConnLog {
    out: OutputFile,
    /// For each column the places of its fields in a record.
    places: Vec<Vec<usize>>,
    line: Vec<u8>,
}

impl ConnLog {
    /// Whether records with these fields are flows.
    pub fn fits(fields: &[Field]) -> bool {
        places(fields).is_some()
    }

    pub fn create(path: &Path, fields: &[Field]) -> Result<Self, SinkError> {
        let mut out = OutputFile::create(path)?;
        out.put(&zeek::header("conn", &SOURCES.map(|source| source.column)))?;
        Ok(Self { out, places: places(fields).unwrap_or_default(), line: Vec::new() })
    }
}

fn places(fields: &[Field]) -> Option<Vec<Vec<usize>>> {
    let place = |name: &&str| fields.iter().position(|field| field.name == *name);
    SOURCES.iter().map(|source| source.fields.iter().map(place).collect()).collect()
}

/// The name of a protocol in Zeek; others have their number.
fn protocol(number: u64) -> Option<&'static str> {
    Some(match number {
        1 | 58 => "icmp",
        6 => "tcp",
        17 => "udp",
        132 => "sctp",
        _ => return None,
    })
}

fn cell<'a>(column: Column, record: &'a [Value], places: &[usize]) -> Cell<'a> {
    let mut values = places.iter().map(|place| &record[*place]);
    match (column, values.next(), values.next()) {
        (_, Some(Value::Time(begin)), Some(Value::Time(end))) => Cell::Interval(end - begin),
        (_, Some(Value::Time(time)), None) => Cell::Time(Timestamp::from_nanos(*time)),
        (("vlan", _), Some(Value::Number(0)), _) => Cell::Unset,
        ((_, "enum"), Some(Value::Number(number)), _) => {
            protocol(*number).map_or(Cell::Count(*number), Cell::Text)
        }
        (_, Some(Value::Number(number)), _) => Cell::Count(*number),
        (_, Some(Value::Word(word)), _) => Cell::Text(word),
        _ => Cell::Unset,
    }
}

impl Format for ConnLog {
    fn put(&mut self, record: &[Value]) -> Result<(), SinkError> {
        self.line.clear();
        let cells = SOURCES.iter().zip(&self.places);
        zeek::line(cells.map(|(source, places)| cell(source.column, record, places)), &mut self.line);
        self.out.put(&self.line)
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.out.finish()
    }
}
