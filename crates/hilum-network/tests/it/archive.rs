//! An archive to ask, built on dicom-ul's own server and dicom-object: an implementation other than ours.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::{FileDicomObject, InMemDicomObject};
use dicom_transfer_syntax_registry::TransferSyntax;
use dicom_transfer_syntax_registry::entries::{EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN};
use dicom_ul::association::server::{AcceptAny, ServerAssociationOptions};
use dicom_ul::association::{ClientAssociationOptions, ServerAssociation};
use dicom_ul::pdu::{PDataValue, PDataValueType, Pdu};

const TRANSFER_SYNTAX: &str = "1.2.840.10008.1.2.1";
const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
const STUDY_FIND: &str = "1.2.840.10008.5.1.4.1.2.2.1";
const STUDY_MOVE: &str = "1.2.840.10008.5.1.4.1.2.2.2";
const STUDY_GET: &str = "1.2.840.10008.5.1.4.1.2.2.3";

/// What the archive does wrong.
#[derive(Clone, Copy, Default, PartialEq)]
pub(crate) struct Faults {
    /// Objects that are listed and never sent.
    pub(crate) withheld: usize,
    /// The first association ends after so many objects.
    pub(crate) breaks_off_after: Option<usize>,
}

/// An archive that holds `files` and, asked to move, calls `destination`.
pub(crate) fn archive(files: Vec<Vec<u8>>, destination: Option<(String, SocketAddr)>, faults: Faults) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let objects: Vec<_> = files.iter().map(|f| dicom_object::from_reader(&f[..]).unwrap()).collect();
    let faults = Arc::new(Mutex::new(faults));
    let objects = Arc::new(objects);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (objects, destination, faults) = (Arc::clone(&objects), destination.clone(), Arc::clone(&faults));
            std::thread::spawn(move || serve(stream.unwrap(), &objects, destination.as_ref(), &faults));
        }
    });
    port
}

type Object = FileDicomObject<InMemDicomObject>;

fn serve(stream: TcpStream, objects: &[Object], destination: Option<&(String, SocketAddr)>, faults: &Mutex<Faults>) {
    let options: ServerAssociationOptions<'_, AcceptAny, _> = ServerAssociationOptions::new()
        .accept_any()
        .with_abstract_syntax(STUDY_FIND)
        .with_abstract_syntax(STUDY_GET)
        .with_abstract_syntax(STUDY_MOVE)
        .with_abstract_syntax(CT)
        .with_transfer_syntax(TRANSFER_SYNTAX);
    let Ok(mut association) = options.establish(stream) else { return };
    let mut command: Option<InMemDicomObject> = None;
    while let Ok(pdu) = association.receive() {
        let data = match pdu {
            Pdu::PData { data } => data,
            Pdu::ReleaseRQ => {
                association.send(&Pdu::ReleaseRP).ok();
                return;
            }
            _ => return,
        };
        for piece in data {
            assert!(piece.is_last, "requests here are short");
            if piece.value_type == PDataValueType::Command {
                command = Some(read(&piece.data, "1.2.840.10008.1.2"));
                continue;
            }
            let (request, identifier) = (command.take().unwrap(), read(&piece.data, TRANSFER_SYNTAX));
            let answer = Answer { context: piece.presentation_context_id, request };
            match answer.request.element(tags::COMMAND_FIELD).unwrap().to_int::<u16>().unwrap() {
                0x0020 => find(&mut association, &answer, &identifier, objects),
                0x0010 => {
                    if !get(&mut association, &answer, &identifier, objects, faults) {
                        return;
                    }
                }
                0x0021 => relocate(&mut association, &answer, &identifier, objects, destination),
                other => panic!("command {other:04x}"),
            }
        }
    }
}

fn syntax_of(uid: &str) -> TransferSyntax {
    if uid == TRANSFER_SYNTAX { EXPLICIT_VR_LITTLE_ENDIAN.erased() } else { IMPLICIT_VR_LITTLE_ENDIAN.erased() }
}

