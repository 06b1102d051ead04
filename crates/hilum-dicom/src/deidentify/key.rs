//! The key: the secret that pseudonyms are made with, and the way back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::deface::KEY_MARK;
use crate::Error;

const FORMAT: &str = "hilum-deidentification-key-1";

/// What a hospital keeps to give the same pseudonyms again and to bring originals back. **It identifies patients**: whoever
/// has it can undo the de-identification. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeidentificationKey {
    format: String,
    secret: String,
    /// Original UID by new UID.
    pub(super) uids: BTreeMap<String, String>,
    /// Elements that were changed, whole and as bytes; each is kept once.
    elements: Vec<String>,
    /// By new SOP Instance UID, the elements of its top level that were changed; a mark alone if its face was blanked.
    pub(super) instances: BTreeMap<String, Vec<usize>>,
    #[serde(skip)]
    places: BTreeMap<String, usize>,
}

impl std::fmt::Debug for DeidentificationKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DeidentificationKey({} instances)", self.instances.len())
    }
}

impl DeidentificationKey {
    /// A key that knows no patient yet. `secret` comes from the operating system's source of random numbers.
    #[must_use]
    pub fn new(secret: [u8; 32]) -> Self {
        Self {
            format: FORMAT.into(),
            secret: hex(&secret),
            uids: BTreeMap::new(),
            elements: Vec::new(),
            instances: BTreeMap::new(),
            places: BTreeMap::new(),
        }
    }

    /// From the text of a key file.
    ///
    /// # Errors
    /// [`Error::Key`] if it is no key.
    pub fn from_json(text: &str) -> Result<Self, Error> {
        let broken = || Error::Key("the key file is damaged or not a key of Hilum".into());
        let mut key: Self = serde_json::from_str(text).map_err(|_| broken())?;
        let whole = key.instances.values().flatten().all(|index| *index < key.elements.len());
        let secret = unhex(&key.secret).is_some_and(|secret| secret.len() == 32);
        if key.format != FORMAT || !whole || !secret || key.elements.iter().any(|e| unhex(e).is_none()) {
            return Err(broken());
        }
        key.places = key.elements.iter().cloned().enumerate().map(|(n, element)| (element, n)).collect();
        Ok(key)
    }

    /// The text of the key file.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a key is plain text")
    }

    /// How many instances can be brought back.
    #[must_use]
    pub fn instances(&self) -> usize {
        let defaced = hex(KEY_MARK);
        let is_whole = |indices: &&Vec<usize>| indices.first().is_none_or(|first| self.elements[*first] != defaced);
        self.instances.values().filter(is_whole).count()
    }

    /// A keyed hash of a value in a role: HMAC-SHA-256 (RFC 2104).
    pub(super) fn hash(&self, role: &str, value: &[u8]) -> [u8; 32] {
        let secret = unhex(&self.secret).expect("the secret was checked");
        let mut message = role.as_bytes().to_vec();
        message.push(0);
        message.extend(value);
        hmac(&secret, &message)
    }

    /// The new UID for an old one, noted for the way back.
    pub(super) fn new_uid(&mut self, old: &str) -> String {
        self.uid_from(self.hash("uid", old.as_bytes()), old)
    }

    /// A new UID for one object of several that share an old one, by its content.
    pub(super) fn own_uid(&mut self, old: &str, content: &[u8]) -> String {
        let both = [old.as_bytes(), b"\0", content].concat();
        self.uid_from(self.hash("shared uid", &both), old)
    }

    fn uid_from(&mut self, digest: [u8; 32], old: &str) -> String {
        let mut uuid = [0u8; 16];
        uuid.copy_from_slice(&digest[..16]);
        uuid[6] = 0x80 | (uuid[6] & 0x0f);
        uuid[8] = 0x80 | (uuid[8] & 0x3f);
        let new = format!("2.25.{}", u128::from_be_bytes(uuid));
        self.uids.insert(new.clone(), old.to_owned());
        new
    }

    /// The pseudonym of a patient.
    pub(super) fn pseudonym(&self, patient_id: &[u8]) -> String {
        format!("HILUM-{}", hex(&self.hash("patient", patient_id)[..6]).to_uppercase())
    }

    /// By how many days all dates of a patient move into the past: 1 to 3 650.
    pub(super) fn days(&self, patient_id: &[u8]) -> i64 {
        let digest = self.hash("days", patient_id);
        i64::from(u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]) % 3650) + 1
    }

    /// Notes an instance with the elements that were changed in it.
    pub(super) fn note(&mut self, new_instance: &str, changed: &[&[u8]]) {
        let mut indices = Vec::with_capacity(changed.len());
        for element in changed {
            let text = hex(element);
            let next = self.elements.len();
            let index = *self.places.entry(text.clone()).or_insert(next);
            if index == next {
                self.elements.push(text);
            }
            indices.push(index);
        }
        self.instances.insert(new_instance.to_owned(), indices);
    }

    /// The original elements of an instance; `None` if it did not come from here.
    pub(super) fn originals(&self, new_instance: &str) -> Option<Vec<Vec<u8>>> {
        let indices = self.instances.get(new_instance)?;
        Some(indices.iter().map(|index| unhex(&self.elements[*index]).expect("elements were checked")).collect())
    }
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0u8; 64];
    block[..key.len()].copy_from_slice(key);
    let pad = |with: u8| block.map(|byte| byte ^ with);
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |b: u8| (b as char).to_digit(16).map(|d| d as u8);
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    pairs.iter().map(|[high, low]| Some(digit(*high)? * 16 + digit(*low)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keyed_hash_is_that_of_rfc_4231() {
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hex(&hmac(b"Jefe", b"what do ya want for nothing?")), expected);
    }

    #[test]
    fn keys_survive_their_file_and_damaged_ones_are_refused() {
        let mut key = DeidentificationKey::new([7; 32]);
        let uid = key.new_uid("1.2.3");
        key.note(&uid, &[b"abc", b"abd"]);
        let again = DeidentificationKey::from_json(&key.to_json()).unwrap();
        assert_eq!(again, key);
        assert_eq!(again.originals(&uid).unwrap(), [b"abc".to_vec(), b"abd".to_vec()]);
        assert!(DeidentificationKey::from_json(&key.to_json().replace("[0,1]", "[0,9]")).is_err());
        assert!(DeidentificationKey::from_json("{}").is_err());
    }
}
