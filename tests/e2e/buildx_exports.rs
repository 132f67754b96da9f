//! What the unmodified buildx lets become of a result: archives, directories, registries,
//! with what is known of it, and the history of builds.

use std::path::{Path, PathBuf};

use crate::harness::buildx::{build, run, start};
use crate::harness::served::Registry;
use crate::harness::{Engine, peers, remark};

const PORT: u16 = 5000;
const FILE: &str = "FROM busybox\nARG V=1\nCOPY f /f\nRUN echo $V >/v\nCMD cat /f /v\n";
const FILES: &[(&str, &str)] = &[("Dockerfile", FILE), ("f", "contents\n")];

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn file(engine: &Engine, name: &str) -> PathBuf {
    engine.dir().join("context").join(name)
}

fn metadata(engine: &Engine) -> serde_json::Value {
    json(&std::fs::read_to_string(file(engine, "md")).expect("a file"))
}

/// An entry of an archive.
fn entry(archive: &Path, name: &str) -> Vec<u8> {
    let mut tar = std::process::Command::new("tar");
    let output = tar
        .arg("xOf")
        .arg(archive)
        .arg(name)
        .output()
        .expect("it works");
    assert!(output.status.success(), "{name}: {output:?}");
    output.stdout
}

/// Whatever a registry has under a tag or digest.
fn manifest(registry: &Registry, repository: &str, what: &str) -> serde_json::Value {
    let accept = "Accept: application/vnd.oci.image.index.v1+json, \
                  application/vnd.oci.image.manifest.v1+json, \
                  application/vnd.docker.distribution.manifest.v2+json";
    let path = format!("{repository}/manifests/{what}");
    json(&registry.get(&path, &["-f", "-H", accept]).ok().stdout)
}

#[test]
fn archives_are_what_docker_and_others_load() {
    let Some(engine) = start(FILES) else { return };
    let both = [
        "-o=type=docker,dest=d.tar",
        "-o=type=oci,dest=o.tar",
        "-o=type=image",
        "-t=built:1",
    ];
    build(&engine, &both).ok();
    let id = engine.inspect("built:1", "{{.Id}}");
    for archive in ["d.tar", "o.tar"] {
        engine.docker(&["rmi", "-f", "built:1"]).ok();
        let archive = file(&engine, archive);
        engine
            .docker(&["load", "-i", &archive.to_string_lossy()])
            .ok()
            .prints("Loaded image: built:1\n");
        assert_eq!(engine.inspect("built:1", "{{.Id}}"), id);
    }
    engine
        .docker(&["run", "--rm", "built:1"])
        .ok()
        .prints("contents\n1\n");
    let index = json(&String::from_utf8(entry(&file(&engine, "o.tar"), "index.json")).unwrap());
    let named = &index["manifests"][0];
    assert_eq!(
        named["annotations"]["io.containerd.image.name"],
        "docker.io/library/built:1"
    );
    // What is wanted within images only is in none of them.
    assert_eq!(
        named["mediaType"],
        "application/vnd.oci.image.manifest.v1+json"
    );
    let refused = build(&engine, &["-o=type=oci,dest=x,rewrite=true"]).code(1);
    refused.says("attribute rewrite of exporter oci is not supported");
}

#[test]
fn layouts_come_file_by_file_and_skopeo_reads_them() {
    let Some(engine) = start(FILES) else { return };
    let args = ["-o=type=oci,dest=layout,tar=false", "-t=built:1"];
    build(&engine, &args).ok();
    // What is there already is not sent again.
    build(&engine, &args).ok();
    let layout = file(&engine, "layout");
    let index = json(&std::fs::read_to_string(layout.join("index.json")).unwrap());
    let digest = index["manifests"][0]["digest"].as_str().unwrap();
    let blob = layout.join("blobs").join(digest.replace(':', "/"));
    let manifest = json(&std::fs::read_to_string(blob).unwrap());
    assert_eq!(manifest["layers"].as_array().unwrap().len(), 3);
    let Some(peers) = peers::folder() else {
        return remark("SKIPPED: skopeo is not installed");
    };
    // Its root file system is another one, but for what is below /var/tmp.
    let seen = tempfile::tempdir_in("/var/tmp").unwrap();
    let copied = seen.path().join("layout");
    let mut copy = std::process::Command::new("cp");
    assert!(
        copy.arg("-r")
            .args([&layout, &copied])
            .status()
            .unwrap()
            .success()
    );
    let looked = std::process::Command::new(peers.join("enter"))
        .args(["skopeo", "inspect", "--config"])
        .arg(format!("oci:{}:1", copied.display()))
        .output()
        .unwrap();
    assert!(looked.status.success(), "{looked:?}");
    assert!(String::from_utf8_lossy(&looked.stdout).contains("\"Cmd\""));
}

