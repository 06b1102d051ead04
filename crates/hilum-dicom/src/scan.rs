//! A first look: which series a source holds, from the headers alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use dicom_dictionary_std::tags;
use rayon::prelude::*;

use crate::dataset::{Dataset, Fault};
use crate::frame;
use crate::image::ImageHeader;
use crate::part10::Layout;
use crate::source::{self, Item, Source};
use crate::syntax::Codec;
use crate::{Limits, Refusal};

/// How much of each file is read at first. Headers of classic CT images take 2 to 60 KB; the rest is read when needed.
const HEAD_BYTES: u64 = 1 << 16;

/// The series of a source.
#[derive(Clone, Debug)]
pub struct Scan {
    series: Vec<SeriesSummary>,
    skipped: Vec<Skipped>,
    pub(crate) members: BTreeMap<String, Vec<Member>>,
    pub(crate) limits: Limits,
}

/// One object of a series.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) item: Item,
    pub(crate) header: ImageHeader,
}

/// What the headers of one series say; enough to choose by. Where images differ, the most frequent value counts.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesSummary {
    /// Study Instance UID.
    pub study_uid: String,
    /// Series Instance UID.
    pub series_uid: String,
    /// Modality, `CT` for computed tomography.
    pub modality: String,
    /// Series Description. May hold anything a technician typed.
    pub description: String,
    /// Series Number.
    pub series_number: Option<i64>,
    /// Manufacturer.
    pub manufacturer: String,
    /// Convolution Kernel.
    pub convolution_kernel: String,
    /// Body Part Examined, upper case.
    pub body_part_examined: String,
    /// Image Type, all values.
    pub image_type: Vec<String>,
    /// Date of acquisition, `YYYYMMDD`, or of the series or study where that is not given.
    pub acquisition_date: String,
    /// Study Date `YYYYMMDD`, empty if absent: the same for results as for the images they are about.
    pub study_date: String,
    /// Time of acquisition of the first image, `HHMMSS`, or empty.
    pub acquisition_time: String,
    /// A pseudonym of the patient; equal keys mean the same identity. Never the name.
    pub patient_key: String,
    /// SOP Class UIDs, sorted.
    pub sop_classes: Vec<String>,
    /// Frames with pixels, localisers included.
    pub images: usize,
    /// Frames that are localisers.
    pub localisers: usize,
    /// Rows and columns.
    pub rows_columns: [usize; 2],
    /// Distance between rows and between columns in mm.
    pub pixel_spacing_mm: Option<[f64; 2]>,
    /// Slice Thickness in mm.
    pub slice_thickness_mm: Option<f64>,
    /// Median distance between slices along their normal in mm; `None` with less than two places.
    pub slice_spacing_mm: Option<f64>,
    /// Distance from the first to the last slice along their normal in mm.
    pub coverage_mm: f64,
    /// The patient direction that the slices' normal comes closest to.
    pub orientation: Option<PlaneOrientation>,
    /// Whether a contrast agent is named.
    pub contrast: bool,
}

/// The anatomical plane that slices come closest to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PlaneOrientation {
    /// Normal along the body.
    Axial,
    /// Normal from front to back.
    Coronal,
    /// Normal from side to side.
    Sagittal,
}

/// A file that is no usable image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its name within the source. File names may hold patient names: not for logs.
    pub name: PathBuf,
    /// Why.
    pub reason: SkipReason,
}

