//! Objects to a peer, one by one, each with what became of it.

use std::time::Duration;

use crate::association::Association;
use crate::outgoing::{Outgoing, SentHow};
use crate::status::Status;
use crate::{Error, Node, Peer, contexts, store, web_store};

/// How hard is tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendOptions {
    /// Attempts for each object, where another may help. Default: 3.
    pub attempts: u32,
    /// Pause before the second attempt; twice as long before each further one. Default: 1 s.
    pub pause: Duration,
}

impl Default for SendOptions {
    fn default() -> Self {
        Self { attempts: 3, pause: Duration::from_secs(1) }
    }
}

/// What became of one object.
#[derive(Debug)]
pub struct ObjectOutcome {
    /// Which of the objects given.
    pub index: usize,
    /// How it went and what the peer said, which may be a warning; or why it did not arrive.
    pub result: Result<(SentHow, Status), Error>,
    /// The attempts it took.
    pub attempts: u32,
}

/// Sends objects and reports each, in the order of sending. An object whose transfer is interrupted is sent again over a new
/// association; after a peer was out of reach for all attempts, the rest is not tried.
pub fn send(node: &Node, objects: &[Outgoing], options: &SendOptions, report: &mut dyn FnMut(ObjectOutcome)) {
    if let Peer::Web(root) = &node.peer {
        return web_store::send(node, root, objects, options, report);
    }
    let mut lost: Option<String> = None;
    for (proposals, members) in contexts::batches(objects) {
        let mut association: Option<Association> = None;
        for index in members {
            if let Some(reason) = &lost {
                let result = Err(Error::Local(format!("not tried: {reason}")));
                report(ObjectOutcome { index, result, attempts: 0 });
                continue;
            }
            let mut attempts = 0;
            let result = loop {
                attempts += 1;
                let done = match association.take() {
                    Some(association) => Ok(association),
                    None => Association::request(node, &proposals, &[]),
                };
                let result = match done {
                    Ok(mut open) => {
                        let result = store::store(&mut open, &objects[index], &node.limits);
                        match &result {
                            Ok(_) | Err(Error::Status { .. } | Error::NotAccepted(_) | Error::Local(_)) => {
                                association = Some(open);
                            }
                            Err(_) => open.abort(),
                        }
                        result
                    }
                    Err(reason) => Err(reason),
                };
                match result {
                    Err(reason) if reason.is_transient() && attempts < options.attempts => {
                        std::thread::sleep(options.pause.saturating_mul(1 << (attempts - 1).min(6)));
                    }
                    result => break result,
                }
            };
            if let Err(reason @ (Error::Unreachable { .. } | Error::Rejected { .. } | Error::Tls(_))) = &result {
                lost = Some(reason.to_string());
            }
            report(ObjectOutcome { index, result, attempts });
        }
        if let Some(open) = association {
            open.release();
        }
    }
}
