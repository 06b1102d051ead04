//! Training from files to a card, its resumption, and the measurement of what came out.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use hilum_dicom::Limits;
use hilum_train::{
    EvaluateOptions, Folds, Layout, Loss, Method, Progress, RunOptions, Side, Start, TrainConfig, TrainError,
    Validation, compare, comparison_table, cross_validate, evaluate, read_model, rehearse, run,
};

use crate::synthetic;

#[test]
fn the_loss_falls_and_the_model_finds_lungs_of_a_patient_it_never_saw() {
    let folder = tempfile::tempdir().unwrap();
    synthetic::write(&folder.path().join("synthetic"), 6);
    let mut config = synthetic::config(120);
    let data = &mut config.card.data[0];
    (data.part, data.folder) = (None, Some("synthetic".into()));
    let mut losses = Vec::new();
    let run_dir = folder.path().join("run");
    let summary =
        run(&config, folder.path(), &run_dir, &RunOptions::default(), &mut |p: &Progress| losses.push(p.loss)).unwrap();
    assert_eq!((summary.steps, summary.patients, summary.slices), (120, 5, 20));
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let (first, last) = (mean(&losses[..10]), mean(&losses[110..]));
    assert!(last < 0.6 * first, "{first} to {last}");

    let model = read_model(&run_dir.join("card.toml")).unwrap();
    let options = EvaluateOptions {
        split: Some((config.split.clone(), Side::HoldOut)),
        spacing_mm: Some([2.0, 1.0, 1.0]),
        threads: 1,
        ..EvaluateOptions::default()
    };
    let data = folder.path().join("synthetic");
    let result = evaluate(config.data[0].layout, &data, &model, &options, &|_| ()).unwrap();
    assert_eq!(result.patients.len(), 1);
    assert_eq!(result.patients[0].patient, "p5");
    let lung = &result.patients[0].channels[0];
    assert!(lung.dice > 0.85, "{}", result.table());
    assert!(lung.surface_dice.unwrap() > 0.9, "{}", result.table());
    assert_eq!(result.patients[0].channels.len(), 2, "consolidation is not known in this layout");
    assert_eq!(model.card.data[0].part, "learned from 5 patients; held out: p5");
    assert_eq!(std::fs::read_to_string(run_dir.join("CARD.md")).unwrap(), model.card.to_markdown());
    let settings = std::fs::read_to_string(run_dir.join("config.toml")).unwrap();
    assert_eq!(TrainConfig::from_toml(&settings).unwrap(), config, "as it was given");

    let (key, results) = result.card_results();
    assert_eq!(key, "synthetic");
    assert_eq!(results["weights_sha256"].as_str(), Some(model.card.weights.sha256.as_str()));
    let of_lung = results["lung"].as_table().unwrap();
    assert!((of_lung["dice_mean"].as_float().unwrap() - lung.dice).abs() < 1e-4);
    assert_eq!(of_lung["dice_of_patient"]["p5"], of_lung["dice_mean"]);
    assert_eq!(results["subgroups"]["lesion_large"]["patients"].as_integer(), Some(1), "{results}");
    let curve = std::fs::read_to_string(run_dir.join("curve.csv")).unwrap();
    assert_eq!(curve.lines().count(), 121);
    let picture = png::Decoder::new(std::io::BufReader::new(std::fs::File::open(run_dir.join("curve.png")).unwrap()));
    assert_eq!(picture.read_info().unwrap().info().width, 900);
}

fn weights(run_dir: &Path) -> Vec<u8> {
    std::fs::read(run_dir.join("weights.safetensors")).unwrap()
}

