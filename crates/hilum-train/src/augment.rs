//! Turning a slice into training examples: place, size and, above all, grey scale are varied at random.
//!
//! The training sets were brought to 8 bits in ways nobody wrote down (unknown windows, local histogram equalisation),
//! while the network will see HU through a fixed window. So the grey scale is made uninformative: random monotone
//! curves, window shifts and local contrast from flattened to exaggerated. Everything follows from one seed.

use serde::{Deserialize, Serialize};

use crate::cases::Slice;
use crate::inserted;
use crate::network::normal;

/// Strength of the augmentation. All zeros (and scale 1) leaves the slice as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augmentation {
    /// Largest rotation in degrees, to either side.
    pub rotation_degrees: f32,
    /// Smallest and largest magnification.
    pub scale: [f32; 2],
    /// Largest shift as a fraction of the picture's edge.
    pub shift: f32,
    /// Amplitude of a smooth random warp in pixels.
    pub warp_pixels: f32,
    /// Mirror left and right, for half of the examples.
    pub flip: bool,
    /// Share of the examples that are mirrored front to back.
    pub overturn: f32,
    /// How far a random monotone curve may depart from the identity, 0 to 1.
    pub tone: f32,
    /// Share of local contrast normalisation blended in (positive) or local contrast taken out (negative), at most.
    pub local_contrast: f32,
    /// Largest standard deviation of added noise, in grey values of 0 to 1.
    pub noise: f32,
    /// Probability of blurring or sharpening.
    pub blur: f32,
    /// Probability of lesions drawn into the healthy lung of a slice whose lung is labelled.
    pub inserted_lesions: f32,
    /// Slices are averaged with as many above as below, at random up to slabs of so many millimetres, in scans whose spacing is
    /// known: a scan of thin slices then teaches what thick ones look like. The labels stay those of the slice in the middle.
    pub slab_mm: f32,
}

impl Default for Augmentation {
    fn default() -> Self {
        Self {
            rotation_degrees: 20.0,
            scale: [0.7, 1.4],
            shift: 0.1,
            warp_pixels: 4.0,
            flip: true,
            overturn: 0.0,
            tone: 0.8,
            local_contrast: 0.6,
            noise: 0.06,
            blur: 0.3,
            inserted_lesions: 0.0,
            slab_mm: 0.0,
        }
    }
}

impl Augmentation {
    /// No change but the fit into the network's square.
    pub fn none() -> Self {
        Self {
            rotation_degrees: 0.0,
            scale: [1.0; 2],
            shift: 0.0,
            warp_pixels: 0.0,
            flip: false,
            overturn: 0.0,
            tone: 0.0,
            local_contrast: 0.0,
            noise: 0.0,
            blur: 0.0,
            inserted_lesions: 0.0,
            slab_mm: 0.0,
        }
    }
}

/// A square training example.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// Pixels along either edge.
    pub size: usize,
    /// Grey values, mostly 0 to 1, `[slice, row, column]`: the slice that is learned, between its neighbours if there are any.
    pub image: Vec<f32>,
    /// Bits as in [`Slice::labels`], of every slice of the image.
    pub labels: Vec<u8>,
    /// False where the source says nothing: beyond the frame of a cropped picture. `[row, column]`.
    pub inside: Vec<bool>,
}

impl Example {
    /// Number of slices, odd.
    pub fn depth(&self) -> usize {
        self.image.len() / (self.size * self.size)
    }

    /// Labels of the slice in the middle, which is the one that is learned.
    pub fn middle_labels(&self) -> &[u8] {
        let plane = self.size * self.size;
        &self.labels[self.depth() / 2 * plane..][..plane]
    }
}

/// Makes one example. The same slices, settings and seed give the same example.
///
/// `stack` holds the slice to learn between as many neighbours below as above, all of one scan.
pub fn example(stack: &[&Slice], settings: &Augmentation, size: usize, seed: u64) -> Example {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut example = sample(stack, settings, size, &mut random);
    if settings.inserted_lesions > 0.0 && stack[0].known & 1 == 1 && random.f32() < settings.inserted_lesions {
        inserted::insert(&mut example, &mut random);
    }
    let planes = |image: &mut Vec<f32>, change: &mut dyn FnMut(&mut [f32])| {
        image.chunks_exact_mut(size * size).for_each(change);
    };
    if settings.blur > 0.0 && random.f32() < settings.blur {
        // Negative sharpens.
        let amount = between(&mut random, -0.7, 1.0);
        planes(&mut example.image, &mut |image| {
            let soft = box_mean(image, size, 1);
            blend(image, &soft, amount);
        });
    }
    if settings.local_contrast > 0.0 && random.f32() < 0.7 {
        let amount = settings.local_contrast * between(&mut random, -1.0, 1.0);
        let radius = between(&mut random, 8.0, 40.0) as usize;
        planes(&mut example.image, &mut |image| local_contrast(image, size, radius, amount));
    }
    if settings.tone > 0.0 {
        let curve = Curve::random(settings.tone, &mut random);
        example.image.iter_mut().for_each(|v| *v = curve.at(*v));
    }
    if settings.noise > 0.0 && random.bool() {
        let deviation = settings.noise * random.f32();
        let correlated = random.bool();
        planes(&mut example.image, &mut |image| {
            let mut noise: Vec<f32> = (0..size * size).map(|_| deviation * normal(&mut random)).collect();
            if correlated {
                // CT noise is correlated between neighbours; the mean of nine keeps a third of the deviation.
                noise = box_mean(&noise, size, 1).into_iter().map(|v| 2.0 * v).collect();
            }
            image.iter_mut().zip(noise).for_each(|(v, n)| *v += n);
        });
    }
    example
}

