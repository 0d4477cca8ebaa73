//! The reference as it is written: every packet updates every link of its source at once. For tests.

use super::text::Keys;
use super::tuple::Tuple;
use crate::damp::LAMBDAS;
use crate::math::{pow2, square_pow};
use legonf_core::Headers;
use std::collections::HashMap;

struct Stream {
    linear: f64,
    squared: f64,
    weight: f64,
    time: f64,
    moments: Option<(f64, f64)>,
    links: Vec<usize>,
}

struct Link {
    ends: [usize; 2],
    products: f64,
    weight: f64,
    time: f64,
    residuals: [f64; 2],
}

/// A table at one rate.
#[derive(Default)]
struct Table {
    lambda: f64,
    ids: HashMap<Vec<u8>, usize>,
    streams: Vec<Stream>,
    links: Vec<Link>,
}

impl Table {
    fn register(&mut self, key: &[u8], t: f64) -> usize {
        let next = self.streams.len();
        let id = *self.ids.entry(key.to_vec()).or_insert(next);
        if id == next {
            let (linear, squared, weight) = (0.0, 0.0, 1e-20);
            self.streams.push(Stream { linear, squared, weight, time: t, moments: None, links: vec![] });
        }
        id
    }

    fn decay(&mut self, id: usize, t: f64) {
        let stream = &mut self.streams[id];
        let gap = t - stream.time;
        if gap > 0.0 {
            let factor = pow2(-self.lambda * gap);
            stream.linear *= factor;
            stream.squared *= factor;
            stream.weight *= factor;
            stream.time = t;
        }
    }

    fn moments(&mut self, id: usize) -> (f64, f64) {
        let stream = &mut self.streams[id];
        *stream.moments.get_or_insert_with(|| {
            let mean = stream.linear / stream.weight;
            (mean, (stream.squared / stream.weight - square_pow(mean)).abs())
        })
    }

    fn insert(&mut self, id: usize, v: Option<f64>, t: f64) -> f64 {
        let v = v.unwrap_or((t - self.streams[id].time).max(0.0));
        self.decay(id, t);
        let stream = &mut self.streams[id];
        stream.linear += v;
        stream.squared += square_pow(v);
        stream.weight += 1.0;
        stream.moments = None;
        for link in self.streams[id].links.clone() {
            self.update_link(link, id, v, t);
        }
        v
    }

    fn update_link(&mut self, link: usize, id: usize, v: f64, t: f64) {
        let side = usize::from(self.links[link].ends[0] != id);
        self.decay(self.links[link].ends[1 - side], t);
        let mean = self.moments(id).0;
        let link = &mut self.links[link];
        let gap = t - link.time;
        if gap > 0.0 {
            let factor = pow2(-self.lambda * gap);
            link.products *= factor;
            link.weight *= factor;
            link.time = t;
        }
        let residual = v - mean;
        link.products += residual * link.residuals[1 - side];
        link.weight += 1.0;
        link.residuals[side] = residual;
    }

    fn single(&mut self, key: &[u8], v: Option<f64>, t: f64) -> [f64; 3] {
        let id = self.register(key, t);
        self.insert(id, v, t);
        let (mean, var) = self.moments(id);
        [self.streams[id].weight, mean, var]
    }

    fn link(&mut self, a: usize, b: usize, t: f64) -> usize {
        let known = self.streams[a].links.iter().find(|&&l| self.links[l].ends.contains(&b));
        known.copied().unwrap_or_else(|| {
            let id = self.links.len();
            self.links.push(Link {
                ends: [a, b],
                products: 0.0,
                weight: 1e-20,
                time: t,
                residuals: [0.0; 2],
            });
            self.streams[a].links.push(id);
            self.streams[b].links.push(id);
            id
        })
    }

    fn pair(&mut self, from: &[u8], to: &[u8], v: f64, t: f64) -> [f64; 7] {
        let [weight, mean, var] = self.single(from, Some(v), t);
        let (a, b) = (self.register(from, t), self.register(to, t));
        let id = self.link(a, b, t);
        self.update_link(id, a, v, t);
        let [(m0, v0), (m1, v1)] = self.links[id].ends.map(|end| self.moments(end));
        let link = &self.links[id];
        let cov = link.products / link.weight;
        let deviations = v0.sqrt() * v1.sqrt();
        let pcc = if deviations != 0.0 { cov / deviations } else { 0.0 };
        let radius = (square_pow(v0) + square_pow(v1)).sqrt();
        let magnitude = (square_pow(m0) + square_pow(m1)).sqrt();
        [weight, mean, var, radius, magnitude, cov, pcc]
    }
}

/// The whole extractor: four tables at five rates.
pub(super) struct Oracle([[Table; 5]; 4]);

impl Oracle {
    pub(super) fn new() -> Self {
        Self([(); 4].map(|()| LAMBDAS.map(|lambda| Table { lambda, ..Table::default() })))
    }

    pub(super) fn packet(&mut self, headers: &Headers) -> Vec<f64> {
        let keys = Keys::of(&Tuple::of(headers));
        // As Python reads what tshark prints.
        let t = headers.timestamp.to_string().parse().expect("a decimal time");
        let v = f64::from(headers.wire_len);
        let [identities, hosts, channels, sockets] = &mut self.0;
        let mut row = Vec::with_capacity(100);
        let single = |table: &mut Table, key: &[u8], v| table.single(key, v, t);
        identities.iter_mut().for_each(|l| row.extend(single(l, keys.identity(), Some(v))));
        let [from, to] = keys.hosts();
        hosts.iter_mut().for_each(|l| row.extend(l.pair(from, to, v, t)));
        channels.iter_mut().for_each(|l| row.extend(single(l, keys.channel(), None)));
        let [from, to] = keys.sockets();
        sockets.iter_mut().for_each(|l| row.extend(l.pair(from, to, v, t)));
        row
    }
}
