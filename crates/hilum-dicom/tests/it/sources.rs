//! Folders, ZIPs, mixtures, and what must not be followed or believed.

use std::fs;
use std::io::Write;
use std::sync::Arc;

use hilum_dicom::{CtSeriesDescription, Limits, Refusal, SkipReason, Source, load, scan};

use crate::support::{axial, files, loaded_from, ramp, series};

#[test]
fn folders_are_searched_through_and_strangers_listed() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("a/b c/ü");
    fs::create_dir_all(&deep).unwrap();
    for (n, file) in series().iter().enumerate() {
        // Any names, any folders.
        let place = if n % 2 == 0 { deep.join(format!("IM{n}")) } else { folder.path().join(format!("{n}.txt")) };
        fs::write(place, file).unwrap();
    }
    fs::write(folder.path().join("readme.dcm"), "not an image").unwrap();
    fs::write(folder.path().join("cut.dcm"), &series()[0][..300]).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(folder.path(), deep.join("loop")).unwrap();
    let source = Source::from(folder.path());
    let scan = scan(&source, &Limits::default()).unwrap();
    let skipped: Vec<_> = scan.skipped().iter().map(|s| (s.name.to_str().unwrap(), s.reason)).collect();
    assert_eq!(skipped, [("cut.dcm", SkipReason::CutShort), ("readme.dcm", SkipReason::NotDicom)]);
    assert_eq!(load(&scan, &scan.series()[0].series_uid, &|_| ()).unwrap().volume, ramp(axial()));
}

#[test]
fn a_folder_that_is_empty_or_not_there_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(loaded_from(&Source::from(folder.path())).unwrap_err(), Refusal::Empty);
    let nowhere = loaded_from(&Source::Path(folder.path().join("nowhere"))).unwrap_err();
    assert_eq!(nowhere, Refusal::Unreadable(std::io::ErrorKind::NotFound));
}

fn zipped(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(name.as_str(), zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn a_zip_equals_its_files() {
    let files: Vec<_> = series().into_iter().enumerate().map(|(n, f)| (format!("../../{n}"), f)).collect();
    let zip = zipped(&files);
    let in_memory = loaded_from(&Source::Memory(vec![("study".into(), Arc::from(&zip[..]))])).unwrap();
    assert_eq!(in_memory.volume, ramp(axial()));
    let path = tempfile::NamedTempFile::new().unwrap();
    fs::write(path.path(), &zip).unwrap();
    assert_eq!(loaded_from(&Source::from(path.path())).unwrap(), in_memory);
    let cut = loaded_from(&Source::Memory(vec![("study".into(), Arc::from(&zip[..zip.len() / 2]))])).unwrap_err();
    assert_eq!(cut.to_string(), "the ZIP cannot be opened: it is damaged or cut short");
}

#[test]
fn limits_hold() {
    struct Case {
        name: &'static str,
        limits: Limits,
        source: Source,
        message: &'static str,
    }
    let plain = crate::support::source(&series());
    let bomb = zipped(&[("zeros".into(), vec![0; 4 << 20])]);
    let cases = [
        Case {
            name: "files",
            limits: Limits { max_files: 11, ..Limits::default() },
            source: plain.clone(),
            message: "the input is too large: the number of files exceeds the limit of 11",
        },
        Case {
            name: "bytes",
            limits: Limits { max_total_bytes: 1000, ..Limits::default() },
            source: plain.clone(),
            message: "the input is too large: the size of all files in bytes exceeds the limit of 1000",
        },
        Case {
            name: "voxels",
            limits: Limits { max_voxels: 359, ..Limits::default() },
            source: plain.clone(),
            message: "the input is too large: the number of voxels exceeds the limit of 359",
        },
        Case {
            name: "sides",
            limits: Limits { max_side: 5, ..Limits::default() },
            source: plain,
            message: "there are no DICOM images in the input: the file exceeds the limits for foreign files",
        },
        Case {
            name: "packing ratio",
            limits: Limits::default(),
            source: Source::Memory(vec![("bomb".into(), Arc::from(&bomb[..]))]),
            message: "the input is too large: the packing ratio of a ZIP entry exceeds the limit of 200",
        },
    ];
    for case in cases {
        let refused = scan(&case.source, &case.limits)
            .and_then(|scan| load(&scan, &scan.series()[0].series_uid, &|_| ()))
            .expect_err(case.name);
        assert_eq!(refused.to_string(), case.message, "{}", case.name);
    }
}

#[test]
fn series_and_studies_are_kept_apart() {
    let small = hilum_volume::Geometry::axial([3, 6, 5], axial().origin(), [5.0, 0.7, 0.6]).unwrap();
    let mut all = files(&ramp(axial()), &CtSeriesDescription::default());
    all.extend(files(&ramp(small.clone()), &CtSeriesDescription { seed: "second".into(), ..Default::default() }));
    let scan = scan(&crate::support::source(&all), &Limits::default()).unwrap();
    let counts: Vec<_> = scan.series().iter().map(|s| s.images).collect();
    assert_eq!((counts, scan.patients()), (vec![12, 3], 1), "most images first");
    assert_ne!(scan.series()[0].study_uid, scan.series()[1].study_uid);
    let second = load(&scan, &scan.series()[1].series_uid, &|_| ()).unwrap();
    assert_eq!(second.volume, ramp(small));
}

#[test]
fn progress_reaches_the_end() {
    let scan = scan(&crate::support::source(&series()), &Limits::default()).unwrap();
    let most = std::sync::Mutex::new(0f32);
    load(&scan, &scan.series()[0].series_uid, &|share| {
        let mut most = most.lock().unwrap();
        *most = most.max(share);
    })
    .unwrap();
    assert_eq!(*most.lock().unwrap(), 1.0);
}
