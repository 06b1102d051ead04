//! 3 x 3 convolutions by Winograd's products (see the kernels' module of the same name).
//!
//! Tiles are worked on in chunks that fit the cache: their inputs are transformed once, then for every group of output
//! channels each of the 36 positions is a small matrix product, which is what the row kernels compute when the tiles
//! are taken for columns. With depth, the transformed slices of a chunk are kept in a ring while its outputs climb
//! through the volume, so every input is transformed once for all kernel slices.

use super::execute::{RowTask, Scratch, Workers, input_blocks};
use super::filter::RawFilter;
use super::layout::{Layout, View};
use super::program::{Conv, Window};
use crate::kernels::{
    Activation, InputTiles, KernelSet, LANES, MAX_GROUP, OutputTiles, POSITIONS, RowJob, TILE, Tap, WINDOW,
};

/// Tiles computed together: enough that weights are used often once they are in a register's reach, few enough that
/// inputs and products stay in the second-level cache for the usual channel counts. 32 to 96 were tried; flat.
const CHUNK: usize = 64;

/// Fewest input channels for which the products saved outweigh the transforms: 8 gained, 4 lost (Zen 4).
const INPUT_CHANNELS_MIN: usize = 8;

/// Whether a convolution is computed by Winograd's products when the fastest way is asked for: 3 x 3 in the plane, step
/// 1, padded to keep its size, at least eight channels to read. Any depth.
pub(crate) fn pays(window: &Window, filter: &RawFilter) -> bool {
    let &Window { kernel, stride, padding, dilation } = window;
    kernel[1..] == [3, 3]
        && stride == [1; 3]
        && dilation == [1; 3]
        && padding[1..] == [1, 1]
        && filter.splits == 1
        && filter.inputs >= INPUT_CHANNELS_MIN
}

/// Where inputs and products of a chunk lie in the scratch memory.
#[derive(Clone, Copy)]
struct Places {
    input_blocks: usize,
    /// Most tiles of a chunk.
    tiles: usize,
    /// Floats from one position of the transformed inputs to the next.
    input_step: usize,
    /// Floats of one transformed slice.
    slice_len: usize,
    /// Floats from one position of the products to the next.
    product_step: usize,
}

impl Places {
    fn new(input_blocks: usize, layout: Layout) -> Self {
        let per_slice = layout.size[1].div_ceil(TILE) * layout.size[2].div_ceil(TILE);
        let tiles = per_slice.min(CHUNK);
        // One voxel more than needed: steps of a power of two would send all positions to the same lines of the cache.
        let input_step = (input_blocks * tiles + 1) * LANES;
        let product_step = (MAX_GROUP * tiles + 1) * LANES;
        Self { input_blocks, tiles, input_step, slice_len: POSITIONS * input_step, product_step }
    }

    fn len(&self, kernel_slices: usize) -> usize {
        kernel_slices * self.slice_len + POSITIONS * self.product_step
    }
}

/// Floats of scratch memory that a thread needs for a convolution.
pub(crate) fn scratch_len(conv: &Conv, layout: Layout) -> usize {
    Places::new(conv.filter.block_channels.len(), layout).len(conv.window.kernel[0])
}

/// The whole convolution, without its instance normalisation.
pub(crate) fn convolve(
    (kernels, workers): (KernelSet, Workers<'_>),
    conv: &Conv,
    inputs: &[View<'_>],
    (layout, output): (Layout, &mut [f32]),
    scratch: &Scratch,
) {
    let tasks = tasks(output, layout, conv, workers);
    let places = Places::new(conv.filter.block_channels.len(), layout);
    let zeros = vec![0.0; inputs.iter().map(|view| view.layout.row_len()).max().unwrap_or(0)];
    workers.for_each(tasks, |task| {
        scratch.with(|scratch| {
            let (transformed, products) = scratch.split_at_mut(conv.window.kernel[0] * places.slice_len);
            let step = Step { kernels, conv, inputs, layout, places, zeros: &zeros };
            step.run(task, transformed, products);
        });
    });
}

/// Cuts an output into tasks of whole tile rows of one slice, or of whole slices; of few channels only where there is
/// too little else to share, because every task transforms its inputs again.
fn tasks<'a>(output: &'a mut [f32], layout: Layout, conv: &Conv, workers: Workers<'_>) -> Vec<RowTask<'a>> {
    let [slices, rows, columns] = layout.size;
    let (unit, units, least) = match slices {
        1 => (TILE, rows.div_ceil(TILE), (CHUNK / 2).div_ceil(columns.div_ceil(TILE))),
        // Each end of a task costs half a kernel of transformed slices.
        _ => (rows, slices, 4 * conv.window.kernel[0]),
    };
    let wanted = workers.tasks_wanted();
    let row_parts = (units / least).clamp(1, wanted);
    let group_parts = (wanted / row_parts).clamp(1, conv.filter.groups.len());
    let rows_per_task = units.div_ceil(row_parts) * unit;
    let groups = &conv.filter.groups;
    let bundles: Vec<_> = (0..group_parts)
        .map(|part| groups.len() * part / group_parts..groups.len() * (part + 1) / group_parts)
        .collect();
    super::execute::row_tasks(output, layout, groups, &bundles, rows_per_task)
}

/// Tiles beside each other in one tile row: `[tile row, first tile, tiles, first place in the chunk]`.
fn runs(first: usize, end: usize, per_row: usize) -> impl Iterator<Item = [usize; 4]> {
    let mut next = first;
    std::iter::from_fn(move || {
        let (row, column) = (next / per_row, next % per_row);
        let tiles = (per_row - column).min(end - next);
        let run = [row, column, tiles, next - first];
        next += tiles;
        (tiles > 0).then_some(run)
    })
}

struct Step<'a> {
    kernels: KernelSet,
    conv: &'a Conv,
    inputs: &'a [View<'a>],
    layout: Layout,
    places: Places,
    /// A row outside the input.
    zeros: &'a [f32],
}

