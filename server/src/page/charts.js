// Charts over one time axis, with what was decided marked in each.
import { shape, short, whole } from "./words.js";

const [HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [190, 56, 12, 34, 26];
// What is told of, and what of that changes something, and so is marked.
const TOLD = ["decision", "order", "applied", "swap", "threshold", "suppression", "policy", "violation"];
const isMarked = (event) => ["order", "swap", "threshold", "suppression", "policy"].includes(event.event) || (event.event === "decision" && event.details.plan);

export const told = (events) => events.filter((event) => TOLD.includes(event.event));

// What each line is, in the picture.
function legend(svg, width, kinds) {
  let x = width - RIGHT;
  for (const [kind, word] of kinds.toReversed()) {
    x -= 7 * word.length + 36;
    svg.append(shape("line", { x1: x, y1: 10, x2: x + 24, y2: 10, class: `series ${kind}` }));
    svg.append(shape("text", { x: x + 28, y: 14, class: "quiet" }, word));
  }
}

function frame(holder, points, label) {
  const width = Math.max(280, holder.clientWidth - 16);
  const svg = shape("svg", { width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": label });
  const last = points.length ? points[points.length - 1].at : 1;
  const first = Math.min(points.length ? points[0].at - 1 : 0, last - 10);
  const x = (at) => LEFT + ((at - first) / (last - first)) * (width - LEFT - RIGHT);
  const low = HEIGHT - BOTTOM;
  svg.append(shape("line", { x1: LEFT, y1: low, x2: width - RIGHT, y2: low, class: "axis" }));
  const step = [1, 2, 5, 10, 30, 60, 120, 300].find((each) => (last - first) / each <= 8) ?? 600;
  for (let at = Math.ceil(first / step) * step; at <= last; at += step) {
    svg.append(shape("text", { x: x(at), y: HEIGHT - 8, "text-anchor": "middle", class: "quiet" }, `${whole(at)} s`));
  }
  return { svg, x, first, last, low, width };
}

function line(svg, points, x, y, value, kind) {
  let [path, drawn] = ["", false];
  for (const point of points) {
    const found = value(point);
    if (found === null || found === undefined) { drawn = false; continue; }
    path += `${drawn ? "L" : "M"}${x(point.at).toFixed(1)},${y(found).toFixed(1)} `;
    drawn = true;
  }
  svg.append(shape("path", { d: path || "M0,0", class: `series ${kind}` }));
}

function scale(svg, y, values) {
  for (const value of values) {
    svg.append(shape("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end", class: "quiet" }, short(value)));
    svg.append(shape("line", { x1: LEFT - 3, y1: y(value), x2: LEFT, y2: y(value), class: "axis" }));
  }
}

function marks({ svg, x, first, last, low }, events) {
  events.filter(isMarked).forEach((event) => {
    if (event.at < first || event.at > last) return;
    const kind = event.event === "order" ? "mark order" : "mark";
    const mark = shape("line", { x1: x(event.at), y1: TOP, x2: x(event.at), y2: low, class: kind });
    mark.append(shape("title", {}, `${event.at.toFixed(1)} s: ${event.text}`));
    svg.append(mark, shape("text", { x: x(event.at) + 2, y: TOP + 2, class: "quiet" }, String(event.number)));
  });
}

export function drawRates(holder, points, events) {
  const chart = frame(holder, points, "Packets a second over time: offered dashed, done solid, dropped dotted. The table below has the figures.");
  const most = Math.max(1, ...points.map((point) => Math.max(point.offered_per_second, point.done_per_second)));
  const y = (value) => chart.low - (value / most) * (chart.low - TOP);
  scale(chart.svg, y, [0, most / 2, most]);
  line(chart.svg, points, chart.x, y, (point) => point.offered_per_second, "offered");
  line(chart.svg, points, chart.x, y, (point) => point.done_per_second, "done");
  line(chart.svg, points, chart.x, y, (point) => point.dropped_per_second, "dropped");
  marks(chart, events);
  legend(chart.svg, chart.width, [["done", "done"], ["offered", "offered"], ["dropped", "dropped"]]);
  holder.replaceChildren(chart.svg);
}

// A scale of powers of ten that all of these values are within.
function powers(chart, values) {
  const top = Math.log10(Math.max(...values, 1e-3) * 1.5);
  const bottom = Math.min(Math.log10(Math.min(...values, 1e3)) - 0.1, top - 0.5);
  const y = (value) => chart.low - ((Math.log10(Math.max(value, 10 ** bottom)) - bottom) / (top - bottom)) * (chart.low - TOP);
  scale(chart.svg, y, [10 ** bottom, 10 ** ((top + bottom) / 2), 10 ** top]);
  return y;
}

export function drawLatencies(holder, points, events) {
  const chart = frame(holder, points, "Latency over time in milliseconds: of half of the packets solid, of 99 of 100 dashed. The table below has the figures.");
  const known = points.filter((point) => point.latency).flatMap((point) => [point.latency.p50_ms, point.latency.p99_ms]);
  const y = powers(chart, known.filter((value) => value > 0));
  line(chart.svg, points, chart.x, y, (point) => point.latency?.p50_ms, "done");
  line(chart.svg, points, chart.x, y, (point) => point.latency?.p99_ms, "offered");
  marks(chart, events);
  legend(chart.svg, chart.width, [["done", "p50"], ["offered", "p99"]]);
  holder.replaceChildren(chart.svg);
}

export function drawScores(holder, points, events, threshold) {
  const chart = frame(holder, points, "Highest score of each second over time, with the threshold dashed, and bars while incidents go on. The table below has the figures.");
  const scores = points.map((point) => point.peak_score).filter((score) => score > 0);
  const thresholds = points.map((point) => point.threshold ?? 0).concat(threshold ?? 0).filter((value) => value > 0);
  scores.push(...thresholds);
  const y = powers(chart, scores);
  for (const point of points) {
    if (!point.open_incidents) continue;
    const [from, to] = [chart.x(Math.max(point.at - 1, chart.first)), chart.x(point.at)];
    chart.svg.append(shape("rect", { x: from, y: chart.low - 6, width: Math.max(1, to - from), height: 6, class: "open" }));
  }
  if (threshold > 0) {
    line(chart.svg, points, chart.x, y, (point) => point.threshold > 0 ? point.threshold : null, "threshold");
    chart.svg.append(shape("text", { x: LEFT + 4, y: y(threshold) - 4, class: "quiet" }, `threshold ${threshold.toPrecision(4)}`));
  }
  line(chart.svg, points, chart.x, y, (point) => point.peak_score, "peak");
  marks(chart, events);
  legend(chart.svg, chart.width, [["peak", "score"], ["threshold", "threshold"], ["going", "incidents"]]);
  holder.replaceChildren(chart.svg);
}
