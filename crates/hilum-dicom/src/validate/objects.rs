//! What the attributes of an object have to say of each other: conditions and values of its class.

use dicom_core::Tag;
use dicom_dictionary_std::tags as t;

use super::Found;
use super::modules::keyword;
use crate::dataset::{Dataset, PixelData};

const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
const ENHANCED_CT: &str = "1.2.840.10008.5.1.4.1.1.2.1";
const SEGMENTATION: &str = "1.2.840.10008.5.1.4.1.1.66.4";
const LABEL_MAP: &str = "1.2.840.10008.5.1.4.1.1.66.7";
const SECONDARY_CAPTURE: &str = "1.2.840.10008.5.1.4.1.1.7";
const PDF: &str = "1.2.840.10008.5.1.4.1.1.104.1";
const KEY_OBJECTS: &str = "1.2.840.10008.5.1.4.1.1.88.59";
/// Content items that are looked at: more make no better picture.
const ITEMS_MAX: usize = 100_000;

pub(super) fn check(class: &str, data: &Dataset<'_>, found: &mut Found) {
    one_of(data, t::PATIENT_SEX, &["M", "F", "O"], found);
    if data.has_pixels() {
        pixels(data, found);
    }
    match class {
        CT => {
            modality(data, "CT", found);
            ct(data, found);
        }
        ENHANCED_CT => {
            modality(data, "CT", found);
            functional_groups(data, found);
        }
        SEGMENTATION | LABEL_MAP => {
            modality(data, "SEG", found);
            functional_groups(data, found);
            segmentation(data, class == LABEL_MAP, found);
        }
        SECONDARY_CAPTURE
            if data.u16(t::SAMPLES_PER_PIXEL) == Some(3) && data.bytes(t::PLANAR_CONFIGURATION).is_none() =>
        {
            found.error("PlanarConfiguration", "is missing; pixels of three samples require it");
        }
        PDF => pdf(data, found),
        KEY_OBJECTS => {
            modality(data, "KO", found);
            content(data, found);
        }
        class if class.starts_with("1.2.840.10008.5.1.4.1.1.88.") => {
            modality(data, "SR", found);
            one_of(data, t::COMPLETION_FLAG, &["PARTIAL", "COMPLETE"], found);
            one_of(data, t::VERIFICATION_FLAG, &["UNVERIFIED", "VERIFIED"], found);
            if data.text(t::VERIFICATION_FLAG).as_deref() == Some("VERIFIED")
                && data.bytes(t::VERIFYING_OBSERVER_SEQUENCE).is_none()
            {
                found.error("VerifyingObserverSequence", "is missing; a verified document says by whom (type 1C)");
            }
            content(data, found);
        }
        class if class.starts_with("1.2.840.10008.5.1.4.1.1.11.") => {
            modality(data, "PR", found);
            graphics(data, found);
        }
        _ => {}
    }
}

fn modality(data: &Dataset<'_>, wanted: &str, found: &mut Found) {
    if data.text(t::MODALITY).is_some_and(|m| m != wanted) {
        found.error("Modality", format!("is not {wanted}, which the class requires"));
    }
}

fn one_of(data: &Dataset<'_>, tag: Tag, allowed: &[&str], found: &mut Found) {
    if data.text(tag).is_some_and(|value| !allowed.contains(&&value[..])) {
        found.error(keyword(tag), format!("is none of {}", allowed.join(", ")));
    }
}

