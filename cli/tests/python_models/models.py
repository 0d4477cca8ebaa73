"""Models of scikit-learn and in the form of PyTorch's exporter, with what the libraries say of the same rows."""
import csv
import json
import sys
import warnings

import numpy as np
import onnx, onnxruntime
from onnx import TensorProto, helper, numpy_helper
from sklearn.ensemble import IsolationForest, RandomForestClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.svm import OneClassSVM
from skl2onnx import to_onnx

warnings.simplefilter("ignore")
out = sys.argv[1]
rng = np.random.default_rng(7)
rows = rng.normal(size=(300, 6)).astype(np.float32)
classes = np.array(["game", "mail", "web"])[(rows[:, 0] > 0).astype(int) + (rows[:, 1] > 0.5)]
names = ["bytes", "packets", "gap", "ttl", "entropy", "ports"]
with open(f"{out}/rows.csv", "w", newline="") as file:
    table = csv.writer(file)
    table.writerow(names)
    table.writerows([[repr(float(cell)) for cell in row] for row in rows])
expected = {}


def skl(name, model, truth, options=None):
    onx = to_onnx(model, rows[:1], options=options, target_opset={"": 18, "ai.onnx.ml": 3})
    onnx.save(onx, f"{out}/{name}.onnx")
    expected[name] = truth | {"operators": sorted({node.op_type for node in onx.graph.node})}


forest = IsolationForest(n_estimators=30, random_state=1).fit(rows)
skl("isolation-forest", forest, {"scores": (-forest.decision_function(rows)).tolist()})
svm = OneClassSVM(nu=0.1).fit(rows)
skl("one-class-svm", svm, {"scores": (-svm.decision_function(rows)).tolist()})
plain = {"zipmap": False}
trees = RandomForestClassifier(n_estimators=20, max_depth=6, random_state=1).fit(rows, classes)
skl("random-forest", trees, {"probabilities": trees.predict_proba(rows).tolist(), "classes": trees.classes_.tolist()}, {id(trees): plain})
skl("zipmap", trees, {})
mlp = MLPClassifier(hidden_layer_sizes=(16,), max_iter=300, random_state=1).fit(rows, classes)
skl("mlp", mlp, {"probabilities": mlp.predict_proba(rows).tolist(), "classes": mlp.classes_.tolist()}, {id(mlp): plain})
code = MLPRegressor(hidden_layer_sizes=(3,), max_iter=400, random_state=1).fit(rows, rows)
skl("reconstruction", code, {"scores": np.sqrt(((code.predict(rows) - rows) ** 2).mean(axis=1)).tolist()})


# What torch.onnx.export(dynamo=True) writes: opset 18 or later, a named dimension for the batch, weights in a file beside it.
def torch_form(name, inputs, output, nodes, weights, external=True):
    graph = helper.make_graph(nodes, "main_graph", [inputs], [output], [numpy_helper.from_array(w, n) for n, w in weights.items()])
    model = helper.make_model(graph, producer_name="pytorch", opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    expected[name] = {"operators": sorted({node.op_type for node in nodes})}
    onnx.save_model(model, f"{out}/{name}.onnx", save_as_external_data=external, location=f"{name}.onnx.data", size_threshold=64)
    return onnxruntime.InferenceSession(f"{out}/{name}.onnx", providers=["CPUExecutionProvider"])


def value(name, shape):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


f32 = lambda *shape: (rng.normal(size=shape) / 2).astype(np.float32)
session = torch_form(
    "torch-autoencoder", value("x", ["s77", 6]), value("linear_1", ["s77", 6]),
    [helper.make_node("Gemm", ["x", "encoder.weight", "encoder.bias"], ["linear"], "node_linear", transB=1),
     helper.make_node("Relu", ["linear"], ["relu"], "node_relu"),
     helper.make_node("Gemm", ["relu", "decoder.weight", "decoder.bias"], ["linear_1"], "node_linear_1", transB=1)],
    {"encoder.weight": f32(3, 6), "encoder.bias": f32(3), "decoder.weight": f32(6, 3), "decoder.bias": f32(6)})
made = session.run(None, {"x": rows})[0].astype(np.float64)
expected["torch-autoencoder"]["scores"] = np.sqrt(((made - rows.astype(np.float64)) ** 2).mean(axis=1)).tolist()
torch_form(
    "torch-cnn", value("image", ["s77", 1, 28, 28]), value("logits", ["s77", 4]),
    [helper.make_node("Conv", ["image", "conv.weight", "conv.bias"], ["conv2d"], "node_conv2d", kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[1, 1]),
     helper.make_node("Relu", ["conv2d"], ["relu"], "node_relu"),
     helper.make_node("MaxPool", ["relu"], ["pool"], "node_max_pool2d", kernel_shape=[2, 2], strides=[2, 2]),
     helper.make_node("Reshape", ["pool", "shape"], ["view"], "node_view", allowzero=1),
     helper.make_node("Gemm", ["view", "fc.weight", "fc.bias"], ["logits"], "node_linear", transB=1)],
    {"conv.weight": f32(2, 1, 3, 3), "conv.bias": f32(2), "shape": np.array([-1, 392], dtype=np.int64), "fc.weight": f32(4, 392), "fc.bias": f32(4)})
json.dump(expected, open(f"{out}/expected.json", "w"))
