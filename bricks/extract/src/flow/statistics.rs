//! Statistics of a flow's first payload bytes: a pure function of the bytes.

use std::array::from_fn;

/// Payload bytes of a flow that are looked at: an image of 28 × 28.
pub const IMAGE_BYTES: usize = 784;

/// Bins of the histogram of bytes, by their upper four bits.
const BINS: usize = 16;
/// TLS records that are followed.
pub const RECORDS: usize = 6;
/// Values of a TLS record: content type, length, handshake type.
const OF_RECORD: usize = 3;
/// Statistics before the histogram: length, entropy, shares of zero and of printable bytes, distinct bytes.
const SCALARS: usize = 5;
/// Statistics before those of TLS records.
pub const BEFORE_RECORDS: usize = SCALARS + BINS;
/// Statistics of a flow.
pub const STATISTICS: usize = BEFORE_RECORDS + 2 + RECORDS * OF_RECORD;

/// Bytes of the header of a TLS record.
const RECORD_HEADER: usize = 5;
/// The content type of TLS handshakes.
const HANDSHAKE: u8 = 22;

/// The statistics' names, in their order.
pub fn statistic_names() -> [String; STATISTICS] {
    let scalars = ["payload_length", "entropy", "zero_share", "printable_share", "distinct_bytes"];
    let of_record = ["type", "length", "handshake"];
    from_fn(|at| match at {
        _ if at < SCALARS => scalars[at].into(),
        _ if at < BEFORE_RECORDS => format!("histogram_{:x}0", at - SCALARS),
        BEFORE_RECORDS => "tls_records".into(),
        _ if at == BEFORE_RECORDS + 1 => "tls_version".into(),
        _ => {
            let at = at - BEFORE_RECORDS - 2;
            format!("tls_record_{}_{}", at / OF_RECORD, of_record[at % OF_RECORD])
        }
    })
}

/// Computes the statistics of a flow's first payload bytes; zeros at their end are taken for padding, and bytes behind
/// [`IMAGE_BYTES`] are not looked at.
///
/// Length, distinct bytes and lengths of records are counts, entropy is in bits a byte (0 to 8), shares and bins of the histogram are
/// 0 to 1. The content type of a TLS record is 1 to 4 for change cipher spec, alert, handshake and application data, and 0 where there
/// is no record. The version is 1 to 5 for SSL 3.0 to TLS 1.3.
pub fn statistics(bytes: &[u8], out: &mut [f32; STATISTICS]) {
    let bytes = &bytes[..bytes.len().min(IMAGE_BYTES)];
    let length = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let bytes = &bytes[..length];
    out.fill(0.0);
    scalars(bytes, out);
    records(bytes, &mut out[BEFORE_RECORDS..]);
}

fn scalars(bytes: &[u8], out: &mut [f32; STATISTICS]) {
    if bytes.is_empty() {
        return;
    }
    let mut counts = [0u16; 256];
    bytes.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    let share = |counts: &[u16]| (f64::from(counts.iter().sum::<u16>()) / bytes.len() as f64) as f32;
    out[0] = bytes.len() as f32;
    out[1] = entropy(&counts, bytes.len());
    out[2] = share(&counts[..1]);
    out[3] = share(&counts[0x20..0x7f]);
    out[4] = counts.iter().filter(|count| **count > 0).count() as f32;
    for (bin, counts) in out[SCALARS..BEFORE_RECORDS].iter_mut().zip(counts.chunks_exact(256 / BINS)) {
        *bin = share(counts);
    }
}

fn entropy(counts: &[u16; 256], all: usize) -> f32 {
    let all = all as f64;
    let parts = counts.iter().filter(|count| **count > 0).map(|count| f64::from(*count) / all);
    parts.map(|share| -share * share.log2()).sum::<f64>() as f32
}

/// Follows the TLS records from the first byte on.
fn records(bytes: &[u8], out: &mut [f32]) {
    let (head, values) = out.split_at_mut(2);
    let mut at = 0;
    for record in values.chunks_exact_mut(OF_RECORD) {
        let Some(header) = bytes.get(at..at + RECORD_HEADER).filter(|header| is_record(header)) else {
            return;
        };
        let length = u16::from_be_bytes([header[3], header[4]]);
        let body = at + RECORD_HEADER;
        head[0] += 1.0;
        head[1] = head[1].max(f32::from(header[2]) + 1.0);
        record[0] = f32::from(header[0] - 19);
        record[1] = f32::from(length);
        let kind = bytes.get(body).filter(|_| header[0] == HANDSHAKE);
        record[2] = kind.map_or(0.0, |kind| f32::from(*kind));
        at = body + usize::from(length);
    }
}

/// Whether five bytes are the header of a TLS record.
pub fn is_record(header: &[u8]) -> bool {
    matches!(header, [20..=23, 3, 0..=4, ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> [f32; STATISTICS] {
        let mut out = [f32::NAN; STATISTICS];
        statistics(bytes, &mut out);
        out
    }

    #[test]
    fn names_tell_the_values_apart() {
        let mut names = statistic_names().to_vec();
        assert_eq!(names[BEFORE_RECORDS + 3], "tls_record_0_length");
        assert_eq!(names[SCALARS + 15], "histogram_f0");
        names.sort();
        names.dedup();
        assert_eq!(names.len(), STATISTICS);
    }

    #[test]
    fn nothing_and_padding_have_no_statistics() {
        assert_eq!(of(&[]), [0.0; STATISTICS]);
        assert_eq!(of(&[0; IMAGE_BYTES]), [0.0; STATISTICS]);
        assert_eq!(of(b"ab"), of(b"ab\0\0\0"));
    }

    #[test]
    fn bytes_are_counted_up_to_the_size_of_an_image() {
        let all: Vec<u8> = (0..=255).cycle().skip(1).take(1024).collect();
        let found = of(&all[..256]);
        assert_eq!(&found[..2], [255.0, of(&all[..255])[1]]);
        assert_eq!(of(&all), of(&all[..IMAGE_BYTES]));
        let equal = of(&[1, 2, 3, 4]);
        assert_eq!((equal[1], equal[4], equal[SCALARS]), (2.0, 4.0, 1.0));
        assert!((of(b"\0 ~\x7f")[2] - 0.25).abs() < 1e-6);
        assert!((of(b"\0 ~\x7f")[3] - 0.5).abs() < 1e-6);
    }

    #[test]
    fn tls_records_are_followed_until_one_is_none() {
        let hello = [22, 3, 1, 0, 3, 1, 9, 9, 23, 3, 3, 1, 0, 7];
        let found = of(&hello);
        assert_eq!(
            &found[BEFORE_RECORDS..BEFORE_RECORDS + 9],
            [2.0, 4.0, 3.0, 3.0, 1.0, 4.0, 256.0, 0.0, 0.0]
        );
        assert_eq!(of(&[22, 4, 1, 0, 3, 1])[BEFORE_RECORDS..], [0.0; 2 + RECORDS * OF_RECORD]);
        assert_eq!(of(&[22, 3, 1, 0])[BEFORE_RECORDS], 0.0);
    }
}