#[test]
fn builds_begin_with_images_of_layouts() {
    let more = [
        (
            "on/Dockerfile",
            "FROM base\nRUN cat /v >/w\nCOPY --from=base /f /g\n",
        ),
        ("Dockerfile", FILE),
        ("f", "contents\n"),
    ];
    let Some(engine) = start(&more) else { return };
    let output = "-o=type=oci,dest=layout,tar=false";
    build(&engine, &[output, "-t=there:1"]).ok();
    let context = "--build-context=base=oci-layout://layout:1";
    run(
        &engine,
        &["build", "--progress=plain", context, "-t=built", "on"],
    )
    .ok();
    let show = ["run", "--rm", "built", "cat", "/f", "/v", "/w", "/g"];
    engine
        .docker(&show)
        .ok()
        .prints("contents\n1\n1\ncontents\n");
    assert_eq!(
        engine.inspect("built", "{{.Config.Cmd}}"),
        "[/bin/sh -c cat /f /v]"
    );
    // What was only borrowed is no image, and what is built does without it.
    let images = engine.docker(&["images", "-aq"]).ok().stdout;
    assert_eq!(images.lines().count(), 2, "{images}");
    std::fs::remove_dir_all(file(&engine, "layout/blobs")).expect("a folder");
    let gone = run(
        &engine,
        &["build", "--no-cache", "--progress=plain", context, "on"],
    )
    .code(1);
    gone.says("oci-layout");
    engine.docker(&["builder", "prune", "-af"]).ok();
    engine
        .docker(&show)
        .ok()
        .prints("contents\n1\n1\ncontents\n");
}

#[test]
fn a_push_takes_attestations_along() {
    let Some(engine) = start(FILES) else { return };
    let registry = Registry::ours(&engine, PORT);
    let (one, two) = (registry.name("p/one:1"), registry.name("p/two:x"));
    let args = [
        "--push",
        "--provenance=mode=max",
        "--metadata-file=md",
        "-t",
        &one,
        "-t",
        &two,
    ];
    build(&engine, &args).ok();
    let told = metadata(&engine);
    let digest = told["containerimage.digest"].as_str().unwrap();
    let index = manifest(&registry, "p/one", "1");
    assert_eq!(index, manifest(&registry, "p/two", digest));
    let [image, attested] = &index["manifests"].as_array().unwrap()[..] else {
        panic!("{index}");
    };
    let words = &attested["annotations"];
    assert_eq!(words["vnd.docker.reference.type"], "attestation-manifest");
    assert_eq!(words["vnd.docker.reference.digest"], image["digest"]);
    assert_eq!(attested["platform"]["os"], "unknown");
    let image = manifest(&registry, "p/one", image["digest"].as_str().unwrap());
    assert_eq!(
        image["config"]["digest"],
        told["containerimage.config.digest"]
    );
    let known = manifest(&registry, "p/one", attested["digest"].as_str().unwrap());
    let layer = &known["layers"][0];
    assert_eq!(
        layer["annotations"]["in-toto.io/predicate-type"],
        "https://slsa.dev/provenance/v0.2"
    );
    let blob = format!("p/one/blobs/{}", layer["digest"].as_str().unwrap());
    let statement = json(&registry.get(&blob, &["-f"]).ok().stdout);
    let subject = statement["subject"][0]["name"].as_str().unwrap();
    assert!(subject.starts_with("pkg:docker/127.0.0.1:5000/p/one@1?platform=linux%2F"));
    let predicate = &statement["predicate"];
    assert_eq!(
        predicate["materials"][0]["uri"],
        "pkg:docker/busybox@latest?platform=linux%2Famd64"
    );
    assert!(
        predicate["buildConfig"]["llbDefinition"]
            .as_array()
            .unwrap()
            .len()
            > 2
    );
    assert!(told["buildx.build.provenance"]["buildType"].is_string());

    // The image is found by its index, and pushed again as it is.
    assert_eq!(
        engine.inspect(digest, "{{.Id}}"),
        told["containerimage.config.digest"].as_str().unwrap()
    );
    let again = registry.name("p/again:1");
    engine.docker(&["tag", &one, &again]).ok();
    let pushed = engine.docker(&["push", &again]).ok();
    assert!(
        pushed.stdout.contains(&format!("1: digest: {digest} ")),
        "{}",
        pushed.stdout
    );
    engine.docker(&["rmi", "-f", &one, &two, &again]).ok();
    engine.docker(&["pull", "-q", &again]).ok();
    engine
        .docker(&["run", "--rm", &again])
        .ok()
        .prints("contents\n1\n");
}

