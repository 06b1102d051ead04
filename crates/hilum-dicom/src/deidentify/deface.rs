//! Faces blanked in CT and MR of the head (PS3.15 E.3.2, Clean Recognizable Visual Features Option).
//!
//! A series is looked at as a whole before any of its images is given out: its head is found on a [grid of its own](HeadGrid),
//! the [face](FaceRegion) in it, and then every image loses the part that it shows of it. What is blanked has the value of air.
//! Where the face is not safely found the images of the series are left out, never given out with it.

use std::collections::BTreeMap;

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use hilum_volume::{Geometry, Volume, VoxelPoint};
use rayon::prelude::*;

use super::face::FaceRegion;
use super::head_grid::{CELL_MM, Contrast, HeadGrid};
use super::rewrite::{RawElement, element};
use super::{read_whole, screen};
use crate::Limits;
use crate::dataset::Dataset;
use crate::frame::{self, frame_bytes, padding_applies};
use crate::image::{ImageHeader, Unit};
use crate::part10::Layout;
use crate::scan::SkipReason;
use crate::source::Item;
use crate::stack::{self, Plane};
use crate::syntax::{Encoding, Syntax};
use crate::transcode;

/// Code and meaning in CID 7050 (PS3.16).
pub(super) const METHOD: (&str, &str) = ("113102", "Clean Recognizable Visual Features Option");

/// What the key notes of a defaced object in place of its original elements.
pub(super) const KEY_MARK: &[u8] = b"defaced";

/// Air (PS3.3 C.11.1.1.2: −1000 HU).
const AIR_HU: f64 = -1000.0;

/// Why the face of a head cannot be blanked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Undefaceable {
    /// PET and nuclear medicine, enhanced and other multi-frame images.
    #[error("only single-frame CT and MR images are defaced")]
    Kind,
    /// A projection shows the profile, and has no depth to find it in.
    #[error("a localiser shows the profile of the face")]
    Localiser,
    /// Inverted grey, or colour.
    #[error("the photometric interpretation is not MONOCHROME2")]
    Photometric,
    /// Bits or scale that leave no number for air, or that are not known.
    #[error("the pixels are stored or scaled in a way in which air cannot be written")]
    Pixels,
    /// The image has no place in the patient.
    #[error("the image does not say validly where it lies in the patient")]
    NoPlace,
    /// Pixels could not be decoded.
    #[error("an image of the series cannot be decoded: {0}")]
    Undecoded(SkipReason),
    /// A face has no form in one slice, nor can it be found in one.
    #[error("the series has one slice only")]
    OneSlice,
    /// Slices missing, uneven, turned against each other, or several at one place.
    #[error("the slices of the series are no regular grid with one image at each place")]
    NoGrid,
    /// Beyond the limits.
    #[error("the series is larger than the limits allow")]
    TooLarge,
    /// Forehead, occiput, vertex or side lie outside the images.
    #[error("the upper head is not whole in the images")]
    HeadCut,
    /// Nose or mouth lie outside the images, wholly or in part.
    #[error("nose and mouth are not whole in the images")]
    FaceCut,
    /// Length and breadth are not those of a head.
    #[error("what is largest in the images has not the size of a head")]
    NoHead,
    /// The most anterior point is none: a head bent or turned, or something before the face.
    #[error("no nose is found where that of an upright head is: it may be bent, turned or covered")]
    NoNose,
}

/// How one series is blanked.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Blanking {
    region: FaceRegion,
    /// MR: the stored number of air.
    mr_air: i32,
}

/// What is done with each series that shows a head.
#[derive(Default)]
pub(super) struct Defacing {
    series: BTreeMap<String, Result<Blanking, Undefaceable>>,
}

/// An image of a series with a head, as far as it can be one that is defaced.
struct Candidate {
    item: Item,
    header: ImageHeader,
    plane: Plane,
}

impl Defacing {
    /// Looks through all files for series of heads and finds their faces.
    pub(super) fn plan(items: &[Item], limits: &Limits) -> Self {
        let looked: Vec<Looked> = items.par_iter().filter_map(|item| look(item, limits)).collect();
        let mut series: BTreeMap<String, (bool, Vec<Candidate>)> = BTreeMap::new();
        for Looked { series_uid, is_head, candidate } in looked {
            let entry = series.entry(series_uid).or_default();
            entry.0 |= is_head;
            entry.1.extend(candidate);
        }
        let heads = series.into_iter().filter(|(_, (is_head, _))| *is_head);
        Self { series: heads.map(|(uid, (_, candidates))| (uid, blanking(&candidates, limits))).collect() }
    }

