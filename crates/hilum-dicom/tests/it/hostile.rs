//! Bytes that mean harm or have come to harm: never a panic, never more memory than they are worth.

use std::path::PathBuf;
use std::sync::Arc;

use dicom_core::{PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use hilum_dicom::{Limits, Source, load, scan};

use crate::support::{File, loaded, series, source, with};

/// A small generator of its own, so that every run tries the same bytes (xorshift, Marsaglia 2003).
struct Noise(u64);

impl Noise {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }
}

fn survives(files: &[File]) {
    if let Ok(scan) = scan(&source(files), &Limits::default()) {
        for summary in scan.series() {
            let _ = load(&scan, &summary.series_uid, &|_| ());
        }
    }
}

/// The files of a fixture of `tests/data/syntax`.
fn fixture(name: &str) -> Vec<File> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/syntax/{name}.zip"));
    let mut zip = zip::ZipArchive::new(std::fs::File::open(path).unwrap()).unwrap();
    (0..zip.len())
        .map(|n| {
            let mut bytes = Vec::new();
            std::io::copy(&mut zip.by_index(n).unwrap(), &mut bytes).unwrap();
            bytes
        })
        .collect()
}

const FIXTURES: [&str; 10] = [
    "explicit-u12",
    "implicit-u12",
    "big-endian-u12",
    "deflated-u12",
    "bare-implicit-u12",
    "rle-u12",
    "jpeg-ls-u12",
    "jpeg-2000-u12",
    "jpeg-sv1-u12",
    "enhanced-jpeg-fragments-u12",
];

#[test]
fn truncation_anywhere_is_survived() {
    for name in FIXTURES {
        let files = fixture(name);
        for length in (0..files[0].len()).step_by(7) {
            let mut cut = files.clone();
            cut[0].truncate(length);
            survives(&cut);
        }
    }
}

#[test]
fn changed_bytes_are_survived() {
    let mut noise = Noise(0x9E37_79B9_7F4A_7C15);
    for name in FIXTURES {
        let files = fixture(name);
        for _ in 0..150 {
            let mut changed = files.clone();
            for _ in 0..1 + noise.below(4) {
                let file = noise.below(changed.len());
                let at = noise.below(changed[file].len());
                changed[file][at] = match noise.below(4) {
                    0 => 0xFF,
                    1 => 0,
                    _ => changed[file][at] ^ (1 << noise.below(8)),
                };
            }
            survives(&changed);
        }
    }
}

#[test]
fn a_changed_zip_is_survived() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/syntax/explicit-u12.zip");
    let zip = std::fs::read(path).unwrap();
    let mut noise = Noise(42);
    for _ in 0..300 {
        let mut changed = zip.clone();
        let at = noise.below(changed.len() - 4) + 4;
        changed[at] ^= 1 << noise.below(8);
        let source = Source::Memory(vec![("zip".into(), Arc::from(changed))]);
        if let Ok(scan) = scan(&source, &Limits::default()) {
            let _ = load(&scan, &scan.series()[0].series_uid, &|_| ());
        }
    }
}

/// Explicit VR Little Endian: tag, representation, length.
fn header(tag: [u16; 2], vr: &[u8; 2], length: u32) -> Vec<u8> {
    let mut bytes: Vec<u8> = tag.iter().flat_map(|t| t.to_le_bytes()).collect();
    bytes.extend(vr);
    if matches!(vr, b"SQ" | b"OW" | b"OB" | b"UN" | b"UT") {
        bytes.extend([0, 0]);
        bytes.extend(length.to_le_bytes());
    } else {
        bytes.extend((length as u16).to_le_bytes());
    }
    bytes
}

fn refusal_of(file: File) -> String {
    scan(&source(&[file]), &Limits::default()).unwrap_err().to_string()
}

#[test]
fn lengths_are_not_believed() {
    let prefix = [header([8, 0x60], b"CS", 2), b"CT".to_vec()].concat();
    // Four gigabytes of text, of private data, of sequences.
    for vr in [b"UT", b"UN", b"SQ", b"OB"] {
        let file = [prefix.clone(), header([9, 0x1010], vr, 0xFFFF_FFF0)].concat();
        let message = refusal_of(file);
        assert!(message.contains("cut short") || message.contains("limits"), "{message}");
    }
    // Sequences in sequences in sequences.
    let mut nested = prefix.clone();
    for _ in 0..10_000 {
        nested.extend(header([8, 0x1140], b"SQ", u32::MAX));
        nested.extend([0xFE, 0xFF, 0x00, 0xE0, 0xFF, 0xFF, 0xFF, 0xFF]);
    }
    assert!(refusal_of(nested).contains("limits"));
    // More empty elements than anyone needs.
    let many = Limits { max_elements: 1000, ..Limits::default() };
    let file = [prefix, header([9, 0x10], b"LO", 0).repeat(2000)].concat();
    assert!(scan(&source(&[file]), &many).unwrap_err().to_string().contains("limits"));
}

#[test]
fn sizes_are_compared_with_the_bytes_present() {
    let good = series();
    // Rows and Columns are the two words behind their headers; each becomes 4096, the limit.
    let enlarge = |file: &File| {
        let mut file = file.clone();
        for element in [0x10u16, 0x11] {
            let tag = header([0x28, element], b"US", 2);
            let at = file.windows(tag.len()).position(|w| w == tag).unwrap() + tag.len();
            file[at..at + 2].copy_from_slice(&4096u16.to_le_bytes());
        }
        file
    };
    let smaller = |file: &File| with(file, tags::ROWS, VR::US, PrimitiveValue::from(64u16));
    let message = refusal_of(enlarge(&good[0]));
    assert!(message.contains("cut short") || message.contains("damaged"), "{message}");
    // A compressed image says its size twice; both must agree.
    let packed: Vec<File> = fixture("jpeg-sv1-u12").iter().map(enlarge).collect();
    let scan = scan(&source(&packed), &Limits::default()).unwrap();
    let refusal = load(&scan, &scan.series()[0].series_uid, &|_| ()).unwrap_err();
    assert_eq!(refusal.to_string(), "the input is too large: the packing ratio of the images exceeds the limit of 200");
    // Within what is taken for granted, the two have to agree.
    let packed: Vec<File> = packed.iter().map(smaller).collect();
    let refusal = loaded(&packed).unwrap_err();
    assert_eq!(refusal.to_string(), "3 of 3 images cannot be decoded: the file is damaged");
}
