"""Writes operators.json (networks of one or a few layers, as hilum_nn::Graph) and operators.safetensors (their random
weights, an input and what PyTorch makes of it), for tests/it/operators.rs.

    pip install torch numpy safetensors && python operators.py
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

HERE = Path(__file__).parent


def conv(inputs, outputs, kernel, stride=1, dilation=1, groups=1):
    """Layer and description; three-dimensional if the kernel has three sides."""
    padding = [(k - 1) * dilation // 2 for k in kernel]
    kind = nn.Conv3d if len(kernel) == 3 else nn.Conv2d
    layer = kind(inputs, outputs, kernel, stride, padding, dilation, groups)
    full = lambda values, missing: ([missing] if len(kernel) == 2 else []) + list(values)
    return layer, {
        "op": "conv",
        "out_channels": outputs,
        "kernel": full(kernel, 1),
        "stride": full([stride] * len(kernel), 1),
        "padding": full(padding, 0),
        "dilation": full([dilation] * len(kernel), 1),
        "groups": groups,
    }


class GlobalAverage(nn.Module):
    def forward(self, x):
        return x.flatten(2).mean(2)


def up(inputs, outputs, kernel):
    kind = nn.ConvTranspose3d if len(kernel) == 3 else nn.ConvTranspose2d
    full = ([1] if len(kernel) == 2 else []) + kernel
    return kind(inputs, outputs, kernel, kernel), {"op": "conv_transpose", "out_channels": outputs, "kernel": full}


pool = lambda: (GlobalAverage(), {"op": "global_average_pool"})
linear = lambda inputs, outputs: (nn.Linear(inputs, outputs), {"op": "linear", "out_channels": outputs})
leaky = lambda: (nn.LeakyReLU(0.1), {"op": "leaky_relu", "slope": 0.1})
instance = lambda c: (nn.InstanceNorm3d(c, affine=True), {"op": "instance_norm", "epsilon": 1e-5})
largest = lambda: (nn.MaxPool3d(2), {"op": "max_pool", "size": [2, 2, 2]})

CASES = {
    "same_3x3": ((8, 7, 9), [conv(8, 9, [3, 3]), leaky()]),
    "same_3x3x3": ((8, 3, 5, 6), [conv(8, 5, [3, 3, 3]), instance(5), leaky()]),
    "kernel_7": ((2, 5, 6), [conv(2, 3, [7, 7])]),
    "dilated": ((3, 7, 8), [conv(3, 4, [3, 3], dilation=2)]),
    "grouped": ((6, 4, 5), [conv(6, 9, [3, 3], groups=3)]),
    "depthwise": ((5, 4, 6), [conv(5, 5, [5, 5], groups=5)]),
    "up_and_down": ((3, 4, 2, 6), [conv(3, 4, [3, 3, 3], stride=2), up(4, 2, [2, 2, 2])]),
    "largest": ((3, 2, 4, 4), [largest(), up(3, 2, [2, 2, 2])]),
    "classifier": ((2, 3, 4, 5), [conv(2, 6, [3, 3, 3]), leaky(), pool(), linear(6, 3)]),
}

torch.manual_seed(3)
graphs, tensors = {}, {}
for name, (size, layers) in CASES.items():
    nodes = []
    for index, (layer, description) in enumerate(layers):
        nodes.append({"name": f"layer{index}", **description, "inputs": [index]})
        for key, value in layer.named_parameters():
            value = torch.randn_like(value) * 0.3
            layer.get_parameter(key).data.copy_(value)
            tensors[f"{name}/layer{index}.{key}"] = value
    dims = "three" if len(size) == 4 else "two"
    graphs[name] = {"dims": dims, "input_channels": size[0], "nodes": nodes, "output": len(nodes)}
    x = torch.randn(2, *size)
    with torch.no_grad():
        y = nn.Sequential(*[layer for layer, _ in layers]).double()(x.double())
    tensors[f"{name}/input"], tensors[f"{name}/expected"] = x, y.float().contiguous()

(HERE / "operators.json").write_text(json.dumps(graphs, indent=1) + "\n")
save_file(tensors, HERE / "operators.safetensors", metadata={"made_with": f"PyTorch {torch.__version__}"})
print(torch.__version__, (HERE / "operators.safetensors").stat().st_size, "bytes")
