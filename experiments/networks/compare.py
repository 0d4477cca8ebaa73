#!/usr/bin/env python3
"""Measures legonf's own engine and onnxruntime on the same networks, one core each, in turns, and prints the table of both.

    compare.py [--legonf target/release/legonf] [--turns 5] [--cpu 0] [--json FILE]

The networks are those of `legonf bench networks`, written by its --export. Each turn measures one after the other, and of each the
fastest turn counts, since other work only slows. Both must give the same probabilities of the first row to 1e-5.
Needs numpy and onnxruntime.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime as ort

TOLERANCE = 1e-5
ROWS = 256
PARTS = 4


def session(path):
    """The network in onnxruntime, on one core."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def rows(network, count):
    """Rows of numbers that differ, as legonf's."""
    source = network.get_inputs()[0]
    shape = [count] + source.shape[1:]
    width, numbers = int(np.prod(shape[1:])), np.arange(np.prod(shape))
    cells = ((numbers * 31 + numbers // width * 17) % 251).reshape(shape)
    kind = np.uint8 if source.type == "tensor(uint8)" else np.float32
    return {source.name: (cells if kind == np.uint8 else cells / 255).astype(kind)}


def rate(network, batch):
    """Rows a second in batches of this size, in the fastest part."""
    given = rows(network, batch)
    network.run(None, given)
    runs, fastest = -(-ROWS // batch), float("inf")
    for _ in range(PARTS):
        start = time.process_time()
        for _ in range(runs):
            network.run(None, given)
        fastest = min(fastest, (time.process_time() - start) / (runs * batch))
    return 1 / fastest


def check(network, first_row):
    """Ends if the network gives another first row than legonf."""
    given = network.run(None, rows(network, 1))[0].ravel()
    worst = float(np.max(np.abs(given - np.array(first_row, dtype=np.float32))))
    if worst > TOLERANCE:
        sys.exit(f"the first rows differ by {worst:.1e}")
    return worst


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--legonf", default="target/release/legonf")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--cpu", type=int, help="the core that both run on")
    parser.add_argument("--json", help="a file for the figures")
    args = parser.parse_args()
    if args.cpu is not None:
        os.sched_setaffinity(0, {args.cpu})

    best, worst = {}, 0.0
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([args.legonf, "bench", "networks", "--export", folder, "--force"], check=True, capture_output=True)
        networks = {path.stem: session(str(path)) for path in sorted(Path(folder).glob("*.onnx"))}
        for _ in range(args.turns):
            done = subprocess.run(
                [args.legonf, "bench", "networks", "--rounds", "1", "--json"], check=True, capture_output=True, text=True
            )
            report = json.loads(done.stdout)
            for measured in report["networks"]:
                worst = max(worst, check(networks[measured["name"]], measured["first_row"]))
                for entry in measured["batches"]:
                    key = measured["name"], entry["batch"]
                    other = rate(networks[key[0]], key[1])
                    own, peer = best.get(key, (0, 0))
                    best[key] = max(own, entry["rows_per_second"]), max(peer, other)
    print(f"{report['instruction_set']}, onnxruntime {ort.__version__}, fastest of {args.turns} turns of each; largest difference {worst:.1e}\n")
    print("| network | batch | legonf, rows/s | onnxruntime, rows/s | legonf against it |\n|---|---|---|---|---|")
    for (name, batch), (own, peer) in best.items():
        print(f"| {name} | {batch} | {own:,.0f} | {peer:,.0f} | {own / peer:.2f} × |")
    if args.json:
        figures = [{"network": n, "batch": b, "legonf": own, "onnxruntime": peer} for (n, b), (own, peer) in best.items()]
        Path(args.json).write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
