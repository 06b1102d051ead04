//! De-identification: what it gives out is DICOM again, and its own key brings back what came in.
#![no_main]

use std::sync::Arc;

use hilum_dicom::{DeidentificationKey, DeidentifyOptions, Limits, ProfileOption, Source, deidentify, reidentify};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    hilum_fuzz::let_caught_panics_pass();
    let Some((choice, file)) = data.split_first() else { return };
    let chosen = [
        ProfileOption::CleanStructuredContent,
        ProfileOption::CleanDescriptors,
        ProfileOption::RetainModifiedDates,
        ProfileOption::RetainSafePrivate,
        ProfileOption::RetainUids,
    ];
    let profile = chosen.into_iter().enumerate().filter(|(n, _)| choice >> n & 1 == 1).map(|(_, option)| option);
    let options =
        DeidentifyOptions { profile: profile.collect(), keep_burnt_in: true, keep_faces: true, ..Default::default() };
    let mut key = DeidentificationKey::new([7; 32]);
    let source = Source::Memory(vec![("file".into(), Arc::from(file))]);
    let mut given = Vec::new();
    let done = deidentify(&source, &Limits::default(), &options, &mut key, &mut |file| {
        given.push(file);
        Ok(())
    });
    if done.is_ok() {
        for file in given {
            assert!(file.bytes[..128].iter().all(|b| *b == 0), "the preamble is not empty");
            reidentify(&file.bytes, &key, &Limits::default()).expect("what was given out comes back");
        }
    }
});
