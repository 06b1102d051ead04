//! ONNX Runtime, for GPUs and for networks that are not ours (feature `onnxruntime`).
//!
//! The library is not part of this program and not linked: [`OnnxRuntime::load`] opens the file it is given, once for the
//! whole process. The one inside the `onnxruntime` and `onnxruntime-gpu` packages of PyPI serves. A device that cannot be
//! used is an error; nothing falls back to the processor in silence.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::ep::{self, ExecutionProviderDispatch};
use ort::session::Session;
use ort::value::{TensorElementType, TensorRef, ValueType};

use crate::engine::EngineError;
use crate::graph::{Dims, Graph};
use crate::onnx::{OnnxError, to_onnx};
use crate::runtime::Runtime;
use crate::weights::Weights;

/// What ONNX Runtime computes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnnxDevice {
    /// This processor.
    Cpu,
    /// The first NVIDIA GPU, through CUDA and cuDNN.
    Cuda,
    /// The first NVIDIA GPU, through TensorRT. Preparing a network takes minutes for every new input size.
    TensorRt,
}

impl OnnxDevice {
    /// Its name for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "CPU",
            Self::Cuda => "CUDA",
            Self::TensorRt => "TensorRT",
        }
    }

    fn provider(self) -> Option<ExecutionProviderDispatch> {
        match self {
            Self::Cpu => None,
            Self::Cuda => Some(ep::CUDA::default().build().error_on_failure()),
            Self::TensorRt => Some(ep::TensorRT::default().build().error_on_failure()),
        }
    }
}

/// Why ONNX Runtime cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnnxRuntimeError {
    /// The library could not be opened.
    #[error("ONNX Runtime cannot be loaded: {reason}")]
    Library {
        /// What the system said.
        reason: String,
    },
    /// Another file was loaded before; a process can load one.
    #[error("ONNX Runtime is loaded from {loaded} already", loaded = .loaded.display())]
    LoadedAlready {
        /// Where from.
        loaded: PathBuf,
    },
    /// The device cannot be used, or the network cannot run on it.
    #[error("ONNX Runtime cannot prepare the network on {device}: {reason}")]
    Prepare {
        /// The device.
        device: &'static str,
        /// What ONNX Runtime said.
        reason: String,
    },
    /// The file asks for other inputs than one image, or gives more than one result.
    #[error("the ONNX file has {inputs} input(s) and {outputs} output(s) of 32-bit floats; one of each is needed")]
    Signature {
        /// Inputs that are tensors of `f32`.
        inputs: usize,
        /// Outputs that are tensors of `f32`.
        outputs: usize,
    },
    /// The network cannot be written as ONNX.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// The run failed.
    #[error("ONNX Runtime failed: {0}")]
    Run(String),
}

/// The loaded library with its environment, and where it came from.
static LOADED: Mutex<Option<(PathBuf, ort::environment::Environment)>> = Mutex::new(None);

/// The library, loaded into this process.
#[derive(Clone)]
pub struct OnnxRuntime {
    environment: ort::environment::Environment,
}

impl std::fmt::Debug for OnnxRuntime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OnnxRuntime")
    }
}

impl OnnxRuntime {
    /// Loads the library from a file, or by its plain name (`libonnxruntime.so`) from where the system looks for
    /// libraries. Loading the same one again is free.
    ///
    /// # Errors
    /// If the file is missing, not ONNX Runtime, or older than this program needs; or if another one was loaded before.
    pub fn load(library: &Path) -> Result<Self, OnnxRuntimeError> {
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((path, environment)) = &*loaded {
            return match path == library {
                true => Ok(Self { environment: environment.clone() }),
                false => Err(OnnxRuntimeError::LoadedAlready { loaded: path.clone() }),
            };
        }
        let failed = |reason: String| OnnxRuntimeError::Library { reason };
        let builder = ort::init_from(library).map_err(|error| failed(error.to_string()))?;
        let environment = builder.with_telemetry(false).build().map_err(|error| failed(error.to_string()))?;
        *loaded = Some((library.to_owned(), environment.clone()));
        Ok(Self { environment })
    }

