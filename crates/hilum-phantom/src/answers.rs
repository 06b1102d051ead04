//! What is true of a phantom, worked out from the continuous anatomy rather than from its voxels.

use crate::anatomy::Anatomy;
use crate::lesion::LesionKind;
use crate::lungs::Lobe;
use crate::random::Random;
use crate::thorax::Side;
use glam::{DVec3, Vec3};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// The known answers of one phantom. They belong to the body and are the same for every variant of scanning it.
///
/// Volumes are integrated over points 1.25 mm apart, each displaced at random within its cube (stratified sampling), so
/// that a lobe is right to about 0.1 % and a lesion of 10 ml to about 1 %. HU are those of the object itself: no noise, no
/// point spread.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KnownAnswers {
    /// Version of this structure.
    pub schema_version: u32,
    /// Seed of the person.
    pub seed: u64,
    /// Name of the disease preset.
    pub disease: String,
    /// What is counted as lung, in words.
    pub lung_means: String,
    /// Volume of the lungs, lesions included.
    pub lung_volume_ml: LungVolume,
    /// The five lobes, in the order of their labels.
    pub lobes: Vec<LobeAnswer>,
    /// The lesions; a consolidation within ground-glass is a lesion of its own, cut out of the ground-glass.
    pub lesions: Vec<LesionAnswer>,
    /// Volume of all lesions.
    pub lesion_ml: f64,
    /// Of these, ground-glass (crazy paving included).
    pub ground_glass_ml: f64,
    /// Of these, consolidation.
    pub consolidation_ml: f64,
    /// 100 × volume of all lesions / volume of the lungs.
    pub percent_of_lung: f64,
    /// 100 × volume of lesion at or above −200 HU / volume of the lungs (Chaganti 2020, PMC7392373); vessels and bronchial
    /// walls within the lesion count.
    pub percent_high_opacity: f64,
    /// Mean HU of both lungs.
    pub lung_mean_hu: f64,
    /// Middle of both lungs.
    pub lung_centroid_lps_mm: [f64; 3],
    /// Points by which a flipped or shifted image is known.
    pub landmarks: Vec<Landmark>,
}

/// Volume of the lungs in ml.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LungVolume {
    /// Both.
    pub total: f64,
    /// The patient's right.
    pub right: f64,
    /// The patient's left.
    pub left: f64,
}

/// What is true of a lobe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LobeAnswer {
    /// Which.
    pub name: Lobe,
    /// Its value in label maps.
    pub label: u8,
    /// Its volume, lesions included.
    pub volume_ml: f64,
    /// Its mean HU.
    pub mean_hu: f64,
    /// 100 × volume of the lesions in it / its volume.
    pub percent: f64,
}

/// What is true of a lesion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LesionAnswer {
    /// Counted from 1.
    pub id: usize,
    /// Ground-glass, crazy paving or consolidation.
    pub kind: LesionKind,
    /// Its value in label maps: 11 or 12.
    pub label: u8,
    /// The lobe it lies in, wholly.
    pub lobe: Lobe,
    /// Volume of the part that is at least half lesion.
    pub volume_ml: f64,
    /// Its middle.
    pub centroid_lps_mm: [f64; 3],
    /// Lowest and highest x, y and z.
    pub bounds_lps_mm: [[f64; 3]; 2],
    /// Mean HU, vessels and bronchi within it included.
    pub mean_hu: f64,
    /// 100 × its volume / volume of the lungs.
    pub percent_of_lung: f64,
}

/// A point that can be found in the images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Landmark {
    /// What is there.
    pub name: String,
    /// Where.
    pub lps_mm: [f64; 3],
}

/// What counts as lung; said in every file of answers.
const LUNG_MEANS: &str = "Everything inside the visceral pleura: parenchyma, lesions, and the vessels and bronchi within. \
    Not lung: trachea, main bronchi and bronchus intermedius with their walls, mediastinum and hilar vessels outside the pleura.";

const STEP_MM: f32 = 1.25;

/// Sums over points.
#[derive(Clone)]
struct Tally {
    points: u64,
    high: u64,
    hu: f64,
    place: DVec3,
    low: Vec3,
    top: Vec3,
}

impl Tally {
    const EMPTY: Self = Self {
        points: 0,
        high: 0,
        hu: 0.0,
        place: DVec3::ZERO,
        low: Vec3::splat(f32::MAX),
        top: Vec3::splat(f32::MIN),
    };

    fn add(&mut self, p: Vec3, hu: f32) {
        self.points += 1;
        self.high += u64::from(hu >= -200.0);
        self.hu += f64::from(hu);
        self.place += p.as_dvec3();
        self.low = self.low.min(p);
        self.top = self.top.max(p);
    }

    fn join(&mut self, other: &Self) {
        self.points += other.points;
        self.high += other.high;
        self.hu += other.hu;
        self.place += other.place;
        self.low = self.low.min(other.low);
        self.top = self.top.max(other.top);
    }

    fn volume_ml(&self) -> f64 {
        rounded(self.points as f64 * f64::from(STEP_MM).powi(3) / 1000.0)
    }

    fn mean_hu(&self) -> f64 {
        rounded(self.hu / self.points.max(1) as f64)
    }

