//! The header of NumPy's array file, format 1.0.

/// The header of an array that a Python dictionary describes, padded to `length` bytes.
pub(super) fn npy_header(description: &str, length: usize) -> Vec<u8> {
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    header.extend(((length - 10) as u16).to_le_bytes());
    header.extend(description.bytes());
    header.resize(length - 1, b' ');
    header.push(b'\n');
    header
}
