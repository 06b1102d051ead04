//! How a peer is spoken to.

use std::time::Duration;

use hilum_dicom::Limits;

use crate::association::{Association, Proposal};
use crate::certificates::Certificates;
use crate::command::{Command, field};
use crate::peer::checked_title;
use crate::status::Service;
use crate::{Error, Peer, web};

/// What a web service is shown.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A user and a password (RFC 7617).
    Password {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// A bearer token (RFC 6750).
    Token(String),
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(…)")
    }
}

/// What a peer may send at most.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeLimits {
    /// Bytes of one object. Default: 2 GiB.
    pub object_bytes: u64,
    /// Bytes of one answer to a query. Default: 1 MiB.
    pub answer_bytes: u64,
    /// Answers to one query, or objects of one series. Default: 100 000.
    pub answers: usize,
    /// Limits of the data sets themselves.
    pub data_set: Limits,
}

impl Default for NodeLimits {
    fn default() -> Self {
        Self { object_bytes: 2 << 30, answer_bytes: 1 << 20, answers: 100_000, data_set: Limits::default() }
    }
}

/// A peer and how to speak to it.
#[derive(Clone, Debug)]
pub struct Node {
    /// Who it is.
    pub peer: Peer,
    /// The title it is called by.
    pub called: String,
    /// The title we call ourselves.
    pub calling: String,
    /// How long a connection may take to come about. Default: 10 s.
    pub connect: Duration,
    /// How long an answer, or a piece of one, may take. Default: 60 s.
    pub answer: Duration,
    /// DICOM over TLS, with the name that the peer's certificate has to bear (the host's if empty); `None` for plain TCP.
    /// The web decides by its address.
    pub tls: Option<String>,
    /// Whom we trust and who we are.
    pub certificates: Certificates,
    /// For web services.
    pub credentials: Option<Credentials>,
    /// What the peer may send.
    pub limits: NodeLimits,
}

impl Node {
    /// A peer, spoken to with the default settings: called `ANY-SCP` unless its address has a title, calling as `HILUM`.
    #[must_use]
    pub fn new(peer: Peer) -> Self {
        let called = match &peer {
            Peer::Node { title: Some(title), .. } => title.clone(),
            _ => "ANY-SCP".into(),
        };
        Self {
            peer,
            called,
            calling: "HILUM".into(),
            connect: Duration::from_secs(10),
            answer: Duration::from_secs(60),
            tls: None,
            certificates: Certificates::default(),
            credentials: None,
            limits: NodeLimits::default(),
        }
    }

    /// The same with other titles.
    ///
    /// # Errors
    /// [`Error::Address`] if a title is none.
    pub fn with_titles(mut self, called: Option<&str>, calling: Option<&str>) -> Result<Self, Error> {
        if let Some(called) = called {
            self.called = checked_title(called)?;
        }
        if let Some(calling) = calling {
            self.calling = checked_title(calling)?;
        }
        Ok(self)
    }
}

/// Asks the peer whether it is there: C-ECHO, or a search of the web service for a single study.
///
/// # Errors
/// Why it is not.
pub fn echo(node: &Node) -> Result<(), Error> {
    if let Peer::Web(root) = &node.peer {
        return web::Client::new(node, root)?.is_there();
    }
    const VERIFICATION: &str = "1.2.840.10008.1.1";
    let mut association = Association::request(node, &[Proposal::uncompressed(VERIFICATION)], &[])?;
    let context = association.context(VERIFICATION).ok_or(Error::NotAccepted("C-ECHO".into()))?.id;
    let message = association.next_message();
    association.send(context, &Command::request(field::ECHO, VERIFICATION, message), None)?;
    let answer = association.answer(field::ECHO, message, "the answer to C-ECHO")?;
    association.release();
    match answer.command.status() {
        Some(status) if status.is_done() => Ok(()),
        Some(status) => Err(Error::Status { service: Service::Echo, status }),
        None => Err(Error::Protocol("an answer has no status".into())),
    }
}
