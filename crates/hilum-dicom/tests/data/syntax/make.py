"""Makes the transfer syntax fixtures: one ZIP of three slices each, 12 rows by 16 columns (32 by 36 for JPEG 2000).

Needs pydicom, numpy, pylibjpeg-openjpeg, pyjpegls, python-gdcm. The pixels are those of `stored` below; the tests
compute them by the same rule. Lossless JPEG with selection values 2 to 7, restarts and long codes is encoded here, as no
library at hand does, and checked with GDCM.
"""
import io
import pathlib
import struct
import zipfile

import gdcm
import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import (
    CTImageStorage, DeflatedExplicitVRLittleEndian, EnhancedCTImageStorage, ExplicitVRBigEndian,
    ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, JPEGLossless, JPEGLosslessSV1,
    RLELossless,
)

here = pathlib.Path(__file__).parent
ROWS, COLUMNS = 12, 16


def stored(s, bits, signed):
    """Noise and flat parts, so that runs and escapes both occur."""
    r, c = np.meshgrid(range(ROWS), range(COLUMNS), indexing="ij")
    noise = (r * 37 + c * 101 + s * 211 + r * c * 7) * 2654435761 % 2**32 >> (32 - bits)
    flat = np.full_like(noise, 2 ** (bits - 1) - 5 + s)
    values = np.where(r % 4 == 3, flat, noise)
    return (values - 2 ** (bits - 1)).astype(np.int16) if signed else values.astype(np.uint16)


def image(s, bits, signed):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = f"2.25.1000{s}"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    d = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    d.SOPClassUID, d.SOPInstanceUID = CTImageStorage, f"2.25.1000{s}"
    d.StudyInstanceUID, d.SeriesInstanceUID, d.FrameOfReferenceUID = "2.25.1", "2.25.2", "2.25.3"
    d.Modality, d.PatientID, d.PatientName = "CT", "FIXTURE", "FIXTURE"
    d.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    d.Rows, d.Columns, d.SamplesPerPixel, d.PhotometricInterpretation = ROWS, COLUMNS, 1, "MONOCHROME2"
    d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = 16, bits, bits - 1, int(signed)
    d.PixelSpacing, d.SliceThickness, d.InstanceNumber = [0.7, 0.6], 2, s + 1
    d.ImagePositionPatient, d.ImageOrientationPatient = [-10, -20, 30 + 2 * s], [1, 0, 0, 0, 1, 0]
    d.RescaleIntercept, d.RescaleSlope = (0 if signed else -1024), 1
    d.PixelData = stored(s, bits, signed).tobytes()
    d["PixelData"].VR = "OW"
    return d


def saved(d):
    out = io.BytesIO()
    d.save_as(out, enforce_file_format=True)
    return out.getvalue()


def packed(name, files):
    with zipfile.ZipFile(here / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as z:
        for n, data in enumerate(files):
            z.writestr(zipfile.ZipInfo(f"folder/{n}"), data, zipfile.ZIP_DEFLATED)
    print(name, (here / f"{name}.zip").stat().st_size)


def encapsulated(d, uid, streams):
    d.file_meta.TransferSyntaxUID = uid
    d.PixelData = encapsulate(streams)
    d["PixelData"].VR = "OB"
    d["PixelData"].is_undefined_length = True
    return saved(d)


def gdcm_jpeg_lossless(d, syntax):
    source = here / "tmp.dcm"
    source.write_bytes(saved(d))
    reader = gdcm.ImageReader()
    reader.SetFileName(str(source))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(source))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    data = source.read_bytes()
    source.unlink()
    return data


