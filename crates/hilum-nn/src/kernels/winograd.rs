//! 3 x 3 convolutions with a quarter of the multiplications: Winograd's F(4 x 4, 3 x 3).
//!
//! A tile of 4 x 4 outputs depends on 6 x 6 inputs. Both are transformed by small fixed matrices, between which a
//! convolution is one product per position of the 6 x 6 grid: 36 instead of 144 for every pair of channels. Lavin and
//! Gray, "Fast Algorithms for Convolutional Neural Networks", 2016 (doi:10.1109/CVPR.2016.435), with their points
//! 0, ±1, ±2 and infinity. The transforms cost digits: results differ from exact ones by some 1e-6 of the largest.
//!
//! Along slices nothing is transformed; kernel slices are summed between the transforms.

use super::lanes::{Job, Lanes, activate};
use super::{Activation, LANES};

/// Outputs of a tile along rows and columns.
pub(crate) const TILE: usize = 4;

/// Inputs of a tile along rows and columns.
pub(crate) const WINDOW: usize = TILE + 2;

/// Products that stand for a tile.
pub(crate) const POSITIONS: usize = WINDOW * WINDOW;

/// The filter as the products use it, `G g G'`, positions row by row; `tap(row, column)` is `g`.
pub(crate) fn transform_filter(tap: impl Fn(usize, usize) -> f32) -> [f32; POSITIONS] {
    fn transform([a, b, c]: [f64; 3]) -> [f64; WINDOW] {
        let (even, odd) = (a + c, a + 4.0 * c);
        [a / 4.0, -(even + b) / 6.0, (b - even) / 6.0, (odd + 2.0 * b) / 24.0, (odd - 2.0 * b) / 24.0, c]
    }
    let columns: [[f64; WINDOW]; 3] =
        std::array::from_fn(|column| transform(std::array::from_fn(|row| f64::from(tap(row, column)))));
    let mut result = [0.0; POSITIONS];
    for (row, result) in result.chunks_exact_mut(WINDOW).enumerate() {
        let line = transform(std::array::from_fn(|column| columns[column][row]));
        for (result, value) in result.iter_mut().zip(line) {
            *result = value as f32;
        }
    }
    result
}

/// Transforms the inputs of a run of tiles beside each other: `B' d B`.
pub(crate) struct InputTiles<'a> {
    /// Each begins at the first column of the first tile's window.
    pub(crate) rows: [&'a [f32]; WINDOW],
    pub(crate) tiles: usize,
    /// The first tile at the first position, tiles behind each other.
    pub(crate) output: &'a mut [f32],
    /// Floats from one position to the next.
    pub(crate) step: usize,
}

impl Job for InputTiles<'_> {
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        // SAFETY: the caller has the instruction set of `V`.
        let constants =
            unsafe { InputConstants { two: V::splat(2.0), minus_four: V::splat(-4.0), minus_five: V::splat(-5.0) } };
        for tile in 0..self.tiles {
            // Macros because closures would not be compiled for the instruction set, and written out because arrays
            // filled in a loop would be cleared and copied first.
            macro_rules! load {
                ($y:literal, $x:expr) => {{
                    let voxel = self.rows[$y][(tile * TILE + $x) * LANES..].first_chunk();
                    // SAFETY: as above.
                    unsafe { V::load(voxel.expect("lengths were checked")) }
                }};
            }
            macro_rules! column {
                ($x:literal) => {
                    constants.transform([
                        load!(0, $x),
                        load!(1, $x),
                        load!(2, $x),
                        load!(3, $x),
                        load!(4, $x),
                        load!(5, $x),
                    ])
                };
            }
            let c = [column!(0), column!(1), column!(2), column!(3), column!(4), column!(5)];
            for i in 0..WINDOW {
                let line = constants.transform([c[0][i], c[1][i], c[2][i], c[3][i], c[4][i], c[5][i]]);
                for j in 0..WINDOW {
                    let place = (i * WINDOW + j) * self.step + tile * LANES;
                    line[j].store(self.output[place..].first_chunk_mut().expect("lengths were checked"));
                }
            }
        }
    }
}

/// The constants of the input transform in registers.
struct InputConstants<V> {
    two: V,
    minus_four: V,
    minus_five: V,
}

impl<V: Lanes> InputConstants<V> {
    /// `B'`: rows (4 0 -5 0 1 0), (0 -4 -4 1 1 0), (0 4 -4 -1 1 0), (0 -2 -1 2 1 0), (0 2 -1 -2 1 0), (0 4 0 -5 0 1).
    #[inline(always)]
    fn transform(&self, d: [V; WINDOW]) -> [V; WINDOW] {
        let even = d[2].mul_add(self.minus_four, d[4]);
        let odd = d[1].mul_add(self.minus_four, d[3]);
        let far_even = d[4].sub(d[2]);
        let far_odd = d[3].sub(d[1]).mul(self.two);
        [
            d[2].mul_add(self.minus_five, d[4]).sub(d[0].mul(self.minus_four)),
            even.add(odd),
            even.sub(odd),
            far_even.add(far_odd),
            far_even.sub(far_odd),
            d[3].mul_add(self.minus_five, d[5]).sub(d[1].mul(self.minus_four)),
        ]
    }
}

