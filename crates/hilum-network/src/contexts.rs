//! Which SOP classes are proposed in which transfer syntaxes.

use std::collections::BTreeSet;

use crate::association::{CONTEXTS_MAX, Proposal};
use crate::outgoing::Outgoing;

pub(crate) const EXPLICIT: &str = "1.2.840.10008.1.2.1";
pub(crate) const IMPLICIT: &str = "1.2.840.10008.1.2";

/// Transfer syntaxes in which objects are taken as they are, those that pack pixels first: an archive that keeps an object
/// packed then need not unpack it.
pub(crate) const TAKEN: [&str; 20] = [
    "1.2.840.10008.1.2.4.70",  // JPEG Lossless, selection value 1
    "1.2.840.10008.1.2.4.90",  // JPEG 2000, reversible
    "1.2.840.10008.1.2.4.80",  // JPEG-LS Lossless
    "1.2.840.10008.1.2.5",     // RLE
    "1.2.840.10008.1.2.4.201", // High-Throughput JPEG 2000, reversible
    "1.2.840.10008.1.2.4.202", // the same with RPCL
    "1.2.840.10008.1.2.4.57",  // JPEG Lossless, process 14
    "1.2.840.10008.1.2.4.50",  // JPEG Baseline
    "1.2.840.10008.1.2.4.51",  // JPEG Extended
    "1.2.840.10008.1.2.4.81",  // JPEG-LS near-lossless
    "1.2.840.10008.1.2.4.91",  // JPEG 2000
    "1.2.840.10008.1.2.4.203", // High-Throughput JPEG 2000
    "1.2.840.10008.1.2.4.110", // JPEG XL, lossless
    "1.2.840.10008.1.2.4.112", // JPEG XL
    "1.2.840.10008.1.2.8.1",   // Deflated Image Frame
    "1.2.840.10008.1.2.1.98",  // Encapsulated Uncompressed
    "1.2.840.10008.1.2.1.99",  // Deflated
    EXPLICIT,
    IMPLICIT,
    "1.2.840.10008.1.2.2", // Explicit VR Big Endian
];

/// Whether a class is one of objects to be stored: the arcs under which the standard has them (PS3.4 B.5).
pub(crate) fn is_storage(class: &str) -> bool {
    class.starts_with("1.2.840.10008.5.1.4.1.1.") || class.starts_with("1.2.840.10008.5.1.4.34.7")
}

/// Objects with the proposals that they go under; several associations where one cannot have enough contexts.
pub(crate) fn batches(objects: &[Outgoing]) -> Vec<(Vec<Proposal>, Vec<usize>)> {
    let mut batches: Vec<(Vec<Proposal>, Vec<usize>)> = Vec::new();
    let mut now: BTreeSet<(String, String)> = BTreeSet::new();
    let mut members = Vec::new();
    let proposals = |pairs: &BTreeSet<(String, String)>| {
        let one =
            |(class, syntax): &(String, String)| Proposal { class: class.clone(), syntaxes: vec![syntax.clone()] };
        pairs.iter().map(one).collect::<Vec<_>>()
    };
    for (n, object) in objects.iter().enumerate() {
        // One syntax to a context, so that it is the peer's yes or no and not its choice.
        let class = &object.identity.sop_class_uid;
        let wanted = [&object.syntax_uid, EXPLICIT, IMPLICIT].map(|syntax| (class.clone(), syntax.to_owned()));
        let mut with = now.clone();
        with.extend(wanted.clone());
        if with.len() > CONTEXTS_MAX {
            batches.push((proposals(&now), std::mem::take(&mut members)));
            with = wanted.into_iter().collect();
        }
        now = with;
        members.push(n);
    }
    if !members.is_empty() {
        batches.push((proposals(&now), members));
    }
    batches
}
