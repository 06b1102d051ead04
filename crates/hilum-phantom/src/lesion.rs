//! Lesions: where they are, what they are made of, how far they reach.

use crate::lungs::{Lobe, Lungs};
use crate::random::{Random, Texture};
use crate::shape::{coverage, ellipsoid, mix};
use glam::Vec3;
use serde::{Deserialize, Serialize};

/// What kind of opacity a lesion is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LesionKind {
    /// Hazy, vessels still seen through it; about −600 HU, soft edge.
    GroundGlass,
    /// Ground-glass crossed by thickened septa; labelled as ground-glass.
    CrazyPaving,
    /// Airless lung, vessels hidden, bronchi seen as air bronchograms; about 25 HU.
    Consolidation,
}

impl LesionKind {
    /// The value in a label map: 11 ground-glass, 12 consolidation.
    #[must_use]
    pub fn label(self) -> u8 {
        match self {
            Self::GroundGlass | Self::CrazyPaving => 11,
            Self::Consolidation => 12,
        }
    }
}

/// Which disease a phantom shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Disease {
    /// No lesion at all.
    Healthy,
    /// Both lungs, peripheral, more below and behind: ground-glass, some crazy paving, two cores of consolidation.
    Covid,
    /// Dense consolidation of much of the right lower lobe with air bronchograms and a rim of ground-glass.
    LobarPneumonia,
}

/// A lesion as planned: an ellipsoid on or near the pleura of one lobe.
struct Plan {
    kind: LesionKind,
    lobe: Lobe,
    /// A point near which the lesion lies.
    near: [f32; 3],
    /// How deep its middle lies below the pleura.
    depth: f32,
    /// Half its extent inwards, around the chest and up.
    radii: [f32; 3],
}

/// A lesion in place.
pub(crate) struct Lesion {
    pub(crate) kind: LesionKind,
    pub(crate) lobe: Lobe,
    centre: Vec3,
    frame: [Vec3; 3],
    radii: Vec3,
    /// Beyond this distance from the centre there is nothing of it.
    reach: f32,
    shift: Vec3,
}

fn plans(disease: Disease) -> Vec<Plan> {
    use LesionKind::{Consolidation, CrazyPaving, GroundGlass};
    use Lobe::{LeftLower, LeftUpper, RightLower, RightMiddle, RightUpper};
    let plan = |kind, lobe, near, depth, radii| Plan { kind, lobe, near, depth, radii };
    match disease {
        Disease::Healthy => Vec::new(),
        Disease::Covid => vec![
            plan(GroundGlass, RightLower, [-80.0, 84.0, -70.0], 9.0, [19.0, 42.0, 34.0]),
            plan(Consolidation, RightLower, [-62.0, 88.0, -78.0], 6.0, [9.0, 22.0, 15.0]),
            plan(CrazyPaving, RightLower, [-118.0, 34.0, -42.0], 8.0, [16.0, 24.0, 22.0]),
            plan(GroundGlass, RightUpper, [-92.0, 62.0, 72.0], 7.0, [15.0, 24.0, 17.0]),
            plan(GroundGlass, RightMiddle, [-78.0, -64.0, -24.0], 7.0, [12.0, 17.0, 11.0]),
            plan(GroundGlass, LeftLower, [84.0, 82.0, -62.0], 9.0, [18.0, 36.0, 38.0]),
            plan(Consolidation, LeftLower, [100.0, 70.0, -86.0], 5.0, [8.0, 17.0, 12.0]),
            plan(CrazyPaving, LeftUpper, [112.0, 6.0, 22.0], 7.0, [14.0, 25.0, 20.0]),
            plan(GroundGlass, LeftUpper, [52.0, -52.0, 54.0], 9.0, [9.0, 10.0, 9.0]),
        ],
        Disease::LobarPneumonia => vec![
            plan(GroundGlass, RightLower, [-76.0, 60.0, -40.0], 34.0, [50.0, 58.0, 62.0]),
            plan(Consolidation, RightLower, [-76.0, 66.0, -52.0], 30.0, [40.0, 46.0, 46.0]),
            plan(Consolidation, LeftLower, [60.0, 86.0, -70.0], 6.0, [9.0, 15.0, 12.0]),
        ],
    }
}

