//! The registry of models: those built into the program, and those in the models folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use hilum_nn::{Model, ModelCard, ONNX_OPSET};
use hilum_train::EvaluateOptions;

use crate::arguments::{ModelsAction, ModelsArguments};
use crate::outcome::{Refused, WrongUsage};
use crate::progress::Progress;
use crate::{evaluate, machine, models_calibrate, output};

/// The model of the pneumonia product, part of the program so that nothing needs to be fetched.
const BUILT_IN: [(&str, &[u8]); 1] = [(
    include_str!("../../../models/pneumonia-ct/card.toml"),
    include_bytes!("../../../models/pneumonia-ct/weights.safetensors"),
)];

/// File name of a card in its folder, and of the same for people.
const CARD: &str = "card.toml";
const CARD_FOR_PEOPLE: &str = "CARD.md";

/// A card with the bytes of its weights, not yet checked against one another.
pub(crate) struct Entry {
    pub(crate) card: ModelCard,
    pub(crate) card_text: String,
    pub(crate) weights: Vec<u8>,
    place: Place,
}

/// Where a model of the registry is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    BuiltIn,
    Installed,
    /// Installed under the name of a built-in one.
    InsteadOfBuiltIn,
}

pub(crate) fn run(arguments: &ModelsArguments, progress: &Progress) -> Result<()> {
    match &arguments.action {
        ModelsAction::List => list(),
        ModelsAction::Show { name } => {
            print!("{}", find(name)?.card_text);
            Ok(())
        }
        ModelsAction::Verify { name } => verify(name.as_deref()),
        ModelsAction::Import { card } => import(card),
        ModelsAction::Quantise { card, data, split, threads } => quantise(card, data, split, *threads, progress),
        ModelsAction::Calibrate { card, config, evaluated, measured_on, cache, threads } => {
            models_calibrate::run(card, config, evaluated, measured_on, cache.as_deref(), *threads, progress)
        }
        ModelsAction::Export { name, out, onnx } => export(name, out.as_deref(), onnx.as_deref()),
    }
}

/// The model of a card file or of a name in the registry, or the built-in one.
pub(crate) fn load(model: Option<&Path>) -> Result<Model> {
    let entry = entry(model)?;
    Ok(entry.card.with_weights(&entry.weights)?)
}

/// As [`load`], and says when an installed model stands in for the built-in one of its name.
pub(crate) fn load_and_say(model: Option<&Path>, progress: &Progress) -> Result<Model> {
    let entry = entry(model)?;
    if entry.place == Place::InsteadOfBuiltIn {
        let ModelCard { name, version, .. } = &entry.card;
        progress.say(&format!("{name} {version} is an installed model that hides the built-in one of its name."));
    }
    Ok(entry.card.with_weights(&entry.weights)?)
}

fn entry(model: Option<&Path>) -> Result<Entry> {
    match model {
        None => find(&built_in()?[0].card.name),
        Some(path) if path.is_file() => from_file(path),
        Some(path) => match path.to_str().filter(|name| is_plain(name)).map(|name| (name, all())) {
            None => from_file(path),
            Some((name, all)) => {
                let mut all = all?;
                let names = all.keys().cloned().collect::<Vec<_>>().join(", ");
                let absent =
                    format!("there is neither a model card at {name} nor a model of that name; models: {names}");
                all.remove(name).ok_or_else(|| WrongUsage(absent).into())
            }
        },
    }
}

fn list() -> Result<()> {
    println!("{:<20} {:<10} {:<10} LICENCE", "NAME", "VERSION", "PLACE");
    for Entry { card, place, .. } in all()?.values() {
        let (name, hides) = match place {
            Place::BuiltIn => ("built-in", ""),
            Place::Installed => ("installed", ""),
            Place::InsteadOfBuiltIn => ("installed", "; hides the built-in model of this name"),
        };
        println!("{:<20} {:<10} {name:<10} {}{hides}", card.name, card.version, card.licence);
    }
    Ok(())
}