fn read(bytes: &[u8], syntax: &str) -> InMemDicomObject {
    InMemDicomObject::read_dataset_with_ts(bytes, &syntax_of(syntax)).unwrap()
}

fn write(object: &InMemDicomObject, syntax: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    object.write_dataset_with_ts(&mut bytes, &syntax_of(syntax)).unwrap();
    bytes
}

struct Answer {
    context: u8,
    request: InMemDicomObject,
}

fn number(tag: Tag, value: u16) -> DataElement<InMemDicomObject> {
    DataElement::new(tag, VR::US, PrimitiveValue::from(value))
}

impl Answer {
    fn send(&self, association: &mut ServerAssociation<TcpStream>, status: u16, identifier: Option<&InMemDicomObject>) {
        let asked = self.request.element(tags::COMMAND_FIELD).unwrap().to_int::<u16>().unwrap();
        let message = self.request.element(tags::MESSAGE_ID).unwrap().to_int::<u16>().unwrap();
        let command = InMemDicomObject::command_from_element_iter([
            number(tags::COMMAND_FIELD, asked | 0x8000),
            number(tags::MESSAGE_ID_BEING_RESPONDED_TO, message),
            number(tags::COMMAND_DATA_SET_TYPE, if identifier.is_some() { 0 } else { 0x0101 }),
            number(tags::STATUS, status),
        ]);
        let piece =
            |value_type, data| PDataValue { presentation_context_id: self.context, value_type, is_last: true, data };
        let mut data = vec![piece(PDataValueType::Command, write(&command, "1.2.840.10008.1.2"))];
        data.extend(identifier.map(|i| piece(PDataValueType::Data, write(i, TRANSFER_SYNTAX))));
        association.send(&Pdu::PData { data }).unwrap();
    }
}

fn text(object: &InMemDicomObject, tag: Tag) -> Option<String> {
    let text = object.get(tag)?.to_str().ok()?.trim_end_matches(['\0', ' ']).to_owned();
    (!text.is_empty()).then_some(text)
}

fn matching<'a>(objects: &'a [Object], identifier: &InMemDicomObject) -> Vec<&'a Object> {
    let keys = [tags::STUDY_INSTANCE_UID, tags::SERIES_INSTANCE_UID, tags::PATIENT_ID];
    let fits = |o: &&Object| keys.iter().all(|k| text(identifier, *k).is_none_or(|v| text(o, *k) == Some(v)));
    objects.iter().filter(fits).collect()
}

fn find(
    association: &mut ServerAssociation<TcpStream>,
    answer: &Answer,
    identifier: &InMemDicomObject,
    objects: &[Object],
) {
    let level = match text(identifier, tags::QUERY_RETRIEVE_LEVEL).unwrap().as_str() {
        "STUDY" => tags::STUDY_INSTANCE_UID,
        "SERIES" => tags::SERIES_INSTANCE_UID,
        _ => tags::SOP_INSTANCE_UID,
    };
    let mut seen = std::collections::BTreeSet::new();
    for object in matching(objects, identifier) {
        if !seen.insert(text(object, level).unwrap()) {
            continue;
        }
        let mut found = InMemDicomObject::new_empty();
        for element in identifier {
            let tag = dicom_core::header::Header::tag(element);
            found.put(object.get(tag).cloned().unwrap_or_else(|| element.clone()));
        }
        answer.send(association, 0xFF00, Some(&found));
    }
    answer.send(association, 0, None);
}

