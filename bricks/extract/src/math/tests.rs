use super::*;
use std::hint::black_box;

/// A reproducible sequence of 64-bit words (SplitMix64).
struct Words(u64);

impl Words {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in [0, 1).
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// An exponent: mostly as decays have them, also out to where the result vanishes or is infinite, and any bits.
    fn exponent(&mut self) -> f64 {
        match self.next() % 8 {
            0..=3 => -self.unit() * 700.0 * self.unit().powi(8),
            4 => -self.unit() * 1100.0,
            5 => self.unit() * 1100.0,
            6 => -700.0 - self.unit() * 380.0,
            _ => f64::from_bits(self.next()),
        }
    }

    /// A number to be squared: of any size, around 1, near the ends of the range, and any bits.
    fn factor(&mut self) -> f64 {
        match self.next() % 8 {
            0..=3 => self.unit() * 1500.0,
            4 => 1.0 + (self.unit() - 0.5) / 64.0,
            5 => f64::from_bits((self.next() >> 12) | ((480 + self.next() % 60) << 52)),
            6 => f64::from_bits((self.next() >> 12) | ((1500 + self.next() % 60) << 52)),
            _ => f64::from_bits(self.next()),
        }
    }
}

/// Whether two results are the same bits; any NaN equals any other.
fn same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

/// Whether the system's `pow` is the one that this module reproduces.
fn is_glibc_with_fma() -> bool {
    #[cfg(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu"))]
    return std::is_x86_feature_detected!("fma") && std::is_x86_feature_detected!("avx2");
    #[cfg(not(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu")))]
    return false;
}

/// Exponents with the bits of `pow(2, y)`; the last six are where glibc's `exp2` differs.
const POWERS: [(f64, u64); 44] = [
    (0.0, 0x3ff0_0000_0000_0000),
    (-0.0, 0x3ff0_0000_0000_0000),
    (1.0, 0x4000_0000_0000_0000),
    (-1.0, 0x3fe0_0000_0000_0000),
    (0.5, 0x3ff6_a09e_667f_3bcd),
    (-0.5, 0x3fe6_a09e_667f_3bcd),
    (-5e-06, 0x3fef_fff8_bb59_b5bd),
    (-3e-06, 0x3fef_fffb_a39c_0721),
    (-0.001, 0x3fef_fa52_de61_c11f),
    (-0.0371, 0x3fef_3005_a8cb_43d6),
    (-0.1, 0x3fed_db68_0117_ab12),
    (-0.3333333333333333, 0x3fe9_65fe_a53d_6e3d),
    (-2.5, 0x3fc6_a09e_667f_3bcd),
    (-7.25, 0x3f7a_e89f_995a_d3ad),
    (-33.3, 0x3dd9_fdf8_bcce_534c),
    (-123.456, 0x3837_5401_a474_749b),
    (-500.5, 0x20a6_a09e_667f_3bcd),
    (-737.9, 0x11d1_25fb_ee25_06b0),
    (-739.1, 0x11bd_db68_0117_aa8e),
    (-1021.999, 0x0010_02d7_11c7_9a4c),
    (-1022.0, 0x0010_0000_0000_0000),
    (-1022.7, 0x0009_d962_3dff_c13d),
    (-1050.3, 0x0000_0000_00cf_efc6),
    (-1073.5, 0x0000_0000_0000_0001),
    (-1074.0, 0x0000_0000_0000_0001),
    (-1074.9, 0x0000_0000_0000_0001),
    (-1075.0, 0x0000_0000_0000_0000),
    (-1075.1, 0x0000_0000_0000_0000),
    (-2000.0, 0x0000_0000_0000_0000),
    (1e-300, 0x3ff0_0000_0000_0000),
    (-1e-20, 0x3ff0_0000_0000_0000),
    (0.999999, 0x3fff_fffe_8bde_9c23),
    (511.25, 0x5fe3_06fe_0a31_b715),
    (1022.9, 0x7fdd_db68_0117_aa8e),
    (1023.999999, 0x7fef_fffe_8bde_9c33),
    (1024.0, 0x7ff0_0000_0000_0000),
    (1e300, 0x7ff0_0000_0000_0000),
    (-1e300, 0x0000_0000_0000_0000),
    (-0.10279962633558659, 0x3fed_cc96_9523_d563),
    (-0.6817916459664916, 0x3fe3_f2d0_e313_9b85),
    (-0.9172375302396086, 0x3fe0_f1d8_132d_2283),
    (-2.161222362152951, 0x3fcc_9dd5_f306_7bff),
    (-2.643455839118841, 0x3fc4_7c55_c9d8_f7d7),
    (-2.1295923381769617, 0x3fcd_4039_0f0b_a5bb),
];

