"""Makes the results of other writers that tests/it/foreign.rs reads. Needs highdicom, pydicom, pyjpegls,
pylibjpeg-openjpeg, SimpleITK and dcmqi (its pip package brings the programs). What they must hold is said in
tests/it/foreign.rs once more, so that file and answer come from different hands.

The CT has 6 slices of 7 x 10; voxel [s, r, c] has the number v = (7 s + 3 r + 5 c + s r) mod 11, and 10 in slice 0.
Segment 1 is v < 3, segment 2 is 2 <= v < 5, so they overlap where v = 2; label maps give those voxels to segment 1.
Probabilities are v / 10.

Nothing is drawn by lot. UIDs that the writers choose themselves, and dcmqi's dates, differ between runs; the tests look
at what refers to what.
"""
import json
import pathlib
import subprocess
import sys
import tempfile
import zlib

import highdicom as hd
import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

here = pathlib.Path(__file__).parent
tools = pathlib.Path(sys.executable).parent
SHAPE = (6, 7, 10)
SPACING = (2.5, 0.8, 0.7)  # slices, rows, columns
ORIGIN = np.array([-10.0, -20.0, 30.0])
counter = 0


def uid():
    global counter
    counter += 1
    return f"1.2.826.0.1.3680043.10.543.7.{counter}"


def rotation(axis, degrees):
    axis = np.array(axis, float) / np.linalg.norm(axis)
    t = np.radians(degrees)
    x = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + np.sin(t) * x + (1 - np.cos(t)) * x @ x


def ct_series(turn, shape=SHAPE):
    """The slices, with columns along the first, rows along the second and slices along the third column of `turn`."""
    study, series, frame = uid(), uid(), uid()
    slices = []
    for s in range(shape[0]):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
        meta.MediaStorageSOPInstanceUID = uid()
        d = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        d.SOPClassUID, d.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
        d.StudyInstanceUID, d.SeriesInstanceUID, d.FrameOfReferenceUID = study, series, frame
        d.PatientName, d.PatientID, d.PatientBirthDate, d.PatientSex = "Phantom", "P1", "", ""
        d.StudyDate, d.StudyTime, d.StudyID, d.AccessionNumber = "20260101", "120000", "1", ""
        d.ReferringPhysicianName, d.Modality, d.Manufacturer = "", "CT", "test"
        d.SeriesNumber, d.InstanceNumber, d.PositionReferenceIndicator = 1, s + 1, ""
        d.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        d.ImagePositionPatient = [float(f"{v:.9f}") for v in ORIGIN + s * SPACING[0] * turn[:, 2]]
        d.ImageOrientationPatient = [float(f"{v:.12f}") for v in [*turn[:, 0], *turn[:, 1]]]
        d.PixelSpacing, d.SliceThickness = [SPACING[1], SPACING[2]], SPACING[0]
        d.Rows, d.Columns, d.SamplesPerPixel, d.PhotometricInterpretation = shape[1], shape[2], 1, "MONOCHROME2"
        d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = 16, 16, 15, 1
        d.RescaleSlope, d.RescaleIntercept = 1, 0
        d.PixelData = np.full(shape[1:], -800, np.int16).tobytes()
        slices.append(d)
    return slices


def numbers(shape):
    s, r, c = np.indices(shape)
    v = (7 * s + 3 * r + 5 * c + s * r) % 11
    v[0] = 10
    return v


def pictures(v):
    """Two overlapping segments, label map, probability."""
    first, second = v < 3, (v >= 2) & (v < 5)
    both = np.stack([first, second], axis=-1).astype(np.uint8)
    labels = np.where(first, 1, np.where(second, 2, 0)).astype(np.uint8)
    return both, labels, (v / 10.0).astype(np.float64)[..., None]


LUNG = Code("39607008", "SCT", "Lung")
STRUCTURE = Code("91723000", "SCT", "Anatomical Structure")
MASS = Code("4147007", "SCT", "Mass")
ABNORMAL = Code("49755003", "SCT", "Morphologically Abnormal Structure")
algorithm = hd.AlgorithmIdentificationSequence("net", codes.DCM.ArtificialIntelligence, "1.0")


