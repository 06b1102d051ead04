//! A small data set with a known answer: bright chests with two dark lungs, in some a bright lesion.

use std::path::Path;

use hilum_dicom::nifti;
use hilum_train::TrainConfig;
use hilum_volume::{Geometry, LabelMap, PatientPoint, Volume};

pub(crate) const SIZE: usize = 48;

/// Writes `patients` scans of four slices in the layout of COVID-19-CT-Seg.
pub(crate) fn write(folder: &Path, patients: usize) {
    let mut table = String::from("slice,volume,patient_group\n");
    for kind in ["ct", "lungs", "covid"] {
        std::fs::create_dir_all(folder.join(kind)).unwrap();
    }
    for slice in 0..patients * 4 {
        let name = format!("{slice:04}.png");
        let (image, [lungs, lesions]) = chest(slice);
        save(&folder.join("ct").join(&name), &image);
        for (kind, mask) in [("lungs", lungs), ("covid", lesions)] {
            save(
                &folder.join(kind).join(&name),
                &mask.iter().map(|inside| 255 * u8::from(*inside)).collect::<Vec<_>>(),
            );
        }
        table.push_str(&format!("{slice:04},scan{0},p{0}\n", slice / 4));
    }
    std::fs::write(folder.join("volumes.csv"), table).unwrap();
}

/// The same as pairs of NIfTI files, lungs labelled 5 and lesions 7.
pub(crate) fn write_pairs(folder: &Path, patients: usize) {
    std::fs::create_dir_all(folder).unwrap();
    let grid = Geometry::axial([4, SIZE, SIZE], PatientPoint([0.0; 3]), [2.0, 1.0, 1.0]).unwrap();
    for patient in 0..patients {
        let (mut image, mut labels) = (Vec::new(), Vec::new());
        for (grey, [lungs, lesions]) in (4 * patient..4 * (patient + 1)).map(chest) {
            image.extend(grey.into_iter().map(i16::from));
            labels
                .extend(lungs.iter().zip(&lesions).map(|(lung, lesion)| if *lesion { 7 } else { 5 * u8::from(*lung) }));
        }
        let file = |kind: &str| std::fs::File::create(folder.join(format!("p{patient}_{kind}.nii.gz"))).unwrap();
        let image = Volume::new(grid.clone(), image).unwrap();
        nifti::write_volume(&image, file("image"), nifti::Compression::Gzip).unwrap();
        let labels = LabelMap::new(Volume::new(grid.clone(), labels).unwrap());
        nifti::write_labels(&labels, file("labels"), nifti::Compression::Gzip).unwrap();
    }
}

/// A slice with its lungs and its lesion, which is lung, too.
fn chest(slice: usize) -> (Vec<u8>, [Vec<bool>; 2]) {
    let mut random = fastrand::Rng::with_seed(slice as u64);
    let mut draw = |low: f32, high: f32| low + (high - low) * random.f32();
    let (shift_y, shift_x) = (draw(-3.0, 3.0), draw(-3.0, 3.0));
    let lesion = [24.0 + shift_y + draw(-6.0, 6.0), 15.0 + shift_x, draw(3.0, 5.0)];
    let noise: Vec<f32> = (0..SIZE * SIZE).map(|_| draw(-8.0, 8.0)).collect();
    let inside = |i: usize, y: f32, x: f32, high: f32, wide: f32| {
        let (dy, dx) = ((i / SIZE) as f32 - y, (i % SIZE) as f32 - x);
        (dy / high).powi(2) + (dx / wide).powi(2) <= 1.0
    };
    let lung = |i: usize| [15.0, 33.0].iter().any(|x| inside(i, 24.0 + shift_y, x + shift_x, 13.0, 7.0));
    let ill = |i: usize| lung(i) && inside(i, lesion[0], lesion[1], lesion[2], lesion[2]);
    let body = |i: usize| inside(i, 24.0 + shift_y, 24.0 + shift_x, 21.0, 22.0);
    let grey = |i: usize| match (body(i), lung(i), ill(i)) {
        (false, _, _) => 10.0,
        (_, false, _) => 200.0,
        (_, _, false) => 50.0,
        _ => 130.0,
    };
    let pixels = 0..SIZE * SIZE;
    let image = pixels.clone().map(|i| (grey(i) + noise[i]).max(0.0) as u8).collect();
    (image, [pixels.clone().map(lung).collect(), pixels.map(ill).collect()])
}

fn save(path: &Path, pixels: &[u8]) {
    let file = std::fs::File::create(path).unwrap();
    let mut encoder = png::Encoder::new(file, SIZE as u32, SIZE as u32);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.write_header().unwrap().write_image_data(pixels).unwrap();
}

/// A configuration that learns `synthetic` in seconds: patients p0 to p4, with p5 held out.
pub(crate) fn config(steps: u64) -> TrainConfig {
    let card = include_str!("../../../../models/pneumonia-ct/train.toml");
    let card = card[card.find("[card]").unwrap()..].replace("[1, 16, 16]", "[1, 4, 4]");
    let text = format!(
        r#"
name = "synthetic"
version = "1"
seed = 3
[network]
dims = "two"
input_channels = 1
output_channels = 3
stem = "half"
channels = [8, 16]
convs_per_stage = 1
norm = "batch"
activation = "relu"
[schedule]
batch = 4
size = {SIZE}
max_steps = {steps}
warmup_steps = 5
average_decay = 0.9
checkpoint_minutes = 0.0
[optimizer]
learning_rate = 1e-2
[augmentation]
scale = [0.9, 1.1]
warp_pixels = 1.0
tone = 0.1
local_contrast = 0.0
noise = 0.02
blur = 0.0
[[data]]
layout = "covid19-ct-seg"
folder = "synthetic"
weight = 1.0
[split]
train = ["p0", "p1", "p2", "p3", "p4"]
hold_out = ["p5"]
{card}"#
    );
    TrainConfig::from_toml(&text).unwrap()
}
