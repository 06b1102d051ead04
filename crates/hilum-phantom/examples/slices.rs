//! Writes axial, coronal and sagittal slices of a phantom as PNG, lung and mediastinal window: `slices OUT [disease]`.

use hilum_phantom::{Anatomy, Disease, ScannerOptions};
use hilum_volume::{Geometry, PatientPoint, PatientVector};
use std::fs::File;
use std::path::Path;

fn save(path: &Path, width: usize, hu: &[i16], (level, window): (f32, f32)) {
    let grey: Vec<u8> =
        hu.iter().map(|v| ((f32::from(*v) - level) / window * 255.0 + 127.5).clamp(0.0, 255.0) as u8).collect();
    let file = File::create(path).expect("the folder can be written to");
    let mut encoder = png::Encoder::new(file, width as u32, (hu.len() / width) as u32);
    encoder.set_color(png::ColorType::Grayscale);
    let mut writer = encoder.write_header().expect("a PNG header");
    writer.write_image_data(&grey).expect("the picture's bytes");
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let out = Path::new(arguments.get(1).expect("usage: slices OUT [healthy|covid|lobar]"));
    let disease = match arguments.get(2).map(String::as_str) {
        Some("healthy") => Disease::Healthy,
        Some("lobar") => Disease::LobarPneumonia,
        _ => Disease::Covid,
    };
    std::fs::create_dir_all(out).expect("the folder can be made");
    let started = std::time::Instant::now();
    let anatomy = Anatomy::new(1, disease);
    println!("anatomy {:.2} s", started.elapsed().as_secs_f32());
    let [x, y, z] = [PatientVector([1.0, 0.0, 0.0]), PatientVector([0.0, 1.0, 0.0]), PatientVector([0.0, 0.0, 1.0])];
    let mut planes = Vec::new();
    for at in [130.0, 105.0, 75.0, 50.0, 30.0, 10.0, -15.0, -40.0, -65.0, -85.0, -105.0, -130.0] {
        planes.push((format!("axial{at:+04.0}"), PatientPoint([-190.0, -125.0, at]), [z, y, x], [360, 512]));
    }
    for at in [-50.0, -20.0, 15.0, 40.0, 75.0] {
        let down = z.times(-1.0);
        planes.push((format!("coronal{at:+04.0}"), PatientPoint([-190.0, at, 155.0]), [y, down, x], [440, 512]));
    }
    for at in [-100.0, -70.0, 0.0, 70.0, 100.0] {
        let down = z.times(-1.0);
        planes.push((format!("sagittal{at:+04.0}"), PatientPoint([at, -130.0, 155.0]), [x, down, y], [440, 380]));
    }
    for (name, origin, axes, [rows, columns]) in planes {
        let grid = Geometry::new([1, rows, columns], origin, axes, [1.25, 0.742, 0.742]).expect("a grid");
        let started = std::time::Instant::now();
        let scan = anatomy.scan(&grid, &ScannerOptions::default());
        println!("{name} {:.3} s", started.elapsed().as_secs_f32());
        save(&out.join(format!("{name}-lung.png")), columns, scan.data(), (-600.0, 1500.0));
        save(&out.join(format!("{name}-soft.png")), columns, scan.data(), (40.0, 400.0));
    }
}