/// Why a file was passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SkipReason {
    /// The operating system could not read it.
    #[error("the file cannot be read")]
    Unreadable,
    /// It is something else.
    #[error("not a DICOM file")]
    NotDicom,
    /// It ends before it should.
    #[error("the file is cut short")]
    CutShort,
    /// Its structure makes no sense.
    #[error("the file is damaged")]
    Damaged,
    /// The pixels are more than those of the image it describes.
    #[error("the file is damaged: its pixels are more than its rows, columns and frames")]
    ExcessPixels,
    /// It asks for more than the limits allow.
    #[error("the file exceeds the limits for foreign files")]
    TooLarge,
    /// Its transfer syntax is not read.
    #[error("the images are compressed in a way that is not read")]
    TransferSyntax,
    /// Study, series or instance has no UID.
    #[error("the file does not say which study and series it belongs to")]
    NoIdentity,
    /// It is a DICOM object without images: a report, a plan, a directory.
    #[error("the DICOM object holds no images")]
    NoImage,
    /// The worker process died that decoded it, from what it holds or beyond its memory.
    #[error("the decoder of its compressed images crashed or ran out of its memory")]
    DecoderDied,
    /// The worker process took longer than a frame may.
    #[error("decoding its compressed images took longer than is allowed")]
    DecoderTimeout,
    /// The frames of the series or object took longer together than they may.
    #[error("decoding its compressed images took longer altogether than is allowed")]
    SeriesTimeout,
    /// No worker process could be started.
    #[error("the process that decodes compressed images could not be started")]
    NoDecoder,
}

impl SkipReason {
    /// Whether the file is something else, and not an image that failed.
    pub(crate) fn is_of_another_kind(self) -> bool {
        matches!(self, Self::NotDicom | Self::NoImage)
    }
}

/// Looks through a source and lists its series, those with most images first.
///
/// Only headers are read. Files that are not images are listed as skipped; what is wrong with a series as a whole is
/// said by [`load`](crate::load).
///
/// # Errors
/// [`Refusal::Unreadable`] if the source cannot be read, [`Refusal::TooLarge`] beyond the limits,
/// [`Refusal::Zip`] for a damaged or locked ZIP, [`Refusal::Empty`] if there is no file, and [`Refusal::NoImages`] if
/// none of the files is a DICOM image.
pub fn scan(source: &Source, limits: &Limits) -> Result<Scan, Refusal> {
    let items = source::items(source, limits)?;
    if items.is_empty() {
        return Err(Refusal::Empty);
    }
    // The order of the items is kept, so the result does not depend on threads.
    let looked: Vec<(Item, Result<ImageHeader, SkipReason>)> = items
        .into_par_iter()
        .map(|item| {
            let header = look(&item, limits);
            (item, header)
        })
        .collect();
    let mut members: BTreeMap<String, Vec<Member>> = BTreeMap::new();
    let mut skipped = Vec::new();
    for (item, header) in looked {
        match header {
            Ok(header) => members.entry(header.series_uid.clone()).or_default().push(Member { item, header }),
            Err(reason) => skipped.push(Skipped { name: item.name, reason }),
        }
    }
    if members.is_empty() {
        return Err(Refusal::NoImages { reason: most_telling(&skipped) });
    }
    for members in members.values_mut() {
        // File names must not decide anything, so the order is that of the identifiers.
        members.sort_by(|a, b| {
            (&a.header.sop_instance_uid, &a.item.name).cmp(&(&b.header.sop_instance_uid, &b.item.name))
        });
    }
    let mut series: Vec<SeriesSummary> = members.values().map(|m| SeriesSummary::of(m)).collect();
    series.sort_by(|a, b| b.images.cmp(&a.images).then_with(|| a.series_uid.cmp(&b.series_uid)));
    Ok(Scan { series, skipped, members, limits: limits.clone() })
}

impl Scan {
    /// The series, those with most images first.
    #[must_use]
    pub fn series(&self) -> &[SeriesSummary] {
        &self.series
    }

    /// The files that were passed over, with the reason.
    #[must_use]
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// The series with this UID.
    ///
    /// # Errors
    /// [`Refusal::NoSuchSeries`] if there is none.
    pub fn find(&self, series_uid: &str) -> Result<&SeriesSummary, Refusal> {
        self.series.iter().find(|s| s.series_uid == series_uid).ok_or(Refusal::NoSuchSeries)
    }

    /// Number of different patients.
    #[must_use]
    pub fn patients(&self) -> usize {
        self.series.iter().map(|s| &s.patient_key).collect::<BTreeSet<_>>().len()
    }

