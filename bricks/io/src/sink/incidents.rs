//! Incidents as a file: JSON, CSV, Parquet, or a log of Zeek, by its extension.

use super::parquet_file::{ParquetFile, properties, write_column};
use super::zeek::{self, Cell};
use super::{OutputFile, SinkError, text};
use legonf_core::{Counted, Incident, Origin};
use parquet::basic::{LogicalType, TimeUnit, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use std::path::Path;

/// Format of a file of incidents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Json,
    Csv,
    Parquet,
    /// Zeek's `notice.log`.
    Notices,
}

/// A file of incidents. JSON is a list of objects with all that is known of each. CSV and Parquet have a row for each, with these
/// columns: `source`, `sources`, `activity`, `severity`, `since`, `until` (in Parquet nanoseconds since the epoch), `seconds`,
/// `packets`, `bytes`, `hosts`, `ports`, `top_hosts`, `top_ports`, `mean_score`, `peak_score`, `threshold`, `peak_seq`,
/// `features` (their words), `text` (all in a sentence). A log has the columns of Zeek's `notice.log`, and some of ours behind them.
#[derive(Debug)]
pub struct IncidentFile {
    out: Out,
}

#[derive(Debug)]
enum Out {
    Text(OutputFile, Format),
    Parquet(Box<ParquetFile>),
}

/// A cell of a table.
enum Field {
    Text(String),
    Whole(u64),
    Real(f64),
    /// A time, as text and in nanoseconds.
    Time(String, i64),
}

impl IncidentFile {
    /// Whether a file of this name has a known format.
    pub fn knows(path: &Path) -> bool {
        format(path).is_some()
    }

    /// Creates the file.
    ///
    /// # Errors
    /// When its extension is none of `.json`, `.csv`, `.parquet` and `.log`, or the file cannot be created.
    pub fn create(path: &Path) -> Result<Self, SinkError> {
        let unknown = || SinkError::UnknownTable { path: path.display().to_string() };
        let out = match format(path).ok_or_else(unknown)? {
            Format::Parquet => Out::Parquet(Box::new(ParquetFile::create(path, &columns(), properties())?)),
            format => Out::Text(OutputFile::create(path)?, format),
        };
        Ok(Self { out })
    }

    /// Writes the incidents, and completes the file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&mut self, incidents: &[Incident]) -> Result<(), SinkError> {
        match &mut self.out {
            Out::Text(out, format) => {
                let bytes = match format {
                    Format::Csv => csv(incidents),
                    Format::Notices => notices(incidents),
                    Format::Json | Format::Parquet => json(incidents),
                };
                out.put(&bytes)?;
                out.finish()
            }
            Out::Parquet(file) => parquet(file, incidents),
        }
    }
}

fn format(path: &Path) -> Option<Format> {
    match path.extension()?.to_str()? {
        "json" => Some(Format::Json),
        "csv" => Some(Format::Csv),
        "parquet" => Some(Format::Parquet),
        "log" => Some(Format::Notices),
        _ => None,
    }
}

fn json(incidents: &[Incident]) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(incidents).expect("plain records into memory cannot fail");
    bytes.push(b'\n');
    bytes
}

/// The cells of an incident, by column.
fn row(incident: &Incident) -> Vec<(&'static str, Field)> {
    let words: Vec<_> = incident.features.iter().map(|feature| feature.words.clone()).collect();
    let time = |time: legonf_core::Timestamp| Field::Time(time.iso8601(), time.as_nanos());
    vec![
        ("source", Field::Text(incident.source.to_string())),
        ("sources", Field::Whole(incident.sources)),
        ("activity", Field::Text(incident.activity.label().into())),
        ("severity", Field::Text(incident.severity.label().into())),
        ("since", time(incident.since)),
        ("until", time(incident.until)),
        ("seconds", Field::Real(incident.seconds)),
        ("packets", Field::Whole(incident.packets)),
        ("bytes", Field::Whole(incident.bytes)),
        ("hosts", Field::Whole(incident.hosts)),
        ("ports", Field::Whole(incident.ports)),
        ("top_hosts", Field::Text(list(&incident.top_hosts))),
        ("top_ports", Field::Text(list(&incident.top_ports))),
        ("mean_score", Field::Real(incident.mean_score)),
        ("peak_score", Field::Real(incident.peak_score)),
        ("threshold", Field::Real(incident.threshold)),
        ("peak_seq", Field::Whole(incident.peak_seq)),
        ("features", Field::Text(words.join("; "))),
        ("text", Field::Text(incident.to_string())),
    ]
}

