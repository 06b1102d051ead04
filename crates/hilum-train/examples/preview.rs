//! Writes a contact sheet of augmented training examples: `preview CONFIG.toml OUT.png`. The first output blue, the second
//! red, the third green (lung, lesion, consolidation); unknown pixels are darkened. The way to see whether images and masks still belong together.

use std::path::{Path, PathBuf};

use hilum_dicom::Limits;
use hilum_train::{Augmentation, Structures, TrainConfig, example, read};

const COLUMNS: usize = 8;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [config, out] = arguments.as_slice() else { return Err("usage: preview CONFIG.toml OUT.png".into()) };
    let config = TrainConfig::from_toml(&std::fs::read_to_string(config)?)?;
    let data_root = std::env::var_os("HILUM_DATA").map_or_else(|| PathBuf::from("../shared/data"), PathBuf::from);
    let size = config.schedule.size;
    let structures = Structures::of(&config.card.outputs)?;
    let mut tiles = Vec::new();
    for source in &config.data {
        let folder = data_root.join(&source.folder);
        let reading = source.reading(&config.card.input, &structures);
        let slices = read(source.layout, &folder, &reading, &Limits::default())?;
        for place in 0..COLUMNS {
            let slice = &slices[place * slices.len() / COLUMNS];
            tiles.push(example(&[slice], &Augmentation::none(), size, 0));
        }
        for place in 0..COLUMNS {
            let slice = &slices[place * slices.len() / COLUMNS];
            tiles.push(example(&[slice], &config.augmentation, size, place as u64));
        }
    }
    let width = COLUMNS * size;
    let mut pixels = vec![0u8; width * tiles.len() / COLUMNS * size * 3];
    for (index, tile) in tiles.iter().enumerate() {
        for i in 0..size * size {
            let grey = (tile.image[i] * if tile.inside[i] { 255.0 } else { 120.0 }).clamp(0.0, 255.0);
            let bits = tile.labels[i];
            let tint = |bit: u8| if bits & bit != 0 { 70.0 } else { 0.0 };
            let rgb = [grey + tint(2) - tint(4), grey + tint(4), grey + tint(1) - tint(2)];
            let at = (index / COLUMNS * size + i / size) * width + index % COLUMNS * size + i % size;
            for channel in 0..3 {
                pixels[at * 3 + channel] = rgb[channel].clamp(0.0, 255.0) as u8;
            }
        }
    }
    let file = std::fs::File::create(Path::new(out))?;
    let mut encoder =
        png::Encoder::new(std::io::BufWriter::new(file), width as u32, (tiles.len() / COLUMNS * size) as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header()?.write_image_data(&pixels)?;
    Ok(())
}
