#!/usr/bin/env python3
"""Has `hilum dicom deidentify` and `reidentify` treat a study and an object that holds every attribute of the profile, and holds
what comes of it against PS3.15 table E.1-1 as dicom-anonymizer has it. Objects are read by pydicom; neither shares code, or the
table, with Hilum.

    pip install pydicom dicom-anonymizer==2.1.0
    python check_deidentified.py target/debug/hilum STUDY

STUDY is a folder of CT images with their results (SEG, SR and others), such as `cargo run -p hilum-dicom --example
results_for_peers` makes. `cargo xtask peers` does all of this by itself. Exits with 1 if anything is found.
"""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pydicom
from dicomanonymizer.dicom_anonymization_databases import dicomfields_2026c as theirs
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.tag import Tag

SECRET = "Geheim"
IDENTITY = {Tag(0x0008, 0x0018), Tag(0x0020, 0x000D), Tag(0x0020, 0x000E)}
NUMBERS = {"FD": 7.5, "FL": 7.5, "UL": 77, "SL": 77, "US": 77, "SS": 77, "UV": 77, "SV": 77}
TEXTS = {"DA": "19870605", "DT": "19870605112233", "TM": "112233", "AS": "047Y", "DS": "77", "IS": "77", "CS": "GEHEIM", "AE": "GEHEIM"}
# A presentation state must have them (PS3.3 C.11.10, type 1), though the table takes them out: a dummy is right.
REQUIRED = {"PresentationCreationDate", "PresentationCreationTime"}
faults = []

TABLE, MASKS = {}, []
for actions in ("X", "Z", "D", "U", "X_Z", "X_D", "Z_D", "X_Z_D", "X_Z_U_STAR"):
    for row in getattr(theirs, f"{actions}_TAGS"):
        if len(row) == 2:
            TABLE[Tag(*row)] = actions.replace("_STAR", "").split("_")
        else:
            MASKS.append((row, actions.split("_")))


def rule(tag):
    """The actions of the Basic Profile that the table allows; None if the attribute is not in it."""
    for (group, element, group_mask, element_mask), actions in MASKS:
        if tag.group & group_mask == group and tag.element & element_mask == element:
            return actions
    return TABLE.get(tag)


def fill(dataset):
    """Every attribute of the table that a file may hold and pydicom knows, each with a value that identifies."""
    count = 0
    for tag in [*TABLE, Tag(0x5002, 0x3000), Tag(0x6002, 0x3000), Tag(0x6002, 0x4000)]:
        # Below are messages and directories; a CT with a document in it is left out as a document.
        if tag.group < 8 or tag in IDENTITY or tag == Tag(0x0042, 0x0011):
            continue
        try:
            vr = dictionary_VR(tag).split(" or ")[0]
        except KeyError:
            continue
        if vr == "SQ":
            item = Dataset()
            item.PatientName, item.TextValue = SECRET, SECRET
            item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3.4.5"
            value = [item]
        elif vr == "UI":
            value = f"1.2.3.{tag.group}.{tag.element}"
        elif vr in ("OB", "OW", "OF", "OD", "OL", "UN"):
            value = SECRET.encode() * 4
        else:
            value = NUMBERS.get(vr, TEXTS.get(vr, SECRET))
        dataset.add_new(tag, vr, value)
        count += 1
    return count


def full(image):
    """The object, and how many attributes were put into it."""
    count = fill(image)
    nested = Dataset()
    fill(nested)
    nested.add_new(Tag(0x0029, 0x0010), "LO", "SOME MAKER")
    nested.add_new(Tag(0x0029, 0x1010), "LO", SECRET)
    image.AnatomicRegionSequence = [nested]
    image.add_new(Tag(0x0029, 0x0010), "LO", "SOME MAKER")
    image.add_new(Tag(0x0029, 0x1010), "LO", SECRET)
    return image, count