/// Sends an object on an association of either side and waits for the answer.
fn store_on(send: &mut dyn FnMut(&Pdu), receive: &mut dyn FnMut() -> Pdu, context: u8, object: &Object, message: u16) {
    let uid = |tag, uid: &str| DataElement::new(tag, VR::UI, PrimitiveValue::from(uid));
    let command = InMemDicomObject::command_from_element_iter([
        uid(tags::AFFECTED_SOP_CLASS_UID, CT),
        number(tags::COMMAND_FIELD, 0x0001),
        number(tags::MESSAGE_ID, message),
        number(tags::PRIORITY, 0),
        number(tags::COMMAND_DATA_SET_TYPE, 0),
        uid(tags::AFFECTED_SOP_INSTANCE_UID, &text(object, tags::SOP_INSTANCE_UID).unwrap()),
    ]);
    let piece = |value_type, is_last, data: Vec<u8>| Pdu::PData {
        data: vec![PDataValue { presentation_context_id: context, value_type, is_last, data }],
    };
    send(&piece(PDataValueType::Command, true, write(&command, "1.2.840.10008.1.2")));
    let bytes = write(object, TRANSFER_SYNTAX);
    let pieces: Vec<_> = bytes.chunks(700).collect();
    for (n, part) in pieces.iter().enumerate() {
        send(&piece(PDataValueType::Data, n + 1 == pieces.len(), part.to_vec()));
    }
    let Pdu::PData { data } = receive() else { panic!("no answer to C-STORE") };
    let answer = read(&data[0].data, "1.2.840.10008.1.2");
    assert_eq!(answer.element(tags::COMMAND_FIELD).unwrap().to_int::<u16>().unwrap(), 0x8001);
    assert_eq!(answer.element(tags::MESSAGE_ID_BEING_RESPONDED_TO).unwrap().to_int::<u16>().unwrap(), message);
    assert_eq!(answer.element(tags::STATUS).unwrap().to_int::<u16>().unwrap(), 0);
}

/// Whether the association goes on.
fn get(
    association: &mut ServerAssociation<TcpStream>,
    answer: &Answer,
    identifier: &InMemDicomObject,
    objects: &[Object],
    faults: &Mutex<Faults>,
) -> bool {
    let context = association.presentation_contexts().iter().find(|c| c.abstract_syntax == CT);
    let context = context.expect("the class of the series is proposed").id;
    let Faults { withheld, breaks_off_after } = *faults.lock().unwrap();
    let matching = matching(objects, identifier);
    let sent = matching.len() - withheld;
    for (n, object) in matching[..sent].iter().enumerate() {
        if breaks_off_after == Some(n) {
            faults.lock().unwrap().breaks_off_after = None;
            return false;
        }
        let cell = std::cell::RefCell::new(&mut *association);
        store_on(
            &mut |pdu| cell.borrow_mut().send(pdu).unwrap(),
            &mut || cell.borrow_mut().receive().unwrap(),
            context,
            object,
            n as u16 + 1,
        );
        answer.send(association, 0xFF00, None);
    }
    answer.send(association, if withheld > 0 { 0xB000 } else { 0 }, None);
    true
}

fn relocate(
    association: &mut ServerAssociation<TcpStream>,
    answer: &Answer,
    identifier: &InMemDicomObject,
    objects: &[Object],
    destination: Option<&(String, SocketAddr)>,
) {
    let asked = text(&answer.request, tags::MOVE_DESTINATION);
    let Some((title, address)) = destination.filter(|(title, _)| Some(title) == asked.as_ref()) else {
        answer.send(association, 0xA801, None);
        return;
    };
    let calling = ClientAssociationOptions::new()
        .called_ae_title(title.clone())
        .with_presentation_context(CT, vec![TRANSFER_SYNTAX])
        .establish(address);
    let other = std::cell::RefCell::new(calling.unwrap());
    for (n, object) in matching(objects, identifier).into_iter().enumerate() {
        store_on(
            &mut |pdu| other.borrow_mut().send(pdu).unwrap(),
            &mut || other.borrow_mut().receive().unwrap(),
            1,
            object,
            n as u16 + 1,
        );
        answer.send(association, 0xFF00, None);
    }
    other.into_inner().release().unwrap();
    answer.send(association, 0, None);
}
