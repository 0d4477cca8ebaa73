//! `legonf audit`: what a classifier's score rests on.

use crate::Style;
use crate::failure::{Failure, show};
use crate::summary::tables;
use clap::Args;
use legonf_engine::{Audit, Audited, Finding};
use legonf_output::one_line;
use std::path::PathBuf;

/// Says what a classifier's score rests on: how well its classes are told apart by a forest that is trained anew with TLS record
/// headers or each range of bytes hidden, and with addresses and ports added; which samples are equal; which classes are one capture.
///
/// A forest learns in seconds and reads what the classifier reads. A high score that stays with most of the payload hidden rests on
/// what is left; one that rises with addresses says that the captures tell classes apart, not the traffic.
#[derive(Args)]
pub struct Arguments {
    /// Classifier of `legonf train classifier`.
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// Labelled flows, as `legonf train classifier` takes them.
    #[arg(required = true, value_name = "DIR|IDX|CAPTURES")]
    inputs: Vec<PathBuf>,
}

pub fn run(arguments: &Arguments, style: Style) -> Result<(), Failure> {
    let audit = Audit { model: arguments.model.clone(), inputs: arguments.inputs.clone() };
    show(&audit.run(&style.session())?, text, style)
}

fn text(audited: &Audited) -> String {
    let row = |finding: &Finding| {
        let figure = |value: f64| format!("{value:.3}");
        let Finding { name, quality, accuracy } = finding;
        vec![name.clone(), figure(quality.precision), figure(quality.recall), figure(*accuracy)]
    };
    let rows: Vec<_> = audited.findings.iter().map(row).collect();
    let line =
        |cells: &[String]| format!("{:<38}  {:>9}  {:>6}  {:>8}\n", cells[0], cells[1], cells[2], cells[3]);
    let head =
        format!("forests of {} trees, trained anew; samples divided by {}\n", audited.trees, audited.split);
    let table = tables::table(&["what is read", "precision", "recall", "accuracy"], &rows, line);
    head + &table + &mistakes(audited) + &origins(audited)
}

fn mistakes(audited: &Audited) -> String {
    let line = |(class, taken, count): &(String, String, u64)| {
        format!("mistake     {count} of {} taken for {}\n", one_line(class), one_line(taken))
    };
    audited.mistakes.iter().map(line).collect()
}

fn origins(audited: &Audited) -> String {
    let found = &audited.duplicates;
    let mut out = format!(
        "duplicates  {} of {} test samples are also learnt from; {} samples equal one of another class\n",
        found.across_the_split, found.of, found.of_other_classes
    );
    let names: Vec<_> = audited.one_capture.iter().map(|class| one_line(&class.class)).collect();
    match &*names {
        [] => out += "captures    every class has several\n",
        names => {
            let known = audited.one_capture.iter().any(|class| class.capture.is_some());
            let what = if known { "of one capture" } else { "of one capture, as far as the data say" };
            out += &format!(
                "captures    {what}: {}; what tells these apart may be the capture\n",
                names.join(", ")
            );
        }
    }
    out
}
