//! `hilum train`: a configuration in, a model with its card out.

use std::path::PathBuf;

use anyhow::Result;
use hilum_train::{Program, RunOptions, TrainConfig};

use crate::arguments::TrainArguments;
use crate::evaluate::read_config;
use crate::outcome::WrongUsage;
use crate::progress::Progress;
use crate::{machine, output};

/// Keeps the allocator from giving memory back to the system while it runs: every step needs as much as the last, and pages
/// that come anew are cleared first, which costs a sixth of a step. The allocator reads it once, when the program starts.
const KEEP_MEMORY: (&str, &str) = ("MIMALLOC_PURGE_DELAY", "-1");

/// Batches made by a rehearsal: some seconds of work.
const REHEARSED_BATCHES: u64 = 50;

pub(crate) fn run(arguments: &TrainArguments, progress: &Progress) -> Result<()> {
    start_again_with_kept_memory();
    machine::set_threads(arguments.threads)?;
    let mut config = read_config(&arguments.config)?;
    check_data(&config)?;
    if let (Some(start), Some(folder)) = (&mut config.start, arguments.config.parent()) {
        start.from = folder.join(&start.from);
    }
    if let Some(fold) = arguments.fold {
        config = config.fold(fold, &data_root(), &machine::limits())?;
    }
    // A run that goes on has taken over what it started from.
    let is_new = config.split.folds.is_none() && !arguments.out.join(hilum_train::CHECKPOINT).is_file();
    if let Some(start) = config.start.as_ref().filter(|start| is_new && !start.from.is_file()) {
        return Err(WrongUsage(format!("there is no model to start from at {}", start.from.display())).into());
    }
    output::folder(&arguments.out)?;
    let software = machine::software();
    let options = RunOptions {
        program: Program {
            name: format!("{} {}", software.name, software.version),
            commit: software.commit,
            now: Some(machine::now()),
        },
        device: arguments.device,
        cards: arguments.cards,
        arithmetic: arguments.arithmetic,
        cache: arguments.cache.as_deref(),
        limits: machine::limits(),
        preparing: &|share| progress.report("preparing slices", share),
    };
    if arguments.rehearse {
        let found = hilum_train::rehearse(&config, &data_root(), &arguments.out, &options, REHEARSED_BATCHES)?;
        progress.finish();
        progress.say(&format!(
            "{} slices of {} patients, prepared in {:.1} s; {:.0} examples per second; memory {:.0} MB",
            found.slices,
            found.patients,
            found.preparing_s,
            found.examples_per_s,
            machine::peak_memory_mb().unwrap_or(f64::NAN)
        ));
        return Ok(());
    }
    let summary = hilum_train::run(&config, &data_root(), &arguments.out, &options, &mut |step| {
        let stage = format!("step {}, loss {:.3}", step.step, step.loss);
        progress.report_within("training", &stage, step.fraction as f32);
    })?;
    progress.finish();
    if summary.was_through {
        let out = arguments.out.display();
        progress.say(&format!(
            "Nothing was left to do: {out} stays as it is, also where [card] of the configuration has changed since."
        ));
    }
    progress.say(&format!(
        "{} steps{} on {} slices of {} patients in {:.0} minutes\nmodel: {}",
        summary.steps,
        summary.best_step.map_or(String::new(), |step| format!(" (best in validation: {step})")),
        summary.slices,
        summary.patients,
        summary.elapsed_s / 60.0,
        arguments.out.join("card.toml").display()
    ));
    Ok(())
}

/// Starts this program again, in the same process, with [`KEEP_MEMORY`] set; where that cannot be done, training is slower.
fn start_again_with_kept_memory() {
    #[cfg(unix)]
    if std::env::var_os(KEEP_MEMORY.0).is_none()
        && let Ok(program) = std::env::current_exe()
    {
        use std::os::unix::process::CommandExt;
        let (name, value) = KEEP_MEMORY;
        let _ = std::process::Command::new(program).args(std::env::args_os().skip(1)).env(name, value).exec();
    }
}

/// Refuses a configuration whose folders of data are not there.
pub(crate) fn check_data(config: &TrainConfig) -> Result<()> {
    let folders = config.data.iter().map(|source| data_root().join(&source.folder));
    match folders.into_iter().find(|folder| !folder.is_dir()) {
        None => Ok(()),
        Some(folder) => Err(WrongUsage(format!(
            "there is no folder of data at {}; relative folders are below $HILUM_DATA, or ../shared/data where that is not set",
            folder.display()
        ))
        .into()),
    }
}

/// Where data sets lie: `$HILUM_DATA`, or `../shared/data` beside the repository.
pub(crate) fn data_root() -> PathBuf {
    std::env::var_os("HILUM_DATA").map_or_else(|| PathBuf::from("../shared/data"), PathBuf::from)
}
