//! What computes the network: our engine, or ONNX Runtime where this program was built with it.

use anyhow::Result;
use hilum_nn::{EngineOptions, Model, Precision, Runtime};

use crate::arguments::{Device, DeviceArguments, PrecisionChoice};
use crate::outcome::WrongUsage;

/// A model made ready on the device that was asked for. There is no other device to fall back to.
pub(crate) fn open(model: &Model, arguments: &DeviceArguments, threads: usize) -> Result<Box<dyn Runtime>> {
    let precision = match arguments.precision {
        PrecisionChoice::Auto => model.precision(),
        PrecisionChoice::F32 => Precision::F32,
        PrecisionChoice::Bf16 => Precision::Bf16,
        PrecisionChoice::Int8 => Precision::Int8,
    };
    match arguments.device {
        Device::Hilum => {
            Ok(Box::new(model.engine(EngineOptions { threads, precision, ..EngineOptions::default() })?))
        }
        _ if matches!(arguments.precision, PrecisionChoice::Bf16 | PrecisionChoice::Int8) => {
            Err(WrongUsage("--precision bf16 and int8 are for --device hilum; others compute in f32".into()).into())
        }
        device => onnx::open(model, device, arguments, threads),
    }
}

#[cfg(feature = "onnxruntime")]
pub(crate) mod onnx {
    //! ONNX Runtime, opened at run time.

    use std::path::PathBuf;

    use anyhow::{Result, anyhow};
    use hilum_nn::{Dims, Graph, Model, Node, NodeId, OnnxDevice, OnnxRuntime, Op, Runtime, Weights};

    use crate::arguments::{Device, DeviceArguments, LibraryArguments};

    pub(super) fn open(
        model: &Model,
        device: Device,
        arguments: &DeviceArguments,
        threads: usize,
    ) -> Result<Box<dyn Runtime>> {
        let device = match device {
            Device::Cuda => OnnxDevice::Cuda,
            Device::TensorRt => OnnxDevice::TensorRt,
            Device::Cpu | Device::Hilum => OnnxDevice::Cpu,
        };
        let network = load(&arguments.library)?.open_network(&model.graph, &model.weights, device, threads)?;
        Ok(Box::new(network))
    }

    fn load(arguments: &LibraryArguments) -> Result<OnnxRuntime> {
        OnnxRuntime::load(&library(arguments)).map_err(|error| {
            anyhow!(
                "{error}; install it (for example PyPI's package `onnxruntime`, or `onnxruntime-gpu`) and name its \
                 libonnxruntime.so with --onnxruntime or ORT_DYLIB_PATH"
            )
        })
    }

    fn library(arguments: &LibraryArguments) -> PathBuf {
        let named = arguments.onnxruntime.clone();
        let named = named.or_else(|| std::env::var_os("ORT_DYLIB_PATH").filter(|p| !p.is_empty()).map(PathBuf::from));
        let plain = format!("{}onnxruntime{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
        named.unwrap_or_else(|| plain.into())
    }

    /// Every device of ONNX Runtime, and why it cannot be used: a network of one layer is prepared on each.
    pub(crate) fn devices(arguments: &LibraryArguments) -> Vec<(&'static str, Option<String>)> {
        let runtime = load(arguments);
        let relu = Node { name: "relu".into(), op: Op::Relu, inputs: vec![NodeId::INPUT] };
        let graph = Graph::new(Dims::Two, 1, vec![relu], NodeId(1)).expect("one layer is a network");
        let missing = |device| match &runtime {
            Err(error) => Some(error.to_string()),
            Ok(runtime) => runtime.open_network(&graph, &Weights::new(), device, 1).err().map(|e| e.to_string()),
        };
        let devices = [OnnxDevice::Cpu, OnnxDevice::Cuda, OnnxDevice::TensorRt];
        devices.map(|device| (device.name(), missing(device))).to_vec()
    }
}

#[cfg(not(feature = "onnxruntime"))]
pub(crate) mod onnx {
    //! What is said instead of ONNX Runtime.

    use anyhow::Result;
    use hilum_nn::{Model, Runtime};

    use crate::arguments::{Device, DeviceArguments, LibraryArguments};
    use crate::outcome::WrongUsage;

    const ABSENT: &str =
        "this hilum was built without ONNX Runtime; `cargo build --release --features onnxruntime` adds it";

    pub(super) fn open(_: &Model, _: Device, _: &DeviceArguments, _: usize) -> Result<Box<dyn Runtime>> {
        Err(WrongUsage(ABSENT.into()).into())
    }

    pub(crate) fn devices(_: &LibraryArguments) -> Vec<(&'static str, Option<String>)> {
        ["CPU", "CUDA", "TensorRT"].map(|name| (name, Some(ABSENT.to_owned()))).to_vec()
    }
}
