//! The page: one document, its style and its scripts, all of them in the program.

use crate::api::{Counters, Graph, IncidentList, IncidentRow, Loss, Replica, Shared};
use crate::login::{enter, leave};
use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{Html, IntoResponse};
use axum::routing::{get, post};
use maud::{DOCTYPE, Markup, html};

/// Incidents that stand in the document; scripts show more.
const INCIDENTS: usize = 20;

/// Files of the page: name, media type, content.
const FILES: [(&str, &str, &str); 6] = [
    ("/page/page.css", "text/css; charset=utf-8", include_str!("page/page.css")),
    ("/page/page.js", SCRIPT, include_str!("page/page.js")),
    ("/page/graph.js", SCRIPT, include_str!("page/graph.js")),
    ("/page/charts.js", SCRIPT, include_str!("page/charts.js")),
    ("/page/player.js", SCRIPT, include_str!("page/player.js")),
    ("/page/words.js", SCRIPT, include_str!("page/words.js")),
];
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The paths of the page.
pub(crate) fn router() -> Router<Shared> {
    let forms = [("/login", post(enter)), ("/logout", post(leave))];
    let router = Router::new().route("/", get(document));
    let router = forms.into_iter().fold(router, |router, (path, form)| router.route(path, form));
    FILES.into_iter().fold(router, |router, (path, media, content)| {
        router.route(
            path,
            get(move || async move { ([(header::CONTENT_TYPE, media)], content).into_response() }),
        )
    })
}

async fn document(State(shared): State<Shared>) -> Html<String> {
    let moment = shared.monitor.moment();
    let graph = Graph::of(shared.monitor.facts(), &moment);
    let counters = Counters::of(&moment.accounts);
    let incidents = IncidentRow::all(&shared.monitor, INCIDENTS);
    let look = Look { has_logins: shared.logins.is_some(), plays: shared.plays };
    Html(page(&graph, &counters, &incidents, look).into_string())
}

/// What the document has beside figures.
#[derive(Clone, Copy, Default)]
struct Look {
    /// Whether who reads can log out.
    has_logins: bool,
    /// Seconds of a run that is played again.
    plays: Option<f64>,
}

/// The document of those who are not let in yet.
pub(crate) fn login(refusal: Option<&str>) -> Html<String> {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            (title("legonf: log in", false))
            body {
                main {
                    h1 { "legonf" }
                    form method="post" action="/login" {
                        label { "token of --http-token" input type="password" name="token" autocomplete="current-password" required autofocus; }
                        button type="submit" { "Log in" }
                    }
                    p role="status" { (refusal.unwrap_or_default()) }
                }
            }
        }
    };
    Html(page.into_string())
}

/// What is shown, in words.
fn name(graph: &Graph) -> String {
    if graph.name.is_empty() { "legonf: a run that starts".into() } else { format!("legonf: {}", graph.name) }
}

/// The head of a document.
fn title(text: &str, has_script: bool) -> Markup {
    html! { head {
        meta charset="utf-8";
        meta name="viewport" content="width=device-width, initial-scale=1";
        title { (text) }
        link rel="icon" href="data:,";
        link rel="stylesheet" href="/page/page.css";
        @if has_script { script type="module" src="/page/page.js" {} }
    } }
}

/// The document as it is without scripts: what the tables hold at this moment.
fn page(graph: &Graph, counters: &Counters, incidents: &IncidentList, look: Look) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            (title(&name(graph), true))
            body data-end=[look.plays] {
                a.skip href="#main" { "Skip to the figures" }
                header {
                    h1 #name { (name(graph)) }
                    p #state role="status" { (graph.state.label()) ", as of " (format!("{:.1}", graph.at)) " s; reload for more, or allow scripts." }
                    @if look.has_logins { form method="post" action="/logout" { button type="submit" { "Log out" } } }
                }
                main #main {
                    @if let Some(end) = look.plays { (player(end)) }
                    (figures(graph, counters, incidents))
                    (bricks(graph, look.plays.is_some()))
                    (over_time(look.plays.is_some()))
                    (incident_list(incidents))
                    (losses(counters))
                    (changes(look.plays.is_some()))
                }
            }
        }
    }
}

