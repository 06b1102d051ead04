//! One ray per pixel, front to back.

use super::field::{Blocks, Field, LEVEL, VOLUME};
use super::{Camera, Scene, Stop};
use crate::picture::Picture;
use crate::projection::voxels_per;
use hilum_volume::{PatientPoint, PatientVector, Volume};
use rayon::prelude::*;

/// A volume and what each of its values looks like.
#[derive(Clone, Debug)]
pub(super) struct Fog {
    pub(super) volume: Volume<i16>,
    /// First value of the table.
    first: i16,
    /// Red, green, blue (0 to 1) and extinction per mm for every value from `first` on.
    table: Vec<[f32; 4]>,
}

impl Fog {
    pub(super) fn new(volume: Volume<i16>, stops: &[Stop]) -> Self {
        let (first, last) = (stops[0].value, stops[stops.len() - 1].value);
        let extinction = |opacity: f32| -(1.0 - opacity.clamp(0.0, 0.999)).ln() / 10.0;
        let look = |s: &Stop| {
            let [r, g, b] = s.colour.map(|c| f32::from(c) / 255.0);
            [r, g, b, extinction(s.opacity)]
        };
        let table = (first..=last)
            .map(|value| {
                let above = stops.partition_point(|s| s.value <= value).min(stops.len() - 1);
                let (a, b) = (&stops[above.saturating_sub(1)], &stops[above]);
                let width = f32::from(b.value) - f32::from(a.value);
                let t = if width > 0.0 { (f32::from(value) - f32::from(a.value)) / width } else { 0.0 };
                let (a, b) = (look(a), look(b));
                std::array::from_fn(|i| a[i] + t * (b[i] - a[i]))
            })
            .collect();
        Self { volume, first, table }
    }

    /// Whether any value between two shows.
    pub(super) fn shows(&self, low: i16, high: i16) -> bool {
        let last = self.table.len() as i32 - 1;
        let (low, high) = (i32::from(low) - i32::from(self.first), i32::from(high) - i32::from(self.first));
        if high < 0 || low > last {
            return false;
        }
        self.table[low.max(0) as usize..=high.min(last) as usize].iter().any(|l| l[3] > 0.0)
    }

    /// The volume's value at a position; its edge is held outside.
    fn at(&self, position: [f32; 3]) -> f32 {
        let shape = self.volume.shape();
        let mut low = [0; 3];
        let mut high = [0; 3];
        let mut share = [0.0_f32; 3];
        for a in 0..3 {
            let p = position[a].clamp(0.0, (shape[a] - 1) as f32);
            low[a] = p as usize;
            high[a] = (low[a] + 1).min(shape[a] - 1);
            share[a] = p - low[a] as f32;
        }
        let data = self.volume.data();
        let line = |s: usize, r: usize| {
            let row = (s * shape[1] + r) * shape[2];
            let (a, b) = (f32::from(data[row + low[2]]), f32::from(data[row + high[2]]));
            a + share[2] * (b - a)
        };
        let face = |s: usize| {
            let (a, b) = (line(s, low[1]), line(s, high[1]));
            a + share[1] * (b - a)
        };
        let (a, b) = (face(low[0]), face(high[0]));
        a + share[0] * (b - a)
    }

    fn look(&self, value: f32) -> [f32; 4] {
        let at = value.round() as i32 - i32::from(self.first);
        usize::try_from(at).ok().and_then(|at| self.table.get(at)).copied().unwrap_or([0.0; 4])
    }

    fn slope(&self, position: [f32; 3]) -> [f32; 3] {
        std::array::from_fn(|a| {
            let (mut before, mut after) = (position, position);
            before[a] -= 1.0;
            after[a] += 1.0;
            0.5 * (self.at(after) - self.at(before))
        })
    }
}

/// What stays the same for all rays of a picture.
struct View<'a> {
    scene: &'a Scene,
    /// Voxels per mm along the ray.
    direction: [f32; 3],
    /// Patient vectors by which slopes per voxel become gradients.
    dual: [[f32; 3]; 3],
    /// Unit vectors in patient space: away from the viewer, to the light, halfway between light and viewer.
    away: [f32; 3],
    light: [f32; 3],
    halfway: [f32; 3],
    step_mm: f32,
    /// Depth of the scene, for the darkening with distance.
    depth_mm: f32,
}

/// Beyond this opacity what lies behind is not looked at.
const ENOUGH: f32 = 0.985;

/// How much the farthest part of the scene is darkened.
const FAR_SHADE: f32 = 0.35;

