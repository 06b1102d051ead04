//! Heart, great vessels, oesophagus and the fat around them; the large airways outside the lungs.

use crate::cells::Cells;
use crate::shape::{Tube, ellipsoid, ramp, smooth_min};
use crate::thorax::{Side, spine_y};
use glam::Vec3;

/// What a part of the mediastinum is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Organ {
    /// Blood in a great vessel, with its wall.
    Vessel,
    /// The oesophagus, collapsed.
    Oesophagus,
}

/// A tube of the mediastinum.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) tube: Tube,
    pub(crate) organ: Organ,
}

impl crate::cells::Extent for Part {
    fn bounds(&self) -> (Vec3, Vec3) {
        self.tube.bounds()
    }

    fn distance_at_least(&self, at: Vec3) -> f32 {
        self.tube.distance_at_least(at)
    }
}

/// Where the trachea divides.
pub(crate) const CARINA: Vec3 = Vec3::new(0.0, 16.0, 50.0);
/// Where the right main bronchus gives off the upper lobe bronchus.
pub(crate) const RIGHT_DIVISION: Vec3 = Vec3::new(-25.0, 19.0, 34.0);
/// End of the bronchus intermedius.
pub(crate) const RIGHT_LOWER_DIVISION: Vec3 = Vec3::new(-35.0, 20.0, 8.0);
/// Where the left main bronchus divides.
pub(crate) const LEFT_DIVISION: Vec3 = Vec3::new(41.0, 22.0, 20.0);

/// Trachea, main bronchi and bronchus intermedius, radius of the lumen: the airways that are not counted as lung.
pub(crate) fn central_airways() -> Vec<Tube> {
    let end = |p: Vec3, r: f32| [p.x, p.y, p.z, r];
    let mut tubes = Tube::smooth_chain(
        &[[0.0, -6.0, 190.0, 8.6], [-1.0, 4.0, 120.0, 8.6], [-1.5, 11.0, 85.0, 8.8], end(CARINA, 8.6)],
        12.0,
    );
    tubes
        .extend(Tube::smooth_chain(&[end(CARINA, 7.4), end(RIGHT_DIVISION, 6.6), end(RIGHT_LOWER_DIVISION, 5.4)], 8.0));
    tubes.extend(Tube::smooth_chain(&[end(CARINA, 7.0), [20.0, 19.5, 34.0, 6.3], end(LEFT_DIVISION, 5.7)], 8.0));
    tubes
}

