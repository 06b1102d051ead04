//! Whether the numbers of a volume can be Hounsfield units, and how noisy they are.

use hilum_findings::{Note, Severity};
use hilum_volume::Volume;

/// The least dense thousandth of a chest CT is air, −1000 HU; denser than this it is not.
///
/// An assumption, as is [`SOFT_TISSUE_HU`]: covid-P002, cap-cap002, normal002 and A0002 lie well within, and the same scans
/// with 150 HU added or with half their contrast do not.
const AIR_BELOW_HU: i16 = -900;
/// Between these lies the median of what is neither air nor lung nor bone: fat has about −100 HU, muscle and blood 30 to 80
/// without contrast agent.
const SOFT_TISSUE_HU: [i16; 2] = [-130, 110];
/// What counts as such.
const SOFT_HU: std::ops::Range<i16> = -300..400;

/// Code of the note on numbers that cannot be Hounsfield units.
pub(crate) const DENSITY_CODE: &str = "implausible-density";

/// A note if air or soft tissue do not have the density they have in Hounsfield units. `ct` is a chest with its surroundings,
/// averaged onto pixels of a millimetre or more so that noise counts for little.
pub(crate) fn implausible(ct: &Volume<i16>) -> Option<Note> {
    let mut counts = vec![0_usize; 1 << 16];
    let place = |hu: i16| usize::from(hu.wrapping_sub(i16::MIN).cast_unsigned());
    ct.data().iter().for_each(|hu| counts[place(*hu)] += 1);
    let air = quantile(&counts, 0..counts.len(), 0.001)?;
    let soft = quantile(&counts, place(SOFT_HU.start)..place(SOFT_HU.end), 0.5)?;
    if air <= AIR_BELOW_HU && (SOFT_TISSUE_HU[0]..=SOFT_TISSUE_HU[1]).contains(&soft) {
        return None;
    }
    let text = format!(
        "Air lies at {air} and soft tissue at {soft}, in Hounsfield units about −1000 and −100 to 80: the series is not \
         calibrated, or its Rescale Slope and Intercept are wrong. Densities, outlines and volumes are not to be relied on."
    );
    Some(Note::new(DENSITY_CODE, Severity::Severe, text))
}

/// Noise from which it is remarked upon, and from which it is severe, in HU.
///
/// An assumption: covid-P002, cap-cap002, normal002 and A0002 have 9 to 16, 23 to 27 with noise of 20 HU added, which does not
/// change what is found; 29 to 50 when sharpened, which takes away up to two thirds of the opacity, and 93 with noise of 150 HU, a quarter.
const NOISE_HU: [f64; 2] = [40.0, 80.0];
/// Slices that are looked at, at most.
const NOISE_SLICES: usize = 24;
/// Noise is seen where soft tissue lies beside soft tissue.
const TISSUE_HU: std::ops::Range<i16> = -150..200;

/// A note if the images are so noisy, or so sharp, that opacities are lost. `ct` has its own pixels.
pub(crate) fn noisy(ct: &Volume<i16>) -> Option<Note> {
    let noise = noise_hu(ct)?;
    let severity = match noise {
        n if n >= NOISE_HU[1] => Severity::Severe,
        n if n >= NOISE_HU[0] => Severity::Warning,
        _ => return None,
    };
    let text = format!(
        "Noise of {noise:.0} HU from pixel to pixel, by dose or a sharp kernel: opacities may be missed or found too small. Choose a \
         series with a softer kernel if there is one."
    );
    Some(Note::new("noisy-images", severity, text))
}

/// The standard deviation of noise between neighbours in a row: the median of their differences in soft tissue, as if they were
/// normal; edges are too few to count. At most about 100, where differences leave soft tissue. `None` without soft tissue.
fn noise_hu(ct: &Volume<i16>) -> Option<f64> {
    let [slices, _, columns] = ct.shape();
    let mut counts = vec![0_usize; TISSUE_HU.len()];
    for slice in (0..slices).step_by(slices.div_ceil(NOISE_SLICES)) {
        for row in ct.slice(slice).chunks_exact(columns) {
            for pair in row.windows(2).filter(|pair| pair.iter().all(|hu| TISSUE_HU.contains(hu))) {
                counts[usize::from(pair[0].abs_diff(pair[1]))] += 1;
            }
        }
    }
    let half = counts.iter().sum::<usize>().div_ceil(2);
    let mut seen = 0;
    let median = counts.iter().position(|count| {
        seen += count;
        half > 0 && seen >= half
    })?;
    // The median of the absolute value of a normal variable is .6745 of its deviation; a difference has √2 of that.
    Some(median as f64 / (0.6745 * 2.0_f64.sqrt()))
}