def described(count):
    kinds = [("Lung", STRUCTURE, LUNG), ("Mass", ABNORMAL, MASS)][:count]
    return [
        hd.seg.SegmentDescription(
            n + 1, label, category, kind, hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC, algorithm,
            tracking_uid=f"1.2.3.{n + 1}", tracking_id=f"track {n + 1}",
        )
        for n, (label, category, kind) in enumerate(kinds)
    ]


def highdicom_seg(name, slices, pixels, kind, count, syntax=ExplicitVRLittleEndian, **more):
    seg = hd.seg.Segmentation(
        slices, pixels, kind, described(count), uid(), 2, uid(), 1, "highdicom", "test", hd.__version__, "1",
        transfer_syntax_uid=syntax, **more,
    )
    seg.ContentDate = seg.SeriesDate = seg.InstanceCreationDate = "20260101"
    seg.ContentTime = seg.SeriesTime = seg.InstanceCreationTime = "120000"
    seg.save_as(here / f"{name}.dcm")
    return seg


axial = ct_series(np.eye(3))
oblique = ct_series(rotation([1, 2, 3], 25))
wide_ct = ct_series(np.eye(3), (3, 32, 36))
both, labels, share = pictures(numbers(SHAPE))
first, second = both[..., 0], both[..., 1]

binary = highdicom_seg("hd-binary", axial, both, "BINARY", 2)
highdicom_seg("hd-binary-implicit", axial, both, "BINARY", 2, ImplicitVRLittleEndian)
highdicom_seg("hd-binary-oblique", oblique, both, "BINARY", 2)
highdicom_seg("hd-binary-all-frames", axial, both, "BINARY", 2, omit_empty_frames=False)
for fractional in ("PROBABILITY", "OCCUPANCY"):
    highdicom_seg(
        f"hd-{fractional.lower()}", axial, share, "FRACTIONAL", 1, fractional_type=fractional, max_fractional_value=250,
    )
# highdicom packs BINARY with JPEG 2000 alone, and that only from 32 pixels on.
for name, syntax, slices, shape in (
    ("rle", RLELossless, axial, SHAPE),
    ("jpegls", JPEGLSLossless, axial, SHAPE),
    ("jpeg2000", JPEG2000Lossless, wide_ct, (3, 32, 36)),
):
    overlapping, exclusive, fraction = pictures(numbers(shape))
    if name == "jpeg2000":
        highdicom_seg(f"hd-binary-{name}", slices, overlapping, "BINARY", 2, syntax)
    highdicom_seg(f"hd-fractional-{name}", slices, fraction, "FRACTIONAL", 1, syntax, max_fractional_value=250)
    highdicom_seg(f"hd-labelmap-{name}", slices, exclusive, "LABELMAP", 2, syntax)
highdicom_seg("hd-labelmap", axial, labels, "LABELMAP", 2)
highdicom_seg("hd-labelmap-oblique", oblique, labels, "LABELMAP", 2)

# Whole data set deflated, as dcmtk's dcmconv +td and dcmqi's --compress deflate write it.
deflated = pydicom.dcmread(here / "hd-binary.dcm")
deflated.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
deflated.save_as(here / "deflated.dcm", enforce_file_format=True)

# Frames deflated one by one (PS3.5 A.4.13) or in a fragment each (A.4.11), of one bit and of eight; each begins a byte.
for name, syntax, pack in (
    ("deflated-frames", "1.2.840.10008.1.2.8.1", lambda raw: zlib.compress(raw, 9, -15)),
    ("fragments", "1.2.840.10008.1.2.1.98", lambda raw: raw),
):
    for form in ("binary", "labelmap"):
        image = pydicom.dcmread(here / f"hd-{form}.dcm")
        frames = [image.pixel_array[n] for n in range(image.NumberOfFrames)]
        raw = [np.packbits(f, bitorder="little").tobytes() if form == "binary" else f.tobytes() for f in frames]
        packed = [pack(bytes(f)) for f in raw]
        image.PixelData = pydicom.encaps.encapsulate([f + b"\0" * (len(f) % 2) for f in packed])
        image["PixelData"].VR, image["PixelData"].is_undefined_length = "OB", True
        image.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.98"
        path = here / f"{form}-{name}.dcm"
        image.save_as(path)
        # pydicom writes no syntax that it does not know; a UID is padded with a zero.
        path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.1.98", syntax.encode().ljust(22, b"\0"), 1))

