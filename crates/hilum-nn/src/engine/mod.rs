//! The CPU engine: a network made ready once, run on as many inputs as there are.

mod direct;
mod execute;
mod filter;
mod layout;
mod plan;
mod pointwise;
mod precision;
mod program;
mod reduced;
mod winograd;

use std::sync::{Arc, Mutex, PoisonError};

pub use plan::ExecutionPlan;
pub use precision::{Calibration, Precision};

use crate::graph::{Graph, GraphError};
use crate::kernels::{Kernel, KernelSet};
use crate::weights::{Weights, WeightsError};
pub(crate) use execute::Workers;
use execute::{Workspace, run};
pub(crate) use layout::Layout;
use program::{Choices, Program};

/// How convolutions may be computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Algorithm {
    /// Winograd's F(4 x 4, 3 x 3) for 3 x 3 convolutions (also those with depth) of step 1 that read at least eight
    /// channels: a quarter of the multiplications, four times the memory for these weights. Logits differ from the
    /// exact ones by some 1e-6 to 1e-5 of the largest. Everything else as in `Exact`.
    #[default]
    Fastest,
    /// Every convolution is the sum of products that defines it.
    Exact,
}

/// How an [`Engine`] runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineOptions {
    /// Threads that share the work; 0 takes as many as the machine offers. The result does not depend on it.
    pub threads: usize,
    /// Which kernels to use. The result depends on it in the last bits only.
    pub kernel: Kernel,
    /// How convolutions may be computed.
    pub algorithm: Algorithm,
    /// Which numbers convolutions compute with. Anything but `f32` changes the logits visibly.
    pub precision: Precision,
    /// Most memory for intermediate values, in bytes. Fewer inputs are computed side by side to stay below it, and a
    /// size that needs more for a single input is refused. `None` sets no limit.
    pub memory_limit_bytes: Option<usize>,
}

/// Why a network cannot run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The weights do not belong to the network.
    #[error("the weights do not fit the network")]
    Weights(#[from] WeightsError),
    /// The layers do not fit together.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The kernels asked for need another processor.
    #[error("the {kernel} kernels cannot run here: {reason}")]
    KernelUnavailable {
        /// Name of the kernels.
        kernel: &'static str,
        /// What is missing.
        reason: &'static str,
    },
    /// Small numbers that this processor, or the kernels asked for, cannot compute with.
    #[error("{precision:?} cannot be computed with here: {reason}")]
    PrecisionUnavailable {
        /// What was asked for.
        precision: Precision,
        /// What is missing.
        reason: &'static str,
    },
    /// 8-bit integers need to know the range of what every convolution reads.
    #[error("layer `{layer}` is not calibrated for 8-bit integers")]
    NotCalibrated {
        /// Layer name.
        layer: String,
    },
    /// The threads could not be started.
    #[error("the worker threads could not be started")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// An axis without voxels.
    #[error("an input of {size:?} voxels [slices, rows, columns] is empty")]
    EmptyInput {
        /// `[slices, rows, columns]`.
        size: [usize; 3],
    },
    /// The layers would not divide evenly.
    #[error("an input of {size:?} voxels [slices, rows, columns] must be a multiple of {divisor:?}")]
    NotDivisible {
        /// `[slices, rows, columns]`.
        size: [usize; 3],
        /// What each must be a multiple of.
        divisor: [usize; 3],
    },
    /// More than one slice for a two-dimensional network.
    #[error("a two-dimensional network reads one slice at a time, not {slices}")]
    SlicesInTwoDims {
        /// Slices given.
        slices: usize,
    },
    /// The input has another number of channels than the network.
    #[error("the network reads {expected} channel(s), the input has {found}")]
    Channels {
        /// What the network reads.
        expected: usize,
        /// What was given.
        found: usize,
    },
    /// The values given are more or fewer than the shape says.
    #[error("an input of this shape has {expected} values, {found} were given")]
    Length {
        /// What the shape says.
        expected: usize,
        /// What was given.
        found: usize,
    },
    /// One input needs more memory than allowed.
    #[error("an input of this size needs {needed} bytes for intermediate values, {limit} are allowed")]
    MemoryLimit {
        /// Bytes needed.
        needed: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// A classifier says nothing about single voxels.
    #[error("the network classifies whole inputs, it has no logits for single voxels")]
    Classifier,
    /// Another runtime failed while it ran the network.
    #[error("{runtime} could not run the network: {reason}")]
    Runtime {
        /// Its name.
        runtime: &'static str,
        /// What it said.
        reason: String,
    },
}

/// A network with its weights, ready to run on this processor.
///
/// It can be shared between threads; runs at the same time share its worker threads.
#[derive(Debug)]
pub struct Engine {
    graph: Graph,
    program: Program,
    kernels: KernelSet,
    options: EngineOptions,
    /// `None` if the caller's thread does everything.
    pool: Option<Arc<rayon::ThreadPool>>,
    idle: Mutex<Idle>,
}

/// Workspaces of the size used last, kept so that a series of slices does not allocate for each.
#[derive(Default)]
struct Idle {
    size: [usize; 3],
    workspaces: Vec<Workspace>,
}

impl std::fmt::Debug for Idle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Idle").field("size", &self.size).field("workspaces", &self.workspaces.len()).finish()
    }
}