fn verify(name: Option<&str>) -> Result<()> {
    let entries = match name {
        Some(name) => vec![find(name)?],
        None => all()?.into_values().collect(),
    };
    let mut refused = Vec::new();
    for entry in entries {
        let sha256 = entry.card.weights.sha256.clone();
        let name = entry.card.name.clone();
        match entry.card.with_weights(&entry.weights) {
            Ok(_) => println!("{name}: weights match the card (SHA-256 {sha256})"),
            Err(reason) => refused.push(format!("{name}: {reason}")),
        }
    }
    if refused.is_empty() { Ok(()) } else { Err(Refused(refused.join("; ")).into()) }
}

fn import(card: &Path) -> Result<()> {
    let entry = from_file(card)?;
    let name = entry.card.name.clone();
    if !is_plain(&name) || !is_plain(&entry.card.weights.file) {
        bail!("the card's names are no plain file names");
    }
    let folder = folder()?.join(&name);
    let file = entry.card.weights.file.clone();
    entry.card.with_weights(&entry.weights)?;
    output::folder(&folder)?;
    output::write(&folder.join(file), &entry.weights)?;
    write_card(&folder.join(CARD), &entry.card_text)?;
    println!("{name} is installed in {}", folder.display());
    if built_in()?.iter().any(|own| own.card.name == name) {
        println!("it hides the built-in model of its name: every command without --model uses it");
    }
    Ok(())
}

fn quantise(card: &Path, data: &Path, split: &Path, threads: Option<usize>, progress: &Progress) -> Result<()> {
    let threads = machine::set_threads(threads)?;
    let entry = from_file(card)?;
    let model = entry.card.with_weights(&entry.weights)?;
    let config = evaluate::read_config(split)?;
    let layout = evaluate::layout(data)?;
    let upside_down = evaluate::upside_down(&config, data);
    let prefix = evaluate::prefix(&config, data).unwrap_or_default();
    let labels = evaluate::labels(&config, data);
    let limits = machine::limits();
    let options = EvaluateOptions { threads, prefix, upside_down, labels, limits, ..EvaluateOptions::default() };
    let report = |share| progress.report("measuring", share);
    let (int8, evaluations) = hilum_train::measure_int8(layout, data, &model, &config.split, &options, &report)?;
    progress.finish();
    for (precision, evaluation) in ["f32", "int8"].into_iter().zip(&evaluations) {
        println!("{precision}: {}", evaluation.table());
    }
    let changes = int8.dice_change.iter().map(|(channel, change)| format!("{channel} {change:+.4}"));
    let changes = changes.collect::<Vec<_>>().join(", ");
    let verdict = if int8.costs_nothing() { "the default from now on" } else { "not the default" };
    println!("change of the mean Dice by 8-bit convolutions: {changes}; {verdict}");
    let text = with_section(&entry.card_text, "int8", &toml::to_string(&BTreeMap::from([("int8", int8)]))?);
    write_card(card, &text)
}

/// Writes a card that was changed, and the same for people beside it.
pub(crate) fn write_card(path: &Path, text: &str) -> Result<()> {
    let card = ModelCard::from_toml(text)?;
    output::write(path, text.as_bytes())?;
    output::write(&path.with_file_name(CARD_FOR_PEOPLE), card.to_markdown().as_bytes())
}

