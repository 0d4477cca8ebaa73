//! Draws a graph as SVG.

use legonf_core::{Descriptor, State};
use std::fmt::Write;

const WIDTH: usize = 190;
const HEIGHT: usize = 84;
const GAP: usize = 70;
const MARGIN: usize = 24;

/// A sequence of bricks (identifier and descriptor of each) as an SVG document: a box for each brick, stateful
/// ones with a double border, with the columns that it fills.
pub fn svg(name: &str, bricks: &[(String, Descriptor)]) -> String {
    let count = bricks.len();
    let width = 2 * MARGIN + count * WIDTH + count.saturating_sub(1) * GAP;
    let height = 2 * MARGIN + HEIGHT + 28;
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\">\n<title>{name}</title>\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" orient=\"auto\">\
         <path d=\"M0,0 L8,4 L0,8 z\" fill=\"#445\"/></marker></defs>\n\
         <text x=\"{MARGIN}\" y=\"{y}\" font-size=\"15\" font-weight=\"bold\">{name}</text>\n",
        name = escape(name),
        y = MARGIN,
    );
    for (index, (id, d)) in bricks.iter().enumerate() {
        let (x, y) = (MARGIN + index * (WIDTH + GAP), MARGIN + 28);
        if index > 0 {
            arrow(&mut out, x, y + HEIGHT / 2);
        }
        let stateful = d.state == State::Stateful;
        draw_box(&mut out, x, y, stateful);
        let state = if stateful { "stateful" } else { "stateless" };
        let lines =
            [(24, 14, d.title), (44, 11, id.as_str()), (60, 11, state), (76, 10, &format!("→ {}", d.writes))];
        for (dy, size, text) in lines {
            let _ = writeln!(
                out,
                "<text x=\"{}\" y=\"{}\" font-size=\"{size}\" text-anchor=\"middle\">{}</text>",
                x + WIDTH / 2,
                y + dy,
                escape(text)
            );
        }
    }
    out.push_str("</svg>\n");
    out
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

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
