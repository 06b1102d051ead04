//! Training configurations: one that is taken is written and read again as the same.
#![no_main]

use hilum_train::TrainConfig;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(config) = TrainConfig::from_toml(text) {
        let written = config.to_toml();
        let again = TrainConfig::from_toml(&written).expect("what we write can be read");
        // As text, for a number that is none equals no other.
        assert_eq!(again.to_toml(), written);
        for patient in ["p1", "", "*"] {
            let _ = config.split.side(patient);
        }
    }
});
