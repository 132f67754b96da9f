//! Volumes where recorded answers do not reach: crashes, links that lead out of
//! them, two clients at once, and what is left on the host.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::crash::Moments;
use crate::gantry_only;
use crate::harness::{Engine, script};
use crate::run::wait_for;

/// How often the daemon is killed.
const KILLS: u32 = 20;

#[test]
fn kills_neither_leak_nor_lose_volumes() {
    let mut engine = Engine::with_busybox();
    gantry_only!(engine);
    let mut moments = Moments::from_environment();
    for round in 0..KILLS {
        let acknowledged = engine.dir().join("acknowledged");
        let _ = std::fs::remove_file(&acknowledged);
        // A word is written only after the client was told that it is done.
        let work = format!(
            "export DOCKER_HOST={} A={}; \
             for w in 1 2; do (for i in 1 2 3 4; do n=v{round}-$w-$i; \
               docker create --name $n -v /bin -v /anon -v $n:/named busybox true && echo created $n >>$A; \
               docker run --rm -v /anon -v $n:/named busybox sh -c 'echo kept >/named/f' && echo wrote $n >>$A; \
               [ $((i % 2)) = 0 ] && echo removing $n >>$A && docker rm -v $n; done) & done; wait",
            engine.host(),
            acknowledged.display()
        );
        engine.kill_during(&work, Duration::from_micros(moments.next(1_500_000)));
        let said = std::fs::read_to_string(&acknowledged).unwrap_or_default();
        check(&engine, &said);
        let all = engine.docker(&["ps", "-aq"]).ok().stdout;
        for id in all.lines() {
            engine.docker(&["rm", "-fv", id]).ok();
        }
        assert_eq!(anonymous(&engine, &[]), "", "round {round}");
    }
}

/// What was acknowledged is there, and nothing else.
fn check(engine: &Engine, said: &str) {
    let listed = engine.docker(&["volume", "ls", "-q"]).ok().stdout;
    let listed: BTreeSet<&str> = listed.lines().collect();
    for line in said.lines() {
        let (word, name) = line.split_once(' ').expect("two words");
        // Said before it is done, and maybe of what was never made.
        if word == "removing" {
            continue;
        }
        let named = engine.data_root().join("volumes").join(name).join("_data");
        assert!(listed.contains(name), "{line}: {listed:?}");
        if word == "wrote" {
            let text = std::fs::read_to_string(named.join("f")).expect("what was written");
            assert_eq!(text, "kept\n", "{line}");
        }
        // Whether it is gone by now, nobody was told.
        let gone = said.contains(&format!("removing {name}\n"));
        if word == "created" && !gone {
            let format = "{{range .Mounts}}{{.Destination}}={{.Source}} {{end}}";
            let mounts = engine.inspect(name, format);
            assert_eq!(mounts.split_whitespace().count(), 3, "{line}: {mounts}");
            for mount in mounts.split_whitespace() {
                let (place, source) = mount.split_once('=').expect("a pair");
                let files = std::fs::read_dir(source).expect("a volume's directory");
                assert!(place != "/bin" || files.count() > 10, "{line}: {mount}");
            }
        }
    }
    // Ended containers with --rm go in a moment.
    wait_for(|| anonymous(engine, &["--filter", "dangling=true"]).is_empty());
    // And no directory is there that is no volume.
    wait_for(|| {
        let listed = engine.docker(&["volume", "ls", "-q"]).ok().stdout;
        let listed: BTreeSet<String> = listed.lines().map(str::to_owned).collect();
        let found = std::fs::read_dir(engine.data_root().join("volumes")).expect("volumes");
        let found = found.map(|entry| entry.expect("one").file_name());
        let found: BTreeSet<String> = found
            .map(|name| name.to_string_lossy().into_owned())
            .filter(|name| ![".trash", ".making"].contains(&name.as_str()))
            .collect();
        found == listed
    });
}

fn anonymous(engine: &Engine, more: &[&str]) -> String {
    let mut args = vec!["volume", "ls", "-q"];
    args.extend(["--filter", "label=com.docker.volume.anonymous"]);
    args.extend(more);
    engine.docker(&args).ok().stdout
}

