//! What can go wrong between two nodes, in words for who runs one of them.

use std::io;
use std::time::Duration;

use crate::status::{Service, Status};

/// Why an exchange failed. Messages hold addresses, numbers and UIDs, no text of any object.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address is not one.
    #[error("{0}")]
    Address(String),
    /// Nobody answers there.
    #[error("{address} cannot be reached: {reason}")]
    Unreachable {
        /// Host and port.
        address: String,
        /// What the system says.
        reason: io::Error,
    },
    /// TLS could not be set up or was turned down.
    #[error("no secure connection: {0}")]
    Tls(String),
    /// The peer was silent for too long.
    #[error("the peer said nothing for {} s while we waited for {waiting_for}", limit.as_secs())]
    Timeout {
        /// What should have come.
        waiting_for: &'static str,
        /// How long we wait.
        limit: Duration,
    },
    /// The connection is gone.
    #[error("the peer closed the connection")]
    Closed,
    /// The system reports a fault of the connection.
    #[error("the connection failed: {0}")]
    Connection(io::Error),
    /// The association was turned down (PS3.8 9.3.4).
    #[error("the peer refuses the association: {reason}{}", if *transient { "; it says that this is transient: try again later" } else { "" })]
    Rejected {
        /// In the words of the standard.
        reason: String,
        /// Whether it may be granted later.
        transient: bool,
    },
    /// The association was broken off.
    #[error("the peer broke the association off: {0}")]
    Aborted(String),
    /// The peer does not follow the protocol.
    #[error("the peer does not follow the protocol: {0}")]
    Protocol(String),
    /// The peer sends more than we take.
    #[error("the peer sends {what} of {bytes} bytes; the limit is {limit}")]
    TooLarge {
        /// What it is.
        what: &'static str,
        /// Its size.
        bytes: u64,
        /// What is allowed.
        limit: u64,
    },
    /// The peer does not offer the service.
    #[error("the peer does not take {0}")]
    NotAccepted(String),
    /// The peer answered that it failed.
    #[error("{service} failed: {}", status.explain(*service))]
    Status {
        /// Which service.
        service: Service,
        /// Its answer.
        status: Status,
    },
    /// An answer of a web service other than success.
    #[error("the web service answers {code}{}", if detail.is_empty() { String::new() } else { format!(" ({detail})") })]
    Http {
        /// The HTTP status code.
        code: u16,
        /// What the code means.
        detail: String,
    },
    /// A file or certificate of our own cannot be used.
    #[error("{0}")]
    Local(String),
}

impl Error {
    /// Whether the same attempt may succeed a little later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Timeout { .. } | Self::Closed | Self::Connection(_) | Self::Unreachable { .. } | Self::Aborted(_) => {
                true
            }
            Self::Rejected { transient, .. } => *transient,
            Self::Status { status, .. } => status.is_transient(),
            Self::Http { code, .. } => matches!(code, 408 | 429 | 502 | 503 | 504),
            _ => false,
        }
    }
}
