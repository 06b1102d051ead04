//! Attributes by which objects are searched for.

use dicom_core::VR;
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry, VirtualVr};
use dicom_dictionary_std::StandardDataDictionary;

use crate::Error;

/// An attribute of the standard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attribute {
    /// Group and element number.
    pub tag: (u16, u16),
    /// Value representation.
    pub vr: [u8; 2],
    /// Keyword, such as `PatientID`.
    pub keyword: &'static str,
}

/// The attribute of a keyword (`PatientID`) or a tag (`0010,0020`, `00100020`).
///
/// # Errors
/// [`Error::Local`] if the standard has none of that name, or it is a sequence.
pub fn attribute(name: &str) -> Result<Attribute, Error> {
    let plain = name.trim_matches(['(', ')']).replace(',', "");
    let by_tag = (plain.len() == 8).then(|| u32::from_str_radix(&plain, 16).ok()).flatten();
    let entry = match by_tag {
        Some(tag) => StandardDataDictionary.by_tag(dicom_core::Tag((tag >> 16) as u16, tag as u16)),
        None => StandardDataDictionary.by_name(name),
    };
    let entry = entry.ok_or_else(|| Error::Local(format!("{name:?} is no attribute of DICOM; PatientID is one")))?;
    let vr = match entry.vr {
        VirtualVr::Exact(VR::SQ) => {
            return Err(Error::Local(format!("{name} is a sequence: it cannot be searched for")));
        }
        VirtualVr::Exact(vr) => vr,
        _ => VR::US,
    };
    let text = vr.to_bytes();
    Ok(Attribute { tag: (entry.tag().0, entry.tag().1), vr: [text[0], text[1]], keyword: entry.alias() })
}

/// An identifier (PS3.4 C.2.2) in Explicit or Implicit VR Little Endian. `keys` are text; numbers are not searched for by
/// value in any query model, so theirs stay empty.
pub(crate) fn identifier(keys: &[(Attribute, String)], explicit: bool) -> Vec<u8> {
    let mut sorted: Vec<_> = keys.to_vec();
    if keys.iter().any(|(_, value)| !value.is_ascii()) {
        let charset = attribute("SpecificCharacterSet").expect("it is in the dictionary");
        sorted.push((charset, "ISO_IR 192".into()));
    }
    sorted.sort_by_key(|(attribute, _)| attribute.tag);
    sorted.dedup_by_key(|(attribute, _)| attribute.tag);
    let mut bytes = Vec::new();
    for (attribute, value) in sorted {
        let is_number = matches!(&attribute.vr, b"US" | b"SS" | b"UL" | b"SL" | b"FL" | b"FD" | b"AT");
        let mut value = if is_number { Vec::new() } else { value.into_bytes() };
        if value.len() % 2 == 1 {
            value.push(if attribute.vr == *b"UI" { 0 } else { b' ' });
        }
        bytes.extend(attribute.tag.0.to_le_bytes());
        bytes.extend(attribute.tag.1.to_le_bytes());
        let length = value.len() as u32;
        if !explicit {
            bytes.extend(length.to_le_bytes());
        } else if matches!(&attribute.vr, b"OB" | b"OW" | b"OF" | b"OD" | b"OL" | b"UC" | b"UN" | b"UR" | b"UT") {
            bytes.extend(attribute.vr);
            bytes.extend([0, 0]);
            bytes.extend(length.to_le_bytes());
        } else {
            value.truncate(0xFFFE);
            bytes.extend(attribute.vr);
            bytes.extend((value.len() as u16).to_le_bytes());
        }
        bytes.extend(value);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_found_by_name_and_number() {
        let id = attribute("PatientID").unwrap();
        assert_eq!((id.tag, &id.vr), ((0x0010, 0x0020), b"LO"));
        assert_eq!(attribute("00100020").unwrap(), id);
        assert_eq!(attribute("(0010,0020)").unwrap(), id);
        for wrong in ["Patient", "", "patient id", "99999999", "ReferencedSeriesSequence"] {
            assert!(attribute(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn identifiers_are_sorted_padded_and_name_their_characters() {
        let keys = [
            (attribute("StudyInstanceUID").unwrap(), "1.2.3".to_owned()),
            (attribute("PatientName").unwrap(), "Müller*".to_owned()),
        ];
        let bytes = identifier(&keys, true);
        let listed = hilum_dicom::list_data_set(&bytes, true, &hilum_dicom::Limits::default()).unwrap();
        let read: Vec<_> = listed.iter().map(|e| (e.keyword, e.value.clone())).collect();
        let text = |t: &str| hilum_dicom::ListedValue::Values([t].into_iter().collect());
        let want = [
            ("SpecificCharacterSet", text("ISO_IR 192")),
            ("PatientName", text("Müller*")),
            ("StudyInstanceUID", text("1.2.3")),
        ];
        assert_eq!(read, want);
        let implicit = identifier(&keys, false);
        assert_eq!(hilum_dicom::list_data_set(&implicit, false, &hilum_dicom::Limits::default()).unwrap().len(), 3);
    }
}
