//! Which images the analysis takes for unlike those its model knows: real chest CTs, and the same spoilt in known ways.
//!
//! `unusual CARD SCAN…` analyses every scan (a folder of DICOM, or NIfTI) as it is and with every change, and prints, tab
//! separated: scan, change, whether results with it are still to be trusted, score of unlikeness, codes of severe notes and, in
//! brackets, of warnings on the images (or the refusal), and opacity in percent of the lung. Further arguments that begin with `=`
//! name the changes to be made, all if there are none. With `-` for CARD no network runs: what is measured in the images is printed.
//!
//! `unusual --roc TABLE FILE.svg` draws the ROC of such lines and prints its figures.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use hilum_dicom::{Limits, Source, nifti};
use hilum_findings::{Note, Severity, Software};
use hilum_imaging::filter;
use hilum_lung::image_checks::ImageMeasures;
use hilum_lung::{LesionNetwork, Study, analyze, lungs};
use hilum_volume::{AxisOrder, Orientation, Volume};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A change, its name, and whether it leaves a scan that is still to be trusted.
type Change = (&'static str, bool, fn(&Volume<i16>) -> Volume<i16>);

/// Notes on the images that are printed as warnings too.
const OF_IMAGES: [&str; 6] = [
    "noisy-images",
    "blurred-images",
    "sharpened-images",
    "ring-artefacts",
    "streak-artefacts",
    "orientation-implausible",
];

const CHANGES: &[Change] = &[
    ("none", true, Clone::clone),
    ("noise of 20 HU", true, |ct| noisy(ct, 20.0)),
    ("smoothed by 0.7 mm", true, |ct| smooth(ct, 0.7)),
    ("20 HU too dense", true, |ct| each(ct, |hu| hu + 20.0)),
    ("every second slice", true, every_second_slice),
    ("noise of 150 HU", false, |ct| noisy(ct, 150.0)),
    ("smoothed by 2 mm", false, |ct| smooth(ct, 2.0)),
    ("smoothed by 3 mm", false, |ct| smooth(ct, 3.0)),
    ("smoothed by 5 mm", false, |ct| smooth(ct, 5.0)),
    ("sharpened a little", false, |ct| sharp(ct, 1.0)),
    ("sharpened until edges ring", false, |ct| sharp(ct, 3.0)),
    ("150 HU too dense", false, |ct| each(ct, |hu| hu + 150.0)),
    ("150 HU too thin", false, |ct| each(ct, |hu| hu - 150.0)),
    ("1024 added: stored values, not HU", false, |ct| each(ct, |hu| hu + 1024.0)),
    ("half the contrast", false, |ct| each(ct, |hu| 0.5 * hu)),
    ("twice the contrast", false, |ct| each(ct, |hu| 2.0 * hu)),
    ("grey values of 0 to 255 in a lung window", false, |ct| {
        each(ct, |hu| (255.0 * (hu + 1350.0) / 1500.0).clamp(0.0, 255.0))
    }),
    ("inverted", false, |ct| each(ct, |hu| -1000.0 - hu)),
    ("streaks", false, |ct| streaks(ct, 400.0)),
    ("faint streaks", false, |ct| streaks(ct, 150.0)),
    ("rings", false, |ct| rings(ct, 500.0)),
    ("faint rings", false, |ct| rings(ct, 100.0)),
    ("breathed while scanned", false, ghost),
    ("breathed from slice to slice", false, breathing),
    ("turned by 90 degrees", false, swapped),
    ("front and back exchanged", false, |ct| mirrored(ct, 1)),
    ("head and feet exchanged", false, |ct| mirrored(ct, 0)),
    ("left and right exchanged", false, |ct| mirrored(ct, 2)),
    ("turned by 180 degrees about the long axis", false, |ct| mirrored(&mirrored(ct, 2), 1)),
];

fn main() -> Result<()> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let (wanted, paths): (Vec<_>, Vec<_>) = arguments.iter().partition(|a| a.to_string_lossy().starts_with('='));
    if let [option, table, svg] = &arguments[..]
        && option.as_os_str() == "--roc"
    {
        let (drawn, words) = hilum_benches::roc(&std::fs::read_to_string(table)?)?;
        print!("{words}");
        return Ok(std::fs::write(svg, drawn)?);
    }
    let [card, scans @ ..] = &paths[..] else {
        bail!("unusual CARD SCAN… [=CHANGE…], or unusual --roc TABLE FILE.svg")
    };
    let network = match card.as_os_str() == "-" {
        true => None,
        false => Some(LesionNetwork::new(hilum_train::read_model(card)?, 0)?),
    };
    for path in scans {
        let study = read(path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        for (change, trusted, make) in CHANGES {
            if !wanted.is_empty() && !wanted.iter().any(|w| w.to_string_lossy()[1..] == **change) {
                continue;
            }
            let changed = Study { volume: make(&study.volume), series: study.series.clone() };
            let line =
                network.as_ref().map_or_else(|| measures(&changed.volume), |network| analysed(&changed, network));
            println!("{name}\t{change}\t{}\t{line}", if *trusted { "yes" } else { "no" });
        }
    }
    Ok(())
}

/// Score, codes and opacity.
fn analysed(study: &Study, network: &LesionNetwork) -> String {
    let software = Software { name: "unusual".into(), version: String::new(), commit: None };
    match analyze(study, network, software, &|_, _| {}) {
        Ok(analysis) => {
            let findings = analysis.findings;
            let quality = &findings.quality;
            let code = |note: &Note| match note.severity {
                Severity::Severe => Some(note.code.clone()),
                Severity::Warning if OF_IMAGES.contains(&note.code.as_str()) => Some(format!("({})", note.code)),
                _ => None,
            };
            let codes: Vec<String> = quality.reasons.iter().filter_map(code).collect();
            let score = quality.out_of_distribution.score.map_or("-".into(), |score| format!("{score:.2}"));
            let percent = findings.lesions.percent_of_lung.unwrap_or(f64::NAN);
            format!("{score}\t{}\t{percent:.2}", codes.join(" "))
        }
        Err(error) => format!("-\trefused: {error}\t-"),
    }
}

/// What is measured in the images, with lungs found without a network.
fn measures(volume: &Volume<i16>) -> String {
    let ct = volume.reordered(AxisOrder::towards(volume.geometry(), Orientation::Axial));
    match lungs::segment(&ct, None, &lungs::LungOptions::default()) {
        Ok(lungs) => {
            let started = std::time::Instant::now();
            let measures = ImageMeasures::of(&ct, &lungs);
            format!("{:.2} s\t{measures:?}", started.elapsed().as_secs_f64())
        }
        Err(error) => format!("-\trefused: {error}"),
    }
}

fn read(path: &Path) -> Result<Study> {
    if path.is_file() {
        return Ok(Study::from_nifti(nifti::read_hu(std::fs::File::open(path)?, &Limits::default())?));
    }
    let scan = hilum_dicom::scan(&Source::from(path), &Limits::default())?;
    let choice = hilum_lung::choose(&scan).context("no series")?;
    Ok(Study::from_dicom(hilum_dicom::load(&scan, &choice.series_uid, &|_| {})?, None))
}

/// A CT keeps what it can hold.
fn stored(hu: f32) -> i16 {
    hu.round().clamp(-1024.0, 3071.0) as i16
}

fn each(ct: &Volume<i16>, change: impl Fn(f32) -> f32 + Sync) -> Volume<i16> {
    // Without the lower limit: a shifted scale is shifted for air too.
    ct.map(|hu| change(f32::from(*hu)).round().clamp(-3072.0, 4095.0) as i16)
}

/// A number of 0 to 1 that looks random, always the same at a place.
fn random(at: usize, salt: u64) -> f32 {
    let mut x = (8 * at as u64 + salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((x ^ (x >> 31)) >> 40) as f32 / (1 << 24) as f32
}

/// Noise without correlation, of about this standard deviation.
fn noisy(ct: &Volume<i16>, deviation: f32) -> Volume<i16> {
    let normal = |at: usize| (0..4).map(|salt| random(at, salt) - 0.5).sum::<f32>() * 3.0_f32.sqrt();
    let data = ct.data().iter().enumerate().map(|(at, hu)| stored(f32::from(*hu) + deviation * normal(at)));
    Volume::new(ct.geometry().clone(), data.collect()).expect("as many values")
}

fn smooth(ct: &Volume<i16>, sigma_mm: f64) -> Volume<i16> {
    filter::gaussian(&ct.map(|hu| f32::from(*hu)), sigma_mm).map(|hu| stored(*hu))
}

fn sharp(ct: &Volume<i16>, amount: f32) -> Volume<i16> {
    let soft = smooth(ct, 1.0);
    let data = ct.data().iter().zip(soft.data());
    let data = data.map(|(hu, soft)| stored(f32::from(*hu) + amount * (f32::from(*hu) - f32::from(*soft))));
    Volume::new(ct.geometry().clone(), data.collect()).expect("as many values")
}

fn every_second_slice(ct: &Volume<i16>) -> Volume<i16> {
    let [slices, rows, columns] = ct.shape();
    let old = ct.geometry();
    let spacing = old.spacing_mm();
    let spacing = [2.0 * spacing[0], spacing[1], spacing[2]];
    let grid =
        hilum_volume::Geometry::new([slices / 2, rows, columns], old.origin(), old.axes(), spacing).expect("a grid");
    let data = (0..slices / 2).flat_map(|s| ct.slice(2 * s).to_vec()).collect();
    Volume::new(grid, data).expect("as many values")
}

/// Every voxel changed by a function of its slice, row and column, the last two from the middle in millimetres.
fn painted(ct: &Volume<i16>, paint: impl Fn(usize, f32, f32) -> f32) -> Volume<i16> {
    let [_, rows, columns] = ct.shape();
    let [_, row_mm, column_mm] = ct.geometry().spacing_mm().map(|mm| mm as f32);
    let value = |(at, hu): (usize, &i16)| {
        let (slice, row, column) = (at / (rows * columns), at / columns % rows, at % columns);
        let y = (row as f32 - 0.5 * rows as f32) * row_mm;
        let x = (column as f32 - 0.5 * columns as f32) * column_mm;
        stored(f32::from(*hu) + paint(slice, y, x))
    };
    Volume::new(ct.geometry().clone(), ct.data().iter().enumerate().map(value).collect()).expect("as many values")
}

/// Bright and dark rays from metal in the middle.
fn streaks(ct: &Volume<i16>, amplitude_hu: f32) -> Volume<i16> {
    painted(ct, |slice, y, x| {
        let angle = y.atan2(x) + 0.05 * slice as f32;
        amplitude_hu * (24.0 * angle).sin() * (30.0 / (30.0 + y.hypot(x))).sqrt()
    })
}

/// Faulty detector elements.
fn rings(ct: &Volume<i16>, range_hu: f32) -> Volume<i16> {
    painted(ct, |_, y, x| range_hu * (random((y.hypot(x) / 2.0) as usize, 7) - 0.5))
}

/// The mean of the scan and itself, moved by 15 mm.
fn ghost(ct: &Volume<i16>) -> Volume<i16> {
    let shift = (15.0 / ct.geometry().spacing_mm()[1]).round() as usize;
    let columns = ct.shape()[2];
    let moved = |at: usize| ct.data()[at.saturating_sub(shift * columns)];
    let data = ct.data().iter().enumerate().map(|(at, hu)| (hu + moved(at)) / 2).collect();
    Volume::new(ct.geometry().clone(), data).expect("as many values")
}

/// Slices from up to 8 mm below and above where they should be, back and forth within 40 mm.
fn breathing(ct: &Volume<i16>) -> Volume<i16> {
    let slices = ct.shape()[0];
    let spacing_mm = ct.geometry().spacing_mm()[0];
    let seen = |slice: usize| {
        let z_mm = slice as f64 * spacing_mm;
        let from = (z_mm + 8.0 * (std::f64::consts::TAU * z_mm / 40.0).sin()) / spacing_mm;
        from.round().clamp(0.0, slices as f64 - 1.0) as usize
    };
    let data = (0..slices).flat_map(|slice| ct.slice(seen(slice)).to_vec()).collect();
    Volume::new(ct.geometry().clone(), data).expect("as many values")
}

/// The same numbers with one axis of the picture read as the other, as if the orientation were written down wrongly.
fn swapped(ct: &Volume<i16>) -> Volume<i16> {
    let [slices, rows, columns] = ct.shape();
    let mut data = Vec::with_capacity(ct.data().len());
    for slice in 0..slices {
        let plane = ct.slice(slice);
        data.extend((0..columns).flat_map(|c| (0..rows).map(move |r| plane[r * columns + columns - 1 - c])));
    }
    let old = ct.geometry();
    let spacing = old.spacing_mm();
    let spacing = [spacing[0], spacing[2], spacing[1]];
    let grid = hilum_volume::Geometry::new([slices, columns, rows], old.origin(), old.axes(), spacing).expect("a grid");
    Volume::new(grid, data).expect("as many values")
}

/// The same numbers in reverse along an axis, as if its direction were written down wrongly.
fn mirrored(ct: &Volume<i16>, axis: usize) -> Volume<i16> {
    let mut order = AxisOrder::IDENTITY;
    order.0[axis].1 = true;
    let turned = ct.reordered(order);
    Volume::new(ct.geometry().clone(), turned.data().to_vec()).expect("as many values")
}
