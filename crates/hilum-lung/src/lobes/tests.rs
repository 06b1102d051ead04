//! Fissures planted where they are not in the average chest.

use super::*;
use crate::lungs::{self, LungOptions};
use hilum_volume::{Geometry, PatientPoint};

const SHAPE: [usize; 3] = [105, 100, 146];

/// How far the planted oblique fissure lies above the average one, mm up and forward.
const MOVED_MM: f64 = 12.0;

/// A chest of two ellipsoids with oblique fissures moved by [`MOVED_MM`], or with none, and what lies above them.
fn chest(spacing_mm: [f64; 3], fissures: bool) -> (Volume<i16>, Volume<bool>) {
    let shape = std::array::from_fn(|a| (SHAPE[a] as f64 * 2.0 / spacing_mm[a]).round() as usize);
    let geometry = Geometry::axial(shape, PatientPoint([0.0; 3]), spacing_mm).unwrap();
    let mut hu = Vec::with_capacity(geometry.len());
    let mut above = Vec::with_capacity(geometry.len());
    for s in 0..shape[0] {
        for r in 0..shape[1] {
            for c in 0..shape[2] {
                let index = [s, r, c];
                let [up, back, left]: [f64; 3] =
                    std::array::from_fn(|a| (index[a] as f64 + 0.5 - 0.5 * shape[a] as f64) * spacing_mm[a]);
                let outward = left.abs() - 62.0;
                let lung = (up / 92.0).powi(2) + (back / 70.0).powi(2) + (outward / 46.0).powi(2) < 1.0;
                let body = (back / 92.0).powi(2) + (left / 132.0).powi(2) < 1.0;
                // A plane through the middle of the lung, leaning back by 50°, moved up and forward.
                let height = up * 0.64 - back * 0.77 - MOVED_MM;
                above.push(height > 0.0);
                let noise = ((geometry.offset(index).wrapping_mul(2_654_435_761) >> 7) % 61) as i16 - 30;
                hu.push(match (body, lung) {
                    (false, _) => -1000,
                    (true, false) => 40,
                    (true, true) if fissures && height.abs() < 0.8 => -760 + noise,
                    (true, true) => -870 + noise,
                });
            }
        }
    }
    (Volume::new(geometry.clone(), hu).unwrap(), Volume::new(geometry, above).unwrap())
}

/// Lobes of a chest, and the share of the lungs on the right side of the planted fissures.
fn divided(spacing_mm: [f64; 3], fissures: bool) -> (Lobes, f64) {
    let (ct, above) = chest(spacing_mm, fissures);
    let lungs = lungs::segment(&ct, None, &LungOptions::default()).unwrap();
    let lobes = segment(&ct, &lungs, &LobeOptions::default());
    let pairs = lobes.labels().labels().data().iter().zip(above.data()).filter(|(l, _)| **l > 0);
    let (mut right, mut all) = (0usize, 0usize);
    for (lobe, above) in pairs {
        all += 1;
        right += usize::from(!matches!(*lobe, RLL | LLL) == *above);
    }
    for (lobe, lung) in lobes.labels().labels().data().iter().zip(lungs.labels().labels().data()) {
        let expected = match *lung {
            RIGHT => (RUL..=RLL).contains(lobe),
            LEFT => (LUL..=LLL).contains(lobe),
            _ => *lobe == 0,
        };
        assert!(expected, "lobe {lobe} in lung {lung}");
    }
    (lobes, right as f64 / all as f64)
}

#[test]
fn a_visible_fissure_is_followed_and_an_invisible_one_admitted() {
    let (seen, share) = divided([1.5, 1.5, 1.5], true);
    let [right, _, left] = seen.confidence();
    assert!(right > 0.6 && left > 0.6, "{:?}", seen.fissures());
    assert!(share > 0.96, "{share} of the lungs are on the right side of the fissure");
    let (unseen, without) = divided([1.5, 1.5, 1.5], false);
    let [right, _, left] = unseen.confidence();
    assert!(right < 0.4 && left < 0.4, "{:?}", unseen.fissures());
    assert!(share > without, "{share} with the fissure, {without} without");
}

#[test]
fn thick_slices_show_no_fissures() {
    let (lobes, _) = divided([6.0, 2.0, 2.0], true);
    assert_eq!(lobes.confidence(), [0.0; 3]);
    for lobe in RUL..=LLL {
        assert!(lobes.labels().volume_ml(lobe) > 50.0, "lobe {lobe}");
        assert_eq!(lobes.confidence_of(lobe), 0.0);
    }
}
