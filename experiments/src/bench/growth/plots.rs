//! The plots of what was measured.

use super::{MIB, Measured, PRECISIONS, Point, Report};
use legonf_io::sink::SeriesPlot;

type Curve = Vec<(f64, f64)>;

/// The plots and the names of their files.
pub fn plots(report: &Report) -> [(&'static str, SeriesPlot); 4] {
    [
        ("streams.svg", over_streams(report)),
        ("state.svg", state(report)),
        ("batches.svg", over_batches(report)),
        ("features.svg", over_features(report)),
    ]
}

fn plot(title: &str, across: &str, up: &str, series: Vec<(String, Curve)>) -> SeriesPlot {
    let (title, across, up) = (title.into(), across.into(), up.into());
    SeriesPlot { title, across, up, decades: true, series, bound: None }
}

/// The points that `place` puts somewhere.
fn curve(report: &Report, place: impl Fn(&Measured) -> Option<(f64, f64)>) -> Curve {
    report.points.iter().filter_map(place).collect()
}

fn over_streams(report: &Report) -> SeriesPlot {
    let rates = curve(report, |m| match m.point {
        Point::Extraction { streams } => Some((f64::from(streams), m.per_second / 1e6)),
        _ => None,
    });
    let title = "Parser and extractor over the number of streams, one core";
    plot(title, "streams", "million packets a second", vec![("parser and extractor".into(), rates)])
}

fn state(report: &Report) -> SeriesPlot {
    let bytes = curve(report, |m| match (m.point, &m.state) {
        (Point::Extraction { streams }, Some(state)) => {
            Some((f64::from(streams), state.state_bytes as f64 / MIB))
        }
        _ => None,
    });
    let bound = report.points.iter().find_map(|m| Some(m.state.as_ref()?.state_bytes_bound as f64 / MIB));
    let series = vec![("state".into(), bytes)];
    SeriesPlot {
        bound: bound.map(|mib| ("bound".into(), mib)),
        ..plot("State of the extractor", "streams", "memory (MiB)", series)
    }
}

fn over_batches(report: &Report) -> SeriesPlot {
    let network = PRECISIONS.map(|wanted| {
        let place = |m: &Measured| match m.point {
            Point::NetworkBatch { batch, precision } if precision == wanted => {
                Some((batch as f64, m.per_second / 1e6))
            }
            _ => None,
        };
        (format!("network in {wanted}"), curve(report, place))
    });
    let extraction = curve(report, |m| match m.point {
        Point::ExtractionBatch { batch } => Some((batch as f64, m.per_second / 1e6)),
        _ => None,
    });
    let series = network.into_iter().chain([("parser and extractor".into(), extraction)]).collect();
    plot("115 features over the batch size, one core", "packets in a batch", "million a second", series)
}

fn over_features(report: &Report) -> SeriesPlot {
    let costs = PRECISIONS.map(|wanted| {
        let place = |m: &Measured| match m.point {
            Point::Network { features, precision } if precision == wanted => {
                Some((features as f64, 1e9 / m.per_second / features as f64))
            }
            _ => None,
        };
        (wanted.to_string(), curve(report, place))
    });
    let title = "Network over the number of features, batches of 256, one core";
    plot(title, "features", "ns a feature", costs.into())
}
