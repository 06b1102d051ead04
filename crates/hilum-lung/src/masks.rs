//! Masks of a reader, who corrected ours or drew others: they come in as a DICOM segmentation and are measured.

use hilum_dicom::{Code, Refusal, SegmentInfo, SegmentationImage, codes};
use hilum_findings::{CONSOLIDATION_LABEL, GROUND_GLASS_LABEL, Lobe, Note, Severity, UNKNOWN_OPACITY_LABEL};
use hilum_imaging::{distance, extent};
use hilum_volume::{Geometry, LabelMap, Mask};
use rayon::prelude::*;

/// Lobes, opacities or both, on the grid of a series.
#[derive(Clone, Debug)]
pub struct Masks {
    /// 1 to 5 as everywhere; `None` if the segmentation has no lobes.
    pub lobes: Option<LabelMap>,
    /// 11 ground-glass, 12 consolidation, 13 of unknown kind; `None` if the segmentation has no opacities.
    pub lesions: Option<LabelMap>,
    /// SOP Instance UID of the segmentation.
    pub sop_instance_uid: String,
    /// Segments that are neither lobe nor opacity and were left out.
    pub left_out: usize,
}

impl Masks {
    /// Takes lobes and opacities out of a segmentation. A segment is known by the code of its property, or by its name if
    /// that is one of those we write. Of opacities that overlap, consolidation goes before ground-glass, and that before an
    /// unknown kind.
    ///
    /// # Errors
    /// [`Refusal::NotSegmentation`] if its pixels are not voxels of `grid`, or it has neither a lobe nor an opacity.
    pub fn of(segmentation: &SegmentationImage, grid: &Geometry) -> Result<Self, Refusal> {
        let known: Vec<u8> = segmentation.segments.iter().filter_map(label_of).collect();
        let is_lesion = |label: u8| label >= GROUND_GLASS_LABEL;
        if known.is_empty() {
            return Err(Refusal::NotSegmentation("it has neither a lobe of the lung nor an opacity in it"));
        }
        let lobes = match known.iter().any(|l| !is_lesion(*l)) {
            true => Some(segmentation.label_map(grid, |s| label_of(s).filter(|l| !is_lesion(*l)))?),
            false => None,
        };
        let mut lesions = None::<LabelMap>;
        // One after the other, so that the order of segments in the file does not matter.
        for wanted in [UNKNOWN_OPACITY_LABEL, GROUND_GLASS_LABEL, CONSOLIDATION_LABEL] {
            if !known.contains(&wanted) {
                continue;
            }
            let one = segmentation.label_map(grid, |s| label_of(s).filter(|l| *l == wanted))?;
            match &mut lesions {
                None => lesions = Some(one),
                Some(all) => {
                    for (voxel, new) in all.labels_mut().data_mut().iter_mut().zip(one.labels().data()) {
                        if *new != 0 {
                            *voxel = *new;
                        }
                    }
                }
            }
        }
        let left_out = segmentation.segments.len() - known.len();
        Ok(Self { lobes, lesions, sop_instance_uid: segmentation.sop_instance_uid.clone(), left_out })
    }

    /// What of a study is theirs.
    #[must_use]
    pub fn given(&self) -> Given {
        Given { lobes: self.lobes.is_some(), lesions: self.lesions.is_some() }
    }

    /// What is measured, in words for the report.
    #[must_use]
    pub fn sentence(&self) -> String {
        let what = match (&self.lobes, &self.lesions) {
            (Some(_), Some(_)) => "Lobes and opacities are",
            (Some(_), None) => "Lobes are",
            _ => "Opacities are",
        };
        let uid = &self.sop_instance_uid;
        format!("{what} those of a segmentation that was given (SOP Instance UID {uid}), not those found by Hilum.")
    }
}

/// What of a study's outlines was given, not found by Hilum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// Lobes, and with them the lungs.
    pub lobes: bool,
    /// Opacities.
    pub lesions: bool,
}

/// How far outside of every lobe an opacity still counts to the nearest.
const REACH_MM: f64 = 10.0;

