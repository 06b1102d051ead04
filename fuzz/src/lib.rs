//! What the targets share.

use std::sync::{Arc, Once};

/// Stands between the files of one input.
const CUT: &[u8] = b"HILUMCUT";

/// The files of an input.
pub fn files(data: &[u8]) -> Vec<&[u8]> {
    let mut files = Vec::new();
    let mut rest = data;
    while let Some(at) = rest.windows(CUT.len()).position(|w| w == CUT) {
        files.push(&rest[..at]);
        rest = &rest[at + CUT.len()..];
    }
    files.push(rest);
    files
}

/// The files of an input, with numbers for names.
pub fn named_files(data: &[u8]) -> Vec<(String, Arc<[u8]>)> {
    files(data).into_iter().enumerate().map(|(n, file)| (n.to_string(), Arc::from(file))).collect()
}

/// The libraries whose panics Hilum catches and makes a damaged file or a broken association of.
const CAUGHT: [&str; 3] = ["/hayro-jpeg2000-", "/pure_jpegls-", "/dicom-ul-"];

/// libFuzzer ends at every panic, caught or not. From here on those that start in a library whose panics are caught go on to
/// where Hilum catches them; all others end the run as before.
pub fn let_caught_panics_pass() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let end = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let caught = |file: &str| CAUGHT.iter().any(|library| file.contains(library));
            if !panic.location().is_some_and(|place| caught(place.file())) {
                end(panic);
            }
        }));
    });
}