/// Arguments with the bits of `pow(x, 2)`; the last six are where `x * x` differs.
const SQUARES: [(f64, u64); 31] = [
    (0.0, 0x0000_0000_0000_0000),
    (-0.0, 0x0000_0000_0000_0000),
    (1.0, 0x3ff0_0000_0000_0000),
    (-1.0, 0x3ff0_0000_0000_0000),
    (3.0, 0x4022_0000_0000_0000),
    (60.0, 0x40ac_2000_0000_0000),
    (1514.0, 0x4141_7cf2_0000_0000),
    (0.1, 0x3f84_7ae1_47ae_147c),
    (-0.1, 0x3f84_7ae1_47ae_147c),
    (0.3333333333333333, 0x3fbc_71c7_1c71_c71c),
    (-0.3333333333333333, 0x3fbc_71c7_1c71_c71c),
    (0.001, 0x3eb0_c6f7_a0b5_ed8d),
    (77.77, 0x40b7_a02c_432c_a57a),
    (1e-05, 0x3ddb_7cdf_d9d7_bdbc),
    (1.2345678901234567, 0x3ff8_62f3_5e47_4f90),
    (341.3333333333333, 0x40fc_71c7_1c71_c71c),
    (1e-154, 0x0007_30d6_7819_e8d2),
    (1.5e-154, 0x0010_2de2_8e3a_4bda),
    (2.2e-162, 0x0000_0000_0000_0001),
    (1e-200, 0x0000_0000_0000_0000),
    (1e154, 0x7fe1_ccf3_85eb_c8a0),
    (1.3e154, 0x7fee_153f_64e2_f455),
    (1.3407807929942597e154, 0x7ff0_0000_0000_0000),
    (1e200, 0x7ff0_0000_0000_0000),
    (5e-324, 0x0000_0000_0000_0000),
    (1376.7398567326766, 0x413c_ebf4_a213_e91a),
    (1426.2939522833117, 0x413f_0a8a_7035_bc79),
    (930.0282308723774, 0x412a_6571_053b_8104),
    (734.9332371004434, 0x4120_7bbd_b9da_78eb),
    (293.4583546553617, 0x40f5_065c_e509_41ff),
    (1435.275440525025, 0x413f_6eef_9715_a9ca),
];

#[test]
fn literal_powers() {
    for (y, bits) in POWERS {
        assert_eq!(pow2(y).to_bits(), bits, "pow(2, {y:e})");
    }
    assert!(pow2(f64::NAN).is_nan());
    assert_eq!([pow2(f64::INFINITY), pow2(f64::NEG_INFINITY)], [f64::INFINITY, 0.0]);
}

#[test]
fn literal_squares() {
    for (x, bits) in SQUARES {
        assert_eq!(square_pow(x).to_bits(), bits, "pow({x:e}, 2)");
    }
    assert!(SQUARES[SQUARES.len() - 6..].iter().all(|&(x, bits)| (x * x).to_bits() != bits));
    assert!(square_pow(f64::NAN).is_nan());
    assert_eq!(square_pow(f64::NEG_INFINITY), f64::INFINITY);
}

fn compare_with_system(count: usize, seed: u64) {
    if !is_glibc_with_fma() {
        println!("skipped: the system's pow is another one");
        return;
    }
    let mut words = Words(seed);
    for _ in 0..count / 4 {
        let y = [0; 4].map(|_| words.exponent());
        let x = [0; 4].map(|_| words.factor());
        let (powers, squares) = (pow2_lanes(y), square_pow_lanes(x));
        for lane in 0..4 {
            let power = black_box(2.0_f64).powf(black_box(y[lane]));
            assert!(same(powers[lane], power), "pow(2, {:e})", y[lane]);
            assert!(same(pow2(y[lane]), power), "pow(2, {:e})", y[lane]);
            let square = x[lane].powf(black_box(2.0));
            assert!(same(squares[lane], square), "pow({:e}, 2)", x[lane]);
            assert!(same(square_pow(x[lane]), square), "pow({:e}, 2)", x[lane]);
        }
    }
}

#[test]
fn equals_the_system_on_a_million() {
    compare_with_system(1_000_000, 1);
}

#[test]
#[ignore = "half a minute: run with --release -- --ignored"]
fn equals_the_system_on_twenty_million() {
    compare_with_system(20_000_000, 2);
}
