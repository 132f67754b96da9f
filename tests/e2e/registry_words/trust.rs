//! Signatures: made by the client, kept in the registry, asked for by the daemon.

use serde_json::json;

use crate::gantry_only;
use crate::harness::Engine;
use crate::harness::served::Registry;

const REFUSED: &str = "is refused by the trust policy for 127.0.0.1:5000/prod: ";

/// A registry with busybox as `prod/app:1`, whose image is not here any more.
fn with_image(engine: &Engine) -> (Registry, String) {
    let registry = Registry::ours(engine, 5000);
    let image = registry.name("prod/app:1");
    engine.docker(&["tag", "busybox", &image]).ok();
    engine.docker(&["push", "-q", &image]).ok();
    engine.docker(&["rmi", &image]).ok();
    (registry, image)
}

/// The rule for `prod`, by the keys of these files.
fn set_policy(engine: &Engine, mode: &str, keys: &[&str]) {
    let trust = engine.data_root().join("trust");
    std::fs::create_dir_all(&trust).expect("a folder");
    let keys: Vec<String> = keys
        .iter()
        .map(|name| {
            engine
                .dir()
                .join(format!("{name}.pub"))
                .display()
                .to_string()
        })
        .collect();
    let rules = json!([{"prefix": "127.0.0.1:5000/prod", "mode": mode, "keys": keys}]);
    let new = trust.join("policy.new");
    std::fs::write(&new, rules.to_string()).expect("a file");
    std::fs::rename(&new, trust.join("policy.json")).expect("a file");
}

fn key(registry: &Registry, engine: &Engine, name: &str) {
    registry
        .gantry(engine, &["trust", "key", "generate", name])
        .ok();
}

fn sign(registry: &Registry, engine: &Engine, name: &str, image: &str) {
    let said = registry
        .gantry(engine, &["trust", "sign", "--key", name, image])
        .ok();
    let line = format!("Successfully signed {image}\n");
    assert!(said.stdout.ends_with(&line), "{said:?}");
}

/// Fails the test unless the image cannot be had, and nothing is here afterwards.
#[track_caller]
fn refused(engine: &Engine, image: &str, why: &str) {
    for args in [["pull", image].as_slice(), &["run", "--rm", image, "true"]] {
        let said = engine.docker(args);
        let text = format!("{image} {REFUSED}{why}");
        assert!(
            said.code != 0 && said.stderr.contains(&text),
            "{text}: {said:#?}"
        );
    }
    let all = engine
        .docker(&["images", "-a", "--format", "{{.Repository}}"])
        .ok();
    assert_eq!(all.stdout, "busybox\n");
}

#[test]
fn what_must_be_signed_comes_in_by_a_signature_only() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let (registry, image) = with_image(&engine);
    for name in ["mine", "other"] {
        key(&registry, &engine, name);
    }
    set_policy(&engine, "require", &["mine"]);
    refused(&engine, &image, "it has no signature");
    sign(&registry, &engine, "other", &image);
    refused(&engine, &image, "its signature is by no key of the policy");
    sign(&registry, &engine, "mine", &image);
    engine.docker(&["pull", &image]).ok();
    let run = ["run", "--rm", &image, "echo", "ran"];
    engine.docker(&run).ok().prints("ran\n");
    // What was right does not stay right for ever.
    set_policy(&engine, "require", &["other"]);
    engine
        .docker(&run)
        .code(125)
        .says("may not be run: the trust policy requires");
    set_policy(&engine, "require", &["mine"]);
    engine.docker(&run).ok();
    let revoke = ["trust", "revoke", "--key", "mine", &image];
    registry.gantry(&engine, &revoke).ok();
    engine.docker(&["rmi", &image]).ok();
    refused(&engine, &image, "its signature is by no key of the policy");
    let inspected = registry.gantry(&engine, &["trust", "inspect", &image]).ok();
    assert!(inspected.stdout.contains("\"other\"") && !inspected.stdout.contains("\"mine\""));
}

#[test]
fn names_that_must_be_signed_are_no_names_for_anything_else() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let (registry, image) = with_image(&engine);
    key(&registry, &engine, "mine");
    set_policy(&engine, "require", &["mine"]);
    // Neither by a tag nor by an archive.
    engine.docker(&["tag", "busybox", &image]).ok();
    let run = |name: &str| engine.docker(&["run", "--rm", name, "echo", "ran"]);
    let words = "may not be run: the trust policy requires a signature";
    run(&image).code(125).says(words);
    let mount = format!("type=image,src={image},dst=/other");
    let mounted = ["run", "--rm", "--mount", &mount, "busybox", "true"];
    engine.docker(&mounted).code(125).says(words);
    let archive = engine.dir().join("app.tar").display().to_string();
    engine.docker(&["save", "-o", &archive, &image]).ok();
    engine.docker(&["rmi", &image]).ok();
    engine.docker(&["load", "-i", &archive]).ok();
    run(&image).code(125).says(words);
    // The same image under another name is another matter.
    run("busybox").ok().prints("ran\n");
    engine.docker(&["rmi", &image]).ok();
    sign(&registry, &engine, "mine", &image);
    engine.docker(&["pull", "-q", &image]).ok();
    run(&image).ok().prints("ran\n");
}