/// Sizes, bits and the bytes that are there (PS3.3 C.7.6.3).
fn pixels(data: &Dataset<'_>, found: &mut Found) {
    let number = |tag| data.u16(tag);
    for tag in [t::ROWS, t::COLUMNS] {
        if number(tag) == Some(0) {
            found.error(keyword(tag), "is 0");
        }
    }
    let (allocated, stored, high) = (number(t::BITS_ALLOCATED), number(t::BITS_STORED), number(t::HIGH_BIT));
    if let (Some(allocated), Some(stored)) = (allocated, stored)
        && stored > allocated
    {
        found.error("BitsStored", "is more than Bits Allocated");
    }
    if let (Some(stored), Some(high)) = (stored, high)
        && high + 1 != stored
    {
        found.error("HighBit", "is not one less than Bits Stored (PS3.5 8.1.1)");
    }
    if number(t::PIXEL_REPRESENTATION).is_some_and(|r| r > 1) {
        found.error("PixelRepresentation", "is neither 0 (unsigned) nor 1 (signed)");
    }
    let samples = number(t::SAMPLES_PER_PIXEL);
    let monochrome = data.text(t::PHOTOMETRIC_INTERPRETATION).is_some_and(|p| p.starts_with("MONOCHROME"));
    if samples.is_some_and(|s| s != 1) && monochrome {
        found.error("SamplesPerPixel", "is not 1, and the pixels are MONOCHROME");
    }
    let frames = data.number(t::NUMBER_OF_FRAMES).unwrap_or(1.0).max(0.0) as u64;
    if let (Some(rows), Some(columns), Some(bits)) = (number(t::ROWS), number(t::COLUMNS), allocated) {
        let pixels = u64::from(rows) * u64::from(columns) * u64::from(samples.unwrap_or(1));
        let needed = pixels.saturating_mul(frames).saturating_mul(bits.into()).div_ceil(8);
        match data.pixel_data() {
            Ok(Some(PixelData::Native { bytes, declared })) => {
                if (bytes.len() as u64) < declared {
                    found.error("PixelData", format!("is cut short: {} of {declared} bytes are there", bytes.len()));
                } else if declared < needed {
                    found.error("PixelData", format!("has {declared} bytes; size, frames and bits need {needed}"));
                } else if declared > needed + needed % 2 {
                    found.warning("PixelData", format!("has {} bytes more than are needed", declared - needed));
                }
            }
            Ok(Some(PixelData::Fragments { fragments, complete, .. })) => {
                if !complete {
                    found.error("PixelData", "is cut short: its fragments have no end");
                }
                if (fragments.len() as u64) < frames {
                    found.error("PixelData", format!("has {} fragments for {frames} frames", fragments.len()));
                }
            }
            Ok(None) => {}
            Err(_) => found.error("PixelData", "cannot be walked"),
        }
    }
}

fn ct(data: &Dataset<'_>, found: &mut Found) {
    if data.u16(t::BITS_ALLOCATED).is_some_and(|b| b != 16) {
        found.error("BitsAllocated", "is not 16 (PS3.3 C.8.2.1)");
    }
    if data.u16(t::BITS_STORED).is_some_and(|b| !(12..=16).contains(&b)) {
        found.error("BitsStored", "is not 12 to 16 (PS3.3 C.8.2.1)");
    }
    if data.number(t::RESCALE_SLOPE) == Some(0.0) {
        found.error("RescaleSlope", "is 0: all pixels would be the same");
    }
    let localiser = data.text(t::IMAGE_TYPE).is_some_and(|v| v.split('\\').nth(2) == Some("LOCALIZER"));
    if data.bytes(t::RESCALE_TYPE).is_none() && data.text(t::IMAGE_TYPE).is_some_and(|v| v.contains("MULTI_ENERGY")) {
        found.error("RescaleType", "is missing; multi-energy images require it (type 1C)");
    }
    orientation(data, "", found);
    spacing(data, "", found);
    if !localiser && data.text(t::IMAGE_TYPE).is_some_and(|v| v.split('\\').count() < 3) {
        found.error("ImageType", "has less than three values (PS3.3 C.8.2.1.1.1)");
    }
}

fn orientation(data: &Dataset<'_>, within: &str, found: &mut Found) {
    let Some(o) = data.exactly::<6>(t::IMAGE_ORIENTATION_PATIENT) else { return };
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let (row, column) = o.split_at(3);
    let unit = |v: &[f64]| (dot(v, v).sqrt() - 1.0).abs() < 1e-3;
    if !unit(row) || !unit(column) || dot(row, column).abs() > 1e-3 {
        let place = format!("{within}ImageOrientationPatient");
        found.error(place, "is not two unit vectors at right angles (PS3.3 C.7.6.2.1.1)");
    }
}

