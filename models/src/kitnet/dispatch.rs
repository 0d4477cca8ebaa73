//! The hot loops compiled for several instruction sets; the best one for this processor is chosen at run time.
//!
//! Every variant computes the same bits: all arithmetic is IEEE 754 basic operations and explicit fused
//! multiply-add, in one order. A processor without fused multiply-add emulates it, slowly. An AArch64 processor has NEON, for
//! which all code is compiled there.

use super::Autoencoder;
use super::correlation;
use super::kernel::{Buffers, Network, Phases, Place};
use super::learner::{self, Learner};
use super::normal::Normal;
use super::tile;
use legonf_core::LANES;
use multiversion::multiversion;
use multiversion::target::match_target;

/// The phases on the widest vectors of this processor.
pub(super) struct Widest;

/// Rows of a tile in `f64`.
pub(super) const ROWS_F64: usize = 8;
/// Rows of a tile in `f32`.
pub(super) const ROWS_F32: usize = 16;

/// Implements [`Phases`] for [`Widest`] in one type of numbers.
macro_rules! phases {
    ($real:ty, $rows:expr, $load:ident, $store:ident, $forward:ident, $errors:ident, $row:ident) => {
        #[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
        fn $load(columns: &[[f64; LANES]], normal: &Normal, x: &mut [[$real; $rows]]) {
            tile::load(columns, normal, x);
        }

        #[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
        fn $store(normal: &Normal, x: &mut [[$real; $rows]], errors: &mut [[f64; LANES]]) {
            tile::store(normal, x, errors);
        }

        #[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
        fn $forward(layer: &tile::Layer<$real>, x: &[[$real; $rows]], out: &mut [[$real; $rows]]) {
            layer.forward(x, out);
        }

        #[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
        fn $errors(
            places: &[Place<$real>],
            x: &[[$real; $rows]],
            z: &[[$real; $rows]],
            errors: &mut [[$real; $rows]],
        ) {
            tile::errors(places, x, z, errors);
        }

        #[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
        fn $row(
            network: &Network<$real>,
            row: (&[[f64; LANES]], usize),
            buffers: &mut Buffers<$real>,
            errors: &mut [[f64; LANES]],
        ) -> f64 {
            network.score_row(row, buffers, errors)
        }

        impl Phases<$real, $rows> for Widest {
            fn load(columns: &[[f64; LANES]], normal: &Normal, x: &mut [[$real; $rows]]) {
                $load(columns, normal, x);
            }

            fn store(normal: &Normal, x: &mut [[$real; $rows]], errors: &mut [[f64; LANES]]) {
                $store(normal, x, errors);
            }

            fn forward(layer: &tile::Layer<$real>, x: &[[$real; $rows]], out: &mut [[$real; $rows]]) {
                $forward(layer, x, out);
            }

            fn errors(
                places: &[Place<$real>],
                x: &[[$real; $rows]],
                z: &[[$real; $rows]],
                errors: &mut [[$real; $rows]],
            ) {
                $errors(places, x, z, errors);
            }

            fn row(
                network: &Network<$real>,
                row: (&[[f64; LANES]], usize),
                buffers: &mut Buffers<$real>,
                errors: &mut [[f64; LANES]],
            ) -> f64 {
                $row(network, row, buffers, errors)
            }
        }
    };
}

phases!(f64, ROWS_F64, load_f64, store_f64, forward_f64, errors_f64, row_f64);
phases!(f32, ROWS_F32, load_f32, store_f32, forward_f32, errors_f32, row_f32);

/// The instruction set that networks are executed with on this processor: `avx512`, `avx2`, `neon`, or `portable` where there is
/// nothing wider than what all processors of the architecture have.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
pub fn instruction_set() -> &'static str {
    match_target! {
        "x86_64+avx512f" => "avx512",
        "x86_64+avx2+fma" => "avx2",
        "aarch64+neon" => "neon",
        _ => "portable",
    }
}

/// [`correlation::add_products`] on the widest vectors of this processor.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
pub(super) fn add_products(products: &mut [f64], residuals: &[f64]) {
    correlation::add_products(products, residuals);
}

/// [`Autoencoder::reconstruct_into`] on the widest vectors of this processor.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
pub(super) fn reconstruct(autoencoder: &Autoencoder, inputs: &[f64], units: [&mut [f64]; 3]) {
    autoencoder.reconstruct_into(inputs, units);
}

/// [`learner::train`] on the widest vectors of this processor.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
pub(super) fn train(learner: &mut Learner, row: &[f64], errors: &mut [f64]) {
    learner::train(learner, row, errors);
}
