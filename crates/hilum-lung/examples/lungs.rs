//! Lungs of a NIfTI in HU as a label map: `cargo run -p hilum-lung --example lungs -- scan.nii.gz labels.nii.gz`.

use hilum_dicom::nifti::{self, Compression};
use hilum_lung::lungs::{self, LungOptions};
use hilum_volume::{AxisOrder, LabelMap, Orientation};
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, output] = arguments.as_slice() else { return Err("usage: lungs SCAN.nii.gz LABELS.nii.gz".into()) };
    let scan = nifti::read_hu(BufReader::new(File::open(input)?), &hilum_dicom::Limits::default())?;
    let order = AxisOrder::towards(scan.geometry(), Orientation::Axial);
    let ct = scan.reordered(order);
    let start = Instant::now();
    let lungs = lungs::segment(&ct, None, &LungOptions::default())?;
    println!(
        "lungs {:.2} s, right {:.0} ml, left {:.0} ml",
        start.elapsed().as_secs_f64(),
        lungs.right_ml(),
        lungs.left_ml()
    );
    for note in lungs.notes() {
        println!("  {note}");
    }
    let labels = LabelMap::new(lungs.labels().labels().reordered(order.inverse()));
    nifti::write_labels(&labels, BufWriter::new(File::create(output)?), Compression::Gzip)?;
    Ok(())
}
