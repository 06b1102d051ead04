//! Whom we speak to.

use std::str::FromStr;

use crate::Error;

/// A DICOM node or the root of a DICOMweb service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Spoken to over DIMSE.
    Node {
        /// Its application entity title, if the address names one.
        title: Option<String>,
        /// Name or IP address.
        host: String,
        /// Often 104 or 11112.
        port: u16,
    },
    /// Spoken to over DICOMweb: the address without a slash at its end.
    Web(String),
}

impl FromStr for Peer {
    type Err = Error;

    /// `HOST:PORT`, `TITLE@HOST:PORT`, `[IPv6]:PORT`, or `https://…` (`http://…`).
    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong =
            |why: &str| Error::Address(format!("the address is HOST:PORT, TITLE@HOST:PORT or https://…: {why}"));
        if let Some(rest) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) {
            let host = rest.split('/').next().unwrap_or_default();
            if host.is_empty() || rest.contains(['?', '#', ' ']) {
                return Err(wrong("the web address has no host, or a query"));
            }
            if host.contains('@') {
                // It would be seen by everybody who lists processes.
                return Err(wrong("user and password do not belong into the address"));
            }
            return Ok(Self::Web(text.trim_end_matches('/').to_owned()));
        }
        let (title, place) = match text.split_once('@') {
            Some((title, place)) => (Some(checked_title(title)?), place),
            None => (None, text),
        };
        let (host, port) = place.rsplit_once(':').ok_or_else(|| wrong("there is no port"))?;
        let port = port.parse().ok().filter(|p| *p > 0).ok_or_else(|| wrong("the port is no number"))?;
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        if bare.is_empty() || bare.contains(['/', ' ']) || (bare.contains(':') && bare == host) {
            return Err(wrong("there is no host"));
        }
        Ok(Self::Node { title, host: bare.to_owned(), port })
    }
}

/// An application entity title: 1 to 16 characters of ASCII without backslash or control characters (PS3.5 6.2, AE).
pub(crate) fn checked_title(title: &str) -> Result<String, Error> {
    let title = title.trim();
    let good = (1..=16).contains(&title.len()) && title.bytes().all(|b| (0x20..0x7F).contains(&b) && b != b'\\');
    if good {
        Ok(title.to_owned())
    } else {
        Err(Error::Address("an application entity title has 1 to 16 ASCII characters".into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_or_turned_down() {
        let node = |title: Option<&str>, host: &str, port| Peer::Node {
            title: title.map(str::to_owned),
            host: host.to_owned(),
            port,
        };
        for (text, peer) in [
            ("pacs:104", node(None, "pacs", 104)),
            ("ARCHIVE@10.0.0.7:11112", node(Some("ARCHIVE"), "10.0.0.7", 11112)),
            ("[::1]:4242", node(None, "::1", 4242)),
            ("https://pacs/dicom-web/", Peer::Web("https://pacs/dicom-web".into())),
            ("http://127.0.0.1:8042/dicom-web", Peer::Web("http://127.0.0.1:8042/dicom-web".into())),
        ] {
            assert_eq!(text.parse::<Peer>().unwrap(), peer);
        }
        for text in
            ["pacs", "pacs:", "pacs:0", "pacs:99999", ":104", "::1:104", "A@:1", "@h:1", "https://", "https://u:p@h/"]
        {
            assert!(text.parse::<Peer>().is_err(), "{text}");
        }
        assert!("SEVENTEENLETTERSX@h:1".parse::<Peer>().is_err());
    }
}
