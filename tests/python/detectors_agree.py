#!/usr/bin/env python3
"""Compares detectors of legonf with those of scikit-learn and pyod, and with onnxruntime.

    detectors_agree.py METHOD MODEL.onnx TRAIN.npy TEST.npy SCORES.npy [--tolerance 1e-9]

TRAIN holds the rows that MODEL was made of, SCORES its scores of the rows of TEST. What other packages have the
method is asked for the same scores; an isolation forest's trees are those of MODEL. Exits with 0 when every relative
difference is within the tolerance, otherwise with 1, and with 77 where a package is missing.
"""
import argparse
import sys

import numpy as np

try:
    import onnxruntime as ort
    from sklearn.decomposition import PCA
    from sklearn.neighbors import NearestNeighbors
    from sklearn.preprocessing import StandardScaler
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)


def pca(train, test, _, variance=0.95):
    """Root of the mean squared reconstruction error."""
    scaler = StandardScaler().fit(train)
    model = PCA(n_components=variance, svd_solver="full").fit(scaler.transform(train))
    z = scaler.transform(test)
    return np.sqrt(np.mean((z - model.inverse_transform(model.transform(z))) ** 2, axis=1))


def logarithm(x):
    """log2(1 + |x|), linear between powers of two, with the sign of x."""
    fraction, exponent = np.frexp(1.0 + np.abs(x))
    return np.copysign(exponent - 1 + 2.0 * fraction - 1.0, x)


def log_pca(train, test, _):
    """The same of logarithms, by 90% of the variance."""
    return pca(logarithm(train), logarithm(test), _, 0.9)


def mean_z(train, test, _):
    return np.mean(np.abs(StandardScaler().fit(train).transform(test)), axis=1)


def box_plot(train, test, _):
    first, third = np.quantile(train, [0.25, 0.75], axis=0)
    spread = np.where(third > first, third - first, 0.0)
    low, high = first - 1.5 * spread, third + 1.5 * spread
    distance = np.maximum(np.maximum(low - test, test - high), 0.0)
    return np.mean(distance / np.where(spread > 0.0, spread, 1.0), axis=1)


def nearest_neighbour(train, test, tensors):
    scaler = StandardScaler().fit(train)
    centres = tensors("nearest-neighbour.centres")
    found = NearestNeighbors(n_neighbors=1, algorithm="kd_tree").fit(centres).kneighbors(scaler.transform(test))
    return found[0][:, 0] / np.sqrt(train.shape[1])


def isolation_forest(train, test, tensors):
    """The path lengths of scikit-learn's rule over the trees of the model."""
    from sklearn.ensemble._iforest import _average_path_length

    names = ("roots", "feature", "threshold", "left", "right")
    roots, feature, threshold, left, right = (tensors(f"isolation-forest.{name}") for name in names)
    rows = min(256, len(train))
    lengths = np.zeros(len(test))
    for root in roots:
        node, depth = np.full(len(test), root), np.zeros(len(test))
        while True:
            inner = left[node] != node
            if not inner.any():
                break
            depth += inner
            goes_right = test[np.arange(len(test)), feature[node]] > threshold[node]
            node = np.where(inner, np.where(goes_right, right[node], left[node]), node)
        lengths += tensors("isolation-forest.length")[node]
        # A leaf at less than the limit holds one row, or equal ones; its length is its depth or more.
        if (tensors("isolation-forest.length")[node] < depth).any():
            sys.exit("a leaf's length is below its depth")
    return 1.0 - lengths / len(roots) / (2.0 * _average_path_length([rows])[0])


def ecod(train, test, _):
    from pyod.models.ecod import ECOD

    # pyod takes the distribution of the rows of training and of those in question: one by one, as legonf does.
    varies = train.max(axis=0) > train.min(axis=0)
    model = ECOD().fit(train[:, varies])
    return np.array([model.decision_function(row[None, varies])[0] for row in test])


def hbos(train, test, _):
    from pyod.models.hbos import HBOS

    # The only value of a constant feature lies on an edge, where pyod takes the empty bar below; here it is in a full one.
    varies = train.max(axis=0) > train.min(axis=0)
    low, high = train[:, varies].min(axis=0), train[:, varies].max(axis=0)
    model = HBOS(n_bins=10, alpha=0.1, tol=0.5).fit((train[:, varies] - low) / (high - low))
    constant = -np.log2(10.1) * np.count_nonzero(~varies)
    return model.decision_function((test[:, varies] - low) / (high - low)) + constant


METHODS = {
    "pca": pca,
    "log-pca": log_pca,
    "mean-z": mean_z,
    "box-plot": box_plot,
    "nearest-neighbour": nearest_neighbour,
    "isolation-forest": isolation_forest,
    "ecod": ecod,
    "hbos": hbos,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("method")
    parser.add_argument("model")
    parser.add_argument("train")
    parser.add_argument("test")
    parser.add_argument("scores")
    parser.add_argument("--tolerance", type=float, default=1e-9, help="largest relative difference")
    args = parser.parse_args()
    train, test, scores = (np.load(path, allow_pickle=False) for path in (args.train, args.test, args.scores))

    session = ort.InferenceSession(args.model, providers=["CPUExecutionProvider"])
    found = {"onnxruntime": session.run(["rmse"], {"features": test})[0]}
    method = METHODS.get(args.method)
    try:
        if method:
            found["reference"] = method(train, test, lambda name: tensor(args.model, name))
    except ImportError as error:
        print(f"skipped: {error}")
    worst = 0.0
    for name, other in found.items():
        difference = np.abs(other - scores) / np.maximum(np.abs(scores), 1e-6)
        print(f"{args.method}, {name}: {len(scores)} rows, largest relative difference {difference.max():.2e}")
        worst = max(worst, difference.max())
    sys.exit(0 if worst <= args.tolerance else 1)


def tensor(model, name):
    """An initializer of an ONNX file, without the package onnx: protobuf by hand."""
    with open(model, "rb") as file:
        graph = next(content for field, content in fields(file.read()) if field == 7)
    for field, content in fields(graph):
        parts = list(fields(content)) if field == 5 else []
        if any(field == 8 and part == name.encode() for field, part in parts):
            kind = next(part for field, part in parts if field == 2)
            raw = next(part for field, part in parts if field == 9)
            dims = [part for field, part in parts if field == 1]
            dims = [d for part in dims for d in (varints(part) if isinstance(part, bytes) else [part])]
            return np.frombuffer(raw, {1: "<f4", 7: "<i8", 11: "<f8"}[kind]).reshape(dims)
    raise KeyError(name)


def varints(data):
    at, found = 0, []
    while at < len(data):
        value, at = varint(data, at)
        found.append(value)
    return found


def varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        shift, at = shift + 7, at + 1
        if data[at - 1] < 128:
            return value, at


def fields(data):
    """The fields of a protobuf message: numbers, and bytes or integers."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 2:
            length, at = varint(data, at)
            yield key >> 3, data[at : at + length]
            at += length
        elif key & 7 == 0:
            value, at = varint(data, at)
            yield key >> 3, value
        else:
            sys.exit("not the ONNX that legonf writes")


if __name__ == "__main__":
    main()