/// The picture of a scene around `centre`.
pub(super) fn cast(
    scene: &Scene,
    camera: &Camera,
    [right, down, away]: [PatientVector; 3],
    centre: PatientPoint,
    mm_per_pixel: f64,
    depth_radius_mm: f64,
) -> Picture {
    let geometry = &scene.geometry;
    let (width, height, mm) = (camera.width, camera.height, mm_per_pixel);
    // Far enough in front of everything.
    let front = centre.plus(away.times(-depth_radius_mm - 10.0));
    let corner =
        front.plus(right.times(-0.5 * (width as f64 - 1.0) * mm)).plus(down.times(-0.5 * (height as f64 - 1.0) * mm));
    let origin = geometry.voxel_from_patient(corner).0;
    let per_column = voxels_per(geometry, right.times(mm));
    let per_row = voxels_per(geometry, down.times(mm));
    let unit = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]].map(|v| voxels_per(geometry, PatientVector(v)));
    let finest = geometry.spacing_mm().into_iter().fold(f64::INFINITY, f64::min);
    let single = |v: PatientVector| v.times(1.0 / v.length_mm()).0.map(|x| x as f32);
    // From above left, in front: the way people expect light.
    let light = away.times(-0.75).plus(right.times(-0.45)).plus(down.times(-0.55));
    let view = View {
        scene,
        direction: voxels_per(geometry, away).map(|v| v as f32),
        dual: std::array::from_fn(|a| std::array::from_fn(|x| unit[x][a] as f32)),
        away: single(away),
        light: single(light),
        halfway: single(PatientVector(single(light).map(f64::from)).plus(away.times(-1.0))),
        step_mm: (0.85 * finest) as f32,
        depth_mm: (2.0 * depth_radius_mm + 20.0) as f32,
    };
    let follow =
        |x: f64, y: f64| view.follow(std::array::from_fn(|a| (origin[a] + per_column[a] * x + per_row[a] * y) as f32));
    let mut rays = vec![[0.0_f32; 4]; width * height];
    let columns = width.max(1);
    rays.par_chunks_mut(columns).enumerate().for_each(|(y, row)| {
        row.iter_mut().enumerate().for_each(|(x, ray)| *ray = follow(x as f64, y as f64));
    });
    let mut picture = Picture::filled(width, height, [0; 3]);
    picture.pixels_mut().par_chunks_mut(columns).enumerate().for_each(|(y, row)| {
        let [top, bottom] = camera.background.map(|c| c.map(f32::from));
        let t = y as f32 / height as f32;
        let behind: [f32; 3] = std::array::from_fn(|i| top[i] + t * (bottom[i] - top[i]));
        for (x, pixel) in row.iter_mut().enumerate() {
            let mut ray = rays[y * width + x];
            if camera.supersampling > 1 && on_an_edge(&rays, width, [x, y]) {
                let four = [(-0.25, -0.25), (0.25, -0.25), (-0.25, 0.25), (0.25, 0.25)];
                let four = four.map(|(dx, dy)| follow(x as f64 + dx, y as f64 + dy));
                ray = std::array::from_fn(|i| 0.25 * four.iter().map(|r| r[i]).sum::<f32>());
            }
            *pixel =
                std::array::from_fn(|i| (255.0 * ray[i] + (1.0 - ray[3]) * behind[i]).round().clamp(0.0, 255.0) as u8);
        }
    });
    picture
}

/// Whether a pixel's ray differs from those around it by more than the eye lets pass.
fn on_an_edge(rays: &[[f32; 4]], width: usize, [x, y]: [usize; 2]) -> bool {
    let at = y * width + x;
    let near = [
        (x > 0).then(|| at - 1),
        (x + 1 < width).then(|| at + 1),
        at.checked_sub(width),
        Some(at + width).filter(|below| *below < rays.len()),
    ];
    near.into_iter().flatten().any(|n| (0..4).any(|i| (rays[n][i] - rays[at][i]).abs() > EDGE))
}

/// Difference between neighbouring rays, of a full scale of 1, above which more rays are cast.
const EDGE: f32 = 0.06;

