//! Data sets of compressed DICOM are foreign bytes too: whatever reads them has them unpacked by workers.
#![cfg(target_os = "linux")]

use std::io::Read;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use hilum_dicom::{
    Algorithm, Device, LabelSet, Limits, Moment, Origin, ResultContext, Segment, SegmentationTitle, Source,
    binary_segmentation, codes, load, scan,
};
use hilum_volume::{LabelMap, Volume};

use crate::{hilum_ok, text};

/// A patient's folder: a JPEG-LS series of three slices and a segmentation of it.
fn patient(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/../hilum-dicom/tests/data/syntax/jpeg-ls-u12.zip");
    let mut zip = zip::ZipArchive::new(std::fs::File::open(fixture).unwrap()).unwrap();
    for n in 0..zip.len() {
        let mut bytes = Vec::new();
        zip.by_index(n).unwrap().read_to_end(&mut bytes).unwrap();
        std::fs::write(folder.join(format!("{n}.dcm")), bytes).unwrap();
    }
    let found = scan(&Source::from(folder), &Limits::default()).unwrap();
    let series = load(&found, &found.series()[0].series_uid, &|_| ()).unwrap();
    let origin = Origin::of(&found, &series).unwrap();
    let mut labels = Volume::filled(series.volume.geometry().clone(), 1_u8);
    labels.slice_mut(1)[20..30].fill(2);
    let map = LabelMap::new(labels);
    let algorithm = Algorithm::new("reader", "1", codes::MORPHOLOGICAL_OPERATIONS).unwrap();
    let segment = |name: &str, code, label: &'static [u8]| {
        let segment = Segment::new(name, codes::ANATOMICAL_STRUCTURE, code, algorithm.clone(), [255, 0, 0]).unwrap();
        (segment, LabelSet { map: &map, labels: label })
    };
    let segments = [segment("lung", codes::RIGHT_LUNG, &[1, 2]), segment("hazy", codes::GROUND_GLASS_OPACITY, &[2])];
    let device = Device::new("Hilum", "test", "1", &["1".to_string()]).unwrap();
    let created = Moment::new("20260101", "120000").unwrap();
    let context = ResultContext { origin: &origin, device: &device, created: &created };
    let title = SegmentationTitle::new("TRUTH", "Outlines of a reader", 1).unwrap();
    let made = binary_segmentation(&context, &title, &segments).unwrap();
    std::fs::write(folder.join("truth.dcm"), made.file.bytes()).unwrap();
}

/// Runs `hilum`, and tells whether it started workers. They stay until it ends, waiting for more.
fn run(arguments: &[&str], data: &Path) -> (Output, bool) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hilum"));
    command.args(arguments).env("HILUM_DATA", data).stdin(Stdio::null());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut seen = false;
    while child.try_wait().unwrap().is_none() {
        seen |= has_worker(child.id());
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    (child.wait_with_output().unwrap(), seen)
}

fn has_worker(parent: u32) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let is_worker = |folder: &Path| {
        let arguments = std::fs::read(folder.join("cmdline")).unwrap_or_default();
        let status = std::fs::read_to_string(folder.join("status")).unwrap_or_default();
        arguments.ends_with(b"\0decode-worker\0") && status.contains(&format!("PPid:\t{parent}\n"))
    };
    processes.map(|entry| entry.path()).any(|folder| is_worker(&folder))
}

#[test]
fn training_evaluating_and_quantising_unpack_in_workers() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("set");
    for name in ["p1", "p2"] {
        patient(&data.join(name));
    }
    // What the built-in model learned by, with this set and these patients.
    let own = include_str!("../../../../models/pneumonia-ct/train.toml");
    let at = |what: &str| own.find(what).unwrap();
    let (network, card) = (&own[..at("[[data]]")], &own[at("[card]")..]);
    let data_set = "[[data]]\nlayout = \"dicom-seg\"\nfolder = \"set\"\nweight = 1.0\n";
    let split = "[split]\ntrain = [\"p1\"]\nhold_out = [\"p2\"]\n\n";
    let config = folder.path().join("config.toml");
    std::fs::write(&config, format!("{network}{data_set}{split}{card}")).unwrap();
    let model = folder.path().join("model");
    hilum_ok(&["models", "export", "pneumonia-ct", "--out", text(&model)]);
    let (out, card) = (folder.path().join("run"), model.join("card.toml"));

    let (config, data, out, card) = (text(&config), text(&data), text(&out), text(&card));
    for (arguments, must_succeed) in [
        (vec!["evaluate", data, "--quiet"], true),
        (vec!["train", config, "--out", out, "--rehearse", "--quiet"], true),
        // Where the processor has no instructions for 8-bit numbers this ends in an error, after the set was read.
        (vec!["models", "quantise", card, "--data", data, "--split", config, "--quiet"], false),
    ] {
        let (output, seen) = run(&arguments, folder.path());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() || !must_succeed, "{arguments:?}: {said}");
        assert!(seen, "{arguments:?} started no worker: {said}");
    }
}
