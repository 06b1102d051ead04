"""Writes reference-2d.safetensors and reference-3d.safetensors: random weights, an input and what ONNX Runtime makes of
it, for the networks described in reference-2d.json and reference-3d.json (a serialised hilum_nn::Graph).

    pip install numpy onnx onnxruntime safetensors && python generate.py
"""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

HERE = Path(__file__).parent


def build(graph, rng):
    """The ONNX model of a graph, and its weights by name."""
    axes = slice(0, 3) if graph["dims"] == "three" else slice(1, 3)
    channels, nodes, weights = [graph["input_channels"]], [], {}

    def normal(name, *shape):
        fan_in = np.prod(shape[1:])
        weights[name] = (rng.standard_normal(shape) * np.sqrt(2 / fan_in)).astype(np.float32)

    def uniform(name, low, high, count):
        weights[name] = rng.uniform(low, high, count).astype(np.float32)

    for i, node in enumerate(graph["nodes"]):
        name, op = node["name"], node["op"]
        inputs, count = [f"v{j}" for j in node["inputs"]], sum(channels[j] for j in node["inputs"])
        out = node.get("out_channels", count)
        names, attributes = [], {}
        if op in ("conv", "conv_transpose"):
            kernel = node["kernel"][axes]
            attributes = {"kernel_shape": kernel, "strides": node.get("stride", node["kernel"])[axes]}
            if op == "conv":
                attributes["pads"] = node["padding"][axes] * 2
            normal(f"{name}.weight", *((out, count) if op == "conv" else (count, out)), *kernel)
            uniform(f"{name}.bias", -0.3, 0.3, out)
            names = ["weight", "bias"]
        elif op in ("batch_norm", "instance_norm"):
            attributes = {"epsilon": node["epsilon"]}
            uniform(f"{name}.weight", 0.5, 1.5, out)
            uniform(f"{name}.bias", -0.3, 0.3, out)
            names = ["weight", "bias"]
            if op == "batch_norm":
                uniform(f"{name}.running_mean", -0.3, 0.3, out)
                uniform(f"{name}.running_var", 0.5, 1.5, out)
                names += ["running_mean", "running_var"]
        elif op == "leaky_relu":
            attributes = {"alpha": node["slope"]}
        elif op == "max_pool":
            attributes = {"kernel_shape": node["size"][axes], "strides": node["size"][axes]}
        elif op == "concat":
            attributes = {"axis": 1}
        kind = {
            "conv": "Conv", "conv_transpose": "ConvTranspose", "batch_norm": "BatchNormalization",
            "instance_norm": "InstanceNormalization", "relu": "Relu", "leaky_relu": "LeakyRelu",
            "max_pool": "MaxPool", "concat": "Concat",
        }[op]
        nodes.append(helper.make_node(kind, inputs + [f"{name}.{n}" for n in names], [f"v{i + 1}"], **attributes))
        channels.append(out)

    model = helper.make_model(
        helper.make_graph(
            nodes, "reference",
            [helper.make_tensor_value_info("v0", TensorProto.FLOAT, None)],
            [helper.make_tensor_value_info(f"v{graph['output']}", TensorProto.FLOAT, None)],
            [numpy_helper.from_array(value, name) for name, value in weights.items()],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
    )
    model.ir_version = 9
    return model, weights


for case, size in (("2d", (12, 20)), ("3d", (4, 6, 8))):
    graph = json.loads((HERE / f"reference-{case}.json").read_text())
    rng = np.random.default_rng(20)
    model, weights = build(graph, rng)
    x = rng.standard_normal((2, graph["input_channels"], *size)).astype(np.float32)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {"v0": x})
    save_file({**weights, "input": x, "expected": y}, HERE / f"reference-{case}.safetensors")
    print(case, "onnx", onnx.__version__, "onnxruntime", onnxruntime.__version__, y.shape, float(np.abs(y).max()))