fn list<T: ToString>(counted: &[Counted<T>]) -> String {
    counted.iter().map(|one| one.value.to_string()).collect::<Vec<_>>().join(" ")
}

fn headings() -> Vec<(&'static str, Field)> {
    row(&Incident::default())
}

fn csv(incidents: &[Incident]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let names: Vec<_> = headings().into_iter().map(|(name, _)| name).collect();
    text::push(&mut bytes, format_args!("{}\n", names.join(",")));
    for incident in incidents {
        for (place, (_, cell)) in row(incident).into_iter().enumerate() {
            if place > 0 {
                bytes.push(b',');
            }
            match cell {
                Field::Text(text) | Field::Time(text, _) => text::push_field(&mut bytes, &text),
                Field::Whole(number) => text::push_integer(&mut bytes, number),
                Field::Real(number) => text::push_f64(&mut bytes, number),
            }
        }
        bytes.push(b'\n');
    }
    bytes
}

/// The columns of a `notice.log`; Zeek has none of the last four.
const NOTICE: [zeek::Column; 12] = [
    ("ts", "time"),
    ("note", "enum"),
    ("msg", "string"),
    ("sub", "string"),
    ("src", "addr"),
    ("dst", "addr"),
    ("p", "port"),
    ("n", "count"),
    ("duration", "interval"),
    ("severity", "string"),
    ("peak_score", "double"),
    ("threshold", "double"),
];

fn notices(incidents: &[Incident]) -> Vec<u8> {
    let mut bytes = zeek::header("notice", &NOTICE);
    for incident in incidents {
        let words: Vec<_> = incident.features.iter().map(|feature| feature.words.as_str()).collect();
        let (note, words, message) = (note(incident), words.join("; "), incident.to_string());
        // A notice has one destination, an incident may have many.
        let only = incident.top_hosts.first().filter(|_| incident.hosts == 1);
        let destination = only.and_then(|host| host.value.parse().ok());
        let port = incident.top_ports.first().filter(|_| incident.ports == 1);
        let source = if let Origin::Ip(address) = incident.source { Some(address) } else { None };
        let cells = [
            Cell::Time(incident.since),
            Cell::Text(&note),
            Cell::Text(&message),
            Cell::Text(&words),
            source.map_or(Cell::Unset, Cell::Address),
            destination.map_or(Cell::Unset, Cell::Address),
            port.map_or(Cell::Unset, |port| Cell::Count(port.value.into())),
            Cell::Count(incident.packets),
            Cell::Interval(incident.until.as_nanos() - incident.since.as_nanos()),
            Cell::Text(incident.severity.label()),
            Cell::Real(incident.peak_score),
            Cell::Real(incident.threshold),
        ];
        zeek::line(cells, &mut bytes);
    }
    bytes
}

/// The type of a notice: `LEGONF::Host_Scan`.
fn note(incident: &Incident) -> String {
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    let words: Vec<_> = incident.activity.label().split('-').map(capital).collect();
    format!("LEGONF::{}", words.join("_"))
}

fn columns() -> Vec<(&'static str, Physical, Option<LogicalType>)> {
    let kind = |cell: &Field| match cell {
        Field::Text(_) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        Field::Whole(_) => (Physical::INT64, Some(LogicalType::integer(64, false))),
        Field::Real(_) => (Physical::DOUBLE, None),
        Field::Time(..) => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::NANOS))),
    };
    let column = |(name, cell): (&'static str, Field)| {
        let (physical, logical) = kind(&cell);
        (name, physical, logical)
    };
    headings().into_iter().map(column).collect()
}

