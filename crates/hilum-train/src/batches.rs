//! Which slices make up the batch of a step: a pure function of the seed and the step's number.

use std::path::Path;

use hilum_dicom::Limits;
use hilum_nn::{Dims, sha256_hex};
use hilum_volume::{Geometry, Mask, PatientPoint};
use rayon::prelude::*;

use crate::TrainError;
use crate::augment::{Augmentation, Example, example};
use crate::cache::{self, CachedCase};
use crate::cases::{self, Case, Slice};
use crate::config::{Side, TrainConfig};
use crate::emphasis;
use crate::loss::{BOUNDARY_PIXELS, Target};
use crate::network::Images;
use crate::parts::Part;
use crate::structures::Structures;

/// The training cases, grouped for drawing.
pub(crate) struct Sampler {
    structures: Structures,
    sources: Vec<Group>,
    seed: u64,
    batch: usize,
    size: usize,
    /// Slices of an example.
    depth: usize,
    dims: Dims,
    augmentation: Augmentation,
    with_distance: bool,
    small_lesions: f32,
}

/// One source and how its cases are drawn.
struct Group {
    weight: f64,
    lesion_share: Option<f64>,
    cases: Vec<CachedCase>,
    part: Part,
    all: Chances,
    with_lesion: Chances,
    without_lesion: Chances,
}

impl Sampler {
    /// The training side of every source, from its files in `cache`, which are made where they are not there yet.
    pub(crate) fn new(
        config: &TrainConfig,
        data_root: &Path,
        cache: &Path,
        limits: &Limits,
        progress: &(dyn Fn(f32) + Sync),
    ) -> Result<Self, TrainError> {
        let structures = Structures::of(&config.card.outputs)?;
        let count = config.data.len() as f32;
        let listed = config.data.iter().map(|source| {
            let reading = source.reading(&config.card.input, &structures);
            cases::list(source.layout, &data_root.join(&source.folder), &reading)
        });
        let listed = listed.collect::<Result<Vec<_>, _>>()?;
        config.split.check_names(listed.iter().flatten().map(Case::patient))?;
        let sources = config.data.iter().zip(listed).enumerate().map(|(at, (source, cases))| {
            let part = Part::of(&config.split, &cases)?;
            let cases = config.split.select(cases, Side::Train)?;
            if cases.is_empty() {
                return Err(TrainError::NoCases(format!("{} has no training patient", source.folder.display())));
            }
            let cases = cache::open(&cases, cache, limits, &|share| progress((at as f32 + share) / count))?;
            Ok(Group::new(cases, part, source.weight, source.lesion_share))
        });
        Ok(Self {
            sources: sources.collect::<Result<Vec<_>, _>>()?,
            structures: structures.clone(),
            seed: config.seed,
            batch: config.schedule.batch,
            size: config.schedule.size,
            depth: config.network.input_channels.max(config.schedule.slices),
            dims: config.network.dims,
            augmentation: config.augmentation.clone(),
            with_distance: config.loss.boundary > 0.0,
            small_lesions: config.loss.small_lesions,
        })
    }