fn figures(graph: &Graph, counters: &Counters, incidents: &IncidentList) -> Markup {
    let bottleneck = graph.stages.iter().find(|stage| stage.is_bottleneck);
    let bottleneck = bottleneck.map_or_else(|| "none".into(), |stage| stage.bricks.join(" "));
    let open = incidents.incidents.iter().filter(|incident| incident.is_open).count();
    let figure = |id: &str, word: &str, value: &str| html! { div { dt { (word) } dd id=(id) { (value) } } };
    let rounded = |rate: f64| format!("{rate:.0}");
    html! {
        dl.figures {
            (figure("done", "packets/s done", &rounded(graph.done_per_second)))
            (figure("offered", "packets/s offered", &rounded(graph.offered_per_second)))
            (figure("dropped", "packets/s dropped", &rounded(graph.dropped_per_second)))
            (figure("latency", "latency of 99%", &milliseconds(graph.latency.map(|latency| latency.p99_ms), "none")))
            (figure("alerts", "alerts", &counters.alerts.to_string()))
            (figure("open", "incidents that go on", &open.to_string()))
            (figure("bottleneck", "bottleneck", &bottleneck))
        }
    }
}

/// A time in milliseconds, or a word where there is none.
fn milliseconds(ms: Option<f64>, none: &str) -> String {
    ms.map_or_else(|| none.into(), |ms| format!("{ms:.3} ms"))
}

fn head(words: &[&str]) -> Markup {
    html! { thead { tr { @for word in words { th scope="col" { (word) } } } } }
}

/// The graph; where it is played again, without its layout, which is not known.
fn bricks(graph: &Graph, is_played: bool) -> Markup {
    let columns = [
        "replica",
        "useful work",
        "packets/s",
        "batches wait",
        "a batch waits",
        "a batch computes",
        "state in bytes",
        "runs in",
        "bottleneck",
    ];
    html! {
        section aria-labelledby="graph-title" {
            h2 #graph-title { "Bricks" }
            p hidden[is_played] { "Layout: " span #plan { (graph.plan) } }
            p hidden[is_played] { "Green bars: useful work of each replica. Orange bar: how full the queue is. Arrows: packets a second. Dashed frames: bricks that share workers." }
            div #graph .picture tabindex="0" role="group" aria-labelledby="graph-title" {}
            details hidden[is_played] {
                summary { "Bricks as a table" }
                div.scroll tabindex="0" role="group" aria-label="Bricks" { table {
                    caption { "What has passed each brick; latency of the last tick, from the brick before" }
                    (head(&["brick", "kind", "packets", "bytes/s", "latency of 50%", "latency of 99%"]))
                    tbody #brick-table { @for brick in &graph.bricks { tr {
                        th scope="row" { (brick.id) }
                        td { (if brick.kind.is_empty() { "end" } else { &brick.kind }) }
                        td.number { (brick.packets) }
                        td { (format!("{:.0} B/s", brick.bytes_per_second)) }
                        td { (milliseconds(brick.latency.map(|latency| latency.p50_ms), "")) }
                        td { (milliseconds(brick.latency.map(|latency| latency.p99_ms), "")) }
                    } } }
                } }
            }
            details open[true] hidden[is_played] {
                summary { "Replicas as a table" }
                div.scroll tabindex="0" role="group" aria-label="Replicas" { table {
                    caption { "What each replica did in the last tick" }
                    (head(&columns))
                    tbody #replicas { @for stage in &graph.stages { @for replica in &stage.replicas { tr {
                        th scope="row" { (replica.name) }
                        td { (format!("{:.0}%", 100.0 * replica.useful_work_ratio)) }
                        td.number { (format!("{:.0}", replica.packets_per_second)) }
                        td.number { (replica.queue) }
                        td { (format!("{:.2} ms", replica.waiting_ms)) }
                        td { (format!("{:.2} ms", replica.computing_ms)) }
                        td.number { (replica.state_bytes) }
                        td { (places(replica)) }
                        td { (if stage.is_bottleneck { "yes" } else { "no" }) }
                    } } } }
                } }
            }
        }
    }
}

