//! The two lungs and the surfaces that part them into five lobes.

use crate::field::Field;
use crate::mediastinum::Mediastinum;
use crate::random::Random;
use crate::shape::{ramp, sheet_coverage, smooth_max};
use crate::thorax::{Side, Thorax, cage_distance};
use glam::Vec3;
use serde::{Deserialize, Serialize};

/// The five lobes, with the labels they have in label maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Lobe {
    /// Right upper lobe, label 1.
    #[serde(rename = "RUL")]
    RightUpper = 1,
    /// Right middle lobe, label 2.
    #[serde(rename = "RML")]
    RightMiddle = 2,
    /// Right lower lobe, label 3.
    #[serde(rename = "RLL")]
    RightLower = 3,
    /// Left upper lobe with the lingula, label 4.
    #[serde(rename = "LUL")]
    LeftUpper = 4,
    /// Left lower lobe, label 5.
    #[serde(rename = "LLL")]
    LeftLower = 5,
}

impl Lobe {
    /// All five, in the order of their labels.
    pub const ALL: [Self; 5] =
        [Self::RightUpper, Self::RightMiddle, Self::RightLower, Self::LeftUpper, Self::LeftLower];

    /// The value in a label map, 1 to 5.
    #[must_use]
    pub fn label(self) -> u8 {
        self as u8
    }

    /// The usual abbreviation.
    #[must_use]
    pub fn abbreviation(self) -> &'static str {
        match self {
            Self::RightUpper => "RUL",
            Self::RightMiddle => "RML",
            Self::RightLower => "RLL",
            Self::LeftUpper => "LUL",
            Self::LeftLower => "LLL",
        }
    }

    pub(crate) fn side(self) -> Side {
        match self {
            Self::LeftUpper | Self::LeftLower => Side::Left,
            _ => Side::Right,
        }
    }
}

/// Slope of the oblique fissures: millimetres up per millimetre back.
const OBLIQUE_SLOPE: [f32; 2] = [1.25, 1.32];

/// Visceral pleura twice: what a fissure is made of.
const FISSURE_MM: f32 = 0.55;

/// The lungs of one person.
pub(crate) struct Lungs {
    fields: [Field; 2],
    oblique_z: [f32; 2],
    horizontal_z: f32,
}

impl Lungs {
    /// Works the lung surfaces out on a grid of `step` mm.
    pub(crate) fn new(seed: u64, thorax: &Thorax) -> Self {
        let mediastinum = Mediastinum::new();
        let field = |side: Side| {
            let (low, high) = match side {
                Side::Right => (Vec3::new(-138.0, -96.0, -172.0), Vec3::new(18.0, 102.0, 142.0)),
                Side::Left => (Vec3::new(-10.0, -96.0, -172.0), Vec3::new(138.0, 102.0, 142.0)),
            };
            Field::new(low, high, 2.5, |p| {
                let cage = cage_distance(p) + 1.0;
                let bounds = smooth_max(cage, Thorax::apex_distance(side, p), 8.0);
                // The domes never reach this high.
                let bounds = if p.z < 0.0 && bounds < 12.0 {
                    smooth_max(bounds, -thorax.above_diaphragm(p), 3.0)
                } else {
                    bounds
                };
                if bounds > 12.0 {
                    return bounds;
                }
                smooth_max(bounds, -mediastinum.distance(side, p), 5.0)
            })
        };
        let mut random = Random::new(seed, 2);
        Self {
            fields: Side::BOTH.map(field),
            oblique_z: [-31.0, -28.0].map(|z| z + random.between(-4.0, 4.0)),
            horizontal_z: random.between(-4.0, 4.0),
        }
    }

    /// Distance outside a lung's surface.
    #[inline]
    pub(crate) fn distance(&self, side: Side, p: Vec3) -> f32 {
        self.fields[side as usize].at(p)
    }

