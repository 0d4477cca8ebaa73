#!/usr/bin/env python3
"""Writes ensembles of trees that scikit-learn has fitted, as skl2onnx exports them, into a folder: NAME.onnx, and x.npy, the rows to
run them on.

    sklearn_trees.py FOLDER
"""
import sys
from pathlib import Path

import numpy as np
from skl2onnx import to_onnx
from sklearn.ensemble import (
    ExtraTreesClassifier, GradientBoostingClassifier, GradientBoostingRegressor, RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.tree import DecisionTreeClassifier


def main():
    folder = Path(sys.argv[1])
    random = np.random.default_rng(1)
    rows = random.normal(size=(400, 7)).astype(np.float32)
    score = rows[:, 0] + rows[:, 3] * rows[:, 5]
    classes = np.digitize(score, [-1, 0, 1])
    for name, model, target in [
        ("forest", RandomForestClassifier(20, random_state=1), classes),
        ("pair", RandomForestClassifier(20, random_state=1), (classes > 1).astype(int)),
        ("extra", ExtraTreesClassifier(20, random_state=1), classes + 5),
        ("cart", DecisionTreeClassifier(random_state=1), classes),
        ("boosted", GradientBoostingClassifier(n_estimators=10, random_state=1), (classes > 1).astype(int)),
        ("boosted-classes", GradientBoostingClassifier(n_estimators=10, random_state=1), classes),
        ("regressor", RandomForestRegressor(20, random_state=1), score),
        ("boosted-regressor", GradientBoostingRegressor(n_estimators=10, random_state=1), score),
    ]:
        model.fit(rows, target)
        options = {id(model): {"zipmap": False}} if hasattr(model, "classes_") else None
        exported = to_onnx(model, rows[:1], options=options, target_opset={"": 18, "ai.onnx.ml": 3})
        (folder / f"{name}.onnx").write_bytes(exported.SerializeToString())
    np.save(folder / "rows.npy", random.normal(size=(300, 7)).astype(np.float32))


if __name__ == "__main__":
    main()
