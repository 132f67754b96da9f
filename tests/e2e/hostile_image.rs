//! Images that have links where the engine mounts things, devices and files where
//! it expects directories: the container gets its own things, and the image's
//! choice of places is not followed.

use crate::gantry_only;
use crate::harness::{Engine, finish, script};

/// A busybox image with links in all the places that mounts go to.
const TRAPS: &str = "set -e; d=$(mktemp -d); mkdir -p $d/bin $d/etc $d/dev $d/aim $d/tmp; \
    cp \"$(command -v busybox)\" $d/bin/busybox; \
    for a in sh cat ls stat df mount readlink grep true; do ln -s busybox $d/bin/$a; done; \
    echo mine >$d/aim/file; \
    ln -s /aim $d/dev/shm; ln -s /aim $d/dev/pts; ln -s /aim $d/dev/mqueue; \
    ln -s /aim/file $d/dev/console; ln -s /aim/file $d/dev/null; \
    ln -s /aim $d/proc; ln -s /aim $d/sys; \
    ln -s /aim/file $d/etc/hosts; ln -s /aim/file $d/etc/resolv.conf; \
    ln -s /aim/file $d/etc/hostname; ln -s /aim/file $d/.dockerenv; \
    tar -C $d --numeric-owner --owner=0 --group=0 -cf \"$OUT\" .; rm -rf $d";

#[test]
fn links_in_the_places_of_mounts_are_not_followed() {
    let engine = Engine::start();
    let tar = engine.dir().join("traps.tar");
    finish(script(TRAPS).env("OUT", &tar), b"").ok();
    engine
        .docker(&["import", &tar.to_string_lossy(), "traps"])
        .ok();
    let look = "grep -c ' /aim' /proc/self/mountinfo; ls /aim; cat /aim/file; \
        for p in /proc /sys /dev/shm /dev/pts; do stat -c '%n %F' $p; done; \
        stat -c '%n %F' /dev/null; grep -c localhost /etc/hosts >/tmp/n; [ \"$(cat /tmp/n)\" -ge 1 ] && echo hosts";
    let seen = engine.docker(&["run", "--rm", "traps", "sh", "-c", look]);
    let expected = "0\nfile\nmine\n/proc directory\n/sys directory\n/dev/shm directory\n\
        /dev/pts directory\n/dev/null character special file\nhosts\n";
    seen.ok().prints(expected);
    // Nor with a terminal, whose console is mounted too.
    let look = "grep -c ' /aim' /proc/self/mountinfo; cat /aim/file";
    let seen = engine.docker(&["run", "-t", "--rm", "traps", "sh", "-c", look]);
    seen.ok().prints("0\r\nmine\r\n");
}

/// Images whose lists of users are a pipe, endless, and a device.
const USERS: &str = "set -e; d=$(mktemp -d); mkdir -p $d/bin $d/etc; \
    cp \"$(command -v busybox)\" $d/bin/busybox; ln -s busybox $d/bin/id; \
    mkfifo $d/etc/passwd; mkfifo $d/etc/group; \
    tar -C $d --numeric-owner --owner=0 --group=0 -cf \"$OUT/pipe.tar\" .; \
    rm $d/etc/passwd; truncate -s 3G $d/etc/passwd; \
    tar -C $d --sparse --numeric-owner --owner=0 --group=0 -cf \"$OUT/huge.tar\" .; \
    rm $d/etc/passwd; mknod $d/etc/passwd c 1 5; \
    tar -C $d --numeric-owner --owner=0 --group=0 -cf \"$OUT/zero.tar\" .; rm -rf $d";

#[test]
fn no_list_of_users_holds_anybody_up() {
    let engine = Engine::start();
    gantry_only!(engine);
    finish(script(USERS).env("OUT", engine.dir()), b"").ok();
    for image in ["pipe", "huge", "zero"] {
        let tar = engine.dir().join(format!("{image}.tar"));
        engine
            .docker(&["import", &tar.to_string_lossy(), image])
            .ok();
        let named = engine.docker(&["run", "--rm", "-u", "ann", image, "id"]);
        assert_ne!(named.code, 0, "{named:?}");
        let group = engine.docker(&["run", "--rm", "--group-add", "staff", image, "id"]);
        assert_ne!(group.code, 0, "{group:?}");
        assert_eq!(engine.docker(&["ps", "-aq"]).ok().stdout, "", "{image}");
    }
}
