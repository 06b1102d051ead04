//! Small linear algebra: affine index maps, trilinear samples with their gradient, symmetric systems.

use hilum_volume::{Geometry, PatientPoint, VoxelPoint};

/// An affine map of triples, in single precision: `matrix · x + offset`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Map3 {
    matrix: [[f32; 3]; 3],
    offset: [f32; 3],
}

impl Map3 {
    /// The map that takes the origin and the three unit vectors where `f` does.
    pub(super) fn sampled(f: impl Fn([f64; 3]) -> [f64; 3]) -> Self {
        let offset = f([0.0; 3]);
        let columns: [[f64; 3]; 3] = std::array::from_fn(|a| {
            let mut unit = [0.0; 3];
            unit[a] = 1.0;
            let at = f(unit);
            std::array::from_fn(|i| at[i] - offset[i])
        });
        Self {
            matrix: std::array::from_fn(|i| std::array::from_fn(|a| columns[a][i] as f32)),
            offset: offset.map(|v| v as f32),
        }
    }

    /// From voxel indices of a grid to patient points.
    pub(super) fn patient_from(grid: &Geometry) -> Self {
        Self::sampled(|v| grid.patient_from_voxel(VoxelPoint(v)).0)
    }

    /// From patient points to voxel positions of a grid.
    pub(super) fn voxel_of(grid: &Geometry) -> Self {
        Self::sampled(|p| grid.voxel_from_patient(PatientPoint(p)).0)
    }

    pub(super) fn apply(&self, x: [f32; 3]) -> [f32; 3] {
        std::array::from_fn(|i| {
            let row = self.matrix[i];
            self.offset[i] + row[0] * x[0] + row[1] * x[1] + row[2] * x[2]
        })
    }
}

/// The cell of eight voxels around a position: offset of its first voxel, and the position within, 0 to 1 per axis.
/// Positions beyond the outermost voxels are held at them.
#[derive(Clone, Copy)]
pub(super) struct Cell {
    pub(super) first: usize,
    pub(super) step: [usize; 3],
    pub(super) within: [f32; 3],
}

impl Cell {
    pub(super) fn around(shape: [usize; 3], at: [f32; 3]) -> Self {
        let stride = [shape[1] * shape[2], shape[2], 1];
        let mut cell = Self { first: 0, step: [0; 3], within: [0.0; 3] };
        for a in 0..3 {
            let last = shape[a] - 1;
            let clamped = at[a].clamp(0.0, last as f32);
            let low = (clamped as usize).min(last.saturating_sub(1));
            cell.first += low * stride[a];
            cell.step[a] = if last > 0 { stride[a] } else { 0 };
            cell.within[a] = clamped - low as f32;
        }
        cell
    }

    /// Offsets and weights of the eight voxels.
    pub(super) fn corners(&self) -> [(usize, f32); 8] {
        let [s, r, c] = self.within;
        std::array::from_fn(|corner| {
            let side = |axis: usize, w: f32| if corner >> axis & 1 == 1 { (self.step[axis], w) } else { (0, 1.0 - w) };
            let ((ds, ws), (dr, wr), (dc, wc)) = (side(0, s), side(1, r), side(2, c));
            (self.first + ds + dr + dc, ws * wr * wc)
        })
    }

    /// The value interpolated linearly.
    pub(super) fn value(&self, data: &[f32]) -> f32 {
        self.corners().iter().map(|(at, w)| w * data[*at]).sum()
    }

    /// The value and its derivative by the position, per voxel.
    pub(super) fn value_and_slope(&self, data: &[f32]) -> (f32, [f32; 3]) {
        let [ds, dr, dc] = self.step;
        let [s, r, c] = self.within;
        let at = |i: usize| data[self.first + i];
        let mix = |a: f32, b: f32, w: f32| a + w * (b - a);
        let (v000, v001, v010, v011) = (at(0), at(dc), at(dr), at(dr + dc));
        let (v100, v101, v110, v111) = (at(ds), at(ds + dc), at(ds + dr), at(ds + dr + dc));
        let (a00, a01) = (mix(v000, v001, c), mix(v010, v011, c));
        let (a10, a11) = (mix(v100, v101, c), mix(v110, v111, c));
        let (b0, b1) = (mix(a00, a01, r), mix(a10, a11, r));
        let by_row = mix(a01 - a00, a11 - a10, s);
        let by_column = mix(mix(v001 - v000, v011 - v010, r), mix(v101 - v100, v111 - v110, r), s);
        (mix(b0, b1, s), [b1 - b0, by_row, by_column])
    }
}

