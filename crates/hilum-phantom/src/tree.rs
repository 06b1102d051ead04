//! Bronchi, pulmonary arteries and veins: trees grown from the hilum until every part of every lobe is reached.
//!
//! The lobe is strewn with points about 10 mm apart. A branch heads for the middle of its points, goes part of the way,
//! divides them in two and hands each half to a child, down to one point each: the area-filling growth of Tawhai et al.
//! (doi:10.1114/1.1289457). Calibres follow the number of points served, `r = r₁ nᵏ` with k near Murray's 1/3.

use crate::lungs::{Lobe, Lungs};
use crate::mediastinum::{LEFT_DIVISION, RIGHT_DIVISION, RIGHT_LOWER_DIVISION};
use crate::random::Random;
use crate::shape::Tube;
use glam::Vec3;

/// One piece of a branch and the number of end points it serves.
#[derive(Clone, Copy, Debug)]
struct Piece {
    from: Vec3,
    to: Vec3,
    served_from: f32,
    served_to: f32,
    /// Sideways direction kept along the tree, in which the artery lies beside its bronchus.
    beside: Vec3,
}

/// A bronchus: the lumen, and the thickness of its wall.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bronchus {
    pub(crate) lumen: Tube,
    pub(crate) wall_mm: f32,
}

impl Bronchus {
    pub(crate) fn new(lumen: Tube) -> Self {
        let radius = 0.5 * (lumen.radius_from + lumen.radius_to);
        Self { lumen, wall_mm: 0.38 + 0.12 * radius }
    }
}

impl crate::cells::Extent for Bronchus {
    fn bounds(&self) -> (Vec3, Vec3) {
        let (low, high) = self.lumen.bounds();
        (low - self.wall_mm, high + self.wall_mm)
    }

    fn distance_at_least(&self, at: Vec3) -> f32 {
        self.lumen.distance_at_least(at) - self.wall_mm
    }
}

/// The trees of both lungs.
pub(crate) struct Trees {
    pub(crate) bronchi: Vec<Bronchus>,
    pub(crate) vessels: Vec<Tube>,
}

/// Where the bronchus, the artery and the vein of a lobe enter it.
struct Roots {
    lobe: Lobe,
    bronchus: [Vec3; 2],
    artery: Vec3,
    vein: Vec3,
}

fn roots() -> [Roots; 5] {
    let v = Vec3::new;
    [
        Roots {
            lobe: Lobe::RightUpper,
            bronchus: [RIGHT_DIVISION, v(-42.0, 19.0, 40.0)],
            artery: v(-40.0, 8.0, 34.0),
            vein: v(-40.0, -4.0, 8.0),
        },
        Roots {
            lobe: Lobe::RightMiddle,
            bronchus: [RIGHT_LOWER_DIVISION, v(-47.0, 2.0, -6.0)],
            artery: v(-46.0, 6.0, 8.0),
            vein: v(-40.0, -4.0, 6.0),
        },
        Roots {
            lobe: Lobe::RightLower,
            bronchus: [RIGHT_LOWER_DIVISION, v(-43.0, 27.0, -14.0)],
            artery: v(-48.0, 18.0, 0.0),
            vein: v(-40.0, 27.0, -26.0),
        },
        Roots {
            lobe: Lobe::LeftUpper,
            bronchus: [LEFT_DIVISION, v(56.0, 10.0, 20.0)],
            artery: v(52.0, 20.0, 34.0),
            vein: v(48.0, -4.0, 12.0),
        },
        Roots {
            lobe: Lobe::LeftLower,
            bronchus: [LEFT_DIVISION, v(51.0, 30.0, -2.0)],
            artery: v(56.0, 26.0, 14.0),
            vein: v(46.0, 28.0, -24.0),
        },
    ]
}

/// Points about `step` mm apart throughout a lobe, away from its surface.
fn strew(lungs: &Lungs, lobe: Lobe, step: f32, random: &mut Random) -> Vec<Vec3> {
    let (low, high) = lungs.bounds(lobe.side());
    let count = ((high - low) / step).to_array().map(|n| n as usize + 1);
    let mut points = Vec::new();
    for z in 0..count[2] {
        for y in 0..count[1] {
            for x in 0..count[0] {
                let jitter = Vec3::new(random.unit(), random.unit(), random.unit());
                let p = low + (Vec3::new(x as f32, y as f32, z as f32) + jitter) * step;
                if lungs.distance(lobe.side(), p) < -2.5 && lungs.outside_fissures(lobe, p) < -2.0 {
                    points.push(p);
                }
            }
        }
    }
    points
}

struct Grower<'a> {
    random: &'a mut Random,
    pieces: Vec<Piece>,
}