    fn centroid(&self) -> [f64; 3] {
        (self.place / self.points.max(1) as f64).to_array().map(rounded)
    }
}

impl Anatomy {
    /// The known answers: worked out when first asked for, which takes about a second on two cores.
    #[must_use]
    pub fn known_answers(&self) -> &KnownAnswers {
        self.answers.get_or_init(|| self.work_out_answers())
    }

    fn work_out_answers(&self) -> KnownAnswers {
        let (lobes, lesions) = self.tallies();
        let mut lungs = Tally::EMPTY;
        lobes.iter().for_each(|lobe| lungs.join(lobe));
        let total = rounded(lungs.volume_ml());
        let side_ml = |side: Side| {
            rounded(
                Lobe::ALL.iter().zip(&lobes).filter(|(lobe, _)| lobe.side() == side).map(|(_, t)| t.volume_ml()).sum(),
            )
        };
        let lesion_answers: Vec<LesionAnswer> = self
            .lesions
            .iter()
            .zip(&lesions)
            .enumerate()
            .map(|(i, (lesion, tally))| LesionAnswer {
                id: i + 1,
                kind: lesion.kind,
                label: lesion.kind.label(),
                lobe: lesion.lobe,
                volume_ml: tally.volume_ml(),
                centroid_lps_mm: tally.centroid(),
                bounds_lps_mm: [tally.low, tally.top].map(|p| p.as_dvec3().to_array().map(rounded)),
                mean_hu: tally.mean_hu(),
                percent_of_lung: rounded(100.0 * tally.volume_ml() / total),
            })
            .collect();
        let sum = |keep: &dyn Fn(&LesionAnswer) -> bool| -> f64 {
            rounded(lesion_answers.iter().filter(|l| keep(l)).map(|l| l.volume_ml).sum())
        };
        let high: u64 = lesions.iter().map(|t| t.high).sum();
        KnownAnswers {
            schema_version: 1,
            seed: self.seed(),
            disease: self.disease().name().to_owned(),
            lung_means: LUNG_MEANS.to_owned(),
            lung_volume_ml: LungVolume { total, right: side_ml(Side::Right), left: side_ml(Side::Left) },
            lobes: Lobe::ALL
                .iter()
                .zip(&lobes)
                .map(|(lobe, tally)| LobeAnswer {
                    name: *lobe,
                    label: lobe.label(),
                    volume_ml: tally.volume_ml(),
                    mean_hu: tally.mean_hu(),
                    percent: rounded(100.0 * sum(&|l| l.lobe == *lobe) / tally.volume_ml()),
                })
                .collect(),
            lesion_ml: sum(&|_| true),
            ground_glass_ml: sum(&|l| l.label == 11),
            consolidation_ml: sum(&|l| l.label == 12),
            percent_of_lung: rounded(100.0 * sum(&|_| true) / total),
            percent_high_opacity: rounded(100.0 * high as f64 / lungs.points.max(1) as f64),
            lung_mean_hu: lungs.mean_hu(),
            lung_centroid_lps_mm: lungs.centroid(),
            lesions: lesion_answers,
            landmarks: self
                .landmarks()
                .into_iter()
                .map(|(name, at)| Landmark { name: name.to_owned(), lps_mm: at.0.map(rounded) })
                .collect(),
        }
    }

    /// One tally per lobe and one per lesion. Planes are summed apart and joined in order, so that the sums do not depend
    /// on the threads.
    fn tallies(&self) -> (Vec<Tally>, Vec<Tally>) {
        let (right, left) = (self.lungs.bounds(Side::Right), self.lungs.bounds(Side::Left));
        let (low, high) = (right.0.min(left.0), right.1.max(left.1));
        let count = ((high - low) / STEP_MM).to_array().map(|n| n.ceil() as usize);
        let planes: Vec<_> = (0..count[2])
            .into_par_iter()
            .map(|z| {
                let mut random = Random::new(z as u64, 0xa5);
                let mut lobes = vec![Tally::EMPTY; 5];
                let mut lesions = vec![Tally::EMPTY; self.lesions.len()];
                for y in 0..count[1] {
                    for x in 0..count[0] {
                        let jitter = Vec3::new(random.unit(), random.unit(), random.unit());
                        let p = low + (Vec3::new(x as f32, y as f32, z as f32) + jitter) * STEP_MM;
                        let Some(lobe) = self.lobe_at(p) else { continue };
                        let hu = self.hu(p, SHARP_MM);
                        lobes[usize::from(lobe.label()) - 1].add(p, hu);
                        if let Some(lesion) = self.lesion_at(p, lobe) {
                            lesions[lesion].add(p, hu);
                        }
                    }
                }
                (lobes, lesions)
            })
            .collect();
        let mut lobes = vec![Tally::EMPTY; 5];
        let mut lesions = vec![Tally::EMPTY; self.lesions.len()];
        for (plane_lobes, plane_lesions) in &planes {
            lobes.iter_mut().zip(plane_lobes).for_each(|(all, plane)| all.join(plane));
            lesions.iter_mut().zip(plane_lesions).for_each(|(all, plane)| all.join(plane));
        }
        (lobes, lesions)
    }
}

/// To thousandths: more is not known.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// Half width of the point spread with which the object itself is looked at: next to none.
const SHARP_MM: f32 = 0.05;
