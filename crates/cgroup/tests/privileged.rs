//! Real cgroups of this machine, whichever hierarchies it has. Needs root.
#![allow(clippy::unwrap_used, reason = "a failed test says so")]
#![allow(clippy::print_stderr, reason = "skips are seen")]

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use gantry_cgroup::{
    Access, Cgroup, Controller, Cpu, DeviceKind, DeviceRule, Error, FreezerState, Hierarchy,
    HugepageLimit, Memory, Resources,
};

fn possible() -> bool {
    let root = rustix::process::geteuid().is_root();
    let mounted = Hierarchy::current().is_ok();
    if !root || !mounted {
        eprintln!("SKIPPED: needs root and a cgroup file system");
    }
    root && mounted
}

/// A parent of the test's own, removed at the end whatever happens.
struct Parent(String);

impl Parent {
    fn new(name: &str) -> Self {
        Self(format!("/gantry-cgroup-test-{}-{name}", std::process::id()))
    }

    fn create(&self, name: &str, resources: &Resources) -> Result<Cgroup, Error> {
        Cgroup::create(&self.0, name, resources)
    }
}

impl Drop for Parent {
    fn drop(&mut self) {
        if let Ok(group) = Cgroup::open(&self.0) {
            let _ = group.kill_all();
            let _ = group.remove();
        }
    }
}

/// A process that was born in the group.
fn sleeper(group: &Cgroup) -> Child {
    let child = group
        .birth(|_| Command::new("/bin/sleep").arg("100").spawn().unwrap())
        .unwrap();
    // What `clone3` would have done by itself.
    group.add_pid(child.id()).unwrap();
    child
}

#[test]
fn a_life() {
    if !possible() {
        return;
    }
    let parent = Parent::new("life");
    let group = parent.create("x", &Resources::default()).unwrap();
    let mut child = sleeper(&group);
    assert_eq!(group.pids().unwrap(), [child.id()]);
    assert!(matches!(
        parent.create("x", &Resources::default()),
        Err(Error::Populated(_))
    ));
    assert_eq!(
        Cgroup::open(&group.path()).unwrap().pids().unwrap().len(),
        1
    );
    group.kill_all().unwrap();
    assert!(!child.wait().unwrap().success());
    group.remove().unwrap();
    group.remove().unwrap();
    assert!(group.is_gone());
    assert!(Cgroup::open(&group.path()).is_err());
}

