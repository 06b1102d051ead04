//! Reproducible randomness: a counter hashed to numbers, and a block of smooth noise to look values up in.

use glam::Vec3;

/// SplitMix64 (Steele et al., doi:10.1145/2714064.2660195): small, fast, the same on every machine.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// A stream of its own for every pair of seed and purpose.
    pub(crate) fn new(seed: u64, purpose: u64) -> Self {
        let mut random = Self(seed ^ purpose.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        random.0 = random.next();
        random
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Evenly in [0, 1).
    pub(crate) fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 24) as f32
    }

    /// Evenly in [`from`, `to`).
    pub(crate) fn between(&mut self, from: f32, to: f32) -> f32 {
        from + (to - from) * self.unit()
    }

    /// Nearly normal, mean 0, standard deviation 1 (sum of four even ones).
    pub(crate) fn normal(&mut self) -> f32 {
        let sum: f32 = (0..4).map(|_| self.unit()).sum();
        (sum - 2.0) * 3.0_f32.sqrt()
    }

    /// A direction, evenly over the sphere.
    pub(crate) fn direction(&mut self) -> Vec3 {
        loop {
            let v = Vec3::new(self.between(-1.0, 1.0), self.between(-1.0, 1.0), self.between(-1.0, 1.0));
            let length = v.length();
            if (0.05..1.0).contains(&length) {
                return v / length;
            }
        }
    }
}

const SIDE: usize = 64;

/// Smooth noise in space, mean 0 and standard deviation about 1, with features about two units wide; it repeats every 64
/// units.
pub(crate) struct Texture(Vec<f32>);

impl Texture {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed, 0x7e87);
        let mut values: Vec<f32> = (0..SIDE.pow(3)).map(|_| random.normal()).collect();
        for stride in [1, SIDE, SIDE * SIDE] {
            let line = stride * SIDE;
            let smoothed = (0..values.len())
                .map(|i| {
                    let start = i - i % line + i % stride;
                    let step = i / stride % SIDE;
                    let at = |offset: usize| values[start + (step + offset) % SIDE * stride];
                    0.25 * at(SIDE - 1) + 0.5 * at(0) + 0.25 * at(1)
                })
                .collect();
            values = smoothed;
        }
        let variance = values.iter().map(|v| v * v).sum::<f32>() / values.len() as f32;
        let scale = variance.sqrt().recip();
        values.iter_mut().for_each(|v| *v *= scale);
        Self(values)
    }

    /// The noise at a point given in units of half a feature.
    #[inline]
    pub(crate) fn at(&self, p: Vec3) -> f32 {
        let floor = p.floor();
        let f = p - floor;
        let wrap = |v: f32| (v as i32 & (SIDE as i32 - 1)) as usize;
        let (x0, y0, z0) = (wrap(floor.x), wrap(floor.y), wrap(floor.z));
        let (x1, y1, z1) = ((x0 + 1) % SIDE, (y0 + 1) % SIDE, (z0 + 1) % SIDE);
        let row = |z: usize, y: usize| {
            let line = (z * SIDE + y) * SIDE;
            self.0[line + x0] * (1.0 - f.x) + self.0[line + x1] * f.x
        };
        let plane = |z: usize| row(z, y0) * (1.0 - f.y) + row(z, y1) * f.y;
        plane(z0) * (1.0 - f.z) + plane(z1) * f.z
    }
}