    /// How the series is blanked; `None` if it shows no head.
    pub(super) fn of(&self, series_uid: &str) -> Option<&Result<Blanking, Undefaceable>> {
        self.series.get(series_uid)
    }
}

struct Looked {
    series_uid: String,
    is_head: bool,
    candidate: Option<Candidate>,
}

/// What a file adds to a series of which faces may be seen; `None` if nothing.
fn look(item: &Item, limits: &Limits) -> Option<Looked> {
    let bytes = read_whole(item, limits).ok()?;
    let layout = Layout::of(&bytes, limits).ok()?;
    let content = layout.content(&bytes, limits).ok()?;
    let dataset = Dataset::parse(&content, layout.syntax.encoding, limits).ok()?;
    if !screen::shows_faces(&dataset) {
        return None;
    }
    let series_uid = dataset.text(tags::SERIES_INSTANCE_UID)?;
    let candidate = candidate(&dataset, layout.syntax).ok();
    let candidate = candidate.map(|(header, plane)| Candidate { item: item.clone(), header, plane });
    Some(Looked { series_uid, is_head: screen::is_head(&dataset), candidate })
}

/// Header and place of an image whose face can be blanked, if it is found.
fn candidate(dataset: &Dataset<'_>, syntax: Syntax) -> Result<(ImageHeader, Plane), Undefaceable> {
    let header = ImageHeader::of(dataset, syntax).ok_or(Undefaceable::NoPlace)?;
    let contrast = contrast(&header).ok_or(Undefaceable::Kind)?;
    let [frame] = &header.frames[..] else { return Err(Undefaceable::Kind) };
    if frame.localiser {
        return Err(Undefaceable::Localiser);
    }
    let photometric = dataset.text(tags::PHOTOMETRIC_INTERPRETATION);
    if photometric.as_deref() != Some("MONOCHROME2") || header.pixels.samples != 1 {
        return Err(Undefaceable::Photometric);
    }
    let (slope, intercept) = rescale(&header);
    let is_scaled = slope > 0.0 && slope.is_finite() && intercept.is_finite();
    let is_ct_scale = contrast == Contrast::Mr || (frame.rescale.is_some() && frame.unit != Unit::Other);
    if !is_scaled || !is_ct_scale || !frame::bits_fit(&header.pixels, syntax.codec) {
        return Err(Undefaceable::Pixels);
    }
    // If air is no number, what is left of the face would not look like air.
    let air_hu = slope * f64::from(ct_air(&header)) + intercept;
    if contrast == Contrast::Ct && (air_hu - AIR_HU).abs() > 0.5 * slope + 100.0 {
        return Err(Undefaceable::Pixels);
    }
    let plane = Plane::of(frame, &header.pixels).map_err(|_| Undefaceable::NoPlace)?;
    Ok((header, plane))
}

/// Whether an image can be defaced as far as it shows by itself.
pub(super) fn check(dataset: &Dataset<'_>, syntax: Syntax) -> Result<(), Undefaceable> {
    candidate(dataset, syntax).map(|_| ())
}

/// CT Image Storage and MR Image Storage; nothing else is defaced.
fn contrast(header: &ImageHeader) -> Option<Contrast> {
    match (&header.sop_class_uid[..], &header.modality[..]) {
        ("1.2.840.10008.5.1.4.1.1.2", "CT") => Some(Contrast::Ct),
        ("1.2.840.10008.5.1.4.1.1.4", "MR") => Some(Contrast::Mr),
        _ => None,
    }
}

/// Rescale Slope and Intercept; MR need not have any.
fn rescale(header: &ImageHeader) -> (f64, f64) {
    header.frames.first().and_then(|frame| frame.rescale).unwrap_or((1.0, 0.0))
}

/// The stored number nearest to air in HU.
fn ct_air(header: &ImageHeader) -> i32 {
    let (slope, intercept) = rescale(header);
    let bits = u32::from(header.pixels.bits_stored.clamp(1, 16));
    let (low, high) =
        if header.pixels.signed { (-(1i64 << (bits - 1)), (1i64 << (bits - 1)) - 1) } else { (0, (1i64 << bits) - 1) };
    ((AIR_HU - intercept) / slope).round().clamp(low as f64, high as f64) as i32
}

