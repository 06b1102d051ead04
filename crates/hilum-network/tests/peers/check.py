#!/usr/bin/env python3
"""Sends CT and results to archives that others wrote and fetches them back, with `hilum dicom` as it is built.

    cargo xtask peers                 # does everything below by itself, as root also the installing

    cargo run -p hilum-dicom --example results_for_peers -- /tmp/peers
    apt-get install dcmtk orthanc orthanc-dicomweb; pip install pydicom numpy
    python crates/hilum-network/tests/peers/check.py target/debug/hilum /tmp/peers/oblique [FOLDER_TO_TIME]

Every object comes back with every element as it was, pixel data to the bit, in its own transfer syntax, and with nothing in
its preamble. Prints a line per check and exits with 1 if one failed. All servers listen on this machine alone.
"""
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import pydicom

HILUM = str(Path(sys.argv[1]).resolve())
DATA = Path(sys.argv[2])
LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"  # younger than the archives
failures = 0


def check(what, good, detail=""):
    global failures
    failures += not good
    print(("ok   " if good else "FAIL ") + what + (f": {detail}" if detail else ""), flush=True)


def port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def hilum(*arguments):
    return subprocess.run([HILUM, "dicom", *map(str, arguments)], capture_output=True, text=True, timeout=300)


@contextmanager
def server(command, at, **options):
    with open(at / f"{Path(command[0]).name}.log", "w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=at, **options)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(20)


def wait_for(address):
    for _ in range(200):
        if hilum("echo", "--to", address, "--timeout", 2).returncode == 0:
            return True
        time.sleep(0.1)
    return False


def objects(folder):
    found = {}
    for path in Path(folder).rglob("*"):
        if path.is_file():
            found[str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID)] = path
    return found


def same(sent, came):
    """What differs between two files, in words; empty if nothing does."""
    if came.read_bytes()[:128] != bytes(128):
        return "the preamble is not blank"
    a, b = pydicom.dcmread(sent), pydicom.dcmread(came)
    if a.file_meta.TransferSyntaxUID != b.file_meta.TransferSyntaxUID:
        return "another transfer syntax"
    if a.get("PixelData") != b.get("PixelData"):
        return "other pixel data"
    return "" if a == b else "other elements"


def compare(what, sent, folder, expected):
    came = objects(folder)
    wrong = [reason for uid in expected if uid in came and (reason := same(sent[uid], came[uid]))]
    check(what, set(came) == expected and not wrong, f"{len(came)} objects, {len(wrong)} differ {sorted(set(wrong))}")


def around(name, address, sent, scratch, expected, ways):
    if not wait_for(address):
        check(f"{name}: answers", False)
        return
    done = hilum("send", DATA, "--to", address, "--quiet")
    # What the archive does not know is refused and named; the exit code says so.
    right = done.returncode == (0 if expected == set(sent) else 3) and f"{len(expected)} objects sent" in done.stdout
    check(f"{name}: sent", right, done.stdout.strip().splitlines()[0] if done.stdout else done.stderr[-300:])
    found = hilum("query", "--from", address, "--json")
    studies = {s["0020000D"]["Value"][0] for s in json.loads(found.stdout or "[]")}
    want = {str(pydicom.dcmread(p, stop_before_pixels=True).StudyInstanceUID) for p in sent.values()}
    check(f"{name}: found", studies == want, f"{len(studies)} studies")
    for way, arguments in ways.items():
        out = scratch / f"{name}-{way}".replace(" ", "-")
        for study in sorted(want):
            done = hilum("retrieve", "--from", address, "--study", study, "--out", out, "--quiet", *arguments)
            if done.returncode != 0:
                check(f"{name}: {way}", False, done.stderr[-300:])
        compare(f"{name}: {way}", sent, out, expected)


