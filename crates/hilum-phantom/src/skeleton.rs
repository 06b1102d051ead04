//! Ribs with their cartilage, spine, sternum, clavicles and shoulder blades.

use crate::cells::{Cells, Extent};
use crate::shape::{Tube, ellipsoid, mix, ramp, rounded_box, superellipse};
use crate::thorax::{Side, cage_section, spine_y};
use glam::{Vec2, Vec3};

/// What a bone is made of at a point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bone {
    /// Distance outside the surface.
    pub(crate) distance: f32,
    /// Thickness of the cortex.
    pub(crate) cortex_mm: f32,
    /// HU of the inside.
    pub(crate) marrow_hu: f32,
    /// HU of the cortex.
    pub(crate) cortex_hu: f32,
}

/// A flat rod of bone or cartilage between two points.
struct Rod {
    axis: Tube,
    /// Across the flat side.
    across: Vec3,
    /// Half the thickness across the flat side, as a part of half the height.
    flatness: f32,
    cartilage: bool,
}

impl Rod {
    fn distance(&self, p: Vec3) -> f32 {
        let along = self.axis.to - self.axis.from;
        let offset = p - self.axis.from;
        let t = (offset.dot(along) / along.length_squared()).clamp(0.0, 1.0);
        let rest = offset - along * t;
        let half_height = mix(self.axis.radius_from, self.axis.radius_to, t);
        let thin = rest.dot(self.across);
        let tall = (rest.length_squared() - thin * thin).max(0.0).sqrt();
        let half = Vec2::new(half_height * self.flatness, half_height);
        let q = Vec2::new(thin, tall) / half;
        let k0 = q.length();
        let k1 = (q / half).length();
        if k1 < 1e-6 { -half.x } else { k0 * (k0 - 1.0) / k1 }
    }
}

impl Extent for Rod {
    fn bounds(&self) -> (Vec3, Vec3) {
        self.axis.bounds()
    }

    fn distance_at_least(&self, at: Vec3) -> f32 {
        self.axis.distance_at_least(at)
    }
}

/// Heights of the upper plates of the vertebral bodies, from the sixth cervical downwards.
const TOPS: [f32; 18] = [
    190.0, 173.0, 156.0, 138.0, 120.0, 101.0, 81.0, 61.0, 40.0, 19.0, -3.0, -25.0, -48.0, -72.0, -97.0, -123.0, -151.0,
    -181.0,
];
/// Index in [`TOPS`] of the first thoracic vertebra.
const FIRST_THORACIC: usize = 2;

/// Per rib: how far its front end lies below its back end, and the angle from the spine (degrees round the chest) at which
/// bone gives way to cartilage.
const RIBS: [(f32, f32); 12] = [
    (30.0, 128.0),
    (48.0, 132.0),
    (62.0, 136.0),
    (72.0, 138.0),
    (80.0, 138.0),
    (86.0, 136.0),
    (90.0, 132.0),
    (90.0, 124.0),
    (86.0, 114.0),
    (78.0, 104.0),
    (56.0, 82.0),
    (34.0, 56.0),
];

/// The bones of the thorax.
pub(crate) struct Skeleton {
    rods: Cells<Rod>,
}

impl Skeleton {
    pub(crate) fn new() -> Self {
        let mut rods = Vec::new();
        for side in Side::BOTH {
            for number in 0..12 {
                add_rib(&mut rods, side, number);
            }
            add_shoulder(&mut rods, side);
        }
        for i in 0..TOPS.len() {
            add_processes(&mut rods, i);
        }
        Self { rods: Cells::new(rods, 10.0, 3.0) }
    }

    /// The bone at or nearest to a point within 2 mm; `None` where there is none.
    pub(crate) fn at(&self, p: Vec3) -> Option<Bone> {
        let mut nearest: Option<Bone> = None;
        let mut offer = |bone: Bone| {
            if bone.distance < 2.0 && nearest.is_none_or(|n| bone.distance < n.distance) {
                nearest = Some(bone);
            }
        };
        for rod in self.rods.near(p) {
            let distance = rod.distance(p);
            offer(if rod.cartilage {
                Bone { distance, cortex_mm: 0.8, marrow_hu: 95.0, cortex_hu: 130.0 }
            } else {
                Bone { distance, cortex_mm: 1.1, marrow_hu: 190.0, cortex_hu: 900.0 }
            });
        }
        if p.x.abs() < 26.0 {
            offer(vertebra(p));
            offer(sternum(p));
        }
        if p.x.abs() > 60.0 && p.z > 20.0 {
            offer(shoulder_blade(p));
        }
        nearest
    }
}

