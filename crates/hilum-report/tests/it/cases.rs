//! Findings of typical studies, as the report meets them.

use hilum_findings::{
    Findings, LesionComponent, LesionKind, Lobe, LobeAnatomy, LobeLesions, Note, Priority, Reason, Severity,
    SliceLesions, ctss_of_lobe, lss_of_lobe,
};

/// A chest of 4000 ml without opacity.
pub(crate) fn normal() -> Findings {
    let mut f = Findings { created: Some("2026-03-01T10:20:30Z".to_string()), ..Findings::default() };
    f.software.name = "Hilum".to_string();
    f.software.version = "0.0.0".to_string();
    f.series.description = Some("Thorax".to_string());
    f.series.slices = Some(100);
    f.series.spacing_mm = Some([3.0, 0.7, 0.7]);
    f.quality.usable = true;
    f.anatomy.lung_volume_ml.total = Some(4000.0);
    f.anatomy.lung_volume_ml.right = Some(2200.0);
    f.anatomy.lung_volume_ml.left = Some(1800.0);
    f.lesions.count = Some(0);
    f.lesions.slices =
        (0..100).map(|index| SliceLesions { index, lesion_ml: 0.0, probability: None, lung_ml: 40.0 }).collect();
    f.triage.priority = Some(Priority::Routine);
    set_lobes(&mut f, [0.0; 5]);
    f
}

/// Bilateral, peripheral ground-glass.
pub(crate) fn covid_like() -> Findings {
    let mut f = normal();
    set_lobes(&mut f, [4.0, 1.5, 18.2, 6.0, 12.4]);
    f.lesions.ground_glass_ml = Some(0.86 * f.lesions.total_ml.unwrap());
    f.lesions.consolidation_ml = Some(0.14 * f.lesions.total_ml.unwrap());
    f.lesions.percent_high_opacity = Some(0.9);
    let d = &mut f.lesions.distribution;
    d.bilateral = Some(true);
    d.multifocal = Some(true);
    d.ground_glass_share = Some(0.86);
    d.peripheral_share = Some(0.84);
    d.peripheral_share_of_lung = Some(0.61);
    d.posterior_share = Some(0.71);
    d.lower_lobe_share = Some(0.68);
    f.lesions.components = (1..=12).map(component).collect();
    f.lesions.count = Some(12);
    f.lesions.small_components.count = Some(7);
    f.lesions.small_components.volume_ml = Some(0.3);
    f.lesions.small_components.below_ml = Some(0.1);
    f.scores.severity_ct_0_4 = Some(1);
    f.scores.co_rads.grade = Some(5);
    f.scores.co_rads.reasons = vec![Reason::new("bilateral", "Both lungs are involved.")];
    f.triage.priority = Some(Priority::Soon);
    f.triage.reason = Some("The pattern suggests CO-RADS 5: the patient may have to be isolated.".to_string());
    f
}

/// One dense lobe on the right.
pub(crate) fn lobar() -> Findings {
    let mut f = normal();
    set_lobes(&mut f, [0.0, 0.0, 55.0, 0.0, 0.0]);
    f.lesions.ground_glass_ml = Some(25.0);
    f.lesions.consolidation_ml = Some(f.lesions.total_ml.unwrap() - 25.0);
    f.lesions.percent_high_opacity = Some(8.4);
    let d = &mut f.lesions.distribution;
    d.bilateral = Some(false);
    d.multifocal = Some(false);
    d.ground_glass_share = Some(0.08);
    d.peripheral_share = Some(0.64);
    d.peripheral_share_of_lung = Some(0.61); // hardly more than an even distribution gives
    d.posterior_share = Some(0.9);
    d.lower_lobe_share = Some(1.0);
    f.lesions.components = vec![LesionComponent { kind: LesionKind::Consolidation, ..component(1) }];
    f.lesions.count = Some(1);
    f.scores.severity_ct_0_4 = Some(1);
    f.scores.co_rads.grade = Some(2);
    f.quality.reasons.push(Note::new("motion", Severity::Severe, "Breathing blurs the lower lobes."));
    f
}

/// A series that is no chest.
pub(crate) fn refused() -> Findings {
    let mut f = Findings { created: Some("2026-03-01T10:20:30Z".to_string()), ..Findings::default() };
    f.software.name = "Hilum".to_string();
    f.quality.reasons.push(Note::new(
        "no-lungs",
        Severity::Severe,
        "No lungs <found> in this series; is it a chest CT?",
    ));
    f
}

/// Volumes of 800 ml a lobe, and everything that follows from the percentages of opacity.
fn set_lobes(f: &mut Findings, percent: [f64; 5]) {
    f.anatomy.lobes =
        Lobe::ALL.map(|name| LobeAnatomy { name, volume_ml: Some(800.0), mean_hu: Some(-842.0) }).to_vec();
    f.lesions.lobes = Lobe::ALL
        .into_iter()
        .zip(percent)
        .map(|(name, p)| LobeLesions {
            name,
            percent: Some(p),
            percent_high_opacity: Some(p / 10.0),
            score_0_5: Some(ctss_of_lobe(p)),
            lss_0_4: Some(lss_of_lobe(p)),
            lhos_0_4: Some(lss_of_lobe(p / 10.0)),
            lesion_ml: Some(8.0 * p),
            ground_glass_ml: None,
            consolidation_ml: None,
        })
        .collect();
    let total: f64 = percent.iter().map(|p| 8.0 * p).sum();
    f.lesions.total_ml = Some(total);
    f.lesions.percent_of_lung = Some(total / 40.0);
    f.lesions.percent_high_opacity = Some(0.0);
    f.scores.ctss_0_25 = Some(f.lesions.lobes.iter().filter_map(|l| l.score_0_5).sum());
    f.scores.severity_ct_0_4 = Some(u8::from(total > 0.0));
}

fn component(id: usize) -> LesionComponent {
    LesionComponent {
        id,
        volume_ml: 120.0 / id as f64,
        lobe: Lobe::RightLower,
        mean_hu: -612.0,
        kind: LesionKind::GroundGlass,
        centroid_lps_mm: [-71.2, 33.0, -412.5],
        slice_range: [20, 44],
        lobes: vec![Lobe::RightLower],
        ground_glass_ml: Some(0.0),
        consolidation_ml: Some(0.0),
    }
}