/// The share of opacities outside of the lobes from which on the numbers are not to be used.
const TOO_MUCH_OUTSIDE: f64 = 0.05;

/// Sees to it that opacities lie in lobes. Where each voxel has one label alone, the lobes have holes under the opacities: the
/// lobes that were `found`, if others were given, fill them. Beyond those, an opacity within [`REACH_MM`] counts to the nearest lobe, and what is
/// farther is left out. Both are noted; with [`TOO_MUCH_OUTSIDE`] left out, severely.
pub(crate) fn fill_lobes(lobes: &mut LabelMap, lesions: &LabelMap, found: Option<&LabelMap>) -> Option<Note> {
    let outside = |lobes: &LabelMap| {
        let all = lobes.labels().data().par_iter().zip(lesions.labels().data());
        let outside: Vec<bool> = all.map(|(lobe, lesion)| *lobe == 0 && *lesion != 0).collect();
        Mask::new(lobes.geometry().clone(), outside).expect("one value per voxel")
    };
    if let Some(found) = found {
        let all = lobes.labels_mut().data_mut().par_iter_mut().zip(lesions.labels().data()).zip(found.labels().data());
        all.for_each(|((lobe, lesion), found)| {
            if *lobe == 0 && *lesion != 0 {
                *lobe = *found;
            }
        });
    }
    let beyond = outside(lobes);
    let bounds = extent::true_extent(&beyond)?;
    let geometry = lobes.geometry().clone();
    let steps = geometry.spacing_mm().map(|mm| (REACH_MM / mm).ceil() as usize);
    let bounds = extent::grown(bounds, steps, geometry.shape());
    let part = extent::crop(lobes.labels(), bounds);
    let mut nearest = part.map(|_| (f32::INFINITY, 0u8));
    for lobe in Lobe::ALL.map(Lobe::label) {
        let mask = part.map(|label| *label == lobe);
        if mask.data().contains(&true) {
            let squared = distance::squared_distance_mm2(&mask);
            for (nearest, squared) in nearest.data_mut().iter_mut().zip(squared.data()) {
                if *squared < nearest.0 {
                    *nearest = (*squared, lobe);
                }
            }
        }
    }
    let reach = (REACH_MM * REACH_MM) as f32;
    let beyond_here = extent::crop_mask(&beyond, bounds);
    let filled = part.data().iter().zip(beyond_here.data()).zip(nearest.data());
    let filled: Vec<u8> = filled
        .map(|((label, beyond), (squared, lobe))| if *beyond && *squared <= reach { *lobe } else { *label })
        .collect();
    let filled = hilum_volume::Volume::new(part.geometry().clone(), filled).expect("one label per voxel");
    lobes.labels_mut().paste(bounds.map(|b| b[0]), &filled).expect("the part lies where it was");

    let voxel_ml = geometry.voxel_volume_mm3() / 1000.0;
    let given = lesions.labels().data().par_iter().filter(|l| **l != 0).count() as f64 * voxel_ml;
    let [beyond, left_out] = [beyond, outside(lobes)].map(|mask| mask.volume_ml());
    let severe = left_out >= TOO_MUCH_OUTSIDE * given;
    let (severity, what) = match left_out > 0.0 {
        true if severe => (Severity::Severe, "and are left out: what is measured is not what was outlined"),
        true => (Severity::Warning, "and are left out"),
        false if beyond >= TOO_MUCH_OUTSIDE * given => (Severity::Warning, ""),
        false => (Severity::Info, ""),
    };
    let text = match left_out > 0.0 {
        true => format!(
            "Of {given:.1} ml of opacities that were given, {left_out:.1} ml lie more than {REACH_MM:.0} mm outside of every lobe {what}."
        ),
        false => format!(
            "Of {given:.1} ml of opacities that were given, {beyond:.1} ml lie up to {REACH_MM:.0} mm outside of the lobes and count to the nearest."
        ),
    };
    Some(Note::new("opacities-outside-lobes", severity, text))
}

