//! `pow` to the last bit, on every machine.
//!
//! The reference implementations call the C library's `pow(2, x)` and `pow(x, 2)`, and features that cancel show its
//! last bit. Neither is `exp2(x)` or `x * x`, which LLVM puts in their place, and other libraries round otherwise.
//! So this module has its own: the algorithm of ARM's optimized-routines (Szabolcs Nagy), which is that of glibc 2.28
//! and later, with the fused multiply-adds of glibc's x86-64 build for processors that have them.
//!
//! Everything is built of IEEE 754 operations that round once, so the bits are the same on every instruction set.
//! The functions are inlined into their callers: one that is compiled with `fma` uses the instruction, any other
//! a library routine of the same result.

mod pow;
mod tables;

pub(crate) use pow::Pow2;
pub use pow::{pow2, pow2_lanes, square_pow, square_pow_lanes};

#[cfg(test)]
mod tests;
