"""Holds a de-identified folder against its originals with pydicom, which shares no code with Hilum.

    hilum dicom deidentify IN --out OUT --key KEY && hilum dicom reidentify OUT --key KEY --out BACK
    python check_deidentified.py IN OUT BACK

Basic Profile without options. Exits with 1 if anything is found."""

import sys
from pathlib import Path

import pydicom

TABLE = {}
for line in (Path(__file__).parents[2] / "src/deidentify/profile.tsv").read_text(encoding="utf-8").splitlines():
    if not line.startswith("#"):
        tag, basic, *_ = line.split("\t")
        TABLE[tag] = basic
faults = []


def read(folder):
    files = [pydicom.dcmread(p, force=True) for p in sorted(Path(folder).rglob("*")) if p.is_file() and p.suffix != ".json"]
    return {f.SOPInstanceUID: f for f in files if "SOPInstanceUID" in f}


def action(tag):
    key = f"{tag.group:04x}{tag.element:04x}"
    if tag.group & 0xFF00 == 0x5000:
        key = "50xxxxxx"
    if tag.group & 0xFF00 == 0x6000 and tag.element in (0x3000, 0x4000):
        key = f"60xx{tag.element:04x}"
    return TABLE.get(key)


def examine(dataset, secrets):
    for element in dataset:
        rule, value = action(element.tag), element.value
        if element.tag.is_private:
            faults.append(f"private {element.tag}")
        if rule == "X":
            faults.append(f"{element.tag} is still there")
        if rule in ("Z", "X/Z") and value not in (None, "") and not str(value).startswith("HILUM-") and len(value):
            faults.append(f"{element.tag} has a value")
        if rule == "U" and not all(u.startswith(("2.25.", "1.2.840.10008.")) for u in ([value] if isinstance(value, str) else value)):
            faults.append(f"{element.tag} has its UID")
        if element.VR == "SQ":
            for item in value:
                examine(item, secrets)
        elif element.VR == "UI" and not element.keyword.endswith("ClassUID") and any(str(value) == s for s in secrets):
            faults.append(f"{element.tag} holds an original UID")


source, made, back = (read(folder) for folder in sys.argv[1:4])
uids = {e.value for f in source.values() for e in f.iterall() if e.VR == "UI" and isinstance(e.value, str)}
uids = {u for u in uids if u and not u.startswith("1.2.840.10008.")}
names = {str(f.get(k, "")).strip() for f in source.values() for k in ("PatientName", "PatientID", "PatientBirthDate")} - {""}
pixels = {f.get("PixelData") for f in source.values()}
for uid, f in made.items():
    examine(f, uids)
    if f.file_meta.MediaStorageSOPInstanceUID != uid or f.preamble != bytes(128) or f.PatientIdentityRemoved != "YES":
        faults.append("meta information, preamble or statement")
    if f.DeidentificationMethodCodeSequence[0].CodeValue != "113100":
        faults.append("code of the profile")
    if f.get("PixelData") not in pixels:
        faults.append("other pixels")
    if any(str(e.value).strip() in names for e in f.iterall() if e.VR in ("PN", "LO", "SH", "ST", "LT", "UT", "DA")):
        faults.append("an original name, identifier or birth date")
for uid, f in back.items():
    if uid not in source or set(source[uid].keys()) != set(f.keys()) or any(source[uid][t] != f[t] for t in f.keys()):
        faults.append("an original is not brought back")
print(f"{len(source)} originals, {len(made)} de-identified, {len(back)} brought back: {len(faults)} faults")
for fault in sorted(set(faults)):
    print(f"  {fault}, {faults.count(fault)} times")
sys.exit(1 if faults or not made or len(back) != len(made) else 0)