/// Whether a position lies within the outer faces of a grid of `shape`.
pub(super) fn is_inside(shape: [usize; 3], at: [f32; 3]) -> bool {
    (0..3).all(|a| at[a] >= -0.5 && at[a] <= shape[a] as f32 - 0.5)
}

/// The solution of a symmetric positive definite system of twelve by Cholesky's method; `None` if it is not definite.
pub(super) fn solve12(a: &[[f64; 12]; 12], b: &[f64; 12]) -> Option<[f64; 12]> {
    let mut l = [[0.0; 12]; 12];
    for i in 0..12 {
        for j in 0..=i {
            let sum = a[i][j] - (0..j).map(|k| l[i][k] * l[j][k]).sum::<f64>();
            if i == j {
                if sum <= 0.0 {
                    return None;
                }
                l[i][i] = sum.sqrt();
            } else {
                l[i][j] = sum / l[j][j];
            }
        }
    }
    let mut x = *b;
    for i in 0..12 {
        x[i] = (x[i] - (0..i).map(|k| l[i][k] * x[k]).sum::<f64>()) / l[i][i];
    }
    for i in (0..12).rev() {
        x[i] = (x[i] - (i + 1..12).map(|k| l[k][i] * x[k]).sum::<f64>()) / l[i][i];
    }
    Some(x)
}

/// The solution of a symmetric system of three, given its upper triangle `[xx, xy, xz, yy, yz, zz]`; zero if it is singular.
pub(super) fn solve3([xx, xy, xz, yy, yz, zz]: [f32; 6], [bx, by, bz]: [f32; 3]) -> [f32; 3] {
    let (cx, cy, cz) = (yy * zz - yz * yz, xz * yz - xy * zz, xy * yz - xz * yy);
    let det = xx * cx + xy * cy + xz * cz;
    if !(det.is_finite() && det > 1e-20) {
        return [0.0; 3];
    }
    let (dy, dz, ez) = (xx * zz - xz * xz, xy * xz - xx * yz, xx * yy - xy * xy);
    [(cx * bx + cy * by + cz * bz) / det, (cy * bx + dy * by + dz * bz) / det, (cz * bx + dz * by + ez * bz) / det]
}

/// The determinant of a matrix of three rows.
pub(super) fn determinant(m: [[f64; 3]; 3]) -> f64 {
    m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
        + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systems_are_solved() {
        let x = solve3([4.0, 1.0, 0.5, 3.0, 0.2, 2.0], [1.0, 2.0, 3.0]);
        let back =
            [4.0 * x[0] + x[1] + 0.5 * x[2], x[0] + 3.0 * x[1] + 0.2 * x[2], 0.5 * x[0] + 0.2 * x[1] + 2.0 * x[2]];
        for (value, expected) in back.iter().zip([1.0, 2.0, 3.0]) {
            assert!((value - expected).abs() < 1e-5, "{back:?}");
        }
        let mut a = [[0.0; 12]; 12];
        let mut b = [0.0; 12];
        for i in 0..12 {
            for j in 0..12 {
                a[i][j] = if i == j { 3.0 + i as f64 } else { 0.1 * (i + j) as f64 / 12.0 };
            }
            b[i] = i as f64 - 4.0;
        }
        let x = solve12(&a, &b).unwrap();
        for i in 0..12 {
            let sum: f64 = (0..12).map(|j| a[i][j] * x[j]).sum();
            assert!((sum - b[i]).abs() < 1e-9);
        }
        a[3][3] = -1.0;
        assert!(solve12(&a, &b).is_none());
    }

    #[test]
    fn slopes_are_those_of_the_linear_function() {
        let shape = [3, 4, 5];
        let data: Vec<f32> = (0..60).map(|i| (2 * (i / 20) + 3 * (i / 5 % 4)) as f32 - (i % 5) as f32).collect();
        let (value, slope) = Cell::around(shape, [0.7, 1.2, 3.3]).value_and_slope(&data);
        assert!((value - (1.4 + 3.6 - 3.3)).abs() < 1e-5);
        assert!((slope[0] - 2.0).abs() < 1e-5 && (slope[1] - 3.0).abs() < 1e-5 && (slope[2] + 1.0).abs() < 1e-5);
        assert_eq!(Cell::around(shape, [-3.0, 9.0, 2.0]).value(&data), 9.0 - 2.0);
    }
}