/// Where the bricks of a replica run.
fn places(replica: &Replica) -> String {
    let all: Vec<_> = replica.elsewhere.iter().map(ToString::to_string).collect();
    if all.is_empty() { "this process".into() } else { all.join(", ") }
}

fn over_time(is_played: bool) -> Markup {
    let columns = [
        "at",
        "offered/s",
        "done/s",
        "dropped/s",
        "latency of 50%",
        "latency of 99%",
        "alerts/s",
        "highest score",
        "incidents",
        "workers",
    ];
    html! {
        section aria-labelledby="time-title" {
            h2 #time-title { "Over time" }
            p { "Packets a second: done solid, offered dashed, dropped dotted. Upright lines are changes of the layout, numbered as in the list." }
            div #rates .picture tabindex="0" role="group" aria-label="Packets a second over time" {}
            p hidden[is_played] { "Latency from the source to the sink in milliseconds: half of the packets solid, 99 of 100 dashed." }
            div #latencies .picture tabindex="0" role="group" aria-label="Latency over time" hidden[is_played] {}
            p { "Highest score of each second: solid; threshold: dashed. Bars at the bottom: incidents go on." }
            div #scores .picture tabindex="0" role="group" aria-label="Scores over time" {}
            details {
                summary { "The last minute as a table" }
                div.scroll tabindex="0" role="group" aria-label="The last minute" {
                    table { caption { "Second by second, the latest first" } (head(&columns)) tbody #history {} }
                }
            }
            h3 hidden[is_played] { "Decisions and changes" }
            ol #events tabindex="0" aria-label="Decisions and changes" hidden[is_played] {}
        }
    }
}

fn incident_list(list: &IncidentList) -> Markup {
    html! {
        section aria-labelledby="incident-title" {
            h2 #incident-title { "Incidents" }
            p #incident-count { (list.ended) " have ended." }
            ul #incidents { @for incident in &list.incidents { li { details {
                summary { span class={ "severity " (incident.severity) } { (incident.severity) " " } (incident.source) ", " (incident.activity) }
                p { (incident.text) "." }
            } } } }
            div #suppression-table .scroll hidden[true] tabindex="0" role="group" aria-label="Suppressions" { table {
                caption { "Whose alerts are suppressed" }
                (head(&["number", "of", "until", "alerts", "comment", "state"]))
                tbody #suppressions {}
            } }
        }
    }
}

fn losses(counters: &Counters) -> Markup {
    let rows = |kind: &str, list: &[Loss]| {
        html! { @for loss in list { tr {
            th scope="row" { (loss.reason) }
            td { (kind) }
            td.number { (loss.packets) }
            td { (if loss.is_wanted { "yes" } else { "no" }) }
        } } }
    };
    html! {
        section aria-labelledby="loss-title" {
            h2 #loss-title { "Where packets went" }
            div.scroll tabindex="0" role="group" aria-label="Where packets went" { table {
                caption { "Received = scored + rejected + dropped" }
                (head(&["where", "what", "packets", "wanted"]))
                tbody #losses {
                    tr { th scope="row" { "received" } td { "all packets" } td.number { (counters.received) } td {} }
                    tr { th scope="row" { "scored" } td { "got a score and a verdict" } td.number { (counters.scored) } td {} }
                    (rows("rejected", &counters.rejected))
                    (rows("dropped", &counters.dropped))
                }
            } }
        }
    }
}

/// Speeds at which a run is played, as multiples of its own time.
const SPEEDS: [u32; 9] = [1, 2, 5, 10, 30, 60, 300, 1_800, 7_200];

