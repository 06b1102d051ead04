//! `hilum doctor`: what this machine has and lacks.

use anyhow::Result;
use hilum_nn::available_kernels;
use serde_json::json;

use crate::arguments::DoctorArguments;
use crate::{machine, models};

/// Memory below which a thousand slices may not fit, in megabytes; three gigabytes were measured for them.
const MEMORY_ADVISED_MB: f64 = 4000.0;

pub(crate) fn run(arguments: &DoctorArguments) -> Result<()> {
    let software = machine::software();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = machine::memory_mb();
    let model = models::load(None);
    let kernels = available_kernels();
    let folder = models::folder().ok();
    let enough = memory.is_none_or(|[_, free]| free >= MEMORY_ADVISED_MB);
    if arguments.json {
        let kernels: Vec<_> = kernels.iter().map(|k| json!({ "name": k.name, "missing": k.missing })).collect();
        let report = json!({
            "version": software.version, "commit": software.commit,
            "os": std::env::consts::OS, "architecture": std::env::consts::ARCH, "threads": threads,
            "memory_mb": memory.map(|m| m[0]), "memory_available_mb": memory.map(|m| m[1]), "memory_enough": enough,
            "cpu_kernels": kernels, "gpu": null,
            "models_folder": folder, "built_in_model": model.as_ref().ok().map(|m| &m.card.version),
        });
        println!("{}", serde_json::to_string_pretty(&report)?);
        return model.map(drop);
    }
    println!("hilum {} ({})", software.version, software.commit.as_deref().unwrap_or("revision unknown"));
    println!("machine    {} {}, {threads} threads", std::env::consts::OS, std::env::consts::ARCH);
    if let Some([all, free]) = memory {
        let verdict = if enough { "enough" } else { "little: studies of 1000 slices may fail" };
        println!("memory     {:.1} GB, {:.1} GB available: {verdict}", all / 1000.0, free / 1000.0);
    }
    for kernel in kernels {
        println!("CPU        {:<12} {}", kernel.name, kernel.missing.unwrap_or("available"));
    }
    println!("GPU        not used: this build computes on the CPU");
    if let Some(folder) = folder {
        println!("models     installed ones are looked for in {}", folder.display());
    }
    match model {
        Ok(model) => println!("model      {} {}, weights match the card", model.card.name, model.card.version),
        Err(error) => return Err(error.context("the built-in model cannot be used")),
    }
    println!("ready      hilum needs no network, no GPU and no other program");
    Ok(())
}