/// The value below which this share of what is counted within the range lies.
fn quantile(counts: &[usize], range: std::ops::Range<usize>, share: f64) -> Option<i16> {
    let total: usize = counts[range.clone()].iter().sum();
    let wanted = (share * total as f64).ceil() as usize;
    let mut seen = 0;
    let mut reached = range.filter(|at| {
        seen += counts[*at];
        seen >= wanted.max(1)
    });
    reached.next().map(|at| (at as i32 + i32::from(i16::MIN)) as i16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hilum_volume::{Geometry, PatientPoint};

    /// Air, lung, fat, muscle and bone in equal parts.
    fn chest(change: impl Fn(f32) -> f32) -> Volume<i16> {
        let grid = Geometry::axial([4, 50, 50], PatientPoint([0.0; 3]), [2.0, 1.4, 1.4]).unwrap();
        let hu = |at: usize| change([-1000.0, -860.0, -100.0, 50.0, 700.0][at % 5]) as i16;
        Volume::new(grid.clone(), (0..grid.len()).map(hu).collect()).unwrap()
    }

    #[test]
    fn shifted_and_scaled_numbers_are_told() {
        assert_eq!(implausible(&chest(|hu| hu)), None);
        assert_eq!(implausible(&chest(|hu| hu + 20.0)), None);
        for change in [|hu: f32| hu + 150.0, |hu: f32| hu - 150.0, |hu: f32| 0.5 * hu, |hu: f32| hu + 1024.0] {
            let note = implausible(&chest(change)).expect("not HU");
            assert_eq!(note.code, "implausible-density");
        }
        let note = implausible(&chest(|hu| 0.5 * hu)).unwrap();
        assert!(note.text.starts_with("Air lies at -500 and soft tissue at"), "{}", note.text);
    }

    #[test]
    fn noise_is_measured_in_soft_tissue() {
        let grid = Geometry::axial([30, 60, 60], PatientPoint([0.0; 3]), [2.0, 0.7, 0.7]).unwrap();
        let volume = |deviation: f32| {
            let mut state = 1_u64;
            let mut uniform = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 40) as f32 / (1 << 24) as f32 - 0.5
            };
            let mut normal = || (0..12).map(|_| uniform()).sum::<f32>();
            let hu = |at: usize| (if (at / 30).is_multiple_of(2) { 40.0 } else { -850.0 }) + deviation * normal();
            Volume::new(grid.clone(), (0..grid.len()).map(hu).map(|hu| hu.round() as i16).collect()).unwrap()
        };
        for deviation in [10.0, 30.0, 50.0] {
            let found = noise_hu(&volume(deviation)).unwrap();
            assert!((found / f64::from(deviation) - 1.0).abs() < 0.1, "{found} of {deviation}");
        }
        assert_eq!(noisy(&volume(15.0)), None);
        assert_eq!(noisy(&volume(50.0)).unwrap().severity, Severity::Warning);
        assert_eq!(noisy(&volume(140.0)).unwrap().severity, Severity::Severe);
        assert_eq!(noise_hu(&Volume::filled(grid.clone(), -1000)), None);
    }

    #[test]
    fn quantiles_are_those_of_the_counts() {
        let ct = chest(|hu| hu);
        let mut counts = vec![0; 1 << 16];
        ct.data().iter().for_each(|hu| counts[(i32::from(*hu) + 32768) as usize] += 1);
        assert_eq!(quantile(&counts, 0..65536, 0.001), Some(-1000));
        assert_eq!(quantile(&counts, 0..65536, 1.0), Some(700));
        assert_eq!(quantile(&counts, 0..10, 0.5), None);
    }
}
