"""The peer of our training: PyTorch on the ONNX files that our engine exported, with the same loss and optimiser.

    python train.py FOLDER     then lines as in benches/src/lib.rs; settings: contiguous, channels_last
"""

import sys
import time
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch.nn import functional as f

from protocol import serve

FOLDER = Path(sys.argv[1])
prepared = None


def numbers(count):
    """The numbers of `input_for` in benches/src/networks.rs."""
    mixed = np.arange(count, dtype=np.uint64).astype(np.uint32) * np.uint32(2654435761)
    return (mixed / 4294967296.0 - 0.5).astype(np.float32)


class Network(torch.nn.Module):
    """An ONNX graph, layer by layer with PyTorch's operators, normalisations in training."""

    def __init__(self, path):
        super().__init__()
        self.graph = onnx.load(path).graph
        self.names = {}
        for index, tensor in enumerate(self.graph.initializer):
            values = torch.from_numpy(numpy_helper.to_array(tensor).copy())
            self.names[tensor.name] = f"p{index}"
            if "running" in tensor.name:
                self.register_buffer(f"p{index}", values)
            else:
                self.register_parameter(f"p{index}", torch.nn.Parameter(values))

    def forward(self, image):
        values = {name: getattr(self, place) for name, place in self.names.items()}
        values["image"] = image
        flat = image.dim() == 4
        conv, up, pool = (
            (f.conv2d, f.conv_transpose2d, f.max_pool2d) if flat else (f.conv3d, f.conv_transpose3d, f.max_pool3d)
        )
        for node in self.graph.node:
            given = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            x, *rest = (values[name] for name in node.input)
            match node.op_type:
                case "Conv":
                    out = conv(x, *rest, stride=given["strides"], padding=given["pads"][: len(given["strides"])])
                case "ConvTranspose":
                    out = up(x, *rest, stride=given["strides"])
                case "BatchNormalization":
                    weight, bias, mean, variance = rest
                    out = f.batch_norm(x, mean, variance, weight, bias, training=True, eps=given["epsilon"])
                case "InstanceNormalization":
                    out = f.instance_norm(x, weight=rest[0], bias=rest[1], eps=given["epsilon"])
                case "Relu":
                    out = f.relu(x, inplace=True)
                case "LeakyRelu":
                    out = f.leaky_relu(x, given["alpha"], inplace=True)
                case "MaxPool":
                    out = pool(x, given["kernel_shape"])
                case "Concat":
                    out = torch.cat([x, *rest], 1)
                case other:
                    raise ValueError(other)
            values[node.output[0]] = out
        return values["logits"]


def loss_of(logits, truth):
    """Cross-entropy and soft Dice of every channel over the batch, as `masked_bce_dice` in hilum-train."""
    entropy = f.binary_cross_entropy_with_logits(logits, truth)
    p = torch.sigmoid(logits)
    axes = [0, *range(2, logits.dim())]
    overlap, predicted, there = (p * truth).sum(axes), p.sum(axes), truth.sum(axes)
    return entropy + (1 - (2 * overlap + 50) / (predicted + there + 50)).mean()


def prepare(name, batch, threads, setting):
    torch.set_num_threads(threads)
    network = Network(FOLDER / f"{name}.onnx").train()
    shape = (batch, 1, 256, 256) if name.startswith("2d") else (batch, 1, 96, 96, 96)
    image = torch.from_numpy(numbers(int(np.prod(shape))).reshape(shape))
    truth_shape = (batch, 3, *shape[2:])
    truth = torch.from_numpy((numbers(int(np.prod(truth_shape))) > 0.2).astype(np.float32).reshape(truth_shape))
    if setting == "channels_last":
        layout = torch.channels_last if image.dim() == 4 else torch.channels_last_3d
        network, image, truth = (t.to(memory_format=layout) for t in (network, image, truth))
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=1e-4)

    def step():
        optimizer.zero_grad()
        loss = loss_of(network(image), truth)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def answer(words):
    global prepared
    match words:
        case ["prepare", name, batch, threads, setting]:
            prepared = prepare(name, int(batch), int(threads), setting)
            return []
        case ["run"]:
            started = time.perf_counter()
            loss = prepared()
            return [time.perf_counter() - started, loss]
        case ["version"]:
            return [torch.__version__]
    raise ValueError(f"not understood: {words}")


serve(answer)