#[test]
fn links_do_not_lead_out_of_a_volume() {
    let engine = Engine::with_busybox();
    let plant = "mkdir /v/etc; echo own >/v/etc/passwd; ln -s /etc /v/absolute; \
                 ln -s ../../../../../../etc /v/up; ln -s / /v/root; mkdir /v/sub";
    engine
        .docker(&["run", "--rm", "-v", "vol:/v", "busybox", "sh", "-c", plant])
        .ok();
    for part in ["absolute", "up", "root/etc"] {
        let mount = format!("type=volume,src=vol,dst=/x,volume-subpath={part}");
        engine
            .docker(&["run", "--rm", "--mount", &mount, "busybox", "true"])
            .code(125)
            .says("escapes the base directory");
    }
    let mount = "type=volume,src=vol,dst=/x,volume-subpath=sub";
    let up = engine.docker(&["run", "--rm", "--mount", mount, "busybox", "ls", "/x/.."]);
    assert!(
        up.ok().stdout.starts_with("bin\n"),
        "the container's own root"
    );
}

#[test]
fn what_is_mounted_for_a_volume_is_not_mounted_on_the_host() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let create = [
        "volume",
        "create",
        "--opt",
        "type=tmpfs",
        "--opt",
        "device=tmpfs",
        "mem",
    ];
    engine.docker(&create).ok();
    let run = [
        "run", "-d", "-i", "--name", "holder", "-v", "mem:/m", "busybox", "cat",
    ];
    engine.docker(&run).ok();
    let table = format!("/proc/{}/mountinfo", engine.pid());
    let table = std::fs::read_to_string(table).expect("the daemon's mounts");
    assert!(!table.contains("volumes/mem"), "{table}");
    engine.docker(&["exec", "holder", "touch", "/m/here"]).ok();
    let two = std::thread::scope(|scope| {
        let look = || {
            let run = ["run", "--rm", "-v", "mem:/x", "busybox", "ls", "/x"];
            engine.docker(&run).ok().stdout
        };
        let both = [scope.spawn(look), scope.spawn(look)];
        both.map(|thread| thread.join().expect("an answer"))
    });
    assert_eq!(two, ["here\n", "here\n"]);
    engine.docker(&["rm", "-f", "holder"]).ok();
    engine
        .docker(&["run", "--rm", "-v", "mem:/x", "busybox", "ls", "/x"])
        .ok()
        .prints("");
}

#[test]
fn containers_that_come_and_go_share_a_volume_in_memory() {
    let engine = Engine::with_busybox();
    let create = ["volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs"];
    engine.docker(&[&create[..], &["mem"]].concat()).ok();
    // Each has what the one before has, or nothing, when that has just ended.
    let work = "cat /m/* >/dev/null 2>&1; echo $HOSTNAME >/m/$HOSTNAME && cat /m/$HOSTNAME";
    std::thread::scope(|scope| {
        for worker in 0..3 {
            let engine = &engine;
            scope.spawn(move || {
                for round in 0..8 {
                    let name = format!("h{worker}-{round}");
                    let access = if round % 3 == 2 {
                        "mem:/m:ro"
                    } else {
                        "mem:/m"
                    };
                    let (program, expected) = match access {
                        "mem:/m" => (work, format!("{name}\n")),
                        _ => ("ls /m >/dev/null", String::new()),
                    };
                    let run = ["run", "--rm", "-h", &name, "-v", access];
                    let run = [&run[..], &["busybox", "sh", "-c", program]].concat();
                    engine.docker(&run).ok().prints(&expected);
                }
            });
        }
    });
}

#[test]
fn a_new_volume_is_made_once_however_many_want_it() {
    let engine = Engine::with_busybox();
    let counts = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6)
            .map(|_| {
                scope.spawn(|| {
                    let count = "ls /bin | wc -l";
                    let run = [
                        "run",
                        "--rm",
                        "-v",
                        "many:/bin",
                        "busybox",
                        "busybox",
                        "sh",
                        "-c",
                        count,
                    ];
                    engine.docker(&run).ok().line()
                })
            })
            .collect();
        let ended = threads.into_iter();
        ended
            .map(|thread| thread.join().expect("an answer"))
            .collect::<BTreeSet<String>>()
    });
    assert!(!counts.contains("0"), "{counts:?}");
    if engine.is_gantry() {
        assert_eq!(counts.len(), 1, "{counts:?}");
    }
    engine.docker(&["volume", "rm", "many"]).ok();
}

