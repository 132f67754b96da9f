//! Bundles as cosign 3 attaches them: counted by the daemon where a rule says so, and
//! shown by `trust inspect`.

use gantry_types::Digest;
use serde_json::{Value, json};

use crate::gantry_only;
use crate::harness::Engine;
use crate::harness::served::Registry;

/// An image that is the same everywhere.
const CONFIG: &str =
    r#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
const IMAGE: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:c5b1d63604f273462ef36fadac3182d43ae6a6138731cf594b314835cf1c034f","size":78},"layers":[]}"#;
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

// What openssl's key of curve P-256 has signed: that this is the image.
const KEY: &str = "-----BEGIN PUBLIC KEY-----\n\
    MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEUvuuROL/7U9jCBMfcvvud1OqHcab\n\
    tuYKf8jqxDgahKazNyYTqW9veQbORjl3d6lgncgMhEUnrcO1lgV+LgPH4Q==\n\
    -----END PUBLIC KEY-----\n";
const STATEMENT: &str = "\
     eyJfdHlwZSI6Imh0dHBzOi8vaW4tdG90by5pby9TdGF0ZW1lbnQvdjEiLCJzdWJqZWN0IjpbeyJkaWdlc3QiOnsic2hhMjU2Ijoi\
     MDlhZGU0MmZlM2U2OTAxOGEzMzYwYmIwOTIyNjVhZjkwMmY5ZTdkNjAxMzE0NmNmMTUyYzgyYWMzYTk0NDcwNyJ9fV0sInByZWRp\
     Y2F0ZVR5cGUiOiJodHRwczovL3NpZ3N0b3JlLmRldi9jb3NpZ24vc2lnbi92MSIsInByZWRpY2F0ZSI6e319";
const SIGNATURE: &str = "MEUCIQCJcpx/ePWyRg3KjvLfsn9GwKpaoXsppczjkNJqEv/VSAIgMVCNs7+J1D3GMF6zCaVnxju20uz/4edmwrZk1gz8y34=";
/// `{"predicateType":"https://slsa.dev/provenance/v1\u001b[31m"}`
const OTHER: &str =
    "eyJwcmVkaWNhdGVUeXBlIjoiaHR0cHM6Ly9zbHNhLmRldi9wcm92ZW5hbmNlL3YxXHUwMDFiWzMxbSJ9";

fn put_blob(registry: &Registry, bytes: &str) -> Digest {
    let digest = Digest::of(bytes.as_bytes());
    let path = format!("prod/app/blobs/uploads/?digest={digest}");
    let kind = "Content-Type: application/octet-stream";
    let args = ["-f", "-X", "POST", "-H", kind, "--data-binary", bytes];
    registry.get(&path, &args).ok();
    digest
}

fn put_manifest(registry: &Registry, name: &str, text: &str) {
    let path = format!("prod/app/manifests/{name}");
    let kind = format!("Content-Type: {MANIFEST}");
    let args = ["-f", "-X", "PUT", "-H", &kind, "--data-binary", text];
    registry.get(&path, &args).ok();
}

/// Attaches a bundle, and answers its digest.
fn attach(registry: &Registry, payload: &str, signature: &str, material: &Value) -> Digest {
    let bundle = json!({"mediaType": BUNDLE, "verificationMaterial": material, "dsseEnvelope": {
        "payloadType": "application/vnd.in-toto+json", "payload": payload,
        "signatures": [{"sig": signature}],
    }});
    let bundle = bundle.to_string();
    refer(registry, &bundle, BUNDLE)
}

/// Lets some content refer to the image.
fn refer(registry: &Registry, content: &str, kind: &str) -> Digest {
    let (config, digest) = (Digest::of(CONFIG.as_bytes()), put_blob(registry, content));
    let text = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": kind,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config.to_string(),
                   "size": CONFIG.len()},
        "layers": [{"mediaType": kind, "digest": digest.to_string(), "size": content.len()}],
        "subject": {"mediaType": MANIFEST, "digest": Digest::of(IMAGE.as_bytes()).to_string(),
                    "size": IMAGE.len()},
    });
    let text = text.to_string();
    put_manifest(registry, &Digest::of(text.as_bytes()).to_string(), &text);
    digest
}

#[test]
fn bundles_are_shown_with_who_has_signed_what_and_one_that_is_lost_spoils_no_other() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let registry = Registry::ours(&engine, 5000);
    let image = registry.name("prod/app:1");
    put_blob(&registry, CONFIG);
    put_manifest(&registry, "1", IMAGE);
    let inspect = |more: &[&str]| {
        let args = [&["trust", "inspect", &image], more].concat();
        registry.gantry(&engine, &args)
    };
    inspect(&[]).code(1).says("no signatures for");
    // More that refers to it than bundles are looked at.
    for number in 0..70 {
        refer(&registry, &format!("part {number}"), "text/plain");
    }
    let keys = engine.dir().join("client/trust");
    std::fs::create_dir_all(&keys).expect("a folder");
    std::fs::write(keys.join("boss.pub"), KEY).expect("a key");
    attach(&registry, STATEMENT, SIGNATURE, &json!({"publicKey": {}}));
    attach(&registry, OTHER, "AAAA", &json!({"certificate": {}}));
    let lost = attach(&registry, OTHER, "BBBB", &Value::Null);

    let shown: Value = serde_json::from_str(&inspect(&[]).ok().stdout).expect("JSON");
    let hex = Digest::of(IMAGE.as_bytes()).hex();
    let row = |kind: &str, signer: &str| json!({"Tag": "1", "Digest": hex, "Kind": kind, "Signer": signer});
    let mut rows = shown[0]["Bundles"].as_array().expect("a list").clone();
    rows.sort_by_key(Value::to_string);
    let provenance = "https://slsa.dev/provenance/v1[31m";
    let expected = [
        row(provenance, "(certificate, not checked)"),
        row(provenance, "(unknown key)"),
        row("signature", "boss"),
    ];
    assert_eq!(rows, expected);
    assert_eq!(shown[0]["SignedTags"], json!([]));
    assert_eq!(shown[0]["Signers"][0]["Name"], "boss");

    let path = format!("prod/app/blobs/{lost}");
    registry.get(&path, &["-f", "-X", "DELETE"]).ok();
    let text = inspect(&["--pretty"]).code(1);
    let text = text.says("a bundle of 1 cannot be read: ");
    let out = text.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(out.contains("TAG DIGEST KIND SIGNER"), "{out}");
    assert!(out.contains(&format!("1 {hex} signature boss")), "{out}");
    assert!(!out.contains("(unknown key)"), "{out}");

    // The daemon lets the image in by what it can read.
    let trust = engine.data_root().join("trust");
    std::fs::create_dir_all(&trust).expect("a folder");
    let rule = |bundles: bool| {
        let rule = json!([{"prefix": "127.0.0.1:5000/prod", "mode": "require", "keys": [KEY],
                           "bundles": bundles}]);
        std::fs::write(trust.join("new"), rule.to_string()).expect("a file");
        std::fs::rename(trust.join("new"), trust.join("policy.json")).expect("a file");
    };
    rule(false);
    let refused = engine.docker(&["pull", &image]).code(1);
    refused.says("is refused by the trust policy");
    rule(true);
    engine.docker(&["pull", "-q", &image]).ok();
}
