"""Reference for `AdamW` (arXiv:1711.05101, algorithm 2, as PyTorch implements it), in float64."""
import numpy as np

w = np.array([1.0, -0.5])
m = np.zeros(2)
v = np.zeros(2)
for t in (1, 2, 3):
    g = w.copy()
    m = 0.9 * m + 0.1 * g
    v = 0.999 * v + 0.001 * g * g
    w = w * (1 - 0.1 * 0.01) - 0.1 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
print(w.tolist())
