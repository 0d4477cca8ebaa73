#!/usr/bin/env python3
"""Runs a network by onnxruntime and compares all its outputs with those of legonf.

    onnxruntime_outputs.py MODEL.onnx FOLDER [--tolerance 1e-5]

FOLDER holds an array for each input and each output, NAME.npy, with a row for each row of the batch. Exits with 0 when every
difference is within the tolerance, of one or of the value, otherwise with 1. Labels are compared in rows whose two largest
probabilities are further apart.
"""
import argparse
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort


def decided(given, tolerance):
    """The rows in which one probability is the largest by more than the tolerance."""
    for values in given:
        if values.ndim == 2 and values.shape[1] > 1 and values.dtype.kind == "f":
            last = np.sort(values, axis=1)
            return last[:, -1] - last[:, -2] > tolerance
    return slice(None)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tolerance", type=float, default=1e-5)
    args = parser.parse_args()

    network = ort.InferenceSession(args.model, providers=["CPUExecutionProvider"])
    array = lambda name: np.load(args.folder / f"{name}.npy", allow_pickle=False)
    shaped = lambda source: array(source.name).reshape([-1] + source.shape[1:])
    given = network.run(None, {source.name: shaped(source) for source in network.get_inputs()})
    worst = 0.0
    for output, values in zip(network.get_outputs(), given):
        own = array(output.name).astype(np.float64).ravel()
        kind, values = values.dtype.kind, values.astype(np.float64).ravel()
        if own.size != values.size:
            sys.exit(f"{output.name}: {own.size} values, onnxruntime gives {values.size}")
        if kind == "i":
            rows = decided(given, args.tolerance)
            own, values = own[rows], values[rows]
        worst = max(worst, float(np.max(np.abs(own - values) / np.maximum(np.abs(values), 1.0))))
    print(f"largest difference {worst:.2e}")
    sys.exit(0 if worst <= args.tolerance else 1)


if __name__ == "__main__":
    main()
