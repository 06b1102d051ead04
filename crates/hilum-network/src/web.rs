//! A DICOMweb service (PS3.18) over HTTP.
//!
//! `ureq` on rustls: blocking, small, and without an asynchronous runtime. `dicom-web` of dicom-rs has an asynchronous client
//! on another HTTP stack; what it adds is a few lines here.

use std::io::Read;
use std::net::IpAddr;

use ureq::http::{self, StatusCode};
use ureq::{Agent, Body};

use crate::find::too_many_values;
use crate::node::Credentials;
use crate::{Error, Node};

/// What of an answer is read where only its status matters.
const MEMORY_BYTES: u64 = 64 << 20;

pub(crate) struct Client<'a> {
    agent: Agent,
    pub(crate) root: &'a str,
    authorization: Option<String>,
    node: &'a Node,
}

impl<'a> Client<'a> {
    pub(crate) fn new(node: &'a Node, root: &'a str) -> Result<Self, Error> {
        if node.credentials.is_some() && !root.starts_with("https://") && !is_this_machine(root) {
            return Err(Error::Address("a password or token is sent over https:// only".into()));
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .no_delay(true)
            .user_agent(concat!("hilum/", env!("CARGO_PKG_VERSION")))
            .tls_config(node.certificates.web()?)
            .timeout_connect(Some(node.connect))
            .timeout_resolve(Some(node.connect))
            .timeout_per_read(Some(node.answer))
            .timeout_per_write(Some(node.answer))
            .timeout_recv_response(Some(node.answer))
            .build();
        let authorization = node.credentials.as_ref().map(|c| match c {
            Credentials::Token(token) => format!("Bearer {token}"),
            Credentials::Password { user, password } => {
                format!("Basic {}", base64(format!("{user}:{password}").as_bytes()))
            }
        });
        Ok(Self { agent: Agent::new_with_config(config), root, authorization, node })
    }

    pub(crate) fn is_there(&self) -> Result<(), Error> {
        let answer = self.get("studies?limit=1", "application/dicom+json")?;
        match answer.status().as_u16() {
            200 | 204 => Ok(()),
            _ => Err(refused(&answer)),
        }
    }

    pub(crate) fn get(&self, path: &str, accept: &str) -> Result<http::Response<Body>, Error> {
        let mut request = self.agent.get(format!("{}/{path}", self.root)).header("Accept", accept);
        if let Some(value) = &self.authorization {
            request = request.header("Authorization", value);
        }
        request.call().map_err(|e| self.fault(e))
    }

    pub(crate) fn post(
        &self,
        path: &str,
        content_type: &str,
        accept: &str,
        body: &[u8],
    ) -> Result<http::Response<Body>, Error> {
        let mut request = self.agent.post(format!("{}/{path}", self.root));
        request = request.header("Content-Type", content_type).header("Accept", accept);
        if let Some(value) = &self.authorization {
            request = request.header("Authorization", value);
        }
        request.send(body).map_err(|e| self.fault(e))
    }

    fn fault(&self, error: ureq::Error) -> Error {
        match error {
            ureq::Error::Timeout(_) => Error::Timeout { waiting_for: "the web service", limit: self.node.answer },
            ureq::Error::HostNotFound => self.unreachable("its name is not known".into()),
            ureq::Error::ConnectionFailed => self.unreachable("nobody answers".into()),
            ureq::Error::Io(reason) if reason.kind() == std::io::ErrorKind::ConnectionRefused => {
                self.unreachable(reason.to_string())
            }
            ureq::Error::Io(reason) if reason.kind() == std::io::ErrorKind::InvalidData => {
                Error::Tls(reason.to_string())
            }
            ureq::Error::Io(reason) => Error::Connection(reason),
            ureq::Error::Rustls(reason) => Error::Tls(reason.to_string()),
            ureq::Error::Tls(reason) => Error::Tls(reason.into()),
            other => Error::Protocol(other.to_string()),
        }
    }

    fn unreachable(&self, reason: String) -> Error {
        Error::Unreachable { address: self.root.to_owned(), reason: std::io::Error::other(reason) }
    }

    /// The content of an answer, read within the limits.
    pub(crate) fn content(&self, answer: http::Response<Body>) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let mut reader = answer.into_body().into_with_config().limit(MEMORY_BYTES).reader();
        reader.read_to_end(&mut bytes).map_err(|_| Error::Protocol("the answer cannot be read in full".into()))?;
        Ok(bytes)
    }
}

