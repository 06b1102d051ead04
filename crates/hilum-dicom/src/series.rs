//! A series loaded: its volume in HU, where every slice came from, and what was wrong with it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use hilum_volume::Volume;
use rayon::prelude::*;

use crate::dataset::Dataset;
use crate::frame::{self, Rescale};
use crate::image::{Frame, Unit};
use crate::note::{Note, NoteKind};
use crate::part10::Layout;
use crate::scan::{Member, Scan, SeriesSummary, SkipReason};
use crate::stack::{self, Plane, Stack};
use crate::{Limits, Refusal};

/// A CT series as a volume.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// What the headers say; slice thickness, kernel, patient key and the like.
    pub summary: SeriesSummary,
    /// HU, index 0 at the foot end (for axial slices), `[slice, row, column]`; the rows and columns are those of the
    /// images.
    pub volume: Volume<i16>,
    /// The images the slices came from, in slice order. Interpolated slices have none.
    pub instances: Vec<SourceInstance>,
    /// Flaws that were worked around.
    pub notes: Vec<Note>,
}

/// The image a slice came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceInstance {
    /// SOP Instance UID.
    pub sop_instance_uid: String,
    /// SOP Class UID.
    pub sop_class_uid: String,
    /// Frame number, counted from 1 as DICOM does; `None` in single-frame objects.
    pub frame: Option<u32>,
    /// Slice of the volume.
    pub slice_index: usize,
}

/// A frame that may become a slice.
#[derive(Clone, Copy)]
struct Candidate<'a> {
    member: &'a Member,
    /// Which member of the series.
    file: usize,
    frame: &'a Frame,
    number: usize,
}

/// Loads one series: checks it, orders its slices, decodes them in parallel and rescales them to HU.
///
/// `progress` is called from several threads with the share that is done, 0 to 1. The result does not depend on file
/// names, file order or threads.
///
/// # Errors
/// A [`Refusal`] that says in one sentence why this series is no volume in HU.
pub fn load(scan: &Scan, series_uid: &str, progress: &(dyn Fn(f32) + Sync)) -> Result<Series, Refusal> {
    let summary = scan.find(series_uid)?.clone();
    let members = scan.members.get(series_uid).ok_or(Refusal::NoSuchSeries)?;
    let mut notes = Vec::new();
    let unread = scan.skipped().iter().filter(|skipped| !skipped.reason.is_of_another_kind()).count();
    if unread > 0 {
        notes.push(NoteKind::UnreadableFile { count: unread });
    }
    let mut candidates = candidates(members, &mut notes)?;
    let images = candidates.len();
    let pixels = candidates.iter().map(|c| c.member.header.pixels.pixels() as u64).sum();
    let limits = scan.limits.for_series(pixels);
    let mut damaged = 0;
    loop {
        let planes = candidates.iter().map(Candidate::plane).collect::<Result<Vec<_>, _>>()?;
        let stack = stack::arrange(&planes)?;
        match decode(&candidates, &stack, &limits, progress)? {
            Decoded::Whole { volume, conflicts, agreements, more_bits } => {
                if more_bits {
                    notes.push(NoteKind::UnusedBitsSet);
                }
                if damaged > 0 {
                    notes.push(NoteKind::DamagedImage { count: damaged });
                }
                return finish(summary, &candidates, stack, volume, (conflicts, agreements), notes);
            }
            // Damaged images count as missing, and the rest is arranged anew.
            Decoded::Damaged { failed, reason } => {
                damaged += failed.len();
                let given_up = reason == SkipReason::SeriesTimeout;
                if given_up || damaged * 2 > images || failed.len() + 2 > candidates.len() {
                    return Err(Refusal::Damaged { damaged, images, reason });
                }
                let mut index = 0;
                candidates.retain(|_| {
                    index += 1;
                    !failed.contains(&(index - 1))
                });
            }
        }
    }
}

impl Candidate<'_> {
    fn plane(&self) -> Result<Plane, Refusal> {
        Plane::of(self.frame, &self.member.header.pixels)
    }

    fn rescale(&self) -> (f64, f64) {
        self.frame.rescale.expect("frames without rescaling were refused")
    }
}

