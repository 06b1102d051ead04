//! findings.json of earlier runs and of others.
#![no_main]

use hilum_findings::Findings;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(findings) = Findings::from_json(text) {
        let _ = findings.is_urgent();
        let written = findings.to_json();
        let again = Findings::from_json(&written).expect("what we write can be read");
        assert_eq!(again.to_json(), written);
    }
});
