//! Whether the anatomy lies where the orientation says: spine behind, windpipe above, heart on the left.
//!
//! Everything is measured on the working grid, whose axes run to the head, the back and the patient's left if the orientation
//! is true. DICOM's axes are the patient's, so it does not matter how the patient lies.

use hilum_findings::{Note, Severity};
use hilum_imaging::morphology;
use hilum_volume::{Mask, Volume};

use crate::lungs::{AIRWAYS, LEFT, RIGHT};

/// Cortical bone and most of what is beneath it, on voxels of 1.5 mm.
const BONE_HU: i16 = 200;
/// Spine and sternum lie this close to the middle between the lungs.
const MIDLINE_MM: f64 = 30.0;
/// Bone behind the lungs counts to this distance.
const BEYOND_LUNGS_MM: f64 = 60.0;
/// Share of the lungs' depth, at the front and at the back, in which bone is looked for.
const DEPTH_SHARE: f64 = 0.33;
/// A section of a lung with less area says little.
const SECTION_MIN_MM2: f64 = 1000.0;
/// A slice votes if one end has this much bone and the other less than half of it.
const VOTING_BONE_MM2: f64 = 200.0;
/// Rim of a lung as seen from the head.
const RIM_MM: f64 = 12.0;
/// What lies under a lung is looked at from this far below it to that far.
const UNDER_MM: [f64; 2] = [6.0, 40.0];
/// Liver is denser; gas and fat are not.
const LIVER_FROM_HU: i16 = -20;
/// So much must be seen under either lung.
const UNDER_MIN_ML: f64 = 100.0;
/// Shares of the lungs' depth, from the front, in which the heart and the aorta reach to the left.
const HEART_DEPTH: std::ops::Range<f64> = 0.15..0.6;
const AORTA_DEPTH: std::ops::Range<f64> = 0.6..0.85;

/// Where the anatomy lies, in the axes that the orientation claims.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Landmarks {
    /// Height of the slices in which bone near the midline lies mostly behind, and mostly in front, mm.
    pub bone_behind_mm: f64,
    /// See there.
    pub bone_in_front_mm: f64,
    /// How far the middle of the airways lies above that of the lungs, mm; `None` without airways.
    pub airways_above_mm: Option<f64>,
    /// How much farther to the head the lower end of the lungs lies in their middle than at their rim, mm: the dome of the
    /// diaphragm.
    pub base_bulge_mm: f64,
    /// The same of their upper end.
    pub apex_bulge_mm: f64,
    /// How much farther the mediastinum reaches to the left of the spine than to the right, mm, mean of the slices in the lower half.
    pub heart_to_left_mm: Option<f64>,
    /// How much farther lung stays from the spine on its left, where the aorta runs, than on its right, mm.
    pub aorta_to_left_mm: Option<f64>,
    /// How much more gas and fat, as a share, lie under the left dome than under the right, where the liver is.
    pub liver_to_right: Option<f64>,
}

/// Front and back are exchanged if the spine lies in front over this height, and over this many times the height at which it lies
/// behind. The scans have 190 to 210 mm on the one side and 0 to 4 on the other.
const SPINE_IN_FRONT_MM: f64 = 60.0;
const SPINE_RATIO: f64 = 4.0;
/// Head and feet are exchanged if the airways lie so far below the lungs' middle, and both ends of the lungs together bulge so far
/// to the feet. Turned upside down the scans have 62 to 79 mm and 40 to 78 mm.
const AIRWAYS_BELOW_MM: f64 = 15.0;
const BULGE_TO_FEET_MM: f64 = 25.0;
/// Left and right are exchanged if heart, aorta and what has the density of liver are all on the wrong side by this much. Mirrored,
/// three of the scans have 11 to 42 mm, 6 to 15 mm and .26 to .35. In the fourth, A0002, a tumour draws the heart to the right: each
/// alone would err, hence all three.
const HEART_TO_RIGHT_MM: f64 = 6.0;
const AORTA_TO_RIGHT_MM: f64 = 3.0;
const LIVER_TO_LEFT: f64 = 0.08;

