//! Asking the system for huge pages. Unsafe code, see ARCHITECTURE.md.
//!
//! Tables of gigabytes are read at random; with pages of 2 MiB the processor finds their addresses in its own caches.
#![allow(unsafe_code)]

/// Bytes of a huge page.
pub(crate) const HUGE: usize = 2 << 20;

/// Empty memory for `len` values, of huge pages if it is large and the system has them.
pub(crate) fn with_capacity<T>(len: usize) -> Vec<T> {
    let values = Vec::with_capacity(len);
    advise(&values, 0);
    values
}

/// So many values whose bytes are all zero, in such memory. The system clears it piece by piece, as it is used.
pub(crate) fn zeroed<T: bytemuck::Zeroable>(len: usize) -> Vec<T> {
    let values = bytemuck::zeroed_vec(len);
    advise(&values, 0);
    values
}

/// The same as [`with_capacity`], of small pages at its start: where few values come, the system need not clear a huge page for them.
pub(crate) fn with_capacity_for_few<T>(len: usize) -> Vec<T> {
    let values = Vec::with_capacity(len);
    advise(&values, HUGE);
    values
}

/// Asks for huge pages under the memory of a vector, but for so many bytes at its start.
#[cfg(target_os = "linux")]
fn advise<T>(values: &Vec<T>, small: usize) {
    use nix::sys::mman::{MmapAdvise, madvise};
    let start = (values.as_ptr().addr() + small).next_multiple_of(HUGE);
    let end = (values.as_ptr().addr() + values.capacity() * size_of::<T>()) & !(HUGE - 1);
    if let Some(first) = std::ptr::NonNull::new(values.as_ptr().cast_mut())
        && end > start
    {
        let first = first.cast().map_addr(|address| address.saturating_add(start - address.get()));
        // SAFETY: the range lies within the memory that the vector owns, and the advice leaves its contents as they
        // are. Where it is refused, small pages do.
        let _ = unsafe { madvise(first, end - start, MmapAdvise::MADV_HUGEPAGE) };
    }
}

/// Other systems choose their pages alone.
#[cfg(not(target_os = "linux"))]
fn advise<T>(_: &Vec<T>, _: usize) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_any_size_holds_what_is_written() {
        for len in [0, 1, 1000, 100_000, 3_000_000] {
            for mut values in [with_capacity::<u64>(len), with_capacity_for_few(len)] {
                values.extend(0..len as u64);
                assert!(values.iter().enumerate().all(|(at, value)| at as u64 == *value));
            }
        }
    }
}
