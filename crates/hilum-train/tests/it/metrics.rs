//! Metrics against scipy, scikit-learn and MONAI 1.6.1: expected values are printed by `tests/reference/metrics.py`.

use hilum_train::{MeanSd, Overlap, auc, bootstrap_95, decision, percentile, surface_agreement};
use hilum_volume::{Geometry, Mask, PatientPoint, PatientVector, Volume};

fn mask(rule: impl Fn(f64, f64, f64) -> bool) -> Mask {
    let shape = [6, 20, 24];
    let axes = [PatientVector([0.0, 0.0, 1.0]), PatientVector([0.0, 1.0, 0.0]), PatientVector([1.0, 0.0, 0.0])];
    let geometry = Geometry::new(shape, PatientPoint([0.0; 3]), axes, [2.5, 0.8, 0.7]).unwrap();
    let voxels = (0..6 * 20 * 24).map(|i| rule((i / 480) as f64, (i / 24 % 20) as f64, (i % 24) as f64));
    Volume::new(geometry, voxels.collect()).unwrap()
}

fn masks() -> [Mask; 2] {
    let ball = |s: f64, r: f64, c: f64| 6.0 * s * s + r * r + c * c;
    let truth = mask(|s, r, c| ball(s - 2.5, r - 9.0, c - 11.0) <= 40.0);
    let speck = |s: f64, r: f64, c: f64| s == 0.0 && r < 3.0 && c > 20.0;
    let predicted = mask(|s, r, c| ball(s - 3.0, r - 10.0, c - 12.5) <= 36.0 || speck(s, r, c));
    [predicted, truth]
}

fn close(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance, "{found} against {expected}");
}

#[test]
fn overlap_agrees_with_numpy() {
    let [predicted, truth] = masks();
    let overlap = Overlap::count(predicted.data(), truth.data());
    assert_eq!((overlap.truth, overlap.predicted), (438, 381));
    close(overlap.dice(), 0.725_274_725_274_725_3, 1e-12);
    close(overlap.volume_error().unwrap(), (381.0 - 438.0) / 438.0, 1e-12);
    close(overlap.sensitivity().unwrap() * 438.0, overlap.precision().unwrap() * 381.0, 1e-9);
}

#[test]
fn surfaces_agree_with_scipy_and_monai() {
    let [predicted, truth] = masks();
    let found = surface_agreement(&predicted, &truth, 1.0).unwrap();
    close(found.surface_dice, 0.643_923_240_938_166_3, 1e-12);
    close(found.hd95_mm, 2.5, 1e-6);
    assert_eq!(surface_agreement(&truth, &truth, 0.0).unwrap().surface_dice, 1.0);
    assert_eq!(surface_agreement(&truth, &mask(|_, _, _| false), 1.0), None);
}

fn scores() -> (Vec<f64>, Vec<bool>) {
    let score = |i: usize| (i * 7 % 11) as f64 / 10.0 + (i % 3) as f64 * 0.05;
    let label = |i: usize| i * 5 % 8 < 3 + usize::from(score(i) > 0.5);
    ((0..40).map(score).collect(), (0..40).map(label).collect())
}

#[test]
fn classification_agrees_with_scikit_learn() {
    let (score, label) = scores();
    close(auc(&score, &label).unwrap(), 0.3975, 1e-12);
    let found = decision(&score, &label, 0.5).unwrap();
    close(found.accuracy, 0.475, 1e-12);
    close(found.f1, 0.511_627_906_976_744_1, 1e-12);
    assert_eq!(auc(&score, &[true; 40]), None);
    assert_eq!(auc(&[1.0, 1.0], &[true, false]), Some(0.5));
}

/// 20 000 resamples of numpy give [.211, .596]; 4000 of ours may differ by their own scatter, about .006.
#[test]
fn the_bootstrap_interval_agrees_with_numpy() {
    let (score, label) = scores();
    let interval = || {
        bootstrap_95(40, 4000, 7, |drawn| {
            let pick = |i: &usize| (score[*i], label[*i]);
            let (score, label): (Vec<f64>, Vec<bool>) = drawn.iter().map(pick).unzip();
            auc(&score, &label)
        })
    };
    let [low, high] = interval().unwrap();
    close(low, 0.211, 0.015);
    close(high, 0.596, 0.015);
    assert_eq!(interval(), Some([low, high]));
    assert_eq!(bootstrap_95(3, 10, 1, |_| None), None);
}

#[test]
fn small_statistics() {
    close(percentile(&[1.0, 2.0, 4.0, 8.0], 95.0), 7.4, 1e-12);
    let of = MeanSd::of([2.0, 4.0, 9.0]).unwrap();
    close(of.mean, 5.0, 1e-12);
    close(of.sd, 13.0f64.sqrt(), 1e-12);
    assert_eq!(MeanSd::of([]), None);
    let empty = Overlap::default();
    assert_eq!((empty.dice(), empty.sensitivity(), empty.precision()), (1.0, None, None));
}
