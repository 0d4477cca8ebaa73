#!/usr/bin/env python3
"""Measures legonf and its peers, one core each, and writes the table of both.

    peers.py [--legonf target/release/legonf] [--out experiments/speed] NAME=CAPTURE...

For every capture a model is trained on its first packets; then, in turns, `legonf bench kitsune` runs from file to
score, and onnxruntime runs the same bundle on the same features: as it is (f64), and with every number in f32. What
cannot be run here is marked as recorded. Writes results.json and RESULTS.md. Needs numpy, onnx and onnxruntime.
"""
import argparse
import json
import platform
import statistics
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
ROUNDS = 5
BATCHES = [1, 32, 256, 1024]
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


def measure(program, name, capture, folder):
    """Both on one capture, in turns."""
    model, matrix = folder / f"{name}.onnx", folder / f"{name}.npy"
    count = legonf(program, "features", capture, "--json", "-o", matrix)["rows"]
    training = max(min(count // 2 - 1001, 50_000), 1000)
    legonf(program, "train", "kitsune", capture, "--quiet", "--feature-mapping-packets", 1000,
           "--training-packets", training, "-o", model)
    features = np.load(matrix)[-ROWS:]
    features = np.tile(features, (-(-ROWS // len(features)), 1))[:ROWS]
    double = onnx.load(model)
    runners = {"f64": (session(double), features), "f32": (session(in_single(double)), features.astype(np.float32))}
    rates = {(kind, batch): [] for kind in runners for batch in BATCHES}
    runs, single = [], []
    for _ in range(ROUNDS):
        bench = [program, "bench", "kitsune", capture, "--model", model, "--runs", 1, "--json"]
        runs.append(legonf(*bench))
        single.append(legonf(*bench, "--precision", "f32"))
        for (kind, batch), found in rates.items():
            found.append(rows_per_second(*runners[kind], batch))
    keys = ["parse_pps", "features_pps", "network_pps", "end_to_end_pps", "model_load_to_first_score_ms"]
    middle = {key: statistics.median(run[key] for run in runs) for key in keys}
    kernel = [
        statistics.median(next(b["pps"] for b in run["bricks"] if b["id"] == "autoencoder") for run in found)
        for found in (runs, single)
    ]
    return {
        "capture": name,
        "packets": runs[0]["packets"],
        "legonf": {**middle, "autoencoder_pps": {"f64": kernel[0], "f32": kernel[1]}},
        "roofline": {"f64": stages(runs), "f32": [stage for stage in stages(single) if stage["id"] == "autoencoder"]},
        "onnxruntime": [
            {"precision": kind, "batch": batch, "rows_per_second": statistics.median(found)}
            for (kind, batch), found in rates.items()
        ],
        "machine": runs[-1]["machine"],
    }


def stages(runs):
    """What each stage takes of the core: the medians of the runs."""
    def stage(index, brick):
        numbers = (key for key, value in brick.items() if isinstance(value, float))
        middle = {key: statistics.median(run["bricks"][index][key] for run in runs) for key in numbers}
        return {**brick, **middle}

    return [stage(*item) for item in enumerate(runs[-1]["bricks"])]


def processor():
    """The processor's name, where Linux tells it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def table(results):
    """The results in Markdown."""
    def rate(value):
        return f"{value / 1e6:.2f} M" if value >= 1e6 else f"{value / 1e3:.1f} k"

    lines = [
        "# One core, legonf and its peers",
        "",
        f"Written by `peers.py`: {processor()}, onnxruntime {ort.__version__}; medians of {ROUNDS} turns.",
        "Packets or rows a second of one core; legonf in the reference's bits, f64.",
        "",
        "| capture | parse | features | network | file to score | first score |",
        "|---|---|---|---|---|---|",
    ]
    for result in results:
        own = result["legonf"]
        cells = [rate(own[f"{key}_pps"]) for key in ("parse", "features", "network", "end_to_end")]
        first = f"{own['model_load_to_first_score_ms']:.2f} ms"
        lines.append(f"| {result['capture']} ({result['packets']:,} packets) | {' | '.join(cells)} | {first} |")
    lines += [
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
    with tempfile.TemporaryDirectory() as folder:
        for pair in arguments.captures:
            name, equals, capture = pair.partition("=")
            if not equals or not Path(capture).is_file():
                sys.exit(f"{pair}: expected NAME=CAPTURE with a file that exists")
            results.append(measure(arguments.legonf, name, capture, Path(folder)))
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (arguments.out / "RESULTS.md").write_text(table(results))
    print(table(results), end="")


if __name__ == "__main__":
    main()
