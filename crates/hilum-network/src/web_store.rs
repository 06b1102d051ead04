//! STOW-RS (PS3.18 10.5): objects in batches, each with an answer of its own.

use std::collections::BTreeMap;

use hilum_dicom::{Instance, SkipReason, Uncompressed};
use serde_json::Value;

use crate::fetched::Fetched;
use crate::outgoing::{Outgoing, SentHow};
use crate::send::{ObjectOutcome, SendOptions};
use crate::status::{Service, Status};
use crate::web::{Client, json, refused};
use crate::{Error, Node};

/// A request has so many objects and bytes; a larger object goes alone.
const BATCH_OBJECTS: usize = 64;
const BATCH_BYTES: usize = 16 << 20;

pub(crate) fn send(
    node: &Node,
    root: &str,
    objects: &[Outgoing],
    options: &SendOptions,
    report: &mut dyn FnMut(ObjectOutcome),
) {
    let client = match Client::new(node, root) {
        Ok(client) => client,
        Err(reason) => {
            let text = reason.to_string();
            for index in 0..objects.len() {
                report(ObjectOutcome { index, result: Err(Error::Local(text.clone())), attempts: 0 });
            }
            return;
        }
    };
    let mut sender = Sender { client, node, objects, options, report, lost: None };
    let mut batch: Vec<(usize, Vec<u8>)> = Vec::new();
    let mut bytes = 0;
    for index in 0..objects.len() {
        match file(node, &objects[index], None) {
            Ok(file) => {
                if !batch.is_empty() && (batch.len() == BATCH_OBJECTS || bytes + file.len() > BATCH_BYTES) {
                    sender.batch(std::mem::take(&mut batch));
                    bytes = 0;
                }
                bytes += file.len();
                batch.push((index, file));
            }
            Err(reason) => (sender.report)(ObjectOutcome { index, result: Err(reason), attempts: 0 }),
        }
    }
    if !batch.is_empty() {
        sender.batch(batch);
    }
}

/// An object as a file with a head of our own.
fn file(node: &Node, object: &Outgoing, form: Option<Uncompressed>) -> Result<Vec<u8>, Error> {
    let local = |reason: SkipReason| Error::Local(reason.to_string());
    let bytes = object.read(&node.limits).map_err(local)?;
    let instance = Instance::of(&bytes, &node.limits.data_set).map_err(local)?;
    let (data_set, syntax) = match form {
        None => (instance.data_set().to_vec(), instance.transfer_syntax_uid()),
        Some(form) => (instance.uncompressed(form, &node.limits.data_set).map_err(local)?, form.uid()),
    };
    let object = Fetched::of(data_set, syntax, &node.limits.data_set).map_err(local)?;
    Ok([object.file_head().as_slice(), object.data_set()].concat())
}

struct Sender<'a> {
    client: Client<'a>,
    node: &'a Node,
    objects: &'a [Outgoing],
    options: &'a SendOptions,
    report: &'a mut dyn FnMut(ObjectOutcome),
    /// Why the service cannot be reached any more.
    lost: Option<String>,
}

