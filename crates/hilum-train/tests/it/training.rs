//! Training from files to a card, its resumption, and the measurement of what came out.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use hilum_train::{EvaluateOptions, Progress, Side, TrainDevice, evaluate, read_model, run};

use crate::synthetic;

#[test]
fn the_loss_falls_and_the_model_finds_lungs_of_a_patient_it_never_saw() {
    let folder = tempfile::tempdir().unwrap();
    synthetic::write(&folder.path().join("synthetic"), 6);
    let config = synthetic::config(120);
    let mut losses = Vec::new();
    let run_dir = folder.path().join("run");
    let summary =
        run(&config, folder.path(), &run_dir, TrainDevice::Cpu, &mut |p: &Progress| losses.push(p.loss)).unwrap();
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
    let config = synthetic::config(14);
    let whole = folder.path().join("whole");
    run(&config, folder.path(), &whole, TrainDevice::Cpu, &mut |_| ()).unwrap();
    let killed = folder.path().join("killed");
    for step in [4, 9] {
        let died = catch_unwind(AssertUnwindSafe(|| {
            run(&config, folder.path(), &killed, TrainDevice::Cpu, &mut |p: &Progress| assert!(p.step < step, "killed"))
        }));
        assert!(died.is_err());
    }
    run(&config, folder.path(), &killed, TrainDevice::Cpu, &mut |_| ()).unwrap();
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

    let mut other = config.clone();
    other.seed += 1;
    let error = run(&other, folder.path(), &killed, TrainDevice::Cpu, &mut |_| ()).unwrap_err();
    assert!(error.to_string().contains("another configuration"), "{error}");
}
