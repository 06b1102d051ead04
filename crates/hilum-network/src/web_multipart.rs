//! Bodies of several parts (RFC 2046 5.1, PS3.18 8.6), read part by part.

use std::io::Read;

use crate::Error;

/// What is read at once.
const PIECE: usize = 64 << 10;
/// What the headers of a part may occupy, and what stands before the first.
const HEADER_BYTES: usize = 16 << 10;

/// The boundary that a `Content-Type` names.
pub(crate) fn boundary(content_type: &str) -> Option<String> {
    let mut fields = content_type.split(';').map(str::trim);
    if !fields.next()?.eq_ignore_ascii_case("multipart/related") {
        return None;
    }
    let value = fields.find_map(|f| f.split_once('=').filter(|(k, _)| k.trim().eq_ignore_ascii_case("boundary")))?.1;
    let value = value.trim().trim_matches('"');
    let good = (1..=70).contains(&value.len()) && value.bytes().all(|b| (0x20..0x7F).contains(&b));
    good.then(|| value.to_owned())
}

/// A body that is read.
pub(crate) struct Multipart<R> {
    from: R,
    delimiter: Vec<u8>,
    /// What was read and not yet given out.
    ahead: Vec<u8>,
    limit: u64,
    ended: bool,
}

impl<R: Read> Multipart<R> {
    /// `limit` is what one part may occupy.
    pub(crate) fn new(from: R, boundary: &str, limit: u64) -> Self {
        // The first delimiter may stand at the very start, without the line break before it.
        let ahead = b"\r\n".to_vec();
        Self { from, delimiter: format!("\r\n--{boundary}").into_bytes(), ahead, limit, ended: false }
    }

    /// The content of the next part; `None` at the end.
    pub(crate) fn next_part(&mut self) -> Result<Option<Vec<u8>>, Error> {
        if self.ended {
            return Ok(None);
        }
        // Whatever stands before the first delimiter is no part, and not long.
        self.up_to(&self.delimiter.clone(), HEADER_BYTES as u64)?;
        while self.ahead.len() < 2 {
            self.more()?;
        }
        if self.ahead.starts_with(b"--") {
            self.ended = true;
            return Ok(None);
        }
        // The delimiter's line, then headers and an empty line.
        self.up_to(b"\r\n\r\n", HEADER_BYTES as u64)?;
        let at = self.find_delimiter()?;
        let part = self.ahead.drain(..at).collect();
        Ok(Some(part))
    }

    fn find_delimiter(&mut self) -> Result<usize, Error> {
        let mut from = 0;
        loop {
            if let Some(at) = find(&self.ahead, &self.delimiter, from) {
                return Ok(at);
            }
            from = self.ahead.len().saturating_sub(self.delimiter.len());
            if self.ahead.len() as u64 > self.limit {
                return Err(Error::TooLarge { what: "a part", bytes: self.ahead.len() as u64, limit: self.limit });
            }
            self.more()?;
        }
    }

    /// Passes over everything up to and with `end`.
    fn up_to(&mut self, end: &[u8], limit: u64) -> Result<(), Error> {
        let mut from = 0;
        loop {
            if let Some(at) = find(&self.ahead, end, from) {
                self.ahead.drain(..at + end.len());
                return Ok(());
            }
            from = self.ahead.len().saturating_sub(end.len());
            if self.ahead.len() as u64 > limit {
                return Err(Error::TooLarge { what: "a header", bytes: self.ahead.len() as u64, limit });
            }
            self.more()?;
        }
    }

    fn more(&mut self) -> Result<(), Error> {
        let start = self.ahead.len();
        self.ahead.resize(start + PIECE, 0);
        let count = self.from.read(&mut self.ahead[start..]);
        self.ahead.truncate(start + *count.as_ref().unwrap_or(&0));
        match count {
            Ok(0) => Err(Error::Closed),
            Ok(_) => Ok(()),
            Err(reason) if reason.kind() == std::io::ErrorKind::Interrupted => Ok(()),
            Err(reason) => Err(Error::Connection(reason)),
        }
    }
}

fn find(bytes: &[u8], what: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        at += bytes.get(at..)?.iter().position(|b| *b == what[0])?;
        if bytes[at..].starts_with(what) {
            return Some(at);
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a few bytes at a time, as networks do.
    struct Dribble<'a>(&'a [u8], usize);

    impl Read for Dribble<'_> {
        fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
            let count = self.1.min(self.0.len()).min(to.len());
            to[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    #[test]
    fn parts_come_out_whole_however_they_arrive() {
        let body = b"preamble\r\n--b1\r\nContent-Type: application/dicom\r\n\r\none\r\n--b\r\r\n--b1\r\nX: y\r\n\r\n\r\n--b1--\r\nend";
        for at_once in [1, 2, 3, 7, 1000] {
            let mut parts = Multipart::new(Dribble(body, at_once), "b1", 1 << 20);
            assert_eq!(parts.next_part().unwrap().as_deref(), Some(&b"one\r\n--b\r"[..]), "{at_once}");
            assert_eq!(parts.next_part().unwrap().as_deref(), Some(&b""[..]), "{at_once}");
            assert_eq!(parts.next_part().unwrap(), None);
            assert_eq!(parts.next_part().unwrap(), None);
        }
        let mut cut = Multipart::new(&body[..40], "b1", 1 << 20);
        assert!(matches!(cut.next_part(), Err(Error::Closed)), "a part that ends nowhere");
        let mut large = Multipart::new(std::io::repeat(7), "b1", 1 << 20);
        assert!(matches!(large.next_part(), Err(Error::TooLarge { .. })));
    }

    #[test]
    fn boundaries_are_read() {
        let quoted = "multipart/related; type=\"application/dicom\"; boundary=\"a-b\"";
        assert_eq!(boundary(quoted).as_deref(), Some("a-b"));
        assert_eq!(boundary("Multipart/Related;boundary=x").as_deref(), Some("x"));
        assert_eq!(boundary("text/html; boundary=x"), None);
        assert_eq!(boundary("multipart/related; type=x"), None);
    }
}
