use super::{bound, features, layout, on_a_full_disk, parquet_of, written, written_twice};
use legonf_core::{Batch, Feature, Headers, Rows, Schema, Sink, Unit};
use legonf_io::sink::{Matrix, SinkError};
use ndarray::Array2;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use std::path::Path;

fn schema(names: &[&str]) -> Schema {
    let feature = |name: &&str| Feature {
        name: (*name).into(),
        group: "MI".into(),
        statistic: "mean".into(),
        unit: Unit::Bytes,
        decay: Some(0.1),
    };
    Schema { name: "test".into(), features: names.iter().map(feature).collect() }
}

fn create(path: &Path) -> Matrix {
    Matrix::create(path, &schema(&["a", "HH_L0.1_pcc", "c,d"])).unwrap()
}

const CELLS: [f64; 6] = [0.1, -0.0, f64::MAX, f64::MIN_POSITIVE, f64::INFINITY, 3.0];

/// A batch of two rows of three.
fn batch() -> Batch {
    let mut batch = Batch { headers: vec![Headers::default(); 2], ..Batch::new(&layout()) };
    features(&mut batch).reset(2, 3);
    features(&mut batch).as_mut_slice().copy_from_slice(&CELLS);
    batch
}

#[test]
fn npy_reads_back() {
    let bytes = written_twice("f.npy", create, &[batch(), Batch::new(&layout()), batch()]);
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00");
    assert_eq!(bytes.len(), 128 + 4 * 3 * 8);
    let read: Array2<f64> = ndarray_npy::ReadNpyExt::read_npy(&bytes[..]).unwrap();
    assert_eq!(read.shape(), [4, 3]);
    let expected: Vec<f64> = CELLS.into_iter().chain(CELLS).collect();
    assert!(read.iter().zip(&expected).all(|(a, b)| a.to_bits() == b.to_bits()));
}

#[test]
fn csv_is_literal() {
    let text = String::from_utf8(written_twice("f.csv", create, &[batch()])).unwrap();
    assert_eq!(
        text,
        "a,HH_L0.1_pcc,\"c,d\"\n0.1,-0.0,1.7976931348623157e+308\n2.2250738585072014e-308,inf,3.0\n"
    );
}

#[test]
fn parquet_reads_back() {
    let bytes = written_twice("f.parquet", create, &[batch(), batch()]);
    let reader = parquet_of(&bytes);
    let names: Vec<_> = reader
        .metadata()
        .file_metadata()
        .schema_descr()
        .columns()
        .iter()
        .map(|c| c.name().to_owned())
        .collect();
    assert_eq!(names, ["a", "HH_L0.1_pcc", "c,d"]);
    let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
    let cells: Vec<u64> =
        rows.iter().flat_map(|r| (0..3).map(|c| r.get_double(c).unwrap().to_bits())).collect();
    let expected: Vec<u64> = CELLS.into_iter().chain(CELLS).map(f64::to_bits).collect();
    assert_eq!(cells, expected);
}

#[test]
fn parquet_has_bounded_row_groups() {
    const WIDTH: usize = 1024;
    let names: Vec<String> = (0..WIDTH).map(|i| format!("f{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut rows = Rows::default();
    rows.reset(1024, WIDTH);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f.parquet");
    let mut matrix = Matrix::create(&path, &schema(&names)).unwrap();
    for _ in 0..5 {
        matrix.write_rows(&rows).unwrap();
    }
    assert_eq!(matrix.rows(), 5 * 1024);
    matrix.finish().unwrap();
    let reader = SerializedFileReader::new(std::fs::File::open(path).unwrap()).unwrap();
    let rows: Vec<_> = reader.metadata().row_groups().iter().map(|g| g.num_rows()).collect();
    assert_eq!(rows, [4 * 1024, 1024], "32 MiB of cells are a row group");
}

#[test]
fn an_empty_matrix_is_whole() {
    for name in ["f.npy", "f.csv", "f.parquet"] {
        assert!(!written(name, create, &[]).is_empty());
    }
    let empty: Array2<f64> = ndarray_npy::ReadNpyExt::read_npy(&written("f.npy", create, &[])[..]).unwrap();
    assert_eq!(empty.shape(), [0, 3]);
}

#[test]
fn misuse_is_told() {
    let error = |name: &str| Matrix::create(Path::new(name), &schema(&["a"])).unwrap_err().to_string();
    for name in ["f.txt", "f", "-", "f.NPY.gz"] {
        assert!(error(name).ends_with("its extension must be .npy, .csv or .parquet"), "{name}");
    }
    let dir = tempfile::tempdir().unwrap();
    let mut matrix = bound(create(&dir.path().join("f.csv")));
    let mut narrow = Rows::default();
    narrow.reset(1, 2);
    let expected = "expected 3 features and got 2; the graph and the sink do not fit together";
    assert!(matrix.write_rows(&narrow).unwrap_err().to_string().ends_with(expected));
    let mut bare = batch();
    features(&mut bare).reset(0, 0);
    let fault = matrix.write(&bare).unwrap_err();
    assert!(matches!(
        fault.get_ref().downcast_ref(),
        Some(SinkError::Mismatch { expected: 2, found: 0, .. })
    ));
}

#[test]
fn a_full_disk_is_named() {
    let dir = tempfile::tempdir().unwrap();
    for (name, expected) in [
        ("f.csv", "the disk is full"),
        ("f.parquet", "the disk is full"),
        (
            "f.npy",
            "the row count goes into the header of a .npy file at the end, so it must be a regular file; use .csv",
        ),
    ] {
        let link = dir.path().join(name);
        std::os::unix::fs::symlink("/dev/full", &link).unwrap();
        let message = match Matrix::create(&link, &schema(&["a", "b", "c"])) {
            Ok(matrix) => {
                let mut matrix = bound(matrix);
                matrix.write(&batch()).and_then(|()| matrix.finish()).unwrap_err().to_string()
            }
            Err(error) => error.to_string(),
        };
        assert_eq!(message, format!("cannot write {}: {expected}", link.display()));
    }
    assert!(on_a_full_disk(|_| create(&dir.path().join("f.csv"))).contains("feature vectors"));
}
