//! C-FIND, C-GET and C-MOVE against an archive that is not ours.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use hilum_network::{
    Error, Folder, Level, Query, ReceiverOptions, Retrieval, RetrieveOptions, Status, Wanted, query, retrieve,
};

use crate::archive::{Faults, archive};
use crate::{ct_files, data_set, node, outgoing};

struct Case {
    folder: tempfile::TempDir,
    files: Vec<Vec<u8>>,
    wanted: Wanted,
}

fn case() -> Case {
    let folder = tempfile::tempdir().unwrap();
    let paths = ct_files(folder.path());
    let identity = outgoing(&paths)[0].identity().clone();
    let wanted = Wanted { study_uid: identity.study_uid.unwrap(), series_uid: None };
    Case { files: paths.iter().map(|p| std::fs::read(p).unwrap()).collect(), folder, wanted }
}

fn options() -> RetrieveOptions {
    RetrieveOptions { pause: Duration::from_millis(1), ..RetrieveOptions::default() }
}

fn below(folder: &Path) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(below(&path)) } else { found.push(std::fs::read(path).unwrap()) }
    }
    found
}

fn same_objects(case: &Case, out: &Path) {
    let sorted = |files: Vec<Vec<u8>>| {
        let mut sets: Vec<_> = files.iter().map(|f| data_set(f)).collect();
        sets.sort();
        sets
    };
    assert_eq!(sorted(below(out)), sorted(case.files.clone()), "data sets are the same to the bit");
}

#[test]
fn studies_series_and_objects_are_found() {
    let case = case();
    let node = node(archive(case.files.clone(), None, Faults::default()));
    let find = |level, matches: &[(&str, &str)]| query(&node, &Query::new(level, matches).unwrap()).unwrap();
    let (studies, more) = find(Level::Study, &[]);
    assert_eq!((studies.len(), more), (1, false));
    assert_eq!(studies[0].text("StudyInstanceUID").as_deref(), Some(&case.wanted.study_uid[..]));
    let study = ("StudyInstanceUID", &case.wanted.study_uid[..]);
    let (series, _) = find(Level::Series, &[study]);
    assert_eq!(series[0].text("Modality").as_deref(), Some("CT"));
    let uid = series[0].text("SeriesInstanceUID").unwrap();
    let (images, _) = find(Level::Image, &[study, ("SeriesInstanceUID", &uid)]);
    assert_eq!(images.len(), case.files.len());
    assert!(find(Level::Study, &[("PatientID", "nobody")]).0.is_empty());

    let mut few = Query::new(Level::Image, &[study, ("SeriesInstanceUID", &uid)]).unwrap();
    few.most = 2;
    assert!(Query::new(Level::Study, &[("NoSuchKeyword", "1")]).is_err());
    // The archive does not stop when asked to, as it may (PS3.4 C.4.1.3.1); what came too much is dropped.
    let (some, more) = query(&node, &few).unwrap();
    assert_eq!((some.len(), more), (2, true));
}

#[test]
fn a_study_comes_by_get_and_is_not_fetched_twice() {
    let case = case();
    let node = node(archive(case.files.clone(), None, Faults::default()));
    let out = case.folder.path().join("out");
    let counted = Mutex::new(Vec::new());
    let count = |came, of| counted.lock().unwrap().push((came, of));
    let first = retrieve(&node, &case.wanted, &Folder::new(&out), &options(), &count).unwrap();
    let all = case.files.len();
    assert_eq!(first, Retrieval { written: all, listed: Some(all), ..Retrieval::default() });
    assert_eq!(counted.lock().unwrap().last(), Some(&(all, Some(all))));
    same_objects(&case, &out);
    let again = retrieve(&node, &case.wanted, &Folder::new(&out), &options(), &|_, _| ()).unwrap();
    assert_eq!((again.written, again.already_there), (0, all));
    let other = Wanted { study_uid: "1.2.3".into(), series_uid: None };
    assert!(retrieve(&node, &other, &Folder::new(&out), &options(), &|_, _| ()).is_err());
}

#[test]
fn a_broken_association_is_taken_up_again_and_gaps_are_named() {
    let case = case();
    let all = case.files.len();
    let breaks = Faults { breaks_off_after: Some(2), ..Faults::default() };
    let out = case.folder.path().join("out");
    let broken = node(archive(case.files.clone(), None, breaks));
    let came = retrieve(&broken, &case.wanted, &Folder::new(&out), &options(), &|_, _| ()).unwrap();
    assert_eq!((came.written, came.missing.len()), (all, 0), "the second attempt brought the rest");
    same_objects(&case, &out);

    let withholds = node(archive(case.files.clone(), None, Faults { withheld: 2, ..Faults::default() }));
    let out = case.folder.path().join("less");
    let came = retrieve(&withholds, &case.wanted, &Folder::new(&out), &options(), &|_, _| ()).unwrap();
    assert_eq!((came.written, came.missing.len(), came.listed), (all - 2, 2, Some(all)));
}

#[test]
fn a_study_is_moved_to_a_receiver_of_ours() {
    let case = case();
    // A port that is free now; nothing else here asks for one by number.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let node = node(archive(case.files.clone(), Some(("MOVED".into(), free)), Faults::default()));
    let out = case.folder.path().join("out");
    let to = |title: &str, address: SocketAddr| RetrieveOptions {
        receiver: Some(ReceiverOptions::new(address, title)),
        ..options()
    };
    let came = retrieve(&node, &case.wanted, &Folder::new(&out), &to("MOVED", free), &|_, _| ()).unwrap();
    assert_eq!((came.written, came.missing.len()), (case.files.len(), 0));
    same_objects(&case, &out);
    let unknown = to("UNKNOWN", "127.0.0.1:0".parse().unwrap());
    let nowhere = case.folder.path().join("nowhere");
    let reason = retrieve(&node, &case.wanted, &Folder::new(&nowhere), &unknown, &|_, _| ()).unwrap_err();
    assert!(matches!(reason, Error::Status { status: Status(0xA801), .. }), "{reason}");
    assert!(reason.to_string().contains("destination"), "{reason}");
}
