//! Bars side by side, in groups. By hand: the charts of `plotters` have no bars in groups, and need a font to lay texts out.

use legonf_output::xml;
use std::fmt::Write;

const COLORS: [&str; 5] = ["#9aa5b1", "#175CA0", "#D94801", "#388E3C", "#7B4EA3"];
const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 520.0;

/// A group of bars.
pub struct Group {
    /// What stands below it.
    pub name: String,
    /// A value for each series.
    pub values: Vec<f64>,
}

/// Draws bars as an SVG document; `unit` stands above the axis.
pub fn svg(title: &str, unit: &str, series: &[&str], groups: &[Group]) -> String {
    let top = groups.iter().flat_map(|group| &group.values).fold(0.0_f64, |a, b| a.max(*b)).max(1e-9);
    let (left, floor, ceiling) = (70.0, HEIGHT - 90.0, 70.0);
    let step = (WIDTH - left - 20.0) / groups.len().max(1) as f64;
    let bar = step * 0.8 / series.len().max(1) as f64;
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" font-family=\"sans-serif\">\n\
         <style>@media (prefers-color-scheme:dark){{[fill=white]{{fill:#14171c}}text{{fill:#e8eaee}}[stroke]{{stroke:#c8ccd4}}.grid{{stroke:#3a4048}}}}.grid{{stroke:#dde1e7}}</style>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n<text x=\"{left}\" y=\"28\" font-size=\"18\">{}</text>\n\
         <text x=\"{left}\" y=\"56\" font-size=\"12\">{}</text>\n\
         <line x1=\"{left}\" y1=\"{floor}\" x2=\"{}\" y2=\"{floor}\" stroke=\"#445\"/>",
        xml(title),
        xml(unit),
        WIDTH - 20.0
    );
    // A line for each whole number, or for each part of the highest that is round.
    let rough = top / 5.0;
    let power = 10_f64.powf(rough.log10().floor());
    let tick =
        [1.0, 2.0, 5.0, 10.0].map(|m| m * power).into_iter().find(|each| *each >= rough).unwrap_or(rough);
    for count in 0..=(top / tick) as u32 {
        let value = f64::from(count) * tick;
        let y = floor - (floor - ceiling) * value / top;
        let decimals = usize::from(tick < 1.0) + usize::from(tick < 0.1);
        let _ = writeln!(
            out,
            "<line x1=\"{left}\" y1=\"{y:.1}\" x2=\"{}\" y2=\"{y:.1}\" class=\"grid\"/>\n\
             <text x=\"{}\" y=\"{:.1}\" font-size=\"12\" text-anchor=\"end\">{value:.decimals$}</text>",
            WIDTH - 20.0,
            left - 8.0,
            y + 4.0
        );
    }
    for (index, group) in groups.iter().enumerate() {
        let start = left + step * (index as f64 + 0.1);
        for (place, (value, color)) in group.values.iter().zip(COLORS).enumerate() {
            let (x, height) = (start + bar * place as f64, (floor - ceiling) * value / top);
            let _ = writeln!(
                out,
                "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\" fill=\"{color}\"/>\n\
                 <text x=\"{:.1}\" y=\"{:.1}\" font-size=\"12\" text-anchor=\"middle\">{value:.2}</text>",
                floor - height,
                bar * 0.92,
                x + bar * 0.46,
                floor - height - 5.0
            );
        }
        let (x, y) = (start + step * 0.4, floor + 22.0);
        let _ = writeln!(
            out,
            "<text x=\"{x:.1}\" y=\"{y}\" font-size=\"14\" text-anchor=\"middle\">{}</text>",
            xml(&group.name)
        );
    }
    for (index, (name, color)) in series.iter().zip(COLORS).enumerate() {
        let (x, y) = (left + index as f64 * (WIDTH - left) / series.len() as f64, HEIGHT - 32.0);
        let _ = writeln!(
            out,
            "<rect x=\"{x:.1}\" y=\"{y}\" width=\"12\" height=\"12\" fill=\"{color}\"/>\n\
             <text x=\"{:.1}\" y=\"{}\" font-size=\"12\">{}</text>",
            x + 18.0,
            y + 11.0,
            xml(name)
        );
    }
    out + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bar_has_its_height_and_its_value() {
        let groups = [
            Group { name: "one".into(), values: vec![1.0, 2.0] },
            Group { name: "two".into(), values: vec![] },
        ];
        let document = svg("title", "unit", &["a", "b"], &groups);
        for text in ["title", "unit", ">one<", ">two<", ">a<", ">b<", ">1.00<", ">2.00<", "height=\"360.0\""]
        {
            assert!(document.contains(text), "{text}: {document}");
        }
        assert!(svg("", "", &[], &[]).ends_with("</svg>\n"));
    }
}
