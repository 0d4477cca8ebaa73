//! `legonf-operator`: brick graphs on Kubernetes.

use clap::{Parser, Subcommand};
use kube::Client;
use legonf_operator::scale::Patience;
use legonf_operator::{Settings, definition, run};
use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

/// Looks after the BrickGraphs of a Kubernetes cluster: makes agents and the process of each graph, and adds or takes away agents as the graph
/// fills them.
#[derive(Parser)]
#[command(name = "legonf-operator", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Look after graphs until SIGTERM. Reaches the cluster as its pod's account, or as kubectl does.
    Run(Run),
    /// Print the definition of the resource, for `kubectl apply -f -`.
    Crd,
}

#[derive(clap::Args)]
struct Run {
    /// Look after the graphs of this namespace alone.
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// Seconds between two looks at the agents of a graph.
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0, value_parser = seconds)]
    tick: f64,
    /// Add an agent after so many looks at which no agent had a free place.
    #[arg(long, value_name = "LOOKS", default_value_t = 3)]
    ticks_up: u32,
    /// Take the last agent away after so many looks at which the others had room for its bricks and one more.
    #[arg(long, value_name = "LOOKS", default_value_t = 24)]
    ticks_down: u32,
}

fn seconds(text: &str) -> Result<f64, &'static str> {
    let seconds = text.parse().ok().filter(|seconds| (0.1..=3600.0).contains(seconds));
    seconds.ok_or("seconds from 0.1 to 3600")
}

#[tokio::main]
async fn main() -> ExitCode {
    match work(Arguments::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("legonf-operator: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn work(command: Command) -> Result<(), Box<dyn Error>> {
    match command {
        Command::Crd => print!("{}", serde_yaml_ng::to_string(&definition())?),
        Command::Run(Run { namespace, tick, ticks_up, ticks_down }) => {
            let client =
                Client::try_default().await.map_err(|error| format!("no cluster is known: {error}"))?;
            let (tick, patience) =
                (Duration::from_secs_f64(tick), Patience { up: ticks_up, down: ticks_down });
            run(client, Settings { namespace, tick, patience }).await?;
        }
    }
    Ok(())
}
