//! `hilum evaluate`: a model against labels.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use hilum_lung::LesionNetwork;
use hilum_nn::{Model, Runtime};
use hilum_train::{
    EvaluateOptions, Evaluation, Layout, Side, Source, TrainConfig, TrainError, charts, compare, comparison_table,
};

use crate::arguments::{Device, DeviceArguments, EvaluateArguments, PrecisionChoice};
use crate::outcome::WrongUsage;
use crate::progress::Progress;
use crate::whole_scans::{SLICE_LABELS, whole_scans};
use crate::{device, machine, models, output};

pub(crate) fn run(arguments: &EvaluateArguments, progress: &Progress) -> Result<()> {
    let threads = machine::set_threads(arguments.threads)?;
    let folder = &std::path::absolute(&arguments.dataset)?;
    if !folder.is_dir() {
        return Err(WrongUsage(format!("there is no folder {}", folder.display())).into());
    }
    let has_slice_labels = folder.join(SLICE_LABELS).is_file();
    refuse_unheeded(arguments, has_slice_labels)?;
    let report = |fraction| progress.report("evaluating", fraction);
    let mut options = EvaluateOptions {
        threads,
        upside_down: arguments.upside_down.clone(),
        mirror: arguments.mirror,
        limits: machine::limits(),
        ..EvaluateOptions::default()
    };
    if !arguments.folds.is_empty() {
        let mut folds = Vec::new();
        for run in &arguments.folds {
            let config = read_config(&run.join("config.toml"))?;
            heed(&config, arguments, folder, &mut options);
            folds.push((models::load(Some(&run.join("card.toml")))?, config.split));
        }
        let evaluation = hilum_train::cross_validate(&folds, layout(folder)?, folder, &options, &report);
        let evaluation = evaluation.map_err(explained)?;
        draw(arguments, &evaluation)?;
        return finish(arguments, progress, &evaluation.table(), &serde_json::to_value(&evaluation)?);
    }
    let model = models::load_and_say(arguments.model.as_deref(), progress)?;
    let runtime = device::open(&model, &arguments.device, threads)?;
    if has_slice_labels {
        let network = LesionNetwork::on(runtime, model, threads)?;
        let (table, json) = whole_scans(folder, &network, progress)?;
        return finish(arguments, progress, &table, &json);
    }
    let card = arguments.into.as_deref().map(|card| card_to_fill(card, &model)).transpose()?;
    let config = arguments.split.as_deref().map(read_config).transpose()?;
    match &config {
        Some(config) => heed(config, arguments, folder, &mut options),
        None => {
            options.prefix = arguments.prefix.clone().unwrap_or_default();
            progress.say("All patients are measured, those the model may have learned from too; --split names others.");
        }
    }
    options.split = config.map(|config| (config.split, Side::HoldOut));
    let measure = |runtime: &dyn Runtime, model: &Model| -> Result<Evaluation> {
        hilum_train::evaluate_on(runtime, layout(folder)?, folder, model, &options, &report).map_err(explained)
    };
    let evaluation = measure(runtime.as_ref(), &model)?;
    draw(arguments, &evaluation)?;
    let (mut table, mut json) = (evaluation.table(), serde_json::to_value(&evaluation)?);
    if let Some(other) = &arguments.against {
        let other = models::load(Some(other))?;
        let runtime = device::open(&other, &arguments.device, threads)?;
        let other = measure(runtime.as_ref(), &other)?;
        let comparison = compare(&evaluation, &other, options.resamples);
        table = format!("{table}\n{}\n{}", other.table(), comparison_table(&comparison));
        json["against"] = serde_json::to_value(&other)?;
        json["comparison"] = serde_json::to_value(&comparison)?;
    }
    finish(arguments, progress, &table, &json)?;
    if let Some((path, entry)) = card {
        let text = with_results(&entry.card_text, entry.card.results, &evaluation)?;
        models::write_card(path, &text)?;
        progress.say(&format!("written into {}", path.display()));
    }
    Ok(())
}

