"""Makes the NIfTI fixtures and prints the expected numbers in tests/it/nifti.rs. Needs nibabel and numpy.

Every image is 4 x 3 x 2 (columns, rows, slices) and holds its own index: value = 100 * slice + 10 * row + column - 1000.
"""
import pathlib
import nibabel as nib
import numpy as np

here = pathlib.Path(__file__).parent
i, j, k = np.meshgrid(range(4), range(3), range(2), indexing="ij")
data = (100 * k + 10 * j + i - 1000).astype(np.int16)


def rotation(axis, degrees):
    axis = np.array(axis, float) / np.linalg.norm(axis)
    t = np.radians(degrees)
    x = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + np.sin(t) * x + (1 - np.cos(t)) * x @ x


# LPS columns: column axis, row axis, slice axis.
grids = {
    "axial": np.eye(3),
    "left_handed": np.diag([1.0, 1.0, -1.0]),
    "oblique": rotation([1, 2, 3], 25),
    "oblique_left": rotation([3, -1, 2], 160) @ np.diag([1.0, -1.0, 1.0]),
    "upside": rotation([1, 0, 0], 180),
    "sheared": np.array([[1, 0, 0], [0, 1, -np.sin(np.radians(20))], [0, 0, np.cos(np.radians(20))]]),
}
spacing = [0.6, 0.7, 2.5]
origin = np.array([-120.5, -80.25, 33.0])
for name, axes in grids.items():
    lps = np.eye(4)
    lps[:3, :3] = axes * spacing
    lps[:3, 3] = origin
    ras = np.diag([-1, -1, 1, 1]) @ lps
    image = nib.Nifti1Image(data, ras)
    image.header.set_xyzt_units("mm")
    image.set_sform(ras, 1)
    if name != "sheared":
        image.set_qform(ras, 1)
        h = image.header
        print(name, "axes LPS (slice,row,column)", axes.T[::-1].tolist())
        print("   quaternion", [float(h[f"quatern_{c}"]) for c in "bcd"], "qfac", float(h["pixdim"][0]))
    if name == "oblique_left":  # qform alone
        image.set_sform(None, 0)
        nib.save(image, here / "qform_only.nii.gz")
        image.set_sform(ras, 1)
    if name == "sheared":
        image.set_qform(None, 0)
        nib.save(image, here / "sheared.nii.gz")
big = nib.Nifti1Image(data.astype(">f4"), np.diag([-0.6, -0.7, 2.5, 1]), nib.Nifti1Header(endianness=">"))
big.header.set_slope_inter(2.0, -10.0)
nib.save(big, here / "big_endian_scaled.nii")