#[test]
fn children_are_born_inside_without_waiting() {
    if !possible() || !Hierarchy::current().unwrap().supports(Controller::Pids) {
        return;
    }
    let parent = Parent::new("birth");
    let group = parent
        .create(
            "x",
            &Resources {
                pids: Some(1),
                ..Resources::default()
            },
        )
        .unwrap();
    let mut child = group
        .birth(|_| Command::new("/bin/sleep").arg("100").spawn().unwrap())
        .unwrap();
    let line = std::fs::read_to_string(format!("/proc/{}/cgroup", child.id())).unwrap();
    let v1_path = line.lines().find(|line| line.contains(":pids:"));
    if let Some(line) = v1_path {
        assert!(line.ends_with("/x"), "{line}");
        assert_eq!(group.stats().pids.limit, 1, "the limit is what it was");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    group.remove().unwrap();
}

#[test]
fn frozen_processes_stop_and_die() {
    if !possible() {
        return;
    }
    let parent = Parent::new("freeze");
    let group = parent.create("x", &Resources::default()).unwrap();
    let mut child = sleeper(&group);
    group.freeze().unwrap();
    assert_eq!(group.freezer_state(), FreezerState::Frozen);
    group.thaw().unwrap();
    assert_eq!(group.freezer_state(), FreezerState::Thawed);
    group.freeze().unwrap();
    group.kill_all().unwrap();
    child.wait().unwrap();
    group.remove().unwrap();
}

#[test]
fn limits_are_set_and_measured() {
    if !possible() || !Hierarchy::current().unwrap().supports(Controller::Memory) {
        return;
    }
    let parent = Parent::new("limits");
    let memory = Memory {
        limit: Some(32 << 20),
        reservation: Some(16 << 20),
        swap: Some(32 << 20),
        swappiness: None,
        ..Memory::default()
    };
    let cpu = Cpu {
        shares: Some(512),
        quota: Some(50_000),
        period: Some(100_000),
        cpus: Some("0".to_owned()),
        ..Cpu::default()
    };
    let resources = Resources {
        memory,
        cpu,
        pids: Some(10),
        ..Resources::default()
    };
    let group = parent.create("x", &resources).unwrap();
    let stats = group.stats();
    assert_eq!((stats.memory.limit, stats.pids.limit), (32 << 20, 10));
    // Up beyond the old limit of memory and swap, and down again.
    for limit in [64 << 20, 8 << 20] {
        let memory = Memory {
            limit: Some(limit),
            swap: Some(limit),
            ..Memory::default()
        };
        group
            .update(&Resources {
                memory,
                ..Resources::default()
            })
            .unwrap();
        assert_eq!(group.stats().memory.limit, limit as u64);
    }
    // No limit of memory is none of swap either.
    let memory = Memory {
        limit: Some(-1),
        ..Memory::default()
    };
    let unlimited = Resources {
        memory,
        ..Resources::default()
    };
    group.update(&unlimited).unwrap();
    assert_eq!(group.stats().memory.limit, u64::MAX);
    group.remove().unwrap();
}

#[test]
fn what_cannot_be_limited_is_refused_and_leaves_nothing() {
    if !possible() {
        return;
    }
    let parent = Parent::new("refused");
    let cpu = Cpu {
        cpus: Some("100000".to_owned()),
        ..Cpu::default()
    };
    assert!(
        parent
            .create(
                "x",
                &Resources {
                    cpu,
                    ..Resources::default()
                }
            )
            .is_err()
    );
    let page_size = "../2MB".to_owned();
    let hugepages = vec![HugepageLimit {
        page_size,
        limit: 0,
    }];
    assert!(
        parent
            .create(
                "x",
                &Resources {
                    hugepages,
                    ..Resources::default()
                }
            )
            .is_err()
    );
    assert!(Cgroup::open(&format!("{}/x", parent.0)).is_err());
}

#[test]
fn device_rules_are_taken() {
    if !possible() {
        return;
    }
    let parent = Parent::new("devices");
    let rule = |allow, kind, major, minor| DeviceRule {
        allow,
        kind,
        major,
        minor,
        access: Access::ALL,
    };
    let devices = vec![
        rule(false, DeviceKind::All, None, None),
        rule(true, DeviceKind::Character, Some(1), Some(3)),
        rule(true, DeviceKind::Character, Some(136), None),
    ];
    let group = parent
        .create(
            "x",
            &Resources {
                devices,
                ..Resources::default()
            },
        )
        .unwrap();
    let mut child = sleeper(&group);
    group.kill_all().unwrap();
    child.wait().unwrap();
    group.remove().unwrap();
}

#[test]
fn nested_groups_go_with_their_parent() {
    if !possible() {
        return;
    }
    let parent = Parent::new("nested");
    let outer = parent.create("x", &Resources::default()).unwrap();
    let inner = Cgroup::create(&outer.path(), "inner", &Resources::default()).unwrap();
    let mut child = sleeper(&inner);
    assert_eq!(outer.pids().unwrap(), [child.id()]);
    outer.kill_all().unwrap();
    child.wait().unwrap();
    let start = Instant::now();
    outer.remove().unwrap();
    assert!(inner.is_gone() && start.elapsed() < Duration::from_secs(2));
}

#[test]
fn the_first_groups_of_a_parent_may_come_at_once() {
    if !possible() {
        return;
    }
    for round in 0..20 {
        let parent = Parent::new(&format!("crowd-{round}"));
        std::thread::scope(|scope| {
            for number in 0..8 {
                let parent = &parent;
                scope.spawn(move || {
                    let name = format!("x{number}");
                    let group = parent.create(&name, &Resources::default()).unwrap();
                    let mut child = sleeper(&group);
                    group.kill_all().unwrap();
                    child.wait().unwrap();
                    group.remove().unwrap();
                });
            }
        });
    }
}
