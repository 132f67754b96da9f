//! Images for several platforms, by the unmodified buildx.

use crate::harness::Engine;
use crate::harness::buildx::{build, run, start};
use crate::harness::served::Registry;

const PORT: u16 = 5000;
const BOTH: &str = "--platform=linux/amd64,linux/arm64";
/// Nothing is run that is not this machine's.
const FILE: &str = "FROM --platform=$BUILDPLATFORM busybox AS made\nARG TARGETARCH\n\
                    RUN echo for $TARGETARCH >/made\n\
                    FROM scratch\nCOPY --from=made /made /made\nCMD [\"/made\"]\n";
const FILES: &[(&str, &str)] = &[("Dockerfile", FILE)];

fn write(engine: &Engine, name: &str, text: &str) {
    std::fs::write(engine.dir().join("context").join(name), text).expect("a file");
}

/// Whatever a registry has under a tag or digest.
fn manifest(registry: &Registry, repository: &str, what: &str) -> serde_json::Value {
    let accept = "Accept: application/vnd.oci.image.index.v1+json, \
                  application/vnd.oci.image.manifest.v1+json";
    let path = format!("{repository}/manifests/{what}");
    let text = registry.get(&path, &["-f", "-H", accept]).ok().stdout;
    serde_json::from_str(&text).expect("JSON")
}

/// The platforms of an index, as `architecture`.
fn platforms(index: &serde_json::Value) -> Vec<String> {
    let manifests = index["manifests"].as_array().expect("manifests").iter();
    let name = |one: &serde_json::Value| one["platform"]["architecture"].to_string();
    manifests
        .map(name)
        .map(|name| name.replace('"', ""))
        .collect()
}

#[test]
fn an_index_is_built_pushed_kept_and_pushed_again() {
    let Some(engine) = start(FILES) else { return };
    let registry = Registry::ours(&engine, PORT);
    let name = registry.name("multi:1");
    let built = build(&engine, &[BOTH, "--push", "-t", &name]).ok();
    for words in ["[linux/arm64 stage-1 1/1]", "[linux/amd64 stage-1 1/1]"] {
        assert!(built.stderr.contains(words), "{words}\n{}", built.stderr);
    }
    let index = manifest(&registry, "multi", "1");
    assert_eq!(platforms(&index), ["amd64", "arm64", "unknown", "unknown"]);
    let of = |number: usize| {
        let digest = index["manifests"][number]["digest"].as_str().unwrap();
        manifest(&registry, "multi", digest)["layers"][0]["digest"].to_string()
    };
    assert_ne!(of(0), of(1));
    // Here it is this machine's image, and leaves as all of them.
    assert_eq!(engine.inspect(&name, "{{.Architecture}}"), "amd64");
    let again = registry.name("again:2");
    engine.docker(&["tag", &name, &again]).ok();
    engine.docker(&["builder", "prune", "-af"]).ok();
    engine.docker(&["push", &again]).ok();
    assert_eq!(manifest(&registry, "again", "2"), index);
    // Whose foreign part is used as a base.
    write(
        &engine,
        "foreign",
        &format!("FROM {name}\nCOPY foreign /f\n"),
    );
    let args = ["-f=foreign", "--platform=linux/arm64", "-o=out"];
    build(&engine, &args).ok();
    let made = engine.dir().join("context/out/made");
    assert_eq!(std::fs::read_to_string(made).unwrap(), "for arm64\n");
    assert_eq!(engine.inspect(&name, "{{.Architecture}}"), "amd64");
}

#[test]
fn files_of_each_platform_come_into_their_own_directory() {
    let Some(engine) = start(FILES) else { return };
    build(&engine, &[BOTH, "-o=out", "-o=type=tar,dest=out.tar"]).ok();
    for architecture in ["amd64", "arm64"] {
        let made = format!("linux_{architecture}/made");
        let came = engine.dir().join("context/out").join(&made);
        let text = format!("for {architecture}\n");
        assert_eq!(std::fs::read_to_string(came).unwrap(), text);
        let mut tar = std::process::Command::new("tar");
        let archive = engine.dir().join("context/out.tar");
        let output = tar.arg("xOf").arg(archive).arg(&made).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), text);
    }
    let refused = build(&engine, &[BOTH, "-o=type=docker,dest=x.tar"]).code(1);
    refused.says("docker exporter does not support exporting manifest lists");
    build(&engine, &[BOTH, "-o=type=oci,dest=o.tar", "-t=a"]).ok();
}

#[test]
fn what_is_not_for_this_machine_is_not_run() {
    let Some(engine) = start(FILES) else { return };
    let emulated = std::path::Path::new("/proc/sys/fs/binfmt_misc/qemu-aarch64").exists();
    let program = {
        // The head of a program for arm64, and nothing after it.
        let mut head = *b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\xb7\0\x01\0\0\0";
        head[4] = 2;
        [&head[..], &[0; 100]].concat()
    };
    std::fs::write(engine.dir().join("context/sh"), program).unwrap();
    write(
        &engine,
        "run",
        "FROM scratch\nCOPY --chmod=755 sh /bin/sh\nRUN true\n",
    );
    if !emulated {
        let args = ["-f=run", "--platform=linux/arm64"];
        let failed = build(&engine, &args).code(1);
        assert!(
            failed.stderr.contains("exec format error"),
            "{}",
            failed.stderr
        );
        assert!(
            failed
                .stderr
                .contains("process \"/bin/sh -c true\" did not complete successfully"),
            "{}",
            failed.stderr
        );
    }
    let bake = "target \"base\" {\n  dockerfile = \"Dockerfile\"\n}\n\
        target \"default\" {\n  dockerfile = \"app\"\n  platforms = [\"linux/amd64\", \
        \"linux/arm64\"]\n  contexts = {\n    below = \"target:base\"\n  }\n  \
        output = [\"out\"]\n}\n";
    write(
        &engine,
        "docker-bake.hcl",
        &bake.replace(
            "Dockerfile\"\n",
            "Dockerfile\"\n  \
        platforms = [\"linux/amd64\", \"linux/arm64\"]\n",
        ),
    );
    write(&engine, "app", "FROM below\nCOPY app /app\n");
    run(&engine, &["bake", "--progress=plain"]).ok();
    let made = engine.dir().join("context/out/linux_arm64/made");
    assert_eq!(std::fs::read_to_string(made).unwrap(), "for arm64\n");
}
