//! C-ECHO and C-STORE.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use hilum_dicom::{Limits, Source, Uncompressed, load, scan};
use hilum_network::{
    Error, Fetched, Folder, Kept, Outgoing, Receiver, ReceiverOptions, SentHow, Service, Status, echo,
};

use crate::{ct_files, data_set, node, outgoing, receiver, send_all};

#[test]
fn objects_arrive_as_they_are_behind_an_empty_preamble() {
    let folder = tempfile::tempdir().unwrap();
    let paths = ct_files(folder.path());
    let (receiver, came) = receiver(|_| ());
    let node = node(receiver.address().port());
    echo(&node).unwrap();
    let outcomes = send_all(&node, &outgoing(&paths));
    assert_eq!(outcomes.len(), paths.len());
    for outcome in &outcomes {
        assert!(matches!(outcome.result, Ok((SentHow::AsItIs, Status::SUCCESS))), "{outcome:?}");
        assert_eq!(outcome.attempts, 1);
    }
    let came = came.lock().unwrap();
    let kept = Folder::new(&folder.path().join("kept"));
    for (path, object) in paths.iter().zip(came.iter()) {
        let sent = std::fs::read(path).unwrap();
        assert!(sent.starts_with(b"MZ"), "an executable's head is in what was sent");
        assert_eq!(object.data_set(), data_set(&sent));
        assert_eq!(kept.keep(object).unwrap(), Kept::Written);
        assert_eq!(kept.keep(object).unwrap(), Kept::AlreadyThere);
        let id = &object.identity;
        let file = kept.place(id.study_uid.as_deref(), id.series_uid.as_deref(), &id.sop_instance_uid);
        let file = std::fs::read(file).unwrap();
        assert!(file.starts_with(&[0; 128]), "nothing of the preamble is kept");
        assert_eq!(data_set(&file), data_set(&sent));
    }
    let pixels = |path: &Path| {
        let scan = scan(&Source::from(path), &Limits::default()).unwrap();
        load(&scan, &scan.series()[0].series_uid, &|_| ()).unwrap().volume
    };
    assert_eq!(pixels(&folder.path().join("kept")), {
        std::fs::remove_dir_all(folder.path().join("none")).ok();
        let only = tempfile::tempdir().unwrap();
        for path in &paths {
            std::fs::copy(path, only.path().join(path.file_name().unwrap())).unwrap();
        }
        pixels(only.path())
    });
}

/// The series of one transfer syntax, among the files that hilum-dicom is tested with.
fn packed(name: &str, to: &Path) -> Vec<PathBuf> {
    let zip =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../hilum-dicom/tests/data/syntax").join(format!("{name}.zip"));
    let mut archive = zip::ZipArchive::new(std::fs::File::open(zip).unwrap()).unwrap();
    let mut paths = Vec::new();
    for n in 0..archive.len() {
        let mut bytes = Vec::new();
        archive.by_index(n).unwrap().read_to_end(&mut bytes).unwrap();
        let path = to.join(format!("{name}-{n}.dcm"));
        std::fs::write(&path, bytes).unwrap();
        paths.push(path);
    }
    paths
}

const PACKED: [&str; 9] = [
    "jpeg-sv1-u12",
    "jpeg-ls-s16",
    "jpeg-2000-u16",
    "rle-s16",
    "deflated-u12",
    "big-endian-s16",
    "explicit-s16",
    "implicit-s16",
    "enhanced-jpeg-fragments-u12",
];

fn volume(objects: &[Fetched]) -> hilum_volume::Volume<i16> {
    let file = |object: &Fetched| [object.file_head().as_slice(), object.data_set()].concat();
    let files = objects.iter().enumerate().map(|(n, o)| (n.to_string(), Arc::from(file(o)))).collect();
    let scan = scan(&Source::Memory(files), &Limits::default()).unwrap();
    load(&scan, &scan.series()[0].series_uid, &|_| ()).unwrap().volume
}