/// Options that would change nothing are refused: whoever gives them believes that they do.
fn refuse_unheeded(arguments: &EvaluateArguments, has_slice_labels: bool) -> Result<()> {
    let DeviceArguments { device, precision, library } = &arguments.device;
    let (reason, unheeded) = if has_slice_labels {
        let reason =
            "this folder has labels of slices (slice_labels.csv): whole scans are analysed as `hilum analyze` does";
        let options = [
            ("--folds", !arguments.folds.is_empty()),
            ("--split", arguments.split.is_some()),
            ("--against", arguments.against.is_some()),
            ("--mirror", arguments.mirror),
            ("--prefix", arguments.prefix.is_some()),
            ("--upside-down", !arguments.upside_down.is_empty()),
            ("--plots", arguments.plots.is_some()),
            ("--into", arguments.into.is_some()),
        ];
        (reason, options.to_vec())
    } else if !arguments.folds.is_empty() {
        if arguments.into.is_some() {
            let reason = "--into writes into the card of the weights that were measured; those of --folds are several, and none is \
                          the model learned from all of their patients";
            return Err(WrongUsage(reason.into()).into());
        }
        let options = [
            ("--device", *device != Device::Hilum),
            ("--precision", *precision != PrecisionChoice::Auto),
            ("--onnxruntime", library.onnxruntime.is_some()),
        ];
        ("the models of --folds run on Hilum's own engine, as their cards say", options.to_vec())
    } else {
        return Ok(());
    };
    match unheeded.iter().find(|(_, given)| *given) {
        Some((option, _)) => Err(WrongUsage(format!("{option} cannot be heeded: {reason}")).into()),
        None => Ok(()),
    }
}

/// Takes from a configuration what it says of the folder, where the arguments do not say otherwise.
fn heed(config: &TrainConfig, arguments: &EvaluateArguments, folder: &Path, options: &mut EvaluateOptions) {
    options.upside_down.extend(upside_down(config, folder));
    options.labels = labels(config, folder);
    options.prefix = arguments.prefix.clone().or_else(|| prefix(config, folder)).unwrap_or_default();
}

/// An error of measuring, with what can be done about it.
fn explained(error: TrainError) -> anyhow::Error {
    match error {
        TrainError::Unassigned(_) => WrongUsage(format!(
            "{error}; where the configuration puts something before the names of this data set, --prefix says what"
        ))
        .into(),
        error => error.into(),
    }
}

/// The card that the results are to be written into: it must be that of the model that is measured.
fn card_to_fill<'a>(path: &'a Path, model: &Model) -> Result<(&'a Path, models::Entry)> {
    let entry = models::from_file(path)?;
    let (found, measured) = (&entry.card, &model.card);
    let differs = match () {
        () if found.weights.sha256 != measured.weights.sha256 => "weights",
        () if found.outputs != measured.outputs => "outputs",
        () if found.input != measured.input => "input",
        () => return Ok((path, entry)),
    };
    let (path, name, version) = (path.display(), &measured.name, &measured.version);
    let reason = format!(
        "{path} is the card of another model: its {differs} are not those of {name} {version}, which is measured"
    );
    Err(WrongUsage(format!("{reason}; --model says which")).into())
}

