//! What is known of a result of the unmodified buildx beside its files: what scanners
//! find, where it came from, and that it is the same on any machine.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::buildx::{build, run, start};
use crate::harness::{Engine, folder};

const FILE: &str = "FROM busybox\nCOPY f /f\nRUN mkdir /d && echo x >/d/v\n";
const FILES: &[(&str, &str)] = &[("Dockerfile", FILE), ("f", "contents\n")];

/// A scanner: it says what is at the top of what it looks at.
const SCAN: &str = r#"test "$BUILDKIT_SCAN_WORD" = hello || exit 3
! touch "$BUILDKIT_SCAN_SOURCE/x" 2>/dev/null || exit 4
cat > "$BUILDKIT_SCAN_DESTINATION/sbom.spdx.json" <<END
{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"https://spdx.dev/Document",
"predicate":{"spdxVersion":"SPDX-2.3","name":"$(ls $BUILDKIT_SCAN_SOURCE | tr '\n' ' ')"}}
END
"#;

fn json(path: &Path) -> Value {
    let text = std::fs::read_to_string(path);
    let text = text.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn file(engine: &Engine, name: &str) -> PathBuf {
    engine.dir().join("context").join(name)
}

/// A document of a layout.
fn document(layout: &Path, of: &Value) -> Value {
    let digest = of["digest"].as_str().expect("a digest");
    json(&layout.join("blobs").join(digest.replace(':', "/")))
}

/// A scanner of the name `scanner`.
fn scanner(engine: &Engine, text: &str) {
    let file = "FROM busybox\nCOPY scan /scan\nWORKDIR /etc\nCMD [\"sh\",\"/scan\"]\n";
    let scanner = folder(engine, "scanner", &[("Dockerfile", file), ("scan", text)]);
    let path = scanner.to_string_lossy().into_owned();
    engine.docker(&["build", "-q", "-t=scanner", &path]).ok();
}

const SBOM: &str = "--attest=type=sbom,generator=scanner,WORD=hello";

#[test]
fn scanners_look_at_results() {
    let Some(engine) = start(FILES) else { return };
    scanner(&engine, SCAN);
    let both = [
        SBOM,
        "--provenance=mode=max",
        "-t=built:1",
        "-o=type=local,dest=files",
        "-o=type=tar,dest=files.tar",
        "-o=type=oci,tar=false,dest=layout",
    ];
    let told = build(&engine, &both).ok();
    told.says("generating sbom using docker.io/library/scanner:latest");
    let statement = json(&file(&engine, "files/sbom.spdx.json"));
    let name = statement["predicate"]["name"].as_str().unwrap();
    assert!(
        name.contains("bin") && name.ends_with(" f home root tmp var "),
        "{name}"
    );
    let subjects = statement["subject"].as_array().unwrap();
    let paths: Vec<&str> = subjects
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert!(
        paths.contains(&"bin/busybox") && paths.contains(&"d/v"),
        "{paths:?}"
    );
    assert!(paths.is_sorted() && !paths.contains(&"d"), "{paths:?}");
    let provenance = json(&file(&engine, "files/provenance.json"));
    assert_eq!(provenance["subject"], statement["subject"]);
    assert!(provenance["predicate"]["buildConfig"].is_object());
    let listed = std::process::Command::new("tar")
        .arg("tf")
        .arg(file(&engine, "files.tar"))
        .output()
        .unwrap();
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(
        listed.ends_with("provenance.json\nsbom.spdx.json\n"),
        "{listed}"
    );

    let layout = file(&engine, "layout");
    let root = &json(&layout.join("index.json"))["manifests"][0];
    let index = document(&layout, root);
    let known = document(&layout, &index["manifests"][1]);
    let [sbom, _] = &known["layers"].as_array().unwrap()[..] else {
        panic!("{known}");
    };
    let kind = &sbom["annotations"]["in-toto.io/predicate-type"];
    assert_eq!(kind, "https://spdx.dev/Document");
    let within = document(&layout, sbom);
    assert_eq!(within["predicate"], statement["predicate"]);
    let subject = within["subject"][0]["name"].as_str().unwrap();
    assert!(
        subject.starts_with("pkg:docker/built@1?platform="),
        "{subject}"
    );
    // The history knows it, too.
    let args = ["history", "inspect", "attachment", "--type=sbom"];
    let kept = run(&engine, &args).ok().stdout;
    assert!(kept.contains("SPDX-2.3"), "{kept}");
    // What was scanned is not scanned again.
    build(&engine, &[SBOM, "-t=built:1"]).ok().says("CACHED");
    assert_eq!(engine.docker(&["ps", "-aq"]).ok().stdout, "");
}

#[test]
fn scanners_that_fail_or_lie_are_told_of() {
    let Some(engine) = start(FILES) else { return };
    scanner(&engine, SCAN);
    let failed = build(&engine, &["--attest=type=sbom,generator=scanner"]).code(1);
    failed.says("exit code: 3");
    for (text, says) in [
        (
            "ln -s /etc/passwd /run/out/x.json",
            "x.json is not a regular file",
        ),
        (
            "echo '{' > /run/out/sbom.spdx.json",
            "cannot decode in-toto statement",
        ),
        (
            r#"echo '{"predicateType":"https://slsa.dev/provenance/v1"}' > /run/out/x"#,
            "does not match required predicate type",
        ),
    ] {
        scanner(&engine, text);
        build(&engine, &["--attest=type=sbom,generator=scanner"])
            .code(1)
            .says(says);
    }
    // One that finds nothing says nothing.
    scanner(&engine, "true");
    build(
        &engine,
        &[SBOM, "--provenance=false", "-o=type=local,dest=out"],
    )
    .ok();
    assert!(!file(&engine, "out/sbom.spdx.json").exists());
    let away = build(&engine, &["--attest=type=sbom,generator=127.0.0.1:1/none"]).code(1);
    away.says("127.0.0.1:1");
}

#[test]
fn packages_are_listed_where_no_scanner_can_be_had() {
    let file_text =
        "FROM busybox\nCOPY installed /lib/apk/db/installed\nCOPY rel /etc/os-release\n";
    let files = [
        ("Dockerfile", file_text),
        ("installed", "P:musl\nV:1.2.4-r2\nA:x86_64\nL:MIT\n\n"),
        ("rel", "ID=alpine\nVERSION_ID=3.18.4\n"),
    ];
    let Some(engine) = start(&files) else { return };
    let args = [
        "--sbom=true",
        "--build-arg=SOURCE_DATE_EPOCH=7",
        "-o=type=local,dest=out",
    ];
    build(&engine, &args)
        .ok()
        .says("only packages of dpkg and apk are listed");
    let found = json(&file(&engine, "out/sbom.spdx.json"))["predicate"].clone();
    assert_eq!(
        found["packages"][0]["externalRefs"][0]["referenceLocator"],
        "pkg:apk/alpine/musl@1.2.4-r2?arch=x86_64&distro=alpine-3.18.4"
    );
    assert_eq!(found["packages"][0]["licenseDeclared"], "MIT");
    assert_eq!(found["creationInfo"]["created"], "1970-01-01T00:00:07Z");
}

#[test]
fn the_same_files_are_the_same_image_at_any_time() {
    let Some(engine) = start(FILES) else { return };
    let mut digests = Vec::new();
    for number in 0..2 {
        let dest = format!("layout{number}");
        let output = format!("-o=type=oci,tar=false,dest={dest},rewrite-timestamp=true");
        let epoch = "--build-arg=SOURCE_DATE_EPOCH=1000000000";
        let args = ["--provenance=false", "--no-cache", epoch, &output];
        build(&engine, &args).ok();
        let root = json(&file(&engine, &dest).join("index.json"));
        digests.push(root["manifests"][0]["digest"].as_str().unwrap().to_owned());
        std::thread::sleep(std::time::Duration::from_millis(1100));
    }
    assert_eq!(digests[0], digests[1]);
    let epoch = "--build-arg=SOURCE_DATE_EPOCH=1000000000";
    build(
        &engine,
        &[epoch, "-o=type=local,dest=out", "-o=type=tar,dest=out.tar"],
    )
    .ok();
    let found = std::fs::metadata(file(&engine, "out/d/v")).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::mtime(&found), 1_000_000_000);
    let listed = std::process::Command::new("tar")
        .arg("tvf")
        .arg(file(&engine, "out.tar"))
        .env("TZ", "UTC")
        .output()
        .unwrap();
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(
        listed.lines().all(|line| line.contains("2001-09-09 01:46")),
        "{listed}"
    );
}
