//! Where the fissures lie in an average chest.
//!
//! A fissure is a height surface over two of three lung coordinates. Lung coordinates run from −1 to 1 over the
//! middle nine tenths of the lung (by volume, along each axis, so that a long thin recess does not count): `a` outward to the ribs, `b` to the back, `c` to the head. The heights are
//! polynomials fitted by least squares to the borders between the lobes of a template that averages 62 healthy adults;
//! only these coefficients are kept. From them alone the template's lobes come back with a Dice of 0.95 (middle lobe) to
//! 0.99; see `docs/lungs-and-lobes.md`.

/// The three fissures, in the order of [`super::lobes::Lobes::confidence`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FissureKind {
    /// Between the right lower lobe and the two others.
    RightOblique,
    /// Between right upper and middle lobe.
    RightHorizontal,
    /// Between left upper and lower lobe.
    LeftOblique,
}

/// Height of the right oblique fissure, degree 4.
const RIGHT_OBLIQUE: [f64; 15] = [
    -0.03358, -0.04913, -0.13668, -0.09972, 0.06826, 0.02894, -0.26141, -0.05467, 0.18857, 0.02695, 0.02488, 0.01522,
    -0.05226, 0.03942, -0.02606,
];

/// Height of the left oblique fissure, degree 4.
const LEFT_OBLIQUE: [f64; 15] = [
    -0.06437, 0.06609, -0.12588, -0.04554, 0.08565, 0.06212, -0.353, -0.01676, 0.236, -0.0054, 0.03955, 0.06653,
    -0.02454, 0.02295, -0.02352,
];

/// Height of the right horizontal fissure, degree 2.
const RIGHT_HORIZONTAL: [f64; 6] = [0.14105, -0.1072, -0.23005, 0.05021, -0.0096, -0.06455];

/// Lung coordinates of one lung.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Frame {
    /// Middle of the lung in mm from the outer faces of the grid: column, row, slice direction.
    middle_mm: [f64; 3],
    /// Half its extent.
    pub(crate) half_mm: [f64; 3],
    /// −1 if outward is towards lower columns (right lung), else 1.
    outward: f64,
}

impl Frame {
    /// The frame of the lung that is `side` (−1 right, 1 left) from the number of its voxels per column, row and slice;
    /// `None` if there are none. `spacing_mm` in the same order.
    pub(crate) fn new(counts: [&[usize]; 3], spacing_mm: [f64; 3], outward: f64) -> Option<Self> {
        let mut middle_mm = [0.0; 3];
        let mut half_mm = [0.0; 3];
        for a in 0..3 {
            let total: usize = counts[a].iter().sum();
            if total == 0 {
                return None;
            }
            let at = |share: f64| {
                let wanted = share * total as f64;
                let mut before = 0.0;
                for (i, n) in counts[a].iter().enumerate() {
                    let n = *n as f64;
                    if n > 0.0 && before + n >= wanted {
                        return (i as f64 + ((wanted - before) / n).clamp(0.0, 1.0)) * spacing_mm[a];
                    }
                    before += n;
                }
                counts[a].len() as f64 * spacing_mm[a]
            };
            let (low, high) = (at(0.05), at(0.95));
            middle_mm[a] = 0.5 * (low + high);
            half_mm[a] = (0.5 * (high - low)).max(spacing_mm[a]);
        }
        Some(Self { middle_mm, half_mm, outward })
    }

    /// Lung coordinates of a place in mm from the outer faces (column, row, slice direction).
    pub(crate) fn lung_from_mm(&self, at: [f64; 3]) -> [f64; 3] {
        let q: [f64; 3] = std::array::from_fn(|a| (at[a] - self.middle_mm[a]) / self.half_mm[a]);
        [q[0] * self.outward, q[1], q[2]]
    }

    /// The place in mm (column, row, slice direction) of lung coordinates.
    pub(crate) fn mm_from_lung(&self, q: [f64; 3]) -> [f64; 3] {
        let q = [q[0] * self.outward, q[1], q[2]];
        std::array::from_fn(|a| self.middle_mm[a] + q[a] * self.half_mm[a])
    }

    /// A gradient by mm (column, row, slice direction) from one by lung coordinates.
    pub(crate) fn gradient_by_mm(&self, by_lung: [f64; 3]) -> [f64; 3] {
        [by_lung[0] * self.outward / self.half_mm[0], by_lung[1] / self.half_mm[1], by_lung[2] / self.half_mm[2]]
    }
}

