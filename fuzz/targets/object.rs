//! Any DICOM object through the everyday tools: listed, held against the standard, unpacked to be sent.
#![no_main]

use hilum_dicom::{Instance, Limits, Uncompressed, check_object, check_together, identity_of_data_set, list_elements};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    hilum_fuzz::let_caught_panics_pass();
    let limits = Limits::default();
    let _ = list_elements(data, &limits);
    if let Ok(checked) = check_object(data, &limits) {
        let _ = check_together(&[checked]);
    }
    let Ok(instance) = Instance::of(data, &limits) else { return };
    for form in [Uncompressed::Explicit, Uncompressed::Implicit] {
        if let Ok(written) = instance.uncompressed(form, &limits) {
            let again = identity_of_data_set(&written, form.uid(), &limits).expect("what we write can be read");
            assert_eq!(&again, instance.identity());
        }
    }
});