/// The frames that are slices in HU, in an order that depends on their content alone, or why there are none.
fn candidates<'a>(members: &'a [Member], notes: &mut Vec<NoteKind>) -> Result<Vec<Candidate<'a>>, Refusal> {
    let headers = || members.iter().map(|m| &m.header);
    if let Some(other) = headers().find(|h| h.modality != "CT") {
        let code = &other.modality;
        // A modality is a short code; anything else could be a name.
        let known = code.len() <= 8 && !code.is_empty() && code.bytes().all(|b| b.is_ascii_uppercase());
        return Err(Refusal::NotCt { modality: if known { code.clone() } else { "of unknown modality".into() } });
    }
    let patients: BTreeSet<_> = headers().map(|h| &h.patient_key).collect();
    if patients.len() > 1 {
        return Err(Refusal::PatientsInSeries { patients: patients.len() });
    }
    let mut localisers = 0;
    let mut found = Vec::new();
    for (file, member) in members.iter().enumerate() {
        let header = &member.header;
        if header.frames.is_empty() {
            return Err(Refusal::Missing("where their frames lie in the patient"));
        }
        for (number, frame) in header.frames.iter().enumerate() {
            if frame.localiser {
                localisers += 1;
            } else {
                found.push(Candidate { member, file, frame, number });
            }
        }
    }
    if found.is_empty() {
        return Err(Refusal::LocaliserOnly);
    }
    let all = found.len();
    let mut unfit = None;
    found.retain(|c| check(c).map_err(|refusal| unfit.get_or_insert(refusal).clone()).is_ok());
    let strangers = all - found.len();
    if let Some(refusal) = unfit.filter(|_| strangers as f64 > STRANGER_SHARE * all as f64) {
        return Err(refusal);
    }
    if strangers > 0 {
        notes.push(NoteKind::UnfitImageSkipped { count: strangers });
    }
    if localisers > 0 {
        notes.push(NoteKind::LocaliserSkipped { count: localisers });
    }
    // Of several images at one place the earliest acquisition is kept; the UID settles the rest. The members come in the
    // order of UID and name, which this sort keeps.
    found.sort_by_key(|c| {
        let h = &c.member.header;
        (h.acquisition_number, h.instance_number, h.sop_instance_uid.as_str(), c.number)
    });
    Ok(found)
}

/// Dose reports and screenshots within a series of slices are set aside up to this share of the images.
const STRANGER_SHARE: f64 = 0.10;

/// Whether the numbers of a frame can be Hounsfield units at all, and whether it has a place.
fn check(candidate: &Candidate<'_>) -> Result<(), Refusal> {
    let header = &candidate.member.header;
    let layout = &header.pixels;
    let fault = if header.sop_class_uid.starts_with("1.2.840.10008.5.1.4.1.1.7") {
        "they are secondary captures, pictures of the screen"
    } else if layout.samples != 1 || !layout.grey {
        "they are colour pictures"
    } else if candidate.frame.unit == Unit::Other {
        "they name another unit"
    } else if candidate.frame.rescale.is_none() {
        "they do not say how stored numbers become HU"
    } else if candidate.frame.rescale.is_some_and(|(slope, _)| slope <= 0.0) {
        "their rescale slope is not positive"
    } else if candidate.frame.rescale.is_some_and(|(slope, intercept)| slope > 16.0 || intercept.abs() > 32768.0) {
        // Scales for metal reach 30 710 HU, with slopes up to ten.
        "their rescaling leads far beyond what CT measures"
    } else if frame::hu_span(layout, candidate.frame) < 1000.0 {
        "their grey levels are too few to reach from air to bone"
    } else if !frame::bits_fit(layout, header.syntax.codec) {
        "their pixels are stored in a way that CT does not use"
    } else {
        return candidate.plane().map(|_| ());
    };
    Err(Refusal::NotHounsfield(fault))
}

enum Decoded {
    Whole { volume: Volume<i16>, conflicts: usize, agreements: usize, more_bits: bool },
    Damaged { failed: BTreeSet<usize>, reason: SkipReason },
}

/// A volume up to this size may come from any number of bytes.
const SMALL_VOLUME_BYTES: u64 = 32 << 20;