/// The text of a card with an evaluation among its results; those of other data sets stay.
fn with_results(card_text: &str, mut results: toml::Table, evaluation: &Evaluation) -> Result<String> {
    let (data_set, measured) = evaluation.card_results();
    results.insert(data_set, measured.into());
    let section = toml::to_string(&BTreeMap::from([("results", results)]))?;
    Ok(models::with_section(card_text, "results", &section))
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

/// The sources of a configuration that a folder is, by its name.
fn sources<'a>(config: &'a TrainConfig, folder: &'a Path) -> impl Iterator<Item = &'a Source> {
    config.data.iter().filter(|source| source.folder.file_name() == folder.file_name())
}

/// The scans of a folder that a configuration says are upside down, in its source of that name.
pub(crate) fn upside_down(config: &TrainConfig, folder: &Path) -> Vec<String> {
    sources(config, folder).flat_map(|source| source.upside_down.iter().cloned()).collect()
}

/// What a configuration says that the numbers in a folder's masks stand for, in its source of that name; nothing if there is none,
/// or several do not agree.
pub(crate) fn labels(config: &TrainConfig, folder: &Path) -> Vec<Vec<String>> {
    agreed(config, folder, |source| source.labels.clone()).unwrap_or_default()
}

/// What a configuration puts before the names of a folder's patients, in its source of that name; `None` if there is none, or
/// several do not agree.
pub(crate) fn prefix(config: &TrainConfig, folder: &Path) -> Option<String> {
    agreed(config, folder, |source| source.prefix.clone())
}

/// What all sources that a folder is say alike; `None` if there is none, or they differ.
fn agreed<T: PartialEq>(config: &TrainConfig, folder: &Path, said: impl Fn(&Source) -> T) -> Option<T> {
    let mut all = sources(config, folder).map(said);
    let first = all.next()?;
    all.all(|other| other == first).then_some(first)
}

/// The layout of a data set, by the files in it.
pub(crate) fn layout(folder: &Path) -> Result<Layout> {
    if !folder.is_dir() {
        return Err(WrongUsage(format!("there is no folder {}", folder.display())).into());
    }
    Layout::of(folder).ok_or_else(|| {
        let layouts = Layout::ALL.map(|(_, content)| format!("\n  {content}")).concat();
        let labels = format!("\n  whole scans and {SLICE_LABELS} (hilum evaluate only)");
        let folder = folder.display();
        WrongUsage(format!("{folder} has none of the layouts that are read, which are folders of{layouts}{labels}"))
            .into()
    })
}

/// A training configuration.
pub(crate) fn read_config(path: &Path) -> Result<TrainConfig> {
    if !path.is_file() {
        return Err(WrongUsage(format!("there is no configuration at {}", path.display())).into());
    }
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    TrainConfig::from_toml(&text).map_err(|error| WrongUsage(format!("{}: {error}", path.display())).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hilum_nn::ModelCard;

    fn config() -> TrainConfig {
        TrainConfig::from_toml(include_str!("../../../models/pneumonia-ct/train.toml")).unwrap()
    }

    #[test]
    fn what_a_configuration_says_of_a_folder_goes_by_its_name() {
        let mut config = config();
        let of = |config: &TrainConfig, folder: &str| prefix(config, Path::new(folder));
        assert_eq!(of(&config, "/elsewhere/medseg-9/").as_deref(), Some("medseg-"));
        assert_eq!(of(&config, "covid19-ct-seg-20").as_deref(), Some(""));
        assert_eq!(of(&config, "/elsewhere/other"), None);
        let mut twice = config.data[1].clone();
        twice.prefix = "other-".into();
        config.data.push(twice);
        assert_eq!(of(&config, "medseg-9"), None, "which of the two?");
    }

    #[test]
    fn a_card_is_filled_by_the_model_that_was_measured_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("card.toml");
        let text = include_str!("../../../models/pneumonia-ct/card.toml");
        let weights = include_bytes!("../../../models/pneumonia-ct/weights.safetensors");
        let model = models::load(None).unwrap();
        for (from, to, expected) in [
            ("", "", None),
            ("threshold = 0.3", "threshold = 0.4", Some("outputs")),
            ("pixel_mm = 1.4", "pixel_mm = 1.5", Some("input")),
            ("sha256 = \"2780", "sha256 = \"0000", Some("weights")),
        ] {
            std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
            std::fs::write(folder.path().join("weights.safetensors"), weights).unwrap();
            match (card_to_fill(&path, &model), expected) {
                (Ok((_, entry)), None) => assert_eq!(entry.card, model.card),
                (Err(error), Some(what)) => assert!(error.to_string().contains(what), "{error}"),
                (_, expected) => panic!("{expected:?}"),
            }
        }
    }

    #[test]
    fn results_join_those_of_other_data_sets_in_the_card() {
        let evaluation = serde_json::json!({
            "data_set": "Our-CT 1", "model": "pneumonia-ct", "version": "1", "sha256": "ab", "protocol": ["One.", "Two."],
            "patients": [{ "patient": "p1", "volumes": 1, "slices": 2, "channels": [{ "channel": "lesion", "dice": 0.51234 }] }],
            "summary": [{ "channel": "lesion", "dice": { "mean": 0.51234, "sd": 0.0, "count": 1 }, "dice_95": [0.4, 0.6] }],
            "subgroups": [{ "name": "lesion_small", "meaning": "few", "patients": 1, "summary": [] }],
        });
        let evaluation: Evaluation = serde_json::from_value(evaluation).unwrap();
        let text = include_str!("../../../models/pneumonia-ct/card.toml");
        let before = ModelCard::from_toml(text).unwrap();
        let once = with_results(text, before.results.clone(), &evaluation).unwrap();
        let card = ModelCard::from_toml(&once).unwrap();
        let own = &card.results["our_ct_1"];
        assert_eq!(own["protocol"].as_str(), Some("One. Two."));
        let lesion = &own["lesion"];
        assert_eq!(lesion["dice_mean"].as_float(), Some(0.5123));
        assert_eq!(lesion["dice_95"].as_array().unwrap().len(), 2);
        assert_eq!(lesion["dice_of_patient"]["p1"].as_float(), Some(0.5123));
        assert_eq!(own["subgroups"]["lesion_small"]["patients"].as_integer(), Some(1));
        let mut others = card.results.clone();
        others.remove("our_ct_1");
        assert_eq!(ModelCard { results: others, ..card.clone() }, before, "all else is as it was");
        assert_eq!(with_results(&once, card.results, &evaluation).unwrap(), once, "again is the same");
    }
}
