//! What is signed and how: manifests of signatures, payloads, keys, and the
//! credentials in a header.
#![no_main]

use gantry_trust::{Payload, PrivateKey, PublicKey, SignatureManifest};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(manifest) = SignatureManifest::parse(data) {
        let again =
            SignatureManifest::parse(&manifest.to_bytes()).expect("what was written is read");
        assert_eq!(again.signatures(), manifest.signatures());
    }
    if let Ok(payload) = Payload::parse(data) {
        let again = Payload::parse(&payload.to_bytes(Default::default()));
        assert_eq!(again.as_ref(), Ok(&payload));
    }
    if let Ok(text) = std::str::from_utf8(data) {
        if let Ok(key) = PublicKey::from_pem("key", text) {
            let again = PublicKey::from_pem("key", &key.to_pem());
            assert_eq!(again.ok(), Some(key));
        }
        let _ = PrivateKey::from_pem("key", text);
        let _ = gantry_api::AuthConfig::from_header(text);
    }
});