def read(folder):
    files = [p for p in sorted(Path(folder).rglob("*")) if p.is_file() and p.suffix != ".json"]
    objects = [pydicom.dcmread(p, force=True) for p in files]
    return {o.SOPInstanceUID: o for o in objects if "SOPInstanceUID" in o}


def values(value):
    return list(value) if isinstance(value, (list, pydicom.multival.MultiValue)) else [value]


def is_empty(element):
    return element.value is None or (hasattr(element.value, "__len__") and len(element.value) == 0)


def as_done(element, before):
    """The letters of table E.1-1a that fit what became of an attribute, which is still there."""
    done = set()
    if is_empty(element) or (element.keyword in ("PatientName", "PatientID") and str(element.value).startswith("HILUM-")):
        done.add("Z")
    if element.VR == "SQ":
        # A dummy item; what it holds is looked at for itself. Of UIDs in sequences, U.
        return done | ({"D", "U"} if len(element.value) == 1 else {"U"})
    if not is_empty(element) and str(element.value) not in before.get(element.tag, ()):
        done.add("D")
        if element.VR == "UI" and all(str(u).startswith(("2.25.", "1.2.840.10008.")) for u in values(element.value)):
            done.add("U")
    # A UID of the standard, such as a class, names no instance.
    if element.VR == "UI" and all(str(u).startswith("1.2.840.10008.") for u in values(element.value)):
        done.add("U")
    return done


def examine(dataset, before, treated):
    for element in dataset:
        allowed = rule(element.tag)
        if element.tag.is_private:
            faults.append(f"private {element.tag}")
        elif allowed is not None:
            treated.add(element.tag)
            if element.keyword in REQUIRED and "Presentation State" in dataset.SOPClassUID.name:
                allowed = ["D"]
            if not as_done(element, before) & set(allowed):
                faults.append(f"{element.tag} {element.keyword}: {'/'.join(allowed)}, but it is {'empty' if is_empty(element) else 'there'}")
        if element.VR == "SQ":
            for item in element.value:
                examine(item, before, treated)


def missing(before, after):
    """Attributes that are gone though the table does not let them go."""
    for element in before:
        allowed = rule(element.tag)
        if allowed and "X" not in allowed and element.tag not in after and not element.tag.is_private:
            faults.append(f"{element.tag} {element.keyword}: {'/'.join(allowed)}, but it is gone")


def originals(objects):
    known = {}
    for o in objects:
        for e in o.iterall():
            if e.VR != "SQ" and not is_empty(e):
                known.setdefault(e.tag, set()).add(str(e.value))
    return known


