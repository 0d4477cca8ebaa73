//! Figures for Prometheus, by its conventions of names and units.

use crate::api::{Graph, Shared};
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use legonf_core::Passage;
use legonf_engine::monitor::{Facts, Moment};
use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet, prometheus_text, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// What a series is of.
type Labels = Vec<(&'static str, String)>;

/// Bounds of latencies, as powers of two of nanoseconds: from 16 µs to 17 s, which are exact.
const BOUNDS: RangeInclusive<u32> = 14..=34;

/// The media type of OpenMetrics.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Metrics for Prometheus: its text format, or OpenMetrics for who accepts that
#[utoipa::path(get, path = "/metrics", responses((status = 200, description = "All metrics", body = String, content_type = "text/plain")))]
pub(crate) async fn metrics(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let open = accepted.contains("application/openmetrics-text");
    let registry = registry(shared.monitor.facts(), &shared.monitor.moment());
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ =
        if open { text::encode(&mut out, &registry) } else { prometheus_text::encode(&mut out, &registry) };
    let media = if open { OPENMETRICS } else { prometheus_text::CONTENT_TYPE };
    ([(header::CONTENT_TYPE, media)], out).into_response()
}

/// A registry that is filled for one answer.
struct Metrics(Registry);

impl Metrics {
    fn counters(&mut self, name: &str, help: &str, series: impl IntoIterator<Item = (Labels, u64)>) {
        let family = Family::<Labels, Counter>::default();
        for (labels, value) in series {
            family.get_or_create(&labels).inc_by(value);
        }
        self.0.register(name, help, family);
    }

    fn gauges(&mut self, name: &str, help: &str, series: impl IntoIterator<Item = (Labels, f64)>) {
        let family = Family::<Labels, Gauge<f64, AtomicU64>>::default();
        for (labels, value) in series {
            family.get_or_create(&labels).set(value);
        }
        self.0.register(name, help, family);
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.counters(name, help, [(Vec::new(), value)]);
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.gauges(name, help, [(Vec::new(), value)]);
    }
}

fn registry(facts: &Facts, moment: &Moment) -> Registry {
    let mut metrics = Metrics(Registry::with_prefix("legonf"));
    let graph = Graph::of(facts, moment);
    of_packets(&mut metrics, moment);
    of_bricks(&mut metrics, facts, &graph, moment);
    of_stages(&mut metrics, &graph);
    of_run(&mut metrics, &graph, moment);
    metrics.0
}

fn of_packets(metrics: &mut Metrics, moment: &Moment) {
    let accounts = &moment.accounts;
    let coverage = &accounts.coverage;
    let counters = crate::api::Counters::of(accounts);
    metrics.counter(
        "packets_received",
        "Packets that the source delivered, or knows that it lost",
        coverage.received,
    );
    metrics.counter("packets_scored", "Packets that got a score and a verdict", coverage.scored);
    let rejected = counters.rejected.iter().map(|loss| (vec![("reason", loss.reason.clone())], loss.packets));
    metrics.counters("packets_rejected", "Packets that could not be scored, by reason", rejected);
    let dropped = counters.dropped.iter().map(|loss| {
        (vec![("reason", loss.reason.clone()), ("wanted", loss.is_wanted.to_string())], loss.packets)
    });
    let help = "Packets that were dropped, by reason, and whether the graph wanted that";
    metrics.counters("packets_dropped", help, dropped);
    let help = "Packets that were scored but not judged, since statistics had not settled";
    metrics.counter("packets_warming_up", help, accounts.warming_up);
    metrics.counter("alerts", "Packets above the threshold that were judged", accounts.alerts);
    metrics.counter("incidents", "Incidents that have ended", moment.closed);
    let help = "Incidents that go on, up to 50";
    metrics.gauge("incidents_open", help, accounts.open.len() as f64);
}

fn of_bricks(metrics: &mut Metrics, facts: &Facts, graph: &Graph, moment: &Moment) {
    let brick = |id: &str| vec![("brick", id.to_owned())];
    let packets = graph.bricks.iter().map(|each| (brick(&each.id), each.packets));
    metrics.counters("brick_packets", "Packets that a brick has handed on", packets);
    let Some(passages) = moment.passages() else { return };
    let bytes = facts.passed(passages).map(|(id, passage)| (brick(id), passage.bytes));
    let help = "Bytes of the packets that a brick has handed on, as they were on the wire";
    metrics.counters("brick_bytes", help, bytes);
    let counted = |((id, event), count): (&(String, &'static str), &u64)| {
        (vec![("brick", id.clone()), ("event", (*event).to_owned())], *count)
    };
    let help = "What bricks count, such as streams that were evicted for want of room (evicted-...)";
    metrics.counters("brick_events", help, moment.counters.iter().map(counted));
    let latencies = facts.passed(passages).map(|(id, passage)| (brick(id), passage.clone()));
    let help = "Seconds for which packets waited for a brick and were with it";
    metrics.0.register("brick_latency_seconds", help, Latencies(latencies.collect()));
    let help = "Seconds that packets took from the source to the sink";
    let whole = vec![(Vec::new(), passages.whole.clone())];
    metrics.0.register("packet_latency_seconds", help, Latencies(whole));
}

/// Histograms that were filled elsewhere.
#[derive(Debug)]
struct Latencies(Vec<(Labels, Passage)>);

impl EncodeMetric for Latencies {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for (labels, passage) in &self.0 {
            let mut below = 0;
            let bounds = BOUNDS.map(|exponent| Duration::from_nanos(1 << exponent));
            // What takes longer is in the encoder's own last bucket.
            let buckets: Vec<_> = bounds
                .map(|bound| {
                    let packets = passage.latency.up_to(bound);
                    (bound.as_secs_f64(), packets - std::mem::replace(&mut below, packets))
                })
                .collect();
            // Not the counter of packets: that is read at another moment.
            let packets = passage.latency.packets();
            let mut series = encoder.encode_family(labels)?;
            series.encode_histogram::<NoLabelSet>(passage.seconds, packets, &buckets, None)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

fn of_stages(metrics: &mut Metrics, graph: &Graph) {
    let stage = |value: fn(&crate::api::Stage) -> f64| {
        let series = |stage: &crate::api::Stage| (vec![("stage", stage.bricks.join("+"))], value(stage));
        graph.stages.iter().map(series).collect::<Vec<_>>()
    };
    metrics.gauges("stage_replicas", "Workers of a stage", stage(|stage| stage.replicas.len() as f64));
    let help = "Packets a second through a stage in the last tick";
    metrics.gauges("stage_packets_per_second", help, stage(|stage| stage.packets_per_second));
    metrics.gauges(
        "stage_queue_batches",
        "Batches that wait before a stage",
        stage(|stage| stage.queue as f64),
    );
    let help = "Batches that wait before a stage, as a part of all that may be on their way";
    metrics.gauges("stage_queue_fill_ratio", help, stage(|stage| stage.queue_fill));
    let help = "Whether a stage holds up the others most (1) or not (0)";
    metrics.gauges("stage_is_bottleneck", help, stage(|stage| f64::from(u8::from(stage.is_bottleneck))));
    let help = "Bytes that the bricks of a stage keep from packet to packet";
    metrics.gauges("stage_state_bytes", help, stage(|stage| stage.state_bytes as f64));
    let replica = |value: fn(&crate::api::Replica) -> f64| {
        let series = |(stage, replica): (&crate::api::Stage, &crate::api::Replica)| {
            (vec![("stage", stage.bricks.join("+")), ("replica", replica.name.clone())], value(replica))
        };
        let replicas =
            graph.stages.iter().flat_map(|stage| stage.replicas.iter().map(move |each| (stage, each)));
        replicas.map(series).collect::<Vec<_>>()
    };
    let help = "Useful-work ratio: part of the time that a replica computed in the last tick";
    metrics.gauges("replica_useful_work_ratio", help, replica(|replica| replica.useful_work_ratio));
    let help = "Part of the time that a replica could have computed but had no core";
    metrics.gauges("replica_starved_ratio", help, replica(|replica| replica.starved_ratio));
    let help = "Seconds that a batch waited for a replica in the last tick, on average";
    metrics.gauges("replica_batch_waiting_seconds", help, replica(|replica| replica.waiting_ms / 1e3));
    let help = "Seconds that a replica computed for a batch in the last tick, on average";
    metrics.gauges("replica_batch_computing_seconds", help, replica(|replica| replica.computing_ms / 1e3));
}

fn of_run(metrics: &mut Metrics, graph: &Graph, moment: &Moment) {
    let restarts = graph.stages.iter().flat_map(|stage| &stage.replicas).map(|replica| replica.restarts);
    let help = "Bricks that panicked in the workers that there are, and were made anew";
    metrics.gauge("brick_restarts", help, restarts.sum::<u64>() as f64);
    metrics.gauge("batches_in_flight", "Batches on their way", graph.in_flight as f64);
    let help = "Batches that may be on their way at most";
    metrics.gauge("batches_in_flight_limit", help, graph.credits as f64);
    let decisions =
        moment.decisions.iter().map(|(action, count)| (vec![("action", (*action).to_owned())], *count));
    metrics.counters("decisions", "Decisions of the controller, by what was done", decisions);
    metrics.counter("events", "Events of the run", moment.events);
    metrics.gauge("run_seconds", "Seconds since the run began", graph.at);
    metrics.gauge("host_cores", "Cores that the run may use", graph.host.cores);
    metrics.gauge("host_used_cores", "Cores that are in use, by the run and others", graph.host.used);
    let help = "Bytes of memory that are left";
    metrics.gauge("host_available_memory_bytes", help, graph.host.memory_bytes as f64);
    if let Some(threshold) = graph.threshold {
        metrics.gauge("threshold", "Scores above it are alerts", threshold);
    }
    let info = vec![("graph", graph.name.clone()), ("version", env!("CARGO_PKG_VERSION").to_owned())];
    metrics.gauges("run_info", "Always 1; what runs, as labels", [(info, 1.0)]);
}
