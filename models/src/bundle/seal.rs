//! The checksum of a bundle: its last part, over every byte before it.

use super::foreign::METADATA_PROPS;
use super::metadata::sha256;
use super::proto::Property;
use super::wire::{self, Field};
use crate::kitnet::Defect;
use prost::Message;

/// Name of the property that holds it.
pub(crate) const KEY: &str = "legonf.checksum";

/// Appends the SHA-256 of the bytes to them, as a property.
pub(crate) fn put(bytes: &mut Vec<u8>) {
    let property = Property { key: KEY.into(), value: sha256(bytes) };
    wire::put(bytes, METADATA_PROPS, &property.encode_to_vec());
}

/// Checks that the last part of a bundle is the SHA-256 of all before it.
///
/// # Errors
/// When it is not, or not the last part.
pub(crate) fn check(bytes: &[u8]) -> Result<(), Defect> {
    let mut last: Option<Field<'_>> = None;
    for field in wire::fields(bytes) {
        last = Some(field?);
    }
    let sealed = last.and_then(|last| {
        let property =
            Property::decode(last.content?).ok().filter(|p| p.key == KEY && last.tag == METADATA_PROPS)?;
        Some((property, &bytes[..bytes.len() - last.whole.len()]))
    });
    let Some((property, before)) = sealed else {
        return Err(Defect::new(KEY, "is not the last part of the file: it was changed or cut short"));
    };
    if property.value == sha256(before) {
        Ok(())
    } else {
        Err(Defect::new(
            KEY,
            "differs from the SHA-256 of what stands before it: the file was changed or damaged",
        ))
    }
}
