//! The five lobes.
//!
//! Fissures are found as thin bright sheets near where they lie in the average chest: the average surface is moved to the
//! sheets of the patient cell by cell and keeps its course where none are seen. How much of each fissure was seen is
//! stated, for a lobe is only as sure as the fissures beside it. Incomplete fissures are common (in a third to half of
//! healthy lungs), and consolidation hides them.

mod evidence;
mod surface;

pub use crate::lobe_prior::FissureKind;
use crate::lobe_prior::Frame;
use crate::lungs::{LEFT, Lungs, RIGHT};
use evidence::{Evidence, Scan};
use hilum_volume::{LabelMap, Volume};
use rayon::prelude::*;
use surface::Surface;

/// Right upper lobe.
pub const RUL: u8 = 1;
/// Right middle lobe.
pub const RML: u8 = 2;
/// Right lower lobe.
pub const RLL: u8 = 3;
/// Left upper lobe, lingula included.
pub const LUL: u8 = 4;
/// Left lower lobe.
pub const LLL: u8 = 5;

/// Slices farther apart do not show fissures well enough: steps between slices look like sheets. Chosen on one scan of 8 mm,
/// in which false fissures were found.
const MAX_SLICE_MM: f64 = 4.5;

/// How [`segment`] works.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LobeOptions {
    /// Look for the fissures in the scan. Without it, and in slices more than 4.5 mm apart, they are those of the average
    /// chest, and the confidence is 0.
    pub seek_fissures: bool,
}

impl Default for LobeOptions {
    fn default() -> Self {
        Self { seek_fissures: true }
    }
}

/// How well one fissure was seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FissureSeen {
    /// Which.
    pub fissure: FissureKind,
    /// Share of its surface within the lung on which a sheet of its direction was seen, 0 to 1.
    pub seen: f64,
    /// The same for surfaces beside it: what vessels and noise give by chance.
    pub chance: f64,
    /// Mean distance from the average chest's fissure, mm.
    pub moved_mm: f64,
}

impl FissureSeen {
    /// 0 (nothing beyond chance) to 1 (seen along all of its course).
    #[must_use]
    pub fn confidence(&self) -> f64 {
        ((self.seen - self.chance) / (1.0 - self.chance).max(0.1)).clamp(0.0, 1.0)
    }
}

/// The lobes of one scan.
#[derive(Clone, Debug)]
pub struct Lobes {
    labels: LabelMap,
    fissures: Vec<FissureSeen>,
}

impl Lobes {
    /// On the grid of the scan: [`RUL`], [`RML`], [`RLL`], [`LUL`], [`LLL`], 0 outside the lungs.
    #[must_use]
    pub fn labels(&self) -> &LabelMap {
        &self.labels
    }

    /// Confidence, 0 to 1, of the right oblique, right horizontal and left oblique fissure; 0 for that of a missing lung.
    #[must_use]
    pub fn confidence(&self) -> [f64; 3] {
        [FissureKind::RightOblique, FissureKind::RightHorizontal, FissureKind::LeftOblique]
            .map(|kind| self.fissures.iter().find(|f| f.fissure == kind).map_or(0.0, FissureSeen::confidence))
    }

    /// What was seen of each fissure that was sought.
    #[must_use]
    pub fn fissures(&self) -> &[FissureSeen] {
        &self.fissures
    }

    /// Confidence, 0 to 1, of a lobe: that of the least sure fissure beside it; 0 for other labels.
    #[must_use]
    pub fn confidence_of(&self, lobe: u8) -> f64 {
        let [oblique, horizontal, left] = self.confidence();
        match lobe {
            RUL | RML => oblique.min(horizontal),
            RLL => oblique,
            LUL | LLL => left,
            _ => 0.0,
        }
    }
}