/// Makes the outputs of a run of tiles beside each other out of their products: `A' m A`, bias and activation.
pub(crate) struct OutputTiles<'a> {
    /// The first tile at the first position, tiles behind each other.
    pub(crate) products: &'a [f32],
    /// Floats from one position to the next.
    pub(crate) step: usize,
    pub(crate) tiles: usize,
    pub(crate) bias: &'a [f32; LANES],
    pub(crate) activation: Activation,
    /// Each begins at the first column of the first tile.
    pub(crate) rows: [&'a mut [f32]; TILE],
}

impl Job for OutputTiles<'_> {
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        // SAFETY: the caller has the instruction set of `V`.
        let bias = unsafe { V::load(self.bias) };
        // SAFETY: as above.
        let constants = unsafe { OutputConstants { two: V::splat(2.0), four: V::splat(4.0), eight: V::splat(8.0) } };
        for tile in 0..self.tiles {
            // Macros and written out as above.
            macro_rules! load {
                ($i:literal, $j:expr) => {{
                    let products = self.products[($i * WINDOW + $j) * self.step + tile * LANES..].first_chunk();
                    // SAFETY: as above.
                    unsafe { V::load(products.expect("lengths were checked")) }
                }};
            }
            macro_rules! column {
                ($j:literal) => {
                    constants.transform([
                        load!(0, $j),
                        load!(1, $j),
                        load!(2, $j),
                        load!(3, $j),
                        load!(4, $j),
                        load!(5, $j),
                    ])
                };
            }
            let c = [column!(0), column!(1), column!(2), column!(3), column!(4), column!(5)];
            for y in 0..TILE {
                let line = constants.transform([c[0][y], c[1][y], c[2][y], c[3][y], c[4][y], c[5][y]]);
                for x in 0..TILE {
                    // SAFETY: as above.
                    let value = unsafe { activate(line[x].add(bias), self.activation) };
                    let voxel = self.rows[y][(tile * TILE + x) * LANES..].first_chunk_mut();
                    value.store(voxel.expect("lengths were checked"));
                }
            }
        }
    }
}

/// The constants of the output transform in registers.
struct OutputConstants<V> {
    two: V,
    four: V,
    eight: V,
}

impl<V: Lanes> OutputConstants<V> {
    /// `A'`: rows (1 1 1 1 1 0), (0 1 -1 2 -2 0), (0 1 1 4 4 0), (0 1 -1 8 -8 1).
    #[inline(always)]
    fn transform(&self, m: [V; WINDOW]) -> [V; TILE] {
        let (near, near_odd) = (m[1].add(m[2]), m[1].sub(m[2]));
        let (far, far_odd) = (m[3].add(m[4]), m[3].sub(m[4]));
        [
            m[0].add(near).add(far),
            far_odd.mul_add(self.two, near_odd),
            far.mul_add(self.four, near),
            far_odd.mul_add(self.eight, near_odd).add(m[5]),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{Kernel, KernelSet, available_kernels};

    /// One tile of one channel against the sum it stands for, exact in `f64`.
    #[test]
    fn a_tile_is_a_convolution() {
        let tap = |row: usize, column: usize| [[0.5, -1.0, 0.25], [2.0, 0.125, -0.75], [1.5, 0.0, -0.5]][row][column];
        let image = |y: usize, x: usize| ((y * 7 + x * 5) % 11) as f32 - 4.0;
        let filter = transform_filter(tap);
        let rows: Vec<Vec<f32>> =
            (0..WINDOW).map(|y| (0..WINDOW).flat_map(|x| [image(y, x); LANES]).collect()).collect();
        for status in available_kernels().into_iter().filter(|status| status.is_available()) {
            let kernels = KernelSet::new(status.kernel).unwrap();
            let mut products = vec![0.0; POSITIONS * LANES];
            let rows = std::array::from_fn(|y| rows[y].as_slice());
            kernels.winograd_input(InputTiles { rows, tiles: 1, output: &mut products, step: LANES });
            for (products, filter) in products.chunks_exact_mut(LANES).zip(filter) {
                products.iter_mut().for_each(|value| *value *= filter);
            }
            let mut outputs = [[0.0; TILE * LANES]; TILE];
            kernels.winograd_output(OutputTiles {
                products: &products,
                step: LANES,
                tiles: 1,
                bias: &[10.0; LANES],
                activation: Activation::None,
                rows: outputs.each_mut().map(|row| row.as_mut_slice()),
            });
            for y in 0..TILE {
                for x in 0..TILE {
                    let taps = (0..9).map(|i| f64::from(tap(i / 3, i % 3)) * f64::from(image(y + i / 3, x + i % 3)));
                    let expected = 10.0 + taps.sum::<f64>();
                    for lane in 0..LANES {
                        let found = f64::from(outputs[y][x * LANES + lane]);
                        assert!((found - expected).abs() < 1e-4, "{:?}: {found} not {expected}", kernels.kernel());
                    }
                }
            }
        }
        assert_ne!(KernelSet::new(Kernel::Auto).unwrap().kernel(), Kernel::Auto);
    }
}