/// Finds the face of a series.
fn blanking(candidates: &[Candidate], limits: &Limits) -> Result<Blanking, Undefaceable> {
    let planes: Vec<Plane> = candidates.iter().map(|candidate| candidate.plane.clone()).collect();
    let first = candidates.first().and_then(|candidate| contrast(&candidate.header)).ok_or(Undefaceable::OneSlice)?;
    if candidates.iter().any(|candidate| contrast(&candidate.header) != Some(first)) {
        return Err(Undefaceable::NoGrid);
    }
    let stack = stack::arrange(&planes).map_err(|refusal| match refusal {
        crate::Refusal::OneSlice => Undefaceable::OneSlice,
        _ => Undefaceable::NoGrid,
    })?;
    let slices: Option<Vec<usize>> = stack.slices.iter().copied().collect();
    let slices = slices.filter(|slices| slices.len() == candidates.len()).ok_or(Undefaceable::NoGrid)?;
    let [_, rows, columns] = stack.geometry.shape();
    if slices.len().checked_mul(rows * columns).is_none_or(|voxels| voxels > limits.max_voxels) {
        return Err(Undefaceable::TooLarge);
    }
    let reduction = Reduction::of(&stack.geometry);
    let read: Result<Vec<_>, _> = slices.par_iter().map(|index| reduction.slice(&candidates[*index], limits)).collect();
    let read = read.map_err(Undefaceable::Undecoded)?;
    let lowest = read.iter().map(|(_, lowest)| *lowest).min().unwrap_or(0);
    let values = read.into_iter().flat_map(|(values, _)| values).collect();
    let geometry = reduction.geometry(&stack.geometry).ok_or(Undefaceable::NoGrid)?;
    let values = Volume::new(geometry, values).map_err(|_| Undefaceable::NoGrid)?;
    let region = FaceRegion::find(&HeadGrid::of(&values, first, limits)?)?;
    Ok(Blanking { region, mr_air: lowest.min(0) })
}

/// Slices taken together by blocks of pixels about as large as the cells that heads are looked for in.
#[derive(Clone, Copy)]
struct Reduction {
    rows: usize,
    columns: usize,
}

impl Reduction {
    fn of(geometry: &Geometry) -> Self {
        let [_, row_mm, column_mm] = geometry.spacing_mm();
        let [_, rows, columns] = geometry.shape();
        let block = |mm: f64, most: usize| ((CELL_MM / mm) as usize).clamp(1, most);
        Self { rows: block(row_mm, rows), columns: block(column_mm, columns) }
    }

    /// The grid of the blocks; pixels left over at the end are not used.
    fn geometry(self, whole: &Geometry) -> Option<Geometry> {
        let [slices, rows, columns] = whole.shape();
        let [slice_mm, row_mm, column_mm] = whole.spacing_mm();
        let middle = |block: usize| (block - 1) as f64 / 2.0;
        let origin = whole.patient_from_voxel(VoxelPoint([0.0, middle(self.rows), middle(self.columns)]));
        let shape = [slices, rows / self.rows, columns / self.columns];
        let spacing_mm = [slice_mm, row_mm * self.rows as f64, column_mm * self.columns as f64];
        Geometry::new(shape, origin, whole.axes(), spacing_mm).ok()
    }

    /// Mean values of the blocks of one slice, and the lowest stored number.
    fn slice(self, candidate: &Candidate, limits: &Limits) -> Result<(Vec<f32>, i32), SkipReason> {
        let bytes = read_whole(&candidate.item, limits)?;
        let layout = Layout::of(&bytes, limits)?;
        let content = layout.content(&bytes, limits)?;
        let dataset = Dataset::parse(&content, layout.syntax.encoding, limits)?;
        let header = &candidate.header;
        let words = words(&dataset, header, limits)?;
        let (pixels, scale) = (&header.pixels, rescale(header));
        let padding = padding_applies(pixels, scale).then_some(pixels.padding).flatten();
        let (height, width) = (pixels.rows / self.rows, pixels.columns / self.columns);
        let mut sums = vec![0f64; height * width];
        let mut lowest = i32::MAX;
        for row in 0..height * self.rows {
            for column in 0..width * self.columns {
                let number = frame::stored_number(words[row * pixels.columns + column], pixels);
                lowest = lowest.min(number);
                let is_padding = padding.is_some_and(|(low, high)| (low..=high).contains(&number));
                let value = if is_padding { AIR_HU } else { scale.0 * f64::from(number) + scale.1 };
                sums[row / self.rows * width + column / self.columns] += value;
            }
        }
        let block = (self.rows * self.columns) as f64;
        Ok((sums.into_iter().map(|sum| (sum / block) as f32).collect(), lowest))
    }
}

