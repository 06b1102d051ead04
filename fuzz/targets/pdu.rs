//! What a peer says on an association: PDUs, command sets, pieces of data sets. The first byte chooses who it is: one that
//! sends objects to the receiver, or one that answers a search for studies or images.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use hilum_network::{Fetched, Folder, Level, Node, Query, ReceiverOptions, Status, replay};
use libfuzzer_sys::fuzz_target;

static OPTIONS: LazyLock<ReceiverOptions> = LazyLock::new(|| ReceiverOptions::new(([127, 0, 0, 1], 0).into(), "HERE"));
static NODE: LazyLock<Node> = LazyLock::new(|| Node::new("THERE@127.0.0.1:104".parse().expect("an address")));
static QUERIES: LazyLock<[Query; 2]> = LazyLock::new(|| {
    [Level::Study, Level::Image].map(|level| Query::new(level, &[]).expect("attributes of the standard"))
});

fuzz_target!(|data: &[u8]| {
    hilum_fuzz::let_caught_panics_pass();
    let Some((who, said)) = data.split_first() else { return };
    match who % 3 {
        0 => {
            let _ = replay::receive(said, &OPTIONS, &|object| {
                check(&object);
                Status::SUCCESS
            });
        }
        n => {
            let query = &QUERIES[usize::from(n) - 1];
            if let Ok((found, _)) = replay::find(said, &NODE, query) {
                assert!(found.len() <= query.most);
            }
        }
    }
});

/// What was taken becomes a file that says the same, in a place below the folder.
fn check(object: &Fetched) {
    let file = [&object.file_head()[..], object.data_set()].concat();
    let again = Fetched::of_file(file, &OPTIONS.limits.data_set).expect("what we write can be read");
    assert_eq!(again.identity, object.identity);
    let identity = &object.identity;
    let root = Path::new("/root");
    let place = Folder::new(root).place(
        identity.study_uid.as_deref(),
        identity.series_uid.as_deref(),
        &identity.sop_instance_uid,
    );
    let inside = place.strip_prefix(root).expect("below the folder");
    assert_eq!(inside.components().count(), 3);
    assert!(inside.components().all(|part| matches!(part, std::path::Component::Normal(_))));
}