impl Grower<'_> {
    /// A branch from `start`, leaving along `heading`, that serves `points`.
    fn grow(&mut self, start: Vec3, heading: Vec3, beside: Vec3, points: &mut [Vec3], above: f32) {
        let count = points.len() as f32;
        let middle = points.iter().copied().sum::<Vec3>() / count;
        let last = points.len() == 1;
        let part = if last { 1.0 } else { self.random.between(0.34, 0.46) };
        let end = start + (middle - start) * part;
        let length = start.distance(end);
        if length < 0.5 {
            if !last {
                self.divide(start, heading, beside, points);
            }
            return;
        }
        // A slight bow: the branch leaves along its parent and bends towards its own end, with a little wander.
        let wander = self.random.direction() * 0.06 * length;
        let bend = start + heading * (0.35 * length) + (end - start) * 0.15 + wander;
        let steps = (length / 5.0).ceil().clamp(1.0, 6.0) as usize;
        let curve = |t: f32| start * ((1.0 - t) * (1.0 - t)) + bend * (2.0 * t * (1.0 - t)) + end * (t * t);
        let mut from = start;
        for s in 1..=steps {
            let to = curve(s as f32 / steps as f32);
            let served = |k: usize| {
                let t = (k as f32 / steps as f32 * 2.0).min(1.0);
                above.powf(1.0 - t) * count.powf(t)
            };
            self.pieces.push(Piece { from, to, served_from: served(s - 1), served_to: served(s), beside });
            from = to;
        }
        if !last {
            let heading = (end - bend).normalize_or(heading);
            self.divide(end, heading, beside, points);
        }
    }

    fn divide(&mut self, at: Vec3, heading: Vec3, beside: Vec3, points: &mut [Vec3]) {
        let axis = widest(points, self.random.direction());
        points.sort_by(|a, b| axis.dot(*a).total_cmp(&axis.dot(*b)));
        let share = self.random.between(0.3, 0.7) * points.len() as f32;
        let cut = (share.round() as usize).clamp(1, points.len() - 1);
        let above = points.len() as f32;
        let (low, high) = points.split_at_mut(cut);
        let turned = (beside - heading * heading.dot(beside)).normalize_or(beside);
        // The larger child keeps nearly the calibre, the smaller starts with its own.
        let small = |n: usize| (n as f32 * above).sqrt().min(1.6 * n as f32);
        let (low_above, high_above) = (small(low.len()), small(high.len()));
        self.grow(at, heading, turned, low, low_above);
        self.grow(at, heading, turned, high, high_above);
    }
}

/// The direction in which points spread most (power iteration on their covariance).
fn widest(points: &[Vec3], guess: Vec3) -> Vec3 {
    let middle = points.iter().copied().sum::<Vec3>() / points.len() as f32;
    let mut axis = guess;
    for _ in 0..5 {
        let next: Vec3 = points.iter().map(|p| (*p - middle) * (*p - middle).dot(axis)).sum();
        axis = next.normalize_or(axis);
    }
    axis
}

/// Grows all trees of both lungs.
pub(crate) fn grow(lungs: &Lungs, seed: u64) -> Trees {
    let mut trees = Trees {
        bronchi: crate::mediastinum::central_airways().into_iter().map(Bronchus::new).collect(),
        vessels: Vec::new(),
    };
    for root in roots() {
        let mut random = Random::new(seed, 10 + u64::from(root.lobe.label()));
        let [stem_from, stem_to] = root.bronchus;
        let mut points = strew(lungs, root.lobe, 9.8, &mut random);
        let heading = (stem_to - stem_from).normalize();
        let out = Vec3::new(root.lobe.side().sign(), 0.0, 0.0);
        let beside = (root.artery - stem_to).normalize_or(out);
        let served = points.len() as f32;
        let mut grower = Grower { random: &mut random, pieces: Vec::new() };
        grower.grow(stem_to, heading, beside, &mut points, served);
        let pieces = std::mem::take(&mut grower.pieces);
        add_bronchi(&mut trees.bronchi, &pieces, root.bronchus, served);
        add_arteries(&mut trees.vessels, &pieces, root.artery);
        let mut points = strew(lungs, root.lobe, 10.2, &mut random);
        let served = points.len() as f32;
        let mut grower = Grower { random: &mut random, pieces: Vec::new() };
        grower.grow(root.vein, out, out, &mut points, served);
        trees.vessels.extend(grower.pieces.iter().map(|piece| {
            let radius = |n: f32| 0.46 * n.powf(0.34);
            Tube::new(piece.from, piece.to, radius(piece.served_from), radius(piece.served_to))
        }));
    }
    trees
}

fn airway_radius(served: f32) -> f32 {
    0.30 * served.powf(0.385)
}

fn artery_radius(served: f32) -> f32 {
    0.48 * served.powf(0.34)
}

fn add_bronchi(bronchi: &mut Vec<Bronchus>, pieces: &[Piece], stem: [Vec3; 2], served: f32) {
    let radius = airway_radius(served);
    let between = Tube::new(stem[0], stem[1], radius, radius);
    bronchi.push(Bronchus::new(between));
    // Below about 0.7 mm the lumen is not seen on CT, so smaller airways are left to the texture of the lung.
    let seen = pieces.iter().filter(|piece| piece.served_to >= 10.0);
    bronchi.extend(seen.map(|piece| {
        Bronchus::new(Tube::new(piece.from, piece.to, airway_radius(piece.served_from), airway_radius(piece.served_to)))
    }));
}

/// The arteries run beside the bronchi, wall to wall.
fn add_arteries(vessels: &mut Vec<Tube>, pieces: &[Piece], root: Vec3) {
    let beside = |at: Vec3, served: f32, direction: Vec3| {
        let lumen = airway_radius(served);
        at + direction * (lumen + 0.38 + 0.12 * lumen + artery_radius(served) + 0.15)
    };
    if let Some(first) = pieces.first() {
        let radius = artery_radius(first.served_from);
        let start = beside(first.from, first.served_from, first.beside);
        vessels.push(Tube::new(root, start, radius, radius));
    }
    let mut end: Option<(Vec3, Vec3)> = None;
    for piece in pieces {
        let start = beside(piece.from, piece.served_from, piece.beside);
        let stop = beside(piece.to, piece.served_to, piece.beside);
        // Where the direction turns between two pieces the gap is closed, so that the vessel stays whole.
        let joined =
            end.filter(|(bronchus, _)| bronchus.distance(piece.from) < 1e-3).map_or(start, |(_, artery)| artery);
        vessels.push(Tube::new(joined, stop, artery_radius(piece.served_from), artery_radius(piece.served_to)));
        end = Some((piece.to, stop));
    }
}
