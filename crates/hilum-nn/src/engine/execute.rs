//! Runs the steps of a program on one input.
//!
//! Work is cut into tasks of whole output rows. Every row is computed by one task in one fixed order, so the result does
//! not depend on how many threads share the tasks.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::direct;
use super::layout::{Layout, View};
use super::plan::ExecutionPlan;
use super::pointwise::{add, concatenate, global_average, max_pool, normalise_in_place, pointwise};
use super::program::{Method, Program, Step, Value, Work};
use super::{reduced, winograd};
use crate::kernels::{KernelSet, MAX_GROUP};

/// Who does the tasks of a step.
#[derive(Clone, Copy)]
pub(crate) enum Workers<'a> {
    /// The calling thread, because every thread has an input of its own or there is only one.
    Caller,
    /// All threads of a pool together.
    Pool(&'a rayon::ThreadPool),
}

impl Workers<'_> {
    /// Runs `work` on every task; in any order, unless one thread does them all.
    pub(crate) fn for_each<T: Send>(self, tasks: Vec<T>, work: impl Fn(T) + Sync + Send) {
        match self {
            Workers::Caller => tasks.into_iter().for_each(work),
            Workers::Pool(pool) => {
                use rayon::prelude::*;
                pool.install(|| tasks.into_par_iter().with_max_len(1).for_each(work));
            }
        }
    }

    /// Tasks to cut a step into: several for each thread, so that a slow one does not hold up the rest.
    pub(crate) fn tasks_wanted(self) -> usize {
        match self {
            Workers::Caller => 1,
            Workers::Pool(pool) => 4 * pool.current_num_threads(),
        }
    }

    /// Rows to give to a task when there are `rows` rows in each of `stacks` independent stacks: several tasks for
    /// each thread, so that a slow one does not hold up the rest, but not so many that starting them shows.
    pub(crate) fn rows_per_task(self, rows: usize, stacks: usize) -> usize {
        match self {
            Workers::Caller => rows.max(1),
            Workers::Pool(pool) => {
                let tasks_per_stack = (8 * pool.current_num_threads()).div_ceil(stacks.max(1));
                rows.div_ceil(tasks_per_stack).max(1)
            }
        }
    }
}

/// Memory that a task may use and leave in any state, one piece for each thread.
pub(crate) struct Scratch(Vec<Mutex<Vec<f32>>>);

impl Scratch {
    fn new(len: usize, threads: usize) -> Self {
        Self((0..threads).map(|_| Mutex::new(vec![0.0; len])).collect())
    }

