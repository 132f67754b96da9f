//! `config.json` of a bundle.
#![no_main]

use gantry_oci::Spec;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(spec) = serde_json::from_slice::<Spec>(data) {
        let text = serde_json::to_vec(&spec).expect("JSON");
        serde_json::from_slice::<Spec>(&text).expect("the same");
    }
});
