//! C-MOVE (PS3.4 C.4.2): the peer sends objects to a receiver of ours that it knows.

use std::sync::mpsc;
use std::time::Duration;

use crate::association::{Association, Proposal};
use crate::command::{Command, element, field};
use crate::contexts::EXPLICIT;
use crate::fetched::Fetched;
use crate::find::failed;
use crate::keys::{attribute, identifier};
use crate::receiver::{Receiver, ReceiverOptions};
use crate::retrieve::{Keeper, Listed};
use crate::status::{Service, Status, StatusKind};
use crate::{Error, Node};

const STUDY_ROOT: &str = "1.2.840.10008.5.1.4.1.2.2.2";
/// Objects that may wait to be written.
const WAITING: usize = 4;

pub(crate) fn series(
    node: &Node,
    series: &Listed,
    options: &ReceiverOptions,
    keeper: &mut Keeper<'_>,
) -> Result<(), Error> {
    type Arrival = (Fetched, mpsc::SyncSender<Status>);
    let (sender, arrivals) = mpsc::sync_channel::<Arrival>(WAITING);
    let receiver = Receiver::start(options.clone(), move |object| {
        // The peer hears of success when the object is on disk.
        let (answer, status) = mpsc::sync_channel(1);
        if sender.send((object, answer)).is_err() {
            return Status::OUT_OF_RESOURCES;
        }
        status.recv().unwrap_or(Status::OUT_OF_RESOURCES)
    })?;
    let (wanted, title) = (keeper.wanted.clone(), options.title.clone());
    std::thread::scope(|scope| {
        let asking = scope.spawn(move || ask(node, &wanted.study_uid, &series.series_uid, &title));
        loop {
            match arrivals.recv_timeout(Duration::from_millis(50)) {
                Ok((object, answer)) => {
                    let status = match keeper.keep(&object) {
                        Ok(()) => Status::SUCCESS,
                        Err(_) => Status::OUT_OF_RESOURCES,
                    };
                    let _ = answer.send(status);
                }
                Err(_) if asking.is_finished() => break,
                Err(_) => {}
            }
        }
        drop(receiver);
        asking.join().unwrap_or_else(|_| Err(Error::Local("the request ended in a fault of ours".into())))
    })
}

fn ask(node: &Node, study_uid: &str, series_uid: &str, destination: &str) -> Result<(), Error> {
    let mut association = Association::request(node, &[Proposal::uncompressed(STUDY_ROOT)], &[])?;
    let context = association.context(STUDY_ROOT).ok_or(Error::NotAccepted("C-MOVE".into()))?.clone();
    let keys = [
        (attribute("QueryRetrieveLevel")?, "SERIES".to_owned()),
        (attribute("StudyInstanceUID")?, study_uid.to_owned()),
        (attribute("SeriesInstanceUID")?, series_uid.to_owned()),
    ];
    let message = association.next_message();
    let command = Command::request(field::MOVE, STUDY_ROOT, message)
        .number(element::PRIORITY, 0)
        .title(element::DESTINATION, destination)
        .with_data_set();
    association.send(context.id, &command, Some(&identifier(&keys, context.syntax == EXPLICIT)))?;
    loop {
        let answer = match association.answer(field::MOVE, message, "an answer to C-MOVE") {
            Ok(answer) => answer.command,
            Err(reason) => {
                association.abort();
                return Err(reason);
            }
        };
        match answer.status().map(|status| (status, status.kind())) {
            Some((_, StatusKind::Pending)) => {}
            Some((_, StatusKind::Success | StatusKind::Warning)) => {
                association.release();
                return Ok(());
            }
            status => {
                association.release();
                return Err(failed(Service::Move, status.map(|(status, _)| status)));
            }
        }
    }
}
