//! From places of images to a regular grid: sorting, gaps, doubles, shear.
//!
//! Pure geometry; the pixels are not looked at. Slices are ordered by their position along the normal alone, never by
//! Instance Number or file name, which scanners and archives number as they like.

use hilum_volume::{Geometry, PatientPoint, PatientVector};

use crate::Refusal;
use crate::image::{Frame, PixelLayout};
use crate::note::NoteKind;
use crate::scan::normal_of;

/// Where one image lies.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plane {
    /// LPS mm of the centre of the first voxel.
    pub(crate) position: [f64; 3],
    /// Cosines of the row (along which the column index grows), then of the column (PS3.3 C.7.6.2.1.1).
    pub(crate) orientation: [f64; 6],
    /// Between rows, then between columns.
    pub(crate) spacing_mm: [f64; 2],
    pub(crate) rows: usize,
    pub(crate) columns: usize,
}

impl Plane {
    /// The place of a frame, if it has one that makes sense.
    pub(crate) fn of(frame: &Frame, pixels: &PixelLayout) -> Result<Self, Refusal> {
        let position = frame.position.ok_or(Refusal::Missing("where they lie in the patient"))?;
        let orientation = frame.orientation.ok_or(Refusal::Missing("how they are turned in the patient"))?;
        let spacing_mm = frame.spacing_mm.ok_or(Refusal::Missing("how large their pixels are"))?;
        let dot = |a: usize, b: usize| (0..3).map(|n| orientation[a + n] * orientation[b + n]).sum::<f64>();
        // PS3.3 C.7.6.2.1.1: row and column cosines are normal and orthogonal.
        if (dot(0, 0) - 1.0).abs() > 1e-3 || (dot(3, 3) - 1.0).abs() > 1e-3 || dot(0, 3).abs() > 1e-3 {
            return Err(Refusal::Missing("how they are turned in the patient in a way that makes sense"));
        }
        if spacing_mm.iter().any(|mm| !(0.01..=20.0).contains(mm)) {
            return Err(Refusal::Missing("how large their pixels are in a way that makes sense"));
        }
        Ok(Self { position, orientation, spacing_mm, rows: pixels.rows, columns: pixels.columns })
    }

    /// The patient point at the centre of a pixel (PS3.3 C.7.6.2.1.1).
    pub(crate) fn centre_of(&self, row: usize, column: usize) -> PatientPoint {
        let (across, down) = (self.spacing_mm[1] * column as f64, self.spacing_mm[0] * row as f64);
        PatientPoint(std::array::from_fn(|n| {
            self.position[n] + across * self.orientation[n] + down * self.orientation[n + 3]
        }))
    }
}

/// A regular grid and which image fills which slice of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stack {
    pub(crate) geometry: Geometry,
    /// For every slice the index of the plane that fills it; `None` where one is missing.
    pub(crate) slices: Vec<Option<usize>>,
    /// Further planes at the place of a slice: `(plane, slice)`.
    pub(crate) doubles: Vec<(usize, usize)>,
    pub(crate) notes: Vec<NoteKind>,
}

/// Cosines of directions that count as the same: 0.1°, far more than rounding and far less than an oblique reformat.
const SAME_COSINE: f64 = 1.5e-6;
/// Two positions nearer than this share of the usual step are one place.
const SAME_PLACE: f64 = 0.05;
/// Largest deviation of a distance from the usual step, or from a multiple of it where slices are missing. Tables
/// advance to better than 1 %; what deviates by more than 5 % was not one regular reconstruction.
const JITTER: f64 = 0.05;
/// Deviations below this are rounding of Decimal Strings and are not noted.
const ROUNDING: f64 = 0.005;
/// More missing slices than this and too much of what is measured would be made up.
const MISSING_SHARE: f64 = 0.10;
/// Several neighbouring slices are interpolated only across gaps up to this: a lesion of 1 cm must not vanish in one.
const GAP_MM: f64 = 10.0;
/// Images of another orientation or size are set aside up to this share.
const STRAY_SHARE: f64 = 0.10;

