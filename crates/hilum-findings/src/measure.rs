//! Counting: voxels of lung and opacity, per lobe and slice, and their HU.
//!
//! Everything is counted in whole voxels and summed in integers, slice by slice in parallel, so the result depends
//! neither on the number of threads nor on the memory order of the axes. Millilitres and percentages are made from the
//! counts at the end.

use hilum_volume::{Geometry, LabelMap, PatientPoint, Volume, VoxelPoint};
use rayon::prelude::*;

use crate::clinical::{HIGH_OPACITY_FROM_HU, HISTOGRAM_BIN_HU, HISTOGRAM_BINS, HISTOGRAM_FROM_HU};
use crate::components::{ComponentCounts, components, kind_index};
use crate::periphery::{Placement, placement};
use crate::{Lobe, MeasureError, Side};

/// Voxels of one lobe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LobeCounts {
    /// All of them, opacities included.
    pub voxels: u64,
    /// Sum of their HU.
    pub hu_sum: i64,
    /// Opacities: ground-glass, consolidation, unknown kind.
    pub kinds: [u64; 3],
    /// Opacities of −200 HU and above.
    pub high: u64,
    /// Sums of the voxel indices, slice, row, column: for the centre of mass.
    pub index_sums: [u64; 3],
}

/// Voxels of one slice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SliceCounts {
    /// Lung, opacities included.
    pub lung: u64,
    /// Opacities.
    pub lesion: u64,
}

/// What was counted in one chest, see [`measure`].
#[derive(Clone, Debug, PartialEq)]
pub struct Measurements {
    /// Volume of a voxel in millilitres.
    pub voxel_ml: f64,
    /// The five lobes, RUL RML RLL LUL LLL.
    pub lobes: [LobeCounts; 5],
    /// Every slice, from the foot end upwards.
    pub slices: Vec<SliceCounts>,
    /// Probability of each slice to hold an opacity, from the foot end upwards, if it was given.
    pub slice_probability: Option<Vec<f32>>,
    /// All connected opacities, the largest first, the smallest included.
    pub components: Vec<ComponentCounts>,
    /// First and last slice of each component, from the foot end upwards, both included.
    pub component_slices: Vec<[usize; 2]>,
    /// Voxels of the lungs in bins of HU; see [`crate::clinical`] for their edges.
    pub lung_histogram: Vec<u64>,
    /// Voxels of the opacities in bins of HU.
    pub lesion_histogram: Vec<u64>,
    /// Where in the lungs the opacities lie.
    pub placement: Placement,
    /// Voxels labelled as opacity that lie outside the lobes: they were left out of everything.
    pub lesion_outside_lung: u64,
}

/// Measures opacities within the lobes.
///
/// `lobes` holds 1 to 5 for RUL, RML, RLL, LUL, LLL, with opacities filled in; every other label is not lung.
/// `lesions` holds 11 ground-glass, 12 consolidation, 13 unknown kind; every other label is no opacity. All three share
/// one grid, which may be oblique, sheared, left-handed and stored in any axis order. `slice_probability` has one entry
/// per slice in stored order.
///
/// Slices of the result count from the foot end upwards, whatever the stored order: by the patient direction in which the
/// slice axis runs most (z for axial slices; for coronal and sagittal ones from front to back and from the patient's right
/// to the left).
///
/// # Errors
/// [`MeasureError`] if the grids differ, the number of probabilities is not that of the slices, or no voxel is lung.
///
/// ```
/// use hilum_findings::measure;
/// use hilum_volume::{Geometry, LabelMap, PatientPoint, Volume};
///
/// let grid = Geometry::axial([2, 10, 10], PatientPoint([0.0; 3]), [5.0, 1.0, 1.0])?;
/// let ct = Volume::filled(grid.clone(), -850_i16);
/// let lobes = LabelMap::new(Volume::filled(grid.clone(), 3));
/// let mut lesions = LabelMap::new(Volume::filled(grid, 0));
/// lesions.labels_mut().slice_mut(0)[..50].fill(11);
///
/// let measured = measure(&ct, &lobes, &lesions, None)?;
/// assert_eq!(measured.lung_ml(), 1.0); // 200 voxels of 5 mm³
/// assert_eq!(measured.percent_of_lung(), 25.0);
/// assert_eq!(measured.slices[1].lesion, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn measure(
    ct: &Volume<i16>,
    lobes: &LabelMap,
    lesions: &LabelMap,
    slice_probability: Option<&[f32]>,
) -> Result<Measurements, MeasureError> {
    let grid = ct.geometry();
    for (map, what) in [(lobes, "lobes"), (lesions, "lesions")] {
        if !map.geometry().coincides_with(grid) {
            return Err(MeasureError::Grid { what });
        }
    }
    let slices = ct.shape()[0];
    if let Some(given) = slice_probability
        && given.len() != slices
    {
        return Err(MeasureError::Probabilities { expected: slices, actual: given.len() });
    }

    let tallies: Vec<Tally> = (0..slices)
        .into_par_iter()
        .map(|s| Tally::of_slice(s, ct.shape()[2], ct.slice(s), lobes.labels().slice(s), lesions.labels().slice(s)))
        .collect();
    let mut slice_counts: Vec<SliceCounts> = tallies.iter().map(Tally::slice).collect();
    let total = tallies.into_iter().fold(Tally::default(), Tally::plus);
    if total.lobes.iter().all(|lobe| lobe.voxels == 0) {
        return Err(MeasureError::NoLung);
    }

    let components = components(ct, lobes, lesions);
    let mut component_slices: Vec<[usize; 2]> = components.iter().map(|c| c.stored_slices).collect();
    let mut slice_probability = slice_probability.map(<[f32]>::to_vec);
    if !is_stored_from_foot(grid) {
        slice_counts.reverse();
        slice_probability.iter_mut().for_each(|p| p.reverse());
        component_slices.iter_mut().for_each(|[first, last]| {
            (*first, *last) = (slices - 1 - *last, slices - 1 - *first);
        });
    }
    let centres = [Side::Right, Side::Left].map(|side| centre_of_lung(grid, &total.lobes, side));
    Ok(Measurements {
        voxel_ml: grid.voxel_volume_mm3() / 1000.0,
        placement: placement(lobes, lesions, centres),
        lobes: total.lobes,
        slices: slice_counts,
        slice_probability,
        components,
        component_slices,
        lung_histogram: total.lung_histogram,
        lesion_histogram: total.lesion_histogram,
        lesion_outside_lung: total.lesion_outside_lung,
    })
}