# Label maps of 16 bits.
wide = pydicom.dcmread(here / "hd-labelmap.dcm")
wide.BitsAllocated = wide.BitsStored = 16
wide.HighBit = 15
pixels = np.frombuffer(wide.PixelData, np.uint8)[: len(wide.PerFrameFunctionalGroupsSequence) * 70].astype("<u2")
wide.PixelData = np.where(pixels == 2, 300, pixels).astype("<u2").tobytes()
wide["PixelData"].VR = "OW"
wide.SegmentSequence[-1].SegmentNumber = 300
wide.save_as(here / "labelmap-16.dcm")

# Frames that say everything themselves, shared groups that say nothing, no source images: as some viewers write them.
plain = pydicom.dcmread(here / "hd-binary-all-frames.dcm")
shared = plain.SharedFunctionalGroupsSequence[0]
for frame in plain.PerFrameFunctionalGroupsSequence:
    frame.PixelMeasuresSequence = shared.PixelMeasuresSequence
    frame.PlaneOrientationSequence = shared.PlaneOrientationSequence
    if "DerivationImageSequence" in frame:
        del frame.DerivationImageSequence
del shared.PixelMeasuresSequence, shared.PlaneOrientationSequence
del plain.ReferencedSeriesSequence
plain.save_as(here / "no-sources.dcm")

# The same without any pixel spacing: it cannot be placed.
for frame in plain.PerFrameFunctionalGroupsSequence:
    del frame.PixelMeasuresSequence
plain.save_as(here / "no-spacing.dcm")