/// How far the uneven outline strays from the ellipsoid, mm, and the size of its lumps.
const UNEVEN_MM: f32 = 2.6;
const LUMP_MM: f32 = 7.5;

impl Lesion {
    /// How far the pure outline lies from `p`, negative inside; lobe and lung borders not yet regarded.
    fn outline(&self, p: Vec3, texture: &Texture) -> f32 {
        let d = p - self.centre;
        let local = Vec3::from_array(self.frame.map(|axis| axis.dot(d)));
        let lumps = texture.at(p / LUMP_MM + self.shift) * UNEVEN_MM;
        let fine = texture.at(p / 3.0 - self.shift) * 0.8;
        ellipsoid(local, self.radii) + lumps + fine
    }

    /// Half the width over which the lesion fades out.
    fn edge_mm(&self) -> f32 {
        match self.kind {
            LesionKind::Consolidation => 1.6,
            _ => 4.0,
        }
    }

    pub(crate) fn may_reach(&self, p: Vec3) -> bool {
        self.centre.distance_squared(p) < self.reach * self.reach
    }

    /// Whether `p`, a point of the lesion's lobe, belongs to it: where it is at least half there.
    pub(crate) fn contains(&self, p: Vec3, texture: &Texture) -> bool {
        self.may_reach(p) && self.outline(p, texture) < 0.0
    }

    /// The HU of lung that had `hu`, with the lesion in it.
    pub(crate) fn over(&self, hu: f32, p: Vec3, texture: &Texture, blur: f32) -> f32 {
        let edge = self.edge_mm().max(blur);
        let part = coverage(self.outline(p, texture), edge);
        if part <= 0.0 {
            return hu;
        }
        let own = match self.kind {
            LesionKind::GroundGlass => -575.0 + 42.0 * texture.at(p / 4.0 + self.shift),
            LesionKind::CrazyPaving => {
                let septum = texture.at(p / 3.4 + self.shift).abs();
                -600.0 + 230.0 * coverage(septum - 0.22, 0.25)
            }
            LesionKind::Consolidation => 24.0 + 12.0 * texture.at(p / 5.0 + self.shift),
        };
        mix(hu, own.max(hu), part)
    }
}

/// The lesions of a disease, placed in these lungs; consolidations last, since they lie over ground-glass.
pub(crate) fn place(disease: Disease, lungs: &Lungs, seed: u64, growth: f32) -> Vec<Lesion> {
    let mut lesions: Vec<Lesion> = plans(disease)
        .into_iter()
        .enumerate()
        .map(|(i, plan)| {
            let mut random = Random::new(seed, 40 + i as u64);
            let side = plan.lobe.side();
            let mut centre = Vec3::from_array(plan.near);
            for _ in 0..12 {
                let distance = lungs.distance(side, centre);
                centre -= lungs.outward(side, centre) * (distance + plan.depth) * 0.7;
            }
            let out = lungs.outward(side, centre);
            let around = Vec3::Z.cross(out).normalize_or(Vec3::X);
            let grow = random.between(1.06, 1.18);
            let radii = Vec3::from_array(plan.radii) * grow * growth;
            Lesion {
                kind: plan.kind,
                lobe: plan.lobe,
                centre,
                frame: [out, around, out.cross(around)],
                radii,
                reach: radii.max_element() + 4.0 * UNEVEN_MM + 6.0,
                shift: random.direction() * 20.0,
            }
        })
        .collect();
    lesions.sort_by_key(|lesion| lesion.kind.label());
    lesions
}
