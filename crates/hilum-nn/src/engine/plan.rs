//! Sizes and buffers for one input size, all known before anything runs.

use super::layout::Layout;
use super::program::{Method, Program, Value, Work};
use super::winograd::scratch_len;
use crate::graph::Graph;

/// How one input of a given size is computed: the shape of every intermediate value and the buffer it shares.
///
/// Made by [`Engine::plan`](crate::Engine::plan); its use is to know the memory beforehand.
#[derive(Clone, Debug)]
pub struct ExecutionPlan {
    pub(crate) size: [usize; 3],
    /// By value.
    pub(crate) layouts: Vec<Layout>,
    /// By value: the buffer that holds it while it is needed.
    pub(crate) buffers: Vec<usize>,
    /// Floats of every buffer.
    pub(crate) buffer_lens: Vec<usize>,
    /// Floats a thread needs for itself.
    pub(crate) scratch_len: usize,
    /// Words of the inputs of convolutions with small numbers.
    pub(crate) words_len: usize,
    /// Threads that may work on one input.
    pub(crate) threads: usize,
}

impl ExecutionPlan {
    /// `size` must be a multiple of the graph's divisor.
    pub(crate) fn new(graph: &Graph, program: &Program, size: [usize; 3], threads: usize) -> Self {
        let sizes = graph.sizes(size);
        let layouts: Vec<Layout> = program
            .values
            .iter()
            .map(|value| Layout { channels: value.channels, size: sizes[value.node.0], margin: value.margin })
            .collect();
        let mut buffers = Buffers::default();
        let mut of_value = vec![usize::MAX; layouts.len()];
        of_value[0] = buffers.take(layouts[0].len());
        for (index, step) in program.steps.iter().enumerate() {
            of_value[step.output.0] = buffers.take(layouts[step.output.0].len());
            let mut read = step.inputs.clone();
            read.sort_by_key(|value| value.0);
            read.dedup();
            let needed_later = |value: &Value| {
                *value == program.output || program.steps[index + 1..].iter().any(|later| later.inputs.contains(value))
            };
            for value in read.into_iter().filter(|value| !needed_later(value)) {
                buffers.give_back(of_value[value.0]);
            }
        }
        let scratch = program.steps.iter().map(|step| match &step.work {
            Work::Conv(conv) if conv.method == Method::Winograd => scratch_len(conv, layouts[step.output.0]),
            _ => 0,
        });
        let scratch_len = scratch.max().unwrap_or(0);
        let words = program.steps.iter().map(|step| match &step.work {
            Work::Reduced(conv) => conv.input_words(step.inputs.iter().map(|value| &layouts[value.0])),
            _ => 0,
        });
        let words_len = words.max().unwrap_or(0);
        Self { size, layouts, buffers: of_value, buffer_lens: buffers.lens, scratch_len, words_len, threads }
    }

    /// Size `[slices, rows, columns]` of the input this is for.
    pub fn size(&self) -> [usize; 3] {
        self.size
    }

    /// Memory of all intermediate values while one input is computed, in bytes. Several inputs computed at once need
    /// it once each at most; the weights ([`Engine::weight_bytes`](crate::Engine::weight_bytes)) are shared.
    pub fn memory_bytes(&self) -> usize {
        (self.buffer_lens.iter().sum::<usize>() + self.words_len + self.threads * self.scratch_len) * size_of::<f32>()
    }
}

/// Hands out buffers, preferring the free one that fits best.
#[derive(Default)]
struct Buffers {
    lens: Vec<usize>,
    free: Vec<usize>,
}

impl Buffers {
    fn take(&mut self, len: usize) -> usize {
        let fitting = self.free.iter().copied().filter(|&b| self.lens[b] >= len).min_by_key(|&b| self.lens[b]);
        // If none is large enough, growing the largest adds least.
        let chosen = fitting.or_else(|| self.free.iter().copied().max_by_key(|&b| self.lens[b]));
        match chosen {
            Some(buffer) => {
                self.free.retain(|&b| b != buffer);
                self.lens[buffer] = self.lens[buffer].max(len);
                buffer
            }
            None => {
                self.lens.push(len);
                self.lens.len() - 1
            }
        }
    }

    fn give_back(&mut self, buffer: usize) {
        self.free.push(buffer);
    }
}
