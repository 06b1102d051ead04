//! Weight files (safetensors): what is read is written and read again as the same numbers.
#![no_main]

use hilum_nn::Weights;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(weights) = Weights::from_safetensors(data) {
        assert_eq!(Weights::from_safetensors(&weights.to_safetensors()).unwrap(), weights);
    }
});
