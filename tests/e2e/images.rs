//! import, load, tag, images, history, rmi, prune.

use crate::gantry_only;
use crate::harness::api::Api;
use crate::harness::{Engine, busybox_tar, docker_archive, finish, oci_archive, script};

#[test]
fn import_takes_every_compression() {
    let engine = Engine::start();
    let tar = busybox_tar().display().to_string();
    let plain = engine.docker(&["import", &tar, "plain:1"]).ok().line();
    assert!(plain.starts_with("sha256:"), "{plain}");
    let layer = |image: &str| engine.inspect(image, "{{index .RootFS.Layers 0}}");
    for tool in ["gzip", "bzip2", "xz -0", "zstd -q"] {
        let program = tool.split(' ').next().expect("a name");
        // The real Docker runs a program for xz, which the peers do not have.
        let cannot = program == "xz" && !engine.is_gantry();
        if cannot || finish(&mut script(&format!("command -v {program}")), b"").code != 0 {
            crate::harness::remark(&format!("SKIPPED: {program}"));
            continue;
        }
        let packed = engine.dir().join(format!("{program}.packed"));
        finish(
            &mut script(&format!("{tool} -c {tar} >{}", packed.display())),
            b"",
        )
        .ok();
        engine
            .docker(&[
                "import",
                &packed.to_string_lossy(),
                &format!("packed:{program}"),
            ])
            .ok();
        assert_eq!(
            layer(&format!("packed:{program}")),
            layer("plain:1"),
            "{program}"
        );
        engine
            .docker(&["run", "--rm", &format!("packed:{program}"), "echo", "ran"])
            .ok()
            .prints("ran\n");
    }
    let bytes = std::fs::read(&tar).expect("the tar");
    engine
        .docker_with(
            &["import", "-m", "a message", "-c", "ENV A=b", "-", "piped:1"],
            &bytes,
        )
        .ok();
    assert_eq!(
        engine.inspect("piped:1", "{{.Config.Env}} {{.Comment}}"),
        "[A=b] a message"
    );
}

#[test]
fn old_and_new_archives_load() {
    let engine = Engine::start();
    let old = docker_archive(engine.dir());
    let new = oci_archive(engine.dir());
    engine
        .docker(&["load", "-i", &old.to_string_lossy()])
        .ok()
        .prints("Loaded image: archived:v1\n");
    let bytes = std::fs::read(&new).expect("the archive");
    engine
        .docker_with(&["load"], &bytes)
        .ok()
        .prints("Loaded image: oci-archived:v1\n");
    assert_eq!(
        engine.inspect("archived:v1", "{{.Id}}"),
        engine.inspect("oci-archived:v1", "{{.Id}}")
    );
    engine
        .docker(&["run", "--rm", "archived:v1"])
        .ok()
        .prints("from-the-top\n");
    let history = engine
        .docker(&["history", "--format", "{{.CreatedBy}}", "archived:v1"])
        .ok();
    history.prints("top\nbase\n");
    assert_eq!(
        engine.inspect(
            "archived:v1",
            "{{len .RootFS.Layers}} {{.Architecture}} {{.Os}}"
        ),
        "2 amd64 linux"
    );
}

#[test]
fn an_oci_layout_without_dockers_manifest_loads() {
    let engine = Engine::start();
    gantry_only!(engine);
    let layout = oci_archive(engine.dir());
    let text = format!("tar --delete -f {} manifest.json", layout.display());
    finish(&mut script(&text), b"").ok();
    engine
        .docker(&["load", "-i", &layout.to_string_lossy()])
        .ok()
        .prints("Loaded image: oci-archived:v1\n");
    engine
        .docker(&["run", "--rm", "oci-archived:v1"])
        .ok()
        .prints("from-the-top\n");
}

#[test]
fn tags_move_and_images_dangle() {
    let engine = Engine::with_busybox();
    engine.docker(&["tag", "busybox", "mine/app:1"]).ok();
    let id = engine.inspect("mine/app:1", "{{.Id}}");
    assert_eq!(
        engine.inspect("busybox", "{{.RepoTags}}"),
        "[busybox:latest mine/app:1]"
    );
    let tar = busybox_tar().display().to_string();
    engine
        .docker(&["import", "-m", "another", &tar, "mine/app:1"])
        .ok();
    assert_ne!(engine.inspect("mine/app:1", "{{.Id}}"), id);
    engine
        .docker(&["import", "-m", "a third", &tar, "mine/app:1"])
        .ok();
    let dangling = engine
        .docker(&["images", "-q", "--no-trunc", "--filter", "dangling=true"])
        .ok()
        .line();
    assert!(
        dangling.starts_with("sha256:") && dangling.lines().count() == 1,
        "{dangling}"
    );
    let pruned = engine.docker(&["image", "prune", "-f"]).ok().stdout;
    assert!(pruned.contains(&format!("deleted: {dangling}")), "{pruned}");
    engine
        .docker(&["tag", "nothing-here", "x"])
        .code(1)
        .says("No such image: nothing-here");
    engine
        .docker(&["tag", "busybox", "mine/UPPER"])
        .code(1)
        .says("must be lowercase");
}