#[test]
fn doubt_is_told_and_a_damaged_policy_lets_nothing_in() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let (registry, image) = with_image(&engine);
    key(&registry, &engine, "mine");
    set_policy(&engine, "warn", &["mine"]);
    let pulled = engine.docker(&["pull", &image]).ok().stdout;
    let doubt = format!("{image} is not trusted: it has no signature\n");
    assert!(pulled.contains(&doubt), "{pulled}");
    engine.docker(&["run", "--rm", &image, "true"]).ok();
    engine.docker(&["rmi", &image]).ok();
    let file = engine.data_root().join("trust/policy.json");
    std::fs::write(&file, "[{").expect("a file");
    engine
        .docker(&["pull", &image])
        .code(1)
        .says("trust policy: ");
    engine
        .docker(&["run", "--rm", "busybox", "true"])
        .code(125)
        .says("trust policy: ");
    std::fs::remove_file(&file).expect("it was there");
    engine.docker(&["run", "--rm", "busybox", "true"]).ok();
}

#[test]
fn keys_are_kept_from_others() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let (registry, image) = with_image(&engine);
    let trust = |args: &[&str]| registry.gantry(&engine, &[&["trust"], args].concat());
    trust(&["sign", &image])
        .code(1)
        .says("there is no key to sign with");
    trust(&["key", "generate", "../up"])
        .code(1)
        .says("must start with lowercase");
    key(&registry, &engine, "mine");
    trust(&["key", "generate", "mine"])
        .code(1)
        .says("already exists");
    let private = engine.dir().join("client/trust/private/mine.key");
    let mode = |path: &std::path::Path| {
        let found = std::fs::metadata(path).expect("a file").permissions();
        std::os::unix::fs::PermissionsExt::mode(&found) & 0o777
    };
    assert_eq!(mode(&private), 0o600);
    assert_eq!(mode(private.parent().expect("a folder")), 0o700);
    let copy = engine.dir().join("copy.pem");
    std::fs::copy(&private, &copy).expect("a copy");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(&copy, open).expect("a mode");
    let copy = copy.display().to_string();
    trust(&["key", "load", "--name", "two", &copy])
        .code(1)
        .says("must not be readable or writable by others");
    trust(&["sign", "127.0.0.1:5000/prod/app"])
        .code(1)
        .says("no tag specified");
    trust(&["sign", "127.0.0.1:5000/prod/no:1"])
        .code(1)
        .says("no such image in its registry");
    sign(&registry, &engine, "mine", &image);
    trust(&["sign", &image]).ok().prints(&format!(
        "{image} is already signed by mine ({})\n",
        fingerprint(&trust(&["inspect", &image]).ok().stdout)
    ));
}

#[test]
fn dockers_registry_keeps_signatures_too() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let Some(registry) = Registry::of_docker(&engine, 5001) else {
        return;
    };
    let image = registry.name("prod/app:1");
    engine.docker(&["tag", "busybox", &image]).ok();
    engine.docker(&["push", "-q", &image]).ok();
    for name in ["mine", "other"] {
        key(&registry, &engine, name);
        sign(&registry, &engine, name, &image);
    }
    let inspect = || registry.gantry(&engine, &["trust", "inspect", &image]);
    let both = inspect().ok().stdout;
    assert!(
        both.contains("\"mine\"") && both.contains("\"other\""),
        "{both}"
    );
    for name in ["mine", "other"] {
        let revoke = ["trust", "revoke", "--key", name, &image];
        registry.gantry(&engine, &revoke).ok();
    }
    inspect().code(1).says("no signatures for");
}

/// The first digits of the key in an answer of `trust inspect`.
fn fingerprint(json: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(json).expect("JSON");
    let id = value[0]["Signers"][0]["Keys"][0]["ID"]
        .as_str()
        .expect("a key");
    id.chars().take(12).collect()
}

#[test]
fn a_key_may_have_a_passphrase_as_cosigns_have() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let (registry, image) = with_image(&engine);
    let right = [("COSIGN_PASSWORD", "correct horse")];
    let generate = ["trust", "key", "generate", "mine"];
    registry.gantry_where(&engine, &right, &generate).ok();
    let file = engine.dir().join("client/trust/private/mine.key");
    let text = std::fs::read_to_string(&file).expect("a key");
    let first = "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n";
    assert!(text.starts_with(first), "{text}");
    let sign = ["trust", "sign", &image];
    registry
        .gantry(&engine, &sign)
        .code(1)
        .says("is encrypted: COSIGN_PASSWORD must have its passphrase");
    let wrong = [("COSIGN_PASSWORD", "battery")];
    let failed = registry.gantry_where(&engine, &wrong, &sign).code(1);
    assert!(
        failed.stderr.contains("the passphrase is wrong") && !failed.stderr.contains("battery"),
        "{failed:?}"
    );
    registry.gantry_where(&engine, &right, &sign).ok();
    set_policy(&engine, "require", &["mine"]);
    engine.docker(&["pull", "-q", &image]).ok();
    engine.docker(&["rmi", &image]).ok();
    // A key from a file, and what needs the public part alone.
    let load = [
        "trust",
        "key",
        "load",
        "--name",
        "again",
        &file.display().to_string(),
    ];
    registry.gantry_where(&engine, &wrong, &load).code(1);
    registry.gantry_where(&engine, &right, &load).ok();
    let inspected = registry.gantry(&engine, &["trust", "inspect", &image]).ok();
    assert!(inspected.stdout.contains("\"again\""), "{inspected:?}");
    registry.gantry(&engine, &["trust", "revoke", &image]).ok();
    refused(&engine, &image, "it has no signature");
}
