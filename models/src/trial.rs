//! Whether a network does what an engine needs of it, found out by running it.

use crate::engine::{Engine, EngineError, Output, Port};
use legonf_core::{Element, Storage, Value, cells, cells_mut, storage};

/// Rows at the head of the trial that are run alone, too.
const ALONE: usize = 3;

/// Runs rows alone and in full batches of `batch` rows: each must get the same bits whatever rows are beside it, and a finite score
/// at least for some, where the network scores.
///
/// # Errors
/// Says which of it does not hold, or why the network does not run.
pub fn try_out(engine: &mut dyn Engine, batch: usize) -> Result<(), EngineError> {
    let together = tried(engine, 0, batch + ALONE)?;
    check_scores(engine, &together)?;
    for row in 0..ALONE {
        let alone = tried(engine, row, 1)?;
        for (all, one) in together.iter().zip(&alone) {
            if bytes(&*all.column, row) != bytes(&*one.column, 0) {
                let name = &engine.signature().outputs[all.number].name;
                let reason =
                    format!("output `{name}` has other values for a row beside others than for it alone");
                return Err(EngineError(format!("{reason}: the network mixes rows")));
            }
        }
    }
    Ok(())
}

/// What `count` rows give from number `first` on.
fn tried(engine: &mut dyn Engine, first: usize, count: usize) -> Result<Vec<Output>, EngineError> {
    let signature = engine.signature();
    let scores = signature.score.is_some();
    let inputs: Vec<_> = signature.inputs.iter().map(|port| rows(port, scores, first, count)).collect();
    let mut outputs = signature.wanted();
    engine.run(&inputs, &mut outputs)?;
    Ok(outputs)
}

fn check_scores(engine: &dyn Engine, outputs: &[Output]) -> Result<(), EngineError> {
    let Some(score) = engine.signature().score else { return Ok(()) };
    let column = &*outputs[score].column;
    let doubles = cells::<f64>(column).map(<[f64]>::to_vec);
    let singles = || cells::<f32>(column).map(|all| all.iter().map(|score| f64::from(*score)).collect());
    let scores: Vec<f64> = doubles.or_else(singles).unwrap_or_default();
    match scores.first() {
        Some(first) if scores.iter().all(|score| !score.is_finite()) => {
            Err(EngineError(format!("{first} for every row that was tried")))
        }
        _ => Ok(()),
    }
}

/// `count` rows from number `first` on for an input, of small numbers that differ; of features in `f64`.
fn rows(port: &Port, features: bool, first: usize, count: usize) -> Box<dyn Storage> {
    let width = port.width();
    let element = if features { Element::F64 } else { port.element };
    let mut column = storage(element, width == 1 && !features);
    column.fill(count, width);
    let value = |index: usize| (((first + index / width) * 31 + index % width * 17) % 97) as u8;
    let to = &mut *column;
    match element {
        Element::F64 => put::<f64>(to, &value),
        Element::F32 => put::<f32>(to, &value),
        Element::U8 => put::<u8>(to, &value),
        Element::U16 => put::<u16>(to, &value),
        Element::U32 => put::<u32>(to, &value),
        Element::U64 => put::<u64>(to, &value),
        Element::I64 => put::<i64>(to, &value),
        Element::Bool => put::<bool>(to, &value),
        _ => {}
    }
    column
}

/// A value of a trial from a small number.
trait Tried: Value {
    fn of(number: u8) -> Self;
}

macro_rules! tried {
    ($($value:ty: $of:expr;)*) => {
        $(impl Tried for $value {
            fn of(number: u8) -> Self { let of: fn(u8) -> Self = $of; of(number) }
        })*
    };
}

tried! {
    f64: |number| f64::from(number) / 8.0;
    f32: |number| f32::from(number) / 8.0;
    u8: |number| number;
    u16: u16::from;
    u32: u32::from;
    u64: u64::from;
    i64: i64::from;
    bool: |number| number % 2 == 1;
}

fn put<T: Tried>(column: &mut dyn Storage, value: &dyn Fn(usize) -> u8) {
    let cells = cells_mut::<T>(column).into_iter().flatten();
    cells.enumerate().for_each(|(index, cell)| *cell = T::of(value(index)));
}

/// A row of a column.
fn bytes(column: &dyn Storage, row: usize) -> Vec<u8> {
    let (mut one, mut bytes) = (column.empty(), Vec::new());
    column.gather(&[row], &mut *one);
    one.encode(&mut bytes);
    bytes
}