    /// The nearer lung and the distance outside its surface.
    #[inline]
    pub(crate) fn nearest(&self, p: Vec3) -> (Side, f32) {
        let right = if p.x < 18.0 { self.distance(Side::Right, p) } else { f32::MAX };
        let left = if p.x > -10.0 { self.distance(Side::Left, p) } else { f32::MAX };
        if right < left { (Side::Right, right) } else { (Side::Left, left) }
    }

    /// Direction out of a lung near its surface.
    pub(crate) fn outward(&self, side: Side, p: Vec3) -> Vec3 {
        self.fields[side as usize].gradient(p)
    }

    /// Low and high corner of a box around a lung.
    pub(crate) fn bounds(&self, side: Side) -> (Vec3, Vec3) {
        let (low, high) = self.fields[side as usize].bounds_below(0.0).expect("a lung has a volume");
        (low - 3.0, high + 3.0)
    }

    /// Distance above and before the oblique fissure; negative in the lower lobe.
    #[inline]
    pub(crate) fn above_oblique(&self, side: Side, p: Vec3) -> f32 {
        let slope = OBLIQUE_SLOPE[side as usize];
        let lateral = (p.x * side.sign() - 72.0) / 60.0;
        let back = (p.y - 15.0) / 70.0;
        // A propeller: the upper part faces outwards, the lower part inwards, and the whole bulges forward a little.
        let z = self.oblique_z[side as usize] + slope * p.y - 9.0 * lateral * back - 11.0 * back * back
            + 6.0 * lateral * lateral;
        (p.z - z) / (1.0 + slope * slope).sqrt()
    }

    /// Distance above the horizontal fissure.
    #[inline]
    pub(crate) fn above_horizontal(&self, p: Vec3) -> f32 {
        let lateral = (-p.x - 62.0) / 60.0;
        let front = (p.y + 28.0) / 55.0;
        let z = self.horizontal_z - 9.0 * lateral * lateral - 8.0 * front * front - 3.0 * front;
        (p.z - z) * 0.96
    }

    /// The lobe a point of a lung belongs to.
    #[inline]
    pub(crate) fn lobe(&self, side: Side, p: Vec3) -> Lobe {
        let lower = self.above_oblique(side, p) < 0.0;
        match side {
            Side::Left if lower => Lobe::LeftLower,
            Side::Left => Lobe::LeftUpper,
            Side::Right if lower => Lobe::RightLower,
            Side::Right if self.above_horizontal(p) < 0.0 => Lobe::RightMiddle,
            Side::Right => Lobe::RightUpper,
        }
    }

    /// Distance outside a lobe's fissures within its lung; negative inside the lobe.
    pub(crate) fn outside_fissures(&self, lobe: Lobe, p: Vec3) -> f32 {
        let oblique = self.above_oblique(lobe.side(), p);
        match lobe {
            Lobe::RightLower | Lobe::LeftLower => oblique,
            Lobe::LeftUpper => -oblique,
            Lobe::RightUpper => (-oblique).max(-self.above_horizontal(p)),
            Lobe::RightMiddle => (-oblique).max(self.above_horizontal(p)),
        }
    }

    /// How much of a point's neighbourhood is fissure. The fissures end before they reach the hilum, as most do.
    #[inline]
    pub(crate) fn fissure_coverage(&self, side: Side, p: Vec3, blur: f32) -> f32 {
        let oblique = self.above_oblique(side, p);
        let mut sheet = sheet_coverage(oblique, FISSURE_MM, blur);
        if side == Side::Right && oblique > 0.0 {
            let horizontal = sheet_coverage(self.above_horizontal(p), FISSURE_MM * 0.9, blur);
            sheet = sheet.max(horizontal);
        }
        if sheet <= 0.0 {
            return 0.0;
        }
        let hilum = Vec3::new(42.0 * side.sign(), 14.0, 8.0);
        sheet * ramp(p.distance(hilum), 18.0, 34.0)
    }
}
