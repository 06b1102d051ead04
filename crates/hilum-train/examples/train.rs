//! Trains a network from a configuration: `cargo run --release -p hilum-train --example train -- CONFIG.toml --out DIR`.
//!
//! Data folders are taken from `$HILUM_DATA`, else from `../shared/data`.

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: train CONFIG.toml --out DIR";
    let config_path = PathBuf::from(arguments.next().ok_or(usage)?);
    let out = match (arguments.next().as_deref(), arguments.next()) {
        (Some("--out"), Some(folder)) => PathBuf::from(folder),
        _ => return Err(usage.into()),
    };
    let config = hilum_train::TrainConfig::from_toml(&std::fs::read_to_string(config_path)?)?;
    let data_root = std::env::var_os("HILUM_DATA").map_or_else(|| PathBuf::from("../shared/data"), PathBuf::from);
    let (mut loss, mut count) = (0.0, 0);
    let summary = hilum_train::run(&config, &data_root, &out, &hilum_train::RunOptions::default(), &mut |progress| {
        loss += progress.loss;
        count += 1;
        if progress.step % 20 == 0 {
            let mean = loss / f64::from(count);
            (loss, count) = (0.0, 0);
            let minutes = progress.elapsed_s / 60.0;
            let percent = 100.0 * progress.fraction;
            eprintln!(
                "step {:6}  {percent:5.1} %  {minutes:6.1} min  loss {mean:.4}  dice {:.2?}",
                progress.step, progress.dice
            );
        }
    })?;
    eprintln!("{summary:?}");
    Ok(())
}
