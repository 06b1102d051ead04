//! Whether the network knows images like these.

use hilum_nn::{EngineError, Familiarity, FeatureEngine, Input};

use crate::slices::{AIR_HU, SlicePrediction, greys};

/// Slices that are looked at, spread evenly over those that show enough lung.
const SLICES: usize = 24;
/// Pixels of lung, as the network sees it, that a slice must have to be looked at; as in training.
const LUNG_PIXELS_MIN: usize = 400;

/// The encoder with what it is used to.
#[derive(Debug)]
pub(crate) struct FamiliarityCheck {
    pub(crate) engine: FeatureEngine,
    pub(crate) familiarity: Familiarity,
    /// Median distance from which a scan is unlike what the network learned from.
    pub(crate) limit: f64,
}

impl FamiliarityCheck {
    /// The median distance of the scan's slices from what the network learned from, as a share of the limit: above 1 it is
    /// unlike. `None` if no slice shows enough lung.
    pub(crate) fn score(&self, prediction: &SlicePrediction, input: &Input) -> Result<Option<f64>, EngineError> {
        let (ct, lung) = (&prediction.ct, &prediction.lung);
        let [slices, rows, columns] = ct.shape();
        let shows_lung = |slice: &usize| lung.slice(*slice).iter().filter(|p| **p >= 128).count() >= LUNG_PIXELS_MIN;
        let shown: Vec<usize> = (0..slices).filter(shows_lung).collect();
        let count = shown.len().min(SLICES);
        let chosen: Vec<usize> = (0..count).map(|i| shown[(2 * i + 1) * shown.len() / (2 * count)]).collect();
        let plane = rows * columns;
        let channels = self.engine.input_channels();
        let spacing_mm = ct.geometry().spacing_mm()[0];
        let values = self.engine.run(
            count,
            [rows, columns],
            input.grey_from_hu(f32::from(AIR_HU)),
            |index, image| {
                let seen = input.slices_seen(channels, chosen[index], slices, Some(spacing_mm));
                seen.zip(image.chunks_exact_mut(plane)).for_each(|(seen, grey)| greys(ct, seen, input, grey));
            },
            |index, mask| {
                let lung = lung.slice(chosen[index]);
                mask.iter_mut().zip(lung).for_each(|(m, p)| *m = f32::from(u8::from(*p >= 128)));
            },
        )?;
        let mut distances: Vec<f64> = values.iter().flatten().map(|v| self.familiarity.distance(v)).collect();
        distances.sort_by(f64::total_cmp);
        Ok(distances.get(distances.len() / 2).map(|median| median / self.limit))
    }
}