/// Values in one answer, the names of members included. Each takes up to a hundred bytes of memory, while two bytes are enough to
/// write it; 20 000 objects with ten attributes have 1.3 million.
const JSON_VALUES: usize = 2 << 20;

/// An answer as JSON; `None` if it has no content.
pub(crate) fn json(bytes: &[u8]) -> Result<Option<serde_json::Value>, Error> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    if values(bytes) > JSON_VALUES {
        return Err(too_many_values());
    }
    // serde_json limits nesting by itself.
    let value = serde_json::from_slice(bytes).map_err(|_| Error::Protocol("the answer is no JSON".into()))?;
    Ok(Some(value))
}

/// How many values a text in JSON has at most: each but the first follows one of four signs that stand in no number and name.
fn values(bytes: &[u8]) -> usize {
    let (mut count, mut in_text, mut escaped) = (1, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_text,
            b'"' => in_text = !in_text,
            b',' | b':' | b'[' | b'{' if !in_text => count += 1,
            _ => {}
        }
    }
    count
}

/// What an answer other than success says. Its text may be anything and is not repeated.
pub(crate) fn refused(answer: &http::Response<Body>) -> Error {
    let status = answer.status();
    let detail = match status {
        StatusCode::UNAUTHORIZED => "it wants a user with password or a token".into(),
        StatusCode::FORBIDDEN => "it does not allow this".into(),
        StatusCode::NOT_FOUND => "there is nothing at this address".into(),
        StatusCode::NOT_ACCEPTABLE => "it does not give what was asked for in this form".into(),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "it does not take objects in this form".into(),
        other if other.is_redirection() => {
            "it points elsewhere, which is not followed: give the address it names".into()
        }
        other => other.canonical_reason().unwrap_or_default().to_lowercase(),
    };
    Error::Http { code: status.as_u16(), detail }
}

fn is_this_machine(root: &str) -> bool {
    let rest = root.trim_start_matches("http://");
    let host = rest.split('/').next().unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name).trim_matches(['[', ']']);
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// RFC 4648, 4.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let all = three.iter().fold(0u32, |all, b| all << 8 | u32::from(*b)) << (8 * (3 - three.len()));
        for n in 0..4 {
            let letter = LETTERS[(all >> (18 - 6 * n) & 63) as usize];
            text.push(if n <= three.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

/// A text as part of a query (RFC 3986, 2.1).
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'*' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_written_as_the_web_wants_them() {
        // RFC 4648, 10
        for (text, encoded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(text.as_bytes()), encoded);
        }
        assert_eq!(escaped("Müller^*?&=%"), "M%C3%BCller%5E*%3F%26%3D%25");
    }

    #[test]
    fn values_are_counted_before_memory_is_taken_for_them() {
        for (text, count) in [("0", 1), ("[]", 2), ("[1,2]", 3), (r#"{"a,[\"{":{"b":["\\",3]}}"#, 7)] {
            assert_eq!(values(text.as_bytes()), count, "{text}");
        }
        // Half a gigabyte, if it were read.
        let many = format!("[{}0]", "0,".repeat(16 << 20));
        assert!(matches!(json(many.as_bytes()), Err(Error::Protocol(_))));
        assert!(json(b" \n").unwrap().is_none());
    }

    #[test]
    fn passwords_stay_on_this_machine_or_go_encrypted() {
        for (root, may) in [
            ("http://localhost:8042/dicom-web", true),
            ("http://127.0.0.1/dicom-web", true),
            ("http://[::1]:8042", true),
            ("https://pacs", true),
            ("http://pacs/dicom-web", false),
            ("http://127.0.0.1.evil.example/", false),
        ] {
            let mut node = Node::new(root.parse().unwrap());
            node.credentials = Some(Credentials::Token("t".into()));
            assert_eq!(Client::new(&node, root).is_ok(), may, "{root}");
        }
    }
}