pub(crate) fn between(random: &mut fastrand::Rng, low: f32, high: f32) -> f32 {
    low + (high - low) * random.f32()
}

/// The geometric part: images linearly, labels by the nearest pixel, all slices through the same map.
fn sample(stack: &[&Slice], settings: &Augmentation, size: usize, random: &mut fastrand::Rng) -> Example {
    let slice = stack[0];
    let angle = between(random, -1.0, 1.0) * settings.rotation_degrees.to_radians();
    let scale = between(random, settings.scale[0].ln(), settings.scale[1].ln()).exp();
    let shift = [0; 2].map(|_| between(random, -1.0, 1.0) * settings.shift * size as f32);
    let flips = [settings.overturn, if settings.flip { 0.5 } else { 0.0 }];
    let flips = flips.map(|share| if random.f32() < share { -1.0 } else { 1.0 });
    let warp: [[f32; 4]; 4] = std::array::from_fn(|_| {
        let wave = std::f32::consts::TAU / size as f32;
        let amplitude = settings.warp_pixels * 0.5 * between(random, -1.0, 1.0);
        [
            amplitude,
            wave * between(random, -2.0, 2.0),
            wave * between(random, -2.0, 2.0),
            std::f32::consts::TAU * random.f32(),
        ]
    });
    // From the example's pixel to the slice's: centre, turn, scale, centre.
    let step = 1.0 / (scale * slice.pixel);
    let (sin, cos) = (angle.sin() * step, angle.cos() * step);
    let middle = (size as f32 - 1.0) / 2.0;
    let centre = [(slice.height as f32 - 1.0) / 2.0, (slice.width as f32 - 1.0) / 2.0];
    // Pictures finer than the network's are averaged first, so that skipping pixels does not make noise.
    let coarse = step.round().max(1.0) as usize;
    let plane = size * size;
    let mut example = Example {
        size,
        image: vec![0.0; stack.len() * plane],
        labels: vec![0; stack.len() * plane],
        inside: vec![false; plane],
    };
    for row in 0..size {
        for column in 0..size {
            let (mut y, mut x) = (row as f32 - middle + shift[0], column as f32 - middle + shift[1]);
            if settings.warp_pixels > 0.0 {
                let wave = |w: &[f32; 4]| w[0] * (w[1] * row as f32 + w[2] * column as f32 + w[3]).sin();
                y += wave(&warp[0]) + wave(&warp[1]);
                x += wave(&warp[2]) + wave(&warp[3]);
            }
            let source_y = centre[0] + flips[0] * (cos * y + sin * x);
            let source_x = centre[1] + flips[1] * (cos * x - sin * y);
            let nearest = [source_y.round(), source_x.round()];
            let inside = nearest[0] >= 0.0
                && nearest[1] >= 0.0
                && nearest[0] < slice.height as f32
                && nearest[1] < slice.width as f32;
            let place = row * size + column;
            example.inside[place] = inside || slice.whole;
            for (depth, slice) in stack.iter().enumerate() {
                // A cropped picture goes on as its edge: neither air nor an artificial border.
                if inside || !slice.whole {
                    example.image[depth * plane + place] = interpolated(slice, source_y, source_x, coarse) / 255.0;
                }
                if inside {
                    example.labels[depth * plane + place] =
                        slice.labels[nearest[0] as usize * slice.width + nearest[1] as usize];
                }
            }
        }
    }
    example
}

/// Linear interpolation (mean of `coarse` × `coarse` such values), the edge repeated outwards.
fn interpolated(slice: &Slice, y: f32, x: f32, coarse: usize) -> f32 {
    let at = |y: f32, x: f32| {
        let (y, x) = (y.clamp(0.0, slice.height as f32 - 1.0), x.clamp(0.0, slice.width as f32 - 1.0));
        let (row, column) = (y as usize, x as usize);
        let (next_row, next_column) = ((row + 1).min(slice.height - 1), (column + 1).min(slice.width - 1));
        let (fy, fx) = (y - row as f32, x - column as f32);
        let value = |r: usize, c: usize| f32::from(slice.image[r * slice.width + c]);
        let upper = value(row, column) * (1.0 - fx) + value(row, next_column) * fx;
        let lower = value(next_row, column) * (1.0 - fx) + value(next_row, next_column) * fx;
        upper * (1.0 - fy) + lower * fy
    };
    if coarse == 1 {
        return at(y, x);
    }
    let offset = (coarse as f32 - 1.0) / 2.0;
    let taps = (0..coarse * coarse).map(|i| at(y + (i / coarse) as f32 - offset, x + (i % coarse) as f32 - offset));
    taps.sum::<f32>() / (coarse * coarse) as f32
}