    /// Version, commit and options of the library, as it tells them.
    #[must_use]
    pub fn build_info(&self) -> &'static str {
        ort::info()
    }

    /// Prepares the network of an ONNX file, ours or foreign, with one input and one output of 32-bit floats.
    /// `threads` of 0 takes as many as the machine offers.
    ///
    /// # Errors
    /// If the bytes are not such a file, or the device is not there or cannot run all of it.
    pub fn open(&self, onnx: &[u8], device: OnnxDevice, threads: usize) -> Result<OnnxSession, OnnxRuntimeError> {
        let session = self
            .session(onnx, device, threads)
            .map_err(|error| OnnxRuntimeError::Prepare { device: device.name(), reason: error.message().to_owned() })?;
        let floats = |outlets: &[ort::value::Outlet]| {
            outlets
                .iter()
                .filter(|o| matches!(o.dtype(), ValueType::Tensor { ty: TensorElementType::Float32, .. }))
                .count()
        };
        let found = (floats(session.inputs()), floats(session.outputs()));
        if (session.inputs().len(), session.outputs().len()) != (1, 1) || found != (1, 1) {
            return Err(OnnxRuntimeError::Signature { inputs: found.0, outputs: found.1 });
        }
        Ok(OnnxSession { session: Mutex::new(session), device })
    }

    fn session(&self, onnx: &[u8], device: OnnxDevice, threads: usize) -> ort::Result<Session> {
        let mut builder = Session::builder(&self.environment)?.with_intra_threads(threads)?;
        if let Some(provider) = device.provider() {
            builder = builder.with_execution_providers([provider])?.with_disable_cpu_fallback()?;
        }
        builder.commit_from_memory(onnx)
    }

    /// Prepares one of our networks.
    ///
    /// # Errors
    /// As [`OnnxRuntime::open`]; also if the weights are not those of the graph.
    pub fn open_network(
        &self,
        graph: &Graph,
        weights: &Weights,
        device: OnnxDevice,
        threads: usize,
    ) -> Result<OnnxNetwork, OnnxRuntimeError> {
        let session = self.open(&to_onnx(graph, weights)?, device, threads)?;
        Ok(OnnxNetwork { graph: graph.clone(), session })
    }
}

/// A network of an ONNX file, ready to run. Runs from several threads wait for one another.
pub struct OnnxSession {
    session: Mutex<Session>,
    device: OnnxDevice,
}

impl std::fmt::Debug for OnnxSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OnnxSession").field("device", &self.device).finish_non_exhaustive()
    }
}

impl OnnxSession {
    /// What it runs on.
    #[must_use]
    pub fn device(&self) -> OnnxDevice {
        self.device
    }

    /// Runs the network on one tensor, the last axis running fastest, and gives the result with its sizes.
    ///
    /// # Errors
    /// If the network does not take a tensor of this shape, or the device fails.
    pub fn run(&self, input: &[f32], shape: &[usize]) -> Result<(Vec<f32>, Vec<usize>), OnnxRuntimeError> {
        let failed = |error: ort::Error| OnnxRuntimeError::Run(error.message().to_owned());
        let shape: Vec<i64> = shape.iter().map(|&size| size as i64).collect();
        let tensor = TensorRef::from_array_view((shape, input)).map_err(failed)?;
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let outputs = session.run(ort::inputs![tensor]).map_err(failed)?;
        let (shape, values) = outputs[0].try_extract_tensor::<f32>().map_err(failed)?;
        Ok((values.to_vec(), shape.iter().map(|&size| size as usize).collect()))
    }
}

/// One of our networks in ONNX Runtime.
#[derive(Debug)]
pub struct OnnxNetwork {
    graph: Graph,
    session: OnnxSession,
}

impl OnnxNetwork {
    /// Slices that go through the network together: enough to keep a GPU busy, few enough for its memory. The processor
    /// gains nothing from more than one.
    fn batch(&self) -> usize {
        match self.session.device {
            OnnxDevice::Cpu => 1,
            OnnxDevice::Cuda | OnnxDevice::TensorRt => 8,
        }
    }
}

impl Runtime for OnnxNetwork {
    fn name(&self) -> String {
        format!("ONNX Runtime, {}, f32", self.session.device.name())
    }

    fn graph(&self) -> &Graph {
        &self.graph
    }

    fn run_each(
        &self,
        size: [usize; 3],
        count: usize,
        fill: &(dyn Fn(usize, &mut [f32]) + Sync),
        take: &(dyn Fn(usize, &[f32]) + Sync),
    ) -> Result<(), EngineError> {
        if size.contains(&0) {
            return Err(EngineError::EmptyInput { size });
        }
        if self.graph.dims() == Dims::Two && size[0] != 1 {
            return Err(EngineError::SlicesInTwoDims { slices: size[0] });
        }
        let divisor = self.graph.size_divisor();
        if (0..3).any(|axis| !size[axis].is_multiple_of(divisor[axis])) {
            return Err(EngineError::NotDivisible { size, divisor });
        }
        let voxels = |size: [usize; 3]| size.iter().product::<usize>();
        let per_input = self.graph.input_channels() * voxels(size);
        let per_output = self.graph.output_channels() * voxels(self.graph.output_size(size));
        let first_axis = if self.graph.dims() == Dims::Two { 1 } else { 0 };
        for first in (0..count).step_by(self.batch()) {
            let indices = first..(first + self.batch()).min(count);
            let mut input = vec![0.0; indices.len() * per_input];
            for (index, input) in indices.clone().zip(input.chunks_exact_mut(per_input)) {
                fill(index, input);
            }
            let shape = [&[indices.len(), self.graph.input_channels()], &size[first_axis..]].concat();
            let failed = |reason: String| EngineError::Runtime { runtime: "ONNX Runtime", reason };
            let (logits, _) = self.session.run(&input, &shape).map_err(|error| failed(error.to_string()))?;
            if logits.len() != indices.len() * per_output {
                return Err(failed(format!("{} values for an input of {shape:?}", logits.len())));
            }
            for (index, logits) in indices.zip(logits.chunks_exact(per_output)) {
                take(index, logits);
            }
        }
        Ok(())
    }
}
