//! Scores, quality and triage of whole chests, and what is written when something is missing.

use hilum_findings::{
    Findings, FindingsInput, Fissure, FissureConfidence, KindMethod, LesionKind, Lobe, Note, OutOfDistribution,
    Priority, RefusalInput, Series, Severity, Software,
};
use hilum_volume::PatientVector;

use crate::chest::{Opacity, chest, input};

/// A box of the right lower lobe (x 10–50, y 10–50, z 20–40): `percent` of it, which must be a multiple of 5.
fn of_right_lower_lobe(percent: u32, label: u8, hu: i16) -> Opacity {
    Opacity { from: [10.0, 10.0, 20.0], to: [50.0, 10.0 + 0.4 * f64::from(percent), 40.0], label, hu }
}

#[test]
fn a_lobe_scores_by_its_measured_percentage() {
    // Percent of the lobe, CTSS, LSS, and CT-0 to CT-4 from a third of that in the right lung.
    let cases =
        [(0, 0, 0, 0), (5, 2, 1, 1), (25, 2, 1, 1), (50, 3, 2, 1), (75, 4, 3, 2), (80, 5, 4, 2), (100, 5, 4, 2)];
    for (percent, ctss, lss, ct) in cases {
        let measured = chest([2.0; 3], &[of_right_lower_lobe(percent, 12, 20)]).measured();
        let findings = Findings::analysed(input(&measured, Series::default()));
        let lobe = &findings.lesions.lobes[Lobe::RightLower as usize];
        assert_eq!(lobe.percent, Some(f64::from(percent)));
        assert_eq!((lobe.score_0_5, lobe.lss_0_4, lobe.lhos_0_4), (Some(ctss), Some(lss), Some(lss)), "{percent} %");
        let scores = findings.scores;
        assert_eq!((scores.ctss_0_25, scores.lss_0_20, scores.lhos_0_20), (Some(ctss), Some(lss), Some(lss)));
        assert_eq!(scores.severity_ct_0_4, Some(ct), "{percent} % of a third of the lung");
    }
}

#[test]
fn ground_glass_does_not_score_as_high_opacity() {
    let measured = chest([2.0; 3], &[of_right_lower_lobe(50, 11, -600)]).measured();
    let scores = Findings::analysed(input(&measured, Series::default())).scores;
    assert_eq!((scores.lss_0_20, scores.lhos_0_20), (Some(2), Some(0)));
}

#[test]
fn the_more_involved_lung_decides() {
    // All of the left lung: CT-4, though only half of both is opaque.
    let left = Opacity { from: [70.0, 10.0, 20.0], to: [110.0, 50.0, 80.0], label: 12, hu: 20 };
    let measured = chest([2.0; 3], &[left]).measured();
    let findings = Findings::analysed(input(&measured, Series::default()));
    assert_eq!(findings.scores.severity_ct_0_4, Some(4));
    assert_eq!(findings.scores.ctss_0_25, Some(10), "two lobes of five each");
    assert_eq!(findings.triage.priority, Some(Priority::Urgent));
    assert!(findings.is_urgent());
}

#[test]
fn kinds_of_components() {
    let cases = [(0.0, LesionKind::Consolidation), (2.0, LesionKind::Consolidation), (4.0, LesionKind::Mixed)];
    for (ground_glass_mm, kind) in cases.into_iter().chain([(8.0, LesionKind::GroundGlass)]) {
        let split = 20.0 + ground_glass_mm;
        let parts = [
            Opacity { from: [20.0, 20.0, 40.0], to: [30.0, split, 50.0], label: 11, hu: -600 },
            Opacity { from: [20.0, split, 40.0], to: [30.0, 30.0, 50.0], label: 12, hu: 20 },
        ];
        let measured = chest([2.0; 3], &parts).measured();
        let findings = Findings::analysed(input(&measured, Series::default()));
        let [component] = &findings.lesions.components[..] else { panic!("one component") };
        assert_eq!(component.kind, kind, "{ground_glass_mm} of 10 mm ground-glass");
        assert_eq!((component.volume_ml, component.ground_glass_ml), (1.0, Some(ground_glass_mm / 10.0)));
    }
}

#[test]
fn small_components_count_but_are_not_listed() {
    // .096 and .104 ml.
    let opacities = [
        Opacity { from: [20.0, 20.0, 40.0], to: [26.0, 24.0, 44.0], label: 11, hu: -600 },
        Opacity { from: [40.0, 20.0, 40.0], to: [42.0, 46.0, 42.0], label: 11, hu: -600 },
    ];
    let measured = chest([2.0; 3], &opacities).measured();
    let lesions = Findings::analysed(input(&measured, Series::default())).lesions;
    assert_eq!((lesions.count, lesions.components.len()), (Some(1), 1));
    assert_eq!(lesions.components[0].volume_ml, 0.104);
    assert_eq!((lesions.small_components.count, lesions.small_components.volume_ml), (Some(1), Some(0.096)));
    assert_eq!(lesions.total_ml, Some(0.2));
}

