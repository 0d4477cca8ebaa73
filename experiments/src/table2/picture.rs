//! The table as a bar chart. By hand: the charts of `plotters` need a font to lay texts out.

use super::Report;
use legonf_output::xml;
use std::fmt::Write;

const WIDTH: usize = 900;
const LEFT: usize = 170;
const RIGHT: usize = 190;
const ROW: usize = 46;
const TOP: usize = 84;
const OURS: &str = "#175CA0";
const PAPER: &str = "#D94801";

/// Average RMSEs, relative to the single instance's: ours and the paper's, one above the other.
pub(super) fn svg(report: &Report) -> String {
    let height = TOP + report.rows.len() * ROW + 24;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n<title>LEGO Table II</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"24\" y=\"32\" font-size=\"17\" font-weight=\"bold\">Average RMSE under splits of the traffic (LEGO, Table II), \
         {} replicas</text>\n\
         <rect x=\"{LEFT}\" y=\"48\" width=\"12\" height=\"12\" fill=\"{OURS}\"/><text x=\"{}\" y=\"59\">here, as a part of the \
         single instance's</text>\n\
         <rect x=\"500\" y=\"48\" width=\"12\" height=\"12\" fill=\"{PAPER}\"/><text x=\"520\" y=\"59\">LEGO's, on the Mirai \
         capture</text>\n",
        report.replicas,
        LEFT + 20,
    );
    let relative = |value: f64, base: f64| if base > 0.0 { value / base } else { 0.0 };
    let single = report.rows.first();
    let (ours, paper) =
        (single.map_or(0.0, |r| r.average_rmse), single.and_then(|r| r.paper_average_rmse).unwrap_or(0.0));
    let values: Vec<_> = report
        .rows
        .iter()
        .map(|r| (relative(r.average_rmse, ours), r.paper_average_rmse.map(|p| relative(p, paper))))
        .collect();
    let most = values.iter().flat_map(|(a, b)| [Some(*a), *b]).flatten().fold(1.0, f64::max);
    let scale = (WIDTH - LEFT - RIGHT) as f64 / most;
    for (at, (row, (ours, paper))) in report.rows.iter().zip(values).enumerate() {
        let y = TOP + at * ROW;
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            LEFT - 12,
            y + 20,
            xml(&row.split)
        );
        bar(&mut out, y, ours * scale, OURS, &format!("{:.6} ({:+.1e})", row.average_rmse, row.deviation));
        if let (Some(value), Some(part)) = (row.paper_average_rmse, paper) {
            bar(&mut out, y + 15, part * scale, PAPER, &format!("{value:.3}"));
        }
    }
    out.push_str("</svg>\n");
    out
}

fn bar(out: &mut String, y: usize, width: f64, color: &str, label: &str) {
    let width = if width.is_finite() { width.max(0.0) } else { 0.0 };
    let _ = writeln!(
        out,
        "<rect x=\"{LEFT}\" y=\"{y}\" width=\"{width:.1}\" height=\"13\" fill=\"{color}\"/>\
         <text x=\"{:.1}\" y=\"{}\" font-size=\"11\">{label}</text>",
        LEFT as f64 + width + 6.0,
        y + 11
    );
}
