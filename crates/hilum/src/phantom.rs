//! `hilum phantom`: a chest CT with known answers.

use std::path::Path;

use anyhow::Result;
use hilum_phantom::{Disease, PhantomOptions, Variant, Written};

use crate::arguments::PhantomArguments;
use crate::machine;
use crate::outcome::WrongUsage;
use crate::progress::Progress;

pub(crate) fn run(arguments: &PhantomArguments, progress: &Progress) -> Result<()> {
    if arguments.list {
        list();
        return Ok(());
    }
    machine::set_threads(None)?;
    let out = arguments.out.as_deref().ok_or_else(|| WrongUsage("say where to write with --out DIR".into()))?;
    let options = options(arguments)?;
    progress.report("making the phantom", 0.0);
    let written = write(out, &options)?;
    progress.finish();
    progress.say(&format!("{} files in {}", written.files, out.display()));
    Ok(())
}

/// Writes a phantom and gives what was written.
pub(crate) fn write(out: &Path, options: &PhantomOptions) -> Result<Written> {
    Ok(hilum_phantom::write(out, options)?)
}

fn options(arguments: &PhantomArguments) -> Result<PhantomOptions> {
    let unknown = |what: &str, name: &str| WrongUsage(format!("there is no {what} `{name}`; --list names them"));
    let variant = Variant::from_name(&arguments.variant).ok_or_else(|| unknown("variant", &arguments.variant))?;
    let disease = Disease::from_name(&arguments.lesions).ok_or_else(|| unknown("preset", &arguments.lesions))?;
    Ok(PhantomOptions { seed: arguments.seed, variant, disease, ..PhantomOptions::default() })
}

fn list() {
    println!("VARIANTS");
    for variant in Variant::all() {
        println!("  {:<18} {}", variant.name(), variant.description());
    }
    println!("LESIONS");
    for disease in Disease::all() {
        println!("  {:<18} {}", disease.name(), disease.description());
    }
}
