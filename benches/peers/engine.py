"""The peers of our engine, on the ONNX files it exported: ONNX Runtime in f32 and static int8, and PyTorch.

    python engine.py FOLDER     then lines as in benches/src/lib.rs; settings: f32, int8, torch
"""

import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime

from protocol import serve

FOLDER = Path(sys.argv[1])
prepared = None


def input_for(shape):
    """The numbers of `input_for` in benches/src/networks.rs."""
    count = int(np.prod(shape))
    mixed = np.arange(count, dtype=np.uint64).astype(np.uint32) * np.uint32(2654435761)
    return (mixed / 4294967296.0 - 0.5).astype(np.float32).reshape(shape)


def shape_of(name, batch):
    return (batch, 1, 256, 256) if name.startswith("2d") else (batch, 1, 96, 96, 96)


def quantized(name):
    """The network in static int8 (QDQ, weights per channel), calibrated on the input it is measured with."""
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.inputs = iter([{"image": input_for(shape_of(name, 1))}])

        def get_next(self):
            return next(self.inputs, None)

    path = FOLDER / f"{name}.int8.onnx"
    if not path.exists():
        simple = FOLDER / f"{name}.simple.onnx"
        quant_pre_process(FOLDER / f"{name}.onnx", simple, skip_symbolic_shape=True)
        quantize_static(
            simple, path, Reader(), per_channel=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8
        )
    return path


def onnx_session(path, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda image: session.run(None, {"image": image})[0]


def torch_network(path, threads):
    """The same ONNX file, layer by layer with PyTorch's operators."""
    import onnx
    import torch
    from onnx import numpy_helper
    from torch.nn import functional as f

    torch.set_num_threads(threads)
    graph = onnx.load(path).graph
    weights = {t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in graph.initializer}
    flat = next(len(t.shape) for t in weights.values() if len(t.shape) > 1) == 4
    layout = torch.channels_last if flat else torch.channels_last_3d
    weights = {n: t.contiguous(memory_format=layout) if t.dim() > 3 else t for n, t in weights.items()}
    conv, up, pool = (f.conv2d, f.conv_transpose2d, f.max_pool2d) if flat else (f.conv3d, f.conv_transpose3d, f.max_pool3d)

    def layer(node, values):
        given = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        x, *rest = (values[name] for name in node.input)
        match node.op_type:
            case "Conv":
                return conv(x, *rest, stride=given["strides"], padding=given["pads"][: len(given["strides"])])
            case "ConvTranspose":
                return up(x, *rest, stride=given["strides"])
            case "BatchNormalization":
                weight, bias, mean, variance = rest
                return f.batch_norm(x, mean, variance, weight, bias, eps=given["epsilon"])
            case "InstanceNormalization":
                return f.instance_norm(x, weight=rest[0], bias=rest[1], eps=given["epsilon"])
            case "Relu":
                return f.relu(x)
            case "LeakyRelu":
                return f.leaky_relu(x, given["alpha"])
            case "MaxPool":
                return pool(x, given["kernel_shape"])
            case "Concat":
                return torch.cat([x, *rest], 1)
        raise ValueError(node.op_type)

    @torch.inference_mode()
    def run(image):
        values = dict(weights, image=torch.from_numpy(image).contiguous(memory_format=layout))
        last_use = {name: node.output[0] for node in graph.node for name in node.input if name not in weights}
        for node in graph.node:
            values[node.output[0]] = layer(node, values)
            for name in node.input:
                if last_use.get(name) == node.output[0]:
                    del values[name]
        return values["logits"].contiguous().numpy()

    return run


def answer(words):
    global prepared
    match words:
        case ["prepare", name, batch, threads, setting]:
            prepared = None
            if setting == "torch":
                network = torch_network(FOLDER / f"{name}.onnx", int(threads))
            else:
                path = quantized(name) if setting == "int8" else FOLDER / f"{name}.onnx"
                network = onnx_session(path, int(threads))
            prepared = network, input_for(shape_of(name, int(batch)))
            return []
        case ["run"]:
            network, image = prepared
            started = time.perf_counter()
            logits = network(image)
            seconds = time.perf_counter() - started
            return [seconds, float(np.abs(logits, dtype=np.float64).mean())]
        case ["version"]:
            return [onnxruntime.__version__]
    raise ValueError(f"not understood: {words}")


serve(answer)