    /// Number of slices and of patients that are learned from.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let cases = || self.sources.iter().flat_map(|group| &group.cases);
        let patients: std::collections::BTreeSet<&str> = cases().map(|case| &*case.patient).collect();
        (cases().map(CachedCase::len).sum(), patients.len())
    }

    /// SHA-256 of the slices of every source: what was learned from, whatever the files are called.
    pub(crate) fn hashes(&self) -> Vec<String> {
        let of = |group: &Group| -> String { group.cases.iter().map(|case| format!("{}\n", case.content)).collect() };
        self.sources.iter().map(|group| sha256_hex(of(group).as_bytes())).collect()
    }

    /// Which patients of every source are on which side.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &Part> {
        self.sources.iter().map(|group| &group.part)
    }

    /// The batch of a step.
    ///
    /// # Errors
    /// If a slice cannot be read any more.
    pub(crate) fn batch(&self, step: u64) -> Result<(Images, Target), TrainError> {
        let examples: Vec<(Example, Slice)> = (0..self.batch)
            .into_par_iter()
            .map(|place| {
                let mut random = fastrand::Rng::with_seed(mixed(self.seed, step, place as u64));
                let (case, slice) = self.draw(&mut random);
                let mut stack = self.read_stack(case, slice, &mut random)?;
                let example = example(&stack.iter().collect::<Vec<_>>(), &self.augmentation, self.size, random.u64(..));
                Ok((example, stack.swap_remove(self.depth / 2)))
            })
            .collect::<Result<_, TrainError>>()?;
        let (images, mut target) = batch(&examples, &self.structures, self.dims, self.small_lesions);
        if self.with_distance {
            target.distance = distances(&target.truth, self.size);
        }
        Ok((images, target))
    }

    /// Augmented examples of every case with the patient's name, evenly spread over its slices, at most `most` of each.
    pub(crate) fn examples(&self, most: usize) -> Result<Vec<(String, Example)>, TrainError> {
        let cases: Vec<&CachedCase> = self.sources.iter().flat_map(|group| &group.cases).collect();
        let of = |(at, case): (usize, &CachedCase)| {
            let count = case.len().min(most);
            let one = |nth: usize| {
                let mut random = fastrand::Rng::with_seed(mixed(self.seed, at as u64, nth as u64));
                let stack = self.read_stack(case, nth * case.len() / count, &mut random)?;
                let stack: Vec<&Slice> = stack.iter().collect();
                Ok((case.patient.to_string(), example(&stack, &self.augmentation, self.size, random.u64(..))))
            };
            (0..count).map(one).collect::<Result<Vec<_>, TrainError>>()
        };
        let found = cases.into_par_iter().enumerate().map(of).collect::<Result<Vec<_>, _>>()?;
        Ok(found.into_iter().flatten().collect())
    }

    fn draw(&self, random: &mut fastrand::Rng) -> (&CachedCase, usize) {
        let total: f64 = self.sources.iter().map(|group| group.weight).sum();
        let mut place = random.f64() * total;
        let group = self.sources.iter().find(|group| {
            place -= group.weight;
            place < 0.0
        });
        group.unwrap_or(&self.sources[0]).draw(random)
    }

    /// A slice between its neighbours, as many in all as the network sees: mostly the next ones, at times further ones or the
    /// slice itself again, because most sets do not tell how far apart slices are; either way up. Where the scan ends, its
    /// last slice is repeated. Each may be the mean of a slab.
    fn read_stack(
        &self,
        case: &CachedCase,
        slice: usize,
        random: &mut fastrand::Rng,
    ) -> Result<Vec<Slice>, TrainError> {
        let apart = match self.depth {
            1 => 0,
            _ => {
                let apart = match self.dims {
                    Dims::Two => [0, 1, 1, 1, 1, 1, 2, 2][random.usize(..8)],
                    // Structures go on from slice to slice.
                    Dims::Three => 1,
                };
                apart * if random.bool() { 1 } else { -1 }
            }
        };
        let middle = self.depth as isize / 2;
        let seen = (0..self.depth as isize).map(|place| slice as isize + (place - middle) * apart);
        let at = |place: isize| case.slice(place.clamp(0, case.len() as isize - 1) as usize);
        let mut stack = seen.clone().map(at).collect::<Result<Vec<_>, _>>()?;
        let reach = stack[0].spacing_mm.map_or(0, |mm| slab_reach(self.augmentation.slab_mm, mm[0]));
        let reach = if reach > 0 { random.usize(..=reach) as isize } else { 0 };
        if reach > 0 {
            for (place, slice) in seen.zip(&mut stack) {
                let slab = (place - reach..=place + reach).map(at).collect::<Result<Vec<_>, _>>()?;
                slice.image = mean(&slab);
            }
        }
        Ok(stack)
    }
}

impl Group {
    fn new(cases: Vec<CachedCase>, part: Part, weight: f64, lesion_share: Option<f64>) -> Self {
        let chances = |slices: &dyn Fn(&CachedCase) -> usize| Chances::new(cases.iter().map(slices));
        let all = chances(&CachedCase::len);
        let (with_lesion, without_lesion) = (chances(&|case| case.count(true)), chances(&|case| case.count(false)));
        Self { weight, lesion_share, all, with_lesion, without_lesion, cases, part }
    }

    /// Draws a case, then one of its slices.
    fn draw(&self, random: &mut fastrand::Rng) -> (&CachedCase, usize) {
        let wanted = match self.lesion_share {
            Some(share) if random.f64() < share => Some(true),
            Some(_) => Some(false),
            None => None,
        };
        let chances = match wanted {
            Some(true) => &self.with_lesion,
            Some(false) => &self.without_lesion,
            None => &self.all,
        };
        match (wanted, chances.draw(random)) {
            (Some(lesion), Some(at)) => {
                let case = &self.cases[at];
                (case, case.nth(random.usize(..case.count(lesion)), lesion))
            }
            (_, at) => {
                let case = &self.cases[at.or_else(|| self.all.draw(random)).expect("a group has slices")];
                (case, random.usize(..case.len()))
            }
        }
    }
}

/// The chance of every case: the square root of its slices, because long scans are repetitive.
struct Chances {
    /// Sums of the roots up to each case.
    sums: Vec<f64>,
}

