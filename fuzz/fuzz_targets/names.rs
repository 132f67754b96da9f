//! References, digests, platforms, ids, network modes and templates.
#![no_main]

use gantry_gotemplate::{Lenient, Template};
use gantry_network::NetworkMode;
use gantry_types::{ContainerId, Digest, Platform, Reference};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(reference) = text.parse::<Reference>() {
        let again: Reference = reference.to_string().parse().expect("its own text");
        assert_eq!(again, reference);
        let familiar: Reference = reference.familiar().parse().expect("its short text");
        assert_eq!(familiar, reference);
    }
    let _ = text.parse::<Digest>();
    let _ = text.parse::<Platform>();
    let _ = text.parse::<ContainerId>();
    let _ = NetworkMode::parse(text);
    if let Ok(template) = Template::parse(text) {
        let data = serde_json::json!({"A": [1, "b", {"C": null}], "B": true});
        let _ = template.render(&data, &Lenient);
    }
});
