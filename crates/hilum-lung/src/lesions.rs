//! Lesions: what the network calls so, held against the density of the lung around it.
//!
//! The network was taught on 8-bit pictures whose windows nobody wrote down; HU are evidence it never had. Here both are
//! joined on the network's grid:
//!
//! 1. probabilities are smoothed a little, so that a single slice does not decide;
//! 2. vessels are taken out of the CT by a grey opening: what remains is the density of the parenchyma;
//! 3. a voxel of the lung is lesion if its parenchyma is denser than aerated lung and the network is of that opinion;
//! 4. small specks are dropped, and lesions of which the network is nowhere sure;
//! 5. parenchyma so dense over so wide a space that no vessel, fissure or gravity explains it is lesion even where the
//!    network, taught on few lobar pneumonias, sees none;
//! 6. where the local mean is dense the lesion is consolidation, elsewhere ground-glass; vessels within ground-glass are
//!    neither.

use hilum_imaging::components::{self, Connectivity};
use hilum_imaging::{filter, grey, morphology};
use hilum_volume::{LabelMap, Mask, Volume};
use rayon::prelude::*;

use crate::slices::SlicePrediction;
use hilum_findings::{CONSOLIDATION_LABEL, GROUND_GLASS_LABEL};

/// Cut points of the rules above.
///
/// Origin: chosen on covid-P002, cap-cap002 and normal002 of COVID-CT-MD by the ranking of slices and the false alarms on
/// the normal chest, and on phantoms, so figures on these scans are not those of unseen data. The limit of consolidation is
/// that of high opacity, −200 HU (Chaganti et al., Radiol Artif Intell 2020, doi:10.1148/ryai.2020200048).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LesionRules {
    /// Standard deviation of the smoothing of probabilities, in millimetres.
    pub smoothing_mm: f64,
    /// Radius of the opening that removes vessels, in millimetres.
    pub vessel_radius_mm: f64,
    /// Parenchyma below this HU is aerated.
    pub aerated_below_hu: i16,
    /// Probability from which parenchyma is lesion. Firmer than the threshold of the network's card, which is that of its Dice
    /// on 8-bit slices that all hold lesions: in whole scans most slices hold none.
    pub probability: f32,
    /// Every lesion reaches this probability somewhere.
    pub probability_peak: f32,
    /// Lesions smaller than this are dropped, in millilitres.
    pub volume_min_ml: f64,
    /// Parenchyma from this HU on is lesion without the network's consent where a ball of `bulk_radius_mm` fits in.
    pub bulk_from_hu: i16,
    /// Radius of that ball, in millimetres. On normal002 nothing of more than 6 mm is that dense.
    pub bulk_radius_mm: f64,
    /// Such parenchyma of less than this is no lesion, in millilitres: the ball itself has 2.1 ml, and where large vessels meet
    /// it just fits in.
    pub bulk_volume_min_ml: f64,
    /// From this local mean on lesions are consolidation.
    pub consolidation_from_hu: f32,
    /// Standard deviation of the local mean, in millimetres: a vessel of 3 mm does not make consolidation of ground-glass.
    pub consolidation_smoothing_mm: f64,
    /// A voxel this much denser than its parenchyma is a vessel or an airway's wall, in HU.
    pub vessel_contrast_hu: i16,
}

impl Default for LesionRules {
    fn default() -> Self {
        Self {
            smoothing_mm: 1.2,
            vessel_radius_mm: 3.2,
            aerated_below_hu: -790,
            probability: 0.5,
            probability_peak: 0.9,
            volume_min_ml: 0.2,
            bulk_from_hu: -700,
            bulk_radius_mm: 8.0,
            bulk_volume_min_ml: 4.0,
            consolidation_from_hu: -200.0,
            consolidation_smoothing_mm: 1.5,
            vessel_contrast_hu: 250,
        }
    }
}

/// Lesions on the network's grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Lesions {
    /// 11 ground-glass, 12 consolidation, 0 elsewhere.
    pub labels: LabelMap,
    /// For each slice of the grid, the probability that 50 mm² of its lung reach or exceed where that is denser than aerated lung,
    /// vessels aside: how sure the network is that the slice shows a lesion of that size.
    pub slice_probability: Vec<f32>,
}

/// Area of lung that must reach a probability for the slice to have it.
const SLICE_PROBABILITY_AREA_MM2: f64 = 50.0;

