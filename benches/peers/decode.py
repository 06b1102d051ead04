"""Other readers of DICOM: dicomsdl and pydicom (JPEG through pylibjpeg). Each gives the pixel values of every file.

    python decode.py dicomsdl|pydicom     then lines as in benches/src/lib.rs
"""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from protocol import serve


def with_dicomsdl(path):
    import dicomsdl

    return dicomsdl.open(str(path)).pixelData()


def with_pydicom(path):
    import pydicom

    return pydicom.dcmread(path).pixel_array


read = {"dicomsdl": with_dicomsdl, "pydicom": with_pydicom}[sys.argv[1]]


def answer(words):
    match words:
        case ["run", folder, threads]:
            files = sorted(p for p in Path(folder).iterdir() if p.is_file())
            started = time.perf_counter()
            if threads == "1":
                slices = [read(path) for path in files]
            else:
                with ThreadPoolExecutor(int(threads)) as pool:
                    slices = list(pool.map(read, files))
            seconds = time.perf_counter() - started
            return [seconds, len(slices), int(sum(int(s.sum(dtype=np.int64)) for s in slices))]
    raise ValueError(f"not understood: {words}")


serve(answer)