#[test]
fn every_transfer_syntax_passes_and_is_unpacked_only_where_it_must_be() {
    for name in PACKED {
        let folder = tempfile::tempdir().unwrap();
        let objects = outgoing(&packed(name, folder.path()));
        let as_it_is = {
            let (receiver, came) = receiver(|_| ());
            for outcome in send_all(&node(receiver.address().port()), &objects) {
                assert!(matches!(outcome.result, Ok((SentHow::AsItIs, _))), "{name}: {outcome:?}");
            }
            let came = came.lock().unwrap();
            assert!(came.iter().all(|o| o.transfer_syntax_uid == objects[0].transfer_syntax_uid()), "{name}");
            volume(&came)
        };
        // A peer that knows the default of DICOM alone (PS3.5 10.1), and one that wants representations named.
        for form in [Uncompressed::Implicit, Uncompressed::Explicit] {
            let (receiver, came) = receiver(|options| options.syntaxes = vec![form.uid().into()]);
            for outcome in send_all(&node(receiver.address().port()), &objects) {
                let how = outcome.result.unwrap().0;
                let same = objects[0].transfer_syntax_uid() == form.uid();
                assert_eq!(how, if same { SentHow::AsItIs } else { SentHow::Uncompressed(form) }, "{name}");
            }
            let came = came.lock().unwrap();
            assert!(came.iter().all(|o| o.transfer_syntax_uid == form.uid()), "{name}");
            assert_eq!(volume(&came), as_it_is, "{name} as {form:?}");
        }
    }
}

#[test]
fn failures_are_named_retried_where_that_helps_and_do_not_stop_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let objects = outgoing(&ct_files(folder.path()));
    let (calls, statuses) = (Arc::new(AtomicU16::new(0)), [0xA700, 0, 0xA900, 0xB007, 0, 0]);
    let count = Arc::clone(&calls);
    let options = ReceiverOptions::new("127.0.0.1:0".parse().unwrap(), "HERE");
    let receiver = Receiver::start(options, move |_| {
        let call = usize::from(count.fetch_add(1, Ordering::Relaxed));
        Status(statuses.get(call).copied().unwrap_or(0))
    });
    let receiver = receiver.unwrap();
    let outcomes = send_all(&node(receiver.address().port()), &objects);
    assert_eq!(outcomes.iter().map(|o| o.attempts).collect::<Vec<_>>(), [2, 1, 1, 1, 1], "out of resources is retried");
    assert!(outcomes[0].result.is_ok());
    let refused = outcomes[1].result.as_ref().unwrap_err();
    assert!(matches!(refused, Error::Status { service: Service::Store, status: Status(0xA900) }));
    assert!(refused.to_string().contains("0xA900") && refused.to_string().contains("SOP class"), "{refused}");
    assert_eq!(outcomes[2].result.as_ref().unwrap().1, Status(0xB007), "a warning is passed on");
    assert!(outcomes[3].result.is_ok() && outcomes[4].result.is_ok());
}

#[test]
fn wrong_titles_and_nobody_there_are_said_once() {
    let folder = tempfile::tempdir().unwrap();
    let objects = outgoing(&ct_files(folder.path()));
    let (receiver, came) = receiver(|_| ());
    let wrong = node(receiver.address().port()).with_titles(Some("OTHER"), None).unwrap();
    let reason = echo(&wrong).unwrap_err();
    assert!(matches!(reason, Error::Rejected { transient: false, .. }), "{reason}");
    assert!(reason.to_string().contains("called AE title not recognized"), "{reason}");
    let outcomes = send_all(&wrong, &objects);
    assert!(outcomes.iter().all(|o| o.result.is_err()) && outcomes[1].attempts == 0, "{outcomes:?}");
    assert!(came.lock().unwrap().is_empty());
    let port = receiver.address().port();
    drop(receiver);
    let outcomes = send_all(&node(port), &objects);
    assert!(matches!(outcomes[0].result, Err(Error::Unreachable { .. })) && outcomes[0].attempts == 3);
    assert!(outcomes[1].result.as_ref().unwrap_err().to_string().starts_with("not tried"));
}

#[test]
fn a_class_that_the_peer_does_not_take_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let objects = outgoing(&ct_files(folder.path()));
    let (receiver, _) = receiver(|options| options.syntaxes = vec!["1.2.840.10008.1.2.4.70".into()]);
    for outcome in send_all(&node(receiver.address().port()), &objects) {
        let reason = outcome.result.unwrap_err();
        assert!(reason.to_string().contains("1.2.840.10008.5.1.4.1.1.2"), "{reason}");
    }
}

#[test]
fn what_is_no_object_is_not_sent() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("note.txt");
    std::fs::write(&path, "no DICOM").unwrap();
    assert!(Outgoing::of(&path, &Default::default()).is_err());
    assert!(Outgoing::of(&folder.path().join("absent"), &Default::default()).is_err());
}

#[test]
fn several_peers_are_served_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let objects = outgoing(&ct_files(folder.path()));
    let (receiver, came) = receiver(|_| ());
    let done = Mutex::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let good =
                    send_all(&node(receiver.address().port()), &objects).iter().filter(|o| o.result.is_ok()).count();
                *done.lock().unwrap() += good;
            });
        }
    });
    assert_eq!(*done.lock().unwrap(), 4 * objects.len());
    assert_eq!(came.lock().unwrap().len(), 4 * objects.len());
}