fn spacing(data: &Dataset<'_>, within: &str, found: &mut Found) {
    if data.exactly::<2>(t::PIXEL_SPACING).is_some_and(|s| s.iter().any(|v| *v <= 0.0)) {
        found.error(format!("{within}PixelSpacing"), "is not positive (PS3.3 10.7.1.3)");
    }
    if data.number(t::SLICE_THICKNESS).is_some_and(|v| v < 0.0) {
        found.error(format!("{within}SliceThickness"), "is negative");
    }
}

/// Frames and their groups (PS3.3 C.7.6.16).
fn functional_groups(data: &Dataset<'_>, found: &mut Found) {
    let Ok(frames) = data.items(t::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE) else {
        found.error("PerFrameFunctionalGroupsSequence", "cannot be walked");
        return;
    };
    let shared = data.items(t::SHARED_FUNCTIONAL_GROUPS_SEQUENCE).unwrap_or_default();
    if shared.len() > 1 {
        found.error("SharedFunctionalGroupsSequence", "has more than one item");
    }
    if data.number(t::NUMBER_OF_FRAMES) != Some(frames.len() as f64) {
        found.error("NumberOfFrames", format!("is not the {} items of the per-frame groups", frames.len()));
    }
    let has = |item: &Dataset<'_>, tag| item.bytes(tag).is_some_and(|b| !b.is_empty());
    for tag in [t::PLANE_POSITION_SEQUENCE, t::PLANE_ORIENTATION_SEQUENCE, t::PIXEL_MEASURES_SEQUENCE] {
        let everywhere = shared.first().is_some_and(|s| has(s, tag));
        match frames.iter().position(|f| has(f, tag) == everywhere) {
            Some(n) if everywhere => {
                let place = format!("PerFrameFunctionalGroupsSequence[{}].{}", n + 1, keyword(tag));
                found.error(place, "is also among the shared groups (PS3.3 C.7.6.16.1.1)");
            }
            Some(n) => {
                let place = format!("PerFrameFunctionalGroupsSequence[{}]", n + 1);
                found.error(place, format!("has no {}, nor have the shared groups", keyword(tag)));
            }
            None => {}
        }
    }
    for (n, frame) in frames.iter().enumerate() {
        if !has(frame, t::FRAME_CONTENT_SEQUENCE) {
            let place = format!("PerFrameFunctionalGroupsSequence[{}]", n + 1);
            found.error(place, "has no FrameContentSequence (PS3.3 C.7.6.16.2.2)");
            break;
        }
    }
    for (item, within) in shared.iter().map(|s| (s, "SharedFunctionalGroupsSequence[1]")) {
        for (tag, check) in [
            (t::PLANE_ORIENTATION_SEQUENCE, orientation as fn(&Dataset<'_>, &str, &mut Found)),
            (t::PIXEL_MEASURES_SEQUENCE, spacing),
        ] {
            if let Some(group) = item.first_item(tag) {
                check(&group, &format!("{within}.{}[1].", keyword(tag)), found);
            }
        }
    }
}

/// PS3.3 C.8.20.
fn segmentation(data: &Dataset<'_>, label_map: bool, found: &mut Found) {
    let kinds: &[&str] = if label_map { &["LABELMAP"] } else { &["BINARY", "FRACTIONAL"] };
    one_of(data, t::SEGMENTATION_TYPE, kinds, found);
    let kind = data.text(t::SEGMENTATION_TYPE).unwrap_or_default();
    let bits: &[u16] = match &kind[..] {
        "BINARY" => &[1],
        "FRACTIONAL" => &[8],
        _ => &[8, 16],
    };
    if data.u16(t::BITS_ALLOCATED).is_some_and(|b| !bits.contains(&b)) {
        found.error("BitsAllocated", format!("does not fit a {kind} segmentation (PS3.3 C.8.20.2.1)"));
    }
    if kind == "FRACTIONAL" {
        for tag in [t::SEGMENTATION_FRACTIONAL_TYPE, t::MAXIMUM_FRACTIONAL_VALUE] {
            if data.bytes(tag).is_none() {
                found.error(keyword(tag), "is missing; FRACTIONAL segmentations require it (type 1C)");
            }
        }
        one_of(data, t::SEGMENTATION_FRACTIONAL_TYPE, &["PROBABILITY", "OCCUPANCY"], found);
    }
    if data.text(t::IMAGE_TYPE).is_some_and(|v| v != "DERIVED\\PRIMARY") {
        found.error("ImageType", "is not DERIVED\\PRIMARY (PS3.3 C.8.20.2)");
    }
    let segments = data.items(t::SEGMENT_SEQUENCE).unwrap_or_default();
    let mut numbers = Vec::new();
    for (n, segment) in segments.iter().enumerate() {
        let place = |tag| format!("SegmentSequence[{}].{}", n + 1, keyword(tag));
        for tag in [
            t::SEGMENT_NUMBER,
            t::SEGMENT_LABEL,
            t::SEGMENT_ALGORITHM_TYPE,
            t::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE,
            t::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE,
        ] {
            if segment.bytes(tag).is_none_or(<[u8]>::is_empty) {
                found.error(place(tag), "is missing; every segment has it (type 1, PS3.3 C.8.20.4)");
            }
        }
        let algorithm = segment.text(t::SEGMENT_ALGORITHM_TYPE).unwrap_or_default();
        if !["AUTOMATIC", "SEMIAUTOMATIC", "MANUAL", ""].contains(&&algorithm[..]) {
            found.error(place(t::SEGMENT_ALGORITHM_TYPE), "is none of AUTOMATIC, SEMIAUTOMATIC, MANUAL");
        }
        if algorithm.ends_with("AUTOMATIC") && segment.text(t::SEGMENT_ALGORITHM_NAME).is_none() {
            found.error(place(t::SEGMENT_ALGORITHM_NAME), "is missing; algorithms have names (type 1C)");
        }
        numbers.extend(segment.u16(t::SEGMENT_NUMBER));
    }
    let mut unique = numbers.clone();
    unique.sort_unstable();
    unique.dedup();
    if unique.len() != numbers.len() {
        found.error("SegmentSequence", "has segments of the same number");
    } else if !label_map && unique.iter().enumerate().any(|(n, number)| usize::from(*number) != n + 1) {
        found.error("SegmentSequence", "has numbers that do not count from 1 without gaps (PS3.3 C.8.20.2)");
    }
    if !label_map {
        let frames = data.items(t::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE).unwrap_or_default();
        let shared = data.first_item(t::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
        let shows =
            |item: &Dataset<'_>| item.first_item(t::SEGMENT_IDENTIFICATION_SEQUENCE)?.u16(t::REFERENCED_SEGMENT_NUMBER);
        let common = shared.as_ref().and_then(shows);
        for (n, frame) in frames.iter().enumerate() {
            if shows(frame).or(common).is_none_or(|number| !unique.contains(&number)) {
                let place = format!("PerFrameFunctionalGroupsSequence[{}]", n + 1);
                found.error(place, "shows no segment that is described");
                break;
            }
        }
    }
}

fn pdf(data: &Dataset<'_>, found: &mut Found) {
    if data.text(t::MIME_TYPE_OF_ENCAPSULATED_DOCUMENT).is_some_and(|m| m != "application/pdf") {
        found.error("MIMETypeOfEncapsulatedDocument", "is not application/pdf");
    }
    one_of(data, t::BURNED_IN_ANNOTATION, &["YES", "NO"], found);
    if data.bytes(t::ENCAPSULATED_DOCUMENT).is_some_and(|pdf| !pdf.starts_with(b"%PDF-")) {
        found.error("EncapsulatedDocument", "does not begin like a PDF");
    }
}

/// Content items (PS3.3 C.17.3).
fn content(data: &Dataset<'_>, found: &mut Found) {
    if data.text(t::VALUE_TYPE).is_some_and(|v| v != "CONTAINER") {
        found.error("ValueType", "is not CONTAINER at the root of the document");
    }
    let mut left = ITEMS_MAX;
    items(data, "", &mut left, found);
}

fn items(parent: &Dataset<'_>, within: &str, left: &mut usize, found: &mut Found) {
    let Ok(all) = parent.items(t::CONTENT_SEQUENCE) else {
        found.error(format!("{within}ContentSequence"), "cannot be walked");
        return;
    };
    for (n, item) in all.iter().enumerate() {
        if *left == 0 {
            return;
        }
        *left -= 1;
        let place = format!("{within}ContentSequence[{}]", n + 1);
        if item.text(t::RELATIONSHIP_TYPE).is_none() {
            found.error(format!("{place}.RelationshipType"), "is missing (type 1)");
        }
        if item.bytes(t::REFERENCED_CONTENT_ITEM_IDENTIFIER).is_some() {
            continue; // by reference: it has no value of its own
        }
        let needed: &[Tag] = match item.text(t::VALUE_TYPE).as_deref() {
            Some("TEXT") => &[t::TEXT_VALUE],
            Some("NUM") => &[t::MEASURED_VALUE_SEQUENCE],
            Some("CODE") => &[t::CONCEPT_CODE_SEQUENCE],
            Some("DATETIME") => &[t::DATE_TIME],
            Some("DATE") => &[t::DATE],
            Some("TIME") => &[t::TIME],
            Some("UIDREF") => &[t::UID],
            Some("PNAME") => &[t::PERSON_NAME],
            Some("COMPOSITE" | "IMAGE" | "WAVEFORM") => &[t::REFERENCED_SOP_SEQUENCE],
            Some("SCOORD") => &[t::GRAPHIC_TYPE, t::GRAPHIC_DATA],
            Some("SCOORD3D") => &[t::GRAPHIC_TYPE, t::GRAPHIC_DATA, t::REFERENCED_FRAME_OF_REFERENCE_UID],
            Some("TCOORD") => &[t::TEMPORAL_RANGE_TYPE],
            Some("CONTAINER") => &[t::CONTINUITY_OF_CONTENT],
            Some("TABLE") => &[],
            Some(_) => {
                found.error(format!("{place}.ValueType"), "is no value type (PS3.3 C.17.3.2.1)");
                &[]
            }
            None => {
                found.error(format!("{place}.ValueType"), "is missing (type 1)");
                &[]
            }
        };
        for tag in needed {
            // A number may be missing for a reason; its place may not (PS3.3 C.18.1).
            let may_be_empty = *tag == t::MEASURED_VALUE_SEQUENCE;
            let value = item.bytes(*tag);
            if value.is_none() || (!may_be_empty && value.is_some_and(<[u8]>::is_empty)) {
                found.error(format!("{place}.{}", keyword(*tag)), "is missing; its value type requires it");
            }
        }
        items(item, &format!("{place}."), left, found);
    }
}

/// PS3.3 C.10.5.
fn graphics(data: &Dataset<'_>, found: &mut Found) {
    for (n, annotation) in data.items(t::GRAPHIC_ANNOTATION_SEQUENCE).unwrap_or_default().iter().enumerate() {
        let place = format!("GraphicAnnotationSequence[{}]", n + 1);
        if annotation.text(t::GRAPHIC_LAYER).is_none() {
            found.error(format!("{place}.GraphicLayer"), "is missing (type 1)");
        }
        for (k, object) in annotation.items(t::GRAPHIC_OBJECT_SEQUENCE).unwrap_or_default().iter().enumerate() {
            let points = object.u16(t::NUMBER_OF_GRAPHIC_POINTS).map(usize::from);
            let numbers = object.f32s(t::GRAPHIC_DATA).map(|d| d.len()).unwrap_or(0);
            if points.is_none_or(|points| 2 * points != numbers) {
                let place = format!("{place}.GraphicObjectSequence[{}].GraphicData", k + 1);
                found.error(place, "does not have as many points as are announced");
            }
        }
    }
}
