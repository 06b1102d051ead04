//! How activations lie in memory: `[block][slice][row][column][lane]`, sixteen channels to a block.
//!
//! A row carries a margin of zero columns on either side, as wide as the convolutions reading it need; rows and slices
//! outside the value are simply left out by the reader. Whoever writes a row writes its margins too, so buffers can be
//! reused without clearing.

use super::execute::Workers;
use crate::kernels::LANES;

/// Shape of one value in a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) channels: usize,
    /// `[slice, row, column]`.
    pub(crate) size: [usize; 3],
    /// Zero columns left and right of every row.
    pub(crate) margin: [usize; 2],
}

impl Layout {
    pub(crate) fn blocks(&self) -> usize {
        self.channels.div_ceil(LANES)
    }

    /// Rows of one block, over all slices.
    pub(crate) fn rows(&self) -> usize {
        self.size[0] * self.size[1]
    }

    /// Floats of one row with its margins.
    pub(crate) fn row_len(&self) -> usize {
        (self.margin[0] + self.size[2] + self.margin[1]) * LANES
    }

    /// Floats of one block.
    pub(crate) fn block_len(&self) -> usize {
        self.rows() * self.row_len()
    }

    /// Floats of the whole value.
    pub(crate) fn len(&self) -> usize {
        self.blocks() * self.block_len()
    }

    /// Floats before the first column of a row.
    pub(crate) fn first_column(&self) -> usize {
        self.margin[0] * LANES
    }

    /// The columns of a row without its margins, as a range of floats.
    pub(crate) fn columns(&self) -> std::ops::Range<usize> {
        self.first_column()..self.first_column() + self.size[2] * LANES
    }

    /// Zeroes the margins of a row.
    pub(crate) fn clear_margins(&self, row: &mut [f32]) {
        let columns = self.columns();
        row[..columns.start].fill(0.0);
        row[columns.end..].fill(0.0);
    }

    /// Writes a value given as `[channel][slice][row][column]`.
    pub(crate) fn pack(&self, planar: &[f32], blocked: &mut [f32], workers: Workers<'_>) {
        let (rows, width) = (self.rows(), self.size[2]);
        let rows_per_task = workers.rows_per_task(rows, self.blocks());
        let mut tasks = Vec::new();
        for (block, blocked) in blocked[..self.len()].chunks_exact_mut(self.block_len()).enumerate() {
            for (part, blocked) in blocked.chunks_mut(rows_per_task * self.row_len()).enumerate() {
                tasks.push((block * LANES, part * rows_per_task, blocked));
            }
        }
        workers.for_each(tasks, |(first, first_row, blocked)| {
            let channels = LANES.min(self.channels - first);
            for (r, row) in (first_row..).zip(blocked.chunks_exact_mut(self.row_len())) {
                self.clear_margins(row);
                let (voxels, _) = row[self.columns()].as_chunks_mut::<LANES>();
                // Sixteen columns of a channel at a time: channels often lie powers of two apart, where lines of the cache
                // push one another out.
                for (x, voxels) in voxels.chunks_mut(LANES).enumerate() {
                    for lane in 0..LANES {
                        if lane >= channels {
                            voxels.iter_mut().for_each(|voxel| voxel[lane] = 0.0);
                            continue;
                        }
                        let values = &planar[((first + lane) * rows + r) * width + x * LANES..][..voxels.len()];
                        voxels.iter_mut().zip(values).for_each(|(voxel, value)| voxel[lane] = *value);
                    }
                }
            }
        });
    }

    /// Reads a value into `[channel][slice][row][column]`.
    pub(crate) fn unpack(&self, blocked: &[f32], planar: &mut [f32], workers: Workers<'_>) {
        let (rows, width) = (self.rows(), self.size[2]);
        let rows_per_task = workers.rows_per_task(rows, self.blocks());
        let mut tasks = Vec::new();
        for (planar, blocked) in planar.chunks_mut(LANES * rows * width).zip(blocked.chunks_exact(self.block_len())) {
            let mut planes: Vec<_> =
                planar.chunks_exact_mut(rows * width).map(|plane| plane.chunks_mut(rows_per_task * width)).collect();
            for blocked in blocked.chunks(rows_per_task * self.row_len()) {
                let parts = planes.iter_mut().map(|plane| plane.next().expect("all have the same rows"));
                tasks.push((blocked, parts.collect::<Vec<_>>()));
            }
        }
        workers.for_each(tasks, |(blocked, mut planes)| {
            for (r, row) in blocked.chunks_exact(self.row_len()).enumerate() {
                let (voxels, _) = row[self.columns()].as_chunks::<LANES>();
                // As in `pack`.
                for (x, voxels) in voxels.chunks(LANES).enumerate() {
                    for (lane, plane) in planes.iter_mut().enumerate() {
                        let values = &mut plane[r * width + x * LANES..][..voxels.len()];
                        values.iter_mut().zip(voxels).for_each(|(value, voxel)| *value = voxel[lane]);
                    }
                }
            }
        });
    }
}

/// A value to read.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) layout: Layout,
    pub(crate) data: &'a [f32],
}

impl<'a> View<'a> {
    /// One row with its margins.
    pub(crate) fn row(&self, block: usize, slice: usize, row: usize) -> &'a [f32] {
        let index = block * self.layout.rows() + slice * self.layout.size[1] + row;
        &self.data[index * self.layout.row_len()..][..self.layout.row_len()]
    }

    /// Lowest and highest finite value; 0 and 0 if there is none.
    pub(crate) fn range(&self) -> [f32; 2] {
        let columns = self.layout.columns();
        let voxels = self.data.chunks_exact(self.layout.row_len()).flat_map(|row| &row[columns.clone()]);
        // Lanes without a channel are 0 and so in the range.
        voxels.filter(|value| value.is_finite()).fold([0.0, 0.0], |[low, high], &v| [low.min(v), high.max(v)])
    }
}