/// What speaks for lesions within the lungs, of which rules make lesions.
#[derive(Debug)]
pub struct Evidence<'a> {
    prediction: &'a SlicePrediction,
    lungs: &'a Mask,
    rules: &'a LesionRules,
    /// The CT without vessels.
    parenchyma: Volume<i16>,
    /// The smoothed probability of lesion, 0 to 1.
    probability: Volume<f32>,
    /// Lung whose parenchyma is denser than aerated.
    dense: Mask,
    /// What is lesion whatever the network says.
    bulky: Mask,
    /// The mean HU of the lung around every voxel.
    local_mean: Volume<f32>,
    /// See [`Lesions::slice_probability`].
    slice_probability: Vec<f32>,
}

impl<'a> Evidence<'a> {
    /// Gathers it within `lungs`, a mask on the grid of the prediction.
    ///
    /// # Panics
    /// If `lungs` is not on that grid.
    #[must_use]
    pub fn of(prediction: &'a SlicePrediction, lungs: &'a Mask, rules: &'a LesionRules) -> Self {
        assert_eq!(lungs.shape(), prediction.ct.shape(), "lungs and prediction lie on one grid");
        let parenchyma = grey::opening(&prediction.ct, rules.vessel_radius_mm);
        let mut probability = prediction.lesion.map(|p| f32::from(*p) / 255.0);
        let dense = |(lung, hu): (&bool, &i16)| *lung && *hu >= rules.aerated_below_hu;
        let dense = lungs.data().iter().zip(parenchyma.data()).map(dense).collect();
        let dense = Mask::new(lungs.geometry().clone(), dense).expect("one value per voxel");
        let slice_probability = slice_probability(&probability, &dense);
        filter::gaussian_in_place(&mut probability, rules.smoothing_mm);
        let bulky = bulky(&parenchyma, lungs, rules);
        let hu = prediction.ct.map(|hu| f32::from(*hu));
        let local_mean = filter::gaussian_within(&hu, lungs, rules.consolidation_smoothing_mm);
        Self { prediction, lungs, rules, parenchyma, probability, dense, bulky, local_mean, slice_probability }
    }

    /// The lesions.
    #[must_use]
    pub fn lesions(&self) -> Lesions {
        let labels = LabelMap::new(self.labels(&self.where_probable(0.0)));
        Lesions { labels, slice_probability: self.slice_probability.clone() }
    }

    /// The volume of lesions in millilitres if all logits of the network were higher by `logits`.
    #[must_use]
    pub fn volume_ml(&self, logits: f64) -> f64 {
        let labels = self.labels(&self.where_probable(logits));
        let voxels = labels.data().par_iter().filter(|label| **label != 0).count();
        voxels as f64 * labels.geometry().voxel_volume_mm3() / 1000.0
    }

    /// The kind of what was found, vessels within ground-glass left out.
    fn labels(&self, found: &Mask) -> Volume<u8> {
        let label = |at: usize| {
            let contrast = self.prediction.ct.data()[at].saturating_sub(self.parenchyma.data()[at]);
            match found.data()[at] {
                false => 0,
                true if self.local_mean.data()[at] >= self.rules.consolidation_from_hu => CONSOLIDATION_LABEL,
                true if contrast >= self.rules.vessel_contrast_hu => 0,
                true => GROUND_GLASS_LABEL,
            }
        };
        let labels = (0..found.data().len()).into_par_iter().map(label).collect();
        Volume::new(found.geometry().clone(), labels).expect("one value per voxel")
    }

    /// Dense parenchyma of which the network is sure enough, its logits raised by `logits`, and all that is bulky.
    fn where_probable(&self, logits: f64) -> Mask {
        let [least, peak] = [self.rules.probability, self.rules.probability_peak].map(|p| moved(p, -logits));
        let accept = |at: usize| self.dense.data()[at] && self.probability.data()[at] >= least;
        let accepted = (0..self.lungs.data().len()).into_par_iter().map(accept).collect();
        let accepted = Mask::new(self.lungs.geometry().clone(), accepted).expect("one value per voxel");
        let mut found = keep_convincing(&accepted, &self.probability, peak, self.rules);
        found.data_mut().par_iter_mut().zip(self.bulky.data()).for_each(|(found, bulky)| *found |= bulky);
        found
    }
}

/// The probability whose logit is higher by `logits`.
fn moved(probability: f32, logits: f64) -> f32 {
    let odds = f64::from(probability) / (1.0 - f64::from(probability)) * logits.exp();
    (odds / (1.0 + odds)) as f32
}

