//! Private attributes that are known to be safe: those of PS3.15 Table E.3.10-1 that CT, MR and PET use.

use std::collections::BTreeMap;

use dicom_core::Tag;

/// Group, private creator, element within the creator's block.
const SAFE: [(u16, &str, u16); 17] = [
    (0x7053, "Philips PET Private Group", 0x00), // SUV factor
    (0x7053, "Philips PET Private Group", 0x09), // activity concentration factor
    (0x00E1, "ELSCINT1", 0x21),                  // DLP
    (0x01E1, "ELSCINT1", 0x26),                  // phantom type
    (0x01E1, "ELSCINT1", 0x50),                  // acquisition duration
    (0x01F1, "ELSCINT1", 0x01),                  // acquisition type
    (0x01F1, "ELSCINT1", 0x07),                  // table velocity
    (0x01F1, "ELSCINT1", 0x26),                  // pitch
    (0x01F1, "ELSCINT1", 0x27),                  // rotation time
    (0x0019, "GEMS_ACQU_01", 0x23),              // table speed
    (0x0019, "GEMS_ACQU_01", 0x24),              // mid scan time
    (0x0019, "GEMS_ACQU_01", 0x27),              // rotation speed
    (0x0043, "GEMS_PARM_01", 0x27),              // scan pitch ratio
    (0x0045, "GEMS_HELIOS_01", 0x01),            // macro rows in detector
    (0x0045, "GEMS_HELIOS_01", 0x02),            // macro width at isocentre
    (0x2001, "Philips Imaging DD 001", 0x03),    // diffusion b-factor
    (0x0019, "SIEMENS MR HEADER", 0x0C),         // b value
];

/// Who reserved which block (PS3.5 7.8.1).
pub(super) type Creators = BTreeMap<(u16, u16), String>;

/// The blocks of a data set.
pub(super) fn creators<'a>(elements: impl Iterator<Item = (Tag, &'a [u8])>) -> Creators {
    let creator = |tag: Tag| tag.0 % 2 == 1 && (0x10..=0xFF).contains(&tag.1);
    let name = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_matches([' ', '\0']).to_owned();
    elements.filter(|(tag, _)| creator(*tag)).map(|(tag, bytes)| ((tag.0, tag.1), name(bytes))).collect()
}

/// Whether an element, or the creator of a block with safe elements, may stay.
pub(super) fn is_safe(tag: Tag, creators: &Creators) -> bool {
    let is_creator = (0x10..=0xFF).contains(&tag.1);
    let block = if is_creator { tag.1 } else { tag.1 >> 8 };
    let Some(name) = creators.get(&(tag.0, block)) else { return false };
    SAFE.iter()
        .any(|(group, creator, element)| *group == tag.0 && creator == name && (is_creator || *element == tag.1 & 0xFF))
}
