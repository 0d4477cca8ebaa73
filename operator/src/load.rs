//! What agents say of themselves, over mutual TLS as any host of the cluster asks them.

use crate::names::PORT;
use crate::scale::Agent;
use legonf_transport::Peer;
use legonf_transport::tls::Identity;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;
use tokio::task::{JoinSet, spawn_blocking};

/// How long an agent may take to be connected to, and to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks agents, each by its name and address; nothing of those that do not answer.
pub async fn ask(identity: &Identity, agents: Vec<(String, IpAddr)>) -> Vec<Option<Agent>> {
    let mut asked = JoinSet::new();
    let mut found = vec![None; agents.len()];
    for (at, (name, address)) in agents.into_iter().enumerate() {
        let identity = identity.clone();
        asked.spawn(async move {
            let answer = spawn_blocking(move || ask_one(&identity, &name, address)).await;
            (at, answer.ok().flatten())
        });
    }
    while let Some(Ok((at, agent))) = asked.join_next().await {
        found[at] = agent;
    }
    found
}

fn ask_one(identity: &Identity, name: &str, address: IpAddr) -> Option<Agent> {
    let socket = TcpStream::connect_timeout(&SocketAddr::new(address, PORT), PATIENCE).ok()?;
    let channel = identity.connect(name, socket, PATIENCE).ok()?;
    let mut peer = Peer::meet(Box::new(channel), name, PATIENCE).ok()?;
    let load = peer.load().ok()?;
    Some(Agent { cores: load.host.cores, bricks: load.bricks })
}
