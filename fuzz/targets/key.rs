//! Key files of de-identification.
#![no_main]

use hilum_dicom::DeidentificationKey;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(key) = DeidentificationKey::from_json(text) {
        let written = key.to_json();
        assert_eq!(DeidentificationKey::from_json(&written).expect("what we write can be read").to_json(), written);
    }
});
