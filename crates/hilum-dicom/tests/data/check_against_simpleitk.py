"""Compares volumes written by the example dicom_to_nifti with SimpleITK's reading of the same DICOM folder.

    check_against_simpleitk.py FOLDER FILE.nii[.gz] [FOLDER FILE ...]

Every voxel must be equal and lie at the same place, as SimpleITK and as nibabel read the NIfTI file.
"""
import sys

import nibabel
import numpy as np
import SimpleITK as sitk

for folder, path in zip(sys.argv[1::2], sys.argv[2::2]):
    dicom = sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(folder))
    nifti = sitk.ReadImage(path)
    equal = np.array_equal(sitk.GetArrayFromImage(dicom), sitk.GetArrayFromImage(nifti))
    far = [n - 1 for n in dicom.GetSize()]
    corners = [[0, 0, 0], far, [far[0], 0, 0], [0, far[1], 0], [0, 0, far[2]]]
    at = dicom.TransformIndexToPhysicalPoint
    miss = max(np.linalg.norm(np.subtract(at(c), nifti.TransformIndexToPhysicalPoint(c))) for c in corners)
    ras = nibabel.load(path).affine
    off = max(np.linalg.norm(np.array([-1, -1, 1]) * at(c) - (ras @ [*c, 1])[:3]) for c in corners)
    print(f"{folder}: voxels {'equal' if equal else 'DIFFER'}, SimpleITK {miss:.6f} mm, nibabel {off:.6f} mm apart")
    if not equal or max(miss, off) > 1e-3:
        sys.exit(1)
