"""Small references from scipy.ndimage for tests/it/references.rs.

Run in a Python with numpy and scipy: python make_references.py
Every file is little-endian, [slice, row, column], of shape 9 x 11 x 13; spacing 2.5, 0.8, 1.1 mm.
"""

import numpy as np
from scipy import ndimage as nd

SHAPE = (9, 11, 13)
SPACING = np.array([2.5, 0.8, 1.1])
rng = np.random.default_rng(20)

grey = rng.normal(0, 100, SHAPE).astype("<f4")
grey.tofile("grey.f32")
blobs = nd.gaussian_filter(rng.normal(0, 1, SHAPE), 0.7) > 0.4
blobs[1:7, 1:8, 1:8] = True  # a block with a cavity, a notch, and a tunnel through its slices
blobs[3:5, 3:5, 4] = False
blobs[2, 4, 1:3] = False
blobs[:, 2, 6] = False
blobs.astype("u1").tofile("mask.u8")

nd.distance_transform_edt(~blobs, sampling=SPACING).astype("<f4").tofile("distance.f32")
nd.gaussian_filter(grey.astype("f8"), 1.9 / SPACING, mode="nearest", truncate=4.0).astype("<f4").tofile("gaussian.f32")
nd.uniform_filter(grey.astype("f8"), (1, 5, 3), mode="nearest").astype("<f4").tofile("box.f32")
nd.median_filter(grey, 3, mode="nearest").astype("<f4").tofile("median.f32")

for order in (1, 2, 3):
    labels, count = nd.label(blobs, nd.generate_binary_structure(3, order))
    sizes = nd.sum_labels(blobs, labels, range(1, count + 1))
    rank = np.argsort(-sizes, kind="stable")  # scipy numbers components in the order of their first voxel
    renumber = np.zeros(count + 1, "u1")
    renumber[rank + 1] = np.arange(1, count + 1)
    renumber[labels].tofile(f"labels{order}.u8")

nd.binary_fill_holes(blobs).astype("u1").tofile("filled.u8")
np.stack([nd.binary_fill_holes(s, nd.generate_binary_structure(2, 1)) for s in blobs]).astype("u1").tofile("filled_by_slice.u8")

radius = 2.0
reach = (radius / SPACING).astype(int)
at = np.stack(np.meshgrid(*[np.arange(-n, n + 1) for n in reach], indexing="ij"), -1) * SPACING
ball = (at**2).sum(-1) <= radius**2
nd.binary_dilation(blobs, ball).astype("u1").tofile("dilated.u8")
nd.binary_erosion(blobs, ball, border_value=1).astype("u1").tofile("eroded.u8")