/// Decodes every slice of the stack into the volume, and its doubles for comparison.
fn decode(
    candidates: &[Candidate<'_>],
    stack: &Stack,
    limits: &Limits,
    progress: &(dyn Fn(f32) + Sync),
) -> Result<Decoded, Refusal> {
    let [slices, rows, columns] = stack.geometry.shape();
    let voxels = slices.checked_mul(rows * columns).filter(|n| *n <= limits.max_voxels);
    let voxels = voxels.ok_or(Refusal::TooLarge { what: "the number of voxels", limit: limits.max_voxels as u64 })?;
    // A volume is not much larger than the files it comes from, unless they are few and empty.
    let files: BTreeMap<usize, u64> = candidates.iter().map(|c| (c.file, c.member.item.bytes)).collect();
    let by_bytes = files.values().sum::<u64>().saturating_mul(limits.max_unpack_ratio).max(SMALL_VOLUME_BYTES);
    if 2 * voxels as u64 > by_bytes {
        return Err(Refusal::TooLarge { what: "the packing ratio of the images", limit: limits.max_unpack_ratio });
    }
    let mut data = vec![0i16; voxels];

    // Frames by file, so that each file is read once.
    let mut by_file: BTreeMap<usize, Vec<Target<'_>>> = BTreeMap::new();
    for (plane, hu) in stack.slices.iter().zip(data.chunks_exact_mut(rows * columns)) {
        if let Some(index) = *plane {
            by_file.entry(candidates[index].file).or_default().push(Target { index, hu });
        }
    }
    let total: usize = by_file.values().map(Vec::len).sum();
    let done = AtomicUsize::new(0);
    let more_bits = AtomicBool::new(false);
    let each = || progress((done.fetch_add(1, Ordering::Relaxed) + 1) as f32 / total as f32);
    let failures: Vec<(usize, SkipReason)> = by_file
        .into_values()
        .collect::<Vec<_>>()
        .into_par_iter()
        .flat_map_iter(|targets| {
            let indices: Vec<usize> = targets.iter().map(|t| t.index).collect();
            decode_file(targets, candidates, limits, &each, &more_bits)
                .unwrap_or_else(|reason| indices.into_iter().map(|index| (index, reason)).collect())
        })
        .collect();
    // That the series was given up says more than what is wrong with one of its images.
    let first = failures.iter().min_by_key(|(index, reason)| (*reason != SkipReason::SeriesTimeout, *index));
    if let Some((_, reason)) = first {
        let reason = *reason;
        return Ok(Decoded::Damaged { failed: failures.into_iter().map(|(index, _)| index).collect(), reason });
    }

    let same: Vec<Option<bool>> = stack
        .doubles
        .par_iter()
        .map(|(index, slice)| {
            let mut double = vec![0i16; rows * columns];
            let target = Target { index: *index, hu: &mut double };
            let failed = decode_file(vec![target], candidates, limits, &|| (), &more_bits);
            failed.is_ok_and(|f| f.is_empty()).then(|| double == data[slice * rows * columns..][..rows * columns])
        })
        .collect();
    // A double that cannot be decoded is neither the same nor another: it is left out.
    let conflicts = same.iter().filter(|s| **s == Some(false)).count();
    let agreements = same.len() - conflicts;
    let mut volume = Volume::new(stack.geometry.clone(), data).expect("one chunk per slice was allocated");
    interpolate(&mut volume, &stack.slices);
    Ok(Decoded::Whole { volume, conflicts, agreements, more_bits: more_bits.into_inner() })
}

/// A frame to decode, and the slice it fills.
struct Target<'v> {
    /// Index of the candidate.
    index: usize,
    hu: &'v mut [i16],
}

/// Decodes some frames, one at least and all of one file; returns those that failed.
fn decode_file(
    targets: Vec<Target<'_>>,
    candidates: &[Candidate<'_>],
    limits: &Limits,
    each: &(dyn Fn() + Sync),
    more_bits: &AtomicBool,
) -> Result<Vec<(usize, SkipReason)>, SkipReason> {
    let Member { item, header } = candidates[targets[0].index].member;
    let bytes = item.read(limits.max_file_bytes).map_err(|_| SkipReason::Unreadable)?;
    let layout = Layout::of(&bytes, limits)?;
    let content = layout.content(&bytes, limits)?;
    let dataset = Dataset::parse(&content, layout.syntax.encoding, limits)?;
    let pixels = dataset.pixel_data()?.ok_or(SkipReason::CutShort)?;
    let one = |Target { index, hu }: Target<'_>| {
        let candidate = &candidates[index];
        let result = frame::frame_bytes(&pixels, &header.pixels, candidate.number, header.frames.len())
            .and_then(|bytes| frame::stored(&bytes, &header.pixels, header.syntax, limits))
            .map(|stored| {
                if frame::holds_more_bits(&stored, &header.pixels) {
                    more_bits.store(true, Ordering::Relaxed);
                }
                Rescale::new(&header.pixels, candidate.rescale()).apply(&stored, hu);
            });
        each();
        result.err().map(|reason| (index, reason))
    };
    Ok(targets.into_par_iter().filter_map(one).collect())
}