/// Great vessels and oesophagus.
pub(crate) fn parts() -> Vec<Part> {
    let vessels: [&[[f32; 4]]; 17] = [
        // Aorta.
        &[
            [2.0, -16.0, -12.0, 15.0],
            [-10.0, -28.0, 14.0, 16.0],
            [-12.0, -28.0, 40.0, 15.5],
            [-2.0, -15.0, 63.0, 14.5],
            [12.0, 6.0, 70.0, 13.5],
            [23.0, 28.0, 60.0, 13.0],
            [26.0, 43.0, 36.0, 12.5],
            [26.0, 46.0, -10.0, 12.0],
            [21.0, 43.0, -60.0, 11.8],
            [9.0, 36.0, -120.0, 11.2],
            [4.0, 30.0, -195.0, 10.5],
        ],
        // Brachiocephalic trunk and right carotid, left carotid, left subclavian.
        &[[-6.0, -20.0, 72.0, 6.5], [-15.0, -12.0, 105.0, 6.0], [-24.0, -8.0, 140.0, 4.5], [-26.0, -8.0, 190.0, 3.8]],
        &[[4.0, -6.0, 78.0, 4.5], [12.0, -2.0, 115.0, 4.0], [21.0, -4.0, 190.0, 3.8]],
        &[
            [15.0, 12.0, 78.0, 5.0],
            [23.0, 15.0, 112.0, 4.6],
            [42.0, 8.0, 136.0, 4.4],
            [80.0, -10.0, 136.0, 4.2],
            [125.0, -2.0, 122.0, 4.0],
        ],
        &[[-18.0, -11.0, 118.0, 5.0], [-42.0, 6.0, 138.0, 4.5], [-80.0, -10.0, 137.0, 4.2], [-125.0, -2.0, 122.0, 4.0]],
        // Pulmonary trunk into the left artery, right artery.
        &[
            [16.0, -46.0, -6.0, 13.5],
            [21.0, -34.0, 20.0, 14.0],
            [25.0, -12.0, 36.0, 12.5],
            [34.0, 8.0, 41.0, 11.0],
            [46.0, 22.0, 32.0, 8.5],
        ],
        &[[19.0, -18.0, 33.0, 11.0], [-8.0, -3.0, 27.0, 10.5], [-36.0, 3.0, 24.0, 9.0], [-43.0, 7.0, 14.0, 7.5]],
        // Superior vena cava with the two brachiocephalic veins, inferior vena cava.
        &[
            [-27.0, -14.0, -20.0, 10.0],
            [-29.0, -15.0, 20.0, 9.5],
            [-27.0, -19.0, 72.0, 8.5],
            [-34.0, -20.0, 110.0, 7.5],
            [-46.0, -16.0, 134.0, 6.5],
            [-85.0, -26.0, 130.0, 5.5],
            [-125.0, -10.0, 116.0, 5.0],
        ],
        &[
            [-25.0, -20.0, 74.0, 7.5],
            [0.0, -33.0, 86.0, 7.0],
            [26.0, -27.0, 108.0, 6.8],
            [46.0, -18.0, 130.0, 6.2],
            [85.0, -26.0, 130.0, 5.5],
            [125.0, -10.0, 116.0, 5.0],
        ],
        &[[-22.0, 4.0, -55.0, 11.5], [-24.0, 12.0, -90.0, 12.0], [-20.0, 20.0, -195.0, 11.5]],
        // Azygos vein with its arch, hemiazygos.
        &[
            [-4.0, 38.0, -195.0, 3.0],
            [-6.0, 43.0, -60.0, 3.5],
            [-8.0, 43.0, 20.0, 4.0],
            [-9.0, 41.0, 48.0, 4.2],
            [-20.0, 32.0, 60.0, 4.4],
            [-28.0, 8.0, 60.0, 4.4],
            [-28.0, -10.0, 54.0, 4.4],
        ],
        &[[15.0, 62.0, -195.0, 2.4], [18.0, 64.0, -20.0, 2.4]],
        // Pulmonary veins: right upper, right lower, left upper, left lower.
        &[[-8.0, 10.0, -8.0, 9.0], [-26.0, 2.0, 2.0, 7.5], [-40.0, -4.0, 8.0, 6.5]],
        &[[-8.0, 16.0, -16.0, 9.0], [-28.0, 21.0, -20.0, 7.5], [-40.0, 27.0, -26.0, 6.5]],
        &[[22.0, 8.0, -6.0, 9.0], [36.0, 0.0, 4.0, 7.5], [48.0, -4.0, 12.0, 6.5]],
        &[[20.0, 15.0, -14.0, 9.0], [34.0, 21.0, -17.0, 7.5], [46.0, 28.0, -24.0, 6.5]],
        // Left internal jugular vein.
        &[[42.0, -14.0, 134.0, 6.0], [34.0, -8.0, 190.0, 6.0]],
    ];
    let oesophagus: [[f32; 4]; 6] = [
        [4.0, 18.0, 190.0, 6.0],
        [5.0, 31.0, 100.0, 6.0],
        [7.0, 33.0, 50.0, 6.2],
        [11.0, 36.0, 0.0, 6.5],
        [14.0, 28.0, -70.0, 7.0],
        [26.0, 14.0, -108.0, 7.5],
    ];
    let part = |organ| move |tube| Part { tube, organ };
    vessels
        .iter()
        .flat_map(|points| Tube::smooth_chain(points, 10.0))
        .map(part(Organ::Vessel))
        .chain(Tube::smooth_chain(&oesophagus, 12.0).into_iter().map(part(Organ::Oesophagus)))
        .collect()
}

const APEX_AXIS: Vec3 = Vec3::new(0.64, -0.46, -0.615);

/// A point in the frame of the left ventricle: along the long axis, then the two across.
fn in_ventricle_frame(p: Vec3, centre: Vec3) -> Vec3 {
    let side = APEX_AXIS.cross(Vec3::Z).normalize();
    let up = side.cross(APEX_AXIS);
    let d = p - centre;
    Vec3::new(d.dot(APEX_AXIS.normalize()), d.dot(side), d.dot(up))
}

