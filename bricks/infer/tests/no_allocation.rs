//! In steady state the bricks of KitNET allocate nothing for a batch.
#![allow(clippy::unwrap_used)]
// The counting allocator below needs it.
#![allow(unsafe_code)]

use legonf_core::{BATCH, Batch, Brick, ColumnSpec, Element, Handle, Layout as Columns, Rows};
use legonf_infer::{Autoencoder, AutoencoderConfig, FeatureMapping, FeatureMappingConfig, SCORES};
use legonf_models::kitnet::{KitNet, Precision};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

/// The system's allocator, counting the allocations of each thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call is passed on to the system's allocator unchanged; the counter does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `GlobalAlloc::dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::realloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn model() -> Arc<KitNet> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/synth-mini/kitsune-py-100.model.json");
    Arc::new(KitNet::from_reference_json(&std::fs::read_to_string(path).unwrap()).unwrap().0)
}

/// One batch as the runtime gives it: cleared, then filled with `rows` rows of features.
fn process(batch: &mut Batch, features: Handle<Rows>, rows: usize, bricks: &mut [&mut dyn Brick]) {
    batch.clear();
    let features = batch.columns.get_mut(features);
    features.reset(rows, 100);
    for (i, cell) in features.as_mut_slice().iter_mut().enumerate() {
        *cell = (i % 97) as f64;
    }
    bricks.iter_mut().for_each(|brick| brick.process(batch).unwrap());
}

#[test]
fn bricks_allocate_nothing_in_steady_state() {
    [Precision::F64, Precision::F32].into_iter().for_each(check);
}

fn check(precision: Precision) {
    let mut mapping = FeatureMapping::new(FeatureMappingConfig {}, model());
    let mut network = Autoencoder::new(AutoencoderConfig { precision }, model());
    let mut bricks: [&mut dyn Brick; 2] = [&mut mapping, &mut network];
    let columns = Columns::binding(&mut bricks).unwrap();
    let mut batch = Batch::new(&columns);
    let features = columns.handle::<Rows>(&ColumnSpec::rows("features", Element::F64)).unwrap();
    let scores = columns.handle::<Vec<f64>>(&SCORES).unwrap();
    process(&mut batch, features, BATCH, &mut bricks);
    let before = ALLOCATIONS.get();
    assert!(before > 0, "the counter counts");
    for rows in [BATCH, 1, 7, 0, 200, BATCH] {
        process(&mut batch, features, rows, &mut bricks);
        assert_eq!(batch.columns.get(scores).len(), rows);
    }
    assert_eq!(ALLOCATIONS.get(), before);
}
