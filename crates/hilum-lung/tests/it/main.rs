//! The whole analysis on phantoms: the same chest, however it was scanned, has the same measures.

mod follow_up;

use hilum_findings::{Findings, Software};
use hilum_lung::{LesionNetwork, Study, analyze};
use hilum_nn::ModelCard;
use hilum_phantom::{Anatomy, Disease, PhantomOptions, Variant};

fn network() -> LesionNetwork {
    let card = ModelCard::from_toml(include_str!("../../../../models/pneumonia-ct/card.toml")).unwrap();
    let weights = include_bytes!("../../../../models/pneumonia-ct/weights.safetensors");
    LesionNetwork::new(card.with_weights(weights).unwrap(), 0).unwrap()
}

/// Findings of the phantom chest scanned in this way, at 160 × 160 and 3 mm.
fn findings(anatomy: &Anatomy, variant: Variant, network: &LesionNetwork) -> Findings {
    let options =
        PhantomOptions { variant, matrix: Some(160), slice_spacing_mm: Some(3.0), ..PhantomOptions::default() };
    let (ct, _) = anatomy.sample(&options.geometry(), &options.scanner());
    let analysis = analyze(&Study::from_nifti(ct.clone()), network, Software::default(), &|_, _| {}).unwrap();
    assert_eq!(analysis.labels.geometry(), ct.geometry(), "labels lie on the series' own grid");
    analysis.findings
}

#[test]
fn a_chest_measures_the_same_however_it_is_scanned() {
    let anatomy = Anatomy::new(1, Disease::Covid);
    let network = network();
    let known_ml = anatomy.known_answers().lung_volume_ml.total;
    let upright = findings(&anatomy, Variant::Standard, &network);
    let measures = |f: &Findings| (f.anatomy.lung_volume_ml.total.unwrap(), f.lesions.percent_of_lung.unwrap());
    let (lung_ml, percent) = measures(&upright);
    // 2.4 mm pixels: at the surface of both lungs, some 2500 cm², a tenth of a voxel is 60 ml or 1.3 %.
    assert!((lung_ml / known_ml - 1.0).abs() < 0.04, "lungs {lung_ml} ml, known {known_ml} ml");
    assert!(percent > 2.0, "the lesions were not found: {percent} %");
    for variant in [Variant::Oblique, Variant::LeftHanded, Variant::TiltedGantry] {
        let (other_ml, other_percent) = measures(&findings(&anatomy, variant, &network));
        let name = variant.name();
        assert!((other_ml / lung_ml - 1.0).abs() < 0.04, "{name}: lungs {other_ml} ml, upright {lung_ml} ml");
        assert!((other_percent - percent).abs() < 1.5, "{name}: opacity {other_percent} %, upright {percent} %");
    }
}