/// Whether slice 0 of the grid is the one at the foot end; see [`measure`] for slices that are not axial.
#[must_use]
pub fn is_stored_from_foot(grid: &Geometry) -> bool {
    let along = grid.axes()[0].0;
    // Where two components are equally large the one nearer to z decides.
    let main = [2, 1, 0].into_iter().fold(
        2,
        |best, axis: usize| {
            if along[axis].abs() > along[best].abs() + 1e-9 { axis } else { best }
        },
    );
    along[main] > 0.0
}

fn centre_of_lung(grid: &Geometry, lobes: &[LobeCounts; 5], side: Side) -> Option<PatientPoint> {
    let of_side = || Lobe::ALL.iter().zip(lobes).filter(|(lobe, _)| lobe.side() == side).map(|(_, counts)| counts);
    let voxels: u64 = of_side().map(|counts| counts.voxels).sum();
    let mean = |axis: usize| of_side().map(|counts| counts.index_sums[axis]).sum::<u64>() as f64 / voxels as f64;
    (voxels > 0).then(|| grid.patient_from_voxel(VoxelPoint([mean(0), mean(1), mean(2)])))
}

impl LobeCounts {
    /// Voxels of opacity, of any kind.
    #[must_use]
    pub fn lesion(&self) -> u64 {
        self.kinds.iter().sum()
    }

    /// Opacities in percent of the lobe; `None` if the lobe has no voxel.
    #[must_use]
    pub fn percent(&self) -> Option<f64> {
        percent(self.lesion(), self.voxels)
    }

    /// Opacities of −200 HU and above in percent of the lobe; `None` if the lobe has no voxel.
    #[must_use]
    pub fn percent_high(&self) -> Option<f64> {
        percent(self.high, self.voxels)
    }
}

impl Measurements {
    /// Volume of both lungs.
    #[must_use]
    pub fn lung_ml(&self) -> f64 {
        self.ml(self.lung_voxels())
    }

    /// Volume of the lung of one side.
    #[must_use]
    pub fn side_ml(&self, side: Side) -> f64 {
        self.ml(self.of_side(side, |lobe| lobe.voxels))
    }

    /// Volume of all opacities.
    #[must_use]
    pub fn lesion_ml(&self) -> f64 {
        self.ml(self.lesion_voxels())
    }

    /// Percentage of opacity (PO).
    #[must_use]
    pub fn percent_of_lung(&self) -> f64 {
        percent(self.lesion_voxels(), self.lung_voxels()).unwrap_or(0.0)
    }

    /// Percentage of high opacity (PHO).
    #[must_use]
    pub fn percent_high_opacity(&self) -> f64 {
        percent(self.lobes.iter().map(|lobe| lobe.high).sum(), self.lung_voxels()).unwrap_or(0.0)
    }

    /// Opacities in percent of the lung of one side; `None` if that lung has no voxel.
    #[must_use]
    pub fn percent_of_side(&self, side: Side) -> Option<f64> {
        percent(self.of_side(side, LobeCounts::lesion), self.of_side(side, |lobe| lobe.voxels))
    }

    /// Percentage of lung voxels of `from` HU up to below `to` HU. Both must be edges of bins of the histogram; the lowest
    /// and highest edge stand for no limit.
    #[must_use]
    pub fn percent_between(&self, from: i16, to: i16) -> f64 {
        let bin = |hu: i16| usize::from((hu - HISTOGRAM_FROM_HU).unsigned_abs() / HISTOGRAM_BIN_HU.unsigned_abs());
        percent(self.lung_histogram[bin(from)..bin(to)].iter().sum(), self.lung_voxels()).unwrap_or(0.0)
    }