impl FissureKind {
    /// Base coordinates and height `[u, v, w]` from lung coordinates `[a, b, c]`; a rotation.
    ///
    /// The oblique fissures lean backward by about 45° in lung coordinates: their height is measured up and forward.
    pub(crate) fn surface_from_lung(self, [a, b, c]: [f64; 3]) -> [f64; 3] {
        let k = std::f64::consts::FRAC_1_SQRT_2;
        match self {
            Self::RightHorizontal => [a, b, c],
            Self::RightOblique | Self::LeftOblique => [a, k * (b + c), k * (c - b)],
        }
    }

    /// The inverse of [`Self::surface_from_lung`].
    pub(crate) fn lung_from_surface(self, [u, v, w]: [f64; 3]) -> [f64; 3] {
        let k = std::f64::consts::FRAC_1_SQRT_2;
        match self {
            Self::RightHorizontal => [u, v, w],
            Self::RightOblique | Self::LeftOblique => [u, k * (v - w), k * (v + w)],
        }
    }

    /// The range of `u` and of `v` in which the template has the fissure; beyond it the height is held constant.
    pub(crate) fn reach(self) -> [f64; 2] {
        match self {
            Self::RightHorizontal => [1.4, 1.35],
            Self::RightOblique | Self::LeftOblique => [1.4, 1.55],
        }
    }

    /// Height of the average fissure.
    pub(crate) fn height(self, u: f64, v: f64) -> f64 {
        let [u_reach, v_reach] = self.reach();
        let (u, v) = (u.clamp(-u_reach, u_reach), v.clamp(-v_reach, v_reach));
        match self {
            Self::RightOblique => polynomial(&RIGHT_OBLIQUE, 4, u, v),
            Self::LeftOblique => polynomial(&LEFT_OBLIQUE, 4, u, v),
            Self::RightHorizontal => polynomial(&RIGHT_HORIZONTAL, 2, u, v),
        }
    }
}

/// `Σ k u^i v^j` over `i + j ≤ degree`, `j` running fastest.
fn polynomial(coefficients: &[f64], degree: usize, u: f64, v: f64) -> f64 {
    let mut next = coefficients.iter();
    let mut sum = 0.0;
    let mut u_power = 1.0;
    for i in 0..=degree {
        let mut v_power = u_power;
        for _ in 0..=degree - i {
            sum += next.next().expect("as many coefficients as terms") * v_power;
            v_power *= v;
        }
        u_power *= u;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [FissureKind; 3] = [FissureKind::RightOblique, FissureKind::RightHorizontal, FissureKind::LeftOblique];

    #[test]
    fn coordinates_go_there_and_back() {
        let counts: Vec<usize> = (0..50).map(|i| 100 - 2 * i).collect();
        for (kind, outward) in ALL.into_iter().zip([-1.0, -1.0, 1.0]) {
            let frame = Frame::new([&counts, &counts, &counts], [1.5, 1.5, 2.0], outward).unwrap();
            let at = [20.0, 31.0, 44.0];
            let surface = kind.surface_from_lung(frame.lung_from_mm(at));
            let back = frame.mm_from_lung(kind.lung_from_surface(surface));
            assert!((0..3).all(|a| (at[a] - back[a]).abs() < 1e-9));
        }
        assert!(Frame::new([&[0], &[0], &[0]], [1.0; 3], 1.0).is_none());
    }

    #[test]
    fn the_average_fissures_lie_where_anatomy_puts_them() {
        for kind in [FissureKind::RightOblique, FissureKind::LeftOblique] {
            let above = |q: [f64; 3]| {
                let [u, v, w] = kind.surface_from_lung(q);
                w > kind.height(u, v)
            };
            assert!(above([0.0, -0.6, 0.5]), "front and top are upper lobe");
            assert!(above([0.0, 0.0, 0.8]), "the apex is upper lobe");
            assert!(!above([0.0, 0.7, -0.5]), "back and bottom are lower lobe");
            assert!(!above([0.0, 0.8, 0.0]), "the back at half height is lower lobe");
        }
        let middle = FissureKind::RightHorizontal.height(0.2, -0.5);
        assert!((-0.3..0.4).contains(&middle), "the horizontal fissure runs near half height: {middle}");
    }
}