#[test]
fn kinds_not_told_apart_are_null_with_a_reason() {
    let measured = chest([2.0; 3], &[of_right_lower_lobe(50, 13, -600)]).measured();
    let mut input = input(&measured, Series::default());
    input.kind_method = KindMethod::NotToldApart;
    let findings = Findings::analysed(input).with_nulls_explained();
    assert_eq!(findings.lesions.ground_glass_ml, None);
    assert_eq!(findings.lesions.components[0].kind, LesionKind::Unknown);
    assert_eq!(findings.lesions.distribution.ground_glass_share, None);
    assert!(findings.scores.co_rads.reasons.iter().any(|reason| reason.code == "kind_unknown"));
    let reason = |field: &str| findings.not_known.iter().find(|n| n.field == field).map(|n| n.reason.as_str());
    assert_eq!(reason("lesions.ground_glass_ml"), Some("Ground-glass and consolidation were not told apart."));
}

#[test]
fn a_lobe_that_is_not_there_has_no_score_and_no_sum() {
    let mut chest = chest([2.0; 3], &[of_right_lower_lobe(50, 11, -600)]);
    for label in chest.lobes.labels_mut().data_mut() {
        *label = if *label == 2 { 0 } else { *label };
    }
    let measured = chest.measured();
    let findings = Findings::analysed(input(&measured, Series::default())).with_nulls_explained();
    let middle = &findings.lesions.lobes[Lobe::RightMiddle as usize];
    assert_eq!((middle.percent, middle.score_0_5), (None, None));
    assert_eq!(findings.anatomy.lobes[Lobe::RightMiddle as usize].volume_ml, Some(0.0));
    assert_eq!(findings.scores.ctss_0_25, None);
    assert_eq!(findings.scores.severity_ct_0_4, Some(2), "half of a lobe is a quarter of what there is of the lung");
    let reason = findings.not_known.iter().find(|n| n.field == "scores.ctss_0_25").expect("a reason");
    assert!(reason.reason.contains("right middle lobe"), "{}", reason.reason);
    assert!(findings.quality.reasons.iter().any(|note| note.code == "lobe-not-found"));
}

#[test]
fn quality_names_what_is_unusual_the_worst_first() {
    let mut chest = chest([4.0, 2.0, 2.0], &[]);
    for label in chest.lobes.labels_mut().data_mut() {
        *label = if *label >= 4 { 0 } else { *label };
    }
    let measured = chest.measured();
    let mut series = Series { spacing_mm: Some([8.0, 1.0, 1.0]), ..Series::default() };
    series.notes = vec![
        Note::new("duplicate-slice", Severity::Info, "For the record."),
        Note::new("uneven-spacing", Severity::Warning, "A little off."),
    ];
    let mut input = input(&measured, series);
    input.out_of_distribution = OutOfDistribution { score: Some(3.2), flag: Some(true) };
    let quality = Findings::analysed(input).quality;
    let codes: Vec<&str> = quality.reasons.iter().map(|note| note.code.as_str()).collect();
    let severe = ["lung-not-found", "out-of-distribution"];
    assert_eq!(codes, [&severe[..], &["uneven-spacing", "small-lung-volume", "thick-slices"]].concat());
    assert!(quality.usable);
}

#[test]
fn part_of_the_lungs_gets_no_scores_of_whole_ones() {
    let lesion = [of_right_lower_lobe(50, 11, -600)];
    let measured = chest([2.0; 3], &lesion).measured();
    let reason = "The lungs are cut off by the scan.";
    let findings =
        Findings::analysed(FindingsInput { partial_lungs: Some(reason.into()), ..input(&measured, Series::default()) });
    assert!(!findings.quality.usable);
    assert_eq!(findings.scores, Default::default());
    assert!(findings.lesions.lobes.iter().all(|l| l.score_0_5.is_none() && l.percent.is_some()));
    assert_eq!(findings.triage.priority, Some(Priority::Soon));
    assert_eq!(findings.triage.reason.as_deref(), Some(reason));
    assert_eq!(findings.with_nulls_explained().unexplained_nulls(), Vec::<String>::new());
    assert!(
        findings.unexplained_nulls().iter().all(|field| !field.starts_with("scores") && !field.contains("score_0"))
    );

    let left = Opacity { from: [70.0, 10.0, 20.0], to: [110.0, 50.0, 80.0], label: 12, hu: 20 };
    let measured = chest([2.0; 3], &[left]).measured();
    let input = FindingsInput { partial_lungs: Some(reason.into()), ..input(&measured, Series::default()) };
    let whole = Findings::analysed(FindingsInput { partial_lungs: None, ..input.clone() });
    assert_eq!(Findings::analysed(input).triage, whole.triage, "what is seen is urgent by itself");
}

#[test]
fn a_chest_without_opacity_is_graded_1_and_routine() {
    let measured = chest([2.0; 3], &[]).measured();
    let findings = Findings::analysed(input(&measured, Series::default()));
    assert_eq!(findings.scores.co_rads.grade, Some(1));
    assert_eq!((findings.scores.ctss_0_25, findings.scores.severity_ct_0_4), (Some(0), Some(0)));
    assert_eq!(findings.triage.priority, Some(Priority::Routine));
    assert_eq!(findings.lesions.percent_of_lung, Some(0.0));
}

