//! The lungs in three dimensions: lobes as coloured glass, lesions solid within.

use hilum_imaging::render::{Camera, LabelSurface, Scene, Surface};
use hilum_volume::{LabelMap, PatientVector};

use crate::canvas::Canvas;
use crate::palette;

/// Where the viewer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Front,
    Back,
}

/// Voxels rendered are about this large.
const DETAIL_MM: f64 = 1.8;
const LOBE: Surface = Surface { colour: [0; 3], opacity: 0.2, rim_opacity: 0.8, smoothing_mm: 2.2 };
const LESION: Surface = Surface { colour: [0; 3], opacity: 1.0, rim_opacity: 1.0, smoothing_mm: 1.0 };

impl Side {
    /// To the right and down in the picture.
    pub(crate) fn directions(self) -> [PatientVector; 2] {
        let across = if self == Self::Front { 1.0 } else { -1.0 };
        [PatientVector([across, 0.0, 0.0]), PatientVector([0.0, 0.0, -1.0])]
    }

    /// The name of the picture's file.
    pub(crate) fn file_name(self) -> &'static str {
        match self {
            Self::Front => "rendering-front.png",
            Self::Back => "rendering-back.png",
        }
    }
}

/// One picture per side; none if there is nothing to be seen.
pub(crate) fn draw(labels: &LabelMap, lesions: &[u8], sides: &[Side]) -> Vec<Canvas> {
    if labels.labels().data().iter().all(|l| *l == 0) {
        return Vec::new();
    }
    const LABELS: [u8; 6] = [0, 1, 2, 3, 4, 5];
    let mut sets: Vec<LabelSurface> = (1..=5_u8)
        .map(|l| (&LABELS[usize::from(l)..=usize::from(l)], Surface { colour: palette::of_lobe(l), ..LOBE }))
        .collect();
    sets.extend(lesions.iter().map(|l| (std::slice::from_ref(l), Surface { colour: palette::of_label(*l), ..LESION })));
    let mut scene = Scene::new(labels.geometry(), DETAIL_MM);
    scene.add_labels(labels, &sets);
    sides
        .iter()
        .map(|side| {
            let azimuth_deg = if *side == Side::Front { 0.0 } else { 180.0 };
            let camera = Camera { azimuth_deg, width: 520, height: 456, background: [[0; 3]; 2], ..Camera::default() };
            scene.picture(&camera)
        })
        .collect()
}