impl Engine {
    /// Checks the weights against the graph and prepares both for the kernels, with worker threads of its own.
    ///
    /// # Errors
    /// If the weights are not exactly those of the graph, kernels or precision cannot run here, or no threads can be
    /// started. [`Precision::Int8`] needs [`Engine::with_calibration`].
    pub fn new(graph: &Graph, weights: &Weights, options: EngineOptions) -> Result<Self, EngineError> {
        Self::build(graph, weights, options, None, Self::threads_for(options)?)
    }

    /// Like [`Engine::new`], with the ranges of values that [`Precision::Int8`] needs; other precisions ignore them.
    ///
    /// # Errors
    /// As [`Engine::new`]; and if the calibration is of another network.
    pub fn with_calibration(
        graph: &Graph,
        weights: &Weights,
        options: EngineOptions,
        calibration: &Calibration,
    ) -> Result<Self, EngineError> {
        Self::build(graph, weights, options, Some(calibration), Self::threads_for(options)?)
    }

    fn threads_for(options: EngineOptions) -> Result<Option<Arc<rayon::ThreadPool>>, EngineError> {
        let threads = match options.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        match threads {
            1 => Ok(None),
            _ => Ok(Some(Arc::new(rayon::ThreadPoolBuilder::new().num_threads(threads).build()?))),
        }
    }

    /// Like [`Engine::new`], with threads shared with other work; `options.threads` is not looked at.
    ///
    /// # Errors
    /// If the weights are not exactly those of the graph, or kernels or precision cannot run here.
    pub fn with_pool(
        graph: &Graph,
        weights: &Weights,
        options: EngineOptions,
        pool: Arc<rayon::ThreadPool>,
    ) -> Result<Self, EngineError> {
        Self::build(graph, weights, options, None, Some(pool).filter(|pool| pool.current_num_threads() > 1))
    }

    fn build(
        graph: &Graph,
        weights: &Weights,
        options: EngineOptions,
        calibration: Option<&Calibration>,
        pool: Option<Arc<rayon::ThreadPool>>,
    ) -> Result<Self, EngineError> {
        weights.check(graph)?;
        let kernels = KernelSet::new(options.kernel).map_err(|status| EngineError::KernelUnavailable {
            kernel: status.name,
            reason: status.missing.unwrap_or("unknown"),
        })?;
        let EngineOptions { algorithm, precision, .. } = options;
        if let Some(reason) = precision.number().and_then(|number| kernels.missing_for(number)) {
            return Err(EngineError::PrecisionUnavailable { precision, reason });
        }
        let program = Program::new(graph, weights, &Choices { kernels, algorithm, precision, calibration })?;
        Ok(Self { graph: graph.clone(), program, kernels, options, pool, idle: Mutex::default() })
    }

    /// The network.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The kernels in use, never [`Kernel::Auto`].
    pub fn kernel(&self) -> Kernel {
        self.kernels.kernel()
    }

