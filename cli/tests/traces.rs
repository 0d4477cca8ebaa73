//! Decisions and moves as a trace: what a collector of OpenTelemetry is sent, read by OpenTelemetry's own definitions.
#![cfg(feature = "otel")]
#![allow(clippy::unwrap_used)]

mod common;

use common::seen::{Bench, PACKETS, capture};
use common::{example, legonf, text};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

/// Takes what is posted, and refuses the first few requests.
struct Collector {
    endpoint: String,
    requests: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
}

impl Collector {
    fn start(mut refusals: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::<Mutex<Vec<ExportTraceServiceRequest>>>::default();
        let taken = requests.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let mut reader = BufReader::new(&stream);
                let head: Vec<_> = reader
                    .by_ref()
                    .lines()
                    .map_while(Result::ok)
                    .take_while(|line| !line.is_empty())
                    .collect();
                assert_eq!(head[0], "POST /v1/traces HTTP/1.1");
                let head: Vec<_> = head.iter().map(|line| line.to_ascii_lowercase()).collect();
                assert!(head.iter().any(|line| line == "content-type: application/x-protobuf"), "{head:?}");
                let length = head.iter().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
                let mut body = vec![0; length.parse().unwrap()];
                reader.read_exact(&mut body).unwrap();
                let status = if refusals > 0 { "503 Service Unavailable" } else { "200 OK" };
                if refusals == 0 {
                    taken.lock().unwrap().push(ExportTraceServiceRequest::decode(&body[..]).unwrap());
                }
                refusals = refusals.saturating_sub(1);
                let _ =
                    write!(&stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            }
        });
        Self { endpoint, requests }
    }

    /// All spans, and the name of the service that sent them.
    fn spans(&self) -> Vec<Span> {
        let mut spans = Vec::new();
        for request in self.requests.lock().unwrap().iter() {
            for each in &request.resource_spans {
                let resource = each.resource.as_ref().unwrap();
                let service = resource.attributes.iter().find(|one| one.key == "service.name").unwrap();
                let name = service.value.as_ref().unwrap().value.clone().unwrap();
                assert_eq!(name, Value::StringValue("legonf".into()));
                spans.extend(each.scope_spans.iter().flat_map(|scope| scope.spans.clone()));
            }
        }
        spans
    }
}

fn value(span: &Span, key: &str) -> Option<Value> {
    span.attributes.iter().find(|one| one.key == key)?.value.as_ref()?.value.clone()
}

fn of<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.name.starts_with(name)).collect()
}

#[test]
fn an_order_and_its_plan_are_spans_of_the_run() {
    let (bench, collector) = (Bench::new(), Collector::start(2));
    let mut seen = bench.live(&["--otlp", &collector.endpoint]);
    seen.send(&capture());
    seen.wait_for("/api/v1/counters", |counters| counters["received"] == PACKETS);
    assert_eq!(seen.post("/api/v1/scale", r#"{"brick": "mapping", "replicas": 2}"#).status, 200);
    assert_eq!(seen.end()["coverage"]["scored"], PACKETS);
    let spans = collector.spans();
    let [root] = of(&spans, "run ")[..] else { panic!("{spans:?}") };
    assert_eq!((root.name.as_str(), root.parent_span_id.len()), ("run kitsune", 0));
    assert_eq!(value(root, "legonf.packets"), Some(Value::IntValue(PACKETS as i64)));
    let [order] = of(&spans, "order")[..] else { panic!("{spans:?}") };
    let [applied] = of(&spans, "apply plan")[..] else { panic!("{spans:?}") };
    assert_eq!(value(order, "legonf.change"), Some(Value::StringValue("scale mapping to 2".into())));
    let Some(Value::StringValue(plan)) = value(applied, "legonf.plan") else { panic!("{applied:?}") };
    assert!(plan.contains("mapping x2"), "{plan}");
    assert_eq!((&order.parent_span_id, &applied.parent_span_id), (&root.span_id, &order.span_id));
    for span in &spans {
        assert_eq!((span.trace_id.len(), span.span_id.len()), (16, 8));
        assert_eq!(span.trace_id, root.trace_id);
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano, "{span:?}");
        assert!(span.start_time_unix_nano >= root.start_time_unix_nano, "{span:?} {root:?}");
        assert!(span.end_time_unix_nano <= root.end_time_unix_nano, "{span:?} {root:?}");
    }
    let mut ids: Vec<_> = spans.iter().map(|span| span.span_id.clone()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), spans.len(), "no span comes twice");
}

#[test]
fn a_collector_that_is_away_holds_up_nobody() {
    let bench = Bench::new();
    let capture = text(example("synth-mini.pcap.gz"));
    let replay = ["replay", &capture, "--model", &bench.model, "--threshold", "1", "--quiet", "--otlp"];
    let away = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = legonf(replay.iter().copied().chain([&*format!("http://{away}")]));
    assert!(output.status.success(), "{output:?}");
    let output = legonf(replay.iter().copied().chain(["127.0.0.1:4318"]));
    let line = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && line.contains("--otlp 127.0.0.1:4318: expected"), "{line}");
}