impl Sender<'_> {
    fn batch(&mut self, batch: Vec<(usize, Vec<u8>)>) {
        if let Some(reason) = &self.lost {
            for (index, _) in batch {
                let result = Err(Error::Local(format!("not tried: {reason}")));
                (self.report)(ObjectOutcome { index, result, attempts: 0 });
            }
            return;
        }
        let mut attempts = 0;
        let answer = loop {
            attempts += 1;
            match self.post(&batch) {
                Err(reason) if reason.is_transient() && attempts < self.options.attempts => {
                    std::thread::sleep(self.options.pause.saturating_mul(1 << (attempts - 1).min(6)));
                }
                other => break other,
            }
        };
        match answer {
            Ok(answers) => {
                for (index, _) in batch {
                    let result = self.of_one(index, &answers);
                    (self.report)(ObjectOutcome { index, result, attempts });
                }
            }
            // One object may spoil the request for all.
            Err(Error::Http { .. }) if batch.len() > 1 => {
                for one in batch {
                    self.batch(vec![one]);
                }
            }
            Err(reason) => {
                if matches!(reason, Error::Unreachable { .. } | Error::Tls(_)) {
                    self.lost = Some(reason.to_string());
                }
                let takes_it_unpacked = matches!(reason, Error::Http { code: 415, .. });
                let mut reason = Some(reason);
                for (index, _) in batch {
                    let given = reason.take().unwrap_or(Error::Closed);
                    let result = if takes_it_unpacked { self.unpacked(index, given) } else { Err(given) };
                    (self.report)(ObjectOutcome { index, result, attempts });
                }
            }
        }
    }

    /// What the service says of one object of a batch.
    fn of_one(&mut self, index: usize, answers: &BTreeMap<String, Status>) -> Result<(SentHow, Status), Error> {
        match answers.get(&self.objects[index].identity.sop_instance_uid) {
            Some(status) if status.is_done() => Ok((SentHow::AsItIs, *status)),
            Some(status) => {
                let reason = Error::Status { service: Service::Store, status: *status };
                // PS3.18 I.2.2: class or transfer syntax is not supported.
                let form = matches!(status.0, 0x0122 | 0xC122 | 0xA900);
                if form { self.unpacked(index, reason) } else { Err(reason) }
            }
            None => Err(Error::Protocol("the service does not say what became of the object".into())),
        }
    }

    /// The same object with its pixels unpacked, if they are packed; otherwise why it did not arrive before.
    fn unpacked(&mut self, index: usize, reason: Error) -> Result<(SentHow, Status), Error> {
        let object = &self.objects[index];
        if object.syntax_uid == Uncompressed::Explicit.uid() || object.syntax_uid == Uncompressed::Implicit.uid() {
            return Err(reason);
        }
        let Ok(file) = file(self.node, object, Some(Uncompressed::Explicit)) else { return Err(reason) };
        let answers = self.post(&[(index, file)])?;
        match answers.get(&object.identity.sop_instance_uid) {
            Some(status) if status.is_done() => Ok((SentHow::Uncompressed(Uncompressed::Explicit), *status)),
            Some(status) => Err(Error::Status { service: Service::Store, status: *status }),
            None => Err(reason),
        }
    }

    fn post(&self, batch: &[(usize, Vec<u8>)]) -> Result<BTreeMap<String, Status>, Error> {
        // A boundary that is in no object: long, and different for other content.
        let uids: Vec<&str> = batch.iter().map(|(n, _)| &self.objects[*n].identity.sop_instance_uid[..]).collect();
        let seed = hilum_dicom::uid_from_seed(&uids.join("\n"), "boundary of a request");
        let boundary = format!("hilum-{}", &seed[5..]);
        let mut body = Vec::with_capacity(batch.iter().map(|(_, f)| f.len() + 200).sum());
        for (_, file) in batch {
            body.extend(format!("--{boundary}\r\nContent-Type: application/dicom\r\n\r\n").as_bytes());
            body.extend(file);
            body.extend(b"\r\n");
        }
        body.extend(format!("--{boundary}--\r\n").as_bytes());
        let content_type = format!("multipart/related; type=\"application/dicom\"; boundary={boundary}");
        let answer = self.client.post("studies", &content_type, "application/dicom+json", &body)?;
        match answer.status().as_u16() {
            // All stored; some; none.
            200 | 202 | 409 => {}
            _ => return Err(refused(&answer)),
        }
        stored(&self.client.content(answer)?)
    }
}

/// What became of each object, by the answer to a request to store them.
pub(crate) fn stored(answer: &[u8]) -> Result<BTreeMap<String, Status>, Error> {
    Ok(statuses(&json(answer)?.unwrap_or(Value::Null)))
}

/// The status of each object (PS3.18 I.2): those referenced are stored, with or without a warning, those failed have a
/// reason.
fn statuses(answer: &Value) -> BTreeMap<String, Status> {
    let mut all = BTreeMap::new();
    let one = |tag: &str, item: &Value| item.get(tag)?.get("Value")?.get(0).cloned();
    for (sequence, reason, otherwise) in [("00081199", "00081196", 0), ("00081198", "00081197", 0x0110)] {
        let items = answer.get(sequence).and_then(|s| s.get("Value")).and_then(Value::as_array);
        for item in items.into_iter().flatten() {
            let Some(Value::String(uid)) = one("00081155", item) else { continue };
            let number = one(reason, item).and_then(|v| v.as_u64()).map_or(otherwise, |n| n as u16);
            all.insert(uid, Status(number));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_object_has_its_status() {
        let answer = serde_json::json!({
            "00081199": { "vr": "SQ", "Value": [
                { "00081155": { "vr": "UI", "Value": ["1.1"] } },
                { "00081155": { "vr": "UI", "Value": ["1.2"] }, "00081196": { "vr": "US", "Value": [45056] } },
            ] },
            "00081198": { "vr": "SQ", "Value": [
                { "00081155": { "vr": "UI", "Value": ["1.3"] }, "00081197": { "vr": "US", "Value": [290] } },
                { "00081155": { "vr": "UI", "Value": ["1.4"] } },
            ] },
        });
        let want = [("1.1", 0), ("1.2", 0xB000), ("1.3", 0x0122), ("1.4", 0x0110)];
        let want: BTreeMap<_, _> = want.into_iter().map(|(uid, s)| (uid.to_owned(), Status(s))).collect();
        assert_eq!(statuses(&answer), want);
        assert!(statuses(&Value::Null).is_empty());
    }
}
