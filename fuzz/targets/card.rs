//! Model cards: a card that is taken can be written, read again and made a network of.
#![no_main]

use hilum_nn::ModelCard;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(card) = ModelCard::from_toml(text) {
        ModelCard::from_toml(&card.to_toml()).expect("what we write can be read");
        let _ = card.graph();
        let _ = card.with_weights(&[]);
    }
});
