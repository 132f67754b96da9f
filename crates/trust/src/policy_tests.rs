//! Rules and files of a policy.

use super::*;
use crate::PrivateKey;

fn rule(prefix: &str, mode: Mode) -> Rule {
    Rule {
        prefix: prefix.to_owned(),
        mode,
        keys: Vec::new(),
        signed_as: None,
        bundles: false,
        revoked: Vec::new(),
    }
}

#[test]
fn the_longest_prefix_wins() {
    let directory = tempfile::tempdir().unwrap();
    let rules = [
        rule("*", Mode::Warn),
        rule("r.example:5000/team", Mode::Require),
        rule("r.example:5000/team/open/", Mode::Off),
        rule("index.docker.io/library", Mode::Require),
    ];
    let policy = Policy::open(directory.path(), &rules).unwrap();
    for (name, mode) in [
        ("r.example:5000/team", Mode::Require),
        ("r.example:5000/team/app", Mode::Require),
        ("r.example:5000/team/open", Mode::Off),
        ("r.example:5000/team/open/x", Mode::Off),
        ("r.example:5000/teams", Mode::Warn),
        ("r.example:5000/other", Mode::Warn),
        ("docker.io/library/busybox", Mode::Require),
        ("docker.io/user/app", Mode::Warn),
    ] {
        assert_eq!(policy.mode(name).unwrap(), mode, "{name}");
    }
    let none = Policy::open(directory.path(), &[]).unwrap();
    assert_eq!(none.mode("r.example:5000/team").unwrap(), Mode::Off);
}

#[test]
fn the_file_is_read_again_and_a_broken_one_lets_nothing_in() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(FILE);
    let (key, _) = PrivateKey::generate().unwrap();
    std::fs::write(directory.path().join("a.pub"), key.public().to_pem()).unwrap();
    let policy = Policy::open(directory.path(), &[rule("r.example/a", Mode::Warn)]).unwrap();
    let text = r#"[{"prefix":"r.example","mode":"require","keys":["a.pub"]},
                   {"prefix":"r.example/a","mode":"off"}]"#;
    std::fs::write(&file, text).unwrap();
    assert_eq!(policy.mode("r.example/x").unwrap(), Mode::Require);
    assert_eq!(policy.mode("r.example/a").unwrap(), Mode::Warn);
    let id = key.public().id().to_string();
    let image = Digest::of(b"x");
    assert!(policy.still_trusts("r.example/x", &id, image).unwrap());
    assert!(!policy.still_trusts("r.example/x", "other", image).unwrap());
    for broken in [
        "{",
        r#"[{"prefix":"r.example","mode":"sometimes"}]"#,
        r#"[{"prefix":"r.example","mode":"off","kyes":[]}]"#,
        r#"[{"prefix":"r.example","mode":"off","keys":["missing.pub"]}]"#,
    ] {
        std::fs::write(&file, broken).unwrap();
        assert!(policy.mode("r.example/x").is_err(), "{broken}");
        assert!(policy.mode("r.example/x").is_err(), "{broken}");
    }
    std::fs::remove_file(&file).unwrap();
    assert_eq!(policy.mode("r.example/x").unwrap(), Mode::Off);
}

#[test]
fn wrong_rules_are_refused_with_their_place() {
    let directory = tempfile::tempdir().unwrap();
    let open = |rules: &[Rule]| Policy::open(directory.path(), rules);
    for prefix in [
        "",
        "busybox",
        "library/x",
        "r.example/UPPER",
        "r.example//a",
        "r.example/../x",
    ] {
        let error = open(&[rule(prefix, Mode::Off)]).unwrap_err().to_string();
        assert!(error.contains(&format!("{prefix:?}")), "{error}");
    }
    let twice = [rule("r.example", Mode::Off), rule("r.example/", Mode::Warn)];
    assert!(open(&twice).is_err());
    let mut revoked = rule("r.example", Mode::Off);
    revoked.revoked = vec!["sha256:1".to_owned()];
    assert!(open(&[revoked.clone()]).is_err());
    // It would never be the digest that images are compared by.
    revoked.revoked = vec![format!("sha512:{}", "0".repeat(128))];
    let error = open(&[revoked]).unwrap_err().to_string();
    assert!(error.contains("by their sha256 digest"), "{error}");
    let mut keyed = rule("r.example", Mode::Require);
    keyed.keys = vec!["-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----\n".to_owned()];
    assert!(open(&[keyed]).is_err());
}
