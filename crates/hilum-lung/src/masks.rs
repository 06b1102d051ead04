//! Masks of a reader, who corrected ours or drew others: they come in as a DICOM segmentation and are measured.

use hilum_dicom::{Code, Refusal, SegmentInfo, SegmentationImage, codes};
use hilum_findings::{CONSOLIDATION_LABEL, GROUND_GLASS_LABEL, Lobe, UNKNOWN_OPACITY_LABEL};
use hilum_volume::{Geometry, LabelMap};

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
