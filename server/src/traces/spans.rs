//! Events of a run as spans.

use legonf_controller::Event;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use std::collections::VecDeque;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The trace of a run.
pub(super) struct Trace {
    id: Vec<u8>,
    root: Vec<u8>,
    /// When the run began, by the clock.
    begun: SystemTime,
    /// Whether that is known, and not when it was looked at first.
    is_dated: bool,
    /// Seconds since then at which something was seen last.
    last: f64,
    /// A decision or an order whose plan is not in force yet.
    open: Option<Span>,
    /// Events that are not in the trace.
    pub lost: u64,
}

fn identifier<const BYTES: usize>() -> Option<Vec<u8>> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).ok()?;
    Some(bytes.into())
}

impl Trace {
    /// One of its own; none where the system has no randomness.
    pub fn begin() -> Option<Self> {
        let (id, root) = (identifier::<16>()?, identifier::<8>()?);
        Some(Self { id, root, begun: SystemTime::now(), is_dated: false, last: 0.0, open: None, lost: 0 })
    }

    /// Hears how long the run has gone on.
    pub fn at(&mut self, seconds: f64) {
        self.last = self.last.max(seconds);
        if !self.is_dated {
            self.is_dated = true;
            self.begun = SystemTime::now().checked_sub(span(seconds)).unwrap_or(self.begun);
        }
    }

    fn nanos(&self, seconds: f64) -> u64 {
        let time = self.begun.checked_add(span(seconds)).unwrap_or(self.begun);
        time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
    }

    /// A span from one time to another.
    fn span(
        &self,
        name: &str,
        parent: &[u8],
        (from, to): (f64, f64),
        attributes: Vec<KeyValue>,
    ) -> Option<Span> {
        Some(Span {
            trace_id: self.id.clone(),
            span_id: identifier::<8>()?,
            parent_span_id: parent.to_owned(),
            name: name.to_owned(),
            kind: SpanKind::Internal as i32,
            start_time_unix_nano: self.nanos(from),
            end_time_unix_nano: self.nanos(to),
            attributes,
            ..Span::default()
        })
    }

    /// Takes an event, as one span or as part of one.
    pub fn take(&mut self, event: &Event, out: &mut VecDeque<Span>) {
        let at = event.at();
        self.last = self.last.max(at);
        if let Event::Applied { plan, took_ms, refused, .. } = event {
            let open = self.open.take();
            let parent = open.as_ref().map_or_else(|| self.root.clone(), |span| span.span_id.clone());
            let mut attributes =
                vec![text("legonf.plan", &plan.to_string()), number("legonf.moved_slots", plan.moves.len())];
            attributes.extend(refused.iter().map(|reason| text("legonf.refused", reason)));
            let took = took_ms / 1e3;
            let applied = self.span("apply plan", &parent, ((at - took).max(0.0), at), attributes);
            let end = self.nanos(at);
            out.extend(open.map(|span| Span { end_time_unix_nano: end, ..span }));
            out.extend(applied.map(|span| with_status(span, refused.as_deref())));
            return;
        }
        out.extend(self.open.take());
        let (name, waits) = named(event);
        let span = self.span(&name, &self.root, (at, at), attributes(event));
        match waits {
            true => self.open = span,
            false => out.extend(span),
        }
    }

    /// The root, once the run is over.
    pub fn end(&mut self, graph: &str, packets: u64, alerts: u64) -> Span {
        let attributes = vec![
            text("legonf.graph", graph),
            number("legonf.packets", packets as usize),
            number("legonf.alerts", alerts as usize),
            number("legonf.lost_events", self.lost as usize),
        ];
        let name = format!("run {graph}");
        let span = self.span(&name, &[], (0.0, self.last), attributes).unwrap_or_default();
        Span { span_id: self.root.clone(), ..span }
    }
}

fn span(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// The name of a span, and whether a plan follows, which ends it.
fn named(event: &Event) -> (String, bool) {
    match event {
        Event::Decision { decision, .. } => {
            (format!("decision: {}", decision.action.label()), decision.plan.is_some())
        }
        Event::Order { plan: _, .. } => ("order".into(), true),
        other => {
            let json = serde_json::to_value(other).unwrap_or_default();
            (json["event"].as_str().unwrap_or("event").to_owned(), false)
        }
    }
}

/// What the event log has of an event, and its line.
fn attributes(event: &Event) -> Vec<KeyValue> {
    let mut all = vec![text("legonf.text", &event.text())];
    match event {
        Event::Decision { decision, .. } => {
            all.push(text("legonf.action", decision.action.label()));
            all.push(text("legonf.bricks", &decision.bricks.join(" ")));
            all.push(text("legonf.reason", &decision.reason));
            all.extend(decision.plan.iter().map(|plan| text("legonf.plan", &plan.to_string())));
            let figures = serde_json::to_value(&decision.figures).unwrap_or_default();
            let figures = figures.as_object().into_iter().flatten();
            all.extend(
                figures.filter_map(|(key, value)| Some((key, value.as_f64()?))).map(|(key, value)| {
                    attribute(&format!("legonf.figures.{key}"), Value::DoubleValue(value))
                }),
            );
        }
        Event::Order { change, plan, .. } => {
            all.push(text("legonf.change", change));
            all.push(text("legonf.plan", &plan.to_string()));
        }
        _ => {}
    }
    all
}

fn with_status(span: Span, refused: Option<&str>) -> Span {
    let failed = |message: &str| Status { message: message.to_owned(), code: StatusCode::Error as i32 };
    Span { status: refused.map(failed), ..span }
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

fn number(key: &str, value: usize) -> KeyValue {
    attribute(key, Value::IntValue(i64::try_from(value).unwrap_or(i64::MAX)))
}

/// Spans as a collector takes them.
pub(super) fn request(spans: Vec<Span>) -> ExportTraceServiceRequest {
    let version = env!("CARGO_PKG_VERSION");
    let attributes = vec![
        text("service.name", "legonf"),
        text("service.version", version),
        number("process.pid", std::process::id() as usize),
    ];
    let resource = Resource { attributes, ..Resource::default() };
    let scope = InstrumentationScope {
        name: "legonf".into(),
        version: version.into(),
        ..InstrumentationScope::default()
    };
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }];
    let resource_spans =
        vec![ResourceSpans { resource: Some(resource), scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }
}
