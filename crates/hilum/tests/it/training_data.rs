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

use crate::{hilum, hilum_ok, json, text};

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

    let broken = folder.path().join("broken.toml");
    let misspelt = std::fs::read_to_string(&config).unwrap().replace("weight = 1.0", "weigth = 1.0");
    std::fs::write(&broken, misspelt).unwrap();
    let refusals = [
        (vec!["train", text(&broken), "--out", text(&out)], "weigth"),
        (vec!["evaluate", text(&data), "--split", "nosuch.toml"], "nosuch.toml"),
        (vec!["evaluate", text(&data), "--folds", "nosuch"], "nosuch"),
        (vec!["evaluate", text(&data), "--folds", "nosuch", "--into", text(&model)], "--into"),
        (vec!["evaluate", text(&data), "--folds", "nosuch", "--precision", "f32"], "--precision"),
        (vec!["evaluate", text(folder.path()), "--model", "nosuch"], "a model of that name"),
        (vec!["models", "quantise", text(&card), "--data", "nosuch", "--split", text(&config)], "nosuch"),
    ];
    for (arguments, expected) in refusals {
        let output = hilum(&arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }

    let (config, data, out, card) = (text(&config), text(&data), text(&out), text(&card));
    for (arguments, must_succeed) in [
        (vec!["evaluate", data, "--quiet"], true),
        (vec!["train", config, "--out", out, "--rehearse", "--quiet"], true),
        // One held-out patient is too few to make 8-bit convolutions the default: an error, after the set was read.
        (vec!["models", "quantise", card, "--data", data, "--split", config, "--quiet"], false),
    ] {
        let (output, seen) = run(&arguments, folder.path());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), must_succeed, "{arguments:?}: {said}");
        assert!(must_succeed || said.contains("3 held-out patients or more"), "{said}");
        assert!(seen, "{arguments:?} started no worker: {said}");
    }
}

/// Pictures of two patients: a chest with lungs and, in the second, a lesion.
fn pictures(folder: &Path) {
    for kind in ["images", "masks"] {
        std::fs::create_dir_all(folder.join(kind)).unwrap();
    }
    for (name, ill) in [("p1_1.png", false), ("p2_1.png", true)] {
        let inside = |i: usize, x: i32, radius: i32| {
            let (dy, dx) = (i as i32 / 64 - 32, i as i32 % 64 - x);
            dy * dy + dx * dx < radius * radius
        };
        let label = |i: usize| -> u8 {
            match () {
                () if ill && inside(i, 20, 4) => 2,
                () if inside(i, 20, 9) || inside(i, 44, 9) => 1,
                () => 0,
            }
        };
        let grey = |i: usize| -> u8 {
            match label(i) {
                1 => 40,
                2 => 120,
                _ if inside(i, 32, 30) => 190,
                _ => 0,
            }
        };
        for (kind, value) in [("images", &grey as &dyn Fn(usize) -> u8), ("masks", &label)] {
            let file = std::fs::File::create(folder.join(kind).join(name)).unwrap();
            let mut encoder = png::Encoder::new(file, 64, 64);
            encoder.set_color(png::ColorType::Grayscale);
            let pixels: Vec<u8> = (0..64 * 64).map(value).collect();
            encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
        }
    }
}

#[test]
fn what_was_measured_goes_into_the_card_of_the_measured_model() {
    let folder = tempfile::tempdir().unwrap();
    let (data, model) = (folder.path().join("our-pictures"), folder.path().join("model"));
    pictures(&data);
    hilum_ok(&["models", "export", "pneumonia-ct", "--out", text(&model)]);
    let (card, page) = (model.join("card.toml"), model.join("CARD.md"));
    assert!(std::fs::read_to_string(&page).unwrap().starts_with("# pneumonia-ct "));
    let out = folder.path().join("out.json");
    hilum_ok(&["evaluate", text(&data), "--quiet", "--into", text(&card), "--out", text(&out)]);
    let written = std::fs::read_to_string(&card).unwrap();
    assert!(written.contains("[results.our_pictures.lung]") && written.contains("[results.medseg_volume_9.lung]"));
    assert!(written.contains("[results.our_pictures.subgroups.lesion_large"), "{written}");
    assert!(std::fs::read_to_string(&page).unwrap().contains("### our pictures"));
    let evaluation = json(&out);
    assert_eq!(evaluation["patients"].as_array().unwrap().len(), 2);
    assert_eq!(evaluation["subgroups"][0]["name"], "lesion_large");

    // The same weights with another threshold would have other results.
    std::fs::write(&card, written.replacen("threshold = 0.3", "threshold = 0.4", 1)).unwrap();
    let output = hilum(&["evaluate", text(&data), "--quiet", "--into", text(&card)]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("the card of another model"), "{said}");
}

#[test]
fn options_that_nothing_heeds_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("slice_labels.csv"), "").unwrap();
    for option in [&["--mirror"][..], &["--plots", "p"], &["--against", "a"], &["--split", "s"], &["--into", "c"]] {
        let output = hilum(&[&["evaluate", text(folder.path())], option].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{option:?}: {said}");
        assert!(said.contains(&format!("{} cannot be heeded", option[0])), "{said}");
    }
    std::fs::remove_file(folder.path().join("slice_labels.csv")).unwrap();
    let output = hilum(&["evaluate", text(folder.path())]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("masks/NAME.png") && said.contains("NAME_labels.nii.gz"), "{said}");
}

#[test]
fn training_names_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let own = include_str!("../../../../models/pneumonia-ct/train.toml");
    let config = folder.path().join("config.toml");
    std::fs::write(&config, own).unwrap();
    let train = |config: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hilum"));
        let out = folder.path().join("run");
        command.args(["train", text(config), "--out", text(&out), "--rehearse", "--quiet"]);
        let output = command.env("HILUM_DATA", folder.path()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = train(&config);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("covid19-ct-seg-20") && said.contains("HILUM_DATA"), "{said}");
    for name in ["covid19-ct-seg-20", "medseg-9", "covid-semiseg-50"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
    }
    std::fs::write(&config, own.replacen("[split]", "[start]\nfrom = \"nosuch.toml\"\n\n[split]", 1)).unwrap();
    let (code, said) = train(&config);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("nosuch.toml"), "{said}");
}

#[test]
fn an_imported_model_goes_by_its_name_and_says_whom_it_hides() {
    let folder = tempfile::tempdir().unwrap();
    let (data, model, installed) =
        (folder.path().join("pictures"), folder.path().join("model"), folder.path().join("installed"));
    pictures(&data);
    hilum_ok(&["models", "export", "pneumonia-ct", "--out", text(&model)]);
    let there = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hilum"));
        let output = command.args(arguments).env("HILUM_MODELS", &installed).output().unwrap();
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        assert!(output.status.success(), "{arguments:?}: {}", said[1]);
        said
    };
    let card = model.join("card.toml");
    assert!(there(&["models", "import", text(&card)])[0].contains("hides the built-in model"));
    assert!(there(&["models", "list"])[0].contains("hides the built-in model"));
    assert!(there(&["evaluate", text(&data)])[1].contains("hides the built-in one"));
    let own = std::fs::read_to_string(&card).unwrap().replacen("name = \"pneumonia-ct\"", "name = \"ours\"", 1);
    std::fs::write(&card, own).unwrap();
    assert!(!there(&["models", "import", text(&card)])[0].contains("hides"));
    assert!(installed.join("ours/CARD.md").is_file());
    let [table, said] = there(&["evaluate", text(&data), "--model", "ours"]);
    assert!(table.starts_with("ours ") && !said.contains("hides"), "{table}{said}");
}
