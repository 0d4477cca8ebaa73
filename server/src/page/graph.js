// The brick graph: a box for each brick, with the useful work of its replicas and what waits before it.
import { count, percent, shape, short } from "./words.js";

const [WIDTH, HEIGHT, GAP, ROW, MARGIN] = [158, 104, 62, 40, 12];

// The layer of each brick: one more than that of all that lead to it.
function layers(graph) {
  const depth = new Map(graph.bricks.map((brick) => [brick.id, 0]));
  for (const _ of graph.bricks) {
    for (const { from, to } of graph.edges) {
      if (depth.has(from) && depth.has(to)) depth.set(to, Math.max(depth.get(to), depth.get(from) + 1));
    }
  }
  const found = [];
  for (const brick of graph.bricks) (found[depth.get(brick.id)] ??= []).push(brick);
  return found.filter(Boolean);
}

// The place of each brick: layers from left to right, in as many rows as the width asks for.
function places(graph, width) {
  const across = Math.max(1, Math.floor((width - 2 * MARGIN + GAP) / (WIDTH + GAP)));
  const all = layers(graph);
  const found = new Map();
  let [y, right] = [MARGIN, 0];
  for (let first = 0; first < all.length; first += across) {
    const row = all.slice(first, first + across);
    row.forEach((layer, column) => layer.forEach((brick, at) => {
      const x = MARGIN + column * (WIDTH + GAP);
      found.set(brick.id, { x, y: y + at * (HEIGHT + ROW) });
      right = Math.max(right, x + WIDTH);
    }));
    y += Math.max(...row.map((layer) => layer.length)) * (HEIGHT + ROW);
  }
  return { found, width: right + MARGIN, height: y - ROW + MARGIN };
}

function edge(svg, { from, to, verdict, packets_per_second: rate }, places) {
  const [a, b] = [places.get(from), places.get(to)];
  if (!a || !b) return;
  const label = `${short(rate)}/s${verdict ? ` ${verdict}` : ""}`;
  const [start, end] = [{ x: a.x + WIDTH, y: a.y + HEIGHT / 2 }, { x: b.x, y: b.y + HEIGHT / 2 }];
  let path = `M${start.x},${start.y} L${end.x},${end.y}`;
  let at = { x: (start.x + end.x) / 2, y: (start.y + end.y) / 2 - 6 };
  let tip = `M${end.x},${end.y} l-8,-4 v8 z`;
  if (end.x <= start.x) {
    // To the next row: out below, in above.
    const [x1, y1, x2, y2] = [a.x + WIDTH / 2, a.y + HEIGHT, b.x + WIDTH / 2, b.y];
    const middle = y2 - ROW / 2;
    path = `M${x1},${y1} V${middle} H${x2} V${y2}`;
    at = { x: x2 + 8, y: middle - 4 };
    tip = `M${x2},${y2} l-4,-8 h8 z`;
  }
  svg.append(shape("path", { d: path, class: "edge" }), shape("path", { d: tip, class: "tip" }));
  const anchor = end.x <= start.x ? "start" : "middle";
  svg.append(shape("text", { x: at.x, y: at.y, "text-anchor": anchor, class: "quiet" }, label));
}

function bar(svg, x, y, width, height, part, kind) {
  svg.append(shape("rect", { x, y, width, height, class: "track" }));
  svg.append(shape("rect", { x, y, width: Math.max(0, Math.min(1, part)) * width, height, class: kind }));
}

// As much of a name as a box has room for.
const cut = (name) => (name.length > 22 ? `${name.slice(0, 21)}…` : name);

function box(svg, brick, stage, { x, y }) {
  const mark = stage.is_bottleneck ? " bottleneck" : "";
  svg.append(shape("rect", { x, y, width: WIDTH, height: HEIGHT, rx: 6, class: `box${mark}` }));
  svg.append(shape("text", { x: x + 8, y: y + 20 }, cut(brick.id)));
  // Where a run is played again its layout is not known.
  const words = stage.replicas.length ? `${count(stage.replicas.length, "replica")}, ${percent(stage.load)} load` : cut(brick.kind);
  svg.append(shape("text", { x: x + 8, y: y + 37, class: "quiet" }, words));
  if (!stage.replicas.length) return;
  const each = Math.max(2, Math.min(10, 26 / stage.replicas.length));
  stage.replicas.forEach((replica, at) => {
    if (at * each < 28) bar(svg, x + 8, y + 44 + at * each, WIDTH - 16, Math.max(1.5, each - 2), replica.useful_work_ratio, "work");
  });
  svg.append(shape("text", { x: x + 8, y: y + 86, class: "quiet" }, `queue ${stage.queue}`));
  bar(svg, x + 66, y + 78, WIDTH - 74, 8, stage.queue_fill, "queue");
  if (stage.is_bottleneck) svg.append(shape("text", { x: x + 8, y: y + 100, class: "bottleneck" }, "bottleneck"));
}

// A frame around neighbours in a row that share workers.
function frames(svg, graph, found) {
  graph.stages.forEach((stage, number) => {
    if (stage.bricks.length < 2) return;
    const rows = new Map();
    for (const brick of graph.bricks) {
      const place = found.get(brick.id);
      if (brick.stage !== number || !place) continue;
      const row = rows.get(place.y) ?? { left: place.x, right: place.x };
      rows.set(place.y, { left: Math.min(row.left, place.x), right: Math.max(row.right, place.x) });
    }
    for (const [y, { left, right }] of rows) {
      svg.append(shape("rect", { x: left - 5, y: y - 5, width: right - left + WIDTH + 10, height: HEIGHT + 10, rx: 9, class: "shared" }));
    }
  });
}

export function drawGraph(holder, graph) {
  if (!graph.bricks.length) return;
  const { found, width, height } = places(graph, holder.clientWidth - 16);
  const svg = shape("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label":
    `Brick graph ${graph.name}: ${graph.plan}. The table below has the figures.` });
  frames(svg, graph, found);
  graph.edges.forEach((each) => edge(svg, each, found));
  for (const brick of graph.bricks) {
    const stage = graph.stages[brick.stage];
    if (stage && found.has(brick.id)) box(svg, brick, stage, found.get(brick.id));
  }
  holder.replaceChildren(svg);
}