fn player(end: f64) -> Markup {
    html! {
        section #player aria-labelledby="player-title" {
            h2 #player-title { "Play" }
            div.controls {
                button #play type="button" { "Play" }
                label { "speed" select #speed { @for speed in SPEEDS { option value=(speed) { (speed) " times" } } } }
                label.wide { "time of the capture" input #position type="range" min="0" max=(end) step="any" value=(end); }
                output #clock for="position" {}
            }
            p { "Keys: Space plays and pauses, the arrows go ten seconds, Home and End to the ends. What is shown is the same whatever the layout was, so there are no replicas." }
        }
    }
}

fn changes(is_hidden: bool) -> Markup {
    html! {
        section aria-labelledby="change-title" hidden[is_hidden] {
            h2 #change-title { "Change the run" }
            p { "It needs the token of --http-token. Another layout leaves the results as they are; another threshold holds from a packet on, which is said." }
            form #scale {
                label { "token" input #token type="password" autocomplete="off" required; }
                label { "brick" select #brick {} }
                label { "replicas" input #count type="number" min="1" max="256" value="1" required; }
                button type="submit" { "Scale" }
            }
            form #drain {
                label { "replica" select #replica {} }
                button type="submit" { "Drain" }
            }
            form #threshold hidden[true] {
                label { "threshold" input #threshold-value type="number" step="any" required; }
                button type="submit" { "Change the threshold" }
            }
            form #end hidden[true] {
                label { "suppression" select #suppression {} }
                button type="submit" { "End it" }
            }
            form #controller hidden[true] { button type="submit" #pause { "Pause the controller" } }
            p #answer role="status" {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Brick, Elsewhere, Stage};

    const HOSTILE: &str = "<script>alert('1')</script>\"&";

    #[test]
    fn names_of_others_are_text() {
        let elsewhere = vec![Elsewhere { brick: HOSTILE.into(), host: Some(HOSTILE.into()), process: None }];
        let brick = Brick {
            id: HOSTILE.into(),
            kind: String::new(),
            state: String::new(),
            stage: 0,
            packets: 0,
            bytes: 0,
            bytes_per_second: 0.0,
            latency: None,
        };
        let replica = Replica {
            name: HOSTILE.into(),
            useful_work_ratio: 0.5,
            starved_ratio: 0.0,
            packets_per_second: 1.0,
            queue: 0,
            waiting_ms: 0.0,
            computing_ms: 0.0,
            state_bytes: 0,
            restarts: 0,
            elsewhere,
        };
        let stage = Stage {
            bricks: vec![HOSTILE.into()],
            packets_per_second: 0.0,
            queue: 0,
            queue_fill: 0.0,
            load: 0.9,
            is_bottleneck: true,
            state_bytes: 0,
            replicas: vec![replica],
            shards: Vec::new(),
        };
        let graph = Graph {
            name: HOSTILE.into(),
            plan: HOSTILE.into(),
            bricks: vec![brick],
            stages: vec![stage],
            ..Graph::default()
        };
        let loss = Loss { reason: HOSTILE.into(), packets: 1, is_wanted: false };
        let counters = Counters { dropped: vec![loss], ..Counters::default() };
        let incidents = IncidentList { incidents: Vec::new(), ended: 0 };
        let text = page(&graph, &counters, &incidents, Look::default()).into_string();
        assert!(!text.contains("<script>alert") && !text.contains("'1')</script>\"&"), "{text}");
        assert_eq!(text.matches("&lt;script&gt;alert").count(), 9, "{text}");
    }

    #[test]
    fn nothing_is_loaded_from_elsewhere_and_no_text_becomes_markup() {
        let empty = IncidentList { incidents: Vec::new(), ended: 0 };
        let document = page(
            &Graph::default(),
            &Counters::default(),
            &empty,
            Look { has_logins: true, plays: Some(7.0) },
        )
        .into_string();
        for (name, text) in FILES.map(|(name, _, text)| (name, text)).into_iter().chain([("/", &*document)]) {
            let text = text.replace("http://www.w3.org/2000/svg", "");
            for forbidden in [
                "http:",
                "https:",
                "//cdn",
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "eval(",
                "style=",
            ] {
                assert!(!text.contains(forbidden), "{name}: {forbidden}");
            }
        }
        // What scripts look for is there.
        let script = FILES[1].2;
        for id in script.split("at(\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(document.contains(&format!("id=\"{id}\"")), "{id}");
        }
    }
}