/// Code of the note on an orientation that contradicts the anatomy.
pub(crate) const ORIENTATION_CODE: &str = "orientation-implausible";

impl Landmarks {
    /// A note if landmarks agree that the orientation is wrong. One that is not seen leaves the matter open. Left and right are
    /// judged where front and head are right and `lungs_whole`.
    pub(crate) fn orientation_note(&self, lungs_whole: bool) -> Option<Note> {
        let front_and_back =
            self.bone_in_front_mm >= SPINE_IN_FRONT_MM && self.bone_in_front_mm > SPINE_RATIO * self.bone_behind_mm;
        let head_and_feet = self.airways_above_mm.is_some_and(|mm| mm <= -AIRWAYS_BELOW_MM)
            && self.base_bulge_mm + self.apex_bulge_mm <= -BULGE_TO_FEET_MM;
        let (what, why) = match (front_and_back, head_and_feet) {
            (true, true) => (
                "front and back, and head and feet,",
                "the spine lies in front of the lungs, and the windpipe below them",
            ),
            (true, false) => ("front and back", "the spine lies in front of the lungs"),
            (false, true) => ("head and feet", "the windpipe lies below the lungs, and their domes bulge to the feet"),
            (false, false) => return self.sides_note().filter(|_| lungs_whole),
        };
        let text = format!(
            "By the orientation written in the series {what} are exchanged: {why}. Right and left, lobes and slice numbers are not to \
             be relied on."
        );
        Some(Note::new(ORIENTATION_CODE, Severity::Severe, text))
    }

    fn sides_note(&self) -> Option<Note> {
        let exchanged = self.heart_to_left_mm? <= -HEART_TO_RIGHT_MM
            && self.aorta_to_left_mm? <= -AORTA_TO_RIGHT_MM
            && self.liver_to_right? <= -LIVER_TO_LEFT;
        exchanged.then(|| {
            let text = "Heart, aorta and liver lie on the other side than usual: left and right are exchanged in the series, or the patient has a \
                        situs inversus. Check before relying on sides and lobes.";
            Note::new(ORIENTATION_CODE, Severity::Warning, text)
        })
    }
}

/// One slice's lungs: their area and extent.
struct Section {
    slice: usize,
    front: usize,
    back: usize,
    middle: f64,
}

/// Finds the landmarks. All volumes lie on the working grid.
pub(crate) fn landmarks(ct: &Volume<i16>, body: &Mask, labels: &Volume<u8>) -> Landmarks {
    let sections: Vec<Section> = (0..ct.shape()[0]).filter_map(|slice| section(labels, slice)).collect();
    let mut found = Landmarks::default();
    let slice_mm = ct.geometry().spacing_mm()[0];
    let mut spines = Vec::new();
    for section in &sections {
        let (front, back, column) = bone(ct, body, section);
        if back >= VOTING_BONE_MM2 && back > 2.0 * front {
            found.bone_behind_mm += slice_mm;
        }
        if front >= VOTING_BONE_MM2 && front > 2.0 * back {
            found.bone_in_front_mm += slice_mm;
        }
        if let Some(column) = column.filter(|_| back >= VOTING_BONE_MM2) {
            spines.push((section, column));
        }
    }
    found.airways_above_mm = height(labels, |l| l == AIRWAYS)
        .zip(height(labels, |l| matches!(l, RIGHT | LEFT)))
        .map(|(airways, lungs)| (airways - lungs) * slice_mm);
    let ends = Ends::of(labels);
    [found.base_bulge_mm, found.apex_bulge_mm] = ends.bulges_mm();
    found.liver_to_right = ends.liver_to_right(ct, body);
    if let Some((heart, aorta)) = mediastinum(labels, &spines) {
        (found.heart_to_left_mm, found.aorta_to_left_mm) = (Some(heart), Some(aorta));
    }
    found
}

