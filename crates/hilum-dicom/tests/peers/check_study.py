#!/usr/bin/env python3
"""Reads what `hilum analyze` wrote of a study with highdicom, dcmqi, dcmtk and dicom3tools, against its labels and findings.

    hilum analyze STUDY --out /tmp/s/fractional --seg-form fractional
    hilum analyze STUDY --out /tmp/s/labelmap --seg-form labelmap
    python crates/hilum-dicom/tests/peers/check_study.py /tmp/s/fractional /tmp/s/labelmap

The label map of the result folder is brought from its NIfTI affine into patient space, plane by plane; every frame of a
segmentation must be the plane at its position, voxel by voxel, and every number of the report one of findings.json.
"""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import highdicom as hd
import nibabel
import numpy as np
import pydicom

from check import check, tool
import check as checks

SETS = {
    "Right lung": None,
    "Left lung": None,
    "Right upper lobe": 1,
    "Right middle lobe": 2,
    "Right lower lobe": 3,
    "Left upper lobe": 4,
    "Left lower lobe": 5,
    "Ground glass opacity": 11,
    "Consolidation": 12,
    "Opacity of unknown kind": 13,
}


class Labels:
    """labels.nii.gz in patient space (LPS)."""

    def __init__(self, path):
        image = nibabel.load(path)
        self.data = np.asarray(image.dataobj)
        affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine
        self.from_patient = np.linalg.inv(affine)

    def plane(self, position, orientation, spacing, shape):
        """The labels under the pixels of a frame, and how far the worst of its corners is from a voxel's centre."""
        o, s = np.array(orientation, float), np.array(spacing, float)
        corners = [(0, 0), (shape[0] - 1, 0), (0, shape[1] - 1), (shape[0] - 1, shape[1] - 1)]
        points = [np.array(position, float) + r * s[0] * o[3:] + c * s[1] * o[:3] for r, c in corners]
        voxels = np.array([(self.from_patient @ [*p, 1.0])[:3] for p in points])
        off = np.abs(voxels - voxels.round()).max()
        start, down, along = (voxels[0].round().astype(int), (voxels[1] - voxels[0]) / (shape[0] - 1), (voxels[2] - voxels[0]) / (shape[1] - 1))
        r, c = np.mgrid[: shape[0], : shape[1]]
        index = [start[a] + r * int(round(down[a])) + c * int(round(along[a])) for a in range(3)]
        return self.data[tuple(index)], off


def frames(seg):
    shared = seg.SharedFunctionalGroupsSequence[0]
    orientation = shared.PlaneOrientationSequence[0].ImageOrientationPatient
    spacing = shared.PixelMeasuresSequence[0].PixelSpacing
    pixels = seg.pixel_array.reshape(-1, seg.Rows, seg.Columns)
    for groups, plane in zip(seg.PerFrameFunctionalGroupsSequence, pixels):
        number = None
        if "SegmentIdentificationSequence" in groups:
            number = groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        yield groups.PlanePositionSequence[0].ImagePositionPatient, orientation, spacing, number, plane


def segmentation(folder, file):
    path = folder / "dicom" / file
    if not path.exists():
        return
    labels = Labels(folder / "labels.nii.gz")
    seg = hd.seg.segread(path)
    names = {s.SegmentNumber: s.SegmentLabel for s in seg.SegmentSequence}
    wrong, off, counted = 0, 0.0, {}
    for position, orientation, spacing, number, plane in frames(seg):
        under, far = labels.plane(position, orientation, spacing, plane.shape)
        off = max(off, far)
        if number is None:
            wrong += int((plane != under).sum())
            for n in np.unique(plane[plane > 0]):
                counted[names[n]] = counted.get(names[n], 0) + int((plane == n).sum())
            continue
        name = names[number]
        counted[name] = counted.get(name, 0) + int((plane > 0).sum())
        if SETS[name] is None:
            continue  # lungs have lesions and lobes in them
        hidden = under > 10 if SETS[name] < 10 else np.zeros_like(under, bool)  # labels show the lesion, not the lobe beneath
        wrong += int((((plane > 0) != (under == SETS[name])) & ~hidden).sum())
        if SETS[name] < 10:
            counted[name] -= int(((plane > 0) & hidden).sum())
    missed = sum(int((labels.data == label).sum()) != counted.get(name, 0) for name, label in SETS.items() if label)
    check(f"{folder.name}: {file}, highdicom", wrong == 0 and missed == 0 and off < 1e-2, f"{seg.NumberOfFrames} frames, {wrong} wrong voxels, {missed} segments of another size, {off:.1e} voxels off")
    convert = tool("segimage2itkimage")
    if convert and seg.SegmentationType == "BINARY":
        with tempfile.TemporaryDirectory() as out:
            done = subprocess.run([convert, "--inputDICOM", str(path), "--outputDirectory", out, "--outputType", "nii"], capture_output=True, text=True, errors="replace")
            different = 0
            for number, name in names.items():
                if done.returncode or SETS[name] is None or SETS[name] < 10:
                    continue
                image = nibabel.load(f"{out}/{number}.nii.gz")
                theirs = np.argwhere(np.asarray(image.dataobj) > 0)
                lps = nibabel.affines.apply_affine(image.affine, theirs) * [-1, -1, 1]
                voxels = (np.c_[lps, np.ones(len(lps))] @ labels.from_patient.T)[:, :3].round().astype(int)
                different += int((labels.data[tuple(voxels.T)] != SETS[name]).sum()) + abs(len(theirs) - int((labels.data == SETS[name]).sum()))
            check(f"{folder.name}: segmentation, dcmqi", done.returncode == 0 and different == 0, f"{different} voxels differ {done.stderr[-200:]}")


