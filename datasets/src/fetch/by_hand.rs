//! Stands for the download in a build without it.

use super::{Event, FetchError, Fetched, Item, Options};
use std::sync::atomic::AtomicBool;

/// Says how to bring the file.
pub(super) fn download(
    item: &Item<'_>,
    _: &Options,
    _: &AtomicBool,
    _: &mut dyn FnMut(Event<'_>),
) -> Result<Fetched, FetchError> {
    Err(FetchError::ByHand { url: item.url.into(), file: item.target.into() })
}