fn refusal() -> Findings {
    Findings::refused(RefusalInput {
        product: "hilum-lung".into(),
        software: Software { name: "hilum".into(), version: "0.1.0".into(), commit: None },
        series: None,
        code: "not-ct".into(),
        reason: "The series is an MR, not a CT.".into(),
    })
}

#[test]
fn a_refused_study_says_why_and_claims_nothing() {
    let findings = refusal();
    assert!(!findings.quality.usable);
    assert_eq!(findings.quality.reasons[0].code, "not-ct");
    assert_eq!((findings.scores.co_rads.grade, findings.triage.priority), (None, None));
    insta::assert_snapshot!(findings.to_json());
}

#[test]
fn no_null_goes_unexplained() {
    let measured = chest([2.0; 3], &[of_right_lower_lobe(50, 11, -600)]).measured();
    let analysed = Findings::analysed(input(&measured, Series::default()));
    let empty = chest([2.0; 3], &[]).measured();
    for findings in [analysed, Findings::analysed(input(&empty, Series::default())), refusal()] {
        let written = findings.with_nulls_explained();
        assert_eq!(written.unexplained_nulls(), Vec::<String>::new());
        for entry in &written.not_known {
            assert_ne!(entry.reason, "It was not determined.", "{} deserves a reason of its own", entry.field);
        }
    }
}

#[test]
fn reasons_for_what_is_known_after_all_are_dropped() {
    let measured = chest([2.0; 3], &[]).measured();
    let mut findings = Findings::analysed(input(&measured, Series::default())).with_nulls_explained();
    let explains = |findings: &Findings, field: &str| findings.not_known.iter().any(|n| n.field == field);
    assert!(explains(&findings, "created") && explains(&findings, "peak_memory_mb"));
    findings.created = Some("2026-01-02T03:04:05Z".into());
    findings.peak_memory_mb = Some(512.0);
    let findings = findings.with_nulls_explained();
    assert!(!explains(&findings, "created") && !explains(&findings, "peak_memory_mb"));
    let run = findings.without_run();
    assert_eq!((run.created, run.peak_memory_mb), (None, None));
}

#[test]
fn json_reads_back_as_it_was() {
    let measured = chest([2.0; 3], &[of_right_lower_lobe(50, 11, -600)]).measured();
    let findings = Findings::analysed(input(&measured, Series::default())).with_nulls_explained();
    assert_eq!(Findings::from_json(&findings.to_json()).expect("it was just written"), findings);
    assert!(Findings::from_json("{\"schema_version\": \"1.0\"}").is_err(), "fields must be there");
}

#[test]
fn findings_of_a_small_chest() {
    let opacities = [
        Opacity { from: [10.0, 36.0, 24.0], to: [14.0, 46.0, 36.0], label: 11, hu: -600 },
        Opacity { from: [70.0, 14.0, 40.0], to: [80.0, 24.0, 60.0], label: 12, hu: 20 },
    ];
    let chest = chest([4.0, 2.0, 2.0], &opacities);
    let measured = chest.measured();
    let mut input = input(&measured, Series::on_grid(chest.ct.geometry()));
    input.fissures = vec![FissureConfidence {
        name: Fissure::LeftOblique,
        confidence: Some(0.8),
        text: Some("Seen along most of its course.".into()),
    }];
    let mut findings = Findings::analysed(input);
    assert_eq!(findings.hu_histogram.lung.len(), 130);
    // 130 bins make no one wiser here; their sums are tested elsewhere.
    findings.hu_histogram.lung.truncate(1);
    findings.hu_histogram.lesion.truncate(1);
    findings.definitions.truncate(1);
    findings.lesions.slices.retain(|slice| [0, 6, 10].contains(&slice.index));
    insta::assert_snapshot!(findings.to_json());
}

#[test]
fn the_plane_of_the_slices_is_named() {
    use hilum_volume::{Geometry, PatientPoint};
    let (x, y, z) = (PatientVector([1.0, 0.0, 0.0]), PatientVector([0.0, 1.0, 0.0]), PatientVector([0.0, 0.0, 1.0]));
    let tilt = |degrees: f64| PatientVector([0.0, degrees.to_radians().cos(), degrees.to_radians().sin()]);
    let cases = [
        ([z, y, x], "axial"),
        ([z, tilt(9.0), x], "axial"),
        ([z, tilt(11.0), x], "oblique"),
        ([y, z.times(-1.0), x], "coronal"),
        ([x, z.times(-1.0), y], "sagittal"),
    ];
    for (axes, expected) in cases {
        let grid = Geometry::new([2, 2, 2], PatientPoint([0.0; 3]), axes, [1.0; 3]).unwrap();
        assert_eq!(Series::on_grid(&grid).orientation.as_deref(), Some(expected));
    }
}