#[test]
fn rmi_follows_dockers_rules() {
    let engine = Engine::with_busybox();
    let id = engine.inspect("busybox", "{{.Id}}");
    let short = &id["sha256:".len()..][..12];
    engine.docker(&["tag", "busybox", "second:tag"]).ok();
    engine
        .docker(&["rmi", short])
        .code(1)
        .says("image is referenced in multiple repositories");
    engine
        .docker(&["rmi", "second:tag"])
        .ok()
        .prints("Untagged: second:tag\n");
    engine.docker(&["create", "--name", "user", "busybox"]).ok();
    engine
        .docker(&["rmi", "busybox"])
        .code(1)
        .says("is using its referenced image");
    engine
        .docker(&["run", "-d", "--name", "runner", "busybox", "sleep", "1000"])
        .ok();
    engine
        .docker(&["rmi", "-f", short])
        .code(1)
        .says("cannot be forced");
    engine.docker(&["rm", "-f", "user", "runner"]).ok();
    let removed = engine.docker(&["rmi", short]).ok().stdout;
    assert!(
        removed.contains("Untagged: busybox:latest\n")
            && removed.contains(&format!("Deleted: {id}\n")),
        "{removed}"
    );
    engine
        .docker(&["rmi", "busybox"])
        .code(1)
        .says("No such image: busybox");
    engine.docker(&["images", "-aq"]).ok().prints("");
}

#[test]
fn images_lists_and_filters() {
    let engine = Engine::with_busybox();
    engine.docker(&["tag", "busybox", "other/name:v2"]).ok();
    let list = |args: &[&str]| {
        let format = ["images", "--format", "{{.Repository}}:{{.Tag}}"];
        let mut names: Vec<String> = engine
            .docker(&[&format[..], args].concat())
            .ok()
            .stdout
            .lines()
            .map(str::to_owned)
            .collect();
        names.sort();
        names.join(" ")
    };
    assert_eq!(list(&[]), "busybox:latest other/name:v2");
    assert_eq!(list(&["other/name"]), "other/name:v2");
    assert_eq!(list(&["--filter", "reference=busy*"]), "busybox:latest");
    assert_eq!(list(&["--filter", "label=none"]), "");
    let size: u64 = engine
        .inspect("busybox", "{{.Size}}")
        .parse()
        .expect("a number");
    assert!((500_000..8_000_000).contains(&size), "{size}");
}

#[test]
fn hostile_archives_are_refused_and_leave_nothing() {
    let engine = Engine::start();
    gantry_only!(engine);
    let before = tree_size(&engine);
    let cases = [
        (
            "not a tar at all",
            "printf 'this is no archive, only some text that is long enough to be looked at' >$OUT",
        ),
        ("truncated", "head -c 300000 $BUSYBOX >$OUT"),
        (
            "a link upwards",
            "mkdir d; ln -s ../../../../etc d/l; echo x >f; tar -cf $OUT d/l --transform 's,^f,d/l/evil,' f",
        ),
        (
            "dot dot",
            "echo x >f; tar -P -cf $OUT --transform 's,^f,../../evil,' f",
        ),
    ];
    for (name, text) in cases {
        let out = engine.dir().join("hostile.tar");
        let text = format!("set -e; d=$(mktemp -d); cd $d; {text}; rm -rf $d");
        finish(
            script(&text).env("OUT", &out).env("BUSYBOX", busybox_tar()),
            b"",
        )
        .ok();
        let outcome = engine.docker(&["import", &out.to_string_lossy(), "hostile:1"]);
        if name == "a link upwards" {
            // The link resolves inside the root: the file lands there, not on the host.
            assert!(!std::path::Path::new("/etc/evil").exists());
        } else {
            assert_ne!(outcome.code, 0, "{name}: {outcome:?}");
            assert!(
                engine.docker(&["images", "-aq"]).ok().stdout.is_empty(),
                "{name}"
            );
        }
        engine.docker(&["rmi", "-f", "hostile:1"]);
    }
    let wrong = docker_archive(engine.dir());
    let text = format!(
        "set -e; d=$(mktemp -d); cd $d; tar -xf {0}; echo changed >marker; tar -cf l1/layer.tar marker; tar -cf {0} *; rm -rf $d",
        wrong.display()
    );
    finish(&mut script(&text), b"").ok();
    let refused = engine.docker(&["load", "-i", &wrong.to_string_lossy()]);
    assert_ne!(refused.code, 0, "{refused:?}");
    assert!(engine.docker(&["images", "-aq"]).ok().stdout.is_empty());
    crate::run::wait_for(|| tree_size(&engine) <= before + 4);
}

/// Number of files and folders in the stores, without the database.
fn tree_size(engine: &Engine) -> usize {
    let root = engine.data_root();
    let text = format!(
        "find {0}/content {0}/snapshots 2>/dev/null | wc -l",
        root.display()
    );
    finish(&mut script(&text), b"")
        .ok()
        .line()
        .parse()
        .expect("a number")
}

