//! Change since the earlier study: both studies at the same place side by side, opacity tinted by what became of it.

use hilum_findings::{NEW_LABEL, PERSISTING_LABEL, RESOLVED_LABEL, is_stored_from_foot};
use hilum_imaging::projection::{PlaneGeometry, View};
use hilum_volume::{LabelMap, PatientPoint};
use rayon::prelude::*;

use super::frame::{Annotation, beside, panel};
use super::slice::tinted;
use super::{AXIAL_APART_MM, Kind, Painter, Picture, apart};
use crate::canvas::Rgb;
use crate::palette;
use crate::report::FollowUpImages;
use crate::wording::Phrase;

/// Most slices shown.
const SLICES_MAX: usize = 2;
/// Pixels are this much coarser than those of the other pictures, of which two have room beside each other.
const COARSER: f64 = 1.5;
/// Planes across the slices are looked for in steps of this.
const PLANE_STEP_MM: f64 = 3.0;

const COLOURS: [(u8, Rgb, Phrase); 3] = [
    (NEW_LABEL, palette::NEW, Phrase::ChangeNew),
    (PERSISTING_LABEL, palette::PERSISTING, Phrase::ChangePersisting),
    (RESOLVED_LABEL, palette::RESOLVED, Phrase::ChangeResolved),
];

/// Where a change map has most to show.
struct Shown {
    /// Stored slices with their voxels, those with most first.
    slices: Vec<(usize, u64)>,
    /// A point on the coronal plane with most.
    point: PatientPoint,
}

impl Shown {
    /// By the voxels that are new or resolved; where there are none, by those that persist; `None` without opacity.
    fn of(change: &LabelMap) -> Option<Self> {
        Self::by(change, |label| label == NEW_LABEL || label == RESOLVED_LABEL).or_else(|| Self::by(change, |l| l > 0))
    }

    fn by(change: &LabelMap, counts: impl Fn(u8) -> bool + Sync) -> Option<Self> {
        let grid = change.geometry();
        let [slices, _, columns] = grid.shape();
        // By slice: voxels, and those on each coronal plane with the sums of their places.
        type Plane = std::collections::BTreeMap<i64, (u64, [f64; 3])>;
        let of_slice = |s: usize| {
            let (mut voxels, mut planes) = (0, Plane::new());
            for (i, label) in change.labels().slice(s).iter().enumerate() {
                if !counts(*label) {
                    continue;
                }
                let place = grid.centre_of([s, i / columns, i % columns]).0;
                let plane = planes.entry((place[1] / PLANE_STEP_MM).round() as i64).or_default();
                voxels += 1;
                plane.0 += 1;
                (0..3).for_each(|a| plane.1[a] += place[a]);
            }
            (s, voxels, planes)
        };
        let counted: Vec<_> = (0..slices).into_par_iter().map(of_slice).collect();
        let mut planes = Plane::new();
        for (number, (voxels, sum)) in counted.iter().flat_map(|(.., planes)| planes) {
            let plane = planes.entry(*number).or_default();
            plane.0 += voxels;
            (0..3).for_each(|a| plane.1[a] += sum[a]);
        }
        let (_, (voxels, sum)) = planes.into_iter().max_by_key(|(number, (n, _))| (*n, std::cmp::Reverse(*number)))?;
        let mut slices: Vec<_> = counted.into_iter().map(|(s, n, _)| (s, n)).filter(|(_, n)| *n > 0).collect();
        slices.sort_by_key(|(s, n)| (std::cmp::Reverse(*n), *s));
        Some(Self { slices, point: PatientPoint(sum.map(|v| v / voxels as f64)) })
    }
}

impl Painter<'_> {
    /// The slices with most change and the coronal plane with most, from the head down; none without opacity.
    pub(super) fn changes(&self, follow_up: &FollowUpImages<'_>) -> Vec<Picture> {
        let Some(shown) = Shown::of(follow_up.change) else { return Vec::new() };
        let count = self.stage.slices();
        let from_foot = is_stored_from_foot(follow_up.change.geometry());
        let index = |stored: usize| if from_foot { stored } else { count - 1 - stored };
        let slices = shown.slices.iter().map(|(stored, _)| index(*stored));
        let mut slices = apart(slices, SLICES_MAX, AXIAL_APART_MM / self.stage.slice_spacing_mm());
        slices.sort_unstable_by(|a, b| b.cmp(a));
        let pixel_mm = COARSER * self.stage.pixel_mm();
        let view = self.stage.slice_view();
        let mut planes: Vec<(String, View, Option<usize>, PlaneGeometry)> = slices
            .into_iter()
            .enumerate()
            .map(|(n, index)| {
                let name = format!("change-{}-{}.png", view_name(view).0, n + 1);
                (name, view, Some(index), self.stage.slice_with_pixel(index, pixel_mm))
            })
            .collect();
        if view != View::Coronal {
            let plane = self.stage.through_with_pixel(View::Coronal, shown.point, pixel_mm);
            planes.push(("change-coronal.png".into(), View::Coronal, None, plane));
        }
        let draw = |(name, view, index, plane): &(String, View, Option<usize>, PlaneGeometry)| {
            self.change(follow_up, name, *view, *index, plane)
        };
        planes.par_iter().map(draw).collect()
    }

    fn change(
        &self,
        follow_up: &FollowUpImages<'_>,
        name: &str,
        view: View,
        index: Option<usize>,
        plane: &PlaneGeometry,
    ) -> Picture {
        let last = (self.stage.slices() - 1).to_string();
        let place = match index {
            Some(index) => Phrase::SliceOf.fill(self.language, &[("index", &index.to_string()), ("last", &last)]),
            None => self.position(view, plane),
        };
        let panel = |of: Phrase, ct, labels: &[u8]| {
            let tints: Vec<_> =
                COLOURS.iter().filter(|(l, ..)| labels.contains(l)).map(|(l, colour, _)| (*l, *colour)).collect();
            let lines = [self.text(of), self.text(view_name(view).1), place.clone()];
            panel(&tinted(ct, follow_up.change, &tints, plane), plane, &lines)
        };
        // Each study with the opacity that it has.
        let (panels, caption) = match follow_up.earlier_ct {
            Some(earlier) => (
                vec![
                    panel(Phrase::EarlierStudy, earlier, &[PERSISTING_LABEL, RESOLVED_LABEL]),
                    panel(Phrase::ThisStudy, self.ct, &[NEW_LABEL, PERSISTING_LABEL]),
                ],
                Phrase::CaptionChange,
            ),
            None => (
                vec![panel(Phrase::ThisStudy, self.ct, &[NEW_LABEL, PERSISTING_LABEL, RESOLVED_LABEL])],
                Phrase::CaptionChangeAlone,
            ),
        };
        let legend = COLOURS.map(|(_, colour, phrase)| (colour, self.text(phrase))).to_vec();
        let annotation = Annotation { legend, upper_right: Vec::new(), ..self.annotation(Vec::new()) };
        let title = format!("{}: {}, {place}", self.text(Phrase::Change), self.text(view_name(view).1));
        let letters = self.alt_letters(plane.right);
        self.picture((Kind::Comparison, name), title, self.text(caption), letters, &beside(&panels, &annotation))
    }
}

fn view_name(view: View) -> (&'static str, Phrase) {
    match view {
        View::Axial => ("axial", Phrase::Axial),
        View::Coronal => ("coronal", Phrase::Coronal),
        View::Sagittal => ("sagittal", Phrase::Sagittal),
    }
}