impl View<'_> {
    /// Colour times opacity, and opacity, gathered from a position in front of the scene.
    fn follow(&self, start: [f32; 3]) -> [f32; 4] {
        let mut gathered = [0.0_f32; 4];
        let Some((mut t, end)) = self.within_grid(start) else { return gathered };
        let mut inside = 0_u32; // bit i: the ray is inside surface i
        let mut before = 0_u32; // what could be seen in the block of the step before
        while t < end && gathered[3] < ENOUGH {
            let position = self.along(start, t);
            let (contents, low) = self.scene.blocks.at(position);
            if contents | before == 0 {
                let way = Blocks::way_out(low, position, self.direction);
                // On the same raster of steps as if nothing had been skipped.
                t += self.step_mm * ((way / self.step_mm).floor() + 1.0);
                continue;
            }
            // A surface may be crossed after the last step in its block: the first step behind it looks, too.
            let mut surfaces = (contents | before) & !VOLUME;
            before = contents;
            while surfaces != 0 {
                let i = surfaces.trailing_zeros() as usize;
                surfaces &= surfaces - 1;
                let field = &self.scene.surfaces[i].0;
                let now = field.at(position) >= LEVEL;
                if now != (inside >> i & 1 == 1) {
                    inside ^= 1 << i;
                    self.add_surface(&mut gathered, i, self.crossing(field, start, t, now), t);
                }
            }
            if contents & VOLUME != 0
                && let Some(fog) = &self.scene.fog
            {
                self.add_fog(&mut gathered, fog, position, t);
            }
            t += self.step_mm;
        }
        gathered
    }

    /// Where a ray enters the grid, and leaves it; a voxel more on each side, for surfaces that end there.
    fn within_grid(&self, start: [f32; 3]) -> Option<(f32, f32)> {
        let shape = self.scene.geometry.shape();
        let (mut near, mut far) = (0.0_f32, f32::INFINITY);
        for a in 0..3 {
            let (low, high) = (-1.0, shape[a] as f32);
            if self.direction[a].abs() < 1e-9 {
                if start[a] < low || start[a] > high {
                    return None;
                }
                continue;
            }
            let (u, v) = ((low - start[a]) / self.direction[a], (high - start[a]) / self.direction[a]);
            near = near.max(u.min(v));
            far = far.min(u.max(v));
        }
        (near < far).then_some((near, far))
    }

    fn along(&self, start: [f32; 3], t: f32) -> [f32; 3] {
        std::array::from_fn(|a| start[a] + t * self.direction[a])
    }

    /// Position of the crossing in the step before `t`, by halving.
    fn crossing(&self, field: &Field, start: [f32; 3], t: f32, inside_now: bool) -> [f32; 3] {
        let (mut before, mut after) = (t - self.step_mm, t);
        for _ in 0..4 {
            let middle = 0.5 * (before + after);
            if (field.at(self.along(start, middle)) >= LEVEL) == inside_now {
                after = middle;
            } else {
                before = middle;
            }
        }
        self.along(start, 0.5 * (before + after))
    }

    fn add_surface(&self, gathered: &mut [f32; 4], i: usize, position: [f32; 3], t: f32) {
        let (field, surface) = &self.scene.surfaces[i];
        let normal = self.normal(field.slope(position)).unwrap_or(self.away);
        let facing = dot(normal, self.away).abs();
        let edge = (1.0 - facing) * (1.0 - facing);
        let opacity = surface.opacity + (surface.rim_opacity - surface.opacity) * edge;
        let colour = surface.colour.map(|c| f32::from(c) / 255.0);
        self.add(gathered, self.lit(colour, normal, t), opacity);
    }

    fn add_fog(&self, gathered: &mut [f32; 4], fog: &Fog, position: [f32; 3], t: f32) {
        let [r, g, b, extinction] = fog.look(fog.at(position));
        if extinction <= 0.0 {
            return;
        }
        let opacity = 1.0 - (-extinction * self.step_mm).exp();
        // What is hardly seen needs no light, and flat regions have no direction: both glow evenly.
        let slope = if opacity * (1.0 - gathered[3]) > 0.02 { fog.slope(position) } else { [0.0; 3] };
        let steep = dot(slope, slope) > 15.0 * 15.0;
        let colour = match self.normal(slope).filter(|_| steep) {
            Some(normal) => self.lit([r, g, b], normal, t),
            None => [r, g, b].map(|c| 0.7 * c * self.shade(t)),
        };
        self.add(gathered, colour, opacity);
    }

    fn add(&self, gathered: &mut [f32; 4], colour: [f32; 3], opacity: f32) {
        let share = (1.0 - gathered[3]) * opacity.clamp(0.0, 1.0);
        for a in 0..3 {
            gathered[a] += share * colour[a];
        }
        gathered[3] += share;
    }

    /// Unit vector of a slope per voxel in patient space.
    fn normal(&self, slope: [f32; 3]) -> Option<[f32; 3]> {
        let g: [f32; 3] = std::array::from_fn(|x| (0..3).map(|a| slope[a] * self.dual[a][x]).sum());
        let length = dot(g, g).sqrt();
        (length > 1e-6).then(|| g.map(|v| v / length))
    }

    /// A colour under the light (Blinn's model, DOI 10.1145/563858.563893), both sides alike.
    fn lit(&self, colour: [f32; 3], normal: [f32; 3], t: f32) -> [f32; 3] {
        let facing = if dot(normal, self.away) > 0.0 { normal.map(|v| -v) } else { normal };
        let diffuse = dot(facing, self.light).max(0.0);
        let fill = dot(facing, self.away).abs(); // a weak light from the viewer keeps shadows readable
        let shine = dot(facing, self.halfway).max(0.0).powi(40);
        let shade = self.shade(t);
        colour.map(|c| shade * (c * (0.22 + 0.6 * diffuse + 0.22 * fill) + 0.22 * shine))
    }

    fn shade(&self, t: f32) -> f32 {
        1.0 - FAR_SHADE * (t / self.depth_mm).clamp(0.0, 1.0)
    }
}

fn dot(u: [f32; 3], v: [f32; 3]) -> f32 {
    u[0] * v[0] + u[1] * v[1] + u[2] * v[2]
}
