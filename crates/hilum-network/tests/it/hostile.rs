//! Peers that do not mean well, or are broken: each attempt ends with a reason, soon, and without the memory it asks for.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use hilum_network::{Error, Level, Query, echo, query};

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