def timed(folder, scratch):
    """Seconds for storescu and for hilum to one storescp, in turns."""
    receiving, at = scratch / "timed", port()
    receiving.mkdir()
    seconds = {"storescu": [], "hilum": []}
    with server(["storescp", "+xa", "-od", str(receiving), str(at)], scratch):
        wait_for(f"127.0.0.1:{at}")
        for _ in range(5):
            for name, command in [
                ("storescu", ["storescu", "+sd", "-q", "-xs", "127.0.0.1", str(at), str(folder)]),
                ("hilum", [HILUM, "dicom", "send", "--quiet", str(folder), "--to", f"127.0.0.1:{at}"]),
            ]:
                started = time.monotonic()
                subprocess.run(command, check=True, capture_output=True)
                seconds[name].append(time.monotonic() - started)
    median = {name: sorted(all)[len(all) // 2] for name, all in seconds.items()}
    files = sum(1 for p in Path(folder).rglob("*") if p.is_file())
    print(f"time for {files} files: storescu {median['storescu']:.2f} s, hilum {median['hilum']:.2f} s, ratio {median['storescu'] / median['hilum']:.1f}")


def main():
    sent = objects(DATA)
    known = {u for u, p in sent.items() if pydicom.dcmread(p, stop_before_pixels=True).SOPClassUID != LABEL_MAP}
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        moved = port()
        move = ["--move-to", "HILUM", "--listen", f"127.0.0.1:{moved}"]
        if shutil.which("dcmqrscp"):
            at, store = port(), scratch / "dcmqrscp"
            store.mkdir()
            (scratch / "dcmqrscp.cfg").write_text(
                f"NetworkTCPPort = {at}\nMaxPDUSize = 16384\nMaxAssociations = 16\n"
                f"HostTable BEGIN\nhilum = (HILUM, 127.0.0.1, {moved})\nHostTable END\nVendorTable BEGIN\nVendorTable END\n"
                f"AETable BEGIN\nARCHIVE {store} RW (100, 1024mb) ANY\nAETable END\n"
            )
            with server(["dcmqrscp", "-c", "dcmqrscp.cfg"], scratch):
                around("dcmqrscp", f"ARCHIVE@127.0.0.1:{at}", sent, scratch, known, {"C-GET": [], "C-MOVE": move})
        else:
            check("dcmqrscp is there", False)
        if shutil.which("Orthanc"):
            at, web = port(), port()
            settings = {
                "StorageDirectory": str(scratch / "orthanc"),
                "IndexDirectory": str(scratch / "orthanc"),
                "DicomPort": at,
                "DicomAet": "ORTHANC",
                "HttpPort": web,
                "RemoteAccessAllowed": False,
                "AuthenticationEnabled": False,
                "UnknownSopClassAccepted": True,
                "DicomModalities": {"hilum": ["HILUM", "127.0.0.1", moved]},
                "DicomAlwaysAllowFind": True,
                "DicomAlwaysAllowGet": True,
                "DicomAlwaysAllowMove": True,
                "Plugins": ["/usr/share/orthanc/plugins/"],
                "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
            }
            (scratch / "orthanc.json").write_text(json.dumps(settings))
            with server(["Orthanc", "orthanc.json"], scratch):
                node, root = f"ORTHANC@127.0.0.1:{at}", f"http://127.0.0.1:{web}/dicom-web"
                # It moves what it was sent of unknown classes to nobody.
                around("Orthanc", node, sent, scratch, set(sent), {"C-MOVE": move, "C-GET": []})
                wado = scratch / "wado"
                study = next(iter(pydicom.dcmread(p, stop_before_pixels=True).StudyInstanceUID for p in sent.values()))
                done = hilum("retrieve", "--from", root, "--study", study, "--out", wado, "--quiet")
                compare("Orthanc: WADO-RS", sent, wado, set(sent)) if done.returncode == 0 else check("Orthanc: WADO-RS", False, done.stderr[-300:])
            shutil.rmtree(scratch / "orthanc")
            with server(["Orthanc", "orthanc.json"], scratch):
                around("Orthanc DICOMweb", root, sent, scratch, set(sent), {"WADO-RS": []})
        else:
            check("Orthanc is there", False)
        if len(sys.argv) > 3:
            timed(sys.argv[3], scratch)
    print(f"{failures} checks failed")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
