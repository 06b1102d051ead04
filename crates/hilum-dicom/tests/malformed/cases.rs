//! The malformed series: classes of damage times the ways to write an image.

use crate::object::{Element, Form, Object, PIXEL_DATA, UNDEFINED, fixture};

/// What must become of a series.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expect {
    /// Refused, with one of these in the reason.
    Refused(&'static [&'static str]),
    /// Read, voxel by voxel as the undamaged fixture.
    Right,
    /// Read with other voxels, and said so in a note with this code.
    Noted(&'static str),
    /// Either refused or read rightly.
    RefusedOrRight(&'static [&'static str]),
}
use Expect::{Noted, Refused, RefusedOrRight, Right};

/// A malformed series.
pub(crate) struct Case {
    pub(crate) name: String,
    /// The fixture whose voxels are the right ones.
    pub(crate) base: &'static str,
    pub(crate) files: Vec<Vec<u8>>,
    pub(crate) expect: Expect,
}

/// The bytes are not what the file says.
const BROKEN: &[&str] = &["cut short", "damaged", "limits", "not a DICOM file", "no images", "not say", "not read"];

const NATIVE: [&str; 4] = ["explicit-u12", "implicit-u12", "big-endian-u12", "deflated-u12"];
const PACKED: [&str; 4] = ["rle-u12", "jpeg-sv1-u12", "jpeg-ls-u12", "jpeg-2000-u12"];

pub(crate) const ROWS: u32 = 0x0028_0010;
pub(crate) const COLUMNS: u32 = 0x0028_0011;
const BITS_ALLOCATED: u32 = 0x0028_0100;
const BITS_STORED: u32 = 0x0028_0101;
const HIGH_BIT: u32 = 0x0028_0102;

pub(crate) fn objects(base: &str) -> Vec<Object> {
    fixture(base).iter().map(|file| Object::parse(file)).collect()
}

/// The same damage in every file of a series.
pub(crate) fn case(name: impl Into<String>, base: &'static str, expect: Expect, damage: impl Fn(&mut Object)) -> Case {
    bytes(name, base, expect, |object| {
        damage(object);
        object.write()
    })
}

/// As [`case`], where the damage makes the bytes of the file.
pub(crate) fn bytes(
    name: impl Into<String>,
    base: &'static str,
    expect: Expect,
    write: impl Fn(&mut Object) -> Vec<u8>,
) -> Case {
    let files = objects(base).iter_mut().map(write).collect();
    Case { name: format!("{base}: {}", name.into()), base, files, expect }
}

