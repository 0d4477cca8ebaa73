#!/usr/bin/env python3
"""Runs a model bundle by onnxruntime and compares its scores with those of legonf.

    onnxruntime_agrees.py MODEL.onnx FEATURES.npy SCORES.npy|SCORES.csv [--tolerance 1e-9]

SCORES holds one score for each row of FEATURES: a .npy array, or a .csv with a column `score` (or one
column). Exits with 0 when every relative difference is within the tolerance, otherwise with 1.
"""
import argparse
import csv
import json
import sys

import numpy as np
import onnxruntime as ort


def read_scores(path):
    """The scores of a .npy or .csv file."""
    if path.endswith(".npy"):
        return np.load(path, allow_pickle=False).astype(np.float64).ravel()
    with open(path, newline="") as file:
        rows = list(csv.reader(file))
    column = rows[0].index("score") if "score" in rows[0] else 0
    first = 1 if "score" in rows[0] else 0
    return np.array([float(row[column]) for row in rows[first:]])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("features")
    parser.add_argument("scores")
    parser.add_argument("--tolerance", type=float, default=1e-9, help="largest relative difference")
    args = parser.parse_args()

    session = ort.InferenceSession(args.model, providers=["CPUExecutionProvider"])
    features = np.load(args.features, allow_pickle=False)
    expected = read_scores(args.scores)
    source = session.get_inputs()[0]
    if features.shape[0] != expected.shape[0]:
        sys.exit(f"{args.scores}: {expected.shape[0]} scores for {features.shape[0]} rows")
    wanted = np.float64 if source.type == "tensor(double)" else np.float32
    properties = session.get_modelmeta().custom_metadata_map
    output = properties.get("legonf.output", "rmse")
    names = json.loads(properties["legonf.schema"])["features"]
    if len(names) != features.shape[1]:
        sys.exit(f"{args.features}: {features.shape[1]} columns, the schema has {len(names)}")

    scores = session.run([output], {source.name: features.astype(wanted)})[0].ravel().astype(np.float64)
    difference = np.abs(scores - expected) / np.maximum(np.abs(expected), 1e-12)
    worst = int(np.argmax(difference))
    print(f"{len(scores)} rows, largest relative difference {difference[worst]:.2e} (row {worst})")
    sys.exit(0 if difference[worst] <= args.tolerance else 1)


if __name__ == "__main__":
    main()
