//! Cases about the life cycle of snapshots.

use std::collections::BTreeSet;
use std::sync::Arc;

use gantry_types::{ErrorKind, Mount};

use super::Bench;
use super::view::Layer;
use crate::driver::{Status, Usage};

pub(super) fn whole_life(bench: &Bench<'_>) {
    let driver = bench.driver.as_ref();
    assert!(!driver.exists("base"));
    bench.ok(driver.create("active", None));
    assert!(driver.exists("active"));
    let view = bench.view("active");
    view.write("file", "text");
    drop(view);
    bench.ok(driver.sync());
    bench.ok(driver.commit("active", "base", None));
    assert!(!driver.exists("active"));
    assert_eq!(
        bench.ok(driver.status("base")),
        Status {
            key: "base".to_owned(),
            parent: None,
            committed: true
        }
    );
    let read_only = match bench.ok(driver.mounts("base")) {
        Mount::Bind { read_only, .. } => read_only,
        Mount::Overlay { upper, .. } => upper.is_none(),
    };
    assert!(read_only, "a committed snapshot is read-only");
    assert_eq!(bench.view("base").read("file").as_deref(), Some("text"));

    bench.ok(driver.create("container", Some("base")));
    let view = bench.view("container");
    assert_eq!(view.read("file").as_deref(), Some("text"));
    view.write("file", "changed");
    view.write("new", "new");
    drop(view);
    assert_eq!(
        bench.view("container").read("file").as_deref(),
        Some("changed"),
        "changes stay when the mount goes"
    );
    assert_eq!(bench.view("base").read("file").as_deref(), Some("text"));
    assert!(!bench.view("base").exists("new"));
    let parent = bench.ok(driver.status("container")).parent;
    assert_eq!(parent.as_deref(), Some("base"));
    assert_eq!(driver.list().len(), 2);

    bench.ok(driver.commit("container", "second", Some("base")));
    let view = bench.view("second");
    assert_eq!(view.read("file").as_deref(), Some("changed"));
    drop(view);
    bench.ok(driver.remove("second"));
    bench.ok(driver.remove("base"));
    assert!(driver.list().is_empty());
}

pub(super) fn refusals(bench: &Bench<'_>) {
    let driver = bench.driver.as_ref();
    let kind = |error: crate::Error| error.kind();
    let not_found = ErrorKind::NotFound;
    bench.layer("base", None, &Layer::new().file("a", "a"));
    bench.ok(driver.create("active", Some("base")));
    for (error, expected) in [
        (
            bench.refused(driver.create("active", None)),
            ErrorKind::AlreadyExists,
        ),
        (
            bench.refused(driver.create("base", None)),
            ErrorKind::AlreadyExists,
        ),
        (
            bench.refused(driver.create("x", Some("missing"))),
            not_found,
        ),
        (
            bench.refused(driver.create("x", Some("active"))),
            ErrorKind::Conflict,
        ),
        (
            bench.refused(driver.commit("missing", "x", None)),
            not_found,
        ),
        (
            bench.refused(driver.commit("base", "x", None)),
            ErrorKind::Conflict,
        ),
        (
            bench.refused(driver.commit("active", "base", Some("base"))),
            ErrorKind::AlreadyExists,
        ),
        (
            bench.refused(driver.commit("active", "x", Some("other"))),
            ErrorKind::InvalidArgument,
        ),
        (
            bench.refused(driver.unpack_target("base").map(drop)),
            ErrorKind::Conflict,
        ),
        (bench.refused(driver.remove("missing")), not_found),
        (bench.refused(driver.mounts("missing")), not_found),
        (bench.refused(driver.status("missing")), not_found),
        (bench.refused(driver.usage("missing")), not_found),
        (
            bench.refused(driver.unpack_target("missing").map(drop)),
            not_found,
        ),
    ] {
        let text = error.to_string();
        assert_eq!(kind(error), expected, "{text}");
    }
    assert!(!driver.exists("x"), "a refusal leaves nothing");
    bench.ok(driver.commit("active", "x", Some("base")));
}

pub(super) fn parents_are_kept(bench: &Bench<'_>) {
    let driver = bench.driver.as_ref();
    bench.layer("base", None, &Layer::new().file("a", "a"));
    bench.ok(driver.create("child", Some("base")));
    let error = bench.refused(driver.remove("base"));
    assert!(error.to_string().contains("child"), "{error}");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(bench.view("child").read("a").as_deref(), Some("a"));
    bench.ok(driver.remove("child"));
    bench.ok(driver.remove("base"));
}

pub(super) fn records_survive(bench: &Bench<'_>) {
    bench.layer("base", None, &Layer::new().file("a", "a"));
    bench.ok(bench.driver.create("active", Some("base")));
    bench.view("active").write("b", "b");
    let again = bench.reopen(Arc::clone(&bench.records));
    let sorted = |mut list: Vec<Status>| {
        list.sort_by(|one, other| one.key.cmp(&other.key));
        list
    };
    assert_eq!(sorted(again.list()), sorted(bench.driver.list()));
    let mount = bench.ok(again.mounts("active"));
    assert_eq!(mount, bench.ok(bench.driver.mounts("active")));
    assert_eq!(bench.view("active").read("b").as_deref(), Some("b"));
}

pub(super) fn usage(bench: &Bench<'_>) {
    let driver = bench.driver.as_ref();
    let layer = Layer::new().directory("d").file("d/a", "12345").link(
        "d/b",
        gantry_archive::tar::Kind::HardLink,
        "d/a",
    );
    bench.layer("base", None, &layer);
    for _ in 0..2 {
        let expected = Usage {
            bytes: 5,
            inodes: 3,
        };
        assert_eq!(bench.ok(driver.usage("base")), expected);
    }
    bench.ok(driver.create("active", Some("base")));
    let before = bench.ok(driver.usage("active"));
    bench.view("active").write("new", "1234567");
    let after = bench.ok(driver.usage("active"));
    assert_eq!(after.bytes - before.bytes, 7);
    assert_eq!(after.inodes - before.inodes, 1);
}

pub(super) fn parallel_creation(bench: &Bench<'_>) {
    let driver = bench.driver.as_ref();
    bench.layer("base", None, &Layer::new().file("a", "a"));
    std::thread::scope(|scope| {
        for thread in 0..8 {
            scope.spawn(move || {
                for number in 0..10 {
                    let key = format!("{thread}-{number}");
                    bench_free(driver.create(&key, Some("base")));
                    if number % 3 == 0 {
                        bench_free(driver.remove(&key));
                    }
                }
            });
        }
    });
    let mut mounts = BTreeSet::new();
    let list = driver.list();
    assert_eq!(list.len(), 8 * 6 + 1);
    for status in list.iter().filter(|status| !status.committed) {
        mounts.insert(format!("{:?}", bench.ok(driver.mounts(&status.key))));
    }
    assert_eq!(mounts.len(), 8 * 6, "nobody shares a directory");

    // One name for many: exactly one gets it.
    let created: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| usize::from(driver.create("one", Some("base")).is_ok())))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("create does not panic"))
            .sum()
    });
    assert_eq!(created, 1);
}

/// Like [`Bench::ok`], for threads that cannot share the bench.
fn bench_free<T>(result: Result<T, crate::Error>) -> T {
    super::ok("parallel creation", result)
}
