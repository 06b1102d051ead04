//! The classes of published vulnerabilities of other DICOM software, as files made here. `docs/security.md` lists them; those of
//! the network are in `hilum-network`.

use std::io::Write;
use std::sync::Arc;

use hilum_dicom::{DeidentificationKey, DeidentifyOptions, Limits, Source, deidentify, nifti, scan};

use crate::cases::{COLUMNS, Case, Expect, ROWS, bytes, case};
use crate::object::{EXPLICIT, Element, Object, PIXEL_DATA, UNDEFINED, fixture};
use crate::{alone, judge, measured, read};

/// A published vulnerability, what it is about, and a file of its kind.
struct Row {
    id: &'static str,
    class: &'static str,
    case: Case,
}

const PATIENT_ID: u32 = 0x0010_0020;
const SOP_INSTANCE_UID: u32 = 0x0008_0018;
const STUDY_INSTANCE_UID: u32 = 0x0020_000D;

fn rows() -> Vec<Row> {
    let row = |id, class, case| Row { id, class, case };
    let refused = Expect::Refused;
    let plain = "explicit-u12";
    let palette = |object: &mut Object| {
        object.set(0x0028_0004, b"CS", b"PALETTE COLOR");
        // A table of two colours for pixels that name four thousand.
        for tag in [0x0028_1101, 0x0028_1102, 0x0028_1103] {
            object.set(tag, b"US", &[2, 0, 0, 0, 16, 0]);
            object.set(tag + 0x100, b"OW", &[0, 0, 255, 255]);
        }
    };
    vec![
        row(
            "CVE-2026-5437",
            "Orthanc: reading behind the end of the file meta information",
            case("meta element of 64 KB", plain, refused(&["cut short"]), |object| {
                object.meta[4].declared = Some(0xFFFE);
            }),
        ),
        row(
            "CVE-2026-5437",
            "Orthanc: reading behind the end of the file meta information",
            bytes("file ends in the meta information", plain, refused(&["cut short", "damaged"]), |object| {
                let head = object.head();
                head[..head.len() - 9].to_vec()
            }),
        ),
        row(
            "CVE-2026-5438",
            "Orthanc: memory for whatever the gzip of a request inflates to; here the deflate of a data set",
            bytes("deflated data set of 40 MB of zeros", "deflated-u12", refused(&["limits"]), |object| {
                object.with_content(&vec![0; 40 << 20])
            }),
        ),
        row(
            "CVE-2026-5440",
            "Orthanc: memory for whatever Content-Length a request announces; here the length of an element",
            case("element of 4 GB", plain, refused(&["cut short", "limits"]), |object| {
                object
                    .elements
                    .insert(4, Element { tag: 0x0008_0070, vr: *b"UT", value: vec![], declared: Some(0xFFFF_FFFE) });
            }),
        ),
        row(
            "CVE-2026-5441",
            "Orthanc: reading behind the end of pixels in Philips' private compression",
            case("PMSCT_RLE1 pixels", plain, refused(&["cut short", "no images"]), |object| {
                object.remove(PIXEL_DATA);
                object.set(0x07A1_0010, b"LO", b"ELSCINT1");
                object.set(0x07A1_1011, b"CS", b"PMSCT_RLE1");
                object.set(0x07A1_100A, b"OB", &[0xA5, 0xFF, 0xFF, 0xA5]);
            }),
        ),
        row(
            "CVE-2026-5442",
            "Orthanc: Rows and Columns as 32-bit numbers, whose product overflows",
            case("Rows and Columns of 2^31", plain, refused(&["damaged"]), |object| {
                object.set(ROWS, b"UL", &0x8000_0000u32.to_le_bytes());
                object.set(COLUMNS, b"UL", &0x8000_0010u32.to_le_bytes());
            }),
        ),
        row(
            "CVE-2026-5443",
            "Orthanc: size of palette colour images overflows",
            case(
                "palette image of 65535 × 65535",
                plain,
                refused(&["limits", "damaged", "cut short"]),
                move |object| {
                    palette(object);
                    object.set_u16(ROWS, 65535);
                    object.set_u16(COLUMNS, 65535);
                },
            ),
        ),
        row(
            "CVE-2026-5444",
            "Orthanc: a PAM picture in the pixel data, whose size overflows",
            case("PAM in a fragment", "jpeg-sv1-u12", refused(&["cannot be decoded"]), |object| {
                let pam =
                    b"P7\nWIDTH 65536\nHEIGHT 65537\nDEPTH 1\nMAXVAL 65535\nTUPLTYPE GRAYSCALE\nENDHDR\n".to_vec();
                object.encapsulate(&[vec![], pam]);
            }),
        ),
        row(
            "CVE-2026-5445",
            "Orthanc: pixels that point behind the end of their colour table",
            case("palette of two colours", plain, refused(&["colour pictures"]), palette),
        ),
        row(
            "CVE-2026-3650",
            "GDCM: memory never given back for value representations that do not exist in the meta information",
            case("meta elements of representation ZZ", plain, refused(&["damaged"]), |object| {
                let odd = Element { tag: 0x0002_0100, vr: *b"ZZ", value: vec![0; 64], declared: None };
                object.meta.extend(vec![odd; 500]);
            }),
        ),
        row(
            "CVE-2026-3650",
            "GDCM: 4 GB taken for a file of 150 bytes, on the word of such an element",
            bytes("meta element of representation ZZ and 4 GB", plain, refused(&["damaged", "cut short"]), |object| {
                object.meta.clear();
                [&object.head()[..], b"\x02\0\0\x01ZZ\0\0\xF0\xFF\xFF\xFF"].concat()
            }),
        ),
        row(
            "CVE-2026-3650",
            "GDCM: the same for a fragment of pixels",
            case("fragment of 4 GB", "jpeg-2000-u12", refused(&["cut short", "cannot be decoded"]), |object| {
                object.raw_pixels([EXPLICIT.item(0xFFFE_E000, 0), EXPLICIT.item(0xFFFE_E000, UNDEFINED - 1)].concat());
            }),
        ),
        row(
            "CVE-2026-10528",
            "DCMTK, and Orthanc with it: nested sequences use up the stack",
            bytes("1 100 sequences in one another", plain, refused(&["limits"]), |object| {
                let one = [EXPLICIT.header(0x0040_A730, *b"SQ", UNDEFINED), EXPLICIT.item(0xFFFE_E000, UNDEFINED)];
                object.with_content(&[one.concat().repeat(1100), object.content()].concat())
            }),
        ),
        row(
            "CVE-2022-2121",
            "DCMTK: an attribute that is not there is used",
            bytes("nothing but a header of pixels", plain, refused(&["not say", "damaged"]), |object| {
                object.elements.retain(|e| e.tag == PIXEL_DATA);
                object.write()
            }),
        ),
        row(
            "CVE-2022-2119",
            "DCMTK storescp: a UID becomes the path that is written to",
            case("SOP Instance UID with folders", plain, refused(&["not say"]), |object| {
                object.set(SOP_INSTANCE_UID, b"UI", b"../../../../tmp/x");
            }),
        ),
        row(
            "CVE-2022-2120",
            "DCMTK getscu: a UID becomes a relative path",
            case("Study Instance UID with folders", plain, refused(&["not say"]), |object| {
                object.set(STUDY_INSTANCE_UID, b"UI", b"..\\..\\windows\\x");
            }),
        ),
        row(
            "CVE-2026-50003",
            "DCMTK getscu, bit-preserving: absolute and relative paths from the data set",
            case("SOP Instance UID that is an absolute path", plain, refused(&["not say"]), |object| {
                object.set(SOP_INSTANCE_UID, b"UI", b"/etc/cron.d/x");
            }),
        ),
        row(
            "CVE-2026-5663",
            "DCMTK storescp: text of the data set reaches a shell",
            case("SOP Instance UID with a command", plain, refused(&["not say"]), |object| {
                object.set(SOP_INSTANCE_UID, b"UI", b"1.2;touch${IFS}x");
            }),
        ),
        row(
            "CVE-2026-56445",
            "pynetdicom qrscp: the SOP Instance UID becomes the path that is written to",
            case("SOP Instance UID with a path from the root", plain, refused(&["not say"]), |object| {
                object.set(SOP_INSTANCE_UID, b"UI", b"/../../../etc/passwd");
            }),
        ),
        row(
            "CVE-2026-32711",
            "pydicom: a DICOMDIR leads to files outside of its folder",
            bytes("DICOMDIR that names /etc/passwd", plain, refused(&["no images"]), |object| {
                object.elements.retain(|e| e.tag < 0x0010_0000 || (e.tag & 0xFFFF_0000) == 0x0020_0000);
                object.set(0x0008_0016, b"UI", b"1.2.840.10008.1.3.10");
                let mut content = object.content();
                let mut record = EXPLICIT.header(0x0004_1430, *b"CS", 6);
                record.extend(b"IMAGE ");
                record.extend(EXPLICIT.header(0x0004_1500, *b"CS", 26));
                record.extend(b"..\\..\\..\\..\\..\\etc\\passwd ");
                let item = [EXPLICIT.item(0xFFFE_E000, record.len() as u32), record].concat();
                content.splice(0..0, [EXPLICIT.header(0x0004_1220, *b"SQ", item.len() as u32), item].concat());
                object.with_content(&content)
            }),
        ),
        row(
            "CVE-2019-11687",
            "DICOM itself: an executable in the preamble",
            case("preamble of a program", plain, Expect::Right, |object| {
                object.preamble[..64].copy_from_slice(&[&b"MZ\x90\0"[..], &[0x41; 60]].concat());
            }),
        ),
    ]
}