    /// Volume of so many voxels in millilitres.
    #[must_use]
    pub fn ml(&self, voxels: u64) -> f64 {
        voxels as f64 * self.voxel_ml
    }

    /// Voxels of both lungs.
    #[must_use]
    pub fn lung_voxels(&self) -> u64 {
        self.lobes.iter().map(|lobe| lobe.voxels).sum()
    }

    /// Voxels of all opacities.
    #[must_use]
    pub fn lesion_voxels(&self) -> u64 {
        self.lobes.iter().map(LobeCounts::lesion).sum()
    }

    /// The sum over the lobes of one side.
    pub(crate) fn of_side(&self, side: Side, count: impl Fn(&LobeCounts) -> u64) -> u64 {
        Lobe::ALL.iter().zip(&self.lobes).filter(|(lobe, _)| lobe.side() == side).map(|(_, c)| count(c)).sum()
    }
}

/// `part` of `whole` in percent; `None` of nothing.
pub(crate) fn percent(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| 100.0 * part as f64 / whole as f64)
}

/// Counts of a part of the volume.
#[derive(Default)]
struct Tally {
    lobes: [LobeCounts; 5],
    lung_histogram: Vec<u64>,
    lesion_histogram: Vec<u64>,
    lesion_outside_lung: u64,
}

impl Tally {
    fn of_slice(slice: usize, columns: usize, hu: &[i16], lobes: &[u8], lesions: &[u8]) -> Self {
        let mut tally = Self {
            lung_histogram: vec![0; HISTOGRAM_BINS],
            lesion_histogram: vec![0; HISTOGRAM_BINS],
            ..Self::default()
        };
        for (at, ((hu, lobe), lesion)) in hu.iter().zip(lobes).zip(lesions).enumerate() {
            let kind = kind_index(*lesion);
            let Some(lobe) = Lobe::from_label(*lobe) else {
                tally.lesion_outside_lung += u64::from(kind.is_some());
                continue;
            };
            let bin = bin_of(*hu);
            let counts = &mut tally.lobes[lobe as usize];
            counts.voxels += 1;
            counts.hu_sum += i64::from(*hu);
            counts.index_sums[1] += (at / columns) as u64;
            counts.index_sums[2] += (at % columns) as u64;
            tally.lung_histogram[bin] += 1;
            if let Some(kind) = kind {
                counts.kinds[kind] += 1;
                counts.high += u64::from(*hu >= HIGH_OPACITY_FROM_HU);
                tally.lesion_histogram[bin] += 1;
            }
        }
        for counts in &mut tally.lobes {
            counts.index_sums[0] = slice as u64 * counts.voxels;
        }
        tally
    }

    fn slice(&self) -> SliceCounts {
        SliceCounts {
            lung: self.lobes.iter().map(|lobe| lobe.voxels).sum(),
            lesion: self.lobes.iter().map(LobeCounts::lesion).sum(),
        }
    }

    fn plus(mut self, other: Self) -> Self {
        for (sum, add) in self.lobes.iter_mut().zip(&other.lobes) {
            sum.voxels += add.voxels;
            sum.hu_sum += add.hu_sum;
            sum.high += add.high;
            for i in 0..3 {
                sum.kinds[i] += add.kinds[i];
                sum.index_sums[i] += add.index_sums[i];
            }
        }
        for (sum, add) in
            [(&mut self.lung_histogram, &other.lung_histogram), (&mut self.lesion_histogram, &other.lesion_histogram)]
        {
            sum.resize(HISTOGRAM_BINS, 0);
            sum.iter_mut().zip(add).for_each(|(sum, add)| *sum += add);
        }
        self.lesion_outside_lung += other.lesion_outside_lung;
        self
    }
}

fn bin_of(hu: i16) -> usize {
    let above = i32::from(hu) - i32::from(HISTOGRAM_FROM_HU);
    (above.max(0) as usize / HISTOGRAM_BIN_HU.unsigned_abs() as usize).min(HISTOGRAM_BINS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clinical::{AERATION_LIMITS_HU, EMPHYSEMA_BELOW_HU, WELL_AERATED_HU};

    #[test]
    fn cut_points_are_edges_of_bins() {
        for hu in AERATION_LIMITS_HU.into_iter().chain([EMPHYSEMA_BELOW_HU]).chain(WELL_AERATED_HU) {
            assert_eq!(bin_of(hu - 1) + 1, bin_of(hu), "{hu} HU begins a bin");
        }
    }

    #[test]
    fn what_lies_beyond_the_histogram_falls_into_its_ends() {
        let cases = [(i16::MIN, 0), (-1051, 0), (-1050, 0), (-1040, 1), (249, 129), (250, 129), (i16::MAX, 129)];
        for (hu, bin) in cases {
            assert_eq!(bin_of(hu), bin, "{hu} HU");
        }
    }
}
