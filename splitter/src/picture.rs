//! Draws the lattice of granularities as SVG. By hand: no chart of `plotters` is of boxes and lines between them.

use crate::{GroupSet, Lattice};
use legonf_output::xml;
use std::fmt::Write;

const WIDTH: usize = 230;
const HEIGHT: usize = 56;
const ACROSS: usize = 30;
const DOWN: usize = 60;
const MARGIN: usize = 24;
const TITLE: usize = 36;

/// The lattice as an SVG document: a box for each granularity with the groups that have it, the maximal ones on top
/// with a double border, a line from each to those right below it.
pub fn svg(set: &GroupSet, lattice: &Lattice) -> String {
    let rows = rows(lattice);
    let widest = rows.iter().map(Vec::len).max().unwrap_or(1);
    let width = 2 * MARGIN + widest * (WIDTH + ACROSS) - ACROSS;
    let height = 2 * MARGIN + TITLE + rows.len() * (HEIGHT + DOWN) - DOWN;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\">\n<title>{name}</title>\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{MARGIN}\" y=\"{y}\" font-size=\"15\" font-weight=\"bold\">{name}: granularities by inclusion</text>\n",
        name = xml(set.name()),
        y = MARGIN + 10,
    );
    let places = places(&rows, lattice.elements().len(), width);
    for (above, below) in lattice.covers() {
        line(&mut out, places[above], places[below]);
    }
    let maximal = lattice.granularities();
    for (at, element) in lattice.elements().iter().enumerate() {
        let groups: Vec<_> = element.groups.iter().map(|g| set.groups()[*g].name.as_str()).collect();
        draw(&mut out, places[at], maximal.contains(&at), &element.to_string(), &groups.join(", "));
    }
    out.push_str("</svg>\n");
    out
}

/// Elements by the longest chain of others that include them.
fn rows(lattice: &Lattice) -> Vec<Vec<usize>> {
    let count = lattice.elements().len();
    let mut depth = vec![0; count];
    let edges = lattice.edges();
    for _ in 0..count {
        edges.iter().for_each(|(above, below)| depth[*below] = depth[*below].max(depth[*above] + 1));
    }
    let mut rows = vec![Vec::new(); depth.iter().max().map_or(0, |deepest| deepest + 1)];
    (0..count).for_each(|at| rows[depth[at]].push(at));
    rows
}

/// The upper left corner of each element, rows centred.
fn places(rows: &[Vec<usize>], count: usize, width: usize) -> Vec<(usize, usize)> {
    let mut places = vec![(0, 0); count];
    for (down, row) in rows.iter().enumerate() {
        let taken = row.len() * (WIDTH + ACROSS) - ACROSS;
        for (across, at) in row.iter().enumerate() {
            let left = (width - taken) / 2 + across * (WIDTH + ACROSS);
            places[*at] = (left, MARGIN + TITLE + down * (HEIGHT + DOWN));
        }
    }
    places
}

fn line(out: &mut String, above: (usize, usize), below: (usize, usize)) {
    // Writing to a String cannot fail; so below.
    let _ = writeln!(
        out,
        "<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" stroke=\"#445\" stroke-width=\"1.5\"/>",
        above.0 + WIDTH / 2,
        above.1 + HEIGHT,
        below.0 + WIDTH / 2,
        below.1
    );
}

fn draw(out: &mut String, (x, y): (usize, usize), maximal: bool, name: &str, groups: &str) {
    for inset in if maximal { &[0, 3][..] } else { &[0] } {
        let _ = writeln!(
            out,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"6\" fill=\"#eef3fb\" stroke=\"#445\"/>",
            x + inset,
            y + inset,
            WIDTH - 2 * inset,
            HEIGHT - 2 * inset
        );
    }
    for (dy, size, text) in [(24, 13, name), (43, 11, groups)] {
        let _ = writeln!(
            out,
            "<text x=\"{}\" y=\"{}\" font-size=\"{size}\" text-anchor=\"middle\">{}</text>",
            x + WIDTH / 2,
            y + dy,
            xml(text)
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use legonf_core::{Field, Key, StateGroup};

    #[test]
    fn every_granularity_is_drawn_below_those_that_include_it() {
        let group = |name, fields: &[Field]| StateGroup::new(name, Key::new(fields, false).unwrap());
        let groups = vec![group("<H>", &[Field::SrcIp]), group("MI", &[Field::SrcMac, Field::SrcIp])];
        let set = GroupSet::new("x & y", groups).unwrap();
        let document = svg(&set, &Lattice::new(&set));
        for words in
            ["x &amp; y", "&lt;H&gt;", "SrcMAC-SrcIP", "<line x1=\"139\" y1=\"116\" x2=\"139\" y2=\"176\""]
        {
            assert!(document.contains(words), "{words}\n{document}");
        }
        // The maximal one has a second border.
        assert_eq!(document.matches("rx=\"6\"").count(), 3);
    }
}