def report(folder):
    findings = json.loads((folder / "findings.json").read_text())
    known = set(numbers(findings))
    lobes = [lobe["lesion_ml"] for lobe in findings["lesions"]["lobes"]]
    known |= {sum(lobes[:3]), sum(lobes[3:])}  # of each lung
    document = hd.sr.srread(folder / "dicom/measurements.dcm")
    groups = document.content.get_volumetric_roi_measurement_groups()
    values = [float(m.value) for g in groups for m in g.get_measurements()]
    strange = [v for v in values if not any(abs(v - k) < 1e-3 * max(1, abs(k)) + 1e-3 for k in known)]
    check(f"{folder.name}: report, highdicom", values and not strange, f"{len(groups)} groups, {len(values)} numbers, {len(strange)} not in findings.json")
    reader = tool("tid1500reader")
    if reader:
        with tempfile.NamedTemporaryFile(suffix=".json") as out:
            done = subprocess.run([reader, "--inputDICOM", str(folder / "dicom/measurements.dcm"), "--outputMetadata", out.name], capture_output=True, text=True, errors="replace")
            read = json.load(open(out.name)) if done.returncode == 0 else {}
        theirs = [float(m["value"]) for g in read.get("Measurements", []) for m in g["measurementItems"]]
        same = all(any(abs(a - b) < 1e-9 for b in theirs) for a in values)
        check(f"{folder.name}: report, dcmqi tid1500reader", done.returncode == 0 and theirs and same, f"{len(theirs)} numbers {done.stderr[-200:]}")


def numbers(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [n for v in value for n in numbers(v)]
    return [float(value)] if isinstance(value, (int, float)) and not isinstance(value, bool) else []


def probability(folder):
    path = folder / "dicom/probability.dcm"
    if not path.exists():
        return
    seg = hd.seg.segread(path)
    labels = Labels(folder / "labels.nii.gz")
    inside, outside, off = [], [], 0.0
    for position, orientation, spacing, _, plane in frames(seg):
        under, far = labels.plane(position, orientation, spacing, plane.shape)
        off = max(off, far)
        inside.append(plane[under > 10])
        outside.append(plane[under <= 10])
    mean = [float(np.concatenate(p).mean()) / seg.MaximumFractionalValue for p in (inside, outside)]
    good = seg.SegmentationType == "FRACTIONAL" and seg.SegmentationFractionalType == "PROBABILITY" and mean[0] > 0.5 > 10 * mean[1]
    check(f"{folder.name}: probability, highdicom", good and off < 1e-2, f"mean {mean[0]:.2f} in opacities, {mean[1]:.4f} elsewhere")


def main():
    for folder in map(Path, sys.argv[1:]):
        segmentation(folder, "segmentation.dcm")
        segmentation(folder, "labelmap.dcm")
        report(folder)
        probability(folder)
        for path in sorted((folder / "dicom").glob("*.dcm")):
            checks.check_tools(folder.name, path)
            if path.stem == "measurements":
                done = subprocess.run([tool("dsrdump"), "-q", str(path)], capture_output=True, text=True, errors="replace")
                check(f"{folder.name}: dcmtk dsrdump", done.returncode == 0 and not done.stderr.strip(), done.stderr[:200])
    print(f"{checks.failures} checks failed")
    sys.exit(1 if checks.failures else 0)


if __name__ == "__main__":
    main()