/// A TOML text with one of its tables replaced, or added at the end; all else stays as it was written.
pub(crate) fn with_section(text: &str, name: &str, section: &str) -> String {
    let [table, below] = [format!("[{name}]"), format!("[{name}.")];
    let mut inside = false;
    let mut kept = String::new();
    for line in text.lines() {
        if line.starts_with('[') {
            inside = line.starts_with(&table) || line.starts_with(&below);
        }
        if !inside {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    format!("{}\n\n{section}", kept.trim_end())
}

fn export(name: &str, out: Option<&Path>, onnx: Option<&Path>) -> Result<()> {
    let entry = find(name)?;
    if let Some(out) = out {
        output::folder(out)?;
        output::write(&out.join(&entry.card.weights.file), &entry.weights)?;
        write_card(&out.join(CARD), &entry.card_text)?;
        println!("{}", out.join(CARD).display());
    }
    if let Some(file) = onnx {
        output::write(file, &entry.card.with_weights(&entry.weights)?.to_onnx()?)?;
        println!("{} (opset {ONNX_OPSET})", file.display());
    }
    Ok(())
}

fn find(name: &str) -> Result<Entry> {
    let mut all = all()?;
    let names = all.keys().cloned().collect::<Vec<_>>().join(", ");
    all.remove(name).ok_or_else(|| WrongUsage(format!("there is no model `{name}`; there are: {names}")).into())
}

/// All models by name; an installed one takes the place of a built-in one of its name.
fn all() -> Result<BTreeMap<String, Entry>> {
    let mut entries: BTreeMap<_, _> = built_in()?.into_iter().map(|e| (e.card.name.clone(), e)).collect();
    let Ok(folder) = folder() else { return Ok(entries) };
    let Ok(found) = std::fs::read_dir(&folder) else { return Ok(entries) };
    for item in found {
        let card = item?.path().join(CARD);
        if card.is_file() {
            let mut entry = from_file(&card)?;
            if built_in()?.iter().any(|own| own.card.name == entry.card.name) {
                entry.place = Place::InsteadOfBuiltIn;
            }
            entries.insert(entry.card.name.clone(), entry);
        }
    }
    Ok(entries)
}

fn built_in() -> Result<Vec<Entry>> {
    let entry = |(text, weights): &(&str, &[u8])| -> Result<Entry> {
        let card = ModelCard::from_toml(text)?;
        Ok(Entry { card, card_text: (*text).to_owned(), weights: weights.to_vec(), place: Place::BuiltIn })
    };
    BUILT_IN.iter().map(entry).collect()
}

pub(crate) fn from_file(path: &Path) -> Result<Entry> {
    if !path.is_file() {
        return Err(WrongUsage(format!("there is no model card at {}", path.display())).into());
    }
    let card_text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let card = ModelCard::from_toml(&card_text).with_context(|| path.display().to_string())?;
    if !is_plain(&card.weights.file) {
        bail!("the card at {} names its weights by a path, not by a file name", path.display());
    }
    let file = path.with_file_name(&card.weights.file);
    if !file.is_file() {
        return Err(WrongUsage(format!("there are no weights at {}", file.display())).into());
    }
    let weights = std::fs::read(&file).with_context(|| file.display().to_string())?;
    Ok(Entry { card, card_text, weights, place: Place::Installed })
}

/// Whether a name from a card can be a file name in the registry without leaving it.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

/// Where installed models lie: `$HILUM_MODELS`, or `hilum/models` in the user's data folder.
pub(crate) fn folder() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("HILUM_MODELS") {
        return Ok(folder.into());
    }
    let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share"));
    let data = data.or_else(home).context("set HILUM_MODELS to say where models are installed")?;
    Ok(data.join("hilum/models"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_model_matches_its_card() {
        for entry in built_in().unwrap() {
            entry.card.with_weights(&entry.weights).unwrap();
        }
    }

    #[test]
    fn a_section_is_replaced_and_the_rest_kept() {
        let text = "a = 1 # why\n\n[int8]\nb = 2\n\n[int8.c]\nd = 3\n\n[e]\nf = [\n    4,\n]\n";
        let once = with_section(text, "int8", "[int8]\nb = 5\n");
        assert_eq!(once, "a = 1 # why\n\n[e]\nf = [\n    4,\n]\n\n[int8]\nb = 5\n");
        assert_eq!(with_section(&once, "int8", "[int8]\nb = 5\n"), once);
    }

    #[test]
    fn names_that_leave_the_folder_are_refused() {
        for name in ["../x", "/etc/x", "", ".hidden", "a/b", "a\\b"] {
            assert!(!is_plain(name), "{name}");
        }
        assert!(is_plain("pneumonia-ct_2.safetensors"));
    }
}
