//! Peers that do not mean well, or are broken: each attempt ends with a reason, soon, and without the memory it asks for.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use hilum_network::{Error, Level, Query, ReceiverOptions, Status, echo, query, replay};

use crate::{ct_files, data_set, node, outgoing, receiver, send_all};

/// A peer that answers any request for an association with these bytes, then goes on as `then` says.
fn peer(answer: Vec<u8>, then: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 6];
            if stream.read_exact(&mut head).is_err() {
                continue;
            }
            let length = u32::from_be_bytes([head[2], head[3], head[4], head[5]]);
            std::io::copy(&mut (&mut stream).take(length.into()), &mut std::io::sink()).unwrap();
            stream.write_all(&answer).ok();
            then(&mut stream);
        }
    });
    port
}

/// An association granted: context 1 in Implicit VR Little Endian, with PDUs of 16 KiB.
fn granted() -> Vec<u8> {
    let item = |kind: u8, body: &[u8]| {
        let mut item = vec![kind, 0];
        item.extend((body.len() as u16).to_be_bytes());
        item.extend(body);
        item
    };
    let mut body = vec![0, 1, 0, 0];
    body.extend([b' '; 32]);
    body.extend([0; 32]);
    body.extend(item(0x10, b"1.2.840.10008.3.1.1.1"));
    body.extend(item(0x21, &[&[1, 0, 0, 0][..], &item(0x40, b"1.2.840.10008.1.2")].concat()));
    body.extend(item(0x50, &item(0x51, &[0, 0, 0x40, 0])));
    let mut pdu = vec![2, 0];
    pdu.extend((body.len() as u32).to_be_bytes());
    pdu.extend(body);
    pdu
}

fn data(piece: &[u8], flags: u8) -> Vec<u8> {
    let mut pdu = vec![4, 0];
    pdu.extend((piece.len() as u32 + 6).to_be_bytes());
    pdu.extend((piece.len() as u32 + 2).to_be_bytes());
    pdu.extend([1, flags]);
    pdu.extend(piece);
    pdu
}

/// An answer to the first request, with a data set to follow.
fn pending(field: u16) -> Vec<u8> {
    let mut command = Vec::new();
    for (element, value) in [(0x0100u16, field), (0x0120, 1), (0x0800, 0), (0x0900, 0xFF00)] {
        command.extend([0, 0]);
        command.extend(element.to_le_bytes());
        command.extend([2, 0, 0, 0]);
        command.extend(value.to_le_bytes());
    }
    data(&command, 3)
}

#[test]
fn answers_that_make_no_sense_are_turned_down() {
    let nothing = |_: &mut TcpStream| ();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("a PDU of 4 GiB", vec![2, 0, 0xFF, 0xFF, 0xFF, 0xFF]),
        ("another protocol", b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
        ("an unknown PDU", vec![9, 0, 0, 0, 0, 0]),
        ("data before anything was granted", data(b"1234", 3)),
        ("an end without a beginning", vec![6, 0, 0, 0, 0, 4, 0, 0, 0, 0]),
        ("an item longer than its PDU", {
            let mut pdu = granted();
            let at = pdu.iter().position(|b| *b == 0x21).unwrap();
            pdu[at + 2] = 0xFF;
            pdu
        }),
        ("a grant cut short", {
            let mut pdu = granted();
            pdu[5] = 20;
            pdu.truncate(26);
            pdu
        }),
    ];
    for (what, answer) in cases {
        let reason = echo(&node(peer(answer, nothing))).unwrap_err();
        assert!(matches!(reason, Error::Protocol(_) | Error::TooLarge { .. } | Error::Closed), "{what}: {reason}");
    }
    // Every byte of a grant, changed: an error or an echo that fails, and no panic of ours.
    let whole = granted();
    for at in 0..whole.len() {
        let mut answer = whole.clone();
        answer[at] ^= 0xFF;
        let mut node = node(peer(answer, nothing));
        node.answer = Duration::from_millis(200);
        assert!(echo(&node).is_err(), "byte {at}");
    }
}

#[test]
fn silence_and_dribble_come_to_an_end() {
    for (what, dribbles) in [("silence", false), ("a byte now and then", true)] {
        let port = peer(Vec::new(), move |stream| {
            for byte in [2, 0, 0, 0, 200].iter().chain([0; 200].iter()) {
                std::thread::sleep(Duration::from_millis(60));
                if dribbles && stream.write_all(&[*byte]).is_err() {
                    return;
                }
            }
        });
        let mut node = node(port);
        node.answer = Duration::from_millis(400);
        let started = Instant::now();
        let reason = echo(&node).unwrap_err();
        assert!(matches!(reason, Error::Timeout { .. }), "{what}: {reason}");
        assert!(started.elapsed() < Duration::from_secs(3), "{what}");
    }
}

