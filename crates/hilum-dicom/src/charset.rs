//! Text of every character set that DICOM names (PS3.3 C.12.1.1.2), with code extensions (PS3.5 6.1.2.5).
//!
//! Objects are written in UTF-8 (`ISO_IR 192`) alone; this module is for what others wrote. dicom-rs reads the first
//! value of Specific Character Set only, so a Korean or Japanese name after an escape sequence would come out as bytes.

use encoding_rs::Encoding;

/// The value of Specific Character Set (0008,0005) when we write.
pub(crate) const WRITTEN: &str = "ISO_IR 192";

/// How text of one data set is to be read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Charset {
    /// The whole text is in one encoding without escape sequences.
    whole: Option<&'static Encoding>,
    /// What is invoked before any escape sequence.
    initial: State,
}

/// The sets invoked for bytes below and above 0x80 (G0 and G1 of ISO 2022).
#[derive(Clone, Copy, Debug, Default)]
struct State {
    g0: G0,
    g1: G1,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum G0 {
    #[default]
    Ascii,
    /// JIS X 0208, two bytes.
    Jis0208,
    /// JIS X 0212, two bytes.
    Jis0212,
}

#[derive(Clone, Copy, Debug, Default)]
enum G1 {
    /// Nothing is announced: UTF-8 where it is valid, else Latin-1, as unlabelled files mostly are.
    #[default]
    Unannounced,
    /// Half-width katakana of JIS X 0201.
    Katakana,
    /// One or two bytes of an encoding whose lower half is ASCII.
    Encoded(&'static Encoding),
}

/// A set by its number in the ISO register (ISO-IR), as it is before any escape sequence.
fn registered(number: &str) -> Option<State> {
    use encoding_rs::{
        EUC_KR, GBK, ISO_8859_2, ISO_8859_3, ISO_8859_4, ISO_8859_5, ISO_8859_6, ISO_8859_7, ISO_8859_8, ISO_8859_15,
        WINDOWS_874, WINDOWS_1252, WINDOWS_1254,
    };
    let g1 = match number {
        "6" => G1::Unannounced,
        "13" => G1::Katakana,
        "58" => G1::Encoded(GBK),
        // The windows pages add only what DICOM forbids (0x80 to 0x9F) to Latin-1, Latin-5 and TIS 620.
        "100" => G1::Encoded(WINDOWS_1252),
        "101" => G1::Encoded(ISO_8859_2),
        "109" => G1::Encoded(ISO_8859_3),
        "110" => G1::Encoded(ISO_8859_4),
        "126" => G1::Encoded(ISO_8859_7),
        "127" => G1::Encoded(ISO_8859_6),
        "138" => G1::Encoded(ISO_8859_8),
        "144" => G1::Encoded(ISO_8859_5),
        "148" => G1::Encoded(WINDOWS_1254),
        "149" => G1::Encoded(EUC_KR),
        "166" => G1::Encoded(WINDOWS_874),
        "203" => G1::Encoded(ISO_8859_15),
        "87" | "159" => G1::Unannounced,
        _ => return None,
    };
    // Alone and without an escape sequence, JIS X 0208 and 0212 start as ASCII all the same (PS3.3 C.12.1.1.2).
    Some(State { g0: G0::Ascii, g1 })
}

impl Charset {
    /// From the value of Specific Character Set, backslashes between several.
    pub(crate) fn of(value: &[u8]) -> Self {
        let value = String::from_utf8_lossy(value);
        let mut terms = value.split('\\').map(|t| t.trim_matches(|c: char| c.is_whitespace() || c == '\0'));
        let first = terms.next().unwrap_or_default();
        let whole = match first {
            "ISO_IR 192" | "ISO_IR_192" | "UTF-8" => Some(encoding_rs::UTF_8),
            "GB18030" => Some(encoding_rs::GB18030),
            "GBK" | "GB2312" => Some(encoding_rs::GBK),
            // A superset that some consoles really use.
            "ISO_IR 13" | "ISO_IR_13" if terms.next().is_none() => Some(encoding_rs::SHIFT_JIS),
            _ => None,
        };
        let number = ["ISO 2022 IR ", "ISO_IR ", "ISO_IR_"].iter().find_map(|p| first.strip_prefix(p));
        Self { whole, initial: number.and_then(registered).unwrap_or_default() }
    }

