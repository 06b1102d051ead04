"""Independent values for `hilum_train::metrics`: scipy, scikit-learn, numpy, MONAI. Prints what `tests/it/metrics.rs` expects.

Masks come from a rule both languages can follow: voxel (s, r, c) of the 6 x 20 x 24 grid with 2.5 x 0.8 x 0.7 mm.
"""
import numpy as np
import torch
from monai.metrics import compute_dice, compute_hausdorff_distance, compute_surface_dice
from scipy import ndimage
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score

s, r, c = np.mgrid[:6, :20, :24]
truth = (s - 2.5) ** 2 * 6 + (r - 9) ** 2 + (c - 11) ** 2 <= 40
predicted = ((s - 3) ** 2 * 6 + (r - 10) ** 2 + (c - 12.5) ** 2 <= 36) | ((s == 0) & (r < 3) & (c > 20))
spacing = (2.5, 0.8, 0.7)


def surface(mask):
    return mask & ~ndimage.binary_erosion(mask, ndimage.generate_binary_structure(3, 1))


a, b = surface(predicted), surface(truth)
there = ndimage.distance_transform_edt(~b, sampling=spacing)[a]
back = ndimage.distance_transform_edt(~a, sampling=spacing)[b]
print("dice", 2 * (truth & predicted).sum() / (truth.sum() + predicted.sum()), truth.sum(), predicted.sum())
print("surface dice 1 mm", ((there <= 1).sum() + (back <= 1).sum()) / (len(there) + len(back)))
print("hd95", max(np.percentile(there, 95), np.percentile(back, 95)))

# MONAI 1.6.1 counts surface voxels as Hilum does. DeepMind's surface-distance 0.1 weighs them by area: .732 and 5.28 mm.
tensor = lambda mask: torch.tensor(mask)[None, None].float()
pair = tensor(predicted), tensor(truth)
print("MONAI's dice", compute_dice(*pair).item())
print("MONAI's surface dice 1 mm", compute_surface_dice(*pair, [1.0], include_background=True, spacing=spacing).item())
print("MONAI's hd95", compute_hausdorff_distance(*pair, include_background=True, percentile=95, spacing=spacing).item())

i = np.arange(40)
score = (i * 7 % 11) / 10.0 + (i % 3) * 0.05
label = (i * 5 % 8) < 3 + (score > 0.5)
print("auc", roc_auc_score(label, score))
print("accuracy", accuracy_score(label, score >= 0.5), "f1", f1_score(label, score >= 0.5))
rng = np.random.default_rng(0)
values = []
for _ in range(20000):
    j = rng.integers(0, 40, 40)
    values.append(roc_auc_score(label[j], score[j]))
print("bootstrap 95 %", np.percentile(values, [2.5, 97.5]))
