//! Values by themselves: representations, their lengths and letters (PS3.5 6.2).

use dicom_core::Tag;
use dicom_core::dictionary::{DataDictionary, VirtualVr};
use dicom_dictionary_std::StandardDataDictionary;

use super::Found;
use crate::listing::{ListedElement, ListedValue};

/// Checks every element of a listing; places are built from depths and item numbers.
pub(super) fn check(listed: &[ListedElement], found: &mut Found) {
    // Place of the sequence that each level below the top lies in, and the last tag on each level with its item.
    let mut sequences: Vec<String> = Vec::new();
    let mut last: Vec<(usize, (u16, u16))> = Vec::new();
    for element in listed {
        sequences.truncate(element.depth);
        last.truncate(element.depth + 1);
        let within = sequences.last().map_or(String::new(), |sequence| format!("{sequence}[{}].", element.item));
        let place = format!("{within}{}", name(element));
        if let Some((item, tag)) = last.get(element.depth)
            && *item == element.item
            && *tag >= element.tag
            // File meta information stands before everything.
            && !(tag.0 == 2 && element.tag.0 != 2)
        {
            let problem = if *tag == element.tag { "stands twice" } else { "stands after a higher tag" };
            found.error(&place, format!("{problem}: tags ascend (PS3.5 7.1)"));
        }
        if last.len() == element.depth + 1 {
            last.pop();
        }
        last.push((element.item, element.tag));
        if matches!(element.value, ListedValue::Sequence(_)) {
            sequences.push(place.clone());
        }
        representation(element, &place, found);
        if element.length.is_some_and(|length| length % 2 == 1) {
            found.error(&place, "has an odd length (PS3.5 7.1.1)");
        }
        if let ListedValue::Values(values) = &element.value {
            for value in values.iter().filter(|v| !v.is_empty()) {
                if let Some(problem) = wrong(&element.vr, value) {
                    found.error(&place, problem);
                    break;
                }
            }
        }
    }
}

fn name(element: &ListedElement) -> String {
    match element.keyword {
        "" => format!("({:04X},{:04X})", element.tag.0, element.tag.1),
        keyword => keyword.to_owned(),
    }
}

/// Whether the representation is the dictionary's.
fn representation(element: &ListedElement, place: &str, found: &mut Found) {
    if element.tag.1 == 0 || element.tag.0 % 2 == 1 {
        return;
    }
    let Some(entry) = StandardDataDictionary.by_tag(Tag(element.tag.0, element.tag.1)) else {
        found.warning(place, "is not in the dictionary of the standard");
        return;
    };
    let stated = &element.vr[..];
    let right = match entry.vr {
        VirtualVr::Exact(vr) => vr.to_string() == stated,
        VirtualVr::Xs => ["US", "SS"].contains(&stated),
        VirtualVr::Lt => ["US", "SS", "OW"].contains(&stated),
        _ => ["OB", "OW"].contains(&stated),
    };
    if !right {
        let wanted = match entry.vr {
            VirtualVr::Exact(vr) => vr.to_string(),
            VirtualVr::Xs => "US or SS",
            VirtualVr::Lt => "US, SS or OW",
            _ => "OB or OW",
        };
        found.error(place, format!("is written as {stated}, not as {wanted} (PS3.6)"));
    }
}

/// What is wrong with a value of a representation, which is neither empty nor padded.
fn wrong(vr: &str, value: &str) -> Option<&'static str> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let letters = |max: usize| value.chars().count() <= max;
    let good = match vr {
        "UI" => {
            let component = |c: &str| digits(c) && (c.len() == 1 || !c.starts_with('0'));
            if value.len() <= 64 && value.split('.').all(component) {
                return None;
            }
            return Some("is no UID: up to 64 digits and dots, no leading zeros (PS3.5 9.1)");
        }
        "DA" => is_date(value),
        "TM" => is_time(value),
        "DT" => {
            let main = value.split(['+', '-']).next().unwrap_or_default();
            main.len() >= 4 && main.chars().all(|c| c.is_ascii_digit() || c == '.') && value.len() <= 26
        }
        "AS" => value.len() == 4 && digits(&value[..3]) && value.ends_with(['D', 'W', 'M', 'Y']),
        "CS" => {
            let letter = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b' ' || b == b'_';
            letters(16) && value.bytes().all(letter)
        }
        "DS" => value.len() <= 16 && value.parse::<f64>().is_ok_and(f64::is_finite),
        "IS" => value.len() <= 12 && value.parse::<i32>().is_ok(),
        "AE" | "SH" => letters(16),
        "LO" => letters(64),
        "PN" => value.split('=').count() <= 3 && value.split('=').all(|group| group.chars().count() <= 64),
        "ST" => letters(1024),
        "LT" => letters(10240),
        _ => true,
    };
    let problem = match vr {
        "DA" => "is no date YYYYMMDD (PS3.5 6.2)",
        "TM" => "is no time HHMMSS.FFFFFF (PS3.5 6.2)",
        "DT" => "is no date and time (PS3.5 6.2)",
        "AS" => "is no age such as 045Y (PS3.5 6.2)",
        "CS" => "is no code string: up to 16 capitals, digits, spaces and underscores (PS3.5 6.2)",
        "DS" => "is no decimal string of up to 16 characters (PS3.5 6.2)",
        "IS" => "is no integer string of up to 12 characters (PS3.5 6.2)",
        "PN" => "is no name of up to three groups of 64 characters (PS3.5 6.2)",
        _ => "is longer than its representation allows (PS3.5 6.2)",
    };
    (!good).then_some(problem)
}

fn is_date(value: &str) -> bool {
    let number = |range: std::ops::Range<usize>| value.get(range).and_then(|v| v.parse::<u32>().ok());
    value.len() == 8
        && value.bytes().all(|b| b.is_ascii_digit())
        && number(4..6).is_some_and(|m| (1..=12).contains(&m))
        && number(6..8).is_some_and(|d| (1..=31).contains(&d))
}

fn is_time(value: &str) -> bool {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    let even = matches!(whole.len(), 2 | 4 | 6) && whole.bytes().all(|b| b.is_ascii_digit());
    let within = |at: usize, most: u32| whole.get(at..at + 2).is_none_or(|v| v.parse::<u32>().is_ok_and(|v| v <= most));
    let right_fraction = fraction.len() <= 6 && fraction.bytes().all(|b| b.is_ascii_digit());
    even && within(0, 23)
        && within(2, 59)
        && within(4, 60)
        && right_fraction
        && (fraction.is_empty() || whole.len() == 6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_from_what_only_looks_like_them() {
        for (vr, good, bad) in [
            ("UI", "1.2.840.0", "1.02"),
            ("DA", "20260228", "2026-02-28"),
            ("DA", "20261231", "20261301"),
            ("TM", "235960.123456", "2400"),
            ("TM", "07", "7:30"),
            ("AS", "045Y", "45Y"),
            ("CS", "ORIGINAL_2", "Original"),
            ("DS", "-1.5e-3", "1,5"),
            ("DS", "1234567890123456", "12345678901234567"),
            ("IS", "-2147483648", "2147483648"),
            ("SH", "sixteen letters.", "seventeen letters"),
            ("PN", "A^B=C=D", "A=B=C=D"),
        ] {
            assert_eq!(wrong(vr, good), None, "{vr} {good}");
            assert!(wrong(vr, bad).is_some(), "{vr} {bad}");
        }
    }
}
