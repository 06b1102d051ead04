"""Checks exported ONNX files and compares ONNX Runtime's logits with those of Hilum's engine.

    python compare.py CASES [FILE.onnx ...]

CASES is a folder written by `cargo run -p hilum-nn --example onnx_cases -- CASES`. Files named after it are checked by
onnx.checker only. `cargo xtask onnx` does all of it in an environment of its own.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

# Largest difference allowed, as a share of the largest logit.
TOLERANCE = 1e-4


def check(path):
    """Validity and inferred shapes, by ONNX's own checker."""
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    ranks = {v.name: len(v.type.tensor_type.shape.dim) for v in inferred.graph.value_info}
    assert len(ranks) == len(model.graph.node) - 1, f"{path.name}: shapes of some values are not inferred"
    # Behind its average a classifier has one value per channel.
    averaged = any(node.op_type == "Flatten" for node in model.graph.node)
    assert len(set(ranks.values())) <= 1 + averaged, f"{path.name}: values of different rank"
    return model


folder = Path(sys.argv[1])
worst = 0.0
for case in json.loads((folder / "cases.json").read_text()):
    name = case["name"]
    path = folder / f"{name}.onnx"
    check(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    given = np.fromfile(folder / f"{name}.input.f32", "<f4").reshape(case["input"])
    ours = np.fromfile(folder / f"{name}.logits.f32", "<f4").reshape(case["logits"])
    (theirs,) = session.run(["logits"], {"image": given})
    assert theirs.shape == ours.shape, f"{name}: {theirs.shape} against our {ours.shape}"
    difference = float(np.abs(theirs - ours).max() / np.abs(theirs).max())
    print(f"{name:24} {str(tuple(case['input'])):22} differs by {difference:.1e}")
    worst = max(worst, difference)
    assert difference <= TOLERANCE, f"{name} differs by more than {TOLERANCE}"

meta = onnxruntime.InferenceSession(folder / "pneumonia-ct.onnx", providers=["CPUExecutionProvider"]).get_modelmeta()
assert meta.producer_name == "hilum" and meta.graph_name == "pneumonia-ct", meta
assert {"card", "licence", "version", "input", "outputs"} <= set(meta.custom_metadata_map), meta.custom_metadata_map

for path in map(Path, sys.argv[2:]):
    check(path)
    print(f"{path.name:24} valid")
print(f"onnx {onnx.__version__}, onnxruntime {onnxruntime.__version__}: largest difference {worst:.1e}, allowed {TOLERANCE}")