fn parquet(file: &mut ParquetFile, incidents: &[Incident]) -> Result<(), SinkError> {
    let rows: Vec<_> = incidents.iter().map(row).collect();
    let column = |place: usize| rows.iter().map(move |row| &row[place].1);
    file.row_group(|group| {
        for (place, (_, kind)) in headings().iter().enumerate() {
            match kind {
                Field::Text(_) => {
                    let text = |cell: &Field| match cell {
                        Field::Text(text) => ByteArray::from(text.as_str()),
                        _ => ByteArray::from(""),
                    };
                    write_column::<ByteArrayType>(group, &column(place).map(text).collect::<Vec<_>>())?;
                }
                Field::Real(_) => {
                    let real = |cell: &Field| if let Field::Real(number) = cell { *number } else { f64::NAN };
                    write_column::<DoubleType>(group, &column(place).map(real).collect::<Vec<_>>())?;
                }
                Field::Whole(_) | Field::Time(..) => {
                    // The bits of a u64 are stored in a signed column, which the logical type says.
                    let whole = |cell: &Field| match cell {
                        Field::Whole(number) => number.cast_signed(),
                        Field::Time(_, nanos) => *nanos,
                        _ => 0,
                    };
                    write_column::<Int64Type>(group, &column(place).map(whole).collect::<Vec<_>>())?;
                }
            }
        }
        Ok(())
    })?;
    file.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use legonf_core::{Activity, Origin, Timestamp};
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::RowAccessor;
    use std::fs;

    fn incidents() -> Vec<Incident> {
        let one = Incident {
            source: Origin::Ip("10.0.0.1".parse().unwrap()),
            sources: 1,
            activity: Activity::HostScan,
            since: Timestamp::new(1_700_000_000, 5_000),
            until: Timestamp::new(1_700_000_009, 0),
            seconds: 8.999995,
            packets: 40,
            hosts: 40,
            ports: 2,
            top_ports: vec![Counted { value: 23, packets: 39 }, Counted { value: 2323, packets: 1 }],
            peak_score: 12.5,
            ..Incident::default()
        };
        vec![one, Incident { sources: 900, ..Incident::default() }]
    }

    fn written(name: &str, incidents: &[Incident]) -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        IncidentFile::create(&path).unwrap().write(incidents).unwrap();
        fs::read(path).unwrap()
    }

    #[test]
    fn every_format_says_the_same() {
        let csv = String::from_utf8(written("i.csv", &incidents())).unwrap();
        let lines: Vec<_> = csv.lines().collect();
        assert!(lines[0].starts_with("source,sources,activity,severity,since,until,seconds,packets"));
        let begin = "10.0.0.1,1,host-scan,low,2023-11-14T22:13:20.000005+0000,2023-11-14T22:13:29.000000+0000,8.999995,40,0,40,2,,23 2323,";
        assert!(lines.len() == 3 && lines[1].starts_with(begin), "{csv}");
        let json: serde_json::Value = serde_json::from_slice(&written("i.json", &incidents())).unwrap();
        assert_eq!((&json[0]["src_ip"], &json[0]["top_ports"][0]["value"]), (&"10.0.0.1".into(), &23.into()));
        assert!(json[1].get("src_ip").is_none() && json[1]["sources"] == 900);
        let parquet = SerializedFileReader::new(bytes::of(written("i.parquet", &incidents()))).unwrap();
        let rows: Vec<_> = parquet.get_row_iter(None).unwrap().map(Result::unwrap).collect();
        assert_eq!((rows.len(), rows[0].get_ulong(7).unwrap()), (2, 40));
        assert_eq!(rows[0].get_string(2).unwrap(), "host-scan");
        assert_eq!(written("none.json", &[]), b"[]\n");
        let log = String::from_utf8(written("notice.log", &incidents())).unwrap();
        let notices: Vec<_> = log.lines().filter(|line| !line.starts_with('#')).collect();
        let first: Vec<_> = notices[0].split('\t').collect();
        assert_eq!(first[..2], ["1700000000.000005000", "LEGONF::Host_Scan"]);
        assert_eq!(first[3..10], ["(empty)", "10.0.0.1", "-", "-", "40", "8.999995000", "low"]);
        assert_eq!((notices.len(), notices[1].split('\t').nth(4)), (2, Some("-")));
    }

    #[test]
    fn another_extension_is_refused() {
        let error = IncidentFile::create(Path::new("x/incidents.txt")).unwrap_err().to_string();
        assert_eq!(
            error,
            "cannot write x/incidents.txt: its extension must be .json, .csv, .parquet or .log"
        );
    }

    /// A file in memory, as the reader wants it.
    mod bytes {
        use std::fs::File;
        use std::io::{Seek, Write};

        pub fn of(content: Vec<u8>) -> File {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&content).unwrap();
            file.rewind().unwrap();
            file
        }
    }
}
