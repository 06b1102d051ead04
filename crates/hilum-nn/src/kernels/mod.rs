//! The innermost loop of every convolution, once per instruction set.
//!
//! A kernel computes one row of outputs for a *group* of channel blocks. What it reads is a list of [`Tap`]s: for each
//! input block and kernel position, the input row that lies under it and the weights that belong to it. Padding,
//! stride, kernel depth, several inputs and transposition are all expressed by which taps are on the list, so no
//! kernel knows about them, and one loop serves every convolution in two and three dimensions.
//!
//! [`KernelSet`] is the only way in. It checks every length before a kernel runs, which is what the `unsafe` blocks of
//! the vector kernels rely on, and it can only be made for an instruction set this processor has.

mod depthwise;
mod gradient;
mod lanes;
#[cfg(target_arch = "aarch64")]
mod neon;
mod reduced;
mod rows;
mod scalar;
mod tile;
mod winograd;
#[cfg(target_arch = "x86_64")]
mod x86;
#[cfg(target_arch = "x86_64")]
mod x86_reduced;

pub(crate) use depthwise::DepthwiseRow;
pub(crate) use gradient::WeightSums;
pub(crate) use reduced::{Number, Quantiser, ReducedRow, ReducedTap, bf16};
pub(crate) use rows::{MaximumRow, MeasureRow, ScaleRow};
pub(crate) use winograd::{InputTiles, OutputTiles, POSITIONS, TILE, WINDOW, transform_filter};

use lanes::Job;

/// Channels stored side by side for one voxel: one AVX-512 register of `f32`.
pub(crate) const LANES: usize = 16;

/// Most blocks of [`LANES`] output channels that one kernel call computes.
pub(crate) const MAX_GROUP: usize = 3;

/// Which convolution kernels the engine uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kernel {
    /// The fastest this processor has.
    #[default]
    Auto,
    /// Portable Rust without `unsafe`; slow, and the reference for the others.
    Scalar,
    /// AVX2 and FMA (x86-64, 2013 onwards).
    Avx2,
    /// AVX-512 F (x86-64 servers and recent AMD desktops).
    Avx512,
    /// NEON (every 64-bit ARM).
    Neon,
}

/// Whether one set of kernels can run here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelStatus {
    /// The choice, as given in [`EngineOptions`](crate::EngineOptions).
    pub kernel: Kernel,
    /// Its name for people.
    pub name: &'static str,
    /// `None` if it can run on this processor, otherwise the reason.
    pub missing: Option<&'static str>,
}

impl KernelStatus {
    /// Whether this processor can run it.
    pub fn is_available(&self) -> bool {
        self.missing.is_none()
    }
}

/// Every set of kernels this program contains, fastest first, and whether this processor can run it.
pub fn available_kernels() -> Vec<KernelStatus> {
    #[cfg(target_arch = "x86_64")]
    let (avx512, avx2) = (
        (!is_x86_feature_detected!("avx512f")).then_some("this processor has no AVX-512 F"),
        (!(is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")))
            .then_some("this processor has no AVX2 with FMA"),
    );
    #[cfg(not(target_arch = "x86_64"))]
    let (avx512, avx2) = (Some("only on x86-64"), Some("only on x86-64"));
    #[cfg(target_arch = "aarch64")]
    let neon = (!std::arch::is_aarch64_feature_detected!("neon")).then_some("this processor has no NEON");
    #[cfg(not(target_arch = "aarch64"))]
    let neon = Some("only on 64-bit ARM");
    vec![
        KernelStatus { kernel: Kernel::Avx512, name: "AVX-512", missing: avx512 },
        KernelStatus { kernel: Kernel::Avx2, name: "AVX2 + FMA", missing: avx2 },
        KernelStatus { kernel: Kernel::Neon, name: "NEON", missing: neon },
        KernelStatus { kernel: Kernel::Scalar, name: "portable", missing: None },
    ]
}

/// What is applied to a sum before it is stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Activation {
    None,
    Relu,
    /// `x` where positive, `slope * x` elsewhere.
    LeakyRelu(f32),
}

impl Activation {
    pub(crate) fn apply(self, x: f32) -> f32 {
        match self {
            Activation::None => x,
            // Written so that NaN stays NaN, as in PyTorch; `f32::max` would turn it into 0.
            Activation::Relu => {
                if x < 0.0 {
                    0.0
                } else {
                    x
                }
            }
            Activation::LeakyRelu(slope) => {
                if x < 0.0 {
                    slope * x
                } else {
                    x
                }
            }
        }
    }
}

/// One kernel position over one input block, for one row of outputs.
#[derive(Clone, Copy)]
pub(crate) struct Tap<'a> {
    /// Begins at the voxel under the first output; [`RowJob::column_step`] floats lead to the next.
    pub(crate) input: &'a [f32],
    /// Channels of this block that carry data; the rest of its lanes are not read.
    pub(crate) channels: usize,
    /// `[channel][block of the group][lane]`.
    pub(crate) weights: &'a [f32],
}

