//! A head with a face, sampled on any grid in any pose.
//!
//! Ellipsoids in proportions of an adult: a vault with a brain, its floor lower from front to back, and before and below it a face
//! with eyes, nose, lips and chin. In the head's own coordinates x is left, y back, z up, the origin is the middle of the brain.

use hilum_dicom::CtSeriesDescription;
use hilum_volume::{Geometry, PatientPoint, PatientVector, Volume};

/// What a point of the head is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Air,
    Brain,
    /// Bone above the middle of the brain.
    Vault,
    /// Other bone.
    Bone,
    Eye,
    Nose,
    Mouth,
    Chin,
    Soft,
}

impl Part {
    pub(crate) fn is_face(self) -> bool {
        matches!(self, Self::Eye | Self::Nose | Self::Mouth | Self::Chin)
    }

    fn hu(self) -> i16 {
        match self {
            Self::Air => -1000,
            Self::Brain => 35,
            Self::Vault | Self::Bone => 900,
            Self::Eye => 10,
            _ => 50,
        }
    }

    /// Bright fat and eyes, dark bone, as in MR.
    fn signal(self) -> i16 {
        match self {
            Self::Air => 12,
            Self::Brain => 350,
            Self::Vault | Self::Bone => 25,
            Self::Eye => 500,
            _ => 600,
        }
    }
}

/// How the head is held: degrees by which it is bent forwards, turned to the left, leant to the left; and where its middle is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pose {
    pub(crate) bent: f64,
    pub(crate) turned: f64,
    pub(crate) leant: f64,
    pub(crate) middle: [f64; 3],
}

impl Pose {
    /// The part at a patient point.
    pub(crate) fn part(&self, point: PatientPoint) -> Part {
        let [x, y, z] = [0, 1, 2].map(|n| point.0[n] - self.middle[n]);
        // The neck stays upright.
        let is_neck = z < -60.0 && (x / 55.0).powi(2) + ((y - 15.0) / 58.0).powi(2) < 1.0;
        let turn = |degrees: f64, a: f64, b: f64| {
            let (sin, cos) = degrees.to_radians().sin_cos();
            (cos * a - sin * b, sin * a + cos * b)
        };
        // Undone in the order in which they were done.
        let (x, z) = turn(self.leant, x, z);
        let (x, y) = turn(-self.turned, x, y);
        let (y, z) = turn(-self.bent, y, z);
        match part(x, y, z) {
            Part::Air if is_neck => Part::Soft,
            part => part,
        }
    }
}

fn part(x: f64, y: f64, z: f64) -> Part {
    let within = |[cx, cy, cz]: [f64; 3], [a, b, c]: [f64; 3]| {
        ((x - cx) / a).powi(2) + ((y - cy) / b).powi(2) + ((z - cz) / c).powi(2) < 1.0
    };
    // The floors of the anterior, middle and posterior cranial fossa.
    let floor = if y < -45.0 {
        -5.0
    } else if y < -10.0 {
        -50.0
    } else {
        -75.0
    };
    let face = within([0.0, -45.0, -60.0], [62.0, 50.0, 78.0]) && z > -130.0;
    if within([0.0; 3], [65.0, 84.0, 77.0]) && z > floor {
        return Part::Brain;
    }
    if within([0.0; 3], [72.0, 91.0, 84.0]) && z > floor - 7.0 {
        return if z > 0.0 { Part::Vault } else { Part::Bone };
    }
    if within([x.signum() * 32.0, -80.0, -17.0], [12.0; 3]) {
        Part::Eye
    } else if within([0.0, -98.0, -52.0], [15.0, 22.0, 24.0]) {
        Part::Nose
    } else if within([0.0, -95.0, -85.0], [25.0, 6.0, 9.0]) {
        Part::Mouth
    } else if within([0.0, -82.0, -122.0], [16.0; 3]) {
        Part::Chin
    } else if within([0.0; 3], [78.0, 97.0, 90.0]) || face {
        Part::Soft
    } else {
        Part::Air
    }
}

/// What the images reach: the whole head of any pose, and its neck cut off.
const FIELD_MM: [[f64; 2]; 3] = [[-110.0, 110.0], [-150.0, 130.0], [-160.0, 118.0]];

/// A grid in the directions of `axes` (slices, rows, columns) around the whole head.
pub(crate) fn grid(axes: [[f64; 3]; 3], spacing_mm: [f64; 3]) -> Geometry {
    let axes = axes.map(|axis| PatientVector(axis).times(1.0 / PatientVector(axis).length_mm()));
    let corner = |n: usize| PatientPoint(std::array::from_fn(|a| FIELD_MM[a][n >> a & 1]));
    let unit = Geometry::new([1, 1, 1], PatientPoint([0.0; 3]), axes, spacing_mm).unwrap();
    let corners: Vec<[f64; 3]> = (0..8).map(|n| unit.voxel_from_patient(corner(n)).0).collect();
    let low: [f64; 3] = [0, 1, 2].map(|a| corners.iter().map(|c| c[a]).fold(f64::INFINITY, f64::min));
    let high: [f64; 3] = [0, 1, 2].map(|a| corners.iter().map(|c| c[a]).fold(f64::NEG_INFINITY, f64::max));
    let shape = [0, 1, 2].map(|a| (high[a] - low[a]).ceil() as usize + 1);
    Geometry::new(shape, unit.patient_from_voxel(hilum_volume::VoxelPoint(low)), axes, spacing_mm).unwrap()
}

/// The head on a grid: HU, or the signal of MR.
pub(crate) fn head(geometry: Geometry, pose: &Pose, modality: &str) -> Volume<i16> {
    let [slices, rows, columns] = geometry.shape();
    let mut data = Vec::with_capacity(geometry.len());
    for (n, index) in
        (0..slices).flat_map(|s| (0..rows).flat_map(move |r| (0..columns).map(move |c| [s, r, c]))).enumerate()
    {
        let part = pose.part(geometry.centre_of(index));
        let noise = (n as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
        let value = if modality == "MR" { part.signal() } else { part.hu() };
        data.push(value + (noise % 21) as i16 - 10);
    }
    Volume::new(geometry, data).unwrap()
}

/// What such a series says of itself.
pub(crate) fn description(modality: &str) -> CtSeriesDescription {
    CtSeriesDescription {
        seed: format!("head {modality}"),
        modality: modality.into(),
        patient_name: "PHANTOM^HEAD".into(),
        series_description: "Head phantom".into(),
        body_part_examined: "HEAD".into(),
        image_type: ["ORIGINAL", "PRIMARY", "AXIAL"].map(str::to_owned).to_vec(),
        rescale_intercept: if modality == "MR" { 0.0 } else { -1024.0 },
        ..CtSeriesDescription::default()
    }
}
