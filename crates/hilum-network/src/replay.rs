//! What a peer said, as recorded or made up, through the code that reads it from a connection.
//!
//! Fuzzing and tests drive these; so can who wants to know why the bytes of a peer were turned down. Nothing is sent anywhere:
//! what we would say is dropped.

use std::collections::BTreeMap;
use std::io::{Cursor, Read, Write};
use std::net::TcpStream;

use crate::association::{Association, Proposal};
use crate::fetched::Fetched;
use crate::find::{self, Found, Query};
use crate::transport::Transport;
use crate::{Error, Node, NodeLimits, ReceiverOptions, Status, receiver, web_query, web_retrieve, web_store};

/// A peer that says this whatever it hears.
struct Recorded(Cursor<Vec<u8>>);

impl Read for Recorded {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(to)
    }
}

impl Write for Recorded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Transport for Recorded {
    fn socket(&self) -> Option<&TcpStream> {
        None
    }
}

fn recorded(peer: &[u8]) -> Box<dyn Transport> {
    Box::new(Recorded(Cursor::new(peer.to_vec())))
}

/// A peer that asks a receiver for an association and sends objects. `keep` gets each that is what its message said.
///
/// # Errors
/// Why the association ended other than by release.
pub fn receive(peer: &[u8], options: &ReceiverOptions, keep: &dyn Fn(Fetched) -> Status) -> Result<(), Error> {
    receiver::converse(recorded(peer), options, keep)
}

/// A peer that grants an association and answers a query; what comes back is as from [`query`](crate::query).
///
/// # Errors
/// As [`query`](crate::query).
pub fn find(peer: &[u8], node: &Node, query: &Query) -> Result<(Vec<Found>, bool), Error> {
    let proposals = [Proposal::uncompressed(find::class(query.level))];
    find::search(Association::request_on(recorded(peer), node, &proposals, &[])?, node, query)
}

/// The content of an answer to a search of a web service.
///
/// # Errors
/// As [`query`](crate::query).
pub fn web_search(answer: &[u8], most: usize, limits: &NodeLimits) -> Result<(Vec<Found>, bool), Error> {
    web_query::found(answer, most, limits)
}

/// The content of a web service's answer to objects that it was sent: what became of each, by its SOP Instance UID.
///
/// # Errors
/// [`Error::Protocol`] if it is not JSON or has too many values.
pub fn web_store(answer: &[u8]) -> Result<BTreeMap<String, Status>, Error> {
    web_store::stored(answer)
}

/// A web service's answer of several parts; `keep` gets the objects among them.
///
/// # Errors
/// If the `Content-Type` names no boundary, and if the body ends too early or a part is too large.
pub fn web_retrieve(
    content_type: &str,
    body: &[u8],
    limits: &NodeLimits,
    keep: &mut dyn FnMut(Fetched),
) -> Result<(), Error> {
    web_retrieve::objects(content_type, body, limits, keep)
}