/// One row of outputs: `bias + sum over taps and channels of input * weight`, then the activation.
pub(crate) struct RowJob<'a> {
    pub(crate) taps: &'a [Tap<'a>],
    /// Outputs in the row.
    pub(crate) width: usize,
    /// Floats from the input of one output to that of the next: `LANES * stride`.
    pub(crate) column_step: usize,
    /// Floats from one output to the next: `LANES`, or more where a transposed convolution interleaves.
    pub(crate) output_step: usize,
    /// `[block of the group][lane]`.
    pub(crate) bias: &'a [f32],
    pub(crate) activation: Activation,
}

/// A set of kernels that this processor is known to support.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KernelSet(Instructions);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Instructions {
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "aarch64")]
    Neon,
}

impl KernelSet {
    /// The kernels for `choice`, or why they cannot run here.
    pub(crate) fn new(choice: Kernel) -> Result<Self, KernelStatus> {
        let all = available_kernels();
        let status = match choice {
            Kernel::Auto => all.into_iter().find(KernelStatus::is_available),
            _ => all.into_iter().find(|status| status.kernel == choice),
        }
        .expect("every choice is listed and the portable kernels are always available");
        match status {
            KernelStatus { missing: Some(_), .. } => Err(status),
            #[cfg(target_arch = "x86_64")]
            KernelStatus { kernel: Kernel::Avx512, .. } => Ok(Self(Instructions::Avx512)),
            #[cfg(target_arch = "x86_64")]
            KernelStatus { kernel: Kernel::Avx2, .. } => Ok(Self(Instructions::Avx2)),
            #[cfg(target_arch = "aarch64")]
            KernelStatus { kernel: Kernel::Neon, .. } => Ok(Self(Instructions::Neon)),
            _ => Ok(Self(Instructions::Scalar)),
        }
    }

    /// The choice that makes exactly this set.
    pub(crate) fn kernel(self) -> Kernel {
        match self.0 {
            Instructions::Scalar => Kernel::Scalar,
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => Kernel::Avx2,
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512 => Kernel::Avx512,
            #[cfg(target_arch = "aarch64")]
            Instructions::Neon => Kernel::Neon,
        }
    }

    /// Splits `blocks` output blocks into groups whose sums fit the registers.
    pub(crate) fn groups(self, blocks: usize) -> Vec<usize> {
        match self.0 {
            Instructions::Scalar => vec![1; blocks],
            // 16 registers hold one block of 2 x 6 columns beside weights and input.
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => vec![1; blocks],
            // 32 registers hold one block of 4 x 6 columns beside weights and input.
            #[cfg(target_arch = "aarch64")]
            Instructions::Neon => vec![1; blocks],
            // Pairs, so that every input value loaded is used twice; an odd rest joins the last pair.
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512 => match (blocks / 2, blocks % 2) {
                (0, odd) => vec![1; odd],
                (pairs, 0) => vec![2; pairs],
                (pairs, _) => [vec![2; pairs - 1], vec![3]].concat(),
            },
        }
    }

    /// Computes one row for the blocks in `outputs`; each slice begins at its first output.
    ///
    /// # Panics
    /// If a slice is too short for the row, which is a bug of the caller.
    pub(crate) fn convolve_row(self, job: &RowJob<'_>, outputs: &mut [&mut [f32]]) {
        if job.width == 0 {
            return;
        }
        let group = outputs.len();
        let last = job.width - 1;
        assert!((1..=MAX_GROUP).contains(&group) && job.bias.len() >= group * LANES);
        assert!(outputs.iter().all(|output| output.len() >= last * job.output_step + LANES));
        assert!(job.taps.iter().all(|tap| {
            tap.input.len() >= last * job.column_step + tap.channels
                && tap.weights.len() >= tap.channels * group * LANES
        }));
        match self.0 {
            Instructions::Scalar => scalar::convolve_row(job, outputs),
            // SAFETY: `KernelSet::new` found the instructions on this processor; the lengths were checked above.
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => unsafe { x86::convolve_row_avx2(job, outputs) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512 => unsafe { x86::convolve_row_avx512(job, outputs) },
            // SAFETY: as above.
            #[cfg(target_arch = "aarch64")]
            Instructions::Neon => unsafe { neon::convolve_row_neon(job, outputs) },
        }
    }

    /// Computes one row of a convolution of every channel by itself.
    ///
    /// # Panics
    /// If a slice is too short, which is a bug of the caller.
    pub(crate) fn convolve_depthwise(self, row: DepthwiseRow<'_>) {
        self.run(row);
    }

    /// Scales the voxels of a row.
    pub(crate) fn scale_row(self, row: ScaleRow<'_>) {
        self.run(row);
    }

    /// Measures the voxels of a row.
    pub(crate) fn measure_row(self, row: MeasureRow<'_>) {
        self.run(row);
    }

    /// Raises the voxels of a row to the largest over them.
    pub(crate) fn maximum_row(self, row: MaximumRow<'_>) {
        self.run(row);
    }

    /// Why this set cannot compute with these numbers here, if it cannot.
    pub(crate) fn missing_for(self, number: Number) -> Option<&'static str> {
        match (self.0, number) {
            (Instructions::Scalar, _) => None,
            #[cfg(target_arch = "x86_64")]
            (Instructions::Avx512, Number::Bf16) => {
                (!is_x86_feature_detected!("avx512bf16")).then_some("this processor has no AVX512-BF16")
            }
            #[cfg(target_arch = "x86_64")]
            (Instructions::Avx512, Number::Int8) => {
                (!is_x86_feature_detected!("avx512vnni")).then_some("this processor has no AVX512-VNNI")
            }
            #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
            _ => Some("there are kernels for AVX-512 and portable ones only"),
        }
    }