/// Distance outside the spinal canal.
pub(crate) fn canal_distance(p: Vec3) -> f32 {
    let y = p.y - spine_y(p.z);
    superellipse(Vec2::new(p.x, y - 24.5), Vec2::new(10.5, 8.0), 2.2)
}

/// Distance outside the spinal cord within the canal.
pub(crate) fn cord_distance(p: Vec3) -> f32 {
    let y = p.y - spine_y(p.z);
    superellipse(Vec2::new(p.x, y - 24.0), Vec2::new(4.6, 3.6), 2.0)
}

/// The vertebral body around `z`: its place among its discs, −1 at the lower plate, +1 at the upper; and the half height.
fn level(z: f32) -> (f32, f32) {
    let i = TOPS.iter().position(|top| z > *top).unwrap_or(TOPS.len()).clamp(1, TOPS.len() - 1);
    let (top, bottom) = (TOPS[i - 1], TOPS[i]);
    let half = 0.5 * (top - bottom);
    ((z - bottom - half) / half, half)
}

fn vertebra(p: Vec3) -> Bone {
    let y = p.y - spine_y(p.z);
    let (place, half) = level(p.z);
    let size = mix(1.0, 0.82, ramp(p.z, -60.0, 160.0));
    let waist = 1.0 - 0.09 * (1.0 - place * place);
    // The back of the body is hollowed where it borders the canal.
    let body =
        superellipse(Vec2::new(p.x, y), Vec2::new(18.5, 15.5) * size * waist, 2.3).max(-(canal_distance(p) - 1.0));
    let to_disc = (place.abs() * half + 2.6) - half;
    let bone = body.max(to_disc);
    // Pedicles and laminae: a ring round the canal over the upper half of each level.
    let ring = superellipse(Vec2::new(p.x, y - 25.0), Vec2::new(15.5, 12.5), 2.2)
        .max(-canal_distance(p))
        .max((-place - 0.25) * half)
        .max((place - 0.95) * half);
    let disc = (body + 0.8).max(-to_disc - 0.4);
    if disc < bone.min(ring) {
        Bone { distance: disc, cortex_mm: 0.3, marrow_hu: 85.0, cortex_hu: 95.0 }
    } else {
        Bone { distance: bone.min(ring), cortex_mm: 0.7, marrow_hu: 175.0, cortex_hu: 520.0 }
    }
}

/// Transverse and spinous processes of one vertebra.
fn add_processes(rods: &mut Vec<Rod>, i: usize) {
    let z = TOPS[i] - 9.0;
    let y = spine_y(z);
    let thoracic = (FIRST_THORACIC..FIRST_THORACIC + 12).contains(&i);
    let droop = if thoracic { 20.0 } else { 8.0 };
    rods.push(Rod {
        axis: Tube::new(Vec3::new(0.0, y + 36.0, z), Vec3::new(0.0, y + 50.0, z - droop), 5.5, 5.0),
        across: Vec3::X,
        flatness: 0.55,
        cartilage: false,
    });
    for side in Side::BOTH {
        let s = side.sign();
        rods.push(Rod {
            axis: Tube::new(Vec3::new(11.0 * s, y + 24.0, z + 2.0), Vec3::new(31.0 * s, y + 36.0, z + 4.0), 5.5, 5.5),
            across: Vec3::new(-0.5 * s, 0.86, 0.0),
            flatness: 0.75,
            cartilage: false,
        });
    }
}

/// A point on the course of a rib: `angle` in degrees round the chest from the back (0) to the front (180).
fn rib_point(side: Side, number: usize, angle: f32) -> (Vec3, Vec3) {
    let (drop, bone_end) = RIBS[number];
    let back = TOPS[FIRST_THORACIC + number] + 1.0;
    // Ribs slope down all the way; cartilages of the true ribs climb again towards the sternum.
    let t = angle / 135.0;
    let climb = (angle - bone_end).max(0.0) / 50.0;
    let climb = climb * climb * 10.0 * number.min(6) as f32;
    let z = back - drop * (0.25 * t + 0.75 * t * t * (3.0 - 2.0 * t.min(1.0))) + climb;
    let (centre, radii) = cage_section(z);
    let theta = angle.to_radians();
    let (sin, cos) = theta.sin_cos();
    let power = |v: f32| v.signum() * v.abs().powf(2.0 / 2.3);
    let out = Vec2::new(side.sign() * power(sin) * (radii.x + 5.2), power(cos) * (radii.y + 5.2));
    let normal =
        Vec3::new(side.sign() * sin / radii.x, cos / radii.y, 0.35 / radii.max_element() * ramp(z, 0.0, 130.0));
    (Vec3::new(out.x, centre + out.y, z), normal.normalize())
}