#[test]
fn endless_answers_meet_a_limit() {
    // A query is answered by a data set without end.
    let port = peer(granted(), |stream| {
        let mut more = pending(0x8020);
        loop {
            if stream.write_all(&more).is_err() {
                return;
            }
            more = data(&[7; 16000], 0);
        }
    });
    let reason = query(&node(port), &Query::new(Level::Study, &[]).unwrap()).unwrap_err();
    assert!(matches!(reason, Error::TooLarge { what: "an answer", .. }), "{reason}");
    // One that nests without end, or claims a length that is not there, is refused as a whole.
    for nonsense in [vec![0x08, 0, 0x05, 0, 0xFF, 0xFF, 0xFF, 0x7F], [0xFE, 0xFF, 0, 0xE0].repeat(400)] {
        let port = peer(granted(), move |stream| {
            stream.write_all(&[pending(0x8020), data(&nonsense, 2)].concat()).ok();
            std::thread::sleep(Duration::from_millis(300));
        });
        let reason = query(&node(port), &Query::new(Level::Study, &[]).unwrap()).unwrap_err();
        assert!(matches!(reason, Error::Protocol(_)), "{reason}");
    }
}

#[test]
fn pieces_that_do_not_fit_are_turned_down() {
    let mut wrong_context = pending(0x8030);
    wrong_context[10] = 77;
    let mut longer_than_its_pdu = pending(0x8030);
    longer_than_its_pdu[9] = 0xFF;
    let data_first = data(b"1234", 2);
    let answer_to_another = pending(0x8001);
    for answer in [wrong_context, longer_than_its_pdu, data_first, answer_to_another] {
        let port = peer(granted(), move |stream| {
            stream.write_all(&answer).ok();
            std::thread::sleep(Duration::from_millis(300));
        });
        let mut node = node(port);
        node.answer = Duration::from_millis(300);
        assert!(echo(&node).is_err());
    }
}

#[test]
fn objects_that_are_not_what_was_announced_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let paths = ct_files(folder.path());
    // UIDs that would leave the folder: such a file is not sent, and a data set with them is not taken.
    let mut bytes = std::fs::read(&paths[0]).unwrap();
    let set = data_set(&bytes);
    let uid = outgoing(&paths)[0].identity().sop_instance_uid.clone();
    let start = bytes.len() - set.len();
    let at = start + set.windows(uid.len()).position(|w| w == uid.as_bytes()).unwrap();
    bytes[at..at + 9].copy_from_slice(b"../../etc");
    std::fs::write(&paths[0], &bytes).unwrap();
    assert!(hilum_network::Outgoing::of(&paths[0], &Default::default()).is_err());
    assert!(hilum_network::Fetched::of(bytes[start..].to_vec(), "1.2.840.10008.1.2.1", &Default::default()).is_err());

    // A receiver limits what one object may be.
    let (receiver, came) = receiver(|options| options.limits.object_bytes = 500);
    let outcomes = send_all(&node(receiver.address().port()), &outgoing(&paths[1..2]));
    assert!(matches!(outcomes[0].result, Err(Error::Aborted(_) | Error::Closed)), "{outcomes:?}");
    assert!(came.lock().unwrap().is_empty());
}

/// What a peer said that sent two CT images, recorded from pynetdicom; the first byte is for the fuzzer.
const STORE: &[u8] = include_bytes!("../../../../fuzz/seeds/pdu/store");

/// The objects that a receiver takes from a peer who says this, and how the association ended.
fn taken(said: &[u8]) -> (usize, Result<(), Error>) {
    let options = ReceiverOptions::new("127.0.0.1:0".parse().unwrap(), "HERE");
    let count = std::cell::Cell::new(0);
    let ended = replay::receive(said, &options, &|_| {
        count.set(count.get() + 1);
        Status::SUCCESS
    });
    (count.get(), ended)
}