/// Distance outside the muscle of the heart.
pub(crate) fn heart_distance(p: Vec3) -> f32 {
    let ventricles = ellipsoid(in_ventricle_frame(p, Vec3::new(20.0, -26.0, -46.0)), Vec3::new(60.0, 43.0, 43.0));
    let right_atrium = ellipsoid(p - Vec3::new(-25.0, -16.0, -34.0), Vec3::new(23.0, 30.0, 36.0));
    let left_atrium = ellipsoid(p - Vec3::new(7.0, 13.0, -13.0), Vec3::new(34.0, 20.0, 23.0));
    let outflow = ellipsoid(p - Vec3::new(16.0, -44.0, -14.0), Vec3::new(20.0, 18.0, 24.0));
    let atria = smooth_min(right_atrium, left_atrium, 10.0);
    smooth_min(smooth_min(ventricles, atria, 9.0), outflow, 8.0)
}

/// Distance outside the blood of the left ventricle.
pub(crate) fn ventricle_distance(p: Vec3) -> f32 {
    ellipsoid(in_ventricle_frame(p, Vec3::new(29.0, -22.0, -52.0)), Vec3::new(38.0, 19.0, 20.0))
}

/// Distance outside the pericardium: the heart and the fat in its grooves.
pub(crate) fn pericardium_distance(p: Vec3) -> f32 {
    let pads = [
        (Vec3::new(-40.0, -56.0, -88.0), Vec3::new(20.0, 18.0, 22.0)),
        (Vec3::new(64.0, -58.0, -90.0), Vec3::new(20.0, 16.0, 20.0)),
    ];
    let fat = pads.iter().map(|(centre, radii)| ellipsoid(p - *centre, *radii)).fold(f32::MAX, f32::min);
    smooth_min(heart_distance(p) - 4.5, fat, 12.0)
}

/// The x of the sheet at which the two pleural cavities meet before and behind the heart, and half its thickness.
fn septum(p: Vec3) -> (f32, f32) {
    let behind = ramp(p.y, 0.0, 30.0);
    let x = 2.0 + 7.0 * behind + 2.5 * (p.z / 24.0).sin() * (1.0 - behind);
    let thymic = 12.0 * ramp(p.z, 45.0, 95.0);
    // Behind the sternum the sheet spreads to a wedge of fat, wider where the pericardium lies against it.
    let wedge = ramp(crate::thorax::cage_distance(Vec3::new(0.0, p.y, p.z)), -26.0, 2.0);
    let retrosternal = (8.0 + 14.0 * ramp(-p.z, 5.0, 70.0)) * wedge;
    (x, 1.6 + thymic.max(retrosternal) * (1.0 - behind))
}

/// Everything between the lungs.
pub(crate) struct Mediastinum {
    tubes: Cells<Tube>,
}

/// Tubes farther off than this do not shape the surface.
const REACH_MM: f32 = 16.0;

impl Mediastinum {
    pub(crate) fn new() -> Self {
        let widened = |tube: Tube, by: f32| Tube::new(tube.from, tube.to, tube.radius_from + by, tube.radius_to + by);
        let parts = parts().into_iter().map(|part| widened(part.tube, 2.0));
        let airways = central_airways().into_iter().map(|tube| widened(tube, 3.5));
        Self { tubes: Cells::new(parts.chain(airways).collect(), 12.0, REACH_MM) }
    }

    /// Distance outside the mediastinum (spine and paraspinal tissue included) as the lung on `side` meets it.
    pub(crate) fn distance(&self, side: Side, p: Vec3) -> f32 {
        let tubes = self.tubes.near(p).map(|tube| tube.distance(p));
        let nearest = tubes.fold(REACH_MM, |a, b| smooth_min(a, b, 7.0));
        let d = smooth_min(nearest, pericardium_distance(p), 12.0);
        let d = smooth_min(d, spine_distance(p), 8.0);
        let (x, half) = septum(p);
        smooth_min(d, (p.x - x) * side.sign() - half, 4.0)
    }
}

/// Distance outside the vertebral bodies with the tissue around them and the muscles behind.
fn spine_distance(p: Vec3) -> f32 {
    let y = p.y - spine_y(p.z);
    let body = glam::Vec2::new(p.x, y).length() - 20.5;
    let behind = ellipsoid(Vec3::new(p.x, y - 42.0, 0.0), Vec3::new(43.0, 30.0, 1e4));
    smooth_min(body, behind, 10.0)
}
