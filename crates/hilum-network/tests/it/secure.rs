//! DICOM over TLS: a peer is believed only if the authority vouches for its name.
//!
//! `tests/data` has an authority (`authority.pem`, its key thrown away) and a certificate of it for `localhost` and
//! `pacs.test` with its key, made with `openssl` for these tests alone.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use hilum_network::{Certificates, Error, Node, echo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::receiver;

fn data(name: &str) -> Vec<u8> {
    std::fs::read(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)).unwrap()
}

/// Takes TLS off what comes in and passes it on to `to`.
fn unwrap_tls(to: SocketAddr) -> u16 {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(&data("peer.pem")).unwrap()],
            PrivateKeyDer::from_pem_slice(&data("peer.key")).unwrap(),
        );
    let config = Arc::new(config.unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut outer = rustls::StreamOwned::new(connection, stream.unwrap());
            let mut inner = TcpStream::connect(to).unwrap();
            inner.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
            outer.sock.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
            let mut buffer = [0; 65536];
            let done = |e: &std::io::Error| !matches!(e.kind(), std::io::ErrorKind::WouldBlock);
            loop {
                match outer.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(n) => inner.write_all(&buffer[..n]).unwrap(),
                    Err(e) if done(&e) => break,
                    Err(_) => {}
                }
                match inner.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(n) => outer.write_all(&buffer[..n]).unwrap(),
                    Err(e) if done(&e) => break,
                    Err(_) => {}
                }
            }
        }
    });
    port
}

#[test]
fn only_a_peer_that_the_authority_vouches_for_is_spoken_to() {
    let (receiver, _) = receiver(|_| ());
    let port = unwrap_tls(receiver.address());
    let secure = |name: &str, authorities: Option<Vec<u8>>| {
        let mut node = Node::new(format!("HERE@localhost:{port}").parse().unwrap());
        node.answer = Duration::from_secs(5);
        node.tls = Some(name.into());
        node.certificates = Certificates { authorities, own: None };
        node
    };
    let authority = Some(data("authority.pem"));
    echo(&secure("", authority.clone())).unwrap();
    echo(&secure("pacs.test", authority.clone())).unwrap();
    for (node, why) in [
        (secure("other.test", authority), "another name"),
        (secure("", Some(data("peer.pem"))), "no authority of its own"),
        (secure("", None), "no authority at all"),
        (secure("", Some(b"nonsense".to_vec())), "no certificate"),
    ] {
        let reason = echo(&node).unwrap_err();
        assert!(matches!(reason, Error::Tls(_)), "{why}: {reason}");
    }
    // A peer that speaks without TLS is not spoken to with it, nor the other way round.
    let mut plain = secure("", Some(data("authority.pem")));
    plain.peer = format!("HERE@localhost:{}", receiver.address().port()).parse().unwrap();
    plain.answer = Duration::from_millis(500);
    assert!(matches!(echo(&plain), Err(Error::Tls(_))));
    let mut bare = Node::new(format!("HERE@localhost:{port}").parse().unwrap());
    bare.answer = Duration::from_millis(500);
    assert!(echo(&bare).is_err());
}
