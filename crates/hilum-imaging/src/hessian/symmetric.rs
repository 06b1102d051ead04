//! Eigenvalues of symmetric 3 × 3 matrices in closed form.

/// A symmetric 3 × 3 matrix over the axes a (slice), b (row), c (column).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Symmetric3 {
    /// Slice, slice.
    pub aa: f32,
    /// Row, row.
    pub bb: f32,
    /// Column, column.
    pub cc: f32,
    /// Slice, row.
    pub ab: f32,
    /// Slice, column.
    pub ac: f32,
    /// Row, column.
    pub bc: f32,
}

/// Eigenvalues in order of magnitude, `|values[0]| ≤ |values[1]| ≤ |values[2]|`, and the unit eigenvector of the last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Eigen {
    /// The three eigenvalues, the smallest in magnitude first.
    pub values: [f32; 3],
    /// Direction of the eigenvalue largest in magnitude: slice, row, column component.
    pub largest_direction: [f32; 3],
}

impl Symmetric3 {
    /// Eigenvalues by the trigonometric solution of the characteristic cubic (Smith 1961, DOI 10.1145/355578.366316),
    /// smallest magnitude first. Absolute error is a few 10⁻⁶ of the largest.
    #[must_use]
    pub fn eigenvalues_by_size(&self) -> [f32; 3] {
        let Self { aa, bb, cc, ab, ac, bc } = *self;
        let mean = (aa + bb + cc) / 3.0;
        let (a, b, c) = (aa - mean, bb - mean, cc - mean);
        let off = ab * ab + ac * ac + bc * bc;
        let p2 = (a * a + b * b + c * c + 2.0 * off) / 6.0;
        if p2 <= f32::MIN_POSITIVE {
            return [mean; 3];
        }
        let p = p2.sqrt();
        let det = a * (b * c - bc * bc) - ab * (ab * c - bc * ac) + ac * (ab * bc - b * ac);
        let half = (0.5 * det / (p2 * p)).clamp(-1.0, 1.0);
        let angle = half.acos() / 3.0;
        let greatest = mean + 2.0 * p * angle.cos();
        let least = mean + 2.0 * p * (angle + 2.0 * std::f32::consts::FRAC_PI_3).cos();
        let middle = 3.0 * mean - greatest - least;
        let mut values = [least, middle, greatest];
        let order = |v: &mut [f32; 3], i: usize, j: usize| {
            if v[j].abs() < v[i].abs() {
                v.swap(i, j);
            }
        };
        order(&mut values, 0, 1);
        order(&mut values, 1, 2);
        order(&mut values, 0, 1);
        values
    }

    /// Unit eigenvector of the eigenvalue largest in magnitude; any one of them if it is repeated.
    #[must_use]
    pub fn largest_direction(&self) -> [f32; 3] {
        self.eigen().largest_direction
    }

    /// Eigenvalues and the direction of the largest.
    #[must_use]
    pub fn eigen(&self) -> Eigen {
        let values = self.eigenvalues_by_size();
        let l = values[2];
        let rows = [[self.aa - l, self.ab, self.ac], [self.ab, self.bb - l, self.bc], [self.ac, self.bc, self.cc - l]];
        // The rows span the plane across the eigenvector; the longest of their products is the most reliable.
        let candidates = [cross(rows[0], rows[1]), cross(rows[0], rows[2]), cross(rows[1], rows[2])];
        let best = candidates.into_iter().max_by(|u, v| norm2(*u).total_cmp(&norm2(*v))).unwrap_or([0.0; 3]);
        let scale = norm2(best).sqrt();
        // A repeated eigenvalue leaves no product: any direction across the longest row will do.
        let largest_direction = if scale > 1e-6 * l * l { best.map(|v| v / scale) } else { across(rows) };
        Eigen { values, largest_direction }
    }
}

/// A unit vector across the longest of three parallel rows; the slice axis if all vanish.
fn across(rows: [[f32; 3]; 3]) -> [f32; 3] {
    let longest = rows.into_iter().max_by(|u, v| norm2(*u).total_cmp(&norm2(*v))).unwrap_or([0.0; 3]);
    let axes = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    let best = axes.map(|a| cross(longest, a)).into_iter().max_by(|u, v| norm2(*u).total_cmp(&norm2(*v)));
    match best {
        Some(v) if norm2(v) > 0.0 => v.map(|x| x / norm2(v).sqrt()),
        _ => axes[0],
    }
}

fn cross(u: [f32; 3], v: [f32; 3]) -> [f32; 3] {
    [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]]
}

fn norm2(u: [f32; 3]) -> f32 {
    u[0] * u[0] + u[1] * u[1] + u[2] * u[2]
}
