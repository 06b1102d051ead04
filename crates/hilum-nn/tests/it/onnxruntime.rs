//! ONNX Runtime against our engine (feature `onnxruntime`).
//!
//! The library is looked for where `ORT_DYLIB_PATH` says; without it, only its absence is tested. `cargo xtask onnx` sets
//! it to the library inside PyPI's package.

use std::path::{Path, PathBuf};

use hilum_nn::{
    Activation, Dims, Engine, EngineError, EngineOptions, Norm, OnnxDevice, OnnxRuntime, OnnxRuntimeError, Runtime,
    Stem, UNet, run_slices,
};

use crate::engine::{Numbers, weights_for};

fn library() -> Option<PathBuf> {
    let path = std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from);
    if path.is_none() {
        eprintln!("skipped: ORT_DYLIB_PATH does not say where ONNX Runtime is");
    }
    path
}

fn unet() -> UNet {
    UNet {
        dims: Dims::Two,
        input_channels: 1,
        output_channels: 3,
        stem: Stem::Half,
        channels: vec![8, 20],
        convs_per_stage: 1,
        norm: Norm::Batch,
        activation: Activation::Relu,
    }
}

/// Logits of 3 slices of 18 x 10, which is no multiple of the network's divisor.
fn logits(runtime: &dyn Runtime) -> Vec<f32> {
    let (plane, count) = (18 * 10, 3);
    let input = Numbers(3).take(count * plane);
    let output = std::sync::Mutex::new(vec![0.0; 3 * count * plane]);
    let fill = |index: usize, slice: &mut [f32]| slice.copy_from_slice(&input[index * plane..][..plane]);
    let take = |index: usize, logits: &[f32]| {
        output.lock().unwrap()[index * 3 * plane..][..3 * plane].copy_from_slice(logits);
    };
    run_slices(runtime, count, [18, 10], 0.0, fill, take).unwrap();
    output.into_inner().unwrap()
}

#[test]
fn a_missing_library_is_named() {
    let error = OnnxRuntime::load(Path::new("/no/such/libonnxruntime.so")).unwrap_err();
    match library() {
        // Whichever test comes first decides which library the process has.
        Some(_) if matches!(error, OnnxRuntimeError::LoadedAlready { .. }) => {}
        _ => assert!(error.to_string().contains("/no/such/libonnxruntime.so"), "{error}"),
    }
}

#[test]
fn both_runtimes_give_the_same_logits() {
    let Some(library) = library() else { return };
    let graph = unet().graph().unwrap();
    let weights = weights_for(&graph);
    let engine = Engine::new(&graph, &weights, EngineOptions::default()).unwrap();
    let runtime = OnnxRuntime::load(&library).unwrap();
    let theirs = runtime.open_network(&graph, &weights, OnnxDevice::Cpu, 1).unwrap();
    assert_eq!(theirs.name(), "ONNX Runtime, CPU, f32");
    let (ours, theirs) = (logits(&engine), logits(&theirs));
    let largest = ours.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
    let worst = ours.iter().zip(&theirs).fold(0.0_f32, |m, (a, b)| m.max((a - b).abs()));
    assert!(largest > 0.01 && worst <= 1e-5 * largest, "differ by {worst} of {largest}");
}

#[test]
fn what_cannot_run_is_an_error() {
    let Some(library) = library() else { return };
    let runtime = OnnxRuntime::load(&library).unwrap();
    let graph = unet().graph().unwrap();
    let network = runtime.open_network(&graph, &weights_for(&graph), OnnxDevice::Cpu, 1).unwrap();
    let run = |size| network.run_each(size, 1, &|_, _| {}, &|_, _| {}).unwrap_err();
    assert!(matches!(run([1, 9, 8]), EngineError::NotDivisible { .. }));
    assert!(matches!(run([2, 8, 8]), EngineError::SlicesInTwoDims { .. }));
    assert!(matches!(run([1, 0, 8]), EngineError::EmptyInput { .. }));
    let error = runtime.open(b"not a network", OnnxDevice::Cpu, 1).unwrap_err();
    assert!(matches!(error, OnnxRuntimeError::Prepare { device: "CPU", .. }), "{error}");
}

/// Where there is no GPU, asking for one is an error and not a run on the processor.
#[test]
fn no_device_falls_back_in_silence() {
    let Some(library) = library() else { return };
    let runtime = OnnxRuntime::load(&library).unwrap();
    let graph = unet().graph().unwrap();
    for device in [OnnxDevice::Cuda, OnnxDevice::TensorRt] {
        match runtime.open_network(&graph, &weights_for(&graph), device, 1) {
            Ok(network) => assert!(network.name().contains(device.name())),
            Err(error) => assert!(error.to_string().contains(device.name()), "{error}"),
        }
    }
}

#[test]
fn a_foreign_file_runs_as_it_is() {
    let Some(library) = library() else { return };
    let runtime = OnnxRuntime::load(&library).unwrap();
    // Written by hand in the tests of the export: one layer of every kind, relu(concat(f(image), image)).
    let session = runtime.open(include_bytes!("../data/tiny.onnx"), OnnxDevice::Cpu, 1).unwrap();
    let image = Numbers(5).take(6 * 5);
    let (values, shape) = session.run(&image, &[1, 1, 6, 5]).unwrap();
    assert_eq!(shape, [1, 2, 6, 5]);
    let positive: Vec<f32> = image.iter().map(|v| v.max(0.0)).collect();
    assert_eq!(values[30..], positive);
    assert!(session.run(&image, &[1, 3, 2, 5]).is_err(), "three channels into a network of one");
}

/// `lung-unet-small` (MIT; github.com/knottwill/UNet-Small) reads HU + 1024 and gives the probability of lung. It lies with
/// the data for development, not in this repository.
#[test]
fn a_network_of_others_finds_its_lungs() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/models/lung-unet-small/model.onnx");
    let (Some(library), Ok(onnx)) = (library(), std::fs::read(&shared)) else {
        eprintln!("skipped: no ONNX Runtime, or no {}", shared.display());
        return;
    };
    // A body of soft tissue with two lungs.
    let edge = 256;
    let within = |row: usize, column: usize, centre: f32, half_width: f32, half_height: f32| {
        let (y, x) = ((row as f32 - 126.0) / half_height, (column as f32 - centre) / half_width);
        y * y + x * x < 1.0
    };
    let lung = |r, c| within(r, c, 80.0, 35.0, 50.0) || within(r, c, 176.0, 35.0, 50.0);
    let pixels = (0..edge * edge).map(|i| (i / edge, i % edge));
    let truth: Vec<bool> = pixels.clone().map(|(r, c)| lung(r, c)).collect();
    let hu = |(r, c)| {
        if lung(r, c) {
            -850.0
        } else if within(r, c, 128.0, 110.0, 80.0) {
            40.0
        } else {
            -1024.0
        }
    };
    let image: Vec<f32> = pixels.map(|pixel| hu(pixel) + 1024.0).collect();
    let session = OnnxRuntime::load(&library).unwrap().open(&onnx, OnnxDevice::Cpu, 1).unwrap();
    let (probability, shape) = session.run(&image, &[1, 1, edge, edge]).unwrap();
    assert_eq!(shape, [1, 1, edge, edge]);
    let both = probability.iter().zip(&truth).filter(|(p, lung)| **p >= 0.5 && **lung).count();
    let either = probability.iter().filter(|p| **p >= 0.5).count() + truth.iter().filter(|lung| **lung).count();
    let dice = 2.0 * both as f64 / either as f64;
    assert!(dice > 0.95, "Dice {dice:.3}; 0.984 was seen");
}