def run(program, *arguments):
    done = subprocess.run([tools / program, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{program}: {done.stdout[-1500:]}{done.stderr[-1500:]}")


def code(value, scheme, meaning):
    return {"CodeValue": value, "CodingSchemeDesignator": scheme, "CodeMeaning": meaning}


with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    for turn, slices in (("", axial), ("-oblique", oblique)):
        (folder / f"ct{turn}").mkdir()
        for n, image in enumerate(slices):
            image.save_as(folder / f"ct{turn}" / f"{n}.dcm", enforce_file_format=True)
        matrix = np.eye(3) if not turn else rotation([1, 2, 3], 25)
        for n, mask in enumerate((first, second)):
            image = sitk.GetImageFromArray(mask.astype(np.uint8))
            image.SetSpacing(SPACING[::-1])
            image.SetOrigin(ORIGIN.tolist())
            image.SetDirection(matrix.flatten().tolist())
            sitk.WriteImage(image, str(folder / f"mask{turn}{n}.nrrd"))
    right = code("24028007", "SCT", "Right")
    segments = [
        [{
            "labelID": 1, "SegmentLabel": label, "SegmentDescription": label,
            "SegmentAlgorithmType": "AUTOMATIC", "SegmentAlgorithmName": "net",
            "SegmentedPropertyCategoryCodeSequence": code(*category[:3]),
            "SegmentedPropertyTypeCodeSequence": code(*kind[:3]),
            "recommendedDisplayRGBValue": [221, 130, 101], **more,
        }]
        for label, category, kind, more in (
            ("Lung", STRUCTURE, LUNG, {"SegmentedPropertyTypeModifierCodeSequence": right}),
            ("Mass", ABNORMAL, MASS, {"AnatomicRegionSequence": code(*LUNG[:3]), "AnatomicRegionModifierSequence": right}),
        )
    ]
    about = {
        "ContentCreatorName": "Reader1", "ClinicalTrialSeriesID": "1", "ClinicalTrialTimePointID": "1",
        "SeriesDescription": "Segmentation", "SeriesNumber": "300", "InstanceNumber": "1", "BodyPartExamined": "CHEST",
        "segmentAttributes": segments,
    }
    (folder / "seg.json").write_text(json.dumps(about))

    def dcmqi_seg(name, turn="", *more):
        run(
            "itkimage2segimage", "--inputImageList", f"{folder}/mask{turn}0.nrrd,{folder}/mask{turn}1.nrrd",
            "--inputDICOMDirectory", folder / f"ct{turn}", "--inputMetadata", folder / "seg.json",
            "--outputDICOM", here / f"{name}.dcm", *more,
        )

    dcmqi_seg("dcmqi")
    dcmqi_seg("dcmqi-oblique", "-oblique")
    dcmqi_seg("dcmqi-deflated", "", "--compress", "deflate")
    dcmqi_seg("dcmqi-all-frames", "", "--skip", "0")

    image = sitk.GetImageFromArray(labels)
    image.SetSpacing(SPACING[::-1])
    image.SetOrigin(ORIGIN.tolist())
    sitk.WriteImage(image, str(folder / "labels.nrrd"))
    about["segmentAttributes"] = [[*segments[0], {**segments[1][0], "labelID": 2}]]
    (folder / "labels.json").write_text(json.dumps(about))
    run(
        "itkimage2segimage", "--inputImageList", folder / "labels.nrrd", "--inputDICOMDirectory", folder / "ct",
        "--inputMetadata", folder / "labels.json", "--outputDICOM", here / "dcmqi-labelmap.dcm",
        "--segmentationType", "labelmap",
    )

    # dcmqi's report on its own segmentation.
    seg = pydicom.dcmread(here / "dcmqi.dcm", stop_before_pixels=True)
    hu = code("[hnsf'U]", "UCUM", "Hounsfield unit")
    density = code("112031", "DCM", "Attenuation Coefficient")

    def item(value, quantity, units, **more):
        return {"value": value, "quantity": quantity, "units": units, **more}

    def roi(number, items, **more):
        return {
            "TrackingIdentifier": f"group {number}", "TrackingUniqueIdentifier": f"1.2.3.4.{number}",
            "ReferencedSegment": number, "SourceSeriesForImageSegmentation": axial[0].SeriesInstanceUID,
            "segmentationSOPInstanceUID": seg.SOPInstanceUID, "Finding": code(*LUNG[:3]), "measurementItems": items, **more,
        }

    volume = code("118565006", "SCT", "Volume")
    report = {
        "SeriesDescription": "Measurements", "SeriesNumber": "1001", "InstanceNumber": "1",
        "compositeContext": ["dcmqi.dcm"], "imageLibrary": [f"{n}.dcm" for n in range(SHAPE[0])],
        "observerContext": {"ObserverType": "PERSON", "PersonObserverName": "Reader1"},
        "VerificationFlag": "VERIFIED", "CompletionFlag": "COMPLETE", "activitySession": "1", "timePoint": "1",
        "Measurements": [
            roi(1, [
                item("37.3289", density, hu, derivationModifier=code("373098007", "SCT", "Mean")),
                item("70361.9", volume, code("mm3", "UCUM", "cubic millimeter")),
            ], FindingSite=code("39607008", "SCT", "Lung"), Laterality=code("24028007", "SCT", "Right")),
            roi(2, [
                item(
                    "-778", density, hu, derivationModifier=code("255605001", "SCT", "Minimum"),
                    measurementAlgorithmIdentification={"AlgorithmName": "net", "AlgorithmVersion": "4.6"},
                    measurementModifiers=[{
                        "modifier": code("A.13", "99TEST", "Preprocessing"),
                        "modifierValue": code("A.14", "99TEST", "Filter"),
                    }],
                    measurementNumProperties=[{
                        "numProperty": code("1234", "99TEST", "Weight"), "numPropertyValue": "10",
                        "numPropertyUnits": code("kg", "UCUM", "kilogram"),
                    }],
                ),
            ], MeasurementMethod=code("126401", "DCM", "Method"), qualitativeEvaluations=[
                {"conceptCode": code("123", "99TEST", "Quality"), "conceptValue": "Bad"},
                {"conceptCode": code("123", "99TEST", "Quality"), "conceptValue": code("124", "99TEST", "Absent")},
            ]),
        ],
    }
    (folder / "sr.json").write_text(json.dumps(report))
    run(
        "tid1500writer", "--inputImageLibraryDirectory", folder / "ct", "--inputCompositeContextDirectory", here,
        "--inputMetadata", folder / "sr.json", "--outputDICOM", here / "dcmqi-sr.dcm",
    )

# highdicom's report: a volume, a line on an image, a polygon in space, and the study as a whole.
sr = hd.sr
context = sr.ObservationContext(
    observer_person_context=sr.ObserverContext(codes.DCM.Person, sr.PersonObserverIdentifyingAttributes("Reader^One")),
    observer_device_context=sr.ObserverContext(
        codes.DCM.Device, sr.DeviceObserverIdentifyingAttributes(uid="1.2.3.9", manufacturer_name="maker", model_name="model"),
    ),
)
site = sr.FindingSite(LUNG, codes.SCT.Right, Code("261183002", "SCT", "Upper"))
net = sr.AlgorithmIdentification("net", "1.0")
third = 1.0 / 3.0
measured = [
    sr.Measurement(codes.SCT.Volume, third, Code("mL", "UCUM", "milliliter")),
    sr.Measurement(
        codes.DCM.AttenuationCoefficient, -612.25, Code("[hnsf'U]", "UCUM", "Hounsfield unit"), derivation=codes.SCT.Mean,
        method=Code("126410", "DCM", "SUV body weight calculation method"), finding_sites=[site], algorithm_id=net,
        qualifier=Code("114009", "DCM", "Value out of range"),
    ),
]
judged = [sr.QualitativeEvaluation(Code("246112005", "SCT", "Severity"), Code("255604002", "SCT", "Mild"))]
referenced = sr.ReferencedSegment(
    binary.SOPClassUID, binary.SOPInstanceUID, 1,
    source_series=sr.SourceSeriesForSegmentation(axial[0].SeriesInstanceUID),
)
image = sr.SourceImageForRegion(axial[2].SOPClassUID, axial[2].SOPInstanceUID)
line = sr.ImageRegion(sr.GraphicTypeValues.POLYLINE, np.array([[1.5, 2.5], [6.5, 2.5], [6.5, 5.5], [1.5, 2.5]]), image)
polygon = np.array([[0.0, 0.0, 35.0], [1.5, 0.0, 35.0], [1.5, 2.0, 35.0], [0.0, 0.0, 35.0]])
space = sr.ImageRegion3D(sr.GraphicTypeValues3D.POLYGON, polygon, axial[0].FrameOfReferenceUID)
length = [sr.Measurement(Code("103339001", "SCT", "Long Axis"), 12.5, Code("mm", "UCUM", "mm"))]
follow = [sr.TrackingIdentifier(f"1.2.3.{n}", f"track {n}") for n in range(4)]
groups = [
    sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        follow[0], referenced_segment=referenced, finding_type=MASS, finding_category=ABNORMAL, finding_sites=[site],
        algorithm_id=net, measurements=measured, qualitative_evaluations=judged, session="first",
        method=Code("126410", "DCM", "SUV body weight calculation method"),
    ),
    sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        follow[1], referenced_region=line, finding_type=MASS, measurements=length,
    ),
    sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        follow[2], referenced_region=space, finding_type=MASS, measurements=length,
    ),
    sr.MeasurementsAndQualitativeEvaluations(
        follow[3], finding_type=LUNG, qualitative_evaluations=judged,
        source_images=[sr.SourceImageForMeasurementGroup(axial[0].SOPClassUID, axial[0].SOPInstanceUID)],
    ),
]
content = sr.MeasurementReport(context, Code("169069000", "SCT", "CT of chest"), groups, referenced_images=axial[:2])
for kind, name in ((sr.Comprehensive3DSR, "hd-sr3d"), (sr.ComprehensiveSR, "hd-sr"), (sr.EnhancedSR, "hd-sr-enhanced")):
    if kind is not sr.Comprehensive3DSR:
        content = sr.MeasurementReport(
            context, Code("169069000", "SCT", "CT of chest"), [g for n, g in enumerate(groups) if n != 2],
            referenced_images=axial[:2],
        )
    report = kind(
        [*axial, binary], content[0], uid(), 3, uid(), 1, "highdicom", is_complete=True, is_verified=False,
    )
    report.ContentDate = report.SeriesDate = report.InstanceCreationDate = "20260101"
    report.ContentTime = report.SeriesTime = report.InstanceCreationTime = "120000"
    report.save_as(here / f"{name}.dcm")