def jpeg_lossless(pixels, precision, selection, restart_lines=0, shift=0, long_codes=False):
    """ITU-T T.81 Annex H for one component."""
    x = pixels.astype(np.int64) & 0xFFFF
    x = x >> shift
    if long_codes:  # category n has n + 1 bits, but for the last two of 16
        counts = [0] + [1] * 14 + [2] + []
        order = list(range(16))
        counts = counts[:16]
        counts[15] = 2
    else:  # every category 5 bits
        counts, order = [0, 0, 0, 0, 17] + [0] * 11, list(range(17))
    codes, code, k = {}, 0, 0
    for length, count in enumerate(counts, 1):
        for _ in range(count):
            codes[order[k]] = (code, length)
            code, k = code + 1, k + 1
        code <<= 1
    bits = []
    out = bytearray()

    def flush():
        nonlocal bits
        bits += [1] * (-len(bits) % 8)
        for n in range(0, len(bits), 8):
            byte = int("".join(map(str, bits[n:n + 8])), 2)
            out.append(byte)
            if byte == 255:
                out.append(0)
        bits = []

    for r in range(x.shape[0]):
        fresh = r == 0
        if restart_lines and r and r % restart_lines == 0:
            flush()
            out += bytes([0xFF, 0xD0 + (r // restart_lines - 1) % 8])
            fresh = True
        for c in range(x.shape[1]):
            if fresh:
                p = 1 << (precision - shift - 1) if c == 0 else x[r, c - 1]
            elif c == 0:
                p = x[r - 1, 0]
            else:
                a, b, q = x[r, c - 1], x[r - 1, c], x[r - 1, c - 1]
                p = [a, b, q, a + b - q, a + ((b - q) >> 1), b + ((a - q) >> 1), (a + b) >> 1][selection - 1]
            d = int(x[r, c] - p) & 0xFFFF
            d = d - 65536 if d > 32768 else d
            n = abs(d).bit_length()
            code, length = codes[n]
            bits += [code >> i & 1 for i in reversed(range(length))]
            if 0 < n < 16:
                v = d if d > 0 else d + (1 << n) - 1
                bits += [v >> i & 1 for i in reversed(range(n))]
    flush()
    seg = lambda marker, body: bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body
    head = b"\xFF\xD8" + seg(0xC4, bytes([0]) + bytes(counts) + bytes(order[:sum(counts)]))
    head += seg(0xC3, struct.pack(">BHHB", precision, *x.shape, 1) + bytes([1, 0x11, 0]))
    if restart_lines:
        head += seg(0xDD, struct.pack(">H", restart_lines * x.shape[1]))
    return head + seg(0xDA, bytes([1, 1, 0, selection, 0, shift])) + bytes(out) + b"\xFF\xD9"


def gdcm_decodes(data, expected):
    path = here / "tmp.dcm"
    path.write_bytes(data)
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    assert reader.Read()
    buffer = reader.GetImage().GetBuffer().encode("utf-8", "surrogateescape")
    path.unlink()
    assert buffer == expected.astype("<u2").tobytes(), "GDCM disagrees"


kinds = {"u12": (12, False), "s16": (16, True), "u16": (16, False)}
for kind, (bits, signed) in kinds.items():
    images = lambda: [image(s, bits, signed) for s in range(3)]
    pixel = lambda s: stored(s, bits, signed)

    def resaved(uid):
        files = []
        for d in images():
            d.file_meta.TransferSyntaxUID = uid
            if uid == ExplicitVRBigEndian:
                d.PixelData = np.frombuffer(d.PixelData, "<u2").astype(">u2").tobytes()
                out = io.BytesIO()
                pydicom.dcmwrite(out, d, force_encoding=True, implicit_vr=False,
                                 little_endian=False)
                files.append(out.getvalue())
            else:
                files.append(saved(d))
        return files

    packed(f"explicit-{kind}", resaved(ExplicitVRLittleEndian))
    if kind != "u16":
        packed(f"implicit-{kind}", resaved(ImplicitVRLittleEndian))
        packed(f"big-endian-{kind}", resaved(ExplicitVRBigEndian))
    if kind == "u12":
        packed("deflated-u12", resaved(DeflatedExplicitVRLittleEndian))
        bare = []
        for d in images():
            out = DicomBytesIO()
            out.is_implicit_VR, out.is_little_endian = True, True
            write_dataset(out, Dataset(d))
            bare.append(out.getvalue())
        assert bare[0][:2] == b"\x08\x00"
        packed("bare-implicit-u12", bare)
    for name, uid in {"rle": RLELossless, "jpeg-ls": JPEGLSLossless, "jpeg-2000": JPEG2000Lossless}.items():
        files = []
        # OpenJPEG halves its images five times by default, so they must be larger.
        ROWS, COLUMNS = (32, 36) if name == "jpeg-2000" else (12, 16)
        for d in images():
            d.compress(uid)
            files.append(saved(d))
        ROWS, COLUMNS = 12, 16
        packed(f"{name}-{kind}", files)
    g = gdcm.TransferSyntax
    packed(f"jpeg-sv1-{kind}", [gdcm_jpeg_lossless(d, g.JPEGLosslessProcess14_1) for d in images()])
    if kind == "u12":
        for selection in range(2, 8):
            files = []
            for s, d in enumerate(images()):
                stream = jpeg_lossless(pixel(s), 12, selection)
                data = encapsulated(d, JPEGLossless, [stream])
                gdcm_decodes(data, pixel(s))
                files.append(data)
            packed(f"jpeg-process14-sv{selection}-u12", files)
        files = [encapsulated(d, JPEGLossless, [jpeg_lossless(pixel(s), 12, 6, restart_lines=2 + s)])
                 for s, d in enumerate(images())]
        packed("jpeg-process14-restart-u12", files)
        files = [encapsulated(d, JPEGLosslessSV1, [jpeg_lossless(pixel(s), 12, 1, long_codes=True)])
                 for s, d in enumerate(images())]
        gdcm_decodes(files[0], pixel(0))
        packed("jpeg-sv1-longcodes-u12", files)
        # Point transform: the lowest two bits are gone.
        files = [encapsulated(d, JPEGLossless, [jpeg_lossless(pixel(s), 12, 4, shift=2)]) for s, d in enumerate(images())]
        packed("jpeg-process14-shift2-u12", files)

# Enhanced CT: one object of three frames, in an order that is not that of space; plane positions per frame.
d = image(0, 12, False)
d.file_meta.MediaStorageSOPClassUID = d.SOPClassUID = EnhancedCTImageStorage
for keyword in ["PixelSpacing", "SliceThickness", "ImagePositionPatient", "ImageOrientationPatient", "RescaleIntercept",
                "RescaleSlope"]:
    delattr(d, keyword)
order = [1, 2, 0]
d.NumberOfFrames = 3
d.PixelData = b"".join(stored(s, 12, False).tobytes() for s in order)


def group(**attributes):
    item = Dataset()
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return [item]


shared = Dataset()
shared.PlaneOrientationSequence = group(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
shared.PixelMeasuresSequence = group(PixelSpacing=[0.7, 0.6], SliceThickness=2)
shared.CTReconstructionSequence = group(ConvolutionKernel="B40f")
d.SharedFunctionalGroupsSequence = [shared]
frames = []
for s in order:
    frame = Dataset()
    frame.PlanePositionSequence = group(ImagePositionPatient=[-10, -20, 30 + 2 * s])
    frame.PixelValueTransformationSequence = group(RescaleIntercept=-1024, RescaleSlope=1, RescaleType="HU")
    frames.append(frame)
d.PerFrameFunctionalGroupsSequence = frames
packed("enhanced-u12", [saved(d)])
d.compress(RLELossless)
packed("enhanced-rle-u12", [saved(d)])
streams = [jpeg_lossless(stored(s, 12, False), 12, 1) for s in order]
d.file_meta.TransferSyntaxUID = JPEGLosslessSV1
d.PixelData = encapsulate(streams, fragments_per_frame=2, has_bot=True)
packed("enhanced-jpeg-fragments-u12", [saved(d)])
d.PixelData = encapsulate(streams, fragments_per_frame=2, has_bot=False)
packed("enhanced-jpeg-no-table-u12", [saved(d)])
