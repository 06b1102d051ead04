"""Writes the DICOM files of a folder again in JPEG Lossless (Process 14, SV1), with GDCM.

    python compress.py FROM TO
"""

import sys
from pathlib import Path

import gdcm

source, target = map(Path, sys.argv[1:])
target.mkdir(parents=True, exist_ok=True)
for path in sorted(source.iterdir()):
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    assert reader.Read(), f"GDCM does not read {path.name}"
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
    change.SetInput(reader.GetImage())
    assert change.Change(), f"GDCM does not compress {path.name}"
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(target / path.name))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write(), f"GDCM does not write {path.name}"