/// A slice with enough of both lungs.
fn section(labels: &Volume<u8>, slice: usize) -> Option<Section> {
    let [_, rows, columns] = labels.shape();
    let [_, row_mm, column_mm] = labels.geometry().spacing_mm();
    let (mut count, mut sum) = ([0usize; 2], [0usize; 2]);
    let (mut front, mut back) = (rows, 0);
    for (at, label) in labels.slice(slice).iter().enumerate() {
        let Some(side) = [RIGHT, LEFT].iter().position(|l| l == label) else { continue };
        count[side] += 1;
        sum[side] += at % columns;
        front = front.min(at / columns);
        back = back.max(at / columns);
    }
    let enough = count.iter().all(|n| *n as f64 * row_mm * column_mm >= SECTION_MIN_MM2);
    enough.then(|| {
        let centre = |side: usize| sum[side] as f64 / count[side] as f64;
        Section { slice, front, back, middle: 0.5 * (centre(0) + centre(1)) }
    })
}

/// Area of bone near the midline in the front and in the back of the chest, mm², and the mean column of the latter.
fn bone(ct: &Volume<i16>, body: &Mask, section: &Section) -> (f64, f64, Option<f64>) {
    let [_, rows, columns] = ct.shape();
    let [_, row_mm, column_mm] = ct.geometry().spacing_mm();
    let (hu, inside) = (ct.slice(section.slice), body.slice(section.slice));
    let depth = (section.back - section.front) as f64;
    let beyond = (BEYOND_LUNGS_MM / row_mm) as usize;
    let in_front = section.front.saturating_sub(beyond)..section.front + (DEPTH_SHARE * depth) as usize;
    let behind = section.back - (DEPTH_SHARE * depth) as usize..(section.back + beyond).min(rows);
    let reach = MIDLINE_MM / column_mm;
    let from = (section.middle - reach).max(0.0) as usize;
    let to = ((section.middle + reach) as usize).min(columns - 1);
    let count = |band: std::ops::Range<usize>| {
        let mut found = (0usize, 0usize);
        for row in band {
            for column in from..=to {
                let at = row * columns + column;
                if inside[at] && hu[at] >= BONE_HU {
                    found = (found.0 + 1, found.1 + column);
                }
            }
        }
        found
    };
    let (front, (back, columns)) = (count(in_front).0, count(behind));
    let area = |n: usize| n as f64 * row_mm * column_mm;
    (area(front), area(back), (back > 0).then(|| columns as f64 / back as f64))
}

/// Mean slice of the voxels of this label.
fn height(labels: &Volume<u8>, wanted: impl Fn(u8) -> bool) -> Option<f64> {
    let counts = (0..labels.shape()[0]).map(|s| labels.slice(s).iter().filter(|l| wanted(**l)).count());
    let (sum, all) = counts.enumerate().fold((0, 0), |(sum, all), (slice, n)| (sum + slice * n, all + n));
    (all > 0).then(|| sum as f64 / all as f64)
}

/// The lowest and highest slice of each lung as seen from the head.
struct Ends {
    /// Per side, per row and column: lowest and highest slice.
    ends: [Vec<Option<(usize, usize)>>; 2],
    /// Not within [`RIM_MM`] of the rim.
    inner: [Vec<bool>; 2],
    spacing_mm: [f64; 3],
}

impl Ends {
    fn of(labels: &Volume<u8>) -> Self {
        let [slices, rows, columns] = labels.shape();
        let spacing_mm = labels.geometry().spacing_mm();
        let mut ends = [vec![None; rows * columns], vec![None; rows * columns]];
        for slice in 0..slices {
            for (at, label) in labels.slice(slice).iter().enumerate() {
                let Some(side) = [RIGHT, LEFT].iter().position(|l| l == label) else { continue };
                let end = &mut ends[side][at];
                *end = Some(end.map_or((slice, slice), |(low, _)| (low, slice)));
            }
        }
        let plane = labels.geometry().with_shape([1, rows, columns]).expect("a plane of a valid grid is valid");
        let inner = [0, 1].map(|side: usize| {
            let footprint = ends[side].iter().map(Option::is_some).collect();
            let mask = Mask::new(plane.clone(), footprint).expect("one value per pixel");
            let steps = [0, (RIM_MM / spacing_mm[1]).round() as usize, (RIM_MM / spacing_mm[2]).round() as usize];
            morphology::erode_box(&mask, steps).into_data()
        });
        Self { ends, inner, spacing_mm }
    }

