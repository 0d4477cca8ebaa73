//! `legonf threshold`, `suppress` and `controller`: changes of what a run judges by that was started with `--http`.

use crate::Style;
use crate::failure::{Failure, show};
use crate::http::{Changeable, Run};
use crate::running::changed;
use clap::{Args, ValueEnum};
use legonf_core::grouped;
use legonf_engine::reading;
use legonf_output::one_line;
use legonf_server::api::{
    Changed, EndSuppression, Pause, Pin, PolicyText, Renewed, Suppress, SuppressionList, SuppressionRow,
    Threshold,
};
use std::path::PathBuf;

/// Changes the threshold of a run while packets flow, from the next batch of packets on. It says which packet is the first. The threshold
/// holds until it is changed again; a new model brings its own.
#[derive(Args)]
pub struct ThresholdArguments {
    /// Scores above it are alerts.
    #[arg(allow_negative_numbers = true)]
    value: f64,
    #[command(flatten)]
    run: Changeable,
}

/// Lets a run tell of no more alerts of a host, a network or a port. Their packets are scored as before, and the alerts are counted as
/// suppressed. Without a host or a port it shows what is suppressed, and how often that was.
#[derive(Args)]
pub struct SuppressArguments {
    /// An address such as 10.0.0.7, or a network such as 10.0.0.0/8.
    #[arg(value_name = "ADDR|NETWORK", requires = "http_token")]
    host: Option<String>,
    /// A port of either side.
    #[arg(long, value_name = "N", requires = "http_token")]
    port: Option<u16>,
    /// Up to this time of packets (RFC 3339), such as 2027-01-01T00:00:00Z.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    /// Let this suppression end, by its number.
    #[arg(long, value_name = "NUMBER", requires = "http_token", conflicts_with_all = ["host", "port", "until", "comment"])]
    end: Option<usize>,
    #[command(flatten)]
    run: Run,
}

/// Lets the controller of a run leave the layout as it is, such as one that was set by `legonf scale`, or that of a brick alone; go on; or
/// decide by another policy.
#[derive(Args)]
pub struct ControllerArguments {
    /// What it is to do.
    #[arg(value_enum)]
    order: Order,
    /// The brick, with `pin` and `unpin`; `legonf status` names them.
    #[arg(required_if_eq_any([("order", "pin"), ("order", "unpin")]))]
    brick: Option<String>,
    /// The policy that is to be in force (TOML), with `apply`. Keys that are left out have their defaults.
    #[arg(long, value_name = "FILE", required_if_eq("order", "apply"))]
    policy: Option<PathBuf>,
    #[command(flatten)]
    run: Changeable,
}

/// What a controller is to do.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Order {
    /// Leave the layout as it is.
    Pause,
    /// Go on.
    Resume,
    /// Leave a brick alone, with those that share its workers.
    Pin,
    /// Do so no more.
    Unpin,
    /// Decide by the policy of --policy.
    Apply,
}

pub fn threshold(arguments: &ThresholdArguments, style: Style) -> Result<(), Failure> {
    let asked = Threshold { threshold: arguments.value };
    show(&arguments.run.client()?.post::<Renewed>("/api/v1/threshold", &asked)?, renewed, style)
}

pub fn suppress(arguments: &SuppressArguments, style: Style) -> Result<(), Failure> {
    let SuppressArguments { host, port, until, comment, end, run } = arguments;
    let client = run.client()?;
    if host.is_none() && port.is_none() && end.is_none() {
        let list: SuppressionList = client.get("/api/v1/suppressions")?;
        return show(&list, |list| list.suppressions.iter().map(line).collect(), style);
    }
    let done: Renewed = match end {
        Some(number) => client.post("/api/v1/suppressions/end", &EndSuppression { number: *number })?,
        None => {
            let is_network = host.as_ref().is_some_and(|host| host.contains('/'));
            let (address, prefix) = if is_network { (None, host.clone()) } else { (host.clone(), None) };
            let (until, comment) = (until.clone(), comment.clone());
            client.post("/api/v1/suppressions", &Suppress { address, prefix, port: *port, until, comment })?
        }
    };
    show(&done, renewed, style)
}

pub fn controller(arguments: &ControllerArguments, style: Style) -> Result<(), Failure> {
    let client = arguments.run.client()?;
    let done: Changed = match (arguments.order, &arguments.policy) {
        (Order::Apply, Some(file)) => {
            let policy = reading::text(file, reading::TABLE)?;
            client.post("/api/v1/policy", &PolicyText { policy })?
        }
        (Order::Pin | Order::Unpin, _) => {
            let brick = arguments.brick.clone().unwrap_or_default();
            client.post("/api/v1/pin", &Pin { brick, is_pinned: arguments.order == Order::Pin })?
        }
        (order, _) => client.post("/api/v1/controller", &Pause { is_paused: order == Order::Pause })?,
    };
    show(&done, changed, style)
}

/// What is said of a change from a packet on.
pub fn renewed(renewed: &Renewed) -> String {
    format!("{} is in force from packet {} on\n", one_line(&renewed.change), renewed.from_packet)
}

fn line(row: &SuppressionRow) -> String {
    let SuppressionRow { number, of, until, comment, is_ended, alerts } = row;
    let until = until.as_ref().map_or_else(String::new, |until| format!(" until {until}"));
    let ended = if *is_ended { ", ended" } else { "" };
    let comment = comment.as_ref().map_or_else(String::new, |comment| format!(" ({})", one_line(comment)));
    format!("{number:<4} {}{until}: {} alerts{ended}{comment}\n", one_line(of), grouped(*alerts))
}
