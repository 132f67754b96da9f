//! Every mount option that the specification has runtimes know.

use std::fs;

use serde_json::json;

use crate::bundle::Bundle;

/// The options that a mount shows in `/proc/self/mountinfo`: its own, and those
/// of its file system.
fn shown(kind: &str, source: &str, options: &[&str]) -> Result<(String, String), String> {
    let mut bundle = Bundle::new("option");
    bundle.add_mount(
        json!({"destination": "/at", "type": kind, "source": source, "options": options}),
    );
    let (code, out, err) = bundle.sh("grep ' /at ' /proc/self/mountinfo");
    if code != 0 {
        return Err(err);
    }
    let last = out.lines().last().unwrap_or_default();
    let own = last.split(' ').nth(5).unwrap_or_default();
    let whole = last.rsplit(' ').next().unwrap_or_default();
    Ok((own.to_owned(), whole.to_owned()))
}

#[test]
fn attributes_of_a_mount() {
    require!();
    for (options, wanted) in [
        (&["ro"][..], "ro,relatime"),
        (&["rw"], "rw,relatime"),
        (&["defaults"], "rw,relatime"),
        (
            &["nosuid", "nodev", "noexec"],
            "rw,nosuid,nodev,noexec,relatime",
        ),
        (
            &["nosuid", "suid", "nodev", "dev", "noexec", "exec"],
            "rw,relatime",
        ),
        (&["noatime"], "rw,noatime"),
        (&["noatime", "atime"], "rw,relatime"),
        (&["noatime", "relatime"], "rw,relatime"),
        (&["strictatime"], "rw"),
        (&["nodiratime"], "rw,nodiratime,relatime"),
        (&["nodiratime", "diratime"], "rw,relatime"),
        (&["nostrictatime", "norelatime"], "rw,relatime"),
        (&["nosymfollow"], "rw,relatime,nosymfollow"),
        (&["nosymfollow", "symfollow"], "rw,relatime"),
        (
            &[
                "async",
                "loud",
                "silent",
                "iversion",
                "noiversion",
                "nolazytime",
                "nomand",
            ],
            "rw,relatime",
        ),
    ] {
        let (own, _) = shown("tmpfs", "tmpfs", options).unwrap();
        assert_eq!(own, wanted, "{options:?}");
    }
}

#[test]
fn options_of_the_whole_file_system() {
    require!();
    for (options, wanted) in [
        (&["sync"][..], "rw,sync"),
        (&["dirsync"], "rw,dirsync"),
        (&["lazytime"], "rw,lazytime"),
        (&["size=64k", "mode=700"], "rw,size=64k,mode=700"),
    ] {
        let (_, whole) = shown("tmpfs", "tmpfs", options).unwrap();
        assert!(whole.starts_with(wanted), "{options:?}: {whole}");
    }
    let error = shown("tmpfs", "tmpfs", &["nosuchoption"]).unwrap_err();
    assert!(error.contains("nosuchoption"), "{error}");
}

#[test]
fn binds_have_attributes_of_their_own() {
    require!();
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().to_str().unwrap();
    for (options, wanted) in [
        (&["bind", "ro"][..], "ro"),
        (&["bind", "nosuid", "noexec"], "nosuid,noexec"),
        (&["rbind", "rro"], "ro"),
        (&["rbind", "rnosuid", "rnodev"], "nosuid,nodev"),
        (&["bind", "sync", "async", "loud"], "rw"),
    ] {
        let (own, _) = shown("none", source, options).unwrap();
        let words: Vec<&str> = own.split(',').collect();
        assert!(
            wanted.split(',').all(|word| words.contains(&word)),
            "{options:?}: {own}"
        );
    }
    let error = shown("none", source, &["bind", "size=4k"]).unwrap_err();
    assert!(
        error.contains("bind mounts cannot have any filesystem-specific options"),
        "{error}"
    );
}

#[test]
fn a_mount_can_be_changed_by_a_later_one() {
    require!();
    let mut bundle = Bundle::new("remount");
    bundle.add_mount(
        json!({"destination": "/at", "type": "tmpfs", "source": "x", "options": ["nosuid"]}),
    );
    bundle.add_mount(json!({"destination": "/at", "source": "x", "options": ["remount", "ro"]}));
    let (_, out, err) = bundle.sh("grep -c ' /at ro' /proc/self/mountinfo; touch /at/x");
    assert!(out == "1\n" && err.contains("Read-only"), "{out}{err}");
}

#[test]
fn mounts_are_made_in_order_and_from_the_root() {
    require!();
    let mut bundle = Bundle::new("order");
    let sub = bundle.dir.path().join("sub");
    fs::create_dir(&sub).unwrap();
    fs::write(sub.join("file"), "x").unwrap();
    let tmpfs = |at: &str| json!({"destination": at, "type": "tmpfs", "source": "tmpfs"});
    bundle.add_mount(tmpfs("/outer"));
    // A relative destination is one from the root.
    bundle.add_mount(
        json!({"destination": "outer/inner", "type": "bind", "source": sub, "options": ["bind"]}),
    );
    let (_, out, err) = bundle.sh("cat /outer/inner/file; grep -c ' /outer' /proc/self/mountinfo");
    assert_eq!(out, "x2\n", "{err}");
    // The other way round the first one is hidden.
    let mut bundle = Bundle::new("hides");
    bundle.add_mount(
        json!({"destination": "/outer/inner", "type": "bind", "source": sub, "options": ["bind"]}),
    );
    bundle.add_mount(tmpfs("/outer"));
    let (_, out, _) = bundle.sh("ls /outer | busybox wc -l");
    assert_eq!(out.trim(), "0");
}

#[test]
fn propagation_of_mounts_and_of_the_root() {
    require!();
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().to_str().unwrap();
    let fields = |options: &[&str]| {
        let mut bundle = Bundle::new("propagation");
        bundle.add_mount(
            json!({"destination": "/at", "type": "none", "source": source, "options": options}),
        );
        let (_, out, err) = bundle.sh("grep ' /at ' /proc/self/mountinfo");
        let line = out.lines().last().unwrap_or_else(|| panic!("{err}"));
        line.split(" - ")
            .next()
            .unwrap()
            .split(' ')
            .skip(6)
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(fields(&["bind", "private"]), "");
    assert_eq!(fields(&["rbind", "rprivate"]), "");
    assert!(fields(&["bind", "shared"]).contains("shared:"));
    assert!(fields(&["rbind", "rshared"]).contains("shared:"));
    assert!(fields(&["bind", "unbindable"]).contains("unbindable"));
    assert!(fields(&["rbind", "runbindable"]).contains("unbindable"));
    for slave in ["slave", "rslave"] {
        assert!(!fields(&["rbind", slave]).contains("shared:"), "{slave}");
    }
    for (wanted, word) in [("shared", "shared:"), ("unbindable", "unbindable")] {
        let mut bundle = Bundle::new("rootpropagation");
        bundle.set("/linux/rootfsPropagation", json!(wanted));
        let (_, out, err) =
            bundle.sh("grep ' / / ' /proc/self/mountinfo || cat /proc/self/mountinfo");
        let root = out.lines().find(|line| line.split(' ').nth(4) == Some("/"));
        assert!(root.is_some_and(|line| line.contains(word)), "{out}{err}");
    }
}