    /// Splits `blocks` output blocks into groups for small numbers.
    pub(crate) fn reduced_groups(self, blocks: usize) -> Vec<usize> {
        [vec![2; blocks / 2], vec![1; blocks % 2]].concat()
    }

    /// Computes one row with small numbers; each of one or two outputs begins at its first voxel.
    ///
    /// # Panics
    /// If a slice is too short or [`KernelSet::missing_for`] has an objection, which is a bug of the caller.
    pub(crate) fn convolve_reduced(self, job: &ReducedRow<'_>, outputs: &mut [&mut [f32]]) {
        if job.width == 0 {
            return;
        }
        let lanes = outputs.len() * LANES;
        let last = job.width - 1;
        assert!((1..=2).contains(&outputs.len()) && job.bias.len() >= lanes && job.scale.len() >= lanes);
        assert!(outputs.iter().all(|output| output.len() >= job.width * LANES));
        assert!(job.taps.iter().all(|tap| {
            tap.input.len() >= last * job.column_step + tap.words && tap.weights.len() >= tap.words * lanes
        }));
        match self.0 {
            Instructions::Scalar => reduced::convolve_row(job, outputs),
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512 => {
                assert!(self.missing_for(job.number).is_none());
                // SAFETY: the instructions were found and the lengths checked just now.
                unsafe { x86_reduced::convolve_row(job, outputs) }
            }
            #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
            _ => panic!("this set has no kernels for small numbers"),
        }
    }

    /// Whole voxels of `f32` to words.
    ///
    /// # Panics
    /// As [`KernelSet::convolve_reduced`].
    pub(crate) fn quantise(self, quantiser: Quantiser, input: &[f32], output: &mut [u32]) {
        assert_eq!(input.len() / LANES * quantiser.number.words(), output.len());
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512 => {
                assert!(self.missing_for(quantiser.number).is_none());
                // SAFETY: the instructions were found and the lengths checked just now.
                unsafe { x86_reduced::quantise(quantiser, input, output) }
            }
            _ => reduced::quantise(quantiser, input, output),
        }
    }

    /// Sums of [`WeightSums`] that fit the registers.
    pub(crate) fn sums_at_once(self) -> usize {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512 => 24,
            _ => 6,
        }
    }

    /// Sums products of inputs and slopes.
    ///
    /// # Panics
    /// If a slice is too short, which is a bug of the caller.
    pub(crate) fn weight_sums<const TAPS: usize, const CHANNELS: usize>(self, job: WeightSums<'_, TAPS, CHANNELS>) {
        self.run(job);
    }

    /// Transforms inputs for Winograd's products.
    ///
    /// # Panics
    /// If a slice is too short, which is a bug of the caller.
    pub(crate) fn winograd_input(self, tiles: InputTiles<'_>) {
        if tiles.tiles > 0 {
            let columns = tiles.tiles * TILE + WINDOW - TILE;
            assert!(tiles.rows.iter().all(|row| row.len() >= columns * LANES));
            assert!(tiles.output.len() >= (POSITIONS - 1) * tiles.step + tiles.tiles * LANES);
            self.run(tiles);
        }
    }

    /// Transforms Winograd's products to outputs.
    ///
    /// # Panics
    /// If a slice is too short, which is a bug of the caller.
    pub(crate) fn winograd_output(self, tiles: OutputTiles<'_>) {
        if tiles.tiles > 0 {
            assert!(tiles.rows.iter().all(|row| row.len() >= tiles.tiles * TILE * LANES));
            assert!(tiles.products.len() >= (POSITIONS - 1) * tiles.step + tiles.tiles * LANES);
            self.run(tiles);
        }
    }

    /// Runs a job compiled for this set.
    fn run(self, job: impl Job) {
        match self.0 {
            // SAFETY: plain Rust needs no instructions.
            Instructions::Scalar => unsafe { job.run::<lanes::Portable>() },
            // SAFETY: `KernelSet::new` found the instructions on this processor.
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => unsafe { x86::run_avx2(job) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512 => unsafe { x86::run_avx512(job) },
            // SAFETY: as above.
            #[cfg(target_arch = "aarch64")]
            Instructions::Neon => unsafe { neon::run_neon(job) },
        }
    }
}
