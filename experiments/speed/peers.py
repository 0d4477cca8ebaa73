#!/usr/bin/env python3
"""Measures legonf and its peers, one core each, and writes the table of both.

    peers.py [--legonf target/release/legonf] [--out experiments/speed] NAME=CAPTURE...

For every capture models of `kitsune-115` and `kitsune-py-100` are trained on its first packets; then, in turns, `legonf
bench kitsune` runs from file to score in f64 and in f32, and onnxruntime runs the same bundle on the same features: as it
is (f64), and with every number in f32. What does not depend on the capture
(training, a scan for `kitsune-py-100`) is measured once; batches of one row and 10⁶ streams are taken from the report of
`legonf bench growth` in the folder growth. What cannot be run here is marked as recorded. Writes results.json and RESULTS.md.
Needs numpy, onnx and onnxruntime.
"""
import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, numpy_helper

ROWS = 8192
ROUNDS = 12
BATCHES = [1, 32, 256, 1024]
# Processor time is not to the microsecond: of a training as many rows as take about a second.
TRAINING = [20_000, 220_000]
# Floor and aim, in millions a second on a core with AVX-512; those of the network are for one with AVX2 a part of that.
TARGETS = {
    "parse": (20, 100), "features": (6, 10), "py-100": (0.5, 2),
    "f64": (7, 12), "f32": (17, 25), "one": (1.5, 3), "training": (1.1, 2.5), "end": (2.8, 5),
    "streams": (2, 3.5),
}
NETWORK = {"f64", "f32", "one", "training"}
AVX2_PART = 1 / 2.5
# One core of another machine, all on one day, which was loaded: for the order of magnitude. Packets or rows a second.
RECORDED = [
    ("Kitsune-py (CPython, numpy), benign synthetic traffic", 7060, 5210, 2569),
    ("Kitsune-py, real Mirai traffic", 1712, 5210, 722),
    ("Kitsune-cpp (results differ from the reference's)", 187e3, 344e3, 107e3),
    ("a C++ port with the reference's bits", 288e3, 578e3, 173e3),
]


def legonf(program, *arguments):
    """Runs the command quietly; what it prints with --json, as an object."""
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{program} {' '.join(map(str, arguments))}: {done.stderr.strip()}")
    return json.loads(done.stdout) if "--json" in arguments else None