    /// How much nearer to the head lower and upper ends lie in the middle than at the rim, mm.
    fn bulges_mm(&self) -> [f64; 2] {
        let (mut sums, mut counts) = ([[0usize; 2]; 2], [0usize; 2]);
        for side in 0..2 {
            for (end, inner) in self.ends[side].iter().zip(&self.inner[side]) {
                let Some((low, high)) = end else { continue };
                let place = usize::from(*inner);
                counts[place] += 1;
                sums[0][place] += low;
                sums[1][place] += high;
            }
        }
        if counts.contains(&0) {
            return [0.0; 2];
        }
        sums.map(|sum| {
            let mean = |place: usize| sum[place] as f64 / counts[place] as f64;
            (mean(1) - mean(0)) * self.spacing_mm[0]
        })
    }

    /// Pixels away from the rim, and the lowest slice there.
    fn lower(&self, side: usize) -> impl Iterator<Item = (usize, usize)> + '_ {
        let inner = self.ends[side].iter().zip(&self.inner[side]).enumerate();
        inner.filter_map(|(at, (end, inner))| end.filter(|_| *inner).map(|(low, _)| (at, low)))
    }

    /// The share of gas and fat under the left lung, less the same under the right.
    fn liver_to_right(&self, ct: &Volume<i16>, body: &Mask) -> Option<f64> {
        let plane = ct.shape()[1] * ct.shape()[2];
        let [from, to] = UNDER_MM.map(|mm| (mm / self.spacing_mm[0]).ceil() as usize);
        let share = |side: usize| {
            let (mut thin, mut all) = (0usize, 0usize);
            for (at, low) in self.lower(side) {
                for slice in low.saturating_sub(to)..low.saturating_sub(from) {
                    let voxel = slice * plane + at;
                    if body.data()[voxel] {
                        all += 1;
                        thin += usize::from(ct.data()[voxel] < LIVER_FROM_HU);
                    }
                }
            }
            let ml = all as f64 * self.spacing_mm.iter().product::<f64>() / 1000.0;
            (ml >= UNDER_MIN_ML).then(|| thin as f64 / all as f64)
        };
        Some(share(1)? - share(0)?)
    }
}

/// How much farther lung lies from the spine on its left: in the front two thirds, and beside the spine.
fn mediastinum(labels: &Volume<u8>, spines: &[(&Section, f64)]) -> Option<(f64, f64)> {
    let [_, _, columns] = labels.shape();
    let column_mm = labels.geometry().spacing_mm()[2];
    let lower = spines.len() / 2;
    if lower < 4 {
        return None;
    }
    let (mut sums, mut counts) = ([0.0; 2], [0usize; 2]);
    for (section, spine) in &spines[..lower] {
        let plane = labels.slice(section.slice);
        let depth = section.back - section.front;
        for row in section.front..=section.back {
            let line = &plane[row * columns..(row + 1) * columns];
            let right = line.iter().rposition(|l| *l == RIGHT);
            let left = line.iter().position(|l| *l == LEFT);
            let (Some(right), Some(left)) = (right, left) else { continue };
            let farther_mm = ((left as f64 - spine) - (spine - right as f64)) * column_mm;
            let share = (row - section.front) as f64 / depth.max(1) as f64;
            let place = match share {
                s if HEART_DEPTH.contains(&s) => 0,
                s if AORTA_DEPTH.contains(&s) => 1,
                _ => continue,
            };
            sums[place] += farther_mm;
            counts[place] += 1;
        }
    }
    (!counts.contains(&0)).then(|| (sums[0] / counts[0] as f64, sums[1] / counts[1] as f64))
}
