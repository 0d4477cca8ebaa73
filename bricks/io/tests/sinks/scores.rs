use super::{batch, bound, layout, on_a_full_disk, parquet_of, scores, verdicts, written, written_twice};
use legonf_core::{Batch, Headers, Sink, Timestamp, Verdict};
use legonf_io::sink::{ResultColumns, ScoresCsv, ScoresParquet, SinkError};
use parquet::basic::{Compression, Encoding};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use proptest::prelude::*;
use std::fs::File;
use std::path::Path;

fn results() -> ResultColumns {
    ResultColumns::of(&layout())
}

fn csv(path: &Path) -> ScoresCsv {
    ScoresCsv::create(path, results()).unwrap()
}

fn parquet(path: &Path) -> ScoresParquet {
    ScoresParquet::create(path, results()).unwrap()
}

#[test]
fn csv_is_literal() {
    let text = String::from_utf8(written_twice("scores.csv", csv, &[batch(0), batch(4)])).unwrap();
    let expected = "seq,timestamp,score,verdict\n\
        0,1700000000.123456789,0.1,benign\n\
        1,1700000001.123456789,12.5,anomalous\n\
        2,1700000002.123456789,NaN,rejected\n\
        3,1700000003.123456789,1e-7,benign\n\
        4,1700000000.123456789,0.1,benign\n";
    assert_eq!(&text[..expected.len()], expected);
    assert_eq!(text.lines().count(), 9);
}

#[test]
fn an_empty_run_has_a_header() {
    assert_eq!(written("scores.csv", csv, &[]), b"seq,timestamp,score,verdict\n");
}

#[test]
fn faults_name_the_file() {
    assert_eq!(on_a_full_disk(csv), "cannot write /dev/full: the disk is full");
    assert_eq!(on_a_full_disk(parquet), "cannot write /dev/full: the disk is full");
}

#[test]
fn a_batch_without_verdicts_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut sink = bound(csv(&dir.path().join("scores.csv")));
    let mut bare = batch(0);
    verdicts(&mut bare).clear();
    let fault = sink.write(&bare).unwrap_err();
    assert!(
        matches!(fault.get_ref().downcast_ref(), Some(SinkError::Mismatch { what, .. }) if what == "verdicts")
    );
}

#[test]
fn parquet_reads_back() {
    let bytes = written_twice("scores.parquet", parquet, &[batch(0), batch(u64::MAX - 3)]);
    let reader = parquet_of(&bytes);
    let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 8);
    assert_eq!(rows[1].get_ulong(0).unwrap(), 1);
    assert_eq!(rows[7].get_ulong(0).unwrap(), u64::MAX);
    assert_eq!(rows[1].get_double(2).unwrap(), 12.5);
    assert!(rows[2].get_double(2).unwrap().is_nan());
    let verdicts: Vec<_> = rows[..4].iter().map(|r| r.get_string(3).unwrap().as_str()).collect();
    assert_eq!(verdicts, ["benign", "anomalous", "rejected", "benign"]);
    // Nanoseconds are read from the physical column: the row API shows no more than milliseconds.
    assert_eq!(first_timestamp(&reader), 1_700_000_000_123_456_789);
}

fn first_timestamp(reader: &SerializedFileReader<File>) -> i64 {
    let group = reader.get_row_group(0).unwrap();
    let parquet::column::reader::ColumnReader::Int64ColumnReader(mut column) =
        group.get_column_reader(1).unwrap()
    else {
        panic!("timestamps are 64-bit integers")
    };
    let mut values = Vec::new();
    column.read_records(1, None, None, &mut values).unwrap();
    values[0]
}

#[test]
fn parquet_describes_its_columns() {
    let bytes = written("scores.parquet", parquet, &[batch(0)]);
    let reader = parquet_of(&bytes);
    let schema = reader.metadata().file_metadata().schema();
    let mut text = Vec::new();
    parquet::schema::printer::print_schema(&mut text, schema);
    assert_eq!(
        String::from_utf8(text).unwrap(),
        "message legonf {\n  REQUIRED INT64 seq (INTEGER(64,false));\n  REQUIRED INT64 timestamp \
         (TIMESTAMP(NANOS,true));\n  REQUIRED DOUBLE score;\n  REQUIRED BYTE_ARRAY verdict (STRING);\n}\n"
    );
    let verdict = reader.metadata().row_group(0).column(3).clone();
    assert!(matches!(verdict.compression(), Compression::ZSTD(_)));
    assert!(verdict.encodings().any(|e| e == Encoding::RLE_DICTIONARY));
}

#[test]
fn parquet_has_several_row_groups() {
    let mut full = Batch::new(&layout());
    for seq in 0..256 {
        full.headers.push(Headers { seq, ..Headers::default() });
        scores(&mut full).push(seq as f64);
        verdicts(&mut full).push(Verdict::BENIGN);
    }
    let bytes = written("scores.parquet", parquet, &vec![full; 300]);
    let reader = parquet_of(&bytes);
    let rows: Vec<_> = reader.metadata().row_groups().iter().map(|g| g.num_rows()).collect();
    assert_eq!(rows, [65_536, 300 * 256 - 65_536]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_score_reads_back(bits: Vec<u64>, nanos: i64) {
        let mut batch = Batch::new(&layout());
        for (seq, bits) in (0..).zip(&bits) {
            let timestamp = Timestamp::from_nanos(nanos);
            batch.headers.push(Headers { seq, timestamp, ..Headers::default() });
            scores(&mut batch).push(f64::from_bits(*bits));
            verdicts(&mut batch).push(Verdict::BENIGN);
        }
        let text = String::from_utf8(written("scores.csv", csv, &[batch])).unwrap();
        for (line, bits) in text.lines().skip(1).zip(&bits) {
            let (read, value): (f64, _) = (line.split(',').nth(2).unwrap().parse().unwrap(), f64::from_bits(*bits));
            prop_assert!(read.to_bits() == *bits || (read.is_nan() && value.is_nan()));
        }
        prop_assert_eq!(text.lines().count(), bits.len() + 1);
    }
}
