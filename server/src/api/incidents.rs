//! What alerts gathered into.

use super::change::{Authorized, problem};
use super::{Problem, Shared};
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use legonf_core::{Counted, Incident};
use legonf_engine::monitor::Monitor;
use serde::{Deserialize, Serialize};
use std::fmt::Display;
use utoipa::ToSchema;

/// Incidents of an answer, at most.
const MOST: usize = 200;

/// Alerts of one source in which it did one thing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct IncidentRow {
    /// Number of its first packet, by which it is told from others.
    pub id: u64,
    /// Whether it goes on.
    pub is_open: bool,
    /// Whom it is about.
    pub source: String,
    /// How many sources.
    pub sources: u64,
    /// `host-scan`, `port-scan`, `flood` or `other`.
    pub activity: String,
    /// `low`, `medium` or `high`.
    pub severity: String,
    /// Time of its first alert, in UTC (ISO 8601).
    pub since: String,
    /// Time of its last alert.
    pub until: String,
    /// Packets above the threshold.
    pub packets: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
    /// Hosts to which they went.
    pub hosts: u64,
    /// Those with most packets.
    pub top_hosts: Vec<Peer>,
    /// Ports of services.
    pub ports: u64,
    /// Those with most packets.
    pub top_ports: Vec<Service>,
    /// The threshold.
    pub threshold: f64,
    /// Mean score of its packets.
    pub mean_score: f64,
    /// Highest score.
    pub peak_score: f64,
    /// Number of the packet with the highest score.
    pub peak_packet: u64,
    /// Who, since when, what and how unusual, in a sentence.
    pub text: String,
    /// What deviated most in the packet with the highest score.
    pub features: Vec<Feature>,
}

/// A host with its packets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Peer {
    /// Its address.
    pub host: String,
    /// Packets.
    pub packets: u64,
}

/// A port with its packets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Service {
    /// The port.
    pub port: u16,
    /// Packets.
    pub packets: u64,
}

/// A feature that was far from what the network expected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Feature {
    /// Name in the schema.
    pub name: String,
    /// What it measures and how it deviates, in words.
    pub words: String,
    /// What the network expected.
    pub expected: f64,
    /// What was observed.
    pub observed: f64,
}

/// Incidents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct IncidentList {
    /// Those that go on, those with most packets first, and then those that have ended, the latest first; at most 200.
    pub incidents: Vec<IncidentRow>,
    /// How many have ended so far.
    pub ended: u64,
}

impl IncidentRow {
    /// An incident that goes on, or has ended.
    pub fn of(incident: &Incident, is_open: bool) -> Self {
        let peer = |host: &Counted<String>| Peer { host: host.value.clone(), packets: host.packets };
        let service = |port: &Counted<u16>| Service { port: port.value, packets: port.packets };
        let feature = |deviation: &legonf_core::Deviation| Feature {
            name: deviation.feature.clone(),
            words: deviation.to_string(),
            expected: deviation.expected,
            observed: deviation.observed,
        };
        let source: &dyn Display = if incident.sources > 1 { &"many sources" } else { &incident.source };
        Self {
            id: incident.first_seq,
            is_open,
            source: source.to_string(),
            sources: incident.sources,
            activity: incident.activity.label().to_owned(),
            severity: incident.severity.label().to_owned(),
            since: incident.since.iso8601(),
            until: incident.until.iso8601(),
            packets: incident.packets,
            bytes: incident.bytes,
            hosts: incident.hosts,
            top_hosts: incident.top_hosts.iter().map(peer).collect(),
            ports: incident.ports,
            top_ports: incident.top_ports.iter().map(service).collect(),
            threshold: incident.threshold,
            mean_score: incident.mean_score,
            peak_score: incident.peak_score,
            peak_packet: incident.peak_seq,
            text: incident.to_string(),
            features: incident.features.iter().map(feature).collect(),
        }
    }

    /// Those of a run, up to so many.
    pub fn all(monitor: &Monitor, most: usize) -> IncidentList {
        let moment = monitor.moment();
        let open = moment.accounts.open.iter().map(|incident| Self::of(incident, true));
        let ended = monitor.incidents(most);
        let ended = ended.iter().map(|(_, incident)| Self::of(incident, false));
        IncidentList { incidents: open.chain(ended).take(most).collect(), ended: moment.closed }
    }
}

/// Incidents that go on, and those that have ended
#[utoipa::path(get, path = "/api/v1/incidents", responses((status = 200, description = "The incidents", body = IncidentList)))]
pub(super) async fn incidents(State(shared): State<Shared>) -> Json<IncidentList> {
    Json(IncidentRow::all(&shared.monitor, MOST))
}

/// One incident with its explanation
#[utoipa::path(get, path = "/api/v1/incidents/{id}", params(("id" = u64, Path, description = "Number of its first packet")), responses(
    (status = 200, description = "The incident", body = IncidentRow),
    (status = 400, description = "No number", body = Problem),
    (status = 404, description = "There is none, or it is too old to be kept", body = Problem)
))]
pub(super) async fn incident(
    State(shared): State<Shared>,
    id: Result<Path<u64>, PathRejection>,
) -> Result<Json<IncidentRow>, Problem> {
    let Path(id) =
        id.map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "expected the number of a packet"))?;
    let (incident, is_open) = find(&shared.monitor, id)?;
    Ok(Json(IncidentRow::of(&incident, is_open)))
}

/// An incident by its number, and whether it goes on.
fn find(monitor: &Monitor, id: u64) -> Result<(Incident, bool), Problem> {
    let open = monitor.moment().accounts.open.iter().find(|incident| incident.first_seq == id).cloned();
    let ended = || monitor.incidents(usize::MAX).into_iter().find(|(_, incident)| incident.first_seq == id);
    let ended = || ended().map(|(_, incident)| ((*incident).clone(), false));
    open.map(|incident| (incident, true))
        .or_else(ended)
        .ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, format!("no incident begins with packet {id}")))
}

/// The packets that raised the alerts of an incident, as a capture (pcapng); the latest 32 MiB of all incidents are kept
#[utoipa::path(get, path = "/api/v1/incidents/{id}/packets", params(("id" = u64, Path, description = "Number of its first packet")),
    security(("token" = [])), responses(
    (status = 200, description = "The capture", body = Vec<u8>, content_type = "application/vnd.tcpdump.pcap"),
    (status = "4XX", description = "Why there is none", body = Problem)
))]
pub(super) async fn packets(
    _: Authorized,
    State(shared): State<Shared>,
    id: Result<Path<u64>, PathRejection>,
) -> Result<Response, Problem> {
    let Path(id) =
        id.map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "expected the number of a packet"))?;
    let (incident, _) = find(&shared.monitor, id)?;
    let (capture, packets) = shared.monitor.packets_of(&incident).map_err(problem)?;
    let name = format!("attachment; filename=\"incident-{id}-{packets}-packets.pcapng\"");
    let media = "application/vnd.tcpdump.pcap".to_owned();
    Ok(([(header::CONTENT_TYPE, media), (header::CONTENT_DISPOSITION, name)], capture).into_response())
}
