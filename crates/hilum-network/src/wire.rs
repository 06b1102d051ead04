//! PDUs on a connection (PS3.8 9.3): read within limits, written in large pieces.

use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use dicom_ul::pdu::Pdu;

use crate::Error;
use crate::transport::{Transport, acknowledge_at_once};

/// The longest PDU of data that we announce and take.
pub(crate) const DATA_PDU_BYTES: u32 = 128 << 10;
/// PDUs that negotiate are longer than those of data only where a hundred contexts have a dozen syntaxes each.
const CONTROL_PDU_BYTES: u32 = 256 << 10;
/// What is written at once.
const WRITE_BYTES: usize = 256 << 10;

/// One piece of a message (PS3.8 9.3.5.1 and Annex E).
pub(crate) struct Piece<'a> {
    pub(crate) context: u8,
    pub(crate) is_command: bool,
    pub(crate) is_last: bool,
    pub(crate) bytes: &'a [u8],
}

/// What came in.
pub(crate) enum Incoming {
    /// Data; they are in [`Wire::pieces`].
    Data,
    Control(Pdu),
}

/// A connection that carries PDUs.
pub(crate) struct Wire {
    stream: Box<dyn Transport>,
    patience: Duration,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
}

impl Wire {
    pub(crate) fn new(stream: Box<dyn Transport>, patience: Duration) -> Self {
        Self { stream, patience, incoming: Vec::new(), outgoing: Vec::with_capacity(WRITE_BYTES) }
    }

    /// The next PDU. The whole of it must come within the time limit.
    pub(crate) fn read(&mut self, waiting_for: &'static str) -> Result<Incoming, Error> {
        let deadline = Instant::now() + self.patience;
        self.incoming.clear();
        self.incoming.resize(6, 0);
        self.fill(0, deadline, waiting_for)?;
        let kind = self.incoming[0];
        let length = u32::from_be_bytes([self.incoming[2], self.incoming[3], self.incoming[4], self.incoming[5]]);
        let limit = if kind == 4 { DATA_PDU_BYTES } else { CONTROL_PDU_BYTES };
        if length > limit {
            return Err(Error::TooLarge { what: "a PDU", bytes: length.into(), limit: limit.into() });
        }
        self.incoming.resize(6 + length as usize, 0);
        self.fill(6, deadline, waiting_for)?;
        if kind == 4 {
            // Every piece is looked at before any is used.
            return if pieces(&self.incoming[6..]).all(|p| p.is_some()) {
                Ok(Incoming::Data)
            } else {
                Err(malformed())
            };
        }
        // Fields of lengths that make no sense can make the parser panic.
        let read =
            catch_unwind(AssertUnwindSafe(|| dicom_ul::pdu::read_pdu(&self.incoming[..], CONTROL_PDU_BYTES, true)));
        match read {
            Ok(Ok(Some(pdu))) => Ok(Incoming::Control(pdu)),
            _ => Err(malformed()),
        }
    }

    fn fill(&mut self, from: usize, deadline: Instant, waiting_for: &'static str) -> Result<(), Error> {
        let mut at = from;
        if let Some(socket) = self.stream.socket() {
            acknowledge_at_once(socket);
        }
        while at < self.incoming.len() {
            if Instant::now() > deadline {
                return Err(Error::Timeout { waiting_for, limit: self.patience });
            }
            match self.stream.read(&mut self.incoming[at..]) {
                Ok(0) => return Err(Error::Closed),
                Ok(count) => at += count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(self.fault(e, waiting_for)),
            }
        }
        Ok(())
    }

    fn fault(&self, error: io::Error, waiting_for: &'static str) -> Error {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut, UnexpectedEof, WouldBlock};
        match error.kind() {
            WouldBlock | TimedOut => Error::Timeout { waiting_for, limit: self.patience },
            ConnectionReset | ConnectionAborted | BrokenPipe | UnexpectedEof => Error::Closed,
            _ => Error::Connection(error),
        }
    }

    /// The pieces of the data that were read last.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        pieces(self.incoming.get(6..).unwrap_or_default()).flatten()
    }

    pub(crate) fn write_control(&mut self, pdu: &Pdu) -> Result<(), Error> {
        let written = dicom_ul::pdu::write_pdu(&mut self.outgoing, pdu);
        written.map_err(|e| Error::Protocol(format!("what we wanted to say cannot be said: {e}")))?;
        self.flush()
    }

    /// Writes a command or a data set in PDUs of up to `pdu_bytes`; what is left is sent by [`Wire::flush`].
    pub(crate) fn write_data(
        &mut self,
        context: u8,
        is_command: bool,
        bytes: &[u8],
        pdu_bytes: u32,
    ) -> Result<(), Error> {
        let room = (pdu_bytes as usize).saturating_sub(6).max(1024);
        let mut rest = bytes;
        loop {
            let (now, later) = rest.split_at(rest.len().min(room));
            rest = later;
            if self.outgoing.len() + now.len() + 12 > WRITE_BYTES {
                self.flush()?;
            }
            // At most the limit of 128 KiB, so lengths fit.
            self.outgoing.extend([4, 0]);
            self.outgoing.extend((now.len() as u32 + 6).to_be_bytes());
            self.outgoing.extend((now.len() as u32 + 2).to_be_bytes());
            self.outgoing.extend([context, u8::from(is_command) | u8::from(rest.is_empty()) << 1]);
            self.outgoing.extend(now);
            if rest.is_empty() {
                return Ok(());
            }
        }
    }

    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        let written = self.stream.write_all(&self.outgoing).and_then(|()| self.stream.flush());
        self.outgoing.clear();
        written.map_err(|e| self.fault(e, "the peer to take what we send"))
    }

    /// Ends the connection at once.
    pub(crate) fn close(&mut self) {
        if let Some(socket) = self.stream.socket() {
            // The peer may have closed it before.
            let _ = socket.shutdown(std::net::Shutdown::Both);
        }
    }
}

fn malformed() -> Error {
    Error::Protocol("a PDU cannot be read".into())
}

/// The pieces of a P-DATA-TF; `None` for one that does not fit.
fn pieces(mut bytes: &[u8]) -> impl Iterator<Item = Option<Piece<'_>>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let piece = (|| {
            let length = u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
            let end = length.checked_add(4)?;
            let body = bytes.get(4..end)?;
            let [context, flags, data @ ..] = body else { return None };
            bytes = &bytes[end..];
            Some(Piece { context: *context, is_command: flags & 1 == 1, is_last: flags & 2 == 2, bytes: data })
        })();
        if piece.is_none() {
            bytes = &[];
        }
        Some(piece)
    })
}
