//! `legonf plan --hosts`: which replicas run on other hosts.

use super::Arguments;
use crate::failure::Failure;
use legonf_controller::{Costs, HostPlan, HostShare, Model};
use legonf_engine::{HostReport, read_hosts};
use serde::Serialize;
use std::path::Path;

#[derive(Serialize)]
pub struct Report {
    graph: String,
    /// Packets a second that were asked for.
    rate: Option<f64>,
    /// Cores here.
    available: usize,
    /// Whether cores and links carry the rate.
    pub feasible: bool,
    #[serde(flatten)]
    over: HostPlan,
    /// Options of `replay`, `run` and `live` that run it so.
    options: Vec<String>,
}

impl Report {
    pub fn of(arguments: &Arguments, costs: &Costs, file: &Path) -> Result<Self, Failure> {
        if costs.bricks.iter().all(|brick| brick.moved == 0.0) {
            let costs = arguments.costs.display();
            return Err(Failure::fault(format!(
                "{costs}: says of no brick how many bytes it reads and fills (`moved`); measure it again with legonf profile"
            )));
        }
        let hosts = read_hosts(file)?;
        let offers: Vec<_> = hosts.iter().map(HostReport::offer).collect();
        let model = Model::new(costs, arguments.load);
        let over = model.over_hosts(f64::from(arguments.cores), &offers, arguments.rate)?;
        let feasible = arguments.rate.is_none_or(|rate| over.throughput >= rate);
        let options = options(&over, &hosts);
        let (graph, available) = (costs.graph.clone(), usize::from(arguments.cores));
        Ok(Self { graph, rate: arguments.rate, available, feasible, over, options })
    }

    /// That more was asked for, in a line.
    pub fn shortfall(&self) -> Failure {
        Failure::fault(format!(
            "{:.0} packets/s need more than {} cores here and these hosts: they carry {:.0}",
            self.rate.unwrap_or_default(),
            self.available,
            self.over.throughput
        ))
    }

    pub fn text(&self) -> String {
        let HostPlan { plan, capacity, throughput, cores, hosts } = &self.over;
        let mut text = format!(
            "plan        {plan}\nthroughput  {throughput:.0} packets/s, at most {capacity:.0}\nhere        {cores:.1} of {} cores\n",
            self.available
        );
        for host in hosts {
            let HostShare { name, busy, cores, bytes_per_second, link, bricks } = host;
            let bricks: Vec<_> = bricks.iter().map(|at| format!("{}#{}", at.brick, at.replica)).collect();
            text += &format!(
                "host {name:<6} {busy:.1} of {cores:.1} free cores, {:.1} MB/s, {:.0}% of the link: {}\n",
                bytes_per_second / 1e6,
                link * 100.0,
                bricks.join(" ")
            );
        }
        if hosts.is_empty() {
            text += "            no other host is needed, or worth its link\n";
        }
        text + &format!("options     {}\n", self.options.join(" "))
    }
}

fn options(over: &HostPlan, hosts: &[HostReport]) -> Vec<String> {
    let mut options = vec![format!("--workers '{}'", over.plan)];
    for share in &over.hosts {
        let address = hosts.iter().find(|host| host.name == share.name).map(|host| &*host.address);
        options.push(format!("--host {}={}", share.name, address.unwrap_or_default()));
        let place =
            |at: &legonf_controller::Hosted| format!("--place {}#{}={}", at.brick, at.replica, share.name);
        options.extend(share.bricks.iter().map(place));
    }
    options
}
