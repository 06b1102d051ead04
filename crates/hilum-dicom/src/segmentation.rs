//! Segmentation and Label Map Segmentation objects (PS3.3 A.51).
//!
//! Everything lies on the grid of the source series, slice for slice, so that a viewer can lay it over the images whatever
//! their orientation: oblique, left-handed and sheared grids (tilted gantry) are written by the position of each plane.
//! Frames without a voxel of their segment are left out, segments without any voxel too.

use dicom_dictionary_std::{tags, uids};
use hilum_volume::{LabelMap, Volume};
use rayon::prelude::*;

use crate::attributes::Attributes;
use crate::code::{checked_code_string, checked_text};
use crate::codes;
use crate::result_file::{Kind, ResultContext, ResultFile};
use crate::segment::Segment;
use crate::segmentation_frames::{Frame, FrameGroups};
use crate::{Error, Origin};

/// Voxels of one label map that belong to a segment: those with one of these labels.
#[derive(Clone, Copy, Debug)]
pub struct LabelSet<'a> {
    /// On the grid of the source series.
    pub map: &'a LabelMap,
    /// Labels that belong to the segment.
    pub labels: &'a [u8],
}

/// A segmentation as a file, with the numbers its segments were given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segmentation {
    /// The file.
    pub file: ResultFile,
    /// For each segment asked for, in order: its number in the object, or `None` if it has no voxel and was left out.
    pub numbers: Vec<Option<u16>>,
    /// Number of frames.
    pub frames: usize,
}

/// How a segmentation is announced in a worklist of series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentationTitle {
    label: String,
    description: String,
    instance_number: u32,
}

impl SegmentationTitle {
    /// A short `label` in capitals (at most 16 characters), a `description` for people (64) and the instance number, which
    /// tells the segmentations of one run apart.
    ///
    /// # Errors
    /// [`Error::Unwritable`] if a text is too long or empty, or the label has other characters than `A`–`Z`, digits, blank
    /// and underscore.
    pub fn new(label: &str, description: &str, instance_number: u32) -> Result<Self, Error> {
        let label = checked_code_string("the label of a segmentation", label)?;
        let description = checked_text("the description of a segmentation", description, 64)?;
        Ok(Self { label, description, instance_number })
    }
}