    /// The numbers that convolutions compute with.
    pub fn precision(&self) -> Precision {
        self.options.precision
    }

    /// Threads that share the work.
    pub fn threads(&self) -> usize {
        self.pool.as_ref().map_or(1, |pool| pool.current_num_threads())
    }

    /// Memory of the weights as the kernels read them.
    pub fn weight_bytes(&self) -> usize {
        self.program.weight_bytes()
    }

    /// How an input of `size` `[slices, rows, columns]` would run, and with how much memory.
    ///
    /// # Errors
    /// If an input of this size cannot run: it is empty, not a multiple of [`Graph::size_divisor`], has several slices
    /// for a two-dimensional network, or needs more memory than [`EngineOptions::memory_limit_bytes`].
    pub fn plan(&self, size: [usize; 3]) -> Result<ExecutionPlan, EngineError> {
        if size.contains(&0) {
            return Err(EngineError::EmptyInput { size });
        }
        if self.graph.dims() == crate::Dims::Two && size[0] != 1 {
            return Err(EngineError::SlicesInTwoDims { slices: size[0] });
        }
        let divisor = self.graph.size_divisor();
        if (0..3).any(|axis| !size[axis].is_multiple_of(divisor[axis])) {
            return Err(EngineError::NotDivisible { size, divisor });
        }
        let plan = ExecutionPlan::new(&self.graph, &self.program, size, self.threads());
        match self.options.memory_limit_bytes {
            Some(limit) if plan.memory_bytes() > limit => {
                Err(EngineError::MemoryLimit { needed: plan.memory_bytes(), limit })
            }
            _ => Ok(plan),
        }
    }

    /// Inputs computed side by side when there are many, each on a thread of its own. The memory for intermediate
    /// values is this many times [`ExecutionPlan::memory_bytes`].
    pub fn side_by_side(&self, plan: &ExecutionPlan) -> usize {
        let threads = self.threads();
        match self.options.memory_limit_bytes {
            Some(limit) if plan.memory_bytes() * threads > limit => 1,
            _ => threads,
        }
    }

    /// Logits of `n` inputs.
    ///
    /// `input` is `[n, channel, slice, row, column]` with the sizes of `shape` in this order and the last axis running
    /// fastest; so is the result, with [`Graph::output_channels`] channels and [`Graph::output_size`]. A two-dimensional network takes its slices
    /// along `n`, with one slice each. No inputs give no logits. Values that are not finite are carried through as
    /// arithmetic has it, in convolutions of several groups also to channels of a neighbouring group.
    ///
    /// # Errors
    /// As [`Engine::plan`]; also if `input` does not have the length or the channels that `shape` and graph ask for.
    pub fn run(&self, input: &[f32], shape: [usize; 5]) -> Result<Vec<f32>, EngineError> {
        let size = self.check_input(input, shape)?;
        let plan = self.plan(size)?;
        let output_len = self.output_len(size);
        let mut output = vec![0.0; shape[0] * output_len];
        let inputs = input.chunks_exact(shape[1..].iter().product());
        let outputs = output.chunks_exact_mut(output_len);
        let items: Vec<(&[f32], &mut [f32])> = inputs.zip(outputs).collect();
        self.for_each(&plan, items, |workers, workspace, (input, output)| {
            run(&self.program, &plan, (self.kernels, workers), workspace, (input, output), |_, _| {});
        });
        Ok(output)
    }

    /// Measures the range of what every convolution reads while these inputs are computed, for
    /// [`Engine::with_calibration`]. Inputs as in [`Engine::run`]; some dozen typical ones will do. Values that are not
    /// finite are left out.
    ///
    /// # Errors
    /// As [`Engine::run`].
    pub fn calibrate(&self, input: &[f32], shape: [usize; 5]) -> Result<Calibration, EngineError> {
        let size = self.check_input(input, shape)?;
        let plan = self.plan(size)?;
        let mut workspace = self.take_workspace(&plan);
        let mut output = vec![0.0; self.output_len(size)];
        let mut calibration = Calibration::default();
        let workers = self.pool.as_deref().map_or(Workers::Caller, Workers::Pool);
        for input in input.chunks_exact(shape[1..].iter().product()) {
            let watch = |step: &program::Step, views: &[layout::View<'_>]| {
                if let Some(layer) = &step.layer {
                    views.iter().for_each(|view| calibration.add(layer, view.range()));
                }
            };
            run(&self.program, &plan, (self.kernels, workers), &mut workspace, (input, &mut output), watch);
        }
        self.keep_workspace(&plan, workspace);
        Ok(calibration)
    }

