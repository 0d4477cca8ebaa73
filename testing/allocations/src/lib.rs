//! An allocator that counts, for tests in which nothing may allocate. Whatever links this crate has it.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

/// The system's allocator, counting.
struct Counting;

static ALL: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static OWN: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    ALL.fetch_add(1, Ordering::Relaxed);
    OWN.set(OWN.get() + 1);
}

// SAFETY: every call goes on to the system's allocator unchanged, which upholds the contract; counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller upholds the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller upholds the contract of `dealloc`, and the block is the system's.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller upholds the contract of `realloc`, and the block is the system's.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often memory was asked for since the process began, in all threads.
pub fn allocations() -> u64 {
    ALL.load(Ordering::Relaxed)
}

/// How often the calling thread has asked for memory.
pub fn allocations_of_thread() -> u64 {
    OWN.get()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hint::black_box;

    #[test]
    fn an_allocation_is_counted_for_its_thread_and_for_all() {
        let before = (allocations(), allocations_of_thread());
        let mut numbers = black_box(vec![1_u8]);
        assert_eq!(allocations_of_thread(), before.1 + 1);
        numbers.reserve_exact(100);
        assert_eq!(allocations_of_thread(), before.1 + 2);
        let other = std::thread::spawn(|| {
            drop(black_box(vec![1_u8]));
            allocations_of_thread()
        });
        assert!(other.join().expect("it does not panic") > 0);
        assert!(allocations() >= before.0 + 3);
        drop(numbers);
    }
}
