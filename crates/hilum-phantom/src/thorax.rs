//! The outer forms: skin, thoracic cage, diaphragm. Supine, arms raised; origin in the midline at the level of the
//! eighth thoracic vertebra, LPS millimetres. Proportions follow a man of average build at full inspiration.

use crate::random::Random;
use crate::shape::{Profile, mix, ramp, smooth_max, superellipse};
use glam::{Vec2, Vec3};

/// The patient's left or right side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Right,
    Left,
}

impl Side {
    pub(crate) const BOTH: [Self; 2] = [Self::Right, Self::Left];

    /// −1 on the patient's right, +1 on the left: the sign of x.
    pub(crate) fn sign(self) -> f32 {
        match self {
            Self::Right => -1.0,
            Self::Left => 1.0,
        }
    }
}

const BODY_HALF_WIDTH: Profile = Profile(&[
    (-190.0, 156.0),
    (-100.0, 160.0),
    (0.0, 164.0),
    (50.0, 170.0),
    (90.0, 178.0),
    (120.0, 176.0),
    (150.0, 160.0),
    (175.0, 140.0),
]);
const BODY_HALF_DEPTH: Profile = Profile(&[
    (-190.0, 108.0),
    (-100.0, 111.0),
    (0.0, 109.0),
    (50.0, 101.0),
    (90.0, 92.0),
    (110.0, 86.0),
    (150.0, 75.0),
    (175.0, 70.0),
]);
const BODY_CENTRE_Y: Profile = Profile(&[
    (-190.0, 8.0),
    (-100.0, 8.0),
    (0.0, 10.0),
    (50.0, 16.0),
    (90.0, 25.0),
    (110.0, 31.0),
    (150.0, 38.0),
    (175.0, 40.0),
]);
const CAGE_HALF_WIDTH: Profile = Profile(&[
    (-190.0, 129.0),
    (-150.0, 130.0),
    (-100.0, 132.0),
    (-50.0, 131.0),
    (0.0, 127.0),
    (50.0, 116.0),
    (90.0, 98.0),
    (110.0, 86.0),
    (130.0, 70.0),
    (150.0, 52.0),
]);
const CAGE_HALF_DEPTH: Profile = Profile(&[
    (-190.0, 86.0),
    (-150.0, 88.0),
    (-100.0, 90.0),
    (-50.0, 90.0),
    (0.0, 86.0),
    (50.0, 76.0),
    (90.0, 63.0),
    (110.0, 54.0),
    (130.0, 44.0),
    (150.0, 34.0),
]);
const CAGE_CENTRE_Y: Profile = Profile(&[
    (-190.0, 6.0),
    (-100.0, 5.0),
    (-50.0, 4.0),
    (0.0, 5.0),
    (50.0, 10.0),
    (90.0, 17.0),
    (110.0, 21.0),
    (130.0, 25.0),
    (150.0, 28.0),
]);
const SPINE_Y: Profile =
    Profile(&[(-190.0, 50.0), (-100.0, 59.0), (0.0, 62.0), (60.0, 57.0), (110.0, 48.0), (150.0, 38.0), (180.0, 32.0)]);

/// Centre of the vertebral bodies at height `z`: the thoracic kyphosis.
pub(crate) fn spine_y(z: f32) -> f32 {
    SPINE_Y.at(z)
}

/// Inner surface of the thoracic cage at height `z`: centre y, half width, half depth.
pub(crate) fn cage_section(z: f32) -> (f32, Vec2) {
    (CAGE_CENTRE_Y.at(z), Vec2::new(CAGE_HALF_WIDTH.at(z), CAGE_HALF_DEPTH.at(z)))
}

/// Distance outside the skin.
pub(crate) fn body_distance(p: Vec3) -> f32 {
    let centre = BODY_CENTRE_Y.at(p.z);
    let radii = Vec2::new(BODY_HALF_WIDTH.at(p.z), BODY_HALF_DEPTH.at(p.z));
    let shell = superellipse(Vec2::new(p.x, p.y - centre), radii, 2.35);
    // The furrow between the erector muscles.
    let furrow = 7.0 * (-(p.x / 16.0).powi(2)).exp() * ramp(p.y, centre, centre + radii.y);
    shell + furrow
}

/// Distance outside the inner surface of the thoracic cage, which goes on below the diaphragm around the upper abdomen.
pub(crate) fn cage_distance(p: Vec3) -> f32 {
    let (centre, radii) = cage_section(p.z);
    superellipse(Vec2::new(p.x, p.y - centre), radii, 2.3)
}

/// How this person's thorax departs from the average.
#[derive(Clone, Debug)]
pub(crate) struct Thorax {
    /// Height of the right and left dome.
    dome_z: [f32; 2],
}

impl Thorax {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed, 1);
        let shift = random.between(-5.0, 5.0);
        Self { dome_z: [-72.0 + shift, -85.0 + shift + random.between(-3.0, 3.0)] }
    }

    /// Height of the upper surface of the diaphragm on one side.
    pub(crate) fn dome_height(&self, side: Side, p: Vec3) -> f32 {
        let (centre, top) = match side {
            Side::Right => (Vec2::new(-66.0, -4.0), self.dome_z[0]),
            Side::Left => (Vec2::new(68.0, -2.0), self.dome_z[1]),
        };
        let outward = (p.x - centre.x) * side.sign();
        let across = if outward > 0.0 { 70.0 } else { 112.0 };
        let q = Vec2::new(outward / across, (p.y - centre.y) / 96.0);
        let r2 = q.length_squared();
        let back = ((p.y - centre.y) / 90.0).max(0.0);
        top - 58.0 * r2 * r2.powf(0.2) - 24.0 * back * back.sqrt()
    }

    /// Height of the upper surface of the whole diaphragm.
    pub(crate) fn diaphragm_height(&self, p: Vec3) -> f32 {
        smooth_max(self.dome_height(Side::Right, p), self.dome_height(Side::Left, p), 14.0)
    }

    /// Distance above the diaphragm, negative below, to first order.
    pub(crate) fn above_diaphragm(&self, p: Vec3) -> f32 {
        let h = 1.5;
        let height = self.diaphragm_height(p);
        let dx = (self.diaphragm_height(p + Vec3::X * h) - height) / h;
        let dy = (self.diaphragm_height(p + Vec3::Y * h) - height) / h;
        (p.z - height) / (1.0 + dx * dx + dy * dy).sqrt()
    }

    /// Distance outside the dome that closes one pleural cavity above.
    pub(crate) fn apex_distance(side: Side, p: Vec3) -> f32 {
        let over = (p.z - 40.0).max(0.0) / 93.0;
        let below = (40.0 - p.z).max(0.0);
        let wide = 1.0 + below / 60.0;
        let q = Vec3::new(
            (p.x - side.sign() * mix(48.0, 44.0, over.min(1.0))) / (67.0 * wide),
            (p.y - 16.0) / (75.0 * wide),
            over,
        );
        (q.length() - 1.0) * 68.0
    }
}