def in_single(model):
    """The same graph with every f64 in f32."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    graph = model.graph

    def convert(tensor):
        if tensor.data_type == TensorProto.DOUBLE:
            single = numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name)
            tensor.CopyFrom(single)

    for tensor in graph.initializer:
        convert(tensor)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                convert(attribute.t)
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.DOUBLE:
                attribute.i = TensorProto.FLOAT
    for value in [*graph.input, *graph.output, *graph.value_info]:
        if value.type.tensor_type.elem_type == TensorProto.DOUBLE:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
    return model


def session(model):
    """onnxruntime on one core."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def rows_per_second(running, features, batch):
    """Scores the rows once in batches."""
    name = running.get_inputs()[0].name
    rows = features[: max(batch, ROWS // (32 if batch == 1 else 1))]
    start = time.thread_time()
    for at in range(0, len(rows) - batch + 1, batch):
        running.run(["rmse"], {name: rows[at : at + batch]})
    return len(rows) // batch * batch / (time.thread_time() - start)


def train(program, capture, schema, packets, model):
    """A model of some packets; seconds of processor time that training it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    legonf(program, "train", "kitsune", capture, "--quiet", "--force", "--workers", "monolithic", "--schema", schema,
           "--feature-mapping-packets", 1000, "--training-packets", packets, "-o", model)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def autoencoder(run):
    """Rows a second of the network's kernel."""
    return next(brick["pps"] for brick in run["bricks"] if brick["id"] == "autoencoder")


def measure(program, name, capture, folder):
    """Both on one capture, in turns."""
    model, model_100, matrix = (folder / f"{name}{end}" for end in (".onnx", "-100.onnx", ".npy"))
    count = legonf(program, "features", capture, "--json", "-o", matrix)["rows"]
    training = max(min(count // 2 - 1001, 50_000), 1000)
    train(program, capture, "kitsune-115", training, model)
    train(program, capture, "kitsune-py-100", min(training, 5000), model_100)
    features = np.load(matrix)[-ROWS:]
    features = np.tile(features, (-(-ROWS // len(features)), 1))[:ROWS]
    double = onnx.load(model)
    runners = {"f64": (session(double), features), "f32": (session(in_single(double)), features.astype(np.float32))}
    rates = {(kind, batch): [] for kind in runners for batch in BATCHES}
    kinds = {"f64": [model], "f32": [model, "--precision", "f32"], "py-100": [model_100]}
    runs = {kind: [] for kind in kinds}
    for _ in range(ROUNDS):
        for kind, (chosen, *options) in kinds.items():
            runs[kind].append(legonf(program, "bench", "kitsune", capture, "--model", chosen, "--runs", 1, "--json", *options))
        for (kind, batch), found in rates.items():
            found.append(rows_per_second(*runners[kind], batch))

    def best(kind, key):
        return max(run[key] for run in runs[kind])

    keys = ["parse_pps", "features_pps", "network_pps", "end_to_end_pps"]
    return {
        "capture": name,
        "packets": runs["f64"][0]["packets"],
        "legonf": {
            **{key: best("f64", key) for key in keys},
            "model_load_to_first_score_ms": min(run["model_load_to_first_score_ms"] for run in runs["f64"]),
            "py_100": {key: best("py-100", key) for key in ("features_pps", "end_to_end_pps")},
            "autoencoder_pps": {kind: max(map(autoencoder, runs[kind])) for kind in ("f64", "f32")},
        },
        "roofline": {
            "f64": fastest(runs["f64"])["bricks"],
            "f32": [brick for brick in fastest(runs["f32"])["bricks"] if brick["id"] == "autoencoder"],
        },
        "onnxruntime": [
            {"precision": kind, "batch": batch, "rows_per_second": max(found)}
            for (kind, batch), found in rates.items()
        ],
        "machine": fastest(runs["f64"])["machine"],
    }


def once(program, folder, growth):
    """What does not depend on the capture."""
    scan, model = folder / "scan.pcapng", folder / "scan.onnx"
    legonf(program, "dataset", "generate", "--quiet", "-o", scan, "--scan", 60, 500)
    train(program, scan, "kitsune-py-100", 5000, model)
    runs = [legonf(program, "bench", "kitsune", scan, "--model", model, "--runs", 1, "--json") for _ in range(ROUNDS)]
    packets, table = folder / "rows.pcapng", folder / "rows.npy"
    legonf(program, "dataset", "generate", "--quiet", "-o", packets, "--packets", TRAINING[1] + 2000)
    legonf(program, "features", packets, "--json", "-o", table)
    seconds = [min(train(program, table, "kitsune-115", rows, folder / "t.onnx") for _ in range(3)) for rows in TRAINING]
    points = json.loads(growth.read_text())["points"] if growth.exists() else []
    one = {p["precision"]: p["per_second"] for p in points if p["of"] == "network-batch" and p["batch"] == 1}
    streams = next((p["per_second"] for p in points if p["of"] == "extraction" and p["streams"] == 10**6), None)
    return {
        "py_100_with_a_scan_pps": max(run["features_pps"] for run in runs),
        "training_rows_per_second": (TRAINING[1] - TRAINING[0]) / (seconds[1] - seconds[0]),
        "batches_of_one_rows_per_second": one,
        "million_streams_pps": streams,
    }


def fastest(runs):
    """The run that scored the most packets a second."""
    return max(runs, key=lambda run: run["end_to_end_pps"])


def processor():
    """The processor's name, where Linux tells it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def rate(value):
    """A rate in millions or thousands."""
    return f"{value / 1e6:.2f} M" if value >= 1e6 else f"{value / 1e3:.1f} k"


def target(key):
    """Floor and aim on this processor, as cells."""
    info = Path("/proc/cpuinfo")
    wide = info.exists() and "avx512f" in info.read_text()
    part = 1 if wide or key not in NETWORK else AVX2_PART
    return " | ".join(f"{value * part:.3g} M" for value in TARGETS[key])


def targets(results, alone):
    """Every figure that has a target, beside it."""
    def line(what, key, pick):
        return f"| {what} | {' | '.join(rate(pick(result['legonf'])) for result in results)} | {target(key)} |"

    def first(own):
        return f"{own['model_load_to_first_score_ms']:.2f} ms"

    def single(what, key, value):
        return f"| {what} | {rate(value)} | {target(key)} |"

    lines = [
        f"| a second of one core | {' | '.join(r['capture'] for r in results)} | floor | aim |",
        "|---" * (len(results) + 3) + "|",
        line("headers parsed, reading included", "parse", lambda own: own["parse_pps"]),
        line("`kitsune-115` features", "features", lambda own: own["features_pps"]),
        line("`kitsune-py-100` features", "py-100", lambda own: own["py_100"]["features_pps"]),
        line("KitNET, batches of 256, f64", "f64", lambda own: own["autoencoder_pps"]["f64"]),
        line("KitNET, batches of 256, f32", "f32", lambda own: own["autoencoder_pps"]["f32"]),
        line("file to score, f64", "end", lambda own: own["end_to_end_pps"]),
        f"| model load to first score | {' | '.join(first(result['legonf']) for result in results)} | 10 ms | 1 ms |",
        "",
        "| a second of one core, whatever the capture | | floor | aim |",
        "|---|---|---|---|",
    ]
    lines.append(single("`kitsune-py-100` features, a scan in the trace", "py-100", alone["py_100_with_a_scan_pps"]))
    if alone["million_streams_pps"] is not None:
        streams = "`kitsune-115` features with parsing, 10⁶ streams"
        lines.append(single(streams, "streams", alone["million_streams_pps"]))
    for kind, value in alone["batches_of_one_rows_per_second"].items():
        lines.append(single(f"KitNET, batches of 1, {kind}", "one", value))
    lines.append(single("KitNET training, reading a table included", "training", alone["training_rows_per_second"]))
    return lines


def table(results, alone):
    """The results in Markdown."""
    lines = [
        "# One core, legonf and its peers",
        "",
        f"Written by `peers.py`: {processor()}, onnxruntime {ort.__version__}; the fastest of {ROUNDS} turns of each,",
        "since whatever else the machine does only slows.",
        "Packets or rows a second of one core. Targets of the network are for its instruction set: a core with AVX2 alone does",
        "about 1 / 2.5 of what one with AVX-512 does. [LIMITS.md](LIMITS.md) says what bounds each stage.",
        "",
        *targets(results, alone),
        "",
        "The network alone, on the same bundle and features in the same turns:",
        "",
        "| capture | precision | legonf, batches of 256 | onnxruntime, "
        + " | ".join(f"batch {batch}" for batch in BATCHES)
        + " | legonf against the best |",
        "|---" * (len(BATCHES) + 4) + "|",
    ]
    for result in results:
        for kind, own in result["legonf"]["autoencoder_pps"].items():
            peers = [p["rows_per_second"] for p in result["onnxruntime"] if p["precision"] == kind]
            cells = " | ".join(rate(peer) for peer in peers)
            lines.append(f"| {result['capture']} | {kind} | {rate(own)} | {cells} | {own / max(peers):.1f} × |")
    lines += [
        "",
        "What a packet takes of the core, and the part of the roofline that each stage reaches: of the longest of what its",
        "arithmetic, its divisions and roots, its bytes of memory and its bytes of cache take at the rates that the same run measured.",
        "",
        "| capture | stage | ns | bytes of memory | of cache | FLOP | least ns, by | reached |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for result in results:
        for kind, found in result["roofline"].items():
            for s in found:
                flops = "unknown" if s["flops_per_packet"] is None else f"{s['flops_per_packet']:,.0f}"
                lines.append(
                    f"| {result['capture']} | {s['id']}, {kind} | {s['ns_per_packet']:.1f} | {s['memory_bytes_per_packet']:,.0f} "
                    f"| {s['cache_bytes_per_packet']:,.0f} | {flops} | {s['bound_ns']:.1f}, {s['bound_by']} "
                    f"| {s['percent_of_roofline']:.0f}% |"
                )
    lines += [
        "",
        "Recorded elsewhere (a core of another machine, which was loaded), for the order of magnitude:",
        "",
        "| | features | network | end to end |",
        "|---|---|---|---|",
    ]
    lines += [f"| {name} | {rate(a)} | {rate(b)} | {rate(c)} |" for name, a, b, c in RECORDED]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("captures", nargs="+", metavar="NAME=CAPTURE")
    parser.add_argument("--legonf", default="target/release/legonf")
    parser.add_argument("--out", type=Path, default=Path("experiments/speed"))
    arguments = parser.parse_args()
    results = []
    growth = arguments.out / "growth" / "report.json"
    with tempfile.TemporaryDirectory() as folder:
        for pair in arguments.captures:
            name, equals, capture = pair.partition("=")
            if not equals or not Path(capture).is_file():
                sys.exit(f"{pair}: expected NAME=CAPTURE with a file that exists")
            results.append(measure(arguments.legonf, name, capture, Path(folder)))
        alone = once(arguments.legonf, Path(folder), growth)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "results.json").write_text(json.dumps({"captures": results, "whatever_the_capture": alone}, indent=1) + "\n")
    (arguments.out / "RESULTS.md").write_text(table(results, alone))
    print(table(results, alone), end="")


if __name__ == "__main__":
    main()