/// A monotone grey-scale curve: a window (which may cut either end), then a random polygon through eight knots.
struct Curve {
    low: f32,
    scale: f32,
    knots: [f32; Self::KNOTS],
    out_low: f32,
    out_scale: f32,
}

impl Curve {
    const KNOTS: usize = 9;

    fn random(strength: f32, random: &mut fastrand::Rng) -> Self {
        let low = between(random, -0.25, 0.15) * strength;
        let high = 1.0 + between(random, -0.35, 0.3) * strength;
        let gamma = (between(random, -0.7, 0.7) * strength).exp();
        let steps: [f32; Self::KNOTS - 1] = std::array::from_fn(|_| (between(random, -1.5, 1.5) * strength).exp());
        let total: f32 = steps.iter().sum();
        let mut knots = [0.0; Self::KNOTS];
        for i in 1..Self::KNOTS {
            knots[i] = knots[i - 1] + steps[i - 1] / total;
        }
        knots.iter_mut().for_each(|k| *k = k.clamp(0.0, 1.0).powf(gamma));
        let out_low = between(random, -0.08, 0.12) * strength;
        let out_high = 1.0 - between(random, -0.08, 0.2) * strength;
        Self { low, scale: 1.0 / (high - low), knots, out_low, out_scale: out_high - out_low }
    }

    fn at(&self, grey: f32) -> f32 {
        let place = ((grey - self.low) * self.scale).clamp(0.0, 1.0) * (Self::KNOTS - 1) as f32;
        let knot = (place as usize).min(Self::KNOTS - 2);
        let value = self.knots[knot] + (self.knots[knot + 1] - self.knots[knot]) * (place - knot as f32);
        self.out_low + self.out_scale * value
    }
}

/// Blends in (or out, for a negative amount) what local equalisation does: the same mean and spread everywhere.
fn local_contrast(image: &mut [f32], size: usize, radius: usize, amount: f32) {
    let mean = box_mean(image, size, radius);
    let squares: Vec<f32> = image.iter().map(|v| v * v).collect();
    let squares = box_mean(&squares, size, radius);
    let overall = image.iter().sum::<f32>() / image.len() as f32;
    for (i, value) in image.iter_mut().enumerate() {
        let deviation = (squares[i] - mean[i] * mean[i]).max(0.0).sqrt();
        // Equalisation limits how far flat regions are stretched; 0.08 plays that part.
        let equalised = overall + (*value - mean[i]) * 0.22 / (deviation + 0.08);
        *value += amount * (equalised - *value);
    }
}

fn blend(image: &mut [f32], other: &[f32], amount: f32) {
    image.iter_mut().zip(other).for_each(|(v, o)| *v += amount * (o - *v));
}

/// Mean over `2 radius + 1` squared pixels, cut at the edges; by running sums, so the radius costs nothing.
pub(crate) fn box_mean(image: &[f32], size: usize, radius: usize) -> Vec<f32> {
    let mut rows = vec![0.0; size * size];
    for row in 0..size {
        line_mean(&image[row * size..(row + 1) * size], &mut rows[row * size..(row + 1) * size], radius);
    }
    let mut result = vec![0.0; size * size];
    // All columns at once: a running sum of rows.
    let mut sum = vec![0.0f64; size];
    let add = |sum: &mut [f64], row: usize, sign: f64| {
        sum.iter_mut().zip(&rows[row * size..(row + 1) * size]).for_each(|(s, v)| *s += sign * f64::from(*v));
    };
    (0..radius.min(size)).for_each(|row| add(&mut sum, row, 1.0));
    for row in 0..size {
        if row + radius < size {
            add(&mut sum, row + radius, 1.0);
        }
        if row > radius {
            add(&mut sum, row - radius - 1, -1.0);
        }
        let count = (row + radius).min(size - 1) + 1 - row.saturating_sub(radius);
        for (out, s) in result[row * size..(row + 1) * size].iter_mut().zip(&sum) {
            *out = (s / count as f64) as f32;
        }
    }
    result
}

fn line_mean(line: &[f32], out: &mut [f32], radius: usize) {
    let mut sum: f64 = line.iter().take(radius).map(|v| f64::from(*v)).sum();
    for i in 0..line.len() {
        if i + radius < line.len() {
            sum += f64::from(line[i + radius]);
        }
        if i > radius {
            sum -= f64::from(line[i - radius - 1]);
        }
        let count = (i + radius).min(line.len() - 1) + 1 - i.saturating_sub(radius);
        out[i] = (sum / count as f64) as f32;
    }
}
