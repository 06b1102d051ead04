//! Lungs and lobes of phantom chests against their known answers, without any network:
//! `cargo run --release -p hilum-lung --example phantom_lungs [-- FOLDER]`; with a folder the scans are written there as
//! NIfTI, for other programs to be tried on.

use hilum_dicom::nifti::{self, Compression};
use hilum_lung::lobes::{self, LobeOptions};
use hilum_lung::lungs::{self, LungOptions};
use hilum_phantom::{Anatomy, Disease, PhantomOptions, Variant};
use hilum_volume::{AxisOrder, LabelMap, Orientation};
use std::fs::File;
use std::io::BufWriter;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1);
    let cases = [
        ("covid", 1, Disease::Covid, Variant::Standard),
        ("healthy", 2, Disease::Healthy, Variant::Standard),
        ("lobar", 1, Disease::LobarPneumonia, Variant::Standard),
        ("lobar", 3, Disease::LobarPneumonia, Variant::Standard),
        ("thick", 1, Disease::Covid, Variant::ThickSlices),
        ("thousand", 1, Disease::Covid, Variant::ThousandSlices),
    ];
    for (name, seed, disease, variant) in cases {
        let options = PhantomOptions { seed, disease, variant, ..PhantomOptions::default() };
        let (ct, truth) = Anatomy::new(seed, disease).sample(&options.geometry(), &options.scanner());
        let lesions = truth.lesions;
        let order = AxisOrder::towards(ct.geometry(), Orientation::Axial);
        let (ct, truth) = (ct.reordered(order), LabelMap::new(truth.lobes.labels().reordered(order)));
        let lesions = lesions.labels().reordered(order);
        let start = Instant::now();
        let lungs = lungs::segment(&ct, None, &LungOptions::default())?;
        let lungs_s = start.elapsed().as_secs_f64();
        let start = Instant::now();
        let lobes = lobes::segment(&ct, &lungs, &LobeOptions::default());
        let lobes_s = start.elapsed().as_secs_f64();
        let (found, known) = (lobes.labels().labels().data(), truth.labels().data());
        let dice = |f: &dyn Fn(u8) -> bool| {
            let both = found.iter().zip(known).filter(|(a, b)| f(**a) && f(**b)).count();
            let each = found.iter().filter(|a| f(**a)).count() + known.iter().filter(|b| f(**b)).count();
            2.0 * both as f64 / each as f64
        };
        let consolidation = lesions.data().iter().zip(found).filter(|(l, _)| **l == 12);
        let (inside, all) = consolidation.fold((0, 0), |(i, n), (_, f)| (i + usize::from(*f > 0), n + 1));
        println!("{name} {seed}: {:?}, lungs {lungs_s:.1} s, lobes {lobes_s:.1} s", ct.shape());
        println!("  lungs Dice {:.4}, consolidation inside {inside} of {all} voxels", dice(&|l| l > 0));
        for lobe in 1..=5 {
            let (found_ml, known_ml) = (lobes.labels().volume_ml(lobe), truth.volume_ml(lobe));
            println!("  lobe {lobe}: {found_ml:.0} ml of {known_ml:.0} ml, Dice {:.3}", dice(&|l| l == lobe));
        }
        println!("  fissures {:.2?}, notes {:?}", lobes.confidence(), lungs.notes());
        if let Some(folder) = &folder {
            let write = |what: &str| File::create(format!("{folder}/{name}{seed}{what}.nii.gz")).map(BufWriter::new);
            nifti::write_volume(&ct, write("")?, Compression::Gzip)?;
            nifti::write_labels(&truth, write("_known")?, Compression::Gzip)?;
            nifti::write_labels(lobes.labels(), write("_lobes")?, Compression::Gzip)?;
            nifti::write_labels(&LabelMap::new(lesions), write("_lesions")?, Compression::Gzip)?;
        }
    }
    Ok(())
}
