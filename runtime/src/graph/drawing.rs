//! Draws a graph as SVG. By hand: no chart of `plotters` is of boxes and arrows.

use crate::GraphSpec;
use legonf_core::{ColumnSpec, Descriptor, State};
use legonf_output::xml;
use std::collections::HashMap;
use std::fmt::Write;

const WIDTH: usize = 190;
const HEIGHT: usize = 84;
const GAP: usize = 70;
const MARGIN: usize = 24;
/// Room below the boxes for arrows past others.
const ARC: usize = 56;
/// Boxes in a row, at most: more could not be read on a page.
const ACROSS: usize = 6;
/// Between the tops of two rows.
const ROW: usize = HEIGHT + ARC + 24;
/// What stays readable for who looks at dark pages.
const DARK: &str = "@media (prefers-color-scheme:dark){[fill=white]{fill:#14171c}text,[fill=\"#445\"]{fill:#e8eaee}\
     [fill=\"#eef3fb\"]{fill:#232a36}[stroke]{stroke:#aab2c0}}";

/// The bricks of a graph in their order (identifier and descriptor of each) as an SVG document: a box for each brick,
/// those that keep state with a double border, with the columns that it fills, and an arrow wherever `spec` leads packets.
pub fn svg(spec: &GraphSpec, bricks: &[(String, Descriptor)]) -> String {
    let name = spec.name.as_str();
    let (across, rows) = (bricks.len().min(ACROSS), bricks.len().div_ceil(ACROSS).max(1));
    let width = 2 * MARGIN + across * WIDTH + across.saturating_sub(1) * GAP;
    let is_past = |(from, to, _): &(usize, usize, &str)| *to != from + 1 && from / ACROSS == to / ACROSS;
    let past = bricks.len() > 2 && edges(spec, bricks).iter().any(is_past);
    let height = 2 * MARGIN + HEIGHT + 28 + (rows - 1) * ROW + if past { ARC } else { 0 };
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\">\n<title>{name}</title>\n<style>{DARK}</style>\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" orient=\"auto\">\
         <path d=\"M0,0 L8,4 L0,8 z\" fill=\"#445\"/></marker></defs>\n\
         <text x=\"{MARGIN}\" y=\"{y}\" font-size=\"15\" font-weight=\"bold\">{name}</text>\n",
        name = xml(name),
        y = MARGIN,
    );
    for (index, (id, d)) in bricks.iter().enumerate() {
        let (x, y) = place(index);
        let stateful = d.state != State::Stateless;
        draw_box(&mut out, x, y, stateful);
        let state = d.state.label();
        let lines = [
            (24, 14, d.title),
            (44, 11, id.as_str()),
            (60, 11, state),
            (76, 10, &format!("→ {}", ColumnSpec::names(&d.writes))),
        ];
        for (dy, size, text) in lines {
            let _ = writeln!(
                out,
                "<text x=\"{}\" y=\"{}\" font-size=\"{size}\" text-anchor=\"middle\">{}</text>",
                x + WIDTH / 2,
                y + dy,
                xml(text)
            );
        }
    }
    for (from, to, label) in edges(spec, bricks) {
        let (x, y) = place(to);
        if from / ACROSS != to / ACROSS {
            descent(&mut out, from, to, label);
        } else if to == from + 1 {
            arrow(&mut out, x, y + HEIGHT / 2);
            caption(&mut out, x - GAP / 2, y - 6 + HEIGHT / 2, label);
        } else {
            arc(&mut out, from, to, label);
        }
    }
    out.push_str("</svg>\n");
    out
}

/// Where the box of a brick begins, across and down.
fn place(index: usize) -> (usize, usize) {
    (MARGIN + index % ACROSS * (WIDTH + GAP), MARGIN + 28 + index / ACROSS * ROW)
}

/// Where packets go: from brick to brick by their places, with the verdict for which, if it matters.
fn edges<'a>(spec: &'a GraphSpec, bricks: &[(String, Descriptor)]) -> Vec<(usize, usize, &'a str)> {
    let numbers: HashMap<&str, usize> =
        bricks.iter().enumerate().map(|(number, (id, _))| (id.as_str(), number)).collect();
    let at = |id: &str| numbers.get(id).copied();
    let mut edges = Vec::new();
    for brick in &spec.bricks {
        let branches = brick.branch.iter().map(|(label, id)| (id.as_str(), label.as_str()));
        let all = brick.next.iter().map(|id| (id.as_str(), "")).chain(branches);
        edges.extend(all.filter_map(|(id, label)| Some((at(&brick.id)?, at(id)?, label))));
    }
    edges
}

fn caption(out: &mut String, x: usize, y: usize, text: &str) {
    if !text.is_empty() {
        let _ = writeln!(
            out,
            "<text x=\"{x}\" y=\"{y}\" font-size=\"10\" text-anchor=\"middle\">{}</text>",
            xml(text)
        );
    }
}

/// An arrow below the boxes, past those between.
fn arc(out: &mut String, from: usize, to: usize, label: &str) {
    let (start, end) = (place(from).0 + WIDTH / 2, place(to).0 + WIDTH / 2);
    let (y, low) = (place(from).1 + HEIGHT, place(from).1 + HEIGHT + ARC);
    let _ = writeln!(
        out,
        "<path d=\"M{start},{y} C{start},{low} {end},{low} {end},{y}\" fill=\"none\" stroke=\"#445\" stroke-width=\"1.5\" \
         marker-end=\"url(#tip)\"/>"
    );
    caption(out, usize::midpoint(start, end), low - ARC / 4 + 8, label);
}

/// An arrow to another row: out below, and in above.
fn descent(out: &mut String, from: usize, to: usize, label: &str) {
    let (start, end) = (place(from).0 + WIDTH / 2, place(to).0 + WIDTH / 2);
    let (high, low) = (place(from).1 + HEIGHT, place(to).1);
    let _ = writeln!(
        out,
        "<path d=\"M{start},{high} C{start},{} {end},{} {end},{low}\" fill=\"none\" stroke=\"#445\" stroke-width=\"1.5\" \
         marker-end=\"url(#tip)\"/>",
        high + ARC,
        low.saturating_sub(ARC),
    );
    caption(out, usize::midpoint(start, end), usize::midpoint(high, low) - 6, label);
}

fn arrow(out: &mut String, end: usize, y: usize) {
    let _ = writeln!(
        out,
        "<line x1=\"{}\" y1=\"{y}\" x2=\"{end}\" y2=\"{y}\" stroke=\"#445\" stroke-width=\"1.5\" marker-end=\"url(#tip)\"/>",
        end - GAP
    );
}

fn draw_box(out: &mut String, x: usize, y: usize, double: bool) {
    let mut rect = |inset: usize, fill: &str| {
        let _ = writeln!(
            out,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"6\" fill=\"{fill}\" stroke=\"#445\"/>",
            x + inset,
            y + inset,
            WIDTH - 2 * inset,
            HEIGHT - 2 * inset
        );
    };
    rect(0, "#eef3fb");
    if double {
        rect(3, "none");
    }
}
