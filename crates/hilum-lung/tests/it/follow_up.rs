//! Follow-up of phantoms whose lesions grew by a known amount, the body having moved in between.

use hilum_findings::{
    Findings, FindingsInput, KindMethod, LesionFate, Lobe, Series, Severity, Software, Trend, measure,
};
use hilum_lung::{ReadStudy, StudyFacts, follow_up};
use hilum_phantom::{Anatomy, Disease, PhantomOptions, Variant};
use hilum_volume::{Geometry, LabelMap, PatientPoint, PatientVector, Volume};

/// A phantom with its own truth as masks: what is tested is the comparison, not the network.
fn study(anatomy: &Anatomy, date: &str, moved: Option<(f64, [f64; 3])>) -> ReadStudy {
    let options = PhantomOptions { variant: Variant::Small, ..PhantomOptions::default() };
    let (ct, truth) = anatomy.sample(&options.geometry(), &options.scanner());
    let grid = match moved {
        Some((degrees, shift)) => turned(ct.geometry(), degrees, shift),
        None => ct.geometry().clone(),
    };
    let ct = Volume::new(grid.clone(), ct.into_data()).unwrap();
    let lobes = placed(truth.lobes, &grid);
    let lesions = placed(truth.lesions, &grid);
    let measured = measure(&ct, &lobes, &lesions, None).unwrap();
    let findings = Findings::analysed(FindingsInput {
        product: "hilum-lung".into(),
        software: Software::default(),
        models: vec![],
        series: Series::on_grid(&grid),
        measurements: &measured,
        kind_method: KindMethod::Network,
        kind_method_text: String::new(),
        lesion_interval: None,
        slice_probability_text: String::new(),
        fissures: vec![],
        quality_notes: vec![],
        partial_lungs: None,
        out_of_distribution: Default::default(),
        classification: Default::default(),
        not_known: vec![],
    });
    let mut labels = lobes.clone();
    for (label, lesion) in labels.labels_mut().data_mut().iter_mut().zip(lesions.labels().data()) {
        if *lesion > 0 {
            *label = *lesion;
        }
    }
    let facts = StudyFacts { date: Some(date.into()), ..StudyFacts::default() };
    ReadStudy { findings, labels, lobes, ct: Some(ct), facts }
}

fn placed(labels: LabelMap, grid: &Geometry) -> LabelMap {
    LabelMap::new(Volume::new(grid.clone(), labels.into_labels().into_data()).unwrap())
}

/// The same voxels in a patient who lies turned about the body's axis and shifted.
fn turned(grid: &Geometry, degrees: f64, shift: [f64; 3]) -> Geometry {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let turn = |[x, y, z]: [f64; 3]| [cos * x - sin * y, sin * x + cos * y, z];
    let origin = turn(grid.origin().0);
    let origin = PatientPoint(std::array::from_fn(|a| origin[a] + shift[a]));
    Geometry::new(grid.shape(), origin, grid.axes().map(|v| PatientVector(turn(v.0))), grid.spacing_mm()).unwrap()
}

fn lesion_ml(anatomy: &Anatomy, lobe: usize) -> f64 {
    let known = &anatomy.known_answers().lobes[lobe];
    known.volume_ml * known.percent / 100.0
}

#[test]
fn known_growth_is_found_lobe_by_lobe_and_lesion_by_lesion() {
    let (before, after) = (Anatomy::new(1, Disease::Covid), Anatomy::with_growth(1, Disease::Covid, 1.25));
    let healthy = Anatomy::new(1, Disease::Healthy);
    let earlier = study(&before, "20260901", None);
    let moved = Some((6.0, [14.0, -9.0, 22.0]));
    let current = study(&after, "20261124", moved);
    let oldest = study(&healthy, "20260101", None);

    let mut later = oldest.clone();
    later.facts.date = Some("20270101".into());

    let result = follow_up(&current, vec![later, oldest.clone(), earlier.clone()], vec![]);
    let found = &result.follow_up;
    let days: Vec<_> = found.earlier.iter().map(|e| e.days_before).collect();
    assert_eq!(days, [Some(84), Some(327), Some(-38)], "the newest first, but for one that is later than this study");
    assert!(found.cautions.iter().any(|n| n.code == "earlier-is-later" && n.severity == Severity::Warning));
    assert_eq!(found.earlier[1].lesion_ml, Some(0.0));
    let comparison = found.comparison.as_ref().unwrap();
    assert!(comparison.registration.lung_dice > 0.97, "{:?}", comparison.registration);
    for (index, lobe) in Lobe::ALL.iter().enumerate() {
        let change = comparison.regions.iter().find(|r| r.name == lobe.abbreviation()).unwrap();
        let (then, now) = (lesion_ml(&before, index), lesion_ml(&after, index));
        // 3 %, and for the smallest a quarter of a millilitre: nine voxels of 3 mm.
        let near = |found: f64, known: f64| (found - known).abs() < (0.03 * known).max(0.25);
        assert!(near(change.earlier_ml, then) && near(change.ml, now), "{then} to {now}: {change:?}");
        assert!((change.change_ml - (now - then)).abs() < 0.03 * now + 0.25, "{change:?}");
    }
    assert_eq!(comparison.regions[0].trend, Some(Trend::Grown));
    let fates: Vec<_> = comparison.lesions.iter().map(|l| l.fate).collect();
    assert!(
        !fates.is_empty() && fates.iter().all(|f| matches!(f, LesionFate::Persisting | LesionFate::Merged)),
        "{fates:?}"
    );
    assert!(comparison.lesions.iter().all(|l| l.ml > l.earlier_ml));
    assert_eq!(comparison.lesions[0].trend, Some(Trend::Grown));
    let findings = current.findings.clone().with_follow_up(found.clone());
    assert!(findings.with_nulls_explained().unexplained_nulls().is_empty());

    // The earlier lesions on the current grid are where that patient, moved but not grown, has them.
    let unchanged = study(&before, "20261124", moved);
    let result = follow_up(&unchanged, vec![earlier], vec![]);
    let carried = result.maps.unwrap().earlier_lesions;
    let pairs = || carried.labels().data().iter().zip(unchanged.labels.labels().data());
    let both = pairs().filter(|(a, b)| **a > 5 && **b > 5).count();
    let dice =
        2.0 * both as f64 / pairs().map(|(a, b)| usize::from(*a > 5) + usize::from(*b > 5)).sum::<usize>() as f64;
    assert!(dice >= 0.95, "Dice {dice}");
    let comparison = result.follow_up.comparison.unwrap();
    assert!(comparison.lesions.iter().all(|l| l.trend == Some(Trend::Unchanged)), "{:?}", comparison.lesions);
    assert!(comparison.regions.iter().all(|r| r.trend == Some(Trend::Unchanged)), "{:?}", comparison.regions);

    let result = follow_up(&unchanged, vec![oldest.clone()], vec![]);
    let comparison = result.follow_up.comparison.unwrap();
    assert!(comparison.lesions.iter().all(|l| l.fate == LesionFate::New), "{:?}", comparison.lesions);
    let result = follow_up(&oldest, vec![unchanged], vec![]);
    assert!(result.follow_up.cautions.iter().any(|n| n.code == "earlier-is-later"));
    let comparison = result.follow_up.comparison.unwrap();
    assert!(comparison.lesions.iter().all(|l| l.fate == LesionFate::Resolved), "{:?}", comparison.lesions);
    assert!(comparison.resolved_ml > 0.0 && comparison.new_ml == 0.0);
}
