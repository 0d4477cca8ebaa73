//! `legonf experiment`: measurements on generated traffic, and the papers' tables.

use crate::Style;
use crate::failure::{Failure, show};
use clap::Subcommand;
use legonf_experiments::{
    deepnfv, deepnfv_figure4, detectors, elasticity, failover, figure4, flood, hosts, lego_table2, quiet,
    speedybox, statelessnf_figure4_8,
};

/// The subcommands of `legonf experiment`.
#[derive(Subcommand)]
pub enum Command {
    /// Flood the extractor from spoofed sources, each packet from another one, while a scan goes on: memory against
    /// its bound, throughput against that without the flood, what was evicted, and whether the scan is still found.
    Flood(flood::Flood),
    /// Run an hour's worth of packets with a scan in them: memory should be flat.
    Soak(flood::Soak),
    #[command(
        about = "LEGO's Table II: what splits of the traffic do to Kitsune's scores; the exact plan changes no bit"
    )]
    LegoTable2(lego_table2::Arguments),
    #[command(
        about = "LEGO's Figure 4: throughput before and after the controller replicates the bottleneck"
    )]
    LegoFigure4(figure4::Arguments),
    #[command(about = "DeepNFV's Table I: how well classifiers tell applications and devices apart")]
    DeepnfvTable1(deepnfv::Arguments),
    #[command(about = "DeepNFV's Figure 4: what an instance costs as a thread, a process and a container")]
    DeepnfvFigure4(deepnfv_figure4::Arguments),
    #[command(about = "A load that rises, holds and falls in steps, under the controller")]
    Elasticity(elasticity::Arguments),
    #[command(
        name = "statelessnf-figure4-8",
        about = "StatelessNF's Figure 4.8: goodput while a replica comes and goes on another host"
    )]
    StatelessnfFigure48(statelessnf_figure4_8::Arguments),
    #[command(about = "SpeedyBox's Figure 4: one to three filters in turn, and on one fast path")]
    SpeedyboxFigure4(speedybox::Arguments),
    #[command(about = "SpeedyBox's Table III: packets that the last of three filters drops")]
    SpeedyboxTable3(speedybox::Arguments),
    #[command(about = "SpeedyBox's Figure 8: one to nine filters")]
    SpeedyboxFigure8(speedybox::Arguments),
    #[command(about = "SpeedyBox's Figure 9: the time of flows in NAT, load balancer, monitor and filter")]
    SpeedyboxFigure9(speedybox::Arguments),
    #[command(about = "Parts of a graph killed, frozen and cut off while packets flow")]
    Failover(failover::Arguments),
    #[command(about = "Slots on the move between two hosts while packets flow")]
    Hosts(hosts::Arguments),
    #[command(about = "Benign traffic through a model made by the defaults: alerts minute by minute")]
    Quiet(quiet::Arguments),
    #[command(about = "Every detector on captures with labels, cold and warm")]
    Detectors(detectors::Arguments),
}

/// Runs a figure of SpeedyBox.
fn speedybox(
    figure: speedybox::Figure,
    arguments: &speedybox::Arguments,
    style: Style,
) -> Result<(), Failure> {
    show(&speedybox::run(figure, arguments, &style.session())?, speedybox::text, style)
}

pub fn run(command: &Command, style: Style) -> Result<(), Failure> {
    let session = style.session();
    match command {
        Command::Flood(arguments) => show(&flood::flood(arguments, &session)?, flood::flood_text, style),
        Command::Soak(arguments) => show(&flood::soak(arguments, &session)?, flood::soak_text, style),
        Command::Detectors(arguments) => {
            show(&detectors::run(arguments, &session)?, detectors::summary_text, style)
        }
        Command::Elasticity(arguments) => {
            show(&elasticity::run(arguments, &session)?, elasticity::text, style)
        }
        Command::StatelessnfFigure48(arguments) => {
            show(&statelessnf_figure4_8::run(arguments, &session)?, statelessnf_figure4_8::text, style)
        }
        Command::SpeedyboxFigure4(arguments) => speedybox(speedybox::Figure::Four, arguments, style),
        Command::SpeedyboxTable3(arguments) => speedybox(speedybox::Figure::Three, arguments, style),
        Command::SpeedyboxFigure8(arguments) => speedybox(speedybox::Figure::Eight, arguments, style),
        Command::SpeedyboxFigure9(arguments) => speedybox(speedybox::Figure::Nine, arguments, style),
        Command::DeepnfvTable1(arguments) => show(&deepnfv::run(arguments, &session)?, deepnfv::text, style),
        Command::LegoFigure4(arguments) => show(&figure4::run(arguments, &session)?, figure4::text, style),
        Command::DeepnfvFigure4(arguments) => {
            let report = deepnfv_figure4::run(arguments, &session)?;
            report.map_or(Ok(()), |report| show(&report, deepnfv_figure4::text, style))
        }
        Command::Failover(arguments) => {
            let report = failover::run(arguments, &session)?;
            show(&report, failover::text, style)?;
            report.failure().map_or(Ok(()), |failure| Err(Failure::fault(failure)))
        }
        Command::Hosts(arguments) => {
            let report = hosts::run(arguments, &session)?;
            show(&report, hosts::text, style)?;
            report.failure().map_or(Ok(()), |failure| Err(Failure::fault(failure)))
        }
        Command::Quiet(arguments) => {
            let report = quiet::run(arguments, &session)?;
            show(&report, quiet::text, style)?;
            report.failure().map_or(Ok(()), |failure| Err(Failure::fault(failure)))
        }
        Command::LegoTable2(arguments) => {
            let outcome = lego_table2::run(arguments, &session)?;
            show(&outcome, lego_table2::Outcome::text, style)?;
            outcome.failure().map_or(Ok(()), |failure| Err(Failure::fault(failure)))
        }
    }
}