    /// Runs `count` inputs of one size without keeping them or their logits.
    ///
    /// For each index below `count`, `fill` writes the input `[channel, slice, row, column]` and `take` gets the logits
    /// in the same order. Both are called from the worker threads, for different indices at once and in any order; the
    /// values do not depend on that.
    ///
    /// # Errors
    /// As [`Engine::plan`].
    pub fn run_each(
        &self,
        size: [usize; 3],
        count: usize,
        fill: impl Fn(usize, &mut [f32]) + Sync + Send,
        take: impl Fn(usize, &[f32]) + Sync + Send,
    ) -> Result<(), EngineError> {
        let plan = self.plan(size)?;
        let voxels: usize = size.iter().product();
        self.for_each(&plan, (0..count).collect(), |workers, workspace, index| {
            let mut input = vec![0.0; self.graph.input_channels() * voxels];
            let mut output = vec![0.0; self.output_len(size)];
            fill(index, &mut input);
            run(&self.program, &plan, (self.kernels, workers), workspace, (&input, &mut output), |_, _| {});
            take(index, &output);
        });
        Ok(())
    }

    /// The size of inputs of this shape, if there are as many values as it says.
    fn check_input(&self, input: &[f32], shape: [usize; 5]) -> Result<[usize; 3], EngineError> {
        let [_, channels, slices, rows, columns] = shape;
        if channels != self.graph.input_channels() {
            return Err(EngineError::Channels { expected: self.graph.input_channels(), found: channels });
        }
        let expected = shape.iter().product();
        match input.len() {
            found if found != expected => Err(EngineError::Length { expected, found }),
            _ => Ok([slices, rows, columns]),
        }
    }

    /// Logits of one input.
    fn output_len(&self, size: [usize; 3]) -> usize {
        self.graph.output_channels() * self.graph.output_size(size).iter().product::<usize>()
    }

    /// Gives every item a workspace: one item per thread while there are enough, otherwise all threads on one item.
    fn for_each<T: Send>(
        &self,
        plan: &ExecutionPlan,
        items: Vec<T>,
        work: impl Fn(Workers<'_>, &mut Workspace, T) + Sync + Send,
    ) {
        let with_workspace = |workers: Workers<'_>, item: T| {
            let mut workspace = self.take_workspace(plan);
            work(workers, &mut workspace, item);
            self.keep_workspace(plan, workspace);
        };
        let Some(pool) = &self.pool else {
            return items.into_iter().for_each(|item| with_workspace(Workers::Caller, item));
        };
        let side_by_side = self.side_by_side(plan);
        let mut items = items;
        // The rest that would leave threads idle is shared by all of them.
        let whole = if side_by_side > 1 { items.len() / side_by_side * side_by_side } else { 0 };
        let rest = items.split_off(whole);
        Workers::Pool(pool).for_each(items, |item| with_workspace(Workers::Caller, item));
        rest.into_iter().for_each(|item| with_workspace(Workers::Pool(pool), item));
    }

    fn take_workspace(&self, plan: &ExecutionPlan) -> Workspace {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = if idle.size == plan.size { idle.workspaces.pop() } else { None };
        drop(idle);
        kept.unwrap_or_else(|| Workspace::new(plan))
    }

    fn keep_workspace(&self, plan: &ExecutionPlan, workspace: Workspace) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.size != plan.size {
            *idle = Idle { size: plan.size, workspaces: Vec::new() };
        }
        if idle.workspaces.len() < self.threads() {
            idle.workspaces.push(workspace);
        }
    }
}