    /// Refuses a source with images of more than one patient: nobody but the user may choose between them.
    ///
    /// # Errors
    /// [`Refusal::SeveralPatients`].
    pub fn require_one_patient(&self) -> Result<(), Refusal> {
        match self.patients() {
            0 | 1 => Ok(()),
            patients => Err(Refusal::SeveralPatients { patients }),
        }
    }
}

/// The header of one file, its beginning read first and all of it only if that does not do.
fn look(item: &Item, limits: &Limits) -> Result<ImageHeader, SkipReason> {
    if item.bytes > limits.max_file_bytes {
        return Err(SkipReason::TooLarge);
    }
    let head = item.read(HEAD_BYTES).map_err(|_| SkipReason::Unreadable)?;
    if item.bytes <= HEAD_BYTES {
        return parse(&head, item.bytes, limits);
    }
    match parse(&head, item.bytes, limits) {
        Err(SkipReason::CutShort) => {
            let all = item.read(u64::MAX).map_err(|_| SkipReason::Unreadable)?;
            parse(&all, item.bytes, limits)
        }
        parsed => parsed,
    }
}

fn parse(bytes: &[u8], file_bytes: u64, limits: &Limits) -> Result<ImageHeader, SkipReason> {
    let layout = Layout::of(bytes, limits)?;
    let content = layout.content(bytes, limits)?;
    let dataset = Dataset::parse(&content, layout.syntax.encoding, limits).map_err(|fault| match fault {
        // A bare data set is recognised by two bytes, which something else may start with as well.
        Fault::Malformed if layout.is_bare() => SkipReason::NotDicom,
        fault => fault.into(),
    })?;
    if dataset.is_empty() {
        return Err(SkipReason::CutShort);
    }
    if !dataset.has_pixels() {
        // Whoever says how large an image is, has one; a file cut within its header has lost it.
        let announced = dataset.u16(tags::ROWS).is_some_and(|rows| rows > 0);
        return Err(if announced { SkipReason::CutShort } else { SkipReason::NoImage });
    }
    let header = ImageHeader::of(&dataset, layout.syntax).ok_or(SkipReason::NoIdentity)?;
    let side = header.pixels.rows.max(header.pixels.columns);
    if header.pixels.pixels() == 0 {
        return Err(SkipReason::Damaged);
    }
    if side > limits.max_side {
        return Err(SkipReason::TooLarge);
    }
    if let (Codec::Native, false) = (layout.syntax.codec, layout.syntax.deflated) {
        let needed = header.pixels.frame_bytes() as u64 * header.frames.len() as u64;
        let declared = header.declared_pixel_bytes.ok_or(SkipReason::Damaged)?;
        if declared < needed {
            return Err(SkipReason::Damaged);
        }
        // Frames without places of their own (segmentations, captures of several frames) are no volume and are not counted here.
        if !header.frames.is_empty() {
            frame::refuse_excess(declared, &header.pixels, header.frames.len())?;
        }
        let before = (bytes.len() - content.len() + dataset.pixel_offset()) as u64;
        if needed > file_bytes.saturating_sub(before) {
            return Err(SkipReason::CutShort);
        }
    }
    Ok(header)
}

/// The reason that tells a user most: one about DICOM files before "not a DICOM file".
fn most_telling(skipped: &[Skipped]) -> SkipReason {
    let mut counts: BTreeMap<(bool, usize), SkipReason> = BTreeMap::new();
    for candidate in skipped {
        let count = skipped.iter().filter(|s| s.reason == candidate.reason).count();
        counts.entry((candidate.reason != SkipReason::NotDicom, count)).or_insert(candidate.reason);
    }
    counts.into_values().next_back().unwrap_or(SkipReason::NotDicom)
}

/// The most frequent value; of equally frequent ones the smallest.
fn most_frequent<T: Ord + Clone>(values: impl Iterator<Item = T>) -> Option<T> {
    let mut counts: BTreeMap<T, usize> = BTreeMap::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    let best = counts.values().copied().max()?;
    counts.into_iter().find(|(_, count)| *count == best).map(|(value, _)| value)
}

