//! Training against plain code, and its variants against each other.

use super::super::sigmoid::sigmoid;
use super::*;

fn learner() -> Learner {
    let map = [vec![0, 1, 2, 3, 4], vec![6], vec![5, 7, 8]];
    let nets = [5, 1, 3].map(|visible| Autoencoder::untrained(visible, 0.75, 1234));
    Learner::new(&nets, &map, 0.1)
}

fn row(i: u32) -> Vec<f64> {
    (0..9).map(|c| f64::from((i * 7 + c * 3) % 11) * 0.3).collect()
}

#[test]
fn every_variant_trains_the_same_bits() {
    let (mut portable, mut dispatched) = (learner(), learner());
    for i in 0..200 {
        let (mut a, mut b) = ([0.0; 3], [0.0; 3]);
        train(&mut portable, &row(i), &mut a);
        super::super::dispatch::train(&mut dispatched, &row(i), &mut b);
        assert_eq!(a, b);
    }
    assert_eq!(portable.autoencoders(), dispatched.autoencoders());
}

/// One step of one autoencoder, value by value. Returns the RMSE before it.
fn plain_step(a: &mut Autoencoder, inputs: &[f64], rate: f64) -> f64 {
    let (visible, hidden) = (a.visible(), a.hidden());
    let x: Vec<f64> = (0..visible)
        .map(|v| {
            a.norm_max[v] = a.norm_max[v].max(inputs[v]);
            a.norm_min[v] = a.norm_min[v].min(inputs[v]);
            (inputs[v] - a.norm_min[v]) / a.range(v)
        })
        .collect();
    let w = |a: &Autoencoder, v: usize, h: usize| a.weights[v * hidden + h];
    let over_v = |a: &Autoencoder, values: &[f64], h: usize, start: f64| {
        (0..visible).fold(start, |sum, v| values[v].mul_add(w(a, v, h), sum))
    };
    let y: Vec<f64> = (0..hidden).map(|h| sigmoid(over_v(a, &x, h, a.hidden_bias[h]))).collect();
    let z = |v: usize| sigmoid((0..hidden).fold(a.visible_bias[v], |sum, h| y[h].mul_add(w(a, v, h), sum)));
    let e: Vec<f64> = (0..visible).map(|v| x[v] - z(v)).collect();
    let g: Vec<f64> = (0..hidden).map(|h| over_v(a, &e, h, 0.0) * y[h] * (1.0 - y[h]) * rate).collect();
    for (v, h) in (0..visible).flat_map(|v| (0..hidden).map(move |h| (v, h))) {
        let weight = &mut a.weights[v * hidden + h];
        *weight = x[v].mul_add(g[h], e[v].mul_add(y[h] * rate, *weight));
    }
    a.hidden_bias.iter_mut().zip(&g).for_each(|(b, g)| *b += g);
    a.visible_bias.iter_mut().zip(&e).for_each(|(c, e)| *c = rate.mul_add(*e, *c));
    (e.iter().fold(0.0, |sum: f64, e| e.mul_add(*e, sum)) / visible as f64).sqrt()
}

#[test]
fn training_has_the_bits_of_plain_code() {
    let sizes = [1, 2, 3, 4, 5, 8, 9, 13, 17, 21, 26, 40];
    let mut next = 0;
    let map = sizes.map(|size| {
        next += size;
        (next - size..next).collect::<Vec<_>>()
    });
    let mut plain = sizes.map(|visible| Autoencoder::untrained(visible, 0.75, 1234));
    let mut learner = Learner::new(&plain, &map, 0.1);
    for i in 0..300_u32 {
        let row: Vec<f64> = (0..next as u32).map(|c| f64::from((i * 7 + c * (i + 3)) % 23) * 0.3).collect();
        let mut errors = [0.0; 12];
        super::super::dispatch::train(&mut learner, &row, &mut errors);
        for ((a, columns), error) in plain.iter_mut().zip(&map).zip(errors) {
            let inputs: Vec<f64> = columns.iter().map(|c| row[*c]).collect();
            assert_eq!(plain_step(a, &inputs, 0.1).to_bits(), error.to_bits(), "{} inputs", a.visible());
        }
    }
    assert_eq!(learner.autoencoders(), plain);
}

#[test]
fn both_orientations_stay_equal_and_padding_zero() {
    let mut l = learner();
    (0..200).for_each(|i| train(&mut l, &row(i), &mut [0.0; 3]));
    for place in &l.places {
        let (vg, hg) = (place.visible.groups, place.hidden.groups);
        let by_visible = &l.by_visible[place.by_visible..][..place.visible.units * hg];
        let by_hidden = &l.by_hidden[place.by_hidden..][..place.hidden.units * vg];
        for v in 0..place.visible.units {
            for h in 0..hg * GROUP {
                let weight = by_visible.as_flattened()[v * hg * GROUP + h];
                let other = (h < place.hidden.units).then(|| by_hidden.as_flattened()[h * vg * GROUP + v]);
                assert_eq!(weight, other.unwrap_or(0.0));
            }
        }
    }
}

#[test]
fn errors_fall() {
    let mut l = learner();
    let mut errors = [0.0; 3];
    let mut sum = |l: &mut Learner| {
        (0..50)
            .map(|i| {
                train(l, &row(i), &mut errors);
                errors.iter().sum::<f64>()
            })
            .sum::<f64>()
    };
    let first = sum(&mut l);
    (0..20).for_each(|_| {
        sum(&mut l);
    });
    assert!(sum(&mut l) < 0.8 * first);
}
