//! `hilum doctor`: what this machine has and lacks.

use anyhow::Result;
use hilum_nn::{Dims, Engine, EngineOptions, Graph, Node, NodeId, Op, Precision, Weights, available_kernels};
use hilum_train::TrainDevice;
use serde_json::json;

use crate::arguments::DoctorArguments;
use crate::{device, machine, models};

/// Memory below which a thousand slices may not fit, in megabytes; three gigabytes were measured for them.
const MEMORY_ADVISED_MB: f64 = 4000.0;

/// A way to compute, and why it cannot be used here.
struct Way {
    /// `engine` (ours), `format` (cheaper numbers within it), `onnxruntime` or `training`.
    kind: &'static str,
    name: &'static str,
    /// How to ask for it, where it can be asked for.
    option: Option<&'static str>,
    missing: Option<String>,
}

pub(crate) fn run(arguments: &DoctorArguments) -> Result<()> {
    let software = machine::software();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = machine::memory_mb();
    let model = models::load(None);
    let ways = ways(arguments);
    let folder = models::folder().ok();
    let enough = memory.is_none_or(|[_, free]| free >= MEMORY_ADVISED_MB);
    if arguments.json {
        let ways: Vec<_> = ways
            .iter()
            .map(|w| json!({ "kind": w.kind, "name": w.name, "option": w.option, "missing": w.missing }))
            .collect();
        let report = json!({
            "version": software.version, "commit": software.commit,
            "os": std::env::consts::OS, "architecture": std::env::consts::ARCH, "threads": threads,
            "memory_mb": memory.map(|m| m[0]), "memory_available_mb": memory.map(|m| m[1]), "memory_enough": enough,
            "ways_to_compute": ways,
            "models_folder": folder, "built_in_model": model.as_ref().ok().map(|m| &m.card.version),
        });
        println!("{}", serde_json::to_string_pretty(&report)?);
        return model.map(drop);
    }
    println!("hilum {} ({})", software.version, software.commit.as_deref().unwrap_or("revision unknown"));
    println!("machine      {} {}, {threads} threads", std::env::consts::OS, std::env::consts::ARCH);
    if let Some([all, free]) = memory {
        let verdict = if enough { "enough" } else { "little: studies of 1000 slices may fail" };
        println!("memory       {:.1} GB, {:.1} GB available: {verdict}", all / 1000.0, free / 1000.0);
    }
    for Way { kind, name, option, missing } in ways {
        let available = || option.map_or("available".into(), |option| format!("available with {option}"));
        println!("{kind:<12} {name:<12} {}", missing.unwrap_or_else(available));
    }
    if let Some(folder) = folder {
        println!("models       installed ones are looked for in {}", folder.display());
    }
    match model {
        Ok(model) => println!(
            "model        {} {}, weights match the card; computed in {} here",
            model.card.name,
            model.card.version,
            model.precision().name()
        ),
        Err(error) => return Err(error.context("the built-in model cannot be used")),
    }
    println!("ready        hilum needs no network, no GPU and no other program");
    Ok(())
}

/// Every way to run a network that this program knows, usable or not.
fn ways(arguments: &DoctorArguments) -> Vec<Way> {
    let mut ways: Vec<Way> = available_kernels()
        .into_iter()
        .map(|k| Way { kind: "engine", name: k.name, option: None, missing: k.missing.map(str::to_owned) })
        .collect();
    for (precision, option) in [(Precision::Bf16, "--precision bf16"), (Precision::Int8, "--precision int8")] {
        ways.push(Way {
            kind: "format",
            name: precision.name(),
            option: Some(option),
            missing: missing_for(precision),
        });
    }
    let options = [Some("--device cpu"), Some("--device cuda"), Some("--device tensorrt")];
    for ((name, missing), option) in device::onnx::devices(&arguments.library).into_iter().zip(options) {
        ways.push(Way { kind: "onnxruntime", name, option, missing });
    }
    let options = [None, Some("train --device wgpu"), Some("train --device cuda")];
    for (device, option) in TrainDevice::ALL.into_iter().zip(options) {
        let missing = device.missing().map(str::to_owned);
        ways.push(Way { kind: "training", name: device.name(), option, missing });
    }
    ways
}

/// Why the engine cannot compute with smaller numbers here.
fn missing_for(precision: Precision) -> Option<String> {
    let relu = Node { name: "relu".into(), op: Op::Relu, inputs: vec![NodeId::INPUT] };
    let graph = Graph::new(Dims::Two, 1, vec![relu], NodeId(1)).expect("one layer is a network");
    let options = EngineOptions { threads: 1, precision, ..EngineOptions::default() };
    Engine::new(&graph, &Weights::new(), options).err().map(|error| error.to_string())
}