/// Dense parenchyma in which a large ball fits.
fn bulky(parenchyma: &Volume<i16>, lungs: &Mask, rules: &LesionRules) -> Mask {
    let dense = parenchyma.data().iter().zip(lungs.data()).map(|(hu, lung)| *lung && *hu >= rules.bulk_from_hu);
    let dense = Mask::new(lungs.geometry().clone(), dense.collect()).expect("one value per voxel");
    let thick = morphology::open(&dense, rules.bulk_radius_mm);
    let voxels_min = rules.bulk_volume_min_ml * 1000.0 / lungs.geometry().voxel_volume_mm3();
    components::remove_smaller_than(&thick, voxels_min.ceil() as usize, Connectivity::Corners)
}

/// Components that are large enough and somewhere probable enough.
fn keep_convincing(accepted: &Mask, probability: &Volume<f32>, peak_min: f32, rules: &LesionRules) -> Mask {
    let found = components::label(accepted, Connectivity::Corners);
    let mut peak = vec![0.0_f32; found.items.len() + 1];
    for (id, p) in found.labels.data().iter().zip(probability.data()) {
        let peak = &mut peak[*id as usize];
        *peak = peak.max(*p);
    }
    let voxels_min = rules.volume_min_ml * 1000.0 / accepted.geometry().voxel_volume_mm3();
    found.mask_where(|c| c.voxels as f64 >= voxels_min && peak[c.id as usize] >= peak_min)
}

/// Per slice the probability that [`SLICE_PROBABILITY_AREA_MM2`] within a mask reach.
fn slice_probability(probability: &Volume<f32>, within: &Mask) -> Vec<f32> {
    let [slices, _, _] = probability.shape();
    let [_, row_mm, column_mm] = probability.geometry().spacing_mm();
    let rank = ((SLICE_PROBABILITY_AREA_MM2 / (row_mm * column_mm)).round() as usize).max(1);
    (0..slices)
        .into_par_iter()
        .map(|s| {
            let inside = probability.slice(s).iter().zip(within.slice(s)).filter(|(_, within)| **within);
            let mut values: Vec<f32> = inside.map(|(p, _)| *p).collect();
            if values.len() < rank {
                return 0.0;
            }
            let at = values.len() - rank;
            *values.select_nth_unstable_by(at, f32::total_cmp).1
        })
        .collect()
}

/// Brings lesions to the grid of the CT, cut to the lobes (labels 1 to 5) there.
#[must_use]
pub fn on_ct_grid(lesions: &LabelMap, lobes: &LabelMap) -> LabelMap {
    let mut fine = lesions.resample_smooth(lobes.geometry());
    fine.labels_mut().data_mut().par_iter_mut().zip(lobes.labels().data()).for_each(|(lesion, lobe)| {
        if *lobe == 0 {
            *lesion = 0;
        }
    });
    fine
}

