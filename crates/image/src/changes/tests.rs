//! One change at a time, as Docker does it.

use super::*;

fn changed(changes: &[&str]) -> ProcessConfig {
    let changes: Vec<String> = changes.iter().map(|change| (*change).to_owned()).collect();
    apply(ProcessConfig::default(), &changes).unwrap()
}

fn refused(change: &str) -> String {
    apply(ProcessConfig::default(), &[change.to_owned()])
        .unwrap_err()
        .to_string()
}

fn words(words: &[&str]) -> Option<Vec<String>> {
    Some(words.iter().map(|word| (*word).to_owned()).collect())
}

#[test]
fn commands_in_both_forms() {
    assert_eq!(changed(&[r#"CMD ["a", "b c"]"#]).cmd, words(&["a", "b c"]));
    assert_eq!(
        changed(&["cmd echo $x"]).cmd,
        words(&["/bin/sh", "-c", "echo $x"])
    );
    assert_eq!(changed(&["CMD [a]"]).cmd, words(&["/bin/sh", "-c", "[a]"]));
    let both = changed(&["CMD [\"a\"]", "ENTRYPOINT [\"b\"]"]);
    assert_eq!((both.cmd, both.entrypoint), (words(&["a"]), words(&["b"])));
    assert_eq!(changed(&["ENTRYPOINT []"]).entrypoint, None);
}

#[test]
fn variables_and_quotes() {
    let config = changed(&[
        "ENV A=1 B=\"two words\" C='$A' D=$A-${B} E=\\$A",
        "ENV F the rest  of it",
        "ENV A=9 G=${X:-none}${A:+some}",
        "WORKDIR /srv/$A",
        "USER ${B}",
    ]);
    let expected = [
        "A=9",
        "B=two words",
        "C=$A",
        "D=-",
        "E=$A",
        "F=the rest  of it",
        "G=nonesome",
    ];
    assert_eq!(config.env, words(&expected));
    assert_eq!(config.working_dir, "/srv/9");
    assert_eq!(config.user, "two words");
}

#[test]
fn sets_and_paths() {
    let config = changed(&[
        "EXPOSE 80 443/udp 8000-8002",
        "VOLUME /a /b",
        "VOLUME [\"/c d\"]",
        "LABEL a=b \"c d\"=e",
        "WORKDIR a",
        "WORKDIR ../b/./c/",
        "ONBUILD RUN x  y",
        "STOPSIGNAL sigusr1",
    ]);
    let keys = |set: Option<BTreeMap<String, serde_json::Value>>| -> Vec<String> {
        set.unwrap().into_keys().collect()
    };
    let ports = ["443/udp", "80/tcp", "8000/tcp", "8001/tcp", "8002/tcp"];
    assert_eq!(keys(config.exposed_ports), ports);
    assert_eq!(keys(config.volumes), ["/a", "/b", "/c d"]);
    assert_eq!(config.labels.unwrap()["c d"], "e");
    assert_eq!(config.working_dir, "/b/c");
    assert_eq!(config.on_build, words(&["RUN x  y"]));
    assert_eq!(config.stop_signal.as_deref(), Some("sigusr1"));
}

#[test]
fn health_checks() {
    let check = changed(&["HEALTHCHECK --interval=1m30s --retries=3 CMD curl -f x"]).healthcheck;
    let expected = serde_json::json!({
        "Test": ["CMD-SHELL", "curl -f x"], "Interval": 90_000_000_000_i64, "Retries": 3
    });
    assert_eq!(check, Some(expected));
    let none = changed(&["HEALTHCHECK NONE"]).healthcheck;
    assert_eq!(none, Some(serde_json::json!({"Test": ["NONE"]})));
    assert!(refused("HEALTHCHECK --interval=5 CMD x").contains("missing unit"));
    assert!(refused("HEALTHCHECK RUN x").contains("try CMD"));
}

#[test]
fn wrong_changes_are_named() {
    assert_eq!(refused("RUN x"), "RUN is not a valid change command");
    assert_eq!(refused("EXPOSE x"), "invalid containerPort: x");
    assert!(refused("ENV a").contains("ENV"));
    assert!(refused("ONBUILD FROM x").contains("isn't allowed"));
    assert!(refused("STOPSIGNAL nope").contains("nope"));
    assert_eq!(
        refused("ENV A=\"x"),
        "failed to process \"\\\"x\": unexpected end of statement while looking for matching double-quote"
    );
    assert_eq!(refused(""), "file with no instructions");
}

#[test]
fn lines_are_joined_and_comments_dropped() {
    let config = changed(&["ENV A=1 \\\n  B=2\n# no\n\nUSER x"]);
    assert_eq!(config.env, words(&["A=1", "B=2"]));
    assert_eq!(config.user, "x");
}

proptest::proptest! {
    #[test]
    fn foreign_text_never_panics(text in "(ENV|LABEL|CMD|EXPOSE|HEALTHCHECK|VOLUME) [ -~é]{0,60}") {
        let _ = apply(ProcessConfig::default(), &[text]);
    }
}
