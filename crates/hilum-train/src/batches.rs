//! Which slices make up the batch of a step: a pure function of the seed and the step's number.

use std::path::Path;

use hilum_volume::{Geometry, Mask, PatientPoint};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::TrainError;
use crate::augment::{Augmentation, Example, example};
use crate::cases::{self, CHANNELS, Slice};
use crate::config::{Side, TrainConfig};
use crate::emphasis;
use crate::loss::{BOUNDARY_PIXELS, Target};
use crate::network::Images;

/// The training slices, grouped for drawing.
pub(crate) struct Sampler {
    sources: Vec<Group>,
    seed: u64,
    batch: usize,
    size: usize,
    depth: usize,
    augmentation: Augmentation,
    with_distance: bool,
}

/// One source: its slices by volume, with and without lesion.
struct Group {
    weight: f64,
    lesion_share: Option<f64>,
    slices: Vec<Slice>,
    with_lesion: Vec<Vec<usize>>,
    without_lesion: Vec<Vec<usize>>,
    all: Vec<Vec<usize>>,
}

impl Sampler {
    /// Reads the training side of every source.
    pub(crate) fn new(config: &TrainConfig, data_root: &Path) -> Result<Self, TrainError> {
        let sources = config
            .data
            .iter()
            .map(|source| {
                let slices =
                    cases::read(source.layout, &data_root.join(&source.folder), &source.reading(&config.card.input))?;
                let slices = config.split.select(slices, Side::Train)?;
                if slices.is_empty() {
                    return Err(TrainError::NoCases(format!("{} has no training patient", source.folder.display())));
                }
                Ok(Group::new(slices, source.weight, source.lesion_share))
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self::from_groups(config, sources))
    }

    fn from_groups(config: &TrainConfig, sources: Vec<Group>) -> Self {
        Self {
            sources,
            seed: config.seed,
            batch: config.schedule.batch,
            size: config.schedule.size,
            depth: config.network.input_channels,
            augmentation: config.augmentation.clone(),
            with_distance: config.loss.boundary > 0.0,
        }
    }

    /// Number of slices and of patients that are learned from.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let slices = self.sources.iter().map(|group| group.slices.len()).sum();
        let patients: std::collections::BTreeSet<&str> =
            self.sources.iter().flat_map(|group| group.slices.iter().map(|slice| slice.patient.as_str())).collect();
        (slices, patients.len())
    }

    /// SHA-256 of the slices of every source: what was learned from, whatever the files are called.
    pub(crate) fn hashes(&self) -> Vec<String> {
        self.sources
            .par_iter()
            .map(|group| {
                let mut hash = Sha256::new();
                for slice in &group.slices {
                    hash.update(format!(
                        "{}\n{}\n{} {} {}\n",
                        slice.patient, slice.volume, slice.index, slice.height, slice.width
                    ));
                    hash.update(&slice.image);
                    hash.update(&slice.labels);
                }
                hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
            })
            .collect()
    }

    /// The batch of a step.
    pub(crate) fn batch(&self, step: u64) -> (Images, Target) {
        let examples: Vec<(Example, &Slice)> = (0..self.batch)
            .into_par_iter()
            .map(|place| {
                let mut random = fastrand::Rng::with_seed(mixed(self.seed, step, place as u64));
                let (group, index) = self.draw(&mut random);
                let stack = group.stack(index, self.depth, &mut random);
                (example(&stack, &self.augmentation, self.size, random.u64(..)), &group.slices[index])
            })
            .collect();
        let (images, mut target) = batch(&examples);
        if self.with_distance {
            target.distance = distances(&target.truth, self.size);
        }
        (images, target)
    }

    fn draw(&self, random: &mut fastrand::Rng) -> (&Group, usize) {
        let total: f64 = self.sources.iter().map(|group| group.weight).sum();
        let mut place = random.f64() * total;
        let group = self.sources.iter().find(|group| {
            place -= group.weight;
            place < 0.0
        });
        let group = group.unwrap_or(&self.sources[0]);
        (group, group.draw(random))
    }
}

