//! DIMSE and DICOMweb from the side that asks: objects sent, searched for and fetched.
//!
//! A [`Peer`] is a DICOM node (`[AET@]HOST:PORT`, plain or over TLS) or the root of a DICOMweb service (`https://…`).
//! [`Node`] is how it is spoken to: titles, time limits, certificates. On it stand
//!
//! | | DIMSE (PS3.4, PS3.7) | DICOMweb (PS3.18) |
//! |---|---|---|
//! | [`echo`] | C-ECHO | a search for one study |
//! | [`send`] | C-STORE | STOW-RS |
//! | [`query`] | C-FIND, Study Root | QIDO-RS |
//! | [`retrieve`] | C-GET, or C-MOVE with a [`Receiver`] of our own | WADO-RS |
//!
//! **Objects stay what they are.** Each SOP class is offered in the transfer syntax of its files; only where the peer takes
//! none of it are pixels unpacked, without loss, and [`SentHow`] says so. What comes in is written as it came, behind a
//! preamble of zeros (PS3.10 7.1 lets anything stand there, executables too) and file meta information of our own.
//!
//! **Peers are not believed.** A PDU of data has at most 128 KiB, checked before memory is taken for it; messages grow only as
//! their bytes arrive, up to [`NodeLimits`]; every wait has an end; UIDs are checked before they name a file; and an object
//! that is not what its message said is refused. Errors and progress name objects by number and UID; no text of a data set
//! is in them.
//!
//! PDUs of association control are read and written by `dicom-ul` of dicom-rs; data, messages, sockets and TLS are handled
//! here, because `TCP_NODELAY` has to be set before the first byte and limits come before allocation. [`replay`] has recorded
//! bytes read as if a peer said them.

mod association;
mod certificates;
mod command;
mod contexts;
mod error;
mod fetched;
mod find;
mod get;
mod keys;
mod moving;
mod node;
mod outgoing;
mod peer;
mod receiver;
pub mod replay;
mod retrieve;
mod send;
mod status;
mod store;
mod transport;
mod web;
mod web_multipart;
mod web_query;
mod web_retrieve;
mod web_store;
mod wire;

pub use certificates::Certificates;
pub use error::Error;
pub use fetched::{Fetched, Folder, Kept};
pub use find::{Found, Level, Query, query};
pub use keys::{Attribute, attribute};
pub use node::{Credentials, Node, NodeLimits, echo};
pub use outgoing::{Outgoing, SentHow};
pub use peer::Peer;
pub use receiver::{Receiver, ReceiverOptions};
pub use retrieve::{Retrieval, RetrieveOptions, Wanted, retrieve};
pub use send::{ObjectOutcome, SendOptions, send};
pub use status::{Service, Status, StatusKind};
