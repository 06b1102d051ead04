//! STOW-RS, QIDO-RS and WADO-RS.

use std::time::Duration;

use hilum_network::{
    Credentials, Error, Folder, Level, Node, NodeLimits, Outgoing, Query, RetrieveOptions, SentHow, Wanted, echo,
    query, retrieve,
};

use crate::web_server::{Service, serve};
use crate::{ct_files, data_set, outgoing, send_all};

fn web(root: &str) -> Node {
    let mut node = Node::new(root.parse().unwrap());
    node.answer = Duration::from_secs(5);
    node
}

fn options() -> RetrieveOptions {
    RetrieveOptions { pause: Duration::from_millis(1), attempts: 2, ..RetrieveOptions::default() }
}

#[test]
fn objects_go_and_come_back_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let paths = ct_files(folder.path());
    let (root, service) = serve(Service { busy: 2, ..Service::default() });
    let node = web(&root);
    let outcomes = send_all(&node, &outgoing(&paths));
    assert!(outcomes.iter().all(|o| matches!(o.result, Ok((SentHow::AsItIs, _))) && o.attempts == 3), "{outcomes:?}");
    echo(&node).unwrap();
    for path in &paths {
        let file = std::fs::read(path).unwrap();
        let uid = Outgoing::of(path, &NodeLimits::default()).unwrap().identity().sop_instance_uid.clone();
        let stored = service.lock().unwrap().stored[&uid].clone();
        assert!(stored.starts_with(&[0; 128]), "preambles do not leave the house");
        assert_eq!(data_set(&stored), data_set(&file));
    }
    let (found, more) = query(&node, &Query::new(Level::Study, &[("PatientName", "A B&C*")]).unwrap()).unwrap();
    assert_eq!((found.len(), more), (1, false));
    let asked = service.lock().unwrap().requests.last().unwrap().clone();
    assert!(asked.starts_with("studies?limit=10001&PatientName=A%20B%26C*&includefield=00080020"), "{asked}");

    let study_uid = found[0].text("StudyInstanceUID").unwrap();
    let (out, wanted) = (folder.path().join("out"), Wanted { study_uid, series_uid: None });
    let came = retrieve(&node, &wanted, &Folder::new(&out), &options(), &|_, _| ()).unwrap();
    assert_eq!((came.written, came.missing.len(), came.listed), (paths.len(), 0, Some(paths.len())));
    // An answer that is cut off: what came is kept, the rest is named with the reason.
    service.lock().unwrap().cut = Some(3000);
    let out = folder.path().join("cut");
    let came = retrieve(&node, &wanted, &Folder::new(&out), &options(), &|_, _| ()).unwrap();
    assert!(came.written > 0 && came.written + came.missing.len() == paths.len(), "{came:?}");
    assert!(matches!(query(&node, &Query::new(Level::Patient, &[]).unwrap()), Err(Error::NotAccepted(_))));
}

#[test]
fn what_a_service_does_not_take_is_unpacked_or_named() {
    let folder = tempfile::tempdir().unwrap();
    let paths = ct_files(folder.path());
    let objects = outgoing(&paths);
    let native = objects[0].transfer_syntax_uid().to_owned();
    let (root, service) = serve(Service { refuses: Some(native), ..Service::default() });
    // There is nothing to unpack, so the refusal stands, with its meaning.
    for outcome in send_all(&web(&root), &objects) {
        let reason = outcome.result.unwrap_err().to_string();
        assert!(reason.contains("0x0122") && reason.contains("not supported"), "{reason}");
    }
    assert!(service.lock().unwrap().stored.is_empty());
    let (root, service) = serve(Service { authorization: Some("Bearer let-me-in".into()), ..Service::default() });
    let mut node = web(&root);
    let reason = echo(&node).unwrap_err();
    assert!(matches!(reason, Error::Http { code: 401, .. }) && reason.to_string().contains("token"), "{reason}");
    node.credentials = Some(Credentials::Token("let-me-in".into()));
    echo(&node).unwrap();
    assert!(!format!("{node:?}").contains("let-me-in"), "secrets are not printed");
    assert!(send_all(&node, &objects).iter().all(|o| o.result.is_ok()));
    assert_eq!(service.lock().unwrap().stored.len(), objects.len());
    assert!(matches!(echo(&web(&format!("{root}/elsewhere"))), Err(Error::Http { code: 401, .. })));
}
