//! Networks on links that not every kernel has: VLANs, ipvlan, links that lead nowhere.
//! `cargo xtask vm-test network_links` runs them on a kernel that has them all.

use crate::gantry_only;
use crate::harness::{Engine, finish, remark, script};

fn ip(engine: &Engine, words: &str) -> String {
    let words = format!("nsenter -t {} -n ip {words}", engine.pid());
    finish(&mut script(&words), b"").stdout
}

/// Says what is skipped, if the kernel does not have a kind of link.
fn lacks(answer: &str, what: &str) -> bool {
    let lacking = answer.contains("operation not supported");
    if lacking {
        remark(&format!(
            "SKIPPED: {}: this kernel has no {what}",
            module_path!()
        ));
    }
    lacking
}

#[test]
fn vlans_of_a_parent_are_made_and_removed() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    ip(&engine, "link add p0 type veth");
    ip(&engine, "link set p0 up");
    let words = "network create -d macvlan -o parent=p0.77 --subnet 10.180.0.0/24 lan";
    let made = engine.docker_line(words);
    if lacks(&made.stderr, "VLANs") {
        return;
    }
    made.ok();
    assert!(ip(&engine, "link").contains("p0.77@p0"));
    let route = engine
        .docker_line("run --rm --network lan busybox ip route")
        .ok();
    assert!(route.stdout.contains("default via 10.180.0.1 dev eth0"));
    engine.docker_line("network rm lan").ok();
    assert!(!ip(&engine, "link").contains("p0.77"));
    // One that was there stays.
    ip(&engine, "link add link p0 name p0.78 type vlan id 78");
    let words = "network create -d ipvlan -o parent=p0.78 --subnet 10.180.0.0/24 lan";
    engine.docker_line(words).ok();
    engine.docker_line("network rm lan").ok();
    assert!(ip(&engine, "link").contains("p0.78@p0"));
}

#[test]
fn ipvlan_containers_share_the_parents_address() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    ip(&engine, "link add p0 type veth");
    ip(&engine, "link set p0 up");
    // A link whose other end is down carries nothing.
    ip(&engine, "link set veth0 up");
    for (mode, subnet) in [("l2", "10.181.0"), ("l3", "10.182.0")] {
        let words = format!(
            "network create -d ipvlan -o parent=p0 -o ipvlan_mode={mode} --subnet {subnet}.0/24 lan"
        );
        engine.docker_line(&words).ok();
        let one = engine.docker_line("run -d --name one --network lan busybox sleep 1000");
        if lacks(&one.stderr, "ipvlan") {
            engine.docker_line("rm -f one").ok();
            return;
        }
        one.ok();
        let look = "ip route | head -1; ping -c1 -W2 one | grep -o '1 packets received'; cat /sys/class/net/eth0/address";
        let told = engine
            .docker(&[
                "run",
                "--rm",
                "--network",
                "lan",
                "busybox",
                "sh",
                "-c",
                look,
            ])
            .ok()
            .stdout;
        assert!(told.contains("1 packets received"), "{mode}: {told}");
        let way = match mode {
            "l2" => format!("default via {subnet}.1 dev eth0"),
            _ => "default dev eth0".to_owned(),
        };
        assert!(told.starts_with(&way), "{mode}: {told}");
        let parent = ip(&engine, "link show p0");
        let mac = told.lines().last().expect("an address");
        assert!(parent.contains(mac), "{mode}: {told}{parent}");
        let shown = engine.inspect(
            "one",
            "{{range .NetworkSettings.Networks}}{{.MacAddress}} {{.Gateway}}{{end}}",
        );
        assert!(
            shown.starts_with(mac) && !shown.contains("0.0.0.0"),
            "{shown}"
        );
        engine.docker_line("rm -f one").ok();
        engine.docker_line("network rm lan").ok();
    }
}

#[test]
fn without_a_parent_a_link_leads_nowhere() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let words = "network create -d macvlan --internal --subnet 10.183.0.0/24 lan";
    let made = engine.docker_line(words);
    if lacks(&made.stderr, "dummy links") {
        return;
    }
    made.ok();
    assert!(ip(&engine, "link").contains("dm-"));
    engine
        .docker_line("run -d --name one --network lan busybox sleep 1000")
        .ok();
    let ping = "run --rm --network lan busybox ping -c1 -W2 one";
    assert!(
        engine
            .docker_line(ping)
            .stdout
            .contains("1 packets received")
    );
    engine.docker_line("rm -f one").ok();
    engine.docker_line("network rm lan").ok();
    assert!(!ip(&engine, "link").contains("dm-"));
}
