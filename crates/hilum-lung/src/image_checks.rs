//! What the images themselves say of how they were made: sharpness, rings, streaks, and whether the anatomy lies where the
//! orientation says.
//!
//! [`ImageMeasures::of`] measures, [`ImageMeasures::notes`] holds the measures against limits. All limits were chosen on four real
//! scans (covid-P002, cap-cap002, normal002, A0002) and on phantoms, as they are and changed in known ways; docs/unusual.md says
//! what became of each. They are not tuned beyond that: each lies well apart from both sides.

mod anatomy;
mod edges;
mod rings;
mod streaks;

pub use anatomy::Landmarks;
pub(crate) use anatomy::ORIENTATION_CODE;
pub use edges::Edges;

use hilum_findings::{Note, Severity};
use hilum_volume::Volume;

use crate::lungs::{LungNote, Lungs};

/// What is measured in the images.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ImageMeasures {
    /// Edges of the lungs in plane; `None` if too few are seen.
    pub edges: Option<Edges>,
    /// Share of the variance between neighbours along the radius that the radius explains, 0 to 1; `None` without enough tissue.
    pub rings: Option<f64>,
    /// Share of tissue, away from lung and skin, that is thinner than fat; `None` without enough tissue.
    pub thin_tissue: Option<f64>,
    /// Where the anatomy lies.
    pub landmarks: Landmarks,
    /// Whether both lungs are there and wholly in the scan, so that one side can be held against the other.
    pub lungs_whole: bool,
}

/// Blur, as the standard deviation of a Gaussian in mm beyond what pixels cause, from which it is remarked upon, and from which it
/// is severe. The scans have 0.5 to 1.0, smoothed by .7 mm to 1.2, by 2 mm 2.2 to 2.6, which doubles the opacity.
const BLUR_MM: [f64; 2] = [1.4, 2.0];
/// Blur along one direction over that along the other from which it is motion: 1.0 to 1.4, and 4 or more in doubled pictures.
const MOTION_RATIO: f64 = 2.0;
/// Dip of lung beside its edge, HU. The scans have 8 to 35, sharpened a little (unsharp masking by the whole of what 1 mm takes away) 59
/// to 116, which costs a quarter of the opacity, threefold 123 to 178; air is the floor.
const DIP_HU: [f64; 2] = [50.0, 95.0];
/// Share explained by the radius. The scans have .001 to .006, phantoms to .013; with rings of up to ±30 HU .06 to .09, ±75 HU .33, ±250 HU .5
/// to .6.
const RINGS: [f64; 2] = [0.05, 0.2];
/// Share of tissue thinner than fat. The scans have .0005 to .0015, with noise or blur to .008; with streaks of 150 HU .02 to .06, of 400 HU .1
/// to .2.
const THIN_TISSUE: [f64; 2] = [0.02, 0.08];

impl ImageMeasures {
    /// Measures an upright axial `ct` whose lungs are `lungs`.
    #[must_use]
    pub fn of(ct: &Volume<i16>, lungs: &Lungs) -> Self {
        let labels = lungs.labels().labels();
        let (coarse, body, coarse_labels) = (&lungs.working_ct, &lungs.working_body, &lungs.working_labels);
        let one_sided = |note: &LungNote| {
            matches!(note, LungNote::Missing { .. } | LungNote::Small { .. } | LungNote::PleuralFluid { .. })
        };
        Self {
            edges: edges::measure(ct, labels),
            rings: rings::measure(ct, labels),
            thin_tissue: streaks::measure(coarse, body, coarse_labels),
            landmarks: anatomy::landmarks(coarse, body, coarse_labels),
            lungs_whole: !lungs.notes().iter().any(|note| note.is_a_large_cut() || one_sided(note)),
        }
    }

    /// What a reader must know of it.
    #[must_use]
    pub fn notes(&self) -> Vec<Note> {
        let orientation = self.landmarks.orientation_note(self.lungs_whole);
        [orientation, self.blur(), self.kernel(), self.ring_artefacts(), self.streak_artefacts()]
            .into_iter()
            .flatten()
            .collect()
    }

    fn blur(&self) -> Option<Note> {
        let edges = self.edges?;
        let [low, high] = {
            let [a, b] = edges.blur_mm;
            [a.min(b), a.max(b)]
        };
        let severity = severity(high, BLUR_MM)?;
        let cause = if high >= MOTION_RATIO * low {
            "along one direction and not along the other, as by motion or a doubled picture"
        } else {
            "by a very soft kernel, motion or processing"
        };
        let text = format!(
            "Within the slices the edges of the lungs are blurred as if by {high:.1} mm (standard deviation), {cause}: opacities \
             are smeared, and what lies beside vessels, chest wall and diaphragm may be taken for opacity."
        );
        Some(Note::new("blurred-images", severity, text))
    }

    fn kernel(&self) -> Option<Note> {
        let dip_hu = self.edges?.dip_hu;
        let text = format!(
            "Beside the chest wall lung dips by {dip_hu:.0} HU: an edge-enhancing kernel or filter. Opacities may be found too small or \
             missed; choose a series with a softer kernel if there is one."
        );
        Some(Note::new("sharpened-images", severity(dip_hu, DIP_HU)?, text))
    }

    fn ring_artefacts(&self) -> Option<Note> {
        let share = self.rings?;
        let text = format!(
            "Rings about the middle of the picture make up {:.0} % of what differs between neighbouring pixels: the detector needs \
             calibration. Densities are not to be relied on.",
            100.0 * share
        );
        Some(Note::new("ring-artefacts", severity(share, RINGS)?, text))
    }

    fn streak_artefacts(&self) -> Option<Note> {
        let share = self.thin_tissue?;
        let text = format!(
            "{:.0} % of the tissue outside the lungs is thinner than fat, as by dark streaks (metal, arms, too few photons), rings, or gas \
             in the soft tissue. Densities in the lungs may be wrong as well.",
            100.0 * share
        );
        Some(Note::new("streak-artefacts", severity(share, THIN_TISSUE)?, text))
    }
}

/// A warning from the first limit on, severe from the second.
fn severity(measure: f64, [warning, severe]: [f64; 2]) -> Option<Severity> {
    match measure {
        m if m >= severe => Some(Severity::Severe),
        m if m >= warning => Some(Severity::Warning),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