impl SeriesSummary {
    fn of(members: &[Member]) -> Self {
        let headers = || members.iter().map(|m| &m.header);
        let frames = || headers().flat_map(|h| &h.frames);
        let text = |of: fn(&ImageHeader) -> &String| most_frequent(headers().map(of).cloned()).unwrap_or_default();
        // Floating numbers are compared by their bits, which is enough for "most frequent".
        let spacing = most_frequent(frames().filter_map(|f| f.spacing_mm).map(|s| s.map(f64::to_bits)));
        let thickness = most_frequent(frames().filter_map(|f| f.thickness_mm).map(f64::to_bits));
        let orientation =
            most_frequent(frames().filter(|f| !f.localiser).filter_map(|f| f.orientation).map(|o| o.map(f64::to_bits)));
        let normal = orientation.map(|o| normal_of(&o.map(f64::from_bits)));
        let mut places: Vec<f64> = normal.map_or_else(Vec::new, |n| {
            let along = |p: [f64; 3]| (0..3).map(|a| p[a] * n[a]).sum::<f64>();
            frames()
                .filter(|f| f.orientation.map(|o| o.map(f64::to_bits)) == orientation)
                .filter_map(|f| f.position)
                .map(along)
                .collect()
        });
        places.sort_by(f64::total_cmp);
        let mut steps: Vec<f64> = places.windows(2).map(|w| w[1] - w[0]).filter(|step| *step > 1e-3).collect();
        steps.sort_by(f64::total_cmp);
        Self {
            study_uid: text(|h| &h.study_uid),
            series_uid: text(|h| &h.series_uid),
            modality: text(|h| &h.modality),
            description: text(|h| &h.description),
            series_number: headers().find_map(|h| h.series_number),
            manufacturer: text(|h| &h.manufacturer),
            convolution_kernel: text(|h| &h.convolution_kernel),
            body_part_examined: text(|h| &h.body_part_examined),
            image_type: most_frequent(headers().map(|h| h.image_type.clone())).unwrap_or_default(),
            acquisition_date: text(|h| &h.acquisition_date),
            study_date: text(|h| &h.study_date),
            acquisition_time: headers()
                .map(|h| &h.acquisition_time)
                .filter(|t| !t.is_empty())
                .min()
                .cloned()
                .unwrap_or_default(),
            patient_key: text(|h| &h.patient_key),
            sop_classes: headers().map(|h| h.sop_class_uid.clone()).collect::<BTreeSet<_>>().into_iter().collect(),
            images: headers().map(|h| h.frames.len()).sum(),
            localisers: frames().filter(|f| f.localiser).count(),
            rows_columns: most_frequent(headers().map(|h| [h.pixels.rows, h.pixels.columns])).unwrap_or_default(),
            pixel_spacing_mm: spacing.map(|s| s.map(f64::from_bits)),
            slice_thickness_mm: thickness.map(f64::from_bits),
            slice_spacing_mm: steps.get(steps.len() / 2).copied(),
            coverage_mm: places.last().zip(places.first()).map_or(0.0, |(last, first)| last - first),
            orientation: normal.map(PlaneOrientation::of_normal),
            contrast: headers().any(|h| h.contrast),
        }
    }
}

/// Row cosine × column cosine.
pub(crate) fn normal_of(o: &[f64; 6]) -> [f64; 3] {
    [o[1] * o[5] - o[2] * o[4], o[2] * o[3] - o[0] * o[5], o[0] * o[4] - o[1] * o[3]]
}

impl PlaneOrientation {
    fn of_normal(normal: [f64; 3]) -> Self {
        let [x, y, z] = normal.map(f64::abs);
        if z >= x && z >= y {
            Self::Axial
        } else if y >= x {
            Self::Coronal
        } else {
            Self::Sagittal
        }
    }
}