impl Group {
    fn new(slices: Vec<Slice>, weight: f64, lesion_share: Option<f64>) -> Self {
        let by_volume = |keep: fn(&Slice) -> bool| {
            let mut volumes = std::collections::BTreeMap::<&str, Vec<usize>>::new();
            for (index, slice) in slices.iter().enumerate().filter(|(_, slice)| keep(slice)) {
                volumes.entry(&slice.volume).or_default().push(index);
            }
            volumes.into_values().collect::<Vec<_>>()
        };
        let (with_lesion, without_lesion) = (by_volume(Slice::has_lesion), by_volume(|slice| !slice.has_lesion()));
        let all = by_volume(|_| true);
        Self { weight, lesion_share, with_lesion, without_lesion, all, slices }
    }

    /// Draws a volume by the square root of its slices (long scans are repetitive), then one of its slices.
    fn draw(&self, random: &mut fastrand::Rng) -> usize {
        let wanted = match self.lesion_share {
            Some(share) if random.f64() < share => &self.with_lesion,
            Some(_) => &self.without_lesion,
            None => &self.all,
        };
        let volumes = if wanted.is_empty() { &self.all } else { wanted };
        let total: f64 = volumes.iter().map(|volume| (volume.len() as f64).sqrt()).sum();
        let mut place = random.f64() * total;
        let volume = volumes.iter().find(|volume| {
            place -= (volume.len() as f64).sqrt();
            place < 0.0
        });
        let volume = volume.unwrap_or(&volumes[0]);
        volume[random.usize(..volume.len())]
    }

    /// A slice between its neighbours, `depth` in all: mostly the next ones, at times further ones or the slice itself again,
    /// because most sets do not tell how far apart slices are; either way up.
    fn stack(&self, index: usize, depth: usize, random: &mut fastrand::Rng) -> Vec<&Slice> {
        if depth == 1 {
            return vec![&self.slices[index]];
        }
        let apart = [0, 1, 1, 1, 1, 1, 2, 2][random.usize(..8)] * if random.bool() { 1 } else { -1 };
        let volume = &self.slices[index].volume;
        let seen = |place: usize| {
            let wanted = index as isize + (place as isize - (depth / 2) as isize) * apart;
            let towards = (wanted - index as isize).signum();
            // Where the scan ends, its last slice is repeated.
            let mut at = index as isize;
            while at != wanted {
                let next = usize::try_from(at + towards).ok().and_then(|next| self.slices.get(next));
                if next.is_none_or(|next| next.volume != *volume) {
                    break;
                }
                at += towards;
            }
            &self.slices[at as usize]
        };
        (0..depth).map(seen).collect()
    }
}

/// Place of lesion in [`CHANNELS`].
const LESION: usize = 1;

/// Lays examples out as the network and the loss read them.
pub(crate) fn batch(examples: &[(Example, &Slice)]) -> (Images, Target) {
    let size = examples[0].0.size;
    let pixels = size * size;
    let channels = CHANNELS.len();
    let mut truth = vec![0.0; examples.len() * channels * pixels];
    let mut known = truth.clone();
    let planes = truth.chunks_mut(channels * pixels).zip(known.chunks_mut(channels * pixels));
    for ((example, slice), (truth, known)) in examples.iter().zip(planes) {
        let labels = example.middle_labels();
        let lesion_weights = emphasis::weights(labels, size, 2);
        for i in (0..pixels).filter(|i| example.inside[*i]) {
            let bits = labels[i];
            // Where there is no lesion there is no consolidation, whatever the set tells of kinds.
            let knows = [slice.known.lung, true, slice.known.consolidation || bits & 2 == 0];
            for channel in 0..channels {
                truth[channel * pixels + i] = f32::from(bits >> channel & 1);
                let weight = if channel == LESION { lesion_weights[i] } else { 1.0 };
                known[channel * pixels + i] = weight * f32::from(u8::from(knows[channel]));
            }
        }
    }
    let data = examples.iter().flat_map(|(example, _)| example.image.iter().copied()).collect();
    let images = Images { shape: [examples.len(), examples[0].0.depth(), 1, size, size], data };
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
