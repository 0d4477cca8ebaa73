//! Damping: the rates, the factors 2^(-λ·gap), and the order of streams by their damped weight.

mod expiry;
mod factors;
mod powers;

pub(crate) use expiry::{expiry, expiry_of_one};
pub(crate) use factors::{Asking, Damp, Factor, Factors, Gap};
pub(crate) use powers::Powers;

/// Rates but the slowest: as many as fill a vector of 256 bits.
pub(crate) const QUICKER: usize = 4;

/// One number for each of the [`QUICKER`] rates, side by side.
pub(crate) type Quick = [f64; QUICKER];

/// Number of decay rates.
pub(crate) const RATES: usize = 5;

/// The decay rates λ in 1/s, in the order of every block of a schema.
pub(crate) const LAMBDAS: [f64; RATES] = [5.0, 3.0, 1.0, 0.1, 0.01];

/// Index of the slowest rate, by whose weight streams are ranked for eviction.
pub(crate) const SLOWEST: usize = RATES - 1;