/// Classes of published vulnerabilities of other DICOM software, as far as they concern the network; those of files are in
/// `hilum-dicom`. `docs/security.md` lists them.
#[test]
fn classes_of_known_vulnerabilities_do_not_hurt() {
    let store = &STORE[1..];
    assert!(matches!(taken(store), (2, Ok(()))), "as recorded");
    let uid = b"2.25.1000";
    let with_uid = |path: &[u8; 10]| {
        let mut said = store.to_vec();
        let places: Vec<usize> = (0..said.len()).filter(|at| said[*at..].starts_with(uid)).collect();
        assert!(places.len() >= 4, "the UID stands in commands and data sets");
        places.into_iter().for_each(|at| said[at..at + path.len()].copy_from_slice(path));
        said
    };
    for (id, said) in [
        ("CVE-2022-2119, DCMTK storescp: folders in a UID", with_uid(b"../../../x")),
        ("CVE-2026-50003, DCMTK getscu: an absolute path", with_uid(b"/etc/crond")),
        ("CVE-2026-56445, pynetdicom qrscp: an absolute path with folders", with_uid(b"/../../etc")),
        ("CVE-2026-5663, DCMTK storescp: a command in a UID", with_uid(b"1.2;rm${I}")),
    ] {
        assert!(matches!(taken(&said), (0, Ok(()))), "{id}");
    }
    for (id, said) in [
        ("pynetdicom issue 1086: memory for whatever length a PDU announces", vec![1, 0, 0xFF, 0xFF, 0xFF, 0xFF]),
        ("the same for data", [&store[..319], &[4, 0, 0xFF, 0xFF, 0xFF, 0xFF]].concat()),
    ] {
        assert!(matches!(taken(&said), (0, Err(Error::TooLarge { what: "a PDU", .. } | Error::Closed))), "{id}");
    }
}

/// Every byte of a recorded exchange changed, and the exchange cut off behind each: nothing but an error or another object.
#[test]
fn recorded_exchanges_may_be_damaged_anywhere() {
    let answers: &[u8] = include_bytes!("../../../../fuzz/seeds/pdu/find-study");
    let query = Query::new(Level::Study, &[]).unwrap();
    let whole = replay::find(&answers[1..], &node(104), &query).unwrap().0;
    assert_eq!(whole.len(), 3);
    assert_eq!(whole[1].text("PatientName").as_deref(), Some("Hong^Gildong=洪^吉洞=홍^길동"));
    for (recorded, receives) in [(&STORE[1..], true), (&answers[1..], false)] {
        let mut said = recorded.to_vec();
        for at in 0..said.len() {
            for flip in [0xFF, 0x80, 1] {
                said[at] ^= flip;
                if receives {
                    assert!(taken(&said).0 <= 2);
                } else {
                    let _ = replay::find(&said, &node(104), &query);
                }
                said[at] ^= flip;
            }
            if receives {
                assert!(taken(&said[..at]).1.is_err(), "cut behind byte {at}");
            }
        }
    }
}

/// Answers are limited together, not only each by itself.
#[test]
fn many_answers_meet_a_limit() {
    let answers: &[u8] = include_bytes!("../../../../fuzz/seeds/pdu/find-study");
    let mut node = node(104);
    node.limits.data_set.max_elements = 20;
    let reason = replay::find(&answers[1..], &node, &Query::new(Level::Study, &[]).unwrap()).unwrap_err();
    assert!(matches!(reason, Error::Protocol(_)), "{reason}");
    // Three answers and the end: two of them are taken, of the third the peer is told that it is one too many.
    let mut node = self::node(104);
    for (most, as_expected) in [(1, None), (2, Some((2, true))), (3, Some((3, false)))] {
        node.limits.answers = most;
        let found = replay::find(&answers[1..], &node, &Query::new(Level::Study, &[]).unwrap());
        assert_eq!(found.map(|(found, more)| (found.len(), more)).ok(), as_expected, "{most}");
    }
    let json = r#"[{"00100010":{"vr":"PN","Value":["a","b","c"]}},{"00100020":{"vr":"LO","Value":["d","e"]}}]"#;
    for (values, fits) in [(7, true), (6, false)] {
        node.limits.data_set.max_elements = values;
        assert_eq!(replay::web_search(json.as_bytes(), 10, &node.limits).is_ok(), fits, "{values} values");
    }
}

#[test]
fn a_receiver_outlives_whatever_it_is_sent() {
    let (receiver, came) = receiver(|options| options.patience = Duration::from_millis(300));
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[1, 0, 0xFF, 0xFF, 0xFF, 0xFF],
        &[1, 0, 0, 0, 0, 2, 0, 0],
        &[4, 0, 0, 0, 0, 0],
    ] {
        let mut stream = TcpStream::connect(receiver.address()).unwrap();
        stream.write_all(bytes).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        let mut rest = Vec::new();
        // Closed, with or without a word; what was not read makes it a reset.
        match stream.read_to_end(&mut rest) {
            Ok(count) => assert!(count < 100, "{bytes:?}"),
            Err(reason) => assert_eq!(reason.kind(), std::io::ErrorKind::ConnectionReset, "{bytes:?}"),
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let paths = ct_files(folder.path());
    let outcomes = send_all(&node(receiver.address().port()), &outgoing(&paths));
    assert!(outcomes.iter().all(|o| o.result.is_ok()));
    assert_eq!(came.lock().unwrap().len(), paths.len());
}
