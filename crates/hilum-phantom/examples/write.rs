//! Writes a phantom as DICOM with its answers: `write OUT [variant] [disease]`.

use hilum_phantom::{Disease, PhantomOptions, Variant, write};
use std::path::Path;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let out = arguments.get(1).expect("usage: write OUT [variant] [disease]");
    let named = |i: usize| arguments.get(i).map(String::as_str);
    let options = PhantomOptions {
        variant: named(2).and_then(Variant::from_name).unwrap_or(Variant::Standard),
        disease: named(3).and_then(Disease::from_name).unwrap_or(Disease::Covid),
        ..PhantomOptions::default()
    };
    let started = std::time::Instant::now();
    let written = write(Path::new(out), &options).expect("the folder can be written to");
    println!("{}: {} files in {:.1} s", options.variant.name(), written.files, started.elapsed().as_secs_f32());
    if let Some(answers) = written.answers {
        println!("{}", serde_json::to_string_pretty(&answers).expect("plain numbers"));
    }
}