/// Orders the planes and fits a regular grid to them. Among planes at one place the first in the given order is kept.
pub(crate) fn arrange(planes: &[Plane]) -> Result<Stack, Refusal> {
    let mut notes = Vec::new();
    let mut kept = prevailing(planes, &mut notes)?;
    let reference = &planes[kept[0]];
    let normal = normal_of(&reference.orientation);
    // Index 0 at the foot end: the dominant patient axis of the normal shall grow. On oblique slices of 45° the later
    // axis wins, z over y over x.
    let dominant = (0..3).max_by(|a, b| normal[*a].abs().total_cmp(&normal[*b].abs())).unwrap_or(2);
    let sense = normal[dominant].signum();
    let along = |plane: usize| sense * dot(planes[plane].position, normal);
    kept.sort_by(|a, b| along(*a).total_cmp(&along(*b)));

    let (places, twice) = one_per_place(&kept, along);
    if places.len() < 2 {
        return Err(Refusal::OneSlice);
    }
    let steps: Vec<f64> = places.windows(2).map(|w| along(w[1]) - along(w[0])).collect();
    // Where every second slice is gone, the usual distance is twice the step: then the smallest may explain all.
    let least = steps.iter().copied().fold(f64::INFINITY, f64::min);
    let counts = multiples(&steps, median(&steps)).or_else(|uneven| multiples(&steps, least).map_err(|_| uneven))?;
    let total: usize = counts.iter().sum::<usize>() + 1;
    let missing = total - places.len();
    if missing as f64 > MISSING_SHARE * total as f64 {
        return Err(Refusal::MissingSlices { missing, expected: total });
    }
    let mut slices = vec![None; total];
    let mut slice_of = Vec::with_capacity(places.len());
    let mut slice = 0;
    for (n, plane) in places.iter().enumerate() {
        slices[slice] = Some(*plane);
        slice_of.push(slice);
        let Some(count) = counts.get(n) else { break };
        if *count > 1 {
            let gap_mm = steps[n];
            if *count > 2 && gap_mm > GAP_MM {
                return Err(Refusal::LongGap { missing: count - 1, gap_mm });
            }
            notes.push(NoteKind::MissingSlice { after_index: slice, count: count - 1 });
        }
        slice += count;
    }

    let geometry = fit(planes, &places, &slice_of, total, &mut notes)?;
    let mean = (along(places[places.len() - 1]) - along(places[0])) / (total - 1) as f64;
    let worst = steps.iter().zip(&counts).map(|(s, c)| (s / *c as f64 / mean - 1.0).abs()).fold(0.0, f64::max);
    if worst > ROUNDING {
        notes.push(NoteKind::UnevenSpacing { percent: 100.0 * worst });
    }
    let doubles = twice.into_iter().map(|(plane, place)| (plane, slice_of[place])).collect();
    Ok(Stack { geometry, slices, doubles, notes })
}

/// The planes of the most frequent orientation, size and spacing, in the given order.
fn prevailing(planes: &[Plane], notes: &mut Vec<NoteKind>) -> Result<Vec<usize>, Refusal> {
    let same = |a: &Plane, b: &Plane| {
        let cosine = |half: usize| (0..3).map(|n| a.orientation[half + n] * b.orientation[half + n]).sum::<f64>();
        (a.rows, a.columns) == (b.rows, b.columns)
            && cosine(0) > 1.0 - SAME_COSINE
            && cosine(3) > 1.0 - SAME_COSINE
            && (0..2).all(|n| (a.spacing_mm[n] / b.spacing_mm[n] - 1.0).abs() < 1e-4)
    };
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (index, plane) in planes.iter().enumerate() {
        match groups.iter_mut().find(|g| same(&planes[g[0]], plane)) {
            Some(group) => group.push(index),
            None => groups.push(vec![index]),
        }
    }
    // Of equal groups the one met first; then others > 10 % refuses anyway.
    groups.sort_by_key(|g| std::cmp::Reverse(g.len()));
    let kept = groups.first().cloned().ok_or(Refusal::OneSlice)?;
    let others = planes.len() - kept.len();
    if others as f64 > STRAY_SHARE * planes.len() as f64 {
        return Err(Refusal::MixedOrientation { kept: kept.len(), others });
    }
    if others > 0 {
        notes.push(NoteKind::MixedOrientation { count: others });
    }
    Ok(kept)
}

