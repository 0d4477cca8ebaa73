//! A classifier in figures.

use crate::Style;
use crate::failure::{Failure, print_json, tell};
use crate::summary::tables;
use legonf_models::{ClassifierBundle, ModelCard, Provenance};
use serde::Serialize;

#[derive(Serialize)]
struct Shown<'a> {
    kind: &'static str,
    classes: &'a [String],
    unknown_below: f64,
    card: &'a ModelCard,
    provenance: &'a Provenance,
}

/// Prints its classes and its card.
pub fn show(model: &ClassifierBundle, style: Style) -> Result<(), Failure> {
    let ClassifierBundle { classes, unknown_below, card, provenance, .. } = model;
    let shown = Shown { kind: "classifier", classes, unknown_below: *unknown_below, card, provenance };
    if style.json {
        return print_json(&shown);
    }
    let [training, validation, test] = card.samples;
    let mut rows = vec![
        (
            "kind",
            format!("classifier ({}: {} networks, {} trees)", card.architecture, card.networks, card.trees),
        ),
        ("classes", classes.join(", ")),
        ("unknown", format!("below a probability of {unknown_below:.3}")),
        (
            "samples",
            format!(
                "{training} to learn from, {validation} to choose by, {test} to judge by; divided by {}",
                card.split
            ),
        ),
    ];
    if let (Some(precision), Some(recall)) = (card.precision, card.recall) {
        rows.push((
            "held out",
            format!("precision {precision:.3}, recall {recall:.3}, averaged over classes"),
        ));
    }
    rows.extend(card.warning.clone().map(|warning| ("warning", warning)));
    rows.extend(card.flows.clone().map(|flows| ("flow table", flows)));
    rows.push(("made by", format!("legonf {}", provenance.legonf)));
    rows.push(("captures", format!("{} files", provenance.captures.len())));
    tell(&tables::fields(&rows))
}