impl Step<'_> {
    fn run(&self, mut task: RowTask<'_>, transformed: &mut [f32], products: &mut [f32]) {
        let [_, rows, columns] = self.layout.size;
        let row_len = self.layout.row_len();
        for row in task.blocks.iter_mut().flat_map(|block| block.chunks_exact_mut(row_len)) {
            self.layout.clear_margins(row);
        }
        let task_rows = task.blocks[0].len() / row_len;
        let (first_slice, first_row) = (task.first_row / rows, task.first_row % rows);
        let slices = task_rows.div_ceil(rows);
        let rows_per_slice = task_rows.min(rows);
        let per_row = columns.div_ceil(TILE);
        let first_tile = first_row / TILE * per_row;
        let end = first_tile + rows_per_slice.div_ceil(TILE) * per_row;
        let kernel_slices = self.conv.window.kernel[0];
        for chunk in (first_tile..end).step_by(self.places.tiles) {
            let chunk = chunk..end.min(chunk + self.places.tiles);
            let mut ring = vec![usize::MAX; kernel_slices];
            for slice in 0..slices {
                let under =
                    |dz: usize| self.conv.window.under(0, first_slice + slice, dz, self.inputs[0].layout.size[0]);
                for z in (0..kernel_slices).filter_map(under) {
                    let place = z % kernel_slices;
                    if ring[place] != z {
                        ring[place] = z;
                        let target = &mut transformed[place * self.places.slice_len..][..self.places.slice_len];
                        self.transform(z, chunk.clone(), target);
                    }
                }
                let mut first_block = task.first_block;
                let mut blocks = task.blocks.as_mut_slice();
                for group in task.groups.clone() {
                    let (of_group, after) = blocks.split_at_mut(self.conv.filter.groups[group]);
                    self.multiply(group, under, transformed, chunk.len(), products);
                    for (place, block) in of_group.iter_mut().enumerate() {
                        let products = &products[place * chunk.len() * LANES..];
                        let rows = &mut block[slice * rows * row_len..][..rows_per_slice * row_len];
                        let bias = self.conv.filter.bias[(first_block + place) * LANES..].first_chunk();
                        let bias = bias.expect("one value per lane of every block");
                        self.finish(products, bias, (chunk.start, chunk.end), first_row / TILE, rows);
                    }
                    first_block += of_group.len();
                    blocks = after;
                }
            }
        }
    }

    /// Transforms the inputs of a chunk in one slice, as `[position][input block][tile][lane]`.
    fn transform(&self, slice: usize, chunk: std::ops::Range<usize>, target: &mut [f32]) {
        let per_row = self.layout.size[2].div_ceil(TILE);
        for (index, (view, block)) in input_blocks(self.inputs).enumerate() {
            let [_, rows, columns] = view.layout.size;
            let left = view.layout.margin[0] - 1;
            // Tiles whose window lies within the row and its margins.
            let whole = (left + columns + view.layout.margin[1]).saturating_sub(WINDOW - TILE) / TILE;
            for [tile_row, first, tiles, place] in runs(chunk.start, chunk.end, per_row) {
                let lines: [&[f32]; WINDOW] = std::array::from_fn(|i| match (tile_row * TILE + i).checked_sub(1) {
                    Some(row) if row < rows => view.row(block, slice, row),
                    _ => self.zeros,
                });
                let at = |first: usize| lines.map(|line| &line[((left + first * TILE) * LANES).min(line.len())..]);
                let target = &mut target[(index * chunk.len() + place) * LANES..];
                let step = self.places.input_step;
                let direct = tiles.min(whole.saturating_sub(first));
                let rows = at(first);
                self.kernels.winograd_input(InputTiles { rows, tiles: direct, output: target, step });
                for tile in direct..tiles {
                    let mut window = [[0.0; WINDOW * LANES]; WINDOW];
                    for (copy, line) in window.iter_mut().zip(at(first + tile)) {
                        let len = copy.len().min(line.len());
                        copy[..len].copy_from_slice(&line[..len]);
                    }
                    let rows = window.each_ref().map(|line| line.as_slice());
                    let output = &mut target[tile * LANES..];
                    self.kernels.winograd_input(InputTiles { rows, tiles: 1, output, step });
                }
            }
        }
    }

    /// The products of a group of output channels, as `[position][block of the group][tile][lane]`.
    fn multiply(
        &self,
        group: usize,
        under: impl Fn(usize) -> Option<usize>,
        transformed: &[f32],
        tiles: usize,
        products: &mut [f32],
    ) {
        let filter = &self.conv.filter;
        let kernel_slices = self.conv.window.kernel[0];
        let blocks = filter.groups[group];
        let per_channel = blocks * LANES;
        let mut weights = &filter.weights[filter.starts[group]..];
        let mut taps = Vec::with_capacity(kernel_slices * self.places.input_blocks);
        for position in 0..POSITIONS {
            taps.clear();
            for dz in 0..kernel_slices {
                let slice = under(dz).map(|z| {
                    &transformed[z % kernel_slices * self.places.slice_len + position * self.places.input_step..]
                });
                for (index, &channels) in filter.block_channels.iter().enumerate() {
                    let (weights_here, after) = weights.split_at(channels * per_channel);
                    weights = after;
                    if let Some(slice) = slice {
                        let input = &slice[index * tiles * LANES..][..tiles * LANES];
                        taps.push(Tap { input, channels, weights: weights_here });
                    }
                }
            }
            let job = RowJob {
                taps: &taps,
                width: tiles,
                column_step: LANES,
                output_step: LANES,
                bias: &[0.0; MAX_GROUP * LANES],
                activation: Activation::None,
            };
            let mut rest = &mut products[position * self.places.product_step..];
            let mut outputs: [&mut [f32]; MAX_GROUP] = Default::default();
            for output in &mut outputs[..blocks] {
                let (row, after) = rest.split_at_mut(tiles * LANES);
                (*output, rest) = (row, after);
            }
            self.kernels.convolve_row(&job, &mut outputs[..blocks]);
        }
    }

    /// Turns the products of one block into outputs. `rows` are its rows in this slice, from tile row `first_tile_row`.
    fn finish(
        &self,
        products: &[f32],
        bias: &[f32; LANES],
        (start, end): (usize, usize),
        first_tile_row: usize,
        rows: &mut [f32],
    ) {
        let columns = self.layout.size[2];
        let row_len = self.layout.row_len();
        let step = self.places.product_step;
        let activation = if self.conv.norm.is_some() { Activation::None } else { self.conv.activation };
        for [tile_row, first, tiles, place] in runs(start, end, columns.div_ceil(TILE)) {
            let mut lines = rows[(tile_row - first_tile_row) * TILE * row_len..].chunks_mut(row_len).take(TILE);
            let mut rows: [&mut [f32]; TILE] = std::array::from_fn(|_| match lines.next() {
                Some(line) => &mut line[self.layout.columns()][first * TILE * LANES..],
                None => &mut [],
            });
            let products = &products[place * LANES..];
            let whole = if rows[TILE - 1].is_empty() { 0 } else { tiles.min(columns / TILE - first) };
            let shared = rows.each_mut().map(|row| &mut **row);
            let job = OutputTiles { products, step, tiles: whole, bias, activation, rows: shared };
            self.kernels.winograd_output(job);
            for tile in whole..tiles {
                let mut outputs = [[0.0; TILE * LANES]; TILE];
                let shared = outputs.each_mut().map(|row| row.as_mut_slice());
                let products = &products[tile * LANES..];
                self.kernels.winograd_output(OutputTiles { products, step, tiles: 1, bias, activation, rows: shared });
                for (row, output) in rows.iter_mut().zip(&outputs).filter(|(row, _)| !row.is_empty()) {
                    let row = &mut row[tile * TILE * LANES..];
                    let len = row.len().min(output.len());
                    row[..len].copy_from_slice(&output[..len]);
                }
            }
        }
    }
}
