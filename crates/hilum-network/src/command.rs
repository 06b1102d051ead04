//! Command sets of messages: group 0000 in Implicit VR Little Endian (PS3.7 6.3.1 and Annex E).

use std::collections::BTreeMap;

use crate::Error;
use crate::status::Status;

/// Elements of group 0000.
pub(crate) mod element {
    pub(crate) const CLASS: u16 = 0x0002;
    pub(crate) const FIELD: u16 = 0x0100;
    pub(crate) const MESSAGE: u16 = 0x0110;
    pub(crate) const ANSWERED: u16 = 0x0120;
    pub(crate) const DESTINATION: u16 = 0x0600;
    pub(crate) const PRIORITY: u16 = 0x0700;
    pub(crate) const DATA_SET_TYPE: u16 = 0x0800;
    pub(crate) const STATUS: u16 = 0x0900;
    pub(crate) const INSTANCE: u16 = 0x1000;
}

/// Command fields (PS3.7 E.1); an answer has the highest bit set.
pub(crate) mod field {
    pub(crate) const STORE: u16 = 0x0001;
    pub(crate) const GET: u16 = 0x0010;
    pub(crate) const FIND: u16 = 0x0020;
    pub(crate) const MOVE: u16 = 0x0021;
    pub(crate) const ECHO: u16 = 0x0030;
    pub(crate) const CANCEL: u16 = 0x0FFF;
    pub(crate) const ANSWER: u16 = 0x8000;
}

const NO_DATA_SET: u16 = 0x0101;

/// A command set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Command(BTreeMap<u16, Vec<u8>>);

impl Command {
    /// A request.
    pub(crate) fn request(kind: u16, class: &str, message: u16) -> Self {
        Self(BTreeMap::new())
            .uid(element::CLASS, class)
            .number(element::FIELD, kind)
            .number(element::MESSAGE, message)
            .number(element::DATA_SET_TYPE, NO_DATA_SET)
    }

    /// The wish that the peer stop answering (PS3.7 9.3.2.3).
    pub(crate) fn cancel(message: u16) -> Self {
        Self(BTreeMap::new())
            .number(element::FIELD, field::CANCEL)
            .number(element::ANSWERED, message)
            .number(element::DATA_SET_TYPE, NO_DATA_SET)
    }

    /// The answer to a request.
    pub(crate) fn answer(request: &Self, status: Status) -> Self {
        let mut answer = Self(BTreeMap::new())
            .number(element::FIELD, request.field() | field::ANSWER)
            .number(element::ANSWERED, request.get(element::MESSAGE).unwrap_or(0))
            .number(element::DATA_SET_TYPE, NO_DATA_SET)
            .number(element::STATUS, status.0);
        for same in [element::CLASS, element::INSTANCE] {
            if let Some(value) = request.0.get(&same) {
                answer.0.insert(same, value.clone());
            }
        }
        answer
    }

    pub(crate) fn number(mut self, element: u16, value: u16) -> Self {
        self.0.insert(element, value.to_le_bytes().to_vec());
        self
    }

    pub(crate) fn uid(mut self, element: u16, uid: &str) -> Self {
        let mut value = uid.as_bytes().to_vec();
        if value.len() % 2 == 1 {
            value.push(0);
        }
        self.0.insert(element, value);
        self
    }

    pub(crate) fn title(mut self, element: u16, title: &str) -> Self {
        let mut value = title.as_bytes().to_vec();
        if value.len() % 2 == 1 {
            value.push(b' ');
        }
        self.0.insert(element, value);
        self
    }

    /// The same with a data set to follow.
    pub(crate) fn with_data_set(self) -> Self {
        self.number(element::DATA_SET_TYPE, 0)
    }

    pub(crate) fn get(&self, element: u16) -> Option<u16> {
        let value = self.0.get(&element)?;
        Some(u16::from_le_bytes([*value.first()?, *value.get(1)?]))
    }

    pub(crate) fn text(&self, element: u16) -> Option<String> {
        let text = String::from_utf8_lossy(self.0.get(&element)?).into_owned();
        Some(text.trim_matches(['\0', ' ']).to_owned())
    }

    pub(crate) fn field(&self) -> u16 {
        self.get(element::FIELD).unwrap_or(0)
    }

    pub(crate) fn status(&self) -> Option<Status> {
        self.get(element::STATUS).map(Status)
    }

    pub(crate) fn has_data_set(&self) -> bool {
        self.get(element::DATA_SET_TYPE).is_some_and(|kind| kind != NO_DATA_SET)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        for (element, value) in &self.0 {
            push(*element, value, &mut body);
        }
        let mut all = Vec::with_capacity(body.len() + 12);
        push(0, &(body.len() as u32).to_le_bytes(), &mut all);
        all.extend(body);
        all
    }

    pub(crate) fn decode(mut bytes: &[u8]) -> Result<Self, Error> {
        let mut elements = BTreeMap::new();
        while !bytes.is_empty() {
            let element = (|| {
                let head: [u8; 8] = bytes.get(..8)?.try_into().ok()?;
                let [g0, g1, e0, e1, length @ ..] = head;
                let end = (u32::from_le_bytes(length) as usize).checked_add(8)?;
                let value = bytes.get(8..end)?;
                bytes = &bytes[end..];
                Some((u16::from_le_bytes([g0, g1]), u16::from_le_bytes([e0, e1]), value))
            })();
            match element {
                Some((0, 0, _)) => {}
                Some((0, element, value)) => {
                    elements.insert(element, value.to_vec());
                }
                _ => return Err(Error::Protocol("a command cannot be read".into())),
            }
        }
        let command = Self(elements);
        if command.get(element::FIELD).is_none() {
            return Err(Error::Protocol("a command does not say what it is".into()));
        }
        Ok(command)
    }
}

fn push(element: u16, value: &[u8], to: &mut Vec<u8>) {
    to.extend([0, 0]);
    to.extend(element.to_le_bytes());
    to.extend((value.len() as u32).to_le_bytes());
    to.extend(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_come_back_and_nonsense_is_turned_down() {
        let request = Command::request(field::STORE, "1.2.840.10008.5.1.4.1.1.2", 7)
            .uid(element::INSTANCE, "1.2.3")
            .title(element::DESTINATION, "HERE!")
            .with_data_set();
        let read = Command::decode(&request.encode()).unwrap();
        assert_eq!(read, request);
        assert!(read.has_data_set());
        let answer = Command::answer(&read, Status(0xA700));
        assert_eq!(answer.field(), 0x8001);
        assert_eq!(answer.get(element::ANSWERED), Some(7));
        assert_eq!(answer.text(element::INSTANCE).as_deref(), Some("1.2.3"));
        assert!(!answer.has_data_set());
        let bytes = request.encode();
        for cut in 1..bytes.len() {
            // Cut between two elements it may still be a command; it never panics.
            let _ = Command::decode(&bytes[..cut]);
        }
        assert!(Command::decode(&[8, 0, 0x10, 0, 0, 0, 0, 0]).is_err(), "another group");
        assert!(Command::decode(&[0, 0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF]).is_err(), "a length beyond the bytes");
        assert!(Command::decode(&[]).is_err());
    }
}
