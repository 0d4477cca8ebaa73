// The page: follows the run, and says so when it cannot.
import { drawGraph } from "./graph.js";
import { drawLatencies, drawRates, drawScores, told } from "./charts.js";
import { count, element, percent, rows, short, whole } from "./words.js";

const at = (id) => document.getElementById(id);
const STATES = { starting: "The run is starting: its models are read, or nothing has come yet.", running: "Live.", over: "The run is over." };
const state = { update: null, events: [], next: 0, points: [], incidents: null, opened: new Map() };

async function read(path) {
  const answer = await fetch(path, { cache: "no-store" });
  // Another process listens there now, or the time is over: the form is shown again.
  if (answer.status === 401) location.reload();
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

function say(text, isLost) {
  const line = at("state");
  if (line.textContent !== text) line.textContent = text;
  line.classList.toggle("lost", isLost);
}

const ms = (value) => value === undefined || value === null ? "" : `${value.toPrecision(3)} ms`;

function figures({ graph, counters }) {
  const bottleneck = graph.stages.find((stage) => stage.is_bottleneck);
  const set = (id, text) => { if (at(id).textContent !== text) at(id).textContent = text; };
  set("name", `legonf: ${graph.name || "a run that starts"}`);
  document.title = at("name").textContent;
  set("done", whole(graph.done_per_second));
  set("offered", whole(graph.offered_per_second));
  set("dropped", whole(graph.dropped_per_second));
  set("alerts", whole(counters.alerts));
  set("latency", ms(graph.latency?.p99_ms) || "none");
  set("bottleneck", bottleneck ? bottleneck.bricks.join(" ") : "none");
  set("plan", graph.plan);
}

function tables({ graph, counters }) {
  const where = ({ elsewhere }) => elsewhere.map(({ brick, host, process }) =>
    (host === null ? `${brick} in process ${process}` : `${brick} on host ${host}`)).join(", ") || "this process";
  rows(at("replicas"), graph.stages.flatMap((stage) => stage.replicas.map((replica) => [
    replica.name, percent(replica.useful_work_ratio), replica.packets_per_second, replica.queue,
    `${replica.waiting_ms.toFixed(2)} ms`, `${replica.computing_ms.toFixed(2)} ms`, replica.state_bytes,
    where(replica), stage.is_bottleneck ? "yes" : "no",
  ])));
  rows(at("brick-table"), graph.bricks.map((brick) => [
    brick.id, brick.kind || "end", brick.packets, `${short(brick.bytes_per_second)}B/s`, ms(brick.latency?.p50_ms), ms(brick.latency?.p99_ms),
  ]));
  const losses = (kind, list) => list.map((loss) => [loss.reason, kind, loss.packets, loss.is_wanted ? "yes" : "no"]);
  rows(at("losses"), [
    ["received", "all packets", counters.received, ""],
    ["scored", "got a score and a verdict", counters.scored, ""],
    ["warming up", "of these not judged", counters.warming_up, ""],
    ...losses("rejected", counters.rejected), ...losses("dropped", counters.dropped),
  ]);
}

// What stands in the forms stays what was chosen.
function choices(select, wanted) {
  const key = wanted.join("\n");
  if (select.dataset.key === key) return;
  select.dataset.key = key;
  const chosen = select.value;
  select.replaceChildren(...wanted.map((text) => element("option", text, { value: text })));
  if (wanted.includes(chosen)) select.value = chosen;
}

function explanation(incident) {
  const holder = element("div");
  holder.append(element("p", `${incident.text}.`));
  const from = `${incident.since} to ${incident.until} (UTC)`;
  const score = `mean ${incident.mean_score.toPrecision(4)}, highest ${incident.peak_score.toPrecision(4)} at packet ${incident.peak_packet}; threshold ${incident.threshold.toPrecision(4)}`;
  const hosts = incident.top_hosts.map((host) => `${host.host} (${whole(host.packets)})`).join(", ");
  const ports = incident.top_ports.map((port) => `${port.port} (${whole(port.packets)})`).join(", ");
  const table = element("table");
  const body = element("tbody");
  rows(body, [["when", from], ["score", score], ["hosts", `${whole(incident.hosts)}: ${hosts}`], ["ports", `${whole(incident.ports)}: ${ports}`],
    ["bytes", whole(incident.bytes)]]);
  table.append(element("caption", "What was seen"), body);
  holder.append(table);
  if (incident.features.length) {
    const why = element("table");
    const head = element("tr");
    ["feature", "meaning", "expected", "observed"].forEach((word) => head.append(element("th", word, { scope: "col" })));
    const features = element("tbody");
    rows(features, incident.features.map((feature) => [feature.name, feature.words, feature.expected.toPrecision(4), feature.observed.toPrecision(4)]));
    const top = element("thead");
    top.append(head);
    why.append(element("caption", "What deviated most in the packet with the highest score"), top, features);
    holder.append(why);
  }
  const buttons = element("p");
  const suppress = element("button", `Suppress alerts of ${incident.source}`, { type: "button" });
  suppress.addEventListener("click", () => authorized(() =>
    change("/api/v1/suppressions", { address: incident.source, comment: `incident ${incident.id}, by the page` })));
  const save = element("button", "Save its packets (pcapng)", { type: "button" });
  save.addEventListener("click", () => authorized(() => download(`/api/v1/incidents/${incident.id}/packets`, `incident-${incident.id}.pcapng`)));
  buttons.append(suppress, " ", save);
  holder.append(buttons);
  holder.className = "scroll";
  return holder;
}

// What needs the token: without one it is asked for where it is given.
function authorized(work) {
  if (at("token").value.trim()) return work();
  at("answer").textContent = "This needs the token.";
  at("token").focus();
}

async function download(path, name) {
  try {
    const reply = await fetch(path, { headers: { authorization: `Bearer ${at("token").value.trim()}` } });
    if (!reply.ok) {
      at("answer").textContent = `Refused: ${(await reply.json()).error}`;
      return;
    }
    const address = URL.createObjectURL(await reply.blob());
    const link = element("a", null, { href: address, download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 1000);
    at("answer").textContent = `Saved as ${name}.`;
  } catch {
    at("answer").textContent = "The run does not answer.";
  }
}

function suppressions({ suppressions: list }) {
  at("suppression-table").hidden = !list.length;
  rows(at("suppressions"), list.map((each) => [
    each.number, each.of, each.until ?? "", each.alerts, each.comment ?? "", each.is_ended ? "ended" : "in force",
  ]));
  choices(at("suppression"), list.filter((each) => !each.is_ended).map((each) => String(each.number)));
  at("end").hidden = !list.some((each) => !each.is_ended);
}

// Items stay where they are known, so that what was opened stays open.
function incidents({ incidents: list, ended }) {
  const holder = at("incidents");
  const open = list.filter((incident) => incident.is_open).length;
  at("open").textContent = whole(open);
  at("incident-count").textContent = `${whole(open)} go on, ${whole(ended)} have ended.`;
  const known = state.opened;
  const wanted = list.slice(0, 100).map((incident) => {
    const key = JSON.stringify(incident);
    let item = known.get(incident.id);
    if (!item) {
      item = { row: element("li"), details: element("details"), summary: element("summary"), key: "" };
      item.details.append(item.summary);
      item.row.append(item.details);
      known.set(incident.id, item);
    }
    if (item.key !== key) {
      item.key = key;
      const severity = element("span", `${incident.severity} `, { class: `severity ${incident.severity}` });
      item.summary.replaceChildren(severity, `${incident.is_open ? "goes on: " : ""}${incident.source}, ${incident.activity}, ${count(incident.packets, "packet")} since ${incident.since.slice(11, 19)}`);
      item.details.replaceChildren(item.summary, explanation(incident));
    }
    return [incident.id, item];
  });
  const ids = new Set(wanted.map(([id]) => id));
  for (const id of known.keys()) if (!ids.has(id)) known.delete(id);
  const order = wanted.map(([id]) => id).join();
  if (holder.dataset.order !== order) {
    holder.dataset.order = order;
    const focused = document.activeElement;
    holder.replaceChildren(...wanted.map(([, item]) => item.row));
    if (focused && holder.contains(focused)) focused.focus();
  }
}

function events() {
  const shown = told(state.events).slice(-100).reverse();
  const key = shown.map((event) => event.number).join();
  const list = at("events");
  if (list.dataset.key === key) return;
  list.dataset.key = key;
  list.replaceChildren(...shown.map((event) => element("li", `${event.at.toFixed(1)} s: ${event.text}`, { value: event.number })));
}

function charts() {
  const threshold = state.update?.graph.threshold;
  drawRates(at("rates"), state.points, state.events);
  drawLatencies(at("latencies"), state.points, state.events);
  drawScores(at("scores"), state.points, state.events, threshold);
  rows(at("history"), state.points.slice(-60).reverse().map((point) => [
    `${point.at.toFixed(0)} s`, point.offered_per_second, point.done_per_second, point.dropped_per_second, ms(point.latency?.p50_ms), ms(point.latency?.p99_ms), point.alerts_per_second,
    point.peak_score === null ? "" : point.peak_score.toPrecision(4), point.open_incidents, point.workers,
  ]));
}

// What does not come by itself is asked for every two seconds, while somebody looks.
async function ask() {
  if (!document.hidden && state.update) {
    try {
      if (state.update.events > state.next) {
        const list = await read(`/api/v1/events?from=${state.next}`);
        state.events.push(...list.events);
        state.events.splice(0, Math.max(0, state.events.length - 1000));
        state.next = list.next;
        events();
      }
      incidents(await read("/api/v1/incidents"));
      suppressions(await read("/api/v1/suppressions"));
      state.points = (await read("/api/v1/history")).points;
      charts();
    } catch {
      // The stream says that the connection is lost.
    }
  }
  setTimeout(ask, 2000);
}

function show() {
  const { update } = state;
  if (!update || document.hidden) return;
  figures(update);
  tables(update);
  drawGraph(at("graph"), update.graph);
  choices(at("brick"), update.graph.bricks.filter((brick) => brick.state !== "serial").map((brick) => brick.id));
  at("threshold").hidden = update.graph.threshold === null;
  at("controller").hidden = !update.graph.is_controlled;
  at("pause").textContent = update.graph.is_paused ? "Resume the controller" : "Pause the controller";
  choices(at("replica"), update.graph.stages.flatMap((stage) => stage.replicas.map((replica) => replica.name)));
}

function forget() {
  Object.assign(state, { events: [], next: 0, points: [] });
  state.opened.clear();
  at("incidents").replaceChildren();
  delete at("incidents").dataset.order;
}

function follow() {
  const stream = new EventSource("/api/v1/stream");
  stream.addEventListener("update", (event) => {
    const update = JSON.parse(event.data);
    // Another run listens there now.
    if (state.update && update.graph.at < state.update.graph.at) forget();
    state.update = update;
    say(STATES[update.graph.state], false);
    show();
  });
  stream.onerror = () => {
    const over = state.update?.graph.is_over;
    say(over ? "The run is over." : "The connection is lost; trying again. The figures are the last ones.", !over);
    // A browser gives some answers up for good.
    if (stream.readyState === EventSource.CLOSED) {
      setTimeout(follow, 2000);
      read("/api/v1/history").catch(() => {});
    }
  };
}

async function change(path, asked) {
  const answer = at("answer");
  answer.textContent = "Asking …";
  try {
    const reply = await fetch(path, {
      method: "POST", body: JSON.stringify(asked),
      headers: { "content-type": "application/json", authorization: `Bearer ${at("token").value.trim()}` },
    });
    const json = await reply.json();
    const done = json.from_packet === undefined
      ? `In force after ${json.took_ms?.toFixed(1)} ms: ${json.plan}` : `In force from packet ${json.from_packet} on: ${json.change}`;
    answer.textContent = reply.ok ? done : `Refused: ${json.error}`;
  } catch {
    answer.textContent = "The run does not answer.";
  }
}

at("scale").addEventListener("submit", (event) => {
  event.preventDefault();
  change("/api/v1/scale", { brick: at("brick").value, replicas: Number(at("count").value) });
});
at("drain").addEventListener("submit", (event) => {
  event.preventDefault();
  change("/api/v1/drain", { replica: at("replica").value });
});
at("controller").addEventListener("submit", (event) => {
  event.preventDefault();
  change("/api/v1/controller", { is_paused: !state.update?.graph.is_paused });
});
at("threshold").addEventListener("submit", (event) => {
  event.preventDefault();
  authorized(() => change("/api/v1/threshold", { threshold: Number(at("threshold-value").value) }));
});
at("end").addEventListener("submit", (event) => {
  event.preventDefault();
  authorized(() => change("/api/v1/suppressions/end", { number: Number(at("suppression").value) }));
});
// A run that has ended, at a moment.
async function played(moment) {
  try {
    const asked = ["graph", "counters", "history", "incidents"].map((path) => read(`/api/v1/${path}?at=${moment.toFixed(3)}`));
    const [graph, counters, history, list] = await Promise.all(asked);
    state.update = { graph, counters };
    state.points = history.points;
    show();
    incidents(list);
    charts();
    say("A run that has ended.", false);
  } catch {
    say("There is no answer; the figures are the last ones.", true);
  }
}

if (document.body.dataset.end) {
  const { play } = await import("./player.js");
  play(Number(document.body.dataset.end), played);
} else {
  document.addEventListener("visibilitychange", show);
  addEventListener("resize", show);
  follow();
  ask();
}
