//! Whether the numbers of a volume can be Hounsfield units.

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
    Some(Note::new("implausible-density", Severity::Severe, text))
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
    fn quantiles_are_those_of_the_counts() {
        let ct = chest(|hu| hu);
        let mut counts = vec![0; 1 << 16];
        ct.data().iter().for_each(|hu| counts[(i32::from(*hu) + 32768) as usize] += 1);
        assert_eq!(quantile(&counts, 0..65536, 0.001), Some(-1000));
        assert_eq!(quantile(&counts, 0..65536, 1.0), Some(700));
        assert_eq!(quantile(&counts, 0..10, 0.5), None);
    }
}