/// One bit per voxel and segment (BINARY); segments may overlap. What every viewer reads.
///
/// # Errors
/// [`Error::Unwritable`] if a map is not on the grid of the series, there are more than 65 535 segments or none has a
/// voxel, or the pixels exceed 4 GiB.
pub fn binary_segmentation(
    context: &ResultContext<'_>,
    title: &SegmentationTitle,
    segments: &[(Segment, LabelSet<'_>)],
) -> Result<Segmentation, Error> {
    let origin = context.origin;
    let pixels = pixels_of_slice(origin);
    let maps = Maps::of(segments, pixels);
    let mut bits = BitPixels::default();
    let (mut frames, mut items, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
    for (segment, set) in segments {
        check_grid(origin, set.map.geometry())?;
        let belongs = set.table();
        let number = next_number(items.len())?;
        let before = frames.len();
        for (slice, values) in set.map.labels().data().chunks_exact(pixels).enumerate() {
            if maps.holds(set, slice) {
                bits.extend(values, &belongs);
                frames.push(Frame { slice, segment: Some(number) });
            }
        }
        let found = frames.len() > before;
        if found {
            items.push(segment.item(number));
        }
        numbers.push(found.then_some(number));
    }
    let mut content = Attributes::default();
    content.text(tags::SEGMENTATION_TYPE, "BINARY");
    content.text(tags::SEGMENTS_OVERLAP, if maps.overlap(segments) { "YES" } else { "NO" });
    let stored = Stored { bits: 1, pixels: bits.bytes };
    let file = file(context, title, SEGMENTATION, content, items, &frames, stored)?;
    Ok(Segmentation { file, numbers, frames: frames.len() })
}

/// One number per voxel (LABELMAP), the number of its segment being its label; 0 is background. Compact, but few viewers
/// read it yet.
///
/// # Errors
/// As [`binary_segmentation`]; also if a label is 0, given twice, or in the map but not described.
pub fn label_map_segmentation(
    context: &ResultContext<'_>,
    title: &SegmentationTitle,
    map: &LabelMap,
    segments: &[(u8, Segment)],
) -> Result<Segmentation, Error> {
    let origin = context.origin;
    check_grid(origin, map.geometry())?;
    let mut present = [false; 256];
    map.labels().data().iter().for_each(|l| present[usize::from(*l)] = true);
    let mut described: Vec<&(u8, Segment)> = segments.iter().filter(|(l, _)| present[usize::from(*l)]).collect();
    described.sort_by_key(|(label, _)| *label);
    let mut labels: Vec<u8> = segments.iter().map(|(label, _)| *label).collect();
    labels.sort_unstable();
    if labels.first() == Some(&0) || labels.windows(2).any(|w| w[0] == w[1]) {
        return Err(Error::Unwritable("labels must be other than 0 and given once".into()));
    }
    if (1..=255u8).any(|l| present[usize::from(l)] && !labels.contains(&l)) {
        return Err(Error::Unwritable("the label map holds a label that is not described".into()));
    }
    let (mut frames, mut pixels) = (Vec::new(), Vec::new());
    for (slice, values) in map.labels().data().chunks_exact(pixels_of_slice(origin)).enumerate() {
        if values.iter().any(|l| *l != 0) {
            pixels.extend_from_slice(values);
            frames.push(Frame { slice, segment: None });
        }
    }
    let background = background(segments)?;
    let items = std::iter::once(background).chain(described.iter().map(|(l, s)| s.item(u16::from(*l)))).collect();
    let mut content = Attributes::default();
    content.text(tags::SEGMENTATION_TYPE, "LABELMAP");
    content.text(tags::SEGMENTS_OVERLAP, "NO");
    content.u16s(tags::PIXEL_PADDING_VALUE, &[0]);
    let file = file(context, title, LABEL_MAP, content, items, &frames, Stored { bits: 8, pixels })?;
    let numbers = segments.iter().map(|(l, _)| present[usize::from(*l)].then_some(u16::from(*l))).collect();
    Ok(Segmentation { file, numbers, frames: frames.len() })
}

/// Probabilities in steps of 1/255 (FRACTIONAL, PROBABILITY): what a network said, before anything was decided.
///
/// # Errors
/// As [`binary_segmentation`]; also if a value is not within 0 to 1.
pub fn probability_segmentation(
    context: &ResultContext<'_>,
    title: &SegmentationTitle,
    segments: &[(Segment, &Volume<f32>)],
) -> Result<Segmentation, Error> {
    let origin = context.origin;
    let (mut frames, mut items, mut numbers, mut pixels) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (segment, probability) in segments {
        check_grid(origin, probability.geometry())?;
        if !probability.data().iter().all(|p| (0.0..=1.0).contains(p)) {
            return Err(Error::Unwritable("probabilities lie between 0 and 1".into()));
        }
        let number = next_number(items.len())?;
        let before = frames.len();
        for (slice, values) in probability.data().chunks_exact(pixels_of_slice(origin)).enumerate() {
            let stored = |p: &f32| (p * 255.0).round() as u8;
            if values.iter().any(|p| stored(p) > 0) {
                pixels.extend(values.iter().map(stored));
                frames.push(Frame { slice, segment: Some(number) });
            }
        }
        let found = frames.len() > before;
        if found {
            items.push(segment.item(number));
        }
        numbers.push(found.then_some(number));
    }
    let mut content = Attributes::default();
    content.text(tags::SEGMENTATION_TYPE, "FRACTIONAL");
    content.text(tags::SEGMENTATION_FRACTIONAL_TYPE, "PROBABILITY");
    content.u16s(tags::MAXIMUM_FRACTIONAL_VALUE, &[255]);
    content.text(tags::SEGMENTS_OVERLAP, "UNDEFINED");
    let file = file(context, title, SEGMENTATION, content, items, &frames, Stored { bits: 8, pixels })?;
    Ok(Segmentation { file, numbers, frames: frames.len() })
}

const SEGMENTATION: Kind = Kind {
    sop_class_uid: uids::SEGMENTATION_STORAGE,
    modality: "SEG",
    series: "segmentations",
    series_number: 1,
    series_description: "Segmentation (research use)",
};

const LABEL_MAP: Kind = Kind {
    sop_class_uid: uids::LABEL_MAP_SEGMENTATION_STORAGE,
    series: "label map segmentations",
    series_number: 2,
    series_description: "Label map segmentation (research use)",
    ..SEGMENTATION
};

/// Pixels as they are stored.
struct Stored {
    bits: u16,
    pixels: Vec<u8>,
}

/// Bits one after another, the first in the lowest place, frames without a gap between them (PS3.5 8.1.1, annex D).
#[derive(Default)]
struct BitPixels {
    bytes: Vec<u8>,
    /// Bits in use of the last byte, 0 for all.
    used: u32,
}

impl BitPixels {
    /// Adds one bit per voxel: whether its label `belongs`.
    fn extend(&mut self, labels: &[u8], belongs: &[bool; 256]) {
        let bit = |label: &u8| u8::from(belongs[usize::from(*label)]);
        // Up to the next whole byte, whole bytes, and what remains.
        let (first, labels) = labels.split_at(labels.len().min((8 - self.used as usize) % 8));
        first.iter().for_each(|label| self.push(bit(label)));
        let (eights, last) = labels.as_chunks::<8>();
        self.bytes.extend(eights.iter().map(|eight| eight.iter().rev().fold(0, |byte, label| byte << 1 | bit(label))));
        last.iter().for_each(|label| self.push(bit(label)));
    }

    fn push(&mut self, bit: u8) {
        if self.used == 0 {
            self.bytes.push(0);
        }
        *self.bytes.last_mut().expect("a byte was begun") |= bit << self.used;
        self.used = (self.used + 1) % 8;
    }
}

impl LabelSet<'_> {
    /// For each label, whether it belongs.
    fn table(&self) -> [bool; 256] {
        let mut belongs = [false; 256];
        self.labels.iter().for_each(|label| belongs[usize::from(*label)] = true);
        belongs
    }
}

/// The maps of a segmentation, each once, with the labels that occur in each of their slices: there may be many segments, and
/// most are in few slices.
struct Maps<'a> {
    present: Vec<(&'a LabelMap, Vec<[bool; 256]>)>,
}

impl<'a> Maps<'a> {
    fn of(segments: &[(Segment, LabelSet<'a>)], pixels: usize) -> Self {
        let mut present: Vec<(&LabelMap, Vec<[bool; 256]>)> = Vec::new();
        for (_, LabelSet { map, .. }) in segments {
            if present.iter().all(|(known, _)| !std::ptr::eq(*known, *map)) {
                let slices = map.labels().data().par_chunks_exact(pixels.max(1));
                let labels_of = |values: &[u8]| {
                    let mut present = [false; 256];
                    values.iter().for_each(|label| present[usize::from(*label)] = true);
                    present
                };
                present.push((map, slices.map(labels_of).collect()));
            }
        }
        Self { present }
    }

    /// Whether a voxel of `slice` belongs to `set`.
    fn holds(&self, set: &LabelSet<'_>, slice: usize) -> bool {
        let (_, slices) =
            self.present.iter().find(|(map, _)| std::ptr::eq(*map, set.map)).expect("every map was looked at");
        set.labels.iter().any(|label| slices[slice][usize::from(*label)])
    }

    /// Whether a voxel belongs to two of the segments. All maps are of one shape.
    fn overlap(&self, segments: &[(Segment, LabelSet<'_>)]) -> bool {
        // For each map and label, the number of segments it belongs to.
        let counts = |map: &LabelMap| {
            let sets = segments.iter().map(|(_, set)| set).filter(|set| std::ptr::eq(set.map, map));
            sets.map(LabelSet::table).fold([0_u32; 256], |counts, belongs| {
                std::array::from_fn(|label| counts[label] + u32::from(belongs[label]))
            })
        };
        let counted: Vec<(&[u8], [u32; 256])> =
            self.present.iter().map(|(map, _)| (map.labels().data(), counts(map))).collect();
        let Some((first, _)) = counted.first() else { return false };
        (0..first.len())
            .into_par_iter()
            .with_min_len(1 << 16)
            .any(|voxel| counted.iter().map(|(labels, counts)| counts[usize::from(labels[voxel])]).sum::<u32>() > 1)
    }
}

fn pixels_of_slice(origin: &Origin) -> usize {
    let [_, rows, columns] = origin.geometry.shape();
    rows * columns
}

fn check_grid(origin: &Origin, grid: &hilum_volume::Geometry) -> Result<(), Error> {
    if grid.coincides_with(&origin.geometry) {
        return Ok(());
    }
    Err(Error::Unwritable("a segmentation lies on the grid of its series".into()))
}

fn next_number(segments: usize) -> Result<u16, Error> {
    u16::try_from(segments + 1).map_err(|_| Error::Unwritable("there are at most 65 535 segments".into()))
}

/// The segment of what is nothing, numbered 0 as the padding value is.
fn background(segments: &[(u8, Segment)]) -> Result<Attributes, Error> {
    let (_, any) = segments.first().ok_or_else(nothing)?;
    let mut item = any.item(0);
    let kept = [tags::SEGMENT_NUMBER, tags::SEGMENT_ALGORITHM_TYPE, tags::SEGMENT_ALGORITHM_NAME];
    item.0.retain(|element| kept.contains(&element.header().tag));
    item.text(tags::SEGMENT_LABEL, "Background");
    item.item(tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE, codes::BACKGROUND.item());
    item.item(tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE, codes::BACKGROUND.item());
    item.u16s(tags::RECOMMENDED_DISPLAY_CIE_LAB_VALUE, &crate::colour::cie_lab_of([0; 3]));
    Ok(item)
}

fn nothing() -> Error {
    Error::Unwritable("no segment has a voxel".into())
}

fn file(
    context: &ResultContext<'_>,
    title: &SegmentationTitle,
    kind: Kind,
    mut content: Attributes,
    segments: Vec<Attributes>,
    frames: &[Frame],
    stored: Stored,
) -> Result<ResultFile, Error> {
    if frames.is_empty() {
        return Err(nothing());
    }
    if stored.pixels.len() >= u32::MAX as usize - 1 {
        return Err(Error::Unwritable("the segmentation exceeds 4 GiB".into()));
    }
    let origin = context.origin;
    let [_, rows, columns] = origin.geometry.shape();
    let side = |n: usize| u16::try_from(n).map_err(|_| Error::Unwritable("images have at most 65 535 rows".into()));
    content.texts(tags::IMAGE_TYPE, &["DERIVED", "PRIMARY"]);
    content.text(tags::CONTENT_LABEL, &title.label);
    content.text(tags::CONTENT_DESCRIPTION, &title.description);
    content.text(tags::CONTENT_CREATOR_NAME, "");
    context.body_part(&mut content);
    context.frame_of_reference(&mut content);
    context.lossy(&mut content);
    content.u16s(tags::SAMPLES_PER_PIXEL, &[1]);
    content.text(tags::PHOTOMETRIC_INTERPRETATION, "MONOCHROME2");
    content.u16s(tags::ROWS, &[side(rows)?]);
    content.u16s(tags::COLUMNS, &[side(columns)?]);
    content.u16s(tags::BITS_ALLOCATED, &[stored.bits]);
    content.u16s(tags::BITS_STORED, &[stored.bits]);
    content.u16s(tags::HIGH_BIT, &[stored.bits - 1]);
    content.u16s(tags::PIXEL_REPRESENTATION, &[0]);
    content.items(tags::SEGMENT_SEQUENCE, segments);
    FrameGroups::new(context, frames).put(&mut content);
    content.bytes(tags::PIXEL_DATA, stored.pixels);
    context.file(kind, title.instance_number, content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_packed_from_the_lowest_without_gaps() {
        let belongs = std::array::from_fn(|label| label == 2 || label == 7);
        let mut bits = BitPixels::default();
        bits.extend(&[2, 0, 7], &belongs);
        bits.extend(&[2, 2, 1, 0, 1, 7, 7], &belongs);
        assert_eq!(bits.bytes, [0b0001_1101, 0b0000_0011]);
        // Slices of any length, whole bytes in them or none, as bit by bit.
        let labels: Vec<u8> = (0..100_u8).map(|i| i.wrapping_mul(37) % 9).collect();
        let (mut whole, mut parts) = (BitPixels::default(), BitPixels::default());
        labels.iter().for_each(|label| whole.push(u8::from(belongs[usize::from(*label)])));
        [0..3, 3..3, 3..30, 30..35, 35..100].into_iter().for_each(|part| parts.extend(&labels[part], &belongs));
        assert_eq!(whole.bytes, parts.bytes);
    }
}
