//! Which series of a study a chest reading should use.

use std::cmp::Reverse;

use hilum_dicom::{PlaneOrientation, Refusal, Scan, SeriesSummary};

/// A chest series should cover at least this much of the body: the lungs of a small adult are about 200 mm high.
const COVERAGE_MIN_MM: f64 = 150.0;

/// Slices up to this distance show interlobular detail; thinner ones add noise and time, not findings.
const FINE_SPACING_MM: f64 = 3.0;

/// The series to read, and why this one.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// Series Instance UID.
    pub series_uid: String,
    /// One sentence for the report.
    pub because: String,
}

/// Chooses the series that suits a chest reading.
///
/// By these rules, each deciding only where the ones before it tie: CT before other modalities; slices before
/// localisers; axial slices; not named as another body part; at least 150 mm of the body; original before derived
/// images; slices at most 3 mm apart; without contrast agent; more slices; the lower UID. Whether the
/// series can be used at all is for [`hilum_dicom::load`] to say.
///
/// # Errors
/// [`Refusal::SeveralPatients`] if the images are of more than one patient; [`Refusal::Empty`] if there is no series.
pub fn choose(scan: &Scan) -> Result<Choice, Refusal> {
    scan.require_one_patient()?;
    choose_from(scan.series()).ok_or(Refusal::Empty)
}

fn choose_from(series: &[SeriesSummary]) -> Option<Choice> {
    let best = series.iter().max_by_key(|s| rank(s))?;
    let because = if series.len() == 1 {
        "It is the only series.".to_owned()
    } else {
        let spacing = best.slice_spacing_mm.map_or(String::new(), |mm| format!(", {mm:.1} mm apart"));
        let plane = match best.orientation {
            Some(PlaneOrientation::Axial) => "axial ",
            Some(PlaneOrientation::Coronal) => "coronal ",
            Some(PlaneOrientation::Sagittal) => "sagittal ",
            None => "",
        };
        format!(
            "Of {} series it suits a chest reading best: {} {plane}slices{spacing}, covering {:.0} mm.",
            series.len(),
            best.images - best.localisers,
            best.coverage_mm
        )
    };
    Some(Choice { series_uid: best.series_uid.clone(), because })
}

/// Larger is better; the fields are the rules in order.
fn rank(series: &SeriesSummary) -> impl Ord + use<> {
    let slices = series.images - series.localisers;
    (
        series.modality == "CT",
        slices >= 2,
        series.orientation == Some(PlaneOrientation::Axial),
        !names_another_part(&series.body_part_examined),
        series.coverage_mm >= COVERAGE_MIN_MM,
        !series.image_type.iter().any(|t| t == "DERIVED"),
        series.slice_spacing_mm.is_some_and(|mm| mm <= FINE_SPACING_MM),
        !series.contrast,
        slices,
        Reverse(series.series_uid.clone()),
    )
}

/// Whether Body Part Examined (PS3.16 annex L) names something that holds no lungs. Combined parts such as
/// `CHESTABDPELVIS` hold them.
fn names_another_part(part: &str) -> bool {
    let lungs = ["CHEST", "LUNG", "THORAX", "TRUNK", "WHOLEBODY", "BODY"];
    !part.is_empty() && !lungs.iter().any(|l| part.contains(l))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(uid: &str) -> SeriesSummary {
        SeriesSummary {
            study_uid: "1.2".into(),
            series_uid: uid.into(),
            modality: "CT".into(),
            description: String::new(),
            series_number: None,
            manufacturer: String::new(),
            convolution_kernel: String::new(),
            body_part_examined: "CHEST".into(),
            image_type: vec!["ORIGINAL".into(), "PRIMARY".into(), "AXIAL".into()],
            acquisition_date: String::new(),
            study_date: String::new(),
            acquisition_time: String::new(),
            patient_key: "p".into(),
            sop_classes: Vec::new(),
            images: 150,
            localisers: 0,
            rows_columns: [512, 512],
            pixel_spacing_mm: Some([0.7; 2]),
            slice_thickness_mm: Some(2.0),
            slice_spacing_mm: Some(2.0),
            coverage_mm: 300.0,
            orientation: Some(PlaneOrientation::Axial),
            contrast: false,
        }
    }

    fn chosen(series: &[SeriesSummary]) -> String {
        choose_from(series).unwrap().series_uid
    }

    #[test]
    fn each_rule_decides() {
        struct Case {
            adds: &'static str,
            spoil: fn(&mut SeriesSummary),
        }
        let cases = [
            Case { adds: "another modality", spoil: |s| s.modality = "MR".into() },
            Case { adds: "localisers only", spoil: |s| s.localisers = s.images },
            Case { adds: "a coronal reformat", spoil: |s| s.orientation = Some(PlaneOrientation::Coronal) },
            Case { adds: "the head", spoil: |s| s.body_part_examined = "HEAD".into() },
            Case { adds: "a short stack", spoil: |s| s.coverage_mm = 60.0 },
            Case { adds: "derived images", spoil: |s| s.image_type[0] = "DERIVED".into() },
            Case { adds: "thick slices", spoil: |s| s.slice_spacing_mm = Some(5.0) },
            Case { adds: "contrast agent", spoil: |s| s.contrast = true },
        ];
        for case in cases {
            let mut worse = series("1");
            worse.images = 900; // more slices do not make up for it
            (case.spoil)(&mut worse);
            assert_eq!(chosen(&[worse.clone(), series("2")]), "2", "{}", case.adds);
            assert_eq!(chosen(&[series("2"), worse]), "2", "{}: order does not matter", case.adds);
        }
    }

    #[test]
    fn equal_series_are_settled_by_uid() {
        assert_eq!(chosen(&[series("1.5"), series("1.4")]), "1.4");
    }

    #[test]
    fn a_part_that_includes_the_chest_is_no_other_part() {
        assert!(!names_another_part("CHESTABDPELVIS"));
        assert!(!names_another_part(""));
        assert!(names_another_part("KNEE"));
    }
}