#[test]
fn a_run_that_was_killed_ends_as_one_that_was_not() {
    let folder = tempfile::tempdir().unwrap();
    synthetic::write(&folder.path().join("synthetic"), 6);
    let mut config = synthetic::config(14);
    // Every state that a checkpoint must hold: sums of batches, what did best in validation, and the momentum.
    config.schedule.accumulate = 2;
    config.schedule.validation = Some(Validation { every: 3, patience: None });
    config.split.train.retain(|patient| patient != "p4");
    config.split.validation = vec!["p4".into()];
    config.network.channels = vec![8, 12, 16];
    config.card.input.size_divisor = [1, 8, 8];
    config.loss = Loss { focal_gamma: 1.0, boundary: 0.1, deep_supervision: vec![0.5], ..Loss::default() };
    let whole = folder.path().join("whole");
    run(&config, folder.path(), &whole, &RunOptions::default(), &mut |_| ()).unwrap();
    let shared = folder.path().join("shared");
    let two = RunOptions { cards: 2, ..RunOptions::default() };
    run(&config, folder.path(), &shared, &two, &mut |_| ()).unwrap();
    assert!(weights(&whole) == weights(&shared), "two at once learn something else");
    let three = RunOptions { cards: 3, ..RunOptions::default() };
    let error = run(&config, folder.path(), &folder.path().join("three"), &three, &mut |_| ()).unwrap_err();
    assert!(error.to_string().contains("3 cards"), "{error}");
    let killed = folder.path().join("killed");
    for step in [4, 9] {
        let died = catch_unwind(AssertUnwindSafe(|| {
            run(&config, folder.path(), &killed, &RunOptions::default(), &mut |p: &Progress| {
                assert!(p.step < step, "killed")
            })
        }));
        assert!(died.is_err());
    }
    run(&config, folder.path(), &killed, &RunOptions::default(), &mut |_| ()).unwrap();
    assert!(weights(&whole) == weights(&killed), "the weights differ");
    let curve = |folder: &Path| {
        let text = std::fs::read_to_string(folder.join("curve.csv")).unwrap();
        // All but the seconds, the second column.
        let without_time = |line: &str| {
            line.split(',').enumerate().filter(|(i, _)| *i != 1).map(|(_, c)| c.to_string()).collect::<Vec<_>>()
        };
        text.lines().map(without_time).collect::<Vec<_>>()
    };
    assert_eq!(curve(&whole), curve(&killed));
    let of = |name: &str| [&whole, &killed].map(|run| std::fs::read_to_string(run.join(name)).unwrap());
    let [validation, after_kill] = of("validation.csv");
    assert_eq!(validation, after_kill);
    assert_eq!(validation.lines().count(), 5, "after 3, 6, 9 and 12 steps");
    let [settings, origin] = [of("config.toml"), of("run.json")].map(|[own, other]| {
        assert_eq!(own, other);
        own
    });
    assert_eq!(TrainConfig::from_toml(&settings).unwrap(), config);
    let origin: serde_json::Value = serde_json::from_str(&origin).unwrap();
    assert_eq!(origin["data"], serde_json::json!(["synthetic"]));
    assert_eq!(origin["data_sha256"].as_array().unwrap().len(), 1);
    assert!(origin["rustc"].as_str().unwrap().starts_with("rustc "), "{origin}");
    assert!(origin["burn"].is_string() && origin["started"].is_null(), "{origin}");

    // What was written into the card of a run that is through is not lost by running it again.
    let card = killed.join("card.toml");
    let measured = format!("{}\n[results.measured_since]\ndice = 0.5\n", std::fs::read_to_string(&card).unwrap());
    std::fs::write(&card, &measured).unwrap();
    run(&config, folder.path(), &killed, &RunOptions::default(), &mut |_| ()).unwrap();
    assert_eq!(std::fs::read_to_string(&card).unwrap(), measured);

    let mut other = config.clone();
    other.seed += 1;
    let error = run(&other, folder.path(), &killed, &RunOptions::default(), &mut |_| ()).unwrap_err();
    assert!(error.to_string().contains("another configuration"), "{error}");
}