/// One plane per place, in order, and the further ones with the index of their place.
fn one_per_place(sorted: &[usize], along: impl Fn(usize) -> f64) -> (Vec<usize>, Vec<(usize, usize)>) {
    let mut steps: Vec<f64> = sorted.windows(2).map(|w| along(w[1]) - along(w[0])).filter(|s| *s > 1e-3).collect();
    let near = if steps.is_empty() { 1e-3 } else { SAME_PLACE * median(&std::mem::take(&mut steps)) };
    let mut places: Vec<usize> = Vec::new();
    let mut twice = Vec::new();
    for plane in sorted {
        match places.last_mut() {
            Some(last) if along(*plane) - along(*last) <= near => {
                // Within a place the given order decides, not the noise of the position.
                if plane < last {
                    twice.push((*last, places.len() - 1));
                    let end = places.len() - 1;
                    places[end] = *plane;
                } else {
                    twice.push((*plane, places.len() - 1));
                }
            }
            _ => places.push(*plane),
        }
    }
    (places, twice)
}

/// How many grid steps each distance spans.
fn multiples(steps: &[f64], usual: f64) -> Result<Vec<usize>, Refusal> {
    let uneven = || {
        let least_mm = steps.iter().copied().fold(f64::INFINITY, f64::min);
        let most_mm = steps.iter().copied().fold(0.0, f64::max);
        Refusal::UnevenSpacing { least_mm, most_mm }
    };
    steps
        .iter()
        .map(|step| {
            let count = (step / usual).round();
            // A table that jumps by metres has no slices missing; it was moved.
            if !(1.0..=1000.0).contains(&count) || (step / usual - count).abs() > JITTER * count {
                return Err(uneven());
            }
            Ok(count as usize)
        })
        .collect()
}

/// The grid through the first and the last place; every other must lie on the line between.
fn fit(
    planes: &[Plane],
    places: &[usize],
    slice_of: &[usize],
    total: usize,
    notes: &mut Vec<NoteKind>,
) -> Result<Geometry, Refusal> {
    let reference = &planes[places[0]];
    let o = reference.orientation;
    let (across, down) = (PatientVector([o[0], o[1], o[2]]), PatientVector([o[3], o[4], o[5]]));
    let point = |place: usize| PatientPoint(planes[places[place]].position);
    let origin = point(0);
    let whole = point(places.len() - 1).minus(origin);
    let step = whole.times(1.0 / (total - 1) as f64);
    let shift_mm = (0..places.len())
        .map(|n| {
            let off = point(n).minus(origin.plus(step.times(slice_of[n] as f64)));
            off.dot(across).hypot(off.dot(down))
        })
        .fold(0.0, f64::max);
    // A quarter of a voxel: below it nobody can see that a slice is out of line.
    if shift_mm > 0.25 * reference.spacing_mm[0].max(reference.spacing_mm[1]) + 0.05 {
        return Err(Refusal::NotInLine { shift_mm });
    }
    let spacing = step.length_mm();
    let normal = across.cross(down);
    let tilt = (step.dot(normal).abs() / (spacing * normal.length_mm())).clamp(0.0, 1.0).acos().to_degrees();
    // Slices that lean by no more than the rounding of their positions are exactly straight: 0.02° moves the last of
    // 300 mm by 0.1 mm.
    let mut axis = step.times(1.0 / spacing);
    let mut slice_mm = spacing;
    if tilt > 0.1 {
        notes.push(NoteKind::GantryTilt { degrees: tilt });
    }
    if tilt <= 0.02 {
        let sense = step.dot(normal).signum();
        axis = normal.times(sense / normal.length_mm());
        slice_mm = step.dot(axis);
    }
    let [row_mm, column_mm] = reference.spacing_mm;
    let shape = [total, reference.rows, reference.columns];
    Geometry::new(shape, origin, [axis, down, across], [slice_mm, row_mm, column_mm])
        .map_err(|_| Refusal::Missing("where they lie in the patient in numbers that make sense"))
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    (0..3).map(|n| a[n] * b[n]).sum()
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}