fn add_rib(rods: &mut Vec<Rod>, side: Side, number: usize) {
    let (_, bone_end) = RIBS[number];
    let true_rib = number < 7;
    let end = if true_rib { 170.0 } else { bone_end + if number < 10 { 24.0 } else { 2.0 } };
    let head_z = TOPS[FIRST_THORACIC + number] + 2.0;
    let neck = Vec3::new(19.0 * side.sign(), spine_y(head_z) + 12.0, head_z);
    let half_height = if number == 0 || number > 9 { 5.2 } else { 6.4 };
    let mut from = neck;
    let mut angle: f32 = 24.0;
    let step = 5.0;
    loop {
        let (to, across) = rib_point(side, number, angle);
        let cartilage = angle > bone_end;
        rods.push(Rod {
            axis: Tube::new(from, to, half_height, half_height),
            across,
            flatness: if cartilage { 0.75 } else { 0.55 },
            cartilage,
        });
        if angle >= end {
            break;
        }
        from = to;
        angle = (angle + step).min(end);
    }
}

fn sternum(p: Vec3) -> Bone {
    let (centre, radii) = cage_section(p.z);
    let depth = p.y - (centre - radii.y - 8.0);
    let manubrium = rounded_box(
        Vec3::new(p.x, depth, p.z - 72.0),
        Vec3::new(mix(19.0, 27.0, ramp(p.z, 50.0, 90.0)), 6.0, 22.0),
        5.0,
    );
    let body = rounded_box(
        Vec3::new(p.x, depth, p.z + 2.0),
        Vec3::new(mix(19.0, 14.0, ramp(p.z, -40.0, 40.0)), 5.2, 50.0),
        4.5,
    );
    let xiphoid = rounded_box(Vec3::new(p.x, depth, p.z + 66.0), Vec3::new(6.5, 3.2, 14.0), 3.0);
    Bone { distance: manubrium.min(body).min(xiphoid), cortex_mm: 0.9, marrow_hu: 120.0, cortex_hu: 520.0 }
}

/// Clavicle, spine of the shoulder blade, coracoid and head of the humerus, arms raised.
fn add_shoulder(rods: &mut Vec<Rod>, side: Side) {
    let mirrored = |points: &[[f32; 4]]| -> Vec<[f32; 4]> {
        points.iter().map(|p| [p[0] * side.sign(), p[1], p[2], p[3]]).collect()
    };
    let clavicle = mirrored(&[
        [20.0, -46.0, 94.0, 9.0],
        [36.0, -46.0, 104.0, 6.5],
        [66.0, -38.0, 122.0, 6.0],
        [100.0, -16.0, 140.0, 6.0],
        [124.0, 8.0, 152.0, 7.0],
    ]);
    let blade_spine = mirrored(&[
        [76.0, 92.0, 88.0, 4.0],
        [104.0, 88.0, 112.0, 6.0],
        [130.0, 58.0, 140.0, 8.0],
        [134.0, 28.0, 156.0, 8.0],
    ]);
    let border = mirrored(&[
        [138.0, 40.0, 128.0, 10.0],
        [137.0, 56.0, 104.0, 6.5],
        [128.0, 66.0, 62.0, 5.0],
        [116.0, 70.0, 30.0, 5.0],
    ]);
    let humerus = mirrored(&[[156.0, 28.0, 146.0, 24.0], [168.0, 20.0, 200.0, 14.0]]);
    for (points, flatness) in [(clavicle, 0.85), (blade_spine, 0.6), (border, 0.75), (humerus, 1.0)] {
        let tubes = Tube::smooth_chain(&points, 8.0);
        rods.extend(tubes.into_iter().map(|axis| Rod {
            axis,
            across: Vec3::new(0.6 * side.sign(), 0.8, 0.0),
            flatness,
            cartilage: false,
        }));
    }
}

/// The plate of the shoulder blade, bent round the chest.
fn shoulder_blade(p: Vec3) -> Bone {
    let x = p.x.abs();
    let q = Vec3::new(x - 108.0, p.y - 76.0, p.z - 82.0);
    // Rotated so that the plate faces the ribs; bowed with the chest wall.
    let (sin, cos) = 0.62_f32.sin_cos();
    let along = q.x * cos - q.y * sin;
    let across = q.x * sin + q.y * cos + 0.006 * along * along - 0.10 * q.z;
    let plate = ellipsoid(Vec3::new(along, across, q.z), Vec3::new(36.0, 2.6, 56.0));
    Bone { distance: plate, cortex_mm: 0.9, marrow_hu: 250.0, cortex_hu: 700.0 }
}