    /// Lends the piece of this thread. A thread of another pool takes the first, which is then its alone.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut [f32]) -> R) -> R {
        let thread = rayon::current_thread_index().unwrap_or(0) % self.0.len();
        work(&mut self.0[thread].lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The buffers of one plan, reused from input to input.
pub(crate) struct Workspace {
    pub(crate) buffers: Vec<Vec<f32>>,
    scratch: Scratch,
    /// Inputs of the convolutions with small numbers.
    words: Vec<u32>,
}

impl Workspace {
    pub(crate) fn new(plan: &ExecutionPlan) -> Self {
        Self {
            buffers: plan.buffer_lens.iter().map(|&len| vec![0.0; len]).collect(),
            scratch: Scratch::new(plan.scratch_len, plan.threads),
            words: vec![0; plan.words_len],
        }
    }
}

/// Computes the output of the network for one `[channel][slice][row][column]` input. `watch` sees what each step reads.
pub(crate) fn run(
    program: &Program,
    plan: &ExecutionPlan,
    (kernels, workers): (KernelSet, Workers<'_>),
    workspace: &mut Workspace,
    (input, output): (&[f32], &mut [f32]),
    mut watch: impl FnMut(&Step, &[View<'_>]),
) {
    plan.layouts[0].pack(input, &mut workspace.buffers[plan.buffers[0]], workers);
    for step in &program.steps {
        let place = plan.buffers[step.output.0];
        // Taken out for the step: the plan never lets a step write a buffer it reads.
        let mut target = std::mem::take(&mut workspace.buffers[place]);
        let view = |value: &Value| {
            let layout = plan.layouts[value.0];
            View { layout, data: &workspace.buffers[plan.buffers[value.0]][..layout.len()] }
        };
        let inputs: Vec<View<'_>> = step.inputs.iter().map(view).collect();
        watch(step, &inputs);
        let layout = plan.layouts[step.output.0];
        let output = (layout, &mut target[..layout.len()]);
        run_step(step, (kernels, workers), &inputs, output, (&workspace.scratch, &mut workspace.words));
        workspace.buffers[place] = target;
    }
    let result = program.output.0;
    plan.layouts[result].unpack(&workspace.buffers[plan.buffers[result]], output, workers);
}

fn run_step(
    step: &Step,
    (kernels, workers): (KernelSet, Workers<'_>),
    inputs: &[View<'_>],
    (layout, output): (Layout, &mut [f32]),
    (scratch, words): (&Scratch, &mut [u32]),
) {
    match &step.work {
        Work::Conv(conv) => {
            match conv.method {
                Method::Winograd => {
                    winograd::convolve((kernels, workers), conv, inputs, (layout, &mut *output), scratch);
                }
                Method::Direct => {
                    let tasks = direct_tasks(output, layout, &conv.filter.groups, workers);
                    workers.for_each(tasks, |task| direct::convolve(kernels, conv, inputs, layout, task));
                }
                Method::Depthwise => {
                    let tasks = direct_tasks(output, layout, &conv.filter.groups, workers);
                    workers.for_each(tasks, |task| direct::convolve_depthwise(kernels, conv, inputs[0], layout, task));
                }
            }
            if let Some(norm) = &conv.norm {
                normalise_in_place((kernels, workers), norm, conv.activation, layout, output);
            }
        }
        Work::Reduced(conv) => {
            reduced::convolve((kernels, workers), conv, inputs, (layout, &mut *output), words);
            if let Some(norm) = &conv.norm {
                normalise_in_place((kernels, workers), norm, conv.activation, layout, output);
            }
        }
        Work::ConvTranspose(conv) => {
            let tasks = direct_tasks(output, layout, &conv.filter.groups, workers);
            workers.for_each(tasks, |task| direct::convolve_transposed(kernels, conv, inputs, layout, task));
        }
        Work::Pointwise(layer) => pointwise((kernels, workers), layer, inputs[0], layout, output),
        Work::MaxPool { size } => max_pool((kernels, workers), *size, inputs[0], layout, output),
        Work::Concat => concatenate(workers, inputs, layout, output),
        Work::Add(activation) => add(workers, *activation, inputs, layout, output),
        Work::GlobalAverage => global_average(workers, inputs[0], layout, output),
    }
}

/// Some rows of the blocks of some groups.
pub(crate) struct RowTask<'a> {
    pub(crate) groups: Range<usize>,
    /// The first block of the first group.
    pub(crate) first_block: usize,
    /// Counted over all slices.
    pub(crate) first_row: usize,
    /// For each block of the groups, its rows one after another with their margins.
    pub(crate) blocks: Vec<&'a mut [f32]>,
}

/// Cuts an output into tasks that write disjoint rows, each for one of the `bundles` of groups.
pub(crate) fn row_tasks<'a>(
    output: &'a mut [f32],
    layout: Layout,
    groups: &[usize],
    bundles: &[Range<usize>],
    rows: usize,
) -> Vec<RowTask<'a>> {
    let mut blocks = output.chunks_exact_mut(layout.block_len());
    let mut tasks = Vec::new();
    let mut first_block = 0;
    for bundle in bundles {
        let count: usize = groups[bundle.clone()].iter().sum();
        let mut parts: Vec<_> =
            blocks.by_ref().take(count).map(|block| block.chunks_mut(rows * layout.row_len())).collect();
        for first_row in (0..layout.rows()).step_by(rows) {
            let blocks = parts.iter_mut().map(|part| part.next().expect("all blocks have the same rows")).collect();
            tasks.push(RowTask { groups: bundle.clone(), first_block, first_row, blocks });
        }
        first_block += count;
    }
    tasks
}

/// Tasks of one group each.
pub(crate) fn direct_tasks<'a>(
    output: &'a mut [f32],
    layout: Layout,
    groups: &[usize],
    workers: Workers<'_>,
) -> Vec<RowTask<'a>> {
    let rows = workers.rows_per_task(layout.rows(), groups.len());
    let bundles: Vec<_> = (0..groups.len()).map(|group| group..group + 1).collect();
    row_tasks(output, layout, groups, &bundles, rows)
}

impl RowTask<'_> {
    /// Calls `compute` for every row with its index and one slice per block, margins already cleared.
    pub(crate) fn for_each_row(self, layout: Layout, mut compute: impl FnMut(usize, &mut [&mut [f32]])) {
        let count = self.blocks.len();
        let mut parts: Vec<_> = self.blocks.into_iter().map(|block| block.chunks_exact_mut(layout.row_len())).collect();
        let mut row_index = self.first_row;
        loop {
            let mut rows: [&mut [f32]; MAX_GROUP] = Default::default();
            for (row, part) in rows.iter_mut().zip(&mut parts) {
                let Some(next) = part.next() else { return };
                *row = next;
                layout.clear_margins(row);
            }
            compute(row_index, &mut rows[..count]);
            row_index += 1;
        }
    }
}

/// The blocks of all inputs in the order the weights have them.
pub(crate) fn input_blocks<'a>(inputs: &[View<'a>]) -> impl Iterator<Item = (View<'a>, usize)> {
    inputs.iter().flat_map(|&view| (0..view.layout.blocks()).map(move |block| (view, block)))
}
