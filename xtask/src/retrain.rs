//! `cargo xtask retrain`: the committed pneumonia model from the data sets alone, with all that its card says.
//!
//! The model learns from `train.toml`. What its card says of how far it can be believed needs patients that were not learned
//! from, more than it holds out: they are those of the five kindred networks of `folds.toml`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};
use clap::Args;

use crate::{built_hilum, data, run};

#[derive(Args)]
pub(crate) struct RetrainArguments {
    /// Where the runs go; what is there already goes on, or is taken as it is
    #[arg(long, default_value = "runs/pneumonia-ct", value_name = "DIR")]
    out: PathBuf,
}

/// Of the card's sections `trust`.
const MEASURED_ON: &str = "14 patients of COVID-19-CT-Seg (volumes) and 9 scans of MedSeg (slices), each by a kindred network of \
                           folds.toml (a slice between its neighbours, 1600 steps) that had not seen the patient";

pub(crate) fn retrain(root: &Path, arguments: &RetrainArguments) -> Result<()> {
    let data = data(root);
    let [volumes, slices] = ["covid19-ct-seg-20", "medseg-9"].map(|set| data.join(set));
    if let Some(missing) = [&volumes, &slices].into_iter().find(|set| !set.is_dir()) {
        bail!("there is no {}; $HILUM_DATA says where the data sets are", missing.display());
    }
    let program = built_hilum(root)?;
    let hilum = |arguments: &[&dyn AsRef<OsStr>]| {
        let mut command = Command::new(&program);
        arguments.iter().for_each(|argument| {
            command.arg(argument);
        });
        run(command.env("HILUM_DATA", &data))
    };
    let recipes = root.join("models/pneumonia-ct");
    let [recipe, kindred] = ["train.toml", "folds.toml"].map(|name| recipes.join(name));
    let out = root.join(&arguments.out);
    let [model, cache] = ["model", "cache"].map(|name| out.join(name));
    let card = model.join("card.toml");

    hilum(&[&"train", &recipe, &"--out", &model, &"--cache", &cache])?;
    let folds: [PathBuf; 5] = std::array::from_fn(|fold| out.join(format!("fold-{fold}")));
    for (number, fold) in folds.iter().enumerate() {
        hilum(&[&"train", &kindred, &"--fold", &number.to_string(), &"--out", fold, &"--cache", &cache])?;
    }
    let [f0, f1, f2, f3, f4] = &folds;
    let [of_volumes, of_slices] = ["volumes.json", "slices.json"].map(|name| out.join(name));
    for (set, json) in [(&volumes, &of_volumes), (&slices, &of_slices)] {
        hilum(&[&"evaluate", set, &"--out", json, &"--folds", f0, f1, f2, f3, f4])?;
    }
    let [of_volumes, of_slices]: [&dyn AsRef<OsStr>; 2] = [&of_volumes, &of_slices];
    let calibrate: [&dyn AsRef<OsStr>; 8] =
        [&"models", &"calibrate", &"--config", &recipe, &"--cache", &cache, &"--measured-on", &MEASURED_ON];
    hilum(&[&calibrate[..], &[&"--evaluated", of_volumes, of_slices, &"--", &card]].concat())?;
    // Not every processor has instructions for 8-bit numbers; without their ranges the model computes in f32.
    if let Err(reason) = hilum(&[&"models", &"quantise", &"--data", &volumes, &"--split", &recipe, &card]) {
        eprintln!("8-bit convolutions were not measured: {reason:#}");
    }
    for set in [&volumes, &slices] {
        hilum(&[&"evaluate", set, &"--model", &card, &"--split", &recipe, &"--into", &card])?;
    }
    eprintln!("the model: {}", card.display());
    Ok(())
}
