//! The network as a user of the crate meets it: objects sent, searched for and fetched, against peers in this process.

mod archive;
mod hostile;
mod query_retrieve;
mod secure;
mod store;
mod web;
mod web_server;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hilum_dicom::{CtSeriesDescription, Instance, Limits, ct_images};
use hilum_network::{
    Fetched, Node, NodeLimits, ObjectOutcome, Outgoing, Receiver, ReceiverOptions, SendOptions, Status, send,
};
use hilum_volume::{Geometry, PatientPoint, Volume};

/// A little CT series as files, each with an executable's first bytes in its preamble.
fn ct_files(folder: &Path) -> Vec<PathBuf> {
    let grid = Geometry::axial([5, 19, 23], PatientPoint([-10.0, -20.0, 30.0]), [2.0, 0.7, 0.6]).unwrap();
    let mut ct = Volume::filled(grid, -850i16);
    ct.data_mut().iter_mut().enumerate().for_each(|(n, hu)| *hu = (n % 2000) as i16 - 1000);
    let mut paths = Vec::new();
    for image in ct_images(&ct, &CtSeriesDescription::default()) {
        let image = image.unwrap();
        let mut bytes = image.bytes.clone();
        bytes[..4].copy_from_slice(b"MZ\x90\0");
        let path = folder.join(format!("{}.dcm", image.slice));
        std::fs::write(&path, bytes).unwrap();
        paths.push(path);
    }
    paths
}

fn outgoing(paths: &[PathBuf]) -> Vec<Outgoing> {
    paths.iter().map(|path| Outgoing::of(path, &NodeLimits::default()).unwrap()).collect()
}

fn node(port: u16) -> Node {
    let mut node = Node::new(format!("HERE@127.0.0.1:{port}").parse().unwrap());
    node.answer = Duration::from_secs(5);
    node
}

fn quick() -> SendOptions {
    SendOptions { attempts: 3, pause: Duration::from_millis(1) }
}

fn send_all(node: &Node, objects: &[Outgoing]) -> Vec<ObjectOutcome> {
    let mut outcomes = Vec::new();
    send(node, objects, &quick(), &mut |outcome| outcomes.push(outcome));
    outcomes
}

/// A receiver on a free port, and what it gets.
fn receiver(options: impl Fn(&mut ReceiverOptions)) -> (Receiver, Arc<Mutex<Vec<Fetched>>>) {
    let mut settings = ReceiverOptions::new("127.0.0.1:0".parse().unwrap(), "HERE");
    options(&mut settings);
    let came = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&came);
    let receiver = Receiver::start(settings, move |object| {
        keep.lock().unwrap().push(object);
        Status::SUCCESS
    });
    (receiver.unwrap(), came)
}

fn data_set(file: &[u8]) -> Vec<u8> {
    Instance::of(file, &Limits::default()).unwrap().data_set().to_vec()
}