    /// The text as Unicode; bytes that mean nothing become U+FFFD.
    pub(crate) fn decode(&self, bytes: &[u8]) -> String {
        if let Some(encoding) = self.whole {
            return encoding.decode_without_bom_handling(bytes).0.into_owned();
        }
        let mut text = String::with_capacity(bytes.len());
        let mut state = self.initial;
        let mut at = 0;
        while at < bytes.len() {
            if bytes[at] == ESCAPE {
                match escape(&bytes[at + 1..], &mut state) {
                    Some(length) => at += 1 + length,
                    None => {
                        text.push(char::REPLACEMENT_CHARACTER);
                        at += 1;
                    }
                }
                continue;
            }
            let end = bytes[at..].iter().position(|b| *b == ESCAPE).map_or(bytes.len(), |n| at + n);
            let run = run_length(&bytes[at..end], state);
            decode_run(&bytes[at..at + run], state, &mut text);
            at += run;
            // Line ends, and in names the delimiters, call the initial sets back (PS3.5 6.1.2.5.3).
            let last = bytes[at - 1];
            if last < 0x80 && state.g0 == G0::Ascii && RESETS.contains(&last) || CONTROL_RESETS.contains(&last) {
                state = self.initial;
            }
        }
        text
    }
}

const ESCAPE: u8 = 0x1B;
const CONTROL_RESETS: &[u8] = b"\t\n\x0C\r";
const RESETS: &[u8] = b"\\^=";

/// Carries out the escape sequence after the escape character; its length, or `None` if it is unknown.
fn escape(rest: &[u8], state: &mut State) -> Option<usize> {
    let latin = |number| registered(number).map(|s| s.g1);
    let (length, g0, g1) = match rest {
        [b'(', b'B' | b'J', ..] => (2, Some(G0::Ascii), None),
        [b'$', b'B' | b'@', ..] => (2, Some(G0::Jis0208), None),
        [b'$', b'(', b'D', ..] => (3, Some(G0::Jis0212), None),
        [b'$', b')', b'C', ..] => (3, None, latin("149")),
        [b'$', b')', b'A', ..] => (3, None, latin("58")),
        [b')', b'I', ..] => (2, None, Some(G1::Katakana)),
        [b'-', set, ..] => {
            let number = match set {
                b'A' => "100",
                b'B' => "101",
                b'C' => "109",
                b'D' => "110",
                b'F' => "126",
                b'G' => "127",
                b'H' => "138",
                b'L' => "144",
                b'M' => "148",
                b'T' => "166",
                b'b' => "203",
                _ => return None,
            };
            (2, None, latin(number))
        }
        _ => return None,
    };
    state.g0 = g0.unwrap_or(state.g0);
    state.g1 = g1.unwrap_or(state.g1);
    Some(length)
}

/// How many of `bytes` (one at least, no escape among them) are read in one state: up to and with the first that resets it.
fn run_length(bytes: &[u8], state: State) -> usize {
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        if CONTROL_RESETS.contains(&byte) || state.g0 == G0::Ascii && RESETS.contains(&byte) {
            return at + 1;
        }
        // The second byte of a pair may look like a delimiter.
        let pair = match (byte, state) {
            (0x21..=0x7E, State { g0: G0::Jis0208 | G0::Jis0212, .. }) => true,
            (0x80.., State { g1: G1::Encoded(encoding), .. }) => !encoding.is_single_byte(),
            _ => false,
        };
        at += if pair { 2 } else { 1 };
    }
    bytes.len()
}

fn decode_run(bytes: &[u8], state: State, text: &mut String) {
    if state.g0 != G0::Ascii {
        // EUC-JP holds both sets: 0208 with the high bits set, 0212 after a single shift.
        let mut euc = Vec::with_capacity(bytes.len() * 2);
        let mut at = 0;
        while at < bytes.len() {
            match bytes[at..] {
                [a @ 0x21..=0x7E, b @ 0x21..=0x7E, ..] => {
                    if state.g0 == G0::Jis0212 {
                        euc.push(0x8F);
                    }
                    euc.extend([a | 0x80, b | 0x80]);
                    at += 2;
                }
                // Half-width katakana beside kanji.
                [a @ 0xA1..=0xDF, ..] => {
                    euc.extend([0x8E, a]);
                    at += 1;
                }
                [a, ..] => {
                    euc.push(a);
                    at += 1;
                }
                [] => break,
            }
        }
        text.push_str(&encoding_rs::EUC_JP.decode_without_bom_handling(&euc).0);
        return;
    }
    match state.g1 {
        G1::Encoded(encoding) => text.push_str(&encoding.decode_without_bom_handling(bytes).0),
        G1::Katakana => text.extend(bytes.iter().map(|b| match b {
            0xA1..=0xDF => char::from_u32(0xFF61 + u32::from(b - 0xA1)).expect("half-width katakana are a block"),
            0..=0x7F => char::from(*b),
            _ => char::REPLACEMENT_CHARACTER,
        })),
        G1::Unannounced => match std::str::from_utf8(bytes) {
            Ok(utf8) => text.push_str(utf8),
            Err(_) => text.push_str(&encoding_rs::WINDOWS_1252.decode_without_bom_handling(bytes).0),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(set: &str, bytes: &[u8]) -> String {
        Charset::of(set.as_bytes()).decode(bytes)
    }

    #[test]
    fn the_standards_own_examples_are_read() {
        // PS3.5 annexes H to K, byte by byte; single-byte sets after D. Clunie's character set test images.
        let cases: [(&str, &[u8], &str); 16] = [
            (
                "\\ISO 2022 IR 87",
                b"Yamada^Tarou=\x1B$B;3ED\x1B(B^\x1B$BB@O:\x1B(B=\x1B$B$d$^$@\x1B(B^\x1B$B$?$m$&\x1B(B",
                "Yamada^Tarou=山田^太郎=やまだ^たろう",
            ),
            (
                "ISO 2022 IR 13\\ISO 2022 IR 87",
                b"\xD4\xCF\xC0\xDE^\xC0\xDB\xB3=\x1B$B;3ED\x1B(J^\x1B$BB@O:\x1B(J=\x1B$B$d$^$@\x1B(J^\x1B$B$?$m$&\x1B(J",
                "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
            ),
            (
                "\\ISO 2022 IR 149",
                b"Hong^Gildong=\x1B$)C\xFB\xF3^\x1B$)C\xD1\xCE\xD4\xD7=\x1B$)C\xC8\xAB^\x1B$)C\xB1\xE6\xB5\xBF",
                "Hong^Gildong=洪^吉洞=홍^길동",
            ),
            ("ISO_IR 192", b"Wang^XiaoDong=\xE7\x8E\x8B^\xE5\xB0\x8F\xE6\x9D\xB1=", "Wang^XiaoDong=王^小東="),
            ("GB18030", b"Wang^XiaoDong=\xCD\xF5^\xD0\xA1\xB6\xAB=", "Wang^XiaoDong=王^小东="),
            ("GBK", b"Wang^XiaoDong=\xCD\xF5^\xD0\xA1\xB6\xAB=", "Wang^XiaoDong=王^小东="),
            (
                "\\ISO 2022 IR 58",
                b"Zhang^XiaoDong=\x1B$)A\xD5\xC5^\x1B$)A\xD0\xA1\xB6\xAB=",
                "Zhang^XiaoDong=张^小东=",
            ),
            ("ISO_IR 144", b"\xBB\xEE\xDA\x63\x65\xDC\xD1\x79\x70\xD3", "Люкceмбypг"),
            ("ISO_IR 127", b"\xE2\xC8\xC7\xE6\xEA^\xE4\xE6\xD2\xC7\xD1", "قباني^لنزار"),
            ("ISO_IR 138", b"\xF9\xF8\xE5\xEF^\xE3\xE1\xE5\xF8\xE4", "שרון^דבורה"),
            ("ISO_IR 126", b"\xC4\xE9\xEF\xED\xF5\xF3\xE9\xEF\xF2", "Διονυσιος"),
            ("ISO_IR 100", b"\xC4neas^R\xFCdiger", "Äneas^Rüdiger"),
            ("ISO_IR 101", b"Wa\xB3\xEAsa", "Wałęsa"),
            ("ISO_IR 148", b"\xC7avu\xFEo\xF0lu", "Çavuşoğlu"),
            ("ISO_IR 166", b"\xB9\xD2\xC2", "นาย"),
            ("ISO_IR 203", b"\xA4\xBD", "€œ"),
        ];
        for (set, bytes, expected) in cases {
            assert_eq!(read(set, bytes), expected, "{set}");
        }
    }

    #[test]
    fn sets_are_called_back_where_the_standard_says() {
        // Cyrillic by escape, ended by a delimiter of names.
        assert_eq!(read("ISO 2022 IR 100\\ISO 2022 IR 144", b"\x1B-L\xBB\xEE^\xE9"), "Лю^é");
        // A pair whose second byte is a backslash is a letter (JIS X 0208 0x215C is the plus sign).
        assert_eq!(read("\\ISO 2022 IR 87", b"\x1B$B!\\\x1B(B\\a"), "＋\\a");
        // JIS X 0212 (0x3021 is U+4E02).
        assert_eq!(read("\\ISO 2022 IR 87\\ISO 2022 IR 159", b"\x1B$(D0!\x1B(B"), "丂");
    }

    #[test]
    fn nothing_makes_the_reader_stumble() {
        assert_eq!(read("", b"M\xFCller"), "Müller", "unlabelled Latin-1");
        assert_eq!(read("", "Müller".as_bytes()), "Müller", "unlabelled UTF-8");
        assert_eq!(read("NONSENSE", b"A\x1B%Z"), "A\u{FFFD}%Z");
        for set in ["", "ISO 2022 IR 13\\ISO 2022 IR 87", "\\ISO 2022 IR 149", "ISO_IR 192", "GBK"] {
            for a in 0..=255u8 {
                for escape in [&b""[..], b"\x1B", b"\x1B$B", b"\x1B$)C", b"\x1B-L", b"\x1B$(D"] {
                    read(set, &[escape, &[a]].concat());
                    read(set, &[&[a], escape, &[a, a ^ 0x80, a]].concat());
                }
            }
        }
    }
}