/// A disease of one's own: other outputs, other numbers in the masks, carried over from another network by name.
#[test]
fn outputs_of_ones_own_are_learned_and_measured() {
    let folder = tempfile::tempdir().unwrap();
    synthetic::write(&folder.path().join("synthetic"), 6);
    synthetic::write_pairs(&folder.path().join("pairs"), 6);
    let first = folder.path().join("first");
    run(&synthetic::config(60), folder.path(), &first, &RunOptions::default(), &mut |_| ()).unwrap();

    let mut config = synthetic::config(100);
    config.network.output_channels = 2;
    config.card.outputs.truncate(2);
    config.card.outputs[1].name = "nodule".into();
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_string()).collect::<Vec<_>>();
    let pairs = &mut config.data[0];
    (pairs.layout, pairs.folder, pairs.lesion_share) = (Layout::NiftiPairs, "pairs".into(), Some(0.5));
    // 1 to 4 and 6 do not occur and mean nothing.
    pairs.labels = [&[][..], &[], &[], &[], &["lung"], &[], &["lung", "nodule"]].map(names).to_vec();
    config.start = Some(Start { from: first.join("card.toml"), ..Start::default() });
    let config = TrainConfig::from_toml(&config.to_toml()).unwrap();
    let run_dir = folder.path().join("own");
    run(&config, folder.path(), &run_dir, &RunOptions::default(), &mut |_| ()).unwrap();
    let curve = std::fs::read_to_string(run_dir.join("curve.csv")).unwrap();
    assert!(curve.lines().next().unwrap().ends_with(",dice_lung,dice_nodule"), "{curve}");
    let origin = std::fs::read_to_string(run_dir.join("run.json")).unwrap();
    let origin: serde_json::Value = serde_json::from_str(&origin).unwrap();
    assert_eq!(origin["started_from"]["adapted"], serde_json::json!(["head.bias", "head.weight"]));

    let model = read_model(&run_dir.join("card.toml")).unwrap();
    let options = EvaluateOptions {
        split: Some((config.split.clone(), Side::HoldOut)),
        labels: config.data[0].labels.clone(),
        threads: 1,
        ..EvaluateOptions::default()
    };
    let data = folder.path().join("pairs");
    let result = evaluate(Layout::NiftiPairs, &data, &model, &options, &|_| ()).unwrap();
    let channels: Vec<_> = result.patients[0].channels.iter().map(|c| (c.channel.as_str(), c.dice)).collect();
    let [("lung", lung), ("nodule", _)] = channels[..] else { panic!("{channels:?}") };
    assert!(lung > 0.85, "{}", result.table());
    // So small a network learns nodules slowly; that it does is seen on its way.
    let nodule = |row: usize| curve.lines().nth(row).unwrap().rsplit(',').next().unwrap().parse::<f64>().unwrap();
    assert!(nodule(100) > 2.0 * nodule(1), "{} to {}", nodule(1), nodule(100));
    let error = evaluate(Layout::NiftiPairs, &data, &model, &EvaluateOptions::default(), &|_| ()).unwrap_err();
    assert!(error.to_string().contains("label 5 is not one of 0 (background) to 2"), "{error}");
    assert_eq!(result.target, "nodule");
    assert!(
        result.protocol.last().unwrap().ends_with("5 lung, 6 background, 7 lung and nodule."),
        "{:?}",
        result.protocol
    );
    let again = run(&config, folder.path(), &run_dir, &RunOptions::default(), &mut |_| ()).unwrap();
    assert!(again.was_through && again.steps == 100, "{again:?}");
    let mut turned = config.clone();
    turned.card.outputs.reverse();
    let error = run(&turned, folder.path(), &run_dir, &RunOptions::default(), &mut |_| ()).unwrap_err();
    assert!(error.to_string().contains("another configuration"), "{error}");

    for (change, expected) in [
        ((|c| c.data[0].labels[4] = vec!["liver".into()]) as fn(&mut TrainConfig), "no output `liver`"),
        (|c| c.augmentation.inserted_lesions = 0.1, "first two outputs are lung and lesion"),
        (|c| c.card.outputs[1].name = "lung".into(), "two outputs are called `lung`"),
        (|c| c.network.output_channels = 3, "as many as there are [[card.outputs]]"),
        (|c| c.data[0].layout = Layout::Covid19CtSeg, "labels are for pairs"),
        (|c| c.data[0].labels[6] = vec!["lung".into()], "its labels do not tell `nodule`"),
        (|c| c.card.outputs[1].name = "../nodule".into(), "cannot be the name of an output"),
    ] {
        let mut wrong = config.clone();
        change(&mut wrong);
        let error = TrainConfig::from_toml(&wrong.to_toml()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

/// The same description in three dimensions.
#[test]
fn slabs_are_learned() {
    let folder = tempfile::tempdir().unwrap();
    synthetic::write(&folder.path().join("synthetic"), 6);
    let mut config = synthetic::config(100);
    config.network.dims = hilum_nn::Dims::Three;
    config.card.input.size_divisor = [4; 3];
    config.schedule.batch = 2;
    config.schedule.slices = 16;
    let config = TrainConfig::from_toml(&config.to_toml()).unwrap();
    let run_dir = folder.path().join("run");
    run(&config, folder.path(), &run_dir, &RunOptions::default(), &mut |_| ()).unwrap();
    let model = read_model(&run_dir.join("card.toml")).unwrap();
    let options = EvaluateOptions { split: Some((config.split.clone(), Side::HoldOut)), ..EvaluateOptions::default() };
    let data = folder.path().join("synthetic");
    let result = evaluate(config.data[0].layout, &data, &model, &options, &|_| ()).unwrap();
    let lung = result.patients[0].channels[0].dice;
    assert!(lung > 0.75, "{}", result.table());

    let mut flat = config;
    flat.network.dims = hilum_nn::Dims::Two;
    let error = TrainConfig::from_toml(&flat.to_toml()).unwrap_err().to_string();
    assert!(error.contains("three-dimensional"), "{error}");
}

#[test]
fn a_network_that_starts_from_another_is_ahead() {
    let folder = tempfile::tempdir().unwrap();
    synthetic::write(&folder.path().join("synthetic"), 6);
    let first = folder.path().join("first");
    run(&synthetic::config(60), folder.path(), &first, &RunOptions::default(), &mut |_| ()).unwrap();
    let mut config = synthetic::config(3);
    config.optimizer.method = Method::Sgd;
    let rehearsed = |from: &Path| {
        let config = TrainConfig { start: Some(Start { from: from.into(), ..Start::default() }), ..config.clone() };
        rehearse(&config, folder.path(), &folder.path().join("rehearsal"), &RunOptions::default(), 1)
    };
    rehearsed(&first.join("card.toml")).unwrap();
    assert!(rehearsed(&first.join("nosuch.toml")).unwrap_err().to_string().contains("nosuch.toml"));
    let foreign = folder.path().join("foreign.safetensors");
    let mut weights = hilum_nn::Weights::new();
    weights.insert("layer", vec![1], vec![0.0]);
    std::fs::write(&foreign, weights.to_safetensors()).unwrap();
    assert!(rehearsed(&foreign).unwrap_err().to_string().contains("nothing in it fits"));
    let loss_of = |config: &TrainConfig, name: &str| {
        let mut losses = Vec::new();
        let run_dir = folder.path().join(name);
        run(config, folder.path(), &run_dir, &RunOptions::default(), &mut |p: &Progress| losses.push(p.loss)).unwrap();
        (losses[0], run_dir)
    };
    let (from_scratch, _) = loss_of(&config, "scratch");
    let start = Start { from: first.join("card.toml"), frozen: vec!["down0*".into()], ..Start::default() };
    config.start = Some(start);
    let (carried_on, run_dir) = loss_of(&config, "carried-on");
    assert!(carried_on < 0.8 * from_scratch, "{carried_on} against {from_scratch}");
    let origin = std::fs::read_to_string(run_dir.join("run.json")).unwrap();
    assert!(origin.contains("down1.conv0.weight") && !origin.contains("\"fresh\": [\n"), "{origin}");
    let (before, after) =
        (read_model(&first.join("card.toml")).unwrap(), read_model(&run_dir.join("card.toml")).unwrap());
    for (name, tensor) in before.weights.iter() {
        let same = after.weights.get(name).unwrap().data == tensor.data;
        if name.starts_with("down0") {
            assert!(same, "{name} is frozen");
        } else if name.ends_with(".weight") {
            assert!(!same, "{name} learns");
        }
    }
}

#[test]
fn a_run_stops_when_validation_gets_no_better() {
    let folder = tempfile::tempdir().unwrap();
    synthetic::write(&folder.path().join("synthetic"), 6);
    let mut config = synthetic::config(40);
    config.split.train.retain(|patient| patient != "p4");
    config.split.validation = vec!["p4".into()];
    config.schedule.validation = Some(Validation { every: 2, patience: Some(1) });
    config.optimizer.learning_rate = 1e-12; // learns nothing, so nothing gets better
    let summary = run(&config, folder.path(), &folder.path().join("run"), &RunOptions::default(), &mut |_| ()).unwrap();
    assert_eq!((summary.steps, summary.best_step), (4, Some(2)));
}

#[test]
fn folds_hold_every_patient_out_once() {
    let folder = tempfile::tempdir().unwrap();
    synthetic::write(&folder.path().join("synthetic"), 6);
    let mut config = synthetic::config(1);
    config.split.train.clear();
    config.split.hold_out.clear();
    config.split.folds = Some(Folds::Count(3));
    let folds: Vec<TrainConfig> = (0..3).map(|k| config.fold(k, folder.path(), &Limits::default()).unwrap()).collect();
    let mut held: Vec<&String> = folds.iter().flat_map(|fold| &fold.split.hold_out).collect();
    held.sort();
    assert_eq!(held, ["p0", "p1", "p2", "p3", "p4", "p5"]);
    for fold in &folds {
        assert_eq!((fold.split.train.len(), fold.split.hold_out.len()), (4, 2));
    }
    assert!(matches!(config.fold(3, folder.path(), &Limits::default()), Err(TrainError::Config(_))));
    let unresolved = run(&config, folder.path(), &folder.path().join("run"), &RunOptions::default(), &mut |_| ());
    assert!(unresolved.unwrap_err().to_string().contains("folds"));
    let list = |names: &[&str]| names.iter().map(|name| (*name).to_string()).collect::<Vec<_>>();
    config.split.folds = Some(Folds::Lists(vec![list(&["p0", "p1"]), list(&["p1", "p2"])]));
    assert!(matches!(config.fold(0, folder.path(), &Limits::default()), Err(TrainError::Leakage(_))));
}

#[test]
fn folds_are_measured_together_and_a_patient_only_once() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("synthetic");
    synthetic::write(&data, 4);
    let mut config = synthetic::config(2);
    let list = |names: &[&str]| names.iter().map(|name| (*name).to_string()).collect::<Vec<_>>();
    config.split.train.clear();
    config.split.hold_out.clear();
    config.split.folds = Some(Folds::Lists(vec![list(&["p0", "p3"]), list(&["p1", "p2"])]));
    let fold = |k: usize| {
        let config = config.fold(k, folder.path(), &Limits::default()).unwrap();
        let run_dir = folder.path().join(format!("run{k}"));
        run(&config, folder.path(), &run_dir, &RunOptions::default(), &mut |_| ()).unwrap();
        (read_model(&run_dir.join("card.toml")).unwrap(), config.split)
    };
    let folds = [fold(0), fold(1)];
    let layout = config.data[0].layout;
    let options = EvaluateOptions::default();
    let pooled = cross_validate(&folds, layout, &data, &options, &|_| ()).unwrap();
    let names: Vec<&str> = pooled.patients.iter().map(|p| p.patient.as_str()).collect();
    assert_eq!(names, ["p0", "p1", "p2", "p3"]);
    for (model, split) in &folds {
        let options = EvaluateOptions { split: Some((split.clone(), Side::HoldOut)), ..options.clone() };
        let alone = evaluate(layout, &data, model, &options, &|_| ()).unwrap();
        for patient in &alone.patients {
            assert!(pooled.patients.contains(patient), "{}", patient.patient);
        }
    }
    let [low, high] = pooled.summary[0].dice_95.unwrap();
    let mean = pooled.summary[0].dice.unwrap().mean;
    assert!(low <= mean && mean <= high);
    let twice = [folds[0].clone(), folds[0].clone()];
    assert!(matches!(cross_validate(&twice, layout, &data, &options, &|_| ()), Err(TrainError::Leakage(_))));

    let same = compare(&pooled, &pooled, 100);
    assert_eq!((same[0].mean, same[0].p_value, same[0].p_value_least), (0.0, 1.0, 0.125));
    assert!(comparison_table(&same).contains("cannot decide"));
}