#[test]
fn a_file_system_in_a_file_has_one_device_for_all() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let image = engine.dir().join("an image").display().to_string();
    let make = format!("truncate -s 16M '{image}' && mkfs.ext4 -q '{image}'");
    let made = script(&make).output().expect("a shell");
    if !made.status.success() {
        crate::harness::remark("SKIPPED: there is no mkfs.ext4 here");
        return;
    }
    let device = format!("device={image}");
    let create = [
        "volume",
        "create",
        "-o",
        "type=ext4",
        "-o",
        &device,
        "-o",
        "o=noatime,loop",
        "disk",
    ];
    engine.docker(&create).ok();
    let devices = || {
        let all = std::fs::read_dir("/sys/block").expect("block devices");
        let files = all.map(|entry| entry.expect("one").path().join("loop/backing_file"));
        let shown = files.filter_map(|file| std::fs::read_to_string(file).ok());
        shown.filter(|text| text.trim_end() == image).count()
    };
    let holder = ["run", "-d", "--name", "holder", "-v", "disk:/d", "busybox"];
    let work = ["sh", "-c", "echo kept >/d/file; sleep 1000"];
    engine.docker(&[&holder[..], &work[..]].concat()).ok();
    let look = ["run", "--rm", "-v", "disk:/x:ro", "busybox", "sh", "-c"];
    let both = "until cat /x/file; do :; done; grep -c ' /x ext4 ro' /proc/mounts";
    engine
        .docker(&[&look[..], &[both]].concat())
        .ok()
        .prints("kept\n1\n");
    assert_eq!(devices(), 1);
    engine.docker(&["rm", "-f", "holder"]).ok();
    wait_for(|| devices() == 0);
    engine
        .docker(&[&look[..], &["cat /x/file"]].concat())
        .ok()
        .prints("kept\n");
    wait_for(|| devices() == 0);
    let part = "type=volume,src=disk,dst=/p,volume-subpath=sub/dir";
    engine
        .docker(&[
            "run",
            "--rm",
            "-v",
            "disk:/d",
            "busybox",
            "mkdir",
            "-p",
            "/d/sub/dir/in",
        ])
        .ok();
    engine
        .docker(&["run", "--rm", "--mount", part, "busybox", "ls", "/p"])
        .ok()
        .prints("in\n");
    let layers = engine.dir().join("lower").display().to_string();
    std::fs::create_dir_all(format!("{layers}/one/a")).expect("a folder");
    std::fs::create_dir_all(format!("{layers}/two/b")).expect("a folder");
    let lower = format!("o=lowerdir={layers}/one:{layers}/two");
    let overlay = [
        "volume",
        "create",
        "-o",
        "type=overlay",
        "-o",
        "device=overlay",
        "-o",
        &lower,
        "both",
    ];
    engine.docker(&overlay).ok();
    engine
        .docker(&["run", "--rm", "-v", "both:/o", "busybox", "ls", "/o"])
        .ok()
        .prints("a\nb\n");
    wait_for(|| devices() == 0);
    std::fs::write(&image, "no file system at all").expect("a file");
    engine
        .docker(&[&look[..], &["true"]].concat())
        .code(125)
        .says("failed to mount local volume: mount ");
    wait_for(|| devices() == 0);
}

#[test]
fn what_the_kernel_cannot_mount_is_told() {
    let engine = Engine::with_busybox();
    let options = [
        "type=nfs",
        "device=:/export",
        "o=addr=127.0.0.1,soft,timeo=1,retrans=0",
    ];
    let mut create = vec!["volume", "create"];
    options
        .iter()
        .for_each(|option| create.extend(["-o", option]));
    create.push("net");
    engine.docker(&create).ok();
    engine
        .docker(&["run", "--rm", "-v", "net:/n", "busybox", "true"])
        .code(125)
        .says("failed to mount local volume: mount :/export:");
    engine.docker(&["volume", "rm", "net"]).ok();
}