#[test]
fn classes_of_known_vulnerabilities_do_not_hurt() {
    let _alone = alone();
    let failures: Vec<String> = rows()
        .iter()
        .filter_map(|row| {
            let right = read(&fixture(row.case.base)).unwrap();
            judge(&row.case, &right).err().map(|what| format!("{} ({}): {}: {what}", row.id, row.class, row.case.name))
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// CVE-2026-5439, Orthanc: memory for whatever size a ZIP announces.
#[test]
fn a_zip_is_not_believed_about_its_sizes() {
    let _alone = alone();
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("a.dcm", zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(&[7; 1000]).unwrap();
    let good = zip.finish().unwrap().into_inner();
    // Sizes stand in the local header and, which counts, in the central directory.
    for declared in [0x7FFF_FFFFu32, 0xFFFF_FFFE] {
        let mut bad = good.clone();
        let central = bad.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
        for at in [22, central + 24] {
            bad[at..at + 4].copy_from_slice(&declared.to_le_bytes());
        }
        let source = Source::Memory(vec![("zip".into(), Arc::from(bad))]);
        let refusal = scan(&source, &Limits::default()).unwrap_err().to_string();
        assert!(refusal.contains("packing ratio"), "{refusal}");
    }
}

/// The same for NIfTI: a gzip stream is read as far as the header asks for, a header is believed as far as bytes follow.
#[test]
fn packed_nifti_takes_what_it_has() {
    let _alone = alone();
    let mut header = vec![0u8; 352];
    header[..4].copy_from_slice(&348i32.to_le_bytes());
    for (at, value) in [(40, 3i16), (42, 2000), (44, 500), (46, 500), (70, 4), (72, 16), (252, 1)] {
        header[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }
    for at in [76, 80, 84, 88, 108] {
        header[at..at + 4].copy_from_slice(&if at == 108 { 352f32 } else { 1.0 }.to_le_bytes());
    }
    header[344..348].copy_from_slice(b"n+1\0");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(&header).unwrap();
    packed.write_all(&vec![0; 4 << 20]).unwrap();
    let file = packed.finish().unwrap();
    let (read, _, taken) = measured(|| nifti::read_hu(&file[..], &Limits::default()));
    let refusal = read.unwrap_err();
    assert!(refusal.to_string().contains("cut short"), "{refusal}");
    assert!(taken < 64 << 20, "{taken} bytes taken for a promise of 1 GB");
}

/// CVE-2019-11687, and paths from UIDs: what de-identification gives out has an empty preamble and names of digits and dots.
#[test]
fn what_is_given_out_runs_nowhere_and_leads_nowhere() {
    let _alone = alone();
    let bad = case("preamble", "explicit-u12", Expect::Right, |object| {
        object.preamble[..4].copy_from_slice(b"MZ\x90\0");
        object.set(PATIENT_ID, b"LO", b"/../../../etc/passwd");
    });
    let files = bad.files.iter().enumerate().map(|(n, file)| (n.to_string(), Arc::from(&file[..]))).collect();
    let mut given = Vec::new();
    let mut key = DeidentificationKey::new([1; 32]);
    deidentify(&Source::Memory(files), &Limits::default(), &DeidentifyOptions::default(), &mut key, &mut |file| {
        given.push(file);
        Ok(())
    })
    .unwrap();
    assert_eq!(given.len(), 3);
    for file in given {
        assert!(file.bytes[..128].iter().all(|b| *b == 0));
        for name in [&file.study_uid, &file.series_uid, &file.sop_instance_uid] {
            assert!(name.bytes().all(|b| b.is_ascii_digit() || b == b'.') && !name.contains(".."), "{name}");
        }
    }
}