#[test]
fn a_missing_image_is_said() {
    let engine = Engine::start();
    engine
        .docker(&["inspect", "--type", "image", "ghost"])
        .code(1)
        .says("No such image: ghost");
    engine
        .docker(&["create", "--pull", "never", "ghost"])
        .code(1)
        .says("No such image: ghost:latest");
    engine
        .docker(&["history", "ghost"])
        .code(1)
        .says("No such image: ghost");
    engine.docker(&["load", "-i", "/dev/null"]);
}

#[test]
fn a_refused_upload_says_why() {
    let engine = Engine::start();
    gantry_only!(engine);
    // More than fits into a socket's buffers, and wrong from the beginning.
    let wrong = vec![b'x'; 8 << 20];
    for _ in 0..5 {
        let refused = engine.docker_with(&["import", "-", "wrong:1"], &wrong);
        assert_ne!(refused.code, 0);
        assert!(
            !refused.stderr.contains("broken pipe"),
            "{}",
            refused.stderr
        );
    }
}

#[test]
fn an_image_without_layers_loads_as_go_writes_it() {
    let engine = Engine::start();
    let make = "set -e; cd $(mktemp -d); mkdir -p blobs/sha256; \
        sum() { sha256sum \"$1\" | cut -d' ' -f1; }; \
        printf '{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{},\"history\":null,\
\"rootfs\":{\"type\":\"layers\",\"diff_ids\":null}}' >config; c=$(sum config); cp config blobs/sha256/$c; \
        printf '[{\"Config\":\"blobs/sha256/%s\",\"RepoTags\":null,\"Layers\":null}]' $c >manifest.json; \
        tar c manifest.json blobs; rm -r \"$PWD\"";
    let archive = script(make).output().expect("a shell").stdout;
    let loaded = engine.docker_with(&["load"], &archive).ok().line();
    let id = loaded.split_once("Loaded image ID: ").expect("an id").1;
    assert_eq!(engine.inspect(id, "{{json .RepoTags}}"), "[]");
    engine.docker(&["image", "prune", "-f"]).ok();
    engine.docker(&["inspect", id]).code(1);
}

#[test]
fn platforms_and_times_are_told_as_docker_tells_them() {
    let engine = Engine::with_busybox();
    let mut api = Api::connect(&engine);
    for (platform, words) in [
        (
            "%20",
            r#"\" \" is an invalid OS component of \" \": OSAndVersion"#,
        ),
        ("macos/arm64", "operating system is not supported"),
        ("nintendo64", "unknown operating system or architecture"),
    ] {
        let path = format!("/v1.51/images/create?fromSrc=-&repo=x&platform={platform}");
        let refused = api.call("POST", &path, &[0; 1024]).expect(400);
        assert!(refused.body.contains(words), "{refused:?}");
    }
    let filters = r#"{"until":["2001-01-01","2101-01-01"]}"#;
    let filters = filters.replace('"', "%22").replace(['{', '}'], "");
    let path = format!("/v1.51/images/json?filters=%7B{filters}%7D");
    assert_eq!(api.get(&path).expect(200).json(), serde_json::json!([]));
    engine
        .docker(&["images", "--filter", "until=never"])
        .code(1)
        .says("failed to parse value as time or duration: \"never\"");
}

#[test]
fn archives_of_the_first_dockers_load_with_what_they_do_not_say() {
    let engine = Engine::start();
    // Neither a system nor an architecture, and a layer without a byte.
    let text = format!(
        "mkdir -p $1/below $1/top && cd $1 && cp {layer} below/layer.tar && : >top/layer.tar && \
         echo 1.0 | tee below/VERSION top/VERSION && \
         echo '{{\"id\": \"below\", \"created\": \"2014-10-31T16:03:07Z\"}}' >below/json && \
         echo '{{\"id\": \"top\", \"parent\": \"below\", \"created\": \"2014-10-31T16:03:08Z\", \
                 \"config\": {{\"Cmd\": [\"echo\", \"old\"]}}}}' >top/json && \
         echo '{{\"first\": {{\"one\": \"top\"}}}}' >repositories && tar cf ../v1.tar .",
        layer = busybox_tar().display(),
    );
    let dir = engine.dir().join("v1");
    let text = text.replace("$1", &dir.display().to_string());
    finish(&mut script(&text), b"").ok();
    let archive = engine.dir().join("v1.tar").display().to_string();
    let loaded = engine.docker(&["load", "-i", &archive]).ok();
    assert!(
        loaded.stdout.contains("Loaded image: first:one\n"),
        "{loaded:?}"
    );
    engine
        .docker(&["run", "--rm", "first:one"])
        .ok()
        .prints("old\n");
    let told = engine.inspect("first:one", "{{.Os}}/{{.Architecture}} {{.Created}}");
    assert_eq!(told, "linux/amd64 2014-10-31T16:03:08Z");
    // Its names are those that it had: it was tagged when it came, and not again.
    let tagged = || engine.inspect("first:one", "{{.Metadata.LastTagTime}}");
    let before = tagged();
    engine.docker(&["load", "-i", &archive]).ok();
    assert_eq!(tagged(), before);
    let blank = engine.docker(&["rmi", " "]).code(1);
    assert!(
        blank.stderr.contains("image name cannot be blank"),
        "{blank:?}"
    );
}