/// The label of a segment that is a lobe or an opacity.
fn label_of(segment: &SegmentInfo) -> Option<u8> {
    const KNOWN: [(Code, u8); 8] = [
        (codes::RIGHT_UPPER_LOBE, 1),
        (codes::RIGHT_MIDDLE_LOBE, 2),
        (codes::RIGHT_LOWER_LOBE, 3),
        (codes::LEFT_UPPER_LOBE, 4),
        (codes::LEFT_LOWER_LOBE, 5),
        (codes::GROUND_GLASS_OPACITY, GROUND_GLASS_LABEL),
        (codes::LUNG_CONSOLIDATION, CONSOLIDATION_LABEL),
        (codes::OPACITY, UNKNOWN_OPACITY_LABEL),
    ];
    let (value, scheme) = &segment.property;
    let by_code = KNOWN.iter().find(|(code, _)| code.value() == value && code.scheme() == scheme);
    by_code.map(|(_, label)| *label).or_else(|| {
        let name = segment.label.to_lowercase();
        let lobe = Lobe::ALL.into_iter().find(|l| name == l.name() || name == l.abbreviation().to_lowercase());
        lobe.map(Lobe::label).or(match &name[..] {
            "ground glass opacity" | "ground-glass opacity" | "ground glass" | "ggo" => Some(GROUND_GLASS_LABEL),
            "consolidation" => Some(CONSOLIDATION_LABEL),
            "opacity" | "lesion" => Some(UNKNOWN_OPACITY_LABEL),
            _ => None,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opacities_outside_of_the_lobes_are_filled_counted_or_noted() {
        use hilum_volume::{PatientPoint, Volume};

        // A row of 80 voxels of 1 mm: the right upper lobe below 30, the right lower one from there to 60.
        let grid = Geometry::axial([1, 1, 80], PatientPoint([0.0; 3]), [1.0; 3]).unwrap();
        let row = |label: &dyn Fn(usize) -> u8| {
            LabelMap::new(Volume::new(grid.clone(), (0..80).map(label).collect()).unwrap())
        };
        let found = row(&|x| if x < 30 { 1 } else { 3 * u8::from(x < 60) });
        let lesion = |from: usize, to: usize| row(&|x| GROUND_GLASS_LABEL * u8::from((from..to).contains(&x)));
        let filled = |from, to| {
            // Each voxel with one label alone.
            let lesions = lesion(from, to);
            let mut lobes = row(&|x| if lesions.labels().data()[x] == 0 { found.labels().data()[x] } else { 0 });
            let note = fill_lobes(&mut lobes, &lesions, Some(&found));
            (lobes, note)
        };
        let (lobes, note) = filled(20, 50);
        assert_eq!((lobes, note), (found.clone(), None), "holes under opacities");

        let (lobes, note) = filled(50, 64);
        let note = note.unwrap();
        assert_eq!(lobes, row(&|x| if x < 30 { 1 } else { 3 * u8::from(x < 64) }));
        assert_eq!((&note.code[..], note.severity), ("opacities-outside-lobes", Severity::Warning));

        let (lobes, note) = filled(50, 80);
        assert_eq!(lobes.volume_ml(3), 0.04, "30 to 60, and up to 10 mm from the last voxel");
        let note = note.unwrap();
        assert_eq!(note.severity, Severity::Severe);
    }

    #[test]
    fn segments_are_known_by_code_or_name() {
        let segment = |code: Option<Code>, label: &str| SegmentInfo {
            label: label.into(),
            property: code.map(|c| (c.value().into(), c.scheme().into())).unwrap_or_default(),
            ..SegmentInfo::default()
        };
        for (code, name, label) in [
            (Some(codes::RIGHT_MIDDLE_LOBE), "whatever", Some(2)),
            (Some(codes::LUNG_CONSOLIDATION), "", Some(12)),
            (Some(codes::LUNG), "Right lung", None),
            (None, "Left lower lobe", Some(5)),
            (None, "LUL", Some(4)),
            (None, "GGO", Some(11)),
            (None, "heart", None),
        ] {
            assert_eq!(label_of(&segment(code, name)), label, "{name}");
        }
    }
}