/// Divides the lungs of `ct` (the scan they were found in) into lobes, on its grid.
///
/// Every lung voxel belongs to exactly one lobe. A missing lung has no lobes. The result does not depend on the number of
/// threads.
///
/// # Panics
/// If `ct` is not on the grid of `lungs`.
#[must_use]
pub fn segment(ct: &Volume<i16>, lungs: &Lungs, options: &LobeOptions) -> Lobes {
    assert_eq!(ct.shape(), lungs.labels().geometry().shape(), "the lungs were found in another scan");
    let working = lungs.working_labels();
    let right = frame(working, RIGHT, -1.0);
    let left = frame(working, LEFT, 1.0);
    let thin = ct.geometry().spacing_mm()[0] <= MAX_SLICE_MM;
    let scan = (options.seek_fissures && thin).then(|| {
        let both = working.map(|l| matches!(*l, RIGHT | LEFT));
        Scan::new(ct, lungs.working_ct(), &both)
    });
    let of_side = |side: u8| move |_q: [f64; 3], at: usize| working.data()[at] == side;
    let left_oblique = left.map(|f| find(FissureKind::LeftOblique, f, scan.as_ref(), of_side(LEFT)));
    let right_oblique = right.map(|f| find(FissureKind::RightOblique, f, scan.as_ref(), of_side(RIGHT)));
    let right_horizontal = right_oblique.as_ref().map(|oblique| {
        // Behind the oblique fissure there is no horizontal one, and close to it sheets are the oblique's own.
        let margin = 4.0 / oblique.frame.half_mm[2];
        let belongs = |q: [f64; 3], at: usize| working.data()[at] == RIGHT && oblique.above(q) > margin;
        find(FissureKind::RightHorizontal, oblique.frame, scan.as_ref(), belongs)
    });
    let labels = divide(lungs.labels(), right_oblique.as_ref(), right_horizontal.as_ref(), left_oblique.as_ref());
    let seen = |s: &Surface| FissureSeen { fissure: s.kind, seen: s.support, chance: s.chance, moved_mm: s.moved_mm };
    let fissures = [&right_oblique, &right_horizontal, &left_oblique].into_iter().flatten().map(seen).collect();
    Lobes { labels, fissures }
}

/// One fissure, first sought around the average one, then along the course found.
fn find(
    kind: FissureKind,
    frame: Frame,
    scan: Option<&Scan>,
    belongs: impl Fn([f64; 3], usize) -> bool + Sync,
) -> Surface {
    let average = |u: f64, v: f64| kind.height(u, v);
    let Some(scan) = scan else {
        return Surface::refined(&Evidence::none(kind, frame, &average));
    };
    // The wide search finds several places that look like a fissure; the one that explains the scan best is followed again,
    // now along its own course, where a faint fissure shows more of itself.
    let mut candidates = Surface::candidates(&Evidence::gather(kind, frame, scan, &average, &belongs));
    candidates.sort_by(|a, b| b.merit().total_cmp(&a.merit()));
    let again = |first: &Surface| {
        let course = |u: f64, v: f64| first.course(u, v);
        Surface::refined(&Evidence::gather(kind, frame, scan, &course, &belongs))
    };
    let refined = candidates.iter().take(2).map(again);
    refined.max_by(|a, b| a.merit().total_cmp(&b.merit())).expect("the search has candidates")
}

/// Lung coordinates of one lung from its working mask.
fn frame(working: &Volume<u8>, side: u8, outward: f64) -> Option<Frame> {
    let [slices, rows, columns] = working.shape();
    let mut counts = [vec![0usize; columns], vec![0usize; rows], vec![0usize; slices]];
    for (i, label) in working.data().iter().enumerate() {
        if *label == side {
            counts[0][i % columns] += 1;
            counts[1][i / columns % rows] += 1;
            counts[2][i / (columns * rows)] += 1;
        }
    }
    let spacing = working.geometry().spacing_mm();
    Frame::new([&counts[0], &counts[1], &counts[2]], [spacing[2], spacing[1], spacing[0]], outward)
}

/// The lobe of every lung voxel of the scan by the side of the surfaces it lies on.
fn divide(
    lungs: &LabelMap,
    right_oblique: Option<&Surface>,
    right_horizontal: Option<&Surface>,
    left_oblique: Option<&Surface>,
) -> LabelMap {
    let geometry = lungs.geometry().clone();
    let [_, rows, columns] = geometry.shape();
    let spacing = geometry.spacing_mm();
    let mut lobes = vec![0u8; geometry.len()];
    lobes.par_chunks_mut(rows * columns).enumerate().for_each(|(s, out)| {
        let slice_mm = (s as f64 + 0.5) * spacing[0];
        for (i, (out, side)) in out.iter_mut().zip(lungs.labels().slice(s)).enumerate() {
            if !matches!(*side, RIGHT | LEFT) {
                continue;
            }
            let mm = [((i % columns) as f64 + 0.5) * spacing[2], ((i / columns) as f64 + 0.5) * spacing[1], slice_mm];
            *out = match (*side, right_oblique, right_horizontal, left_oblique) {
                (RIGHT, Some(oblique), Some(horizontal), _) => {
                    let q = oblique.frame.lung_from_mm(mm);
                    if oblique.above(q) <= 0.0 {
                        RLL
                    } else if horizontal.above(q) > 0.0 {
                        RUL
                    } else {
                        RML
                    }
                }
                (LEFT, _, _, Some(oblique)) => {
                    if oblique.above(oblique.frame.lung_from_mm(mm)) > 0.0 {
                        LUL
                    } else {
                        LLL
                    }
                }
                // A lung of a few voxels at its border only, lost on the working grid.
                (RIGHT, ..) => RUL,
                _ => LUL,
            };
        }
    });
    LabelMap::new(Volume::new(geometry, lobes).expect("one label per voxel"))
}

#[cfg(test)]
mod tests;