def run(hilum, *arguments):
    done = subprocess.run([hilum, "dicom", *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        print(done.stdout[-2000:], done.stderr[-2000:])
        raise SystemExit(f"hilum dicom {arguments[0]} failed")


def treat(hilum, folder, work, *options):
    """Originals, de-identified objects and what was brought back."""
    out, back, key = work / "out", work / "back", work / "key.json"
    run(hilum, "deidentify", folder, "--out", out, "--key", key, *options)
    run(hilum, "reidentify", out, "--key", key, "--out", back)
    return read(folder), read(out), read(back), json.loads((out / "deidentification.json").read_text())


def basic(hilum, folder, work):
    source, made, back, report = treat(hilum, folder, work)
    before, treated = originals(source.values()), set()
    uids = {v for o in source.values() for e in o.iterall() if e.VR == "UI" for v in values(e.value) if v}
    uids = {u for u in uids if not u.startswith("1.2.840.10008.")}
    keys = ("PatientName", "PatientID", "PatientBirthDate")
    names = {str(o.get(k, "")).strip() for o in source.values() for k in keys} - {""}
    pixels = {o.get("PixelData") for o in source.values()}
    for uid, o in made.items():
        examine(o, before, treated)
        if o.file_meta.MediaStorageSOPInstanceUID != uid or o.preamble != bytes(128) or o.PatientIdentityRemoved != "YES":
            faults.append("meta information, preamble or statement")
        if [c.CodeValue for c in o.DeidentificationMethodCodeSequence] != ["113100"]:
            faults.append("code of the profile")
        if o.get("PixelData") not in pixels:
            faults.append("other pixels")
        for e in o.iterall():
            if e.VR in ("PN", "LO", "SH", "ST", "LT", "UT", "DA") and str(e.value).strip() in names:
                faults.append(f"{e.tag}: an original name, identifier or birth date")
            if e.VR == "UI" and any(str(u) in uids for u in values(e.value)):
                faults.append(f"{e.tag} holds an original UID")
    for uid, o in back.items():
        if uid not in source or set(source[uid].keys()) != set(o.keys()) or any(source[uid][t] != o[t] for t in o.keys()):
            faults.append("an original is not brought back")
    if len(back) != len(made) or not made:
        faults.append(f"{len(back)} of {len(made)} objects brought back")
    print(f"{folder.name}: {len(source)} originals, {len(made)} de-identified, {len(back)} brought back, {len(report['left_out'])} reasons to leave out")
    return source, made, treated


def secrets(files):
    for path in files:
        bytes_ = path.read_bytes().lower()
        for what in (SECRET.lower().encode(), b"19870605", b"1.2.3.4.5"):
            if what in bytes_:
                faults.append(f"{what.decode()} is still to be found")


def main():
    hilum, study = sys.argv[1], Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "a").mkdir()
        _, made, _ = basic(hilum, study, folder / "a")
        classes = {o.SOPClassUID.name for o in made.values()}
        if not any("Segmentation" in c for c in classes) or not any("SR" in c for c in classes):
            faults.append(f"no segmentation or no report among {sorted(classes)}")

        images = [p for p in sorted(study.rglob("*")) if p.is_file()]
        image = next(o for o in map(pydicom.dcmread, images) if o.SOPClassUID.name == "CT Image Storage")
        every, count = full(image)
        for name, options in {"b": (), "c": ("--retain-modified-dates",), "d": ("--clean-descriptors", "--clean-structured-content")}.items():
            (folder / name / "every-attribute").mkdir(parents=True)
            every.save_as(folder / name / "every-attribute" / "1.dcm", enforce_file_format=True)
            if not options:
                source, made, treated = basic(hilum, folder / name / "every-attribute", folder / name)
                for before, after in zip(source.values(), made.values()):
                    missing(before, after)
                    missing(before.AnatomicRegionSequence[0], after.AnatomicRegionSequence[0])
                secrets((folder / name / "out").rglob("*.dcm"))
                print(f"every attribute: {count} of {len(TABLE) + len(MASKS)} of the table, {len(treated)} of them still there")
                if count < 600:
                    faults.append(f"only {count} attributes of the table were tried")
                continue
            _, made, back, _ = treat(hilum, folder / name / "every-attribute", folder / name, *options)
            if len(made) != 1 or len(back) != 1:
                faults.append(f"{options}: {len(made)} objects")
            if name == "d":
                secrets((folder / name / "out").rglob("*.dcm"))
                continue
            # C of dates: all are moved by the same days, times stay (PS3.15 E.3.6).
            for o in made.values():
                moved = {str(e.value) for e in o.iterall() if e.VR == "DA" and not is_empty(e)} - {""}
                days = {str(o[k].value) for k in ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate")}
                times = {str(o[k].value) for k in ("StudyTime", "SeriesTime", "AcquisitionTime", "ContentTime")}
                if len(days) != 1 or "19870605" in moved or times != {"112233"} or not days <= moved:
                    faults.append(f"dates moved to {sorted(moved)}, times {sorted(times)}")
    print(f"{len(faults)} faults")
    for fault in sorted(set(faults)):
        print(f"  {fault}, {faults.count(fault)} times")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