/// All of them. `long` adds what the short form leaves out of large classes.
pub(crate) fn all(long: bool) -> Vec<Case> {
    [
        cut_between_elements(long),
        lengths(long),
        sizes(),
        bits(),
        lying_syntaxes(),
        fragments(),
        frames(),
        nesting(),
        bombs(long),
        codestreams(long),
        numbers(),
        missing_and_doubled(),
        words(long),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn cut_between_elements(long: bool) -> Vec<Case> {
    let mut cases = Vec::new();
    for base in NATIVE.into_iter().chain(PACKED).chain(["enhanced-u12"]) {
        let count = objects(base)[0].elements.len();
        for (kept, within) in (0..count).flat_map(|n| [(n, 0), (n, 5), (n, 9)]) {
            // In the short form: every boundary of one syntax, of the others every fifth.
            if !long && (within != 0 || base != "explicit-u12") && (kept + within) % 5 != 0 {
                continue;
            }
            let cut = |object: &mut Object| {
                let elements: Vec<Vec<u8>> = object.elements.iter().map(|e| e.write(object.form)).collect();
                let end = elements[..kept].iter().map(Vec::len).sum::<usize>() + within;
                object.with_content(&elements.concat()[..end])
            };
            cases.push(bytes(format!("cut {within} bytes into element {kept}"), base, Refused(BROKEN), cut));
        }
        for share in [0.1, 0.5, 0.9, 0.99] {
            let cut = move |object: &mut Object| {
                let whole = object.content();
                let pixels = object.elements.last().unwrap().value.len();
                object.with_content(&whole[..whole.len() - ((1.0 - share) * pixels as f64).ceil() as usize])
            };
            // Nothing but the delimiter is missing at the last of an encapsulated image.
            let expect = if share > 0.9 { RefusedOrRight(BROKEN) } else { Refused(BROKEN) };
            cases.push(bytes(format!("cut after {share} of the pixels"), base, expect, cut));
        }
    }
    for length in [0, 1, 127, 128, 131, 132, 136, 140, 200, 260] {
        let cut = |object: &mut Object| object.write()[..length].to_vec();
        cases.push(bytes(format!("cut to {length} bytes"), "explicit-u12", Refused(BROKEN), cut));
    }
    cases
}

/// Reasons given where wrong lengths make other elements of what follows.
const SHIFTED: &[&str] = &[
    "cut short",
    "damaged",
    "limits",
    "no images",
    "not say",
    "Hounsfield",
    "not CT",
    "not read",
    "line",
    "one slice",
];

fn lengths(long: bool) -> Vec<Case> {
    let mut cases = Vec::new();
    for base in ["explicit-u12", "implicit-u12", "big-endian-u12", "jpeg-sv1-u12"] {
        let count = objects(base)[0].elements.len();
        for at in (0..count).filter(|n| long || base == "explicit-u12" || n % 4 == 0 || n + 1 == count) {
            for (what, length) in [
                ("odd", None),
                ("the largest", Some(u32::MAX - 1)),
                ("half of all numbers", Some(0x8000_0000)),
                ("undefined", Some(UNDEFINED)),
                ("zero", Some(0)),
                ("too long by two", None),
            ] {
                let change = |object: &mut Object| {
                    let element = &mut object.elements[at];
                    let length = match (what, length) {
                        ("odd", _) => element.value.len() as u32 ^ 1,
                        (_, Some(length)) => length,
                        _ => element.value.len() as u32 + 2,
                    };
                    element.declared = Some(length);
                };
                cases.push(case(format!("length of element {at} {what}"), base, RefusedOrRight(SHIFTED), change));
            }
        }
    }
    for (what, length) in [("too long", 0xFFFF_FFF0u32), ("too short", 4), ("zero", 0), ("odd", 151)] {
        let write = move |object: &mut Object| {
            let mut file = object.write();
            file[140..144].copy_from_slice(&length.to_le_bytes());
            file
        };
        // The group length is not needed, so it is not believed.
        cases.push(bytes(format!("meta group length {what}"), "explicit-u12", RefusedOrRight(BROKEN), write));
    }
    for (at, length) in (1..7).flat_map(|at| [(at, 0xFFF0), (at, 1), (at, 0)]) {
        let change = move |object: &mut Object| object.meta[at].declared = Some(length);
        cases.push(case(
            format!("length of meta element {at} is {length}"),
            "explicit-u12",
            RefusedOrRight(BROKEN),
            change,
        ));
    }
    cases
}

const WRONG_SIZE: &[&str] = &["cut short", "damaged", "limits", "not say", "cannot be decoded", "too large"];

fn sizes() -> Vec<Case> {
    let mut cases = Vec::new();
    for base in NATIVE.into_iter().chain(PACKED) {
        for tag in [ROWS, COLUMNS] {
            let right = if base.contains("2000") { [32, 36] } else { [12, 16] }[usize::from(tag == COLUMNS)];
            for number in [0, 1, right - 1, right + 1, 2 * right, right / 2, 4096, 65535] {
                let change = move |object: &mut Object| object.set_u16(tag, number);
                cases.push(case(format!("{tag:08X} is {number}"), base, Refused(WRONG_SIZE), change));
            }
        }
    }
    // A small file with a large image in it: the size alone decides, before anything is taken for it.
    for base in PACKED.into_iter().chain(["enhanced-rle-u12", "enhanced-jpeg-no-table-u12"]) {
        for (rows, columns) in [(4096, 4096), (4096, 1), (1, 4096), (65535, 65535), (2048, 2048)] {
            let change = move |object: &mut Object| {
                object.set_u16(ROWS, rows);
                object.set_u16(COLUMNS, columns);
            };
            cases.push(case(format!("{rows} rows of {columns}"), base, Refused(WRONG_SIZE), change));
        }
    }
    for (what, value) in [("UL", 16u64), ("UL overflowing", 0x1_0000_0010)] {
        let change = move |object: &mut Object| object.set(COLUMNS, b"UL", &(value as u32).to_le_bytes());
        cases.push(case(format!("Columns as {what}"), "explicit-u12", RefusedOrRight(WRONG_SIZE), change));
    }
    for (what, value) in [("65537 as UL", 0x0001_0010u32), ("the largest UL", u32::MAX), ("2^31 as UL", 0x8000_0010)] {
        for tag in [ROWS, COLUMNS] {
            let change = move |object: &mut Object| object.set(tag, b"UL", &value.to_le_bytes());
            cases.push(case(format!("{tag:08X} is {what}"), "explicit-u12", Refused(WRONG_SIZE), change));
        }
    }
    for (what, value) in [("text", b"16".to_vec()), ("one byte", vec![16]), ("nothing", vec![])] {
        let change = move |object: &mut Object| {
            let declared = Some(value.len() as u32);
            *object.element(COLUMNS) = Element { tag: COLUMNS, vr: *b"US", value: value.clone(), declared };
        };
        cases.push(case(format!("Columns is {what}"), "explicit-u12", Refused(SHIFTED), change));
    }
    cases
}

fn bits() -> Vec<Case> {
    let mut cases = Vec::new();
    const WHY: &[&str] = &["Hounsfield", "damaged", "cut short", "cannot be decoded", "more bits"];
    for base in ["explicit-u12", "big-endian-u12", "rle-u12", "jpeg-sv1-u12", "jpeg-ls-u12", "jpeg-2000-u12"] {
        for number in [0, 1, 7, 8, 12, 24, 32, 64, 65535] {
            let change = move |object: &mut Object| object.set_u16(BITS_ALLOCATED, number);
            cases.push(case(format!("Bits Allocated {number}"), base, Refused(WHY), change));
        }
        for number in [0, 1, 8, 11, 17, 65535] {
            let change = move |object: &mut Object| {
                object.set_u16(BITS_STORED, number);
                object.set_u16(HIGH_BIT, number.wrapping_sub(1));
            };
            // Bits beyond those stored mean nothing (PS3.5 8.1.1); a codestream that counts them contradicts the data set.
            let masked = number == 11 && ["explicit-u12", "big-endian-u12", "rle-u12"].contains(&base);
            let expect = if masked { Noted("unused-bits-set") } else { Refused(WHY) };
            cases.push(case(format!("Bits Stored {number}"), base, expect, change));
        }
        for number in [0, 10, 16, 65535] {
            let change = move |object: &mut Object| object.set_u16(HIGH_BIT, number);
            cases.push(case(format!("High Bit {number}"), base, Refused(WHY), change));
        }
        for number in [0, 2, 3, 4, 65535] {
            let change = move |object: &mut Object| object.set_u16(0x0028_0002, number);
            cases.push(case(format!("Samples per Pixel {number}"), base, Refused(WHY), change));
        }
        for number in [2, 255, 65535] {
            let change = move |object: &mut Object| object.set_u16(0x0028_0103, number);
            cases.push(case(format!("Pixel Representation {number}"), base, Refused(WHY), change));
        }
        for text in ["RGB", "PALETTE COLOR", "YBR_FULL", "MONOCHROME9"] {
            let change = move |object: &mut Object| object.set(0x0028_0004, b"CS", text.as_bytes());
            cases.push(case(format!("Photometric Interpretation {text}"), base, Refused(WHY), change));
        }
    }
    cases
}

/// Transfer syntaxes that others write or that do not exist.
const UNREAD: [&str; 9] = [
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.51",
    "1.2.840.10008.1.2.4.100",
    "1.2.840.10008.1.2.4.201",
    "1.2.840.113619.5.2",
    "1.2.840.10008.1.2.999",
    "1.2.840.10008.1.2.1\u{0}1",
    "../../../etc/passwd",
    "",
];

fn lying_syntaxes() -> Vec<Case> {
    const WHY: &[&str] = &[
        "cut short",
        "damaged",
        "limits",
        "not a DICOM file",
        "not read",
        "no images",
        "cannot be decoded",
        "not say",
    ];
    let read = NATIVE.into_iter().chain(PACKED).map(|base| objects(base)[0].syntax());
    let others =
        ["1.2.840.10008.1.2.1.98", "1.2.840.10008.1.2.8.1", "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.91"];
    let claims: Vec<String> = read.chain(others.map(str::to_owned)).chain(UNREAD.map(str::to_owned)).collect();
    let mut cases = Vec::new();
    for base in NATIVE.into_iter().chain(PACKED) {
        let true_one = objects(base)[0].syntax();
        for claim in claims.iter().filter(|claim| **claim != true_one) {
            let write = |object: &mut Object| {
                let content = object.with_content(&object.content())[object.head().len()..].to_vec();
                object.claim(claim);
                [object.head(), content].concat()
            };
            cases.push(bytes(format!("claims {claim:?}"), base, RefusedOrRight(WHY), write));
        }
    }
    cases
}

fn fragments() -> Vec<Case> {
    const WHY: &[&str] = &["cut short", "damaged", "cannot be decoded", "limits"];
    let mut cases = Vec::new();
    for base in PACKED {
        let mut add = |name: &str, expect: Expect, change: &dyn Fn(Vec<Vec<u8>>) -> Vec<Vec<u8>>| {
            cases.push(case(name, base, expect, |object| {
                let fragments = change(object.fragments());
                object.encapsulate(&fragments);
            }));
        };
        add("no fragment", Refused(WHY), &|f| vec![f[0].clone()]);
        add("neither table nor fragment", Refused(WHY), &|_| vec![]);
        add("an empty fragment", Refused(WHY), &|f| vec![f[0].clone(), vec![]]);
        add("no table", RefusedOrRight(WHY), &|f| f[1..].to_vec());
        add("a table that points far away", Right, &|f| [vec![vec![0xF0; 4]], f[1..].to_vec()].concat());
        add("a table of three bytes", Right, &|f| [vec![vec![1; 3]], f[1..].to_vec()].concat());
        add("an empty fragment behind", RefusedOrRight(WHY), &|f| [f, vec![vec![]]].concat());
        add("an empty fragment before", RefusedOrRight(WHY), &|f| vec![f[0].clone(), vec![], f[1].clone()]);
        add("two halves", Right, &|f| {
            let (a, b) = f[1].split_at(f[1].len() / 4 * 2);
            vec![f[0].clone(), a.to_vec(), b.to_vec()]
        });
        add("two halves in wrong order", Refused(WHY), &|f| {
            let (a, b) = f[1].split_at(f[1].len() / 4 * 2);
            vec![f[0].clone(), b.to_vec(), a.to_vec()]
        });
        add("the image twice", RefusedOrRight(WHY), &|f| vec![f[0].clone(), f[1].clone(), f[1].clone()]);
        add("10 000 empty fragments", RefusedOrRight(WHY), &|f| [f, vec![vec![]; 10_000]].concat());
        for (name, expect, tail) in [
            ("no delimiter", RefusedOrRight(WHY), vec![]),
            ("the delimiter of an item", RefusedOrRight(WHY), vec![0xFE, 0xFF, 0x0D, 0xE0, 0, 0, 0, 0]),
            ("an element for a delimiter", RefusedOrRight(WHY), vec![0x08, 0, 0x60, 0, b'C', b'S', 0, 0]),
            ("half a delimiter", RefusedOrRight(WHY), vec![0xFE, 0xFF, 0xDD]),
            ("a fragment that ends nowhere", RefusedOrRight(WHY), vec![0xFE, 0xFF, 0, 0xE0, 0xF0, 0xFF, 0xFF, 0xFF]),
            ("a fragment of undefined length", RefusedOrRight(WHY), vec![0xFE, 0xFF, 0, 0xE0, 0xFF, 0xFF, 0xFF, 0xFF]),
            ("zeros for a delimiter", RefusedOrRight(WHY), vec![0; 8]),
        ] {
            cases.push(case(name, base, expect, |object| {
                let whole = object.value(PIXEL_DATA);
                let value = [&whole[..whole.len() - 8], &tail].concat();
                object.raw_pixels(value);
            }));
        }
        for (name, length) in
            [("longer than the file", 0x7FFF_FFFFu32), ("of undefined length", UNDEFINED), ("odd", 33)]
        {
            cases.push(case(format!("the fragment is {name}"), base, Refused(WHY), |object| {
                let mut value = object.value(PIXEL_DATA).to_vec();
                let at = 8 + object.fragments()[0].len() + 4;
                value[at..at + 4].copy_from_slice(&length.to_le_bytes());
                object.raw_pixels(value);
            }));
        }
        cases.push(case("encapsulated pixels of defined length", base, RefusedOrRight(WHY), |object| {
            object.element(PIXEL_DATA).declared = None;
        }));
        cases.push(case("bare codestream of defined length", base, RefusedOrRight(WHY), |object| {
            let fragment = object.fragments().remove(1);
            object.set(PIXEL_DATA, b"OB", &fragment);
        }));
    }
    cases
}

/// Enhanced CT: frames that are not there, and frames said to lie elsewhere.
fn frames() -> Vec<Case> {
    const WHY: &[&str] = &["cut short", "damaged", "cannot be decoded", "not say", "limits", "one slice"];
    const FRAMES: u32 = 0x0028_0008;
    let mut cases = Vec::new();
    for base in ["enhanced-u12", "enhanced-rle-u12", "enhanced-jpeg-fragments-u12", "enhanced-jpeg-no-table-u12"] {
        for text in ["0", "1", "2", "4", "-3", "2147483647", "1e9", "9999999999999999", "NaN", "three", "", "3\\3"] {
            let change = move |object: &mut Object| object.set(FRAMES, b"IS", text.as_bytes());
            let expect = if text == "3\\3" { RefusedOrRight(WHY) } else { Refused(WHY) };
            cases.push(case(format!("Number of Frames {text:?}"), base, expect, change));
        }
        for tag in [0x5200_9229, 0x5200_9230, FRAMES, ROWS] {
            let change = move |object: &mut Object| object.remove(tag);
            cases.push(case(format!("without {tag:08X}"), base, Refused(WHY), change));
        }
    }
    for base in ["enhanced-rle-u12", "enhanced-jpeg-fragments-u12", "enhanced-jpeg-no-table-u12"] {
        let mut add = |name: &str, expect: Expect, change: &dyn Fn(Vec<Vec<u8>>) -> Vec<Vec<u8>>| {
            cases.push(case(name, base, expect, |object| {
                let fragments = change(object.fragments());
                object.encapsulate(&fragments);
            }));
        };
        // Two of three slices are left, and it is said.
        let expect = Noted("damaged-image");
        add("the last fragment is missing", expect, &|mut f| {
            f.pop();
            f
        });
        // Without a codestream that says where it ends, the last frame is two.
        let expect = if base == "enhanced-rle-u12" { Noted("damaged-image") } else { RefusedOrRight(WHY) };
        add("one fragment more", expect, &|f| [f.clone(), vec![f[1].clone()]].concat());
        add("every fragment empty", Refused(WHY), &|f| f.iter().map(|_| vec![]).collect());
        add("offsets that go back", RefusedOrRight(WHY), &|f| {
            let table = [64u32, 32, 0].iter().flat_map(|o| o.to_le_bytes()).collect();
            [vec![table], f[1..].to_vec()].concat()
        });
        add("offsets beyond the file", RefusedOrRight(WHY), &|f| {
            let table = [0u32, 0xFFFF_FFF0, u32::MAX].iter().flat_map(|o| o.to_le_bytes()).collect();
            [vec![table], f[1..].to_vec()].concat()
        });
        add("all offsets zero", RefusedOrRight(WHY), &|f| [vec![vec![0; 12]], f[1..].to_vec()].concat());
        add("a table for a million frames", RefusedOrRight(WHY), &|f| {
            [vec![vec![0; 4_000_000]], f[1..].to_vec()].concat()
        });
    }
    cases
}

const NESTED: u32 = 0x0008_1140;

/// Sequences in sequences, opened `depth` times and closed `closed` times.
fn nested(form: Form, depth: usize, closed: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..depth {
        out.extend(form.header(NESTED, *b"SQ", UNDEFINED));
        out.extend(form.item(0xFFFE_E000, UNDEFINED));
    }
    for _ in 0..closed {
        out.extend(form.item(0xFFFE_E00D, 0));
        out.extend(form.item(0xFFFE_E0DD, 0));
    }
    out
}

fn nesting() -> Vec<Case> {
    const WHY: &[&str] = &["cut short", "damaged", "limits"];
    let mut cases = Vec::new();
    for base in ["explicit-u12", "implicit-u12", "big-endian-u12", "jpeg-ls-u12"] {
        let mut add = |name: &str, expect: Expect, insert: &dyn Fn(Form) -> Vec<u8>| {
            cases.push(bytes(name, base, expect, |object| {
                let place = object.elements.iter().position(|e| e.tag > NESTED).unwrap();
                let parts: Vec<Vec<u8>> = object.elements.iter().map(|e| e.write(object.form)).collect();
                let content = [parts[..place].concat(), insert(object.form), parts[place..].concat()].concat();
                object.with_content(&content)
            }));
        };
        add("10 000 sequences deep", Refused(WHY), &|f| nested(f, 10_000, 10_000));
        add("1 000 000 sequences deep, unclosed", Refused(WHY), &|f| nested(f, 100_000, 0));
        add("17 sequences deep", Refused(WHY), &|f| nested(f, 17, 17));
        add("14 sequences deep", Right, &|f| nested(f, 14, 14));
        add("a sequence that is not closed", Refused(WHY), &|f| nested(f, 1, 0));
        add("a sequence closed twice", Refused(WHY), &|f| nested(f, 1, 2));
        add("a sequence with an element for an item", Refused(WHY), &|f| {
            [f.header(NESTED, *b"SQ", UNDEFINED), f.header(0x0008_0060, *b"CS", 0), f.item(0xFFFE_E0DD, 0)].concat()
        });
        add("a delimiter alone", Refused(WHY), &|f| f.item(0xFFFE_E0DD, 0));
        add("an item alone", Refused(WHY), &|f| f.item(0xFFFE_E000, 0));
        add("an item longer than the file", Refused(WHY), &|f| {
            [f.header(NESTED, *b"SQ", UNDEFINED), f.item(0xFFFE_E000, 0x7FFF_FFF0)].concat()
        });
        // What a sequence of known length holds is not looked at unless it is needed.
        add("a sequence with garbage inside", RefusedOrRight(WHY), &|f| {
            [f.header(NESTED, *b"SQ", 6), vec![0xAA; 6]].concat()
        });
        add("100 000 empty items", RefusedOrRight(WHY), &|f| {
            let items = f.item(0xFFFE_E000, 0).repeat(100_000);
            [f.header(NESTED, *b"SQ", UNDEFINED), items, f.item(0xFFFE_E0DD, 0)].concat()
        });
        add("1 100 000 empty elements", Refused(WHY), &|f| f.header(0x0009_0010, *b"LO", 0).repeat(1_100_000));
        add("an unknown value of undefined length", RefusedOrRight(WHY), &|f| {
            let inner = Form { explicit: false, big_endian: f.big_endian };
            [f.header(NESTED, *b"UN", UNDEFINED), inner.item(0xFFFE_E000, 0), f.item(0xFFFE_E0DD, 0)].concat()
        });
    }
    for base in ["enhanced-u12", "enhanced-rle-u12"] {
        for (what, value) in [("empty", vec![]), ("zeros", vec![0; 64]), ("garbage", vec![0xAB; 64])] {
            for tag in [0x5200_9229, 0x5200_9230] {
                let change = |object: &mut Object| object.set(tag, b"SQ", &value);
                let why = &["cut short", "damaged", "limits", "not say"];
                cases.push(case(format!("functional groups {tag:08X} {what}"), base, Refused(why), change));
            }
        }
    }
    cases
}

fn bombs(long: bool) -> Vec<Case> {
    let zeros = |megabytes: usize| vec![0u8; megabytes << 20];
    let bomb = |megabytes: usize| {
        use std::io::Write;
        let mut packed = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        packed.write_all(&zeros(megabytes)).unwrap();
        packed.finish().unwrap()
    };
    let mut cases = Vec::new();
    for megabytes in if long { [8, 400] } else { [8, 40] } {
        let packed = bomb(megabytes);
        let write = |object: &mut Object| [object.head(), packed.clone()].concat();
        cases.push(bytes(format!("{megabytes} MB of zeros"), "deflated-u12", Refused(BROKEN), write));
        let behind = |object: &mut Object| {
            let content = [object.content(), zeros(megabytes)].concat();
            object.with_content(&content)
        };
        cases.push(bytes(format!("{megabytes} MB of zeros behind"), "deflated-u12", RefusedOrRight(BROKEN), behind));
        let text = |object: &mut Object| {
            object.set(0x0008_103E, b"UT", &vec![b'a'; megabytes << 20]);
            object.write()
        };
        cases.push(bytes(format!("{megabytes} MB of text"), "deflated-u12", RefusedOrRight(BROKEN), text));
        let frame = |object: &mut Object| {
            object.claim("1.2.840.10008.1.2.8.1");
            object.encapsulate(&[vec![], packed.clone()]);
            object.write()
        };
        let why = &["cannot be decoded"];
        cases.push(bytes(format!("a deflated frame of {megabytes} MB"), "explicit-u12", Refused(why), frame));
    }
    for share in [0.0, 0.3, 0.7, 0.95] {
        let write = move |object: &mut Object| {
            let file = object.write();
            let head = object.head().len();
            file[..head + (share * (file.len() - head) as f64) as usize].to_vec()
        };
        cases.push(bytes(format!("deflated, cut at {share}"), "deflated-u12", Refused(BROKEN), write));
    }
    let garbage = |object: &mut Object| [object.head(), vec![0xFF; 500]].concat();
    cases.push(bytes("no deflate stream", "deflated-u12", Refused(BROKEN), garbage));
    cases
}

/// Codestreams that are cut, or whose header says another size than the data set.
fn codestreams(long: bool) -> Vec<Case> {
    const WHY: &[&str] = &["cut short", "damaged", "cannot be decoded"];
    let mut cases = Vec::new();
    for base in PACKED {
        let mut add = |name: String, expect: Expect, change: &dyn Fn(&mut Vec<u8>)| {
            cases.push(case(name, base, expect, |object| {
                let mut fragments = object.fragments();
                change(&mut fragments[1]);
                if fragments[1].len() % 2 == 1 {
                    fragments[1].push(0);
                }
                object.encapsulate(&fragments);
            }));
        };
        let steps = if long { 50 } else { 12 };
        for step in 1..steps {
            add(format!("codestream cut at {step}/{steps}"), Refused(WHY), &|stream| {
                stream.truncate(stream.len() * step / steps);
            });
        }
        for gone in [2, 4, 8] {
            // Without the end marker alone the pixels may all be there.
            add(format!("codestream without its last {gone} bytes"), RefusedOrRight(WHY), &|stream| {
                stream.truncate(stream.len() - gone);
            });
        }
        add("codestream of zeros".into(), Refused(WHY), &|stream| stream.fill(0));
        add("codestream of ones".into(), Refused(WHY), &|stream| stream.fill(0xFF));
        add("another program's file".into(), Refused(WHY), &|stream| stream[..4].copy_from_slice(b"MZ\x90\0"));
        // Where each header keeps height, width, precision and components.
        let frame_header = |stream: &[u8], marker: u8| stream.windows(2).position(|w| w == [0xFF, marker]).unwrap();
        let fields: &[(&str, usize, usize)] = match base {
            "rle-u12" => &[("segments", 0, 4), ("first offset", 4, 4), ("second offset", 8, 4)],
            "jpeg-2000-u12" => &[
                ("width", 8, 4),
                ("height", 12, 4),
                ("x offset", 16, 4),
                ("tile width", 24, 4),
                ("tile height", 28, 4),
                ("components", 40, 2),
                ("precision", 42, 1),
                ("horizontal separation", 43, 1),
            ],
            _ => &[("precision", 4, 1), ("height", 5, 2), ("width", 7, 2), ("components", 9, 1)],
        };
        for &(field, at, count) in fields {
            for value in [0u8, 1, 2, 0x7F, 0xFF] {
                add(format!("codestream says {field} of {value:#x} bytes"), RefusedOrRight(WHY), &|stream| {
                    let start = match base {
                        "jpeg-sv1-u12" => frame_header(stream, 0xC3),
                        "jpeg-ls-u12" => frame_header(stream, 0xF7),
                        _ => 0,
                    };
                    stream[start + at..start + at + count].fill(value);
                });
            }
        }
    }
    cases
}

fn numbers() -> Vec<Case> {
    const WHY: &[&str] =
        &["not say", "Hounsfield", "one slice", "line", "uneven", "missing", "mixes", "once", "damaged"];
    const TEXTS: [&str; 17] = [
        "",
        " ",
        "abc",
        "NaN",
        "inf",
        "-inf",
        "1e400",
        "0",
        "-1",
        "1,5",
        "0x10",
        "1 2",
        "1\\",
        "\\",
        "1e30",
        "1\\2\\3\\4\\5\\6\\7",
        "1.0000000000000000000000000000000000000000000000000000000000000000000000000",
    ];
    // Position, orientation, pixel spacing, intercept, slope.
    let numbers: [(u32, usize); 5] =
        [(0x0020_0032, 3), (0x0020_0037, 6), (0x0028_0030, 2), (0x0028_1052, 1), (0x0028_1053, 1)];
    let mut cases = Vec::new();
    for (tag, count) in numbers {
        for text in TEXTS {
            let joined = if text.contains('\\') || text.len() < 2 && count == 1 {
                text.to_owned()
            } else {
                vec![text; count].join("\\")
            };
            if text.starts_with("1.000") && [0x0028_0030, 0x0028_1053].contains(&tag) {
                continue; // longer than a DS may be, but a pixel spacing and a slope like others
            }
            let change = |object: &mut Object| object.set(tag, b"DS", joined.as_bytes());
            cases.push(case(format!("{tag:08X} is {text:?}"), "explicit-u12", Refused(WHY), change));
        }
    }
    for text in TEXTS {
        let change = |object: &mut Object| object.set(0x0018_0050, b"DS", text.as_bytes());
        cases.push(case(format!("Slice Thickness is {text:?}"), "explicit-u12", Right, change));
        let change = |object: &mut Object| object.set(0x0020_0013, b"IS", text.as_bytes());
        cases.push(case(format!("Instance Number is {text:?}"), "explicit-u12", Right, change));
    }
    for (what, text) in [
        ("not of unit length", "2\\0\\0\\0\\1\\0"),
        ("not at right angles", "1\\0\\0\\0.7071\\0.7071\\0"),
        ("twice the same direction", "1\\0\\0\\1\\0\\0"),
        ("zero", "0\\0\\0\\0\\0\\0"),
        ("huge", "1e300\\0\\0\\0\\1e300\\0"),
    ] {
        let change = |object: &mut Object| object.set(0x0020_0037, b"DS", text.as_bytes());
        cases.push(case(format!("orientation {what}"), "explicit-u12", Refused(WHY), change));
    }
    for (what, slope, intercept) in [
        ("slope negative", "-1", "-1024"),
        ("slope tiny", "1e-300", "-1024"),
        ("slope huge", "1e300", "-1024"),
        ("slope of thousands", "5000", "-1024"),
        ("intercept huge", "1", "1e300"),
        ("intercept of a million", "1", "-1000000"),
    ] {
        let change = |object: &mut Object| {
            object.set(0x0028_1053, b"DS", slope.as_bytes());
            object.set(0x0028_1052, b"DS", intercept.as_bytes());
        };
        cases.push(case(what, "explicit-u12", Refused(WHY), change));
    }
    cases
}

fn missing_and_doubled() -> Vec<Case> {
    const WHY: &[&str] = &["not say", "Hounsfield", "damaged", "cut short", "no images", "not CT", "cannot be decoded"];
    let optional =
        [0x0008_0008, 0x0010_0010, 0x0010_0020, 0x0018_0050, 0x0020_0013, 0x0020_0052, 0x0028_0002, 0x0028_0004];
    let mut cases = Vec::new();
    for base in ["explicit-u12", "implicit-u12", "jpeg-ls-u12"] {
        for tag in objects(base)[0].elements.iter().map(|e| e.tag).collect::<Vec<_>>() {
            let expect = match tag {
                _ if optional.contains(&tag) => Right,
                // High Bit and Pixel Representation have one sensible value here; whether it is taken is the reader's choice.
                0x0028_0102 | 0x0028_0103 => RefusedOrRight(WHY),
                _ => Refused(WHY),
            };
            cases.push(case(format!("without {tag:08X}"), base, expect, |object| object.remove(tag)));
        }
        // The same tag again with another value: which one counts is nowhere said.
        for (tag, vr, value) in [
            (ROWS, b"US", vec![6u8, 0]),
            (COLUMNS, b"US", vec![8, 0]),
            (BITS_STORED, b"US", vec![16, 0]),
            (0x0020_0032, b"DS", b"1\\2\\3 ".to_vec()),
            (0x0028_0030, b"DS", b"7\\6 ".to_vec()),
            (0x0028_1053, b"DS", b"2 ".to_vec()),
            (0x0020_000E, b"UI", b"1.2\0".to_vec()),
        ] {
            for behind in [0, 1] {
                cases.push(case(format!("{tag:08X} twice, the wrong one {behind}"), base, Refused(WHY), |object| {
                    let at = object.elements.iter().position(|e| e.tag == tag).unwrap();
                    object.elements.insert(at + behind, Element { tag, vr: *vr, value: value.clone(), declared: None });
                }));
            }
        }
        cases.push(case("every element twice, the same", base, RefusedOrRight(WHY), |object| {
            let last = object.elements.len() - 1;
            object.elements = object.elements[..last]
                .iter()
                .flat_map(|e| [e.clone(), e.clone()])
                .chain(object.elements[last..].iter().cloned())
                .collect();
        }));
        cases.push(case("elements in reverse order", base, RefusedOrRight(WHY), |object| {
            let last = object.elements.len() - 1;
            object.elements[..last].reverse();
        }));
        cases.push(case("the pixels first", base, Refused(WHY), |object| object.elements.reverse()));
        cases.push(case("no representation that exists", base, RefusedOrRight(WHY), |object| {
            object.elements[3].vr = *b"ZZ";
        }));
    }
    cases
}

/// Text, names, preambles: nothing of it touches the pixels.
fn words(long: bool) -> Vec<Case> {
    const WHY: &[&str] = &["not say", "limits", "damaged", "not CT"];
    let mut cases = Vec::new();
    for set in [
        "ISO_IR 9999",
        "KLINGON",
        "ISO 2022 IR 87\\",
        "\\\\\\\\",
        "GB18030\\GBK\\UTF-7",
        "\0\0",
        "ISO_IR 192\\ISO 2022 IR 13",
    ] {
        for name in [&b"\xFF\xFE\x00\xD8"[..], b"\x1B\x24\x42\x1B\x28", b"\x1B\x1B\x1B\x1B", b"\xC3"] {
            cases.push(case(format!("character set {set:?}, name {name:02X?}"), "explicit-u12", Right, |object| {
                object.set(0x0008_0005, b"CS", set.as_bytes());
                object.set(0x0010_0010, b"PN", name);
                object.set(0x0008_103E, b"LO", name);
            }));
        }
    }
    for (what, preamble) in
        [("MZ", &b"MZ\x90\0"[..]), ("ELF", b"\x7FELF"), ("TIFF", b"II*\0"), ("script", b"#!/bin/sh\n")]
    {
        cases.push(case(format!("preamble of {what}"), "explicit-u12", Right, |object| {
            object.preamble[..preamble.len()].copy_from_slice(preamble);
        }));
    }
    for tag in [0x0008_0018, 0x0020_000D, 0x0020_000E] {
        for uid in [
            "../../etc/passwd",
            "/etc/passwd",
            "C:\\Windows\\x",
            "..\\..\\x",
            "1.2/3",
            "..",
            ".",
            "1.2;rm -rf",
            "$(id)",
            "1.2\n3",
            "",
            "1.2\u{0}../x",
        ] {
            // A backslash separates values, of which the first may be a good one.
            cases.push(case(format!("UID {tag:08X} {uid:?}"), "explicit-u12", Refused(WHY), |object| {
                object.set(tag, b"UI", uid.as_bytes());
            }));
        }
        let long = "1.".repeat(40);
        cases.push(case(format!("UID {tag:08X} of 80 bytes"), "explicit-u12", Refused(WHY), |object| {
            object.set(tag, b"UI", long.as_bytes());
        }));
    }
    // Beyond 64 MB an element is too long, whatever it is.
    for (base, megabytes) in [("implicit-u12", 3), ("implicit-u12", 80)].into_iter().take(1 + usize::from(long)) {
        for tag in [0x0008_103E, 0x0008_0070, 0x0010_0010] {
            cases.push(case(format!("{megabytes} MB of text in {tag:08X}"), base, RefusedOrRight(WHY), |object| {
                object.set(tag, b"LO", &vec![b'x'; megabytes << 20]);
            }));
        }
    }
    for modality in ["", "MR", "../CT", "CT\\MR", "NAME^OF^PATIENT"] {
        cases.push(case(format!("Modality {modality:?}"), "explicit-u12", Refused(WHY), |object| {
            object.set(0x0008_0060, b"CS", modality.as_bytes());
        }));
    }
    cases
}