impl Chances {
    fn new(slices: impl Iterator<Item = usize>) -> Self {
        let sums = slices.scan(0.0, |sum, n| {
            *sum += (n as f64).sqrt();
            Some(*sum)
        });
        Self { sums: sums.collect() }
    }

    /// A case that has slices; `None` if none has.
    fn draw(&self, random: &mut fastrand::Rng) -> Option<usize> {
        let total = *self.sums.last()?;
        let place = random.f64() * total;
        (total > 0.0).then(|| self.sums.partition_point(|sum| *sum <= place).min(self.sums.len() - 1))
    }
}

/// Slices to either side that a slab of at most `slab_mm` reaches.
fn slab_reach(slab_mm: f32, spacing_mm: f64) -> usize {
    ((f64::from(slab_mm) / spacing_mm - 1.0) / 2.0 + 1e-6).floor().max(0.0) as usize
}

/// The mean image of some slices.
fn mean(slices: &[Slice]) -> Vec<u8> {
    let n = slices.len() as u32;
    let of = |pixel: usize| slices.iter().map(|slice| u32::from(slice.image[pixel])).sum::<u32>();
    (0..slices[0].image.len()).map(|pixel| ((of(pixel) + n / 2) / n) as u8).collect()
}

/// Lays examples out as the network and the loss read them.
fn batch(examples: &[(Example, Slice)], structures: &Structures, dims: Dims, small_lesions: f32) -> (Images, Target) {
    let size = examples[0].0.size;
    let plane = size * size;
    let depth = examples[0].0.depth();
    // A three-dimensional network learns every slice of the stack, a two-dimensional one that in the middle.
    let (shape, learned) = match dims {
        Dims::Two => ([depth, 1], 1),
        Dims::Three => ([1, depth], depth),
    };
    let pixels = learned * plane;
    let (channels, target) = (structures.names().len(), structures.target());
    let mut truth = vec![0.0; examples.len() * channels * pixels];
    let mut known = truth.clone();
    let planes = truth.chunks_mut(channels * pixels).zip(known.chunks_mut(channels * pixels));
    for ((example, slice), (truth, known)) in examples.iter().zip(planes) {
        let labels = if dims == Dims::Two { example.middle_labels() } else { &example.labels };
        let weights = |labels| emphasis::weights(labels, size, 1 << target, small_lesions);
        let lesion_weights: Vec<f32> = labels.chunks_exact(plane).flat_map(weights).collect();
        for i in (0..pixels).filter(|i| example.inside[*i % plane]) {
            let bits = labels[i];
            let knows = structures.known_of(slice.known, bits);
            for channel in 0..channels {
                truth[channel * pixels + i] = f32::from(bits >> channel & 1);
                let weight = if channel == target { lesion_weights[i] } else { 1.0 };
                known[channel * pixels + i] = weight * f32::from(knows >> channel & 1);
            }
        }
    }
    let data = examples.iter().flat_map(|(example, _)| example.image.iter().copied()).collect();
    let images = Images { shape: [examples.len(), shape[0], shape[1], size, size], data };
    (images, Target { batch: examples.len(), channels, pixels, truth, known, distance: Vec::new() })
}

/// [`Target::distance`] of planes of truth.
fn distances(truth: &[f32], size: usize) -> Vec<f32> {
    let grid = Geometry::axial([1, size, size], PatientPoint([0.0; 3]), [1.0; 3]).expect("a plane of pixels");
    let plane = |truth: &[f32]| {
        let mask = Mask::new(grid.clone(), truth.iter().map(|t| *t > 0.5).collect()).expect("one value per pixel");
        match mask.count() {
            0 => vec![0.0; truth.len()],
            n if n == truth.len() => vec![0.0; truth.len()],
            _ => {
                let distance = hilum_imaging::distance::signed_distance_mm(&mask);
                distance.data().iter().map(|d| (d / BOUNDARY_PIXELS).clamp(-1.0, 1.0)).collect()
            }
        }
    };
    truth.par_chunks(size * size).flat_map_iter(plane).collect()
}

/// A seed of its own for every example (the finaliser of SplitMix64, Steele 2014, doi:10.1145/2714064.2660195).
fn mixed(seed: u64, step: u64, place: u64) -> u64 {
    let mut z = seed;
    for part in [step, place] {
        z = (z ^ part).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
    }
    z
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slabs_reach_as_many_slices_as_fit() {
        for (slab_mm, spacing_mm, reach) in
            [(0.0, 1.0, 0), (5.0, 1.0, 2), (5.0, 5.0, 0), (5.0, 2.5, 0), (3.6, 1.2, 1), (7.0, 6.0, 0)]
        {
            assert_eq!(slab_reach(slab_mm, spacing_mm), reach, "{slab_mm} of {spacing_mm}");
        }
    }
}
