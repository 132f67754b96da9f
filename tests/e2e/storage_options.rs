//! `--storage-opt size=`: a container writes so much and no more, where the file system
//! has project quotas.

use crate::gantry_only;
use crate::harness::{Engine, finish, remark, script};

#[test]
fn a_container_writes_what_it_may_and_no_more() {
    let engine = Engine::start();
    gantry_only!(engine);
    let (disk, data) = (engine.dir().join("disk"), engine.data_root());
    let (disk, data) = (disk.display(), data.display());
    let mount = format!("mount -o loop,prjquota {disk} {data}");
    let make = format!(
        "truncate -s 419430400 {disk} && mkfs.ext4 -qF -O quota,project -E quotatype=prjquota {disk} && \
         unshare --mount sh -c '{mount}'"
    );
    if finish(&mut script(&make), b"").code != 0 {
        remark("SKIPPED: storage_options: no file system with project quotas can be made here");
        return;
    }
    let mut engine = engine;
    engine.stop_daemon();
    let mut engine = engine.with_mounts(&mount);
    engine.boot();
    engine.import_busybox();
    let small = ["--storage-opt", "size=8m"];
    let write = "dd if=/dev/zero of=/small bs=1M count=4 2>/dev/null && echo small; \
                 dd if=/dev/zero of=/etc/large bs=1M count=8 2>&1 | grep -o 'Disk quota exceeded'; \
                 df -m / | awk 'NR==2{print $2}'; rm /etc/large; echo x >/etc/more && echo room";
    let run = [
        &["run", "--name", "one"],
        &small[..],
        &["busybox", "sh", "-c", write],
    ]
    .concat();
    let expected = "small\nDisk quota exceeded\n8\nroom\n";
    engine.docker(&run).ok().prints(expected);
    // The same after a restart of the daemon; another container has its own limit.
    engine.kill_daemon();
    engine.boot();
    engine.docker(&["start", "-a", "one"]).ok().prints(expected);
    let other = [
        &["run", "--rm"],
        &small[..],
        &["busybox", "sh", "-c", write],
    ]
    .concat();
    engine.docker(&other).ok();
    let free = [
        "run",
        "--rm",
        "busybox",
        "sh",
        "-c",
        "dd if=/dev/zero of=/x bs=1M count=20",
    ];
    engine.docker(&free).ok();
    for (size, words) in [("abc", "invalid size: 'abc'"), ("-1", "invalid size: '-1'")] {
        let option = format!("size={size}");
        let create = ["create", "--storage-opt", &option, "busybox"];
        engine.docker(&create).code(1).says(words);
    }
    engine.docker(&["rm", "one"]).ok();
    // What the daemon says is for containers that say nothing.
    engine.stop_daemon();
    let mut engine = engine.with_flags(&["--storage-opt", "overlay2.size=8m"]);
    engine.boot();
    let size = "df -m / | awk 'NR==2{print $2}'";
    let all = ["run", "--rm", "busybox", "sh", "-c", size];
    engine.docker(&all).ok().prints("8\n");
    let own = [
        "run",
        "--rm",
        "--storage-opt",
        "size=9m",
        "busybox",
        "sh",
        "-c",
        size,
    ];
    engine.docker(&own).ok().prints("9\n");
    engine.docker(&["ps", "-aq"]).ok().prints("");
    engine.docker(&["rmi", "busybox"]).ok();
    engine.stop_daemon();
    // Without the mount the test's folder is as it was.
    let mut engine = engine.with_mounts("true");
    engine.boot();
}
