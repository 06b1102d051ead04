//! What a web service answers: a search (QIDO-RS), objects stored (STOW-RS), or objects in parts (WADO-RS), by the first byte.
//! Of the last the first line is the `Content-Type`.
#![no_main]

use hilum_network::{NodeLimits, replay};
use libfuzzer_sys::fuzz_target;

const MOST: usize = 5;

fuzz_target!(|data: &[u8]| {
    let Some((kind, answer)) = data.split_first() else { return };
    let limits = NodeLimits::default();
    match kind % 3 {
        0 => {
            if let Ok((found, _)) = replay::web_search(answer, MOST, &limits) {
                assert!(found.len() <= MOST);
                assert!(found.iter().all(|f| f.elements.is_sorted_by_key(|e| e.tag)));
            }
        }
        1 => {
            let _ = replay::web_store(answer);
        }
        _ => {
            let Some(at) = answer.iter().position(|b| *b == b'\n') else { return };
            let content_type = String::from_utf8_lossy(&answer[..at]);
            let mut bytes = 0;
            let _ = replay::web_retrieve(&content_type, &answer[at + 1..], &limits, &mut |object| {
                bytes += object.data_set().len();
            });
            assert!(bytes <= answer.len(), "more came out than went in");
        }
    }
});