/// The slice of a grid of `coarse` slices that holds the centre of slice `fine` of `slices`.
#[must_use]
pub fn coarse_slice(fine: usize, slices: usize, coarse: usize) -> usize {
    let at = (fine as f64 + 0.5) * coarse as f64 / slices as f64;
    (at as usize).min(coarse - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hilum_volume::{Geometry, PatientPoint};

    /// A block of lung with a vessel, a hazy and a dense block, and a network that is sure of whatever `sure` says.
    fn lung(sure: impl Fn([usize; 3]) -> u8) -> (SlicePrediction, Mask) {
        let grid = Geometry::axial([20, 40, 60], PatientPoint([0.0; 3]), [2.0, 1.4, 1.4]).unwrap();
        let mut ct = Volume::filled(grid.clone(), -860_i16);
        let mut lesion = Volume::filled(grid.clone(), 0_u8);
        for s in 0..20 {
            for r in 0..40 {
                for c in 0..60 {
                    let at = [s, r, c];
                    if hazy(at) {
                        ct[at] = -560;
                    }
                    if dense(at) {
                        ct[at] = 30;
                    }
                    if r == 20 {
                        ct[at] = 40; // a vessel all through, one voxel thick in rows and slices
                    }
                    if r == 20 && s != 10 {
                        ct[at] = -860;
                    }
                    lesion[at] = sure(at);
                }
            }
        }
        let other = lesion.clone();
        let lungs = Mask::filled(grid, true);
        (SlicePrediction { ct, lung: other.clone(), lesion, consolidation: other }, lungs)
    }

    fn hazy([s, r, c]: [usize; 3]) -> bool {
        (4..16).contains(&s) && (4..16).contains(&r) && (5..20).contains(&c)
    }

    fn dense([s, r, c]: [usize; 3]) -> bool {
        (4..16).contains(&s) && (24..36).contains(&r) && (30..50).contains(&c)
    }

    fn find(prediction: &SlicePrediction, lungs: &Mask, rules: &LesionRules) -> Lesions {
        Evidence::of(prediction, lungs, rules).lesions()
    }

    #[test]
    fn the_volume_follows_the_logits() {
        // The network is sure of the dense block and half sure of the hazy one.
        let (prediction, lungs) = lung(|at| if dense(at) { 250 } else { u8::from(hazy(at)) * 180 });
        let rules = LesionRules { bulk_radius_mm: 20.0, ..LesionRules::default() };
        let evidence = Evidence::of(&prediction, &lungs, &rules);
        let labels = evidence.lesions().labels;
        let found = labels.volume_ml(GROUND_GLASS_LABEL) + labels.volume_ml(CONSOLIDATION_LABEL);
        assert!((evidence.volume_ml(0.0) - found).abs() < 1e-6);
        let (less, more, all) = (evidence.volume_ml(-9.0), evidence.volume_ml(2.0), evidence.volume_ml(9.0));
        assert!(less == 0.0 && more > 1.5 * found && found > 0.0 && all >= more, "{less} {found} {more} {all}");
        assert!((moved(0.5, 2.0) - 0.8808).abs() < 1e-4 && (moved(0.9, -2.0) - 0.5491).abs() < 1e-4);
    }

    #[test]
    fn hazy_and_dense_lesions_are_told_apart() {
        let (prediction, lungs) = lung(|at| if hazy(at) || dense(at) { 240 } else { 0 });
        let labels = find(&prediction, &lungs, &LesionRules::default()).labels;
        assert_eq!(labels.labels()[[10, 10, 12]], GROUND_GLASS_LABEL);
        assert_eq!(labels.labels()[[10, 30, 40]], CONSOLIDATION_LABEL);
        let voxel_ml = labels.geometry().voxel_volume_mm3() / 1000.0;
        let expected = 12.0 * 12.0 * 35.0 * voxel_ml;
        let found = labels.volume_ml(GROUND_GLASS_LABEL) + labels.volume_ml(CONSOLIDATION_LABEL);
        assert!((found / expected - 1.0).abs() < 0.15, "{found} of {expected} ml");
    }

    #[test]
    fn a_vessel_is_no_lesion_however_sure_the_network() {
        let (prediction, lungs) = lung(|[s, r, _]| if s == 10 && r == 20 { 255 } else { 0 });
        let rules = LesionRules { bulk_radius_mm: 9.0, ..LesionRules::default() };
        let labels = find(&prediction, &lungs, &rules).labels;
        assert!(labels.labels().data().iter().all(|l| *l == 0));
    }

    #[test]
    fn without_the_network_only_bulk_is_a_lesion() {
        let (prediction, lungs) = lung(|_| 0);
        let lesion_ml = |bulk_radius_mm| {
            let rules = LesionRules { bulk_radius_mm, ..LesionRules::default() };
            let found = find(&prediction, &lungs, &rules);
            assert!(found.slice_probability.iter().all(|p| *p == 0.0));
            let labels = found.labels;
            assert_eq!(labels.labels()[[10, 20, 50]], 0, "the vessel is none");
            labels.volume_ml(GROUND_GLASS_LABEL) + labels.volume_ml(CONSOLIDATION_LABEL)
        };
        // Both blocks are 24 mm high and 16.8 mm deep: a ball of 8 mm fits, one of 9 mm does not.
        assert!(lesion_ml(8.0) > 10.0);
        assert_eq!(lesion_ml(9.0), 0.0);
    }

    #[test]
    fn the_slice_probability_ignores_single_pixels() {
        let (prediction, lungs) = lung(|at| if at == [3, 3, 3] || hazy(at) && at[0] == 9 { 255 } else { 0 });
        let found = find(&prediction, &lungs, &LesionRules::default());
        assert_eq!((found.slice_probability[3], found.slice_probability[9]), (0.0, 1.0));
    }

    #[test]
    fn lesions_are_cut_to_the_lobes_of_the_ct() {
        let coarse = Geometry::axial([4, 8, 8], PatientPoint([0.0; 3]), [2.0; 3]).unwrap();
        let fine = coarse.with_shape([8, 16, 16]).unwrap();
        let lesions = LabelMap::new(Volume::filled(coarse, CONSOLIDATION_LABEL));
        let mut lobes = Volume::filled(fine.clone(), 1_u8);
        lobes[[2, 3, 4]] = 0;
        let cut = on_ct_grid(&lesions, &LabelMap::new(lobes));
        assert_eq!(cut.labels()[[2, 3, 4]], 0);
        assert_eq!(cut.labels()[[2, 3, 5]], CONSOLIDATION_LABEL);
        assert_eq!((coarse_slice(0, 8, 4), coarse_slice(7, 8, 4)), (0, 3));
    }
}