/// The one frame of an image as it was unpacked.
fn words(dataset: &Dataset<'_>, header: &ImageHeader, limits: &Limits) -> Result<Vec<u16>, SkipReason> {
    if header.pixels.rows.max(header.pixels.columns) > limits.max_side || header.pixels.pixels() > limits.max_voxels {
        return Err(SkipReason::TooLarge);
    }
    let pixels = dataset.pixel_data()?.ok_or(SkipReason::CutShort)?;
    let words = frame::stored(&frame_bytes(&pixels, &header.pixels, 0, 1)?, &header.pixels, header.syntax, limits)?;
    if words.len() == header.pixels.pixels() { Ok(words) } else { Err(SkipReason::Damaged) }
}

/// The data set of an image in Explicit VR Little Endian with the face blanked.
pub(super) fn blanked(
    content: &[u8],
    dataset: &Dataset<'_>,
    syntax: Syntax,
    blanking: &Blanking,
    limits: &Limits,
) -> Result<Vec<u8>, Undefaceable> {
    let (header, plane) = candidate(dataset, syntax)?;
    let mut words = words(dataset, &header, limits).map_err(Undefaceable::Undecoded)?;
    let layout = &header.pixels;
    let air = if contrast(&header) == Some(Contrast::Ct) { ct_air(&header) } else { blanking.mr_air };
    let air = frame::word_of(air, layout);
    for (row, line) in words.chunks_exact_mut(layout.columns).enumerate() {
        for (column, word) in line.iter_mut().enumerate() {
            if blanking.region.contains(plane.centre_of(row, column)) {
                *word = air;
            }
        }
    }
    let pixels: Vec<u8> = if layout.bits_allocated > 8 {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    } else {
        words.iter().map(|word| *word as u8).collect()
    };
    transcode::data_set(content, syntax.encoding, Encoding::EXPLICIT, Some(&pixels), limits)
        .map_err(|fault| Undefaceable::Undecoded(fault.into()))
}

/// Says in a defaced object what was done (PS3.15 E.3.2, PS3.3 C.7.6.1.1.2), and takes out what is no longer true of its pixels.
pub(super) fn declare(elements: &mut Vec<RawElement>, original: &Dataset<'_>, syntax: Syntax) {
    let no_longer_true = [
        tags::SMALLEST_IMAGE_PIXEL_VALUE,
        tags::LARGEST_IMAGE_PIXEL_VALUE,
        tags::SMALLEST_PIXEL_VALUE_IN_SERIES,
        tags::LARGEST_PIXEL_VALUE_IN_SERIES,
        tags::EXTENDED_OFFSET_TABLE,
        tags::EXTENDED_OFFSET_TABLE_LENGTHS,
        tags::ENCAPSULATED_PIXEL_DATA_VALUE_TOTAL_LENGTH,
    ];
    let said = [tags::IMAGE_TYPE, tags::DERIVATION_DESCRIPTION, tags::RECOGNIZABLE_VISUAL_FEATURES];
    elements.retain(|(tag, _)| !no_longer_true.contains(tag) && !said.contains(tag));
    let mut put = |tag: Tag, vr: &[u8; 2], text: &str| {
        let mut value = text.as_bytes().to_vec();
        if value.len() % 2 == 1 {
            value.push(b' ');
        }
        elements.push((tag, element(tag, Some(*vr), &value, Encoding::EXPLICIT)));
    };
    let image_type = original.text(tags::IMAGE_TYPE).unwrap_or_default();
    let rest = image_type.split_once('\\').map_or("PRIMARY", |(_, rest)| rest);
    put(tags::IMAGE_TYPE, b"CS", &format!("DERIVED\\{rest}"));
    put(tags::RECOGNIZABLE_VISUAL_FEATURES, b"CS", "NO");
    let said = format!("Face blanked with air by Hilum {}", env!("CARGO_PKG_VERSION"));
    put(tags::DERIVATION_DESCRIPTION, b"ST", &said);
    // Unpacked pixels no longer show that packing may have changed them; whoever does not deny it is taken to have lost something.
    if syntax.may_be_lossy && original.text(tags::LOSSY_IMAGE_COMPRESSION).is_none() {
        put(tags::LOSSY_IMAGE_COMPRESSION, b"CS", "01");
    }
}

/// Whether an object says that its face was blanked in de-identification.
pub(super) fn is_defaced(dataset: &Dataset<'_>) -> bool {
    let codes = dataset.items(tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE).unwrap_or_default();
    codes.iter().any(|code| code.text(tags::CODE_VALUE).as_deref() == Some(METHOD.0))
}
