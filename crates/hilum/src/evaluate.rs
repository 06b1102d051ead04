//! `hilum evaluate`: a model against labels.

use std::path::Path;

use anyhow::{Context, Result};
use hilum_lung::LesionNetwork;
use hilum_train::{EvaluateOptions, Evaluation, Layout, Side, TrainConfig, charts, compare, comparison_table};

use crate::arguments::EvaluateArguments;
use crate::outcome::WrongUsage;
use crate::progress::Progress;
use crate::whole_scans::{SLICE_LABELS, whole_scans};
use crate::{device, machine, models, output};

pub(crate) fn run(arguments: &EvaluateArguments, progress: &Progress) -> Result<()> {
    let threads = machine::set_threads(arguments.threads)?;
    let folder = &arguments.dataset;
    if !folder.is_dir() {
        return Err(WrongUsage(format!("there is no folder {}", folder.display())).into());
    }
    let report = |fraction| progress.report("evaluating", fraction);
    let mut options = EvaluateOptions {
        threads,
        prefix: arguments.prefix.clone(),
        upside_down: arguments.upside_down.clone(),
        mirror: arguments.mirror,
        limits: machine::limits(),
        ..EvaluateOptions::default()
    };
    if !arguments.folds.is_empty() {
        let mut folds = Vec::new();
        for run in &arguments.folds {
            let config = read_config(&run.join("config.toml"))?;
            options.upside_down.extend(upside_down(&config, folder));
            folds.push((models::load(Some(&run.join("card.toml")))?, config.split));
        }
        let evaluation = hilum_train::cross_validate(&folds, layout(folder)?, folder, &options, &report)?;
        draw(arguments, &evaluation)?;
        return finish(arguments, progress, &evaluation.table(), &serde_json::to_value(&evaluation)?);
    }
    let model = models::load(arguments.model.as_deref())?;
    let runtime = device::open(&model, &arguments.device, threads)?;
    let (table, json) = if folder.join(SLICE_LABELS).is_file() {
        let network = LesionNetwork::on(runtime, model, threads)?;
        whole_scans(folder, &network, progress)?
    } else {
        let config = arguments.split.as_deref().map(read_config).transpose()?;
        options.upside_down.extend(config.iter().flat_map(|config| upside_down(config, folder)));
        let split = config.map(|config| config.split);
        if split.is_none() {
            progress.say("All patients are measured, those the model may have learned from too; --split names others.");
        }
        let options = EvaluateOptions { split: split.map(|s| (s, Side::HoldOut)), ..options };
        let evaluation =
            hilum_train::evaluate_on(runtime.as_ref(), layout(folder)?, folder, &model, &options, &report)?;
        draw(arguments, &evaluation)?;
        let (mut table, mut json) = (evaluation.table(), serde_json::to_value(&evaluation)?);
        if let Some(other) = &arguments.against {
            let other = models::load(Some(other))?;
            let runtime = device::open(&other, &arguments.device, threads)?;
            let other = hilum_train::evaluate_on(runtime.as_ref(), layout(folder)?, folder, &other, &options, &report)?;
            let comparison = compare(&evaluation, &other, options.resamples);
            table = format!("{table}\n{}\n{}", other.table(), comparison_table(&comparison));
            json["against"] = serde_json::to_value(&other)?;
            json["comparison"] = serde_json::to_value(&comparison)?;
        }
        (table, json)
    };
    finish(arguments, progress, &table, &json)
}

/// Writes the charts, if they are wanted.
fn draw(arguments: &EvaluateArguments, evaluation: &Evaluation) -> Result<()> {
    let Some(folder) = &arguments.plots else { return Ok(()) };
    output::folder(folder)?;
    charts(evaluation).iter().try_for_each(|(name, svg)| output::write(&folder.join(name), svg.as_bytes()))
}

fn finish(arguments: &EvaluateArguments, progress: &Progress, table: &str, json: &serde_json::Value) -> Result<()> {
    progress.finish();
    print!("{table}");
    if let Some(out) = &arguments.out {
        output::write(out, (serde_json::to_string_pretty(json)? + "\n").as_bytes())?;
    }
    Ok(())
}

/// The scans of a folder that a configuration says are upside down, in its source of that name.
pub(crate) fn upside_down(config: &TrainConfig, folder: &Path) -> Vec<String> {
    let sources = config.data.iter().filter(|source| source.folder.file_name() == folder.file_name());
    sources.flat_map(|source| source.upside_down.iter().cloned()).collect()
}

/// The layout of a data set, by the files in it.
pub(crate) fn layout(folder: &Path) -> Result<Layout> {
    let pairs = || -> std::io::Result<bool> {
        let mut files = std::fs::read_dir(folder)?.filter_map(Result::ok);
        Ok(files.any(|f| f.file_name().to_string_lossy().ends_with("_image.nii.gz")))
    };
    let has_folders = || {
        let files = std::fs::read_dir(folder);
        files.is_ok_and(|mut files| files.any(|f| f.is_ok_and(|f| f.path().is_dir())))
    };
    if folder.join("volumes.csv").is_file() {
        Ok(Layout::Covid19CtSeg)
    } else if folder.join("GT_multiclass").is_dir() {
        Ok(Layout::CovidSemiSeg)
    } else if pairs()? {
        Ok(Layout::NiftiPairs)
    } else if has_folders() {
        Ok(Layout::DicomSeg)
    } else {
        Err(WrongUsage(format!("{} has none of the layouts that are read", folder.display())).into())
    }
}

/// A training configuration.
pub(crate) fn read_config(path: &Path) -> Result<TrainConfig> {
    let text = std::fs::read_to_string(path).with_context(|| format!("no configuration at {}", path.display()))?;
    TrainConfig::from_toml(&text).with_context(|| path.display().to_string())
}