#[test]
fn layers_leave_in_the_packing_that_is_wanted() {
    let Some(engine) = start(FILES) else { return };
    let registry = Registry::ours(&engine, PORT);
    let mut number = 0;
    let mut layers = |attributes: &str| -> Vec<String> {
        number += 1;
        let name = registry.name(&format!("c/{number}"));
        let output = format!("-o=type=registry,name={name},{attributes}");
        build(&engine, &["--provenance=false", &output]).ok();
        let manifest = manifest(&registry, &format!("c/{number}"), "latest");
        let layers = manifest["layers"].as_array().unwrap().iter();
        layers
            .map(|layer| {
                let kind = layer["mediaType"].as_str().unwrap();
                kind.rsplit_once("layer.v1.")
                    .map_or(kind, |(_, kind)| kind)
                    .to_owned()
            })
            .collect()
    };
    assert_eq!(
        layers("compression=gzip,force-compression=true"),
        ["tar+gzip"; 3]
    );
    assert_eq!(
        layers("compression=uncompressed,force-compression=true"),
        ["tar"; 3]
    );
    assert_eq!(
        layers("compression=zstd,compression-level=9,force-compression=true"),
        ["tar+zstd"; 3]
    );
    // What came with another image stays as it is.
    let own = layers("compression=gzip");
    assert_eq!(own[1..], ["tar+gzip"; 2]);
    let docker = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    assert_eq!(layers("oci-mediatypes=false"), [docker; 3]);
    let name = registry.name("noted:1");
    build(
        &engine,
        &[
            "--push",
            "--annotation=a.b=c",
            "--annotation=index:d=e",
            "-t",
            &name,
        ],
    )
    .ok();
    let index = manifest(&registry, "noted", "1");
    assert_eq!(index["annotations"]["d"], "e");
    let image = index["manifests"][0]["digest"].as_str().unwrap();
    assert_eq!(
        manifest(&registry, "noted", image)["annotations"]["a.b"],
        "c"
    );
}

#[test]
fn a_registry_that_refuses_is_told_of() {
    let Some(engine) = start(FILES) else { return };
    let failed = build(&engine, &["--push", "-t", "127.0.0.1:1/a/b"]).code(1);
    failed.says("failed to push 127.0.0.1:1/a/b");
}

#[test]
fn the_history_shows_what_is_known() {
    let Some(engine) = start(FILES) else { return };
    build(&engine, &["-t=built", "--metadata-file=md"]).ok();
    let told = metadata(&engine);
    let reference = told["buildx.build.ref"].as_str().unwrap();
    let id = reference.rsplit('/').next().unwrap();
    let listed = run(&engine, &["history", "ls", "--format={{.Ref}}"]).ok();
    assert!(listed.stdout.contains(id), "{}", listed.stdout);
    let shown = run(&engine, &["history", "inspect", id]).ok();
    for words in [
        "pkg:docker/busybox@latest",
        "https://slsa.dev/provenance/v0.2",
    ] {
        assert!(shown.stdout.contains(words), "{words}\n{}", shown.stdout);
    }
    let args = ["history", "inspect", "attachment", "--type=provenance", id];
    let provenance = run(&engine, &args).ok();
    assert!(
        provenance.stdout.contains("buildType"),
        "{}",
        provenance.stdout
    );
    let logs = run(&engine, &["history", "logs", id]).ok();
    let all = logs.stdout + &logs.stderr;
    assert!(all.contains("RUN echo 1 >/v"), "{all}");
    run(&engine, &["history", "rm", id]).ok();
    let listed = run(&engine, &["history", "ls", "--format={{.Ref}}"]).ok();
    assert!(!listed.stdout.contains(id), "{}", listed.stdout);
}
