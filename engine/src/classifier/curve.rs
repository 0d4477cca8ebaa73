//! The learning curve of a classifier, as a table or as a plot.

use crate::{Error, write_text};
use legonf_io::sink::SeriesPlot;
use legonf_train::Epoch;
use std::path::Path;

/// Networks that have curves of their own in a plot; of more the mean is drawn.
const DRAWN: usize = 3;

/// Writes a learning curve: an SVG plot where the name ends so, else CSV.
///
/// # Errors
/// If the file cannot be written.
pub(super) fn write(path: &Path, epochs: &[Epoch]) -> Result<(), Error> {
    let is_svg = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("svg"));
    if is_svg { Ok(plot(epochs).write_svg(path)?) } else { write_text(path, &csv(epochs)) }
}

fn csv(epochs: &[Epoch]) -> String {
    let head = "network,epoch,training_loss,validation_loss,validation_accuracy,validation_precision,validation_recall\n";
    let line = |e: &Epoch| {
        format!(
            "{},{},{},{},{},{},{}\n",
            e.member,
            e.epoch,
            e.training_loss,
            e.validation_loss,
            e.validation_accuracy,
            e.validation_precision,
            e.validation_recall
        )
    };
    epochs.iter().map(line).fold(head.to_owned(), |all, line| all + &line)
}

/// One of the losses of a pass.
type Loss = fn(&Epoch) -> f64;

fn plot(epochs: &[Epoch]) -> SeriesPlot {
    let networks = epochs.iter().map(|epoch| epoch.member + 1).max().unwrap_or(0);
    let losses: [(&str, Loss); 2] =
        [("training", |epoch| epoch.training_loss), ("validation", |epoch| epoch.validation_loss)];
    let series = losses.iter().flat_map(|(part, loss)| match networks {
        0 => Vec::new(),
        1 => vec![((*part).into(), of_network(epochs, 0, *loss))],
        2..=DRAWN => (0..networks)
            .map(|network| (format!("{part}, network {network}"), of_network(epochs, network, *loss)))
            .collect(),
        _ => vec![(format!("{part}, mean of {networks} networks"), mean(epochs, *loss))],
    });
    SeriesPlot {
        title: "learning curve".into(),
        across: "passes over the samples".into(),
        up: "mean cross-entropy (nats)".into(),
        decades: false,
        series: series.collect(),
        bound: None,
    }
}

fn of_network(epochs: &[Epoch], network: usize, loss: Loss) -> Vec<(f64, f64)> {
    let own = epochs.iter().filter(|epoch| epoch.member == network);
    own.map(|epoch| (epoch.epoch as f64, loss(epoch))).collect()
}

/// The mean of each pass over the networks that had not stopped before it.
fn mean(epochs: &[Epoch], loss: Loss) -> Vec<(f64, f64)> {
    let passes = epochs.iter().map(|epoch| epoch.epoch).max().unwrap_or(0);
    let of_pass = |pass: usize| {
        let losses: Vec<f64> = epochs.iter().filter(|epoch| epoch.epoch == pass).map(loss).collect();
        (!losses.is_empty()).then(|| (pass as f64, losses.iter().sum::<f64>() / losses.len() as f64))
    };
    (1..=passes).filter_map(of_pass).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(networks: usize) -> Vec<Epoch> {
        let epoch = |member: usize, epoch: usize| Epoch {
            member,
            epoch,
            training_loss: (member + 1) as f64 / f64::from(1 << epoch) * 2.0,
            validation_loss: (member + 2) as f64 / f64::from(1 << epoch) * 2.0,
            validation_accuracy: 0.5,
            validation_precision: 0.25,
            validation_recall: 0.75,
        };
        // The last network stops a pass earlier.
        let passes = |member: usize| if member + 1 == networks { 1..=2 } else { 1..=3 };
        (0..networks).flat_map(|member| passes(member).map(move |pass| epoch(member, pass))).collect()
    }

    #[test]
    fn few_networks_have_curves_of_their_own_and_more_their_mean() {
        let names = |networks: usize| {
            plot(&epochs(networks)).series.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
        };
        assert!(names(0).is_empty());
        assert_eq!(names(1), ["training", "validation"]);
        assert_eq!(names(3).len(), 6);
        assert_eq!(names(3)[5], "validation, network 2");
        let five = plot(&epochs(5)).series;
        assert_eq!(five[0].0, "training, mean of 5 networks");
        assert_eq!(five[0].1, [(1.0, 3.0), (2.0, 1.5), (3.0, 0.625)]);
        assert_eq!(five[1].1[0], (1.0, 4.0));
    }

    #[test]
    fn the_ending_says_whether_it_is_drawn_or_written_as_a_table() {
        let folder = tempfile::tempdir().unwrap();
        let text = |name: &str| {
            let path = folder.path().join(name);
            write(&path, &epochs(2)).unwrap();
            std::fs::read_to_string(path).unwrap()
        };
        let table = text("curve.csv");
        assert_eq!(table.lines().nth(1), Some("0,1,1,2,0.5,0.25,0.75"));
        assert_eq!(table.lines().count(), 6);
        let drawn = text("curve.SVG");
        for word in ["<svg", "learning curve", "cross-entropy", "validation, network 1"] {
            assert!(drawn.contains(word), "{word}");
        }
        assert!(!drawn.contains("NaN") && drawn.matches("<polyline").count() >= 4, "{drawn}");
    }
}