/// Fills slices without an image linearly between their neighbours. The first and the last slice always have one.
fn interpolate(volume: &mut Volume<i16>, slices: &[Option<usize>]) {
    let mut before = 0;
    for after in 1..slices.len() {
        if slices[after].is_none() {
            continue;
        }
        for slice in before + 1..after {
            let weight = (slice - before) as f32 / (after - before) as f32;
            let (low, high) = (volume.slice(before).to_vec(), volume.slice(after).to_vec());
            for (hu, (low, high)) in volume.slice_mut(slice).iter_mut().zip(low.into_iter().zip(high)) {
                *hu = (f32::from(low) * (1.0 - weight) + f32::from(high) * weight).round() as i16;
            }
        }
        before = after;
    }
}

/// Conflicts beyond this share of the slices mean several passes over the patient, not an odd slice sent twice.
const CONFLICT_SHARE: f64 = 0.05;

fn finish(
    summary: SeriesSummary,
    candidates: &[Candidate<'_>],
    stack: Stack,
    volume: Volume<i16>,
    (conflicts, agreements): (usize, usize),
    mut notes: Vec<NoteKind>,
) -> Result<Series, Refusal> {
    let used = || stack.slices.iter().flatten().map(|index| &candidates[*index]);
    if conflicts as f64 > (CONFLICT_SHARE * stack.slices.len() as f64).max(1.0) {
        return Err(Refusal::SeveralPasses { positions: conflicts });
    }
    // There is air in the lungs and around every patient.
    if volume.data().iter().all(|hu| *hu >= -200) {
        return Err(Refusal::NotHounsfield("no voxel is as dark as air, so the grey values have been changed"));
    }
    if conflicts > 0 {
        notes.push(NoteKind::DuplicateSlice { count: conflicts, identical: false });
    }
    if agreements > 0 {
        notes.push(NoteKind::DuplicateSlice { count: agreements, identical: true });
    }
    notes.extend(stack.notes.iter().cloned());
    let different = |values: BTreeSet<[u64; 2]>| values.len() > 1;
    if different(used().map(|c| [c.rescale().0.to_bits(), c.rescale().1.to_bits()]).collect()) {
        notes.push(NoteKind::InconsistentRescale);
    }
    let references: BTreeSet<_> = used().map(|c| &c.member.header.frame_of_reference_uid).collect();
    if references.len() > 1 {
        notes.push(NoteKind::InconsistentFrameOfReference { count: references.len() });
    }
    if used().any(|c| {
        c.member.header.pixels.padding.is_some() && !frame::padding_applies(&c.member.header.pixels, c.rescale())
    }) {
        notes.push(NoteKind::PaddingIgnored);
    }
    if used().any(|c| c.frame.unit == Unit::Unstated) {
        notes.push(NoteKind::UnstatedUnits);
    }
    if used().any(|c| c.member.header.lossy) {
        notes.push(NoteKind::LossyCompression);
    }
    let files: BTreeSet<_> = used().map(|c| c.file).collect();
    let identifiers: BTreeSet<_> = used().map(|c| &c.member.header.sop_instance_uid).collect();
    if identifiers.len() < files.len() {
        notes.push(NoteKind::RepeatedInstanceUid);
    }
    let spacing_mm = volume.geometry().spacing_mm()[0];
    let thickness_mm = summary.slice_thickness_mm.unwrap_or(spacing_mm);
    // The Fleischner Society asks for sections of at most 1.5 mm for nodules (doi 10.1148/radiol.2017161659); beyond
    // 3 mm fissures and small opacities blur.
    if thickness_mm.max(spacing_mm) > 3.0 {
        notes.push(NoteKind::ThickSlices { mm: thickness_mm.max(spacing_mm) });
    }
    if spacing_mm > 1.5 * thickness_mm {
        notes.push(NoteKind::Gaps { thickness_mm, spacing_mm });
    }
    let instances = stack
        .slices
        .iter()
        .enumerate()
        .filter_map(|(slice_index, index)| {
            let candidate = &candidates[(*index)?];
            let header = &candidate.member.header;
            Some(SourceInstance {
                sop_instance_uid: header.sop_instance_uid.clone(),
                sop_class_uid: header.sop_class_uid.clone(),
                frame: (header.frames.len() > 1).then_some(candidate.number as u32 + 1),
                slice_index,
            })
        })
        .collect();
    Ok(Series { summary, volume, instances, notes: notes.into_iter().map(Note::new).collect() })
}
