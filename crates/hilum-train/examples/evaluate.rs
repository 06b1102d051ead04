//! Measures a model on a data set: `evaluate CONFIG.toml CARD.toml SOURCE SIDE [OUT.json]`. SOURCE is the number of a
//! data source in the configuration, from 0; SIDE is `train` or `hold-out`.

use std::path::{Path, PathBuf};

use hilum_train::{EvaluateOptions, Side, TrainConfig, evaluate, read_model};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [config, card, source, side, rest @ ..] = arguments.as_slice() else {
        return Err("usage: evaluate CONFIG.toml CARD.toml SOURCE train|hold-out [OUT.json]".into());
    };
    let config = TrainConfig::from_toml(&std::fs::read_to_string(config)?)?;
    let model = read_model(Path::new(card))?;
    let source = &config.data[source.parse::<usize>()?];
    let side = if side == "train" { Side::Train } else { Side::HoldOut };
    let data_root = std::env::var_os("HILUM_DATA").map_or_else(|| PathBuf::from("../shared/data"), PathBuf::from);
    let options = EvaluateOptions {
        split: Some((config.split.clone(), side)),
        prefix: source.prefix.clone(),
        ..EvaluateOptions::default()
    };
    let result = evaluate(source.layout, &data_root.join(&source.folder), &model, &options, &|_| ())?;
    print!("{}", result.table());
    if let [out] = rest {
        std::fs::write(out, serde_json::to_string_pretty(&result)?)?;
    }
    Ok(())
}
