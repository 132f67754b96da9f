//! What a Compose file says of a service arrives in the container.

use crate::harness::Engine;
use crate::harness::compose::Project;

const TEXT: &str = r#"
services:
  db:
    extends: {file: base.yaml, service: base}
    command: [sleep, "100000"]
    init: true
    networks: {back: {aliases: [database, store], ipv4_address: 172.30.7.10}}
    ulimits: {nofile: {soft: 1000, hard: 2000}}
    tmpfs: ["/scratch:size=1m"]
    shm_size: 16m
    read_only: true
  web:
    image: busybox
    hostname: webhost
    command: [sleep, "100000"]
    init: true
    networks: {front: {aliases: [www]}, back: {}}
    ports: ["127.0.0.1::80", "81-82/udp"]
    secrets: [plain, {source: typed, target: /run/other, mode: 0440, uid: "5"}]
    configs: [{source: inline, target: /etc/inline.conf}]
    env_file: [app.env]
    environment: {OVER: env, X: "${NOSUCH:-dflt}"}
    volumes: ["./:/www:ro", {type: tmpfs, target: /tm, tmpfs: {size: 65536, mode: 0700}}, "memory:/memory"]
    deploy: {resources: {limits: {cpus: "0.5", memory: 64M, pids: 50}, reservations: {memory: 16M}}, restart_policy: {condition: on-failure, max_attempts: 2}}
    sysctls: {net.core.somaxconn: 1024}
    dns: [127.0.0.53]
    dns_search: [example.test]
    dns_opt: ["ndots:2"]
    extra_hosts: ["somehost:10.1.2.3"]
    stop_signal: SIGINT
    stop_grace_period: 2s
    logging: {driver: json-file, options: {max-size: "1m", max-file: "2"}}
    cap_add: [NET_ADMIN]
    cap_drop: [MKNOD]
    security_opt: ["no-new-privileges:true"]
    devices: ["/dev/null:/dev/xnull:r"]
    group_add: ["7"]
    working_dir: /www
    labels: ["my.label=hello world"]
    annotations: {a.b: c}
    expose: ["8888"]
  side:
    image: busybox
    command: [sleep, "100000"]
    network_mode: "service:web"
    pid: "service:web"
    ipc: "service:shares"
    stop_grace_period: 0s
  shares: {image: busybox, command: [sleep, "100000"], ipc: shareable, network_mode: none, stop_grace_period: 0s}
  linked:
    image: busybox
    command: [sleep, "100000"]
    networks: [back]
    links: ["db:thedb"]
    stop_grace_period: 0s
    pull_policy: never
    oom_score_adj: 100
    cpuset: "0"
    cgroup_parent: PARENT
    domainname: dom.test
    privileged: true
    tty: true
    stdin_open: true
    device_cgroup_rules: ["c 1:3 mr"]
  six:
    image: busybox
    command: ip addr show dev eth0
    networks: {six: {ipv4_address: 10.77.0.9, ipv6_address: "fd00:7::9", mac_address: "02:42:0a:4d:00:09"}}
networks:
  front: {labels: {l: v}}
  back:
    internal: true
    ipam: {config: [{subnet: 172.30.7.0/24, gateway: 172.30.7.1, ip_range: 172.30.7.128/25, aux_addresses: {x: 172.30.7.200}}]}
  six: {enable_ipv6: true, driver_opts: {com.docker.network.driver.mtu: "1400"}, ipam: {config: [{subnet: 10.77.0.0/24}, {subnet: "fd00:7::/64"}]}}
volumes:
  memory: {driver_opts: {type: tmpfs, device: tmpfs, o: "size=1m"}, labels: {k: v}}
secrets: {plain: {file: ./plain.txt}, typed: {environment: E2E_SECRET}}
configs: {inline: {content: "inline $${X} ${NOSUCH:-dflt}\n"}}
"#;

#[test]
fn what_the_file_says_arrives_in_the_container() {
    let engine = Engine::with_busybox();
    let parent = engine.cgroup_parent();
    let Some(project) = Project::of(&engine, &TEXT.replace("PARENT", parent)) else {
        return;
    };
    let before = super::things(&engine);
    project.write("plain.txt", "plain\n");
    project.write("app.env", "FROM_FILE=yes\nOVER=file\n");
    project.write(
        "base.yaml",
        "services: {base: {image: busybox, labels: {from: base}, environment: {BASE: \"1\"}}}\n",
    );
    let mut up = project.command(&["up", "-d"]);
    crate::harness::finish(up.env("E2E_SECRET", "typed"), b"").ok();
    inside(&project);
    inspected(&engine, &project);
    // The secret would be another one now; the rest is as it was.
    let mut up = project.command(&["up", "-d"]);
    let told = crate::harness::finish(up.env("E2E_SECRET", "typed"), b"")
        .ok()
        .stderr;
    assert!(!told.contains("Recreate"), "{told}");
    project.docker(&["down", "-v"]).ok();
    assert_eq!(super::things(&engine), before);
}

fn inside(project: &Project) {
    let sh = |service: &str, text: &str| {
        project
            .docker(&["exec", "-T", service, "sh", "-c", text])
            .ok()
            .stdout
    };
    assert_eq!(
        sh(
            "web",
            "cat /run/secrets/plain /run/other; echo; cat /etc/inline.conf"
        ),
        "plain\ntyped\ninline ${X} dflt\n"
    );
    assert_eq!(
        sh(
            "web",
            "stat -c '%a %u %n' /run/secrets/plain /run/other /tm"
        ),
        "644 0 /run/secrets/plain\n440 5 /run/other\n700 0 /tm\n"
    );
    assert_eq!(
        sh("web", "echo $FROM_FILE $OVER $X; hostname; pwd; id -G"),
        "yes env dflt\nwebhost\n/www\n0 7\n"
    );
    assert_eq!(
        sh("web", "grep -v '^#' /etc/resolv.conf | grep ."),
        "nameserver 127.0.0.11\nsearch example.test\noptions ndots:2\n"
    );
    assert_eq!(
        sh(
            "web",
            "grep somehost /etc/hosts; cat /proc/sys/net/core/somaxconn"
        ),
        "10.1.2.3\tsomehost\n1024\n"
    );
    assert_eq!(
        sh(
            "web",
            "cat app.env; touch /www/x 2>/dev/null || echo read-only"
        ),
        "FROM_FILE=yes\nOVER=file\nread-only\n"
    );
    assert_eq!(
        sh(
            "web",
            "df -k /tm /memory | awk 'NR>1{print $2}'; test -c /dev/xnull && echo device"
        ),
        "64\n1024\ndevice\n"
    );
    assert_eq!(
        sh(
            "db",
            "ulimit -n; ulimit -Hn; df -k /scratch /dev/shm | awk 'NR>1{print $2}'; echo $BASE; touch /x 2>/dev/null || echo read-only"
        ),
        "1000\n2000\n1024\n16384\n1\nread-only\n"
    );
    let seen = sh("side", "ps; hostname");
    assert!(
        seen.contains("-- sleep 100000") && seen.ends_with("webhost\n"),
        "{seen}"
    );
    for name in ["thedb", "database", "store", "db"] {
        let seen = sh("linked", &format!("nslookup {name}"));
        assert!(seen.contains("Address: 172.30.7.10\n"), "{seen}");
    }
    assert!(sh("linked", "hostname -f; tty || true").ends_with(".dom.test\nnot a tty\n"));
    let six = project
        .docker(&["logs", "--no-log-prefix", "six"])
        .ok()
        .stdout;
    for words in [
        "mtu 1400",
        "02:42:0a:4d:00:09",
        "10.77.0.9/24",
        "fd00:7::9/64",
    ] {
        assert!(six.contains(words), "{words} in {six}");
    }
}

fn inspected(engine: &Engine, project: &Project) {
    let is = |service: &str, format: &str, expected: &str| {
        let container = project.container(service, 1);
        assert_eq!(
            engine.inspect(&container, format),
            expected,
            "{service} {format}"
        );
    };
    is(
        "web",
        "{{.HostConfig.NanoCpus}} {{.HostConfig.Memory}} {{.HostConfig.MemoryReservation}} {{.HostConfig.PidsLimit}}",
        "500000000 67108864 16777216 50",
    );
    is(
        "web",
        "{{json .HostConfig.RestartPolicy}} {{.Config.StopSignal}} {{.Config.StopTimeout}}",
        "{\"Name\":\"on-failure\",\"MaximumRetryCount\":2} SIGINT 2",
    );
    is(
        "web",
        "{{json .HostConfig.LogConfig}}",
        "{\"Type\":\"json-file\",\"Config\":{\"max-file\":\"2\",\"max-size\":\"1m\"}}",
    );
    is(
        "web",
        "{{json .HostConfig.CapAdd}} {{json .HostConfig.CapDrop}} {{json .HostConfig.SecurityOpt}} {{json .HostConfig.Annotations}}",
        "[\"CAP_NET_ADMIN\"] [\"CAP_MKNOD\"] [\"no-new-privileges:true\"] {\"a.b\":\"c\"}",
    );
    is(
        "web",
        "{{index .Config.Labels \"my.label\"}} {{len .NetworkSettings.Ports}} {{len .NetworkSettings.Networks}}",
        "hello world 4 2",
    );
    is(
        "db",
        "{{index .Config.Labels \"from\"}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.ShmSize}} {{.HostConfig.Init}}",
        "base true 16777216 true",
    );
    is(
        "linked",
        "{{.HostConfig.OomScoreAdj}} {{.HostConfig.CpusetCpus}} {{.HostConfig.Privileged}} {{.Config.Tty}} {{.Config.OpenStdin}} {{json .HostConfig.DeviceCgroupRules}}",
        "100 0 true true true [\"c 1:3 mr\"]",
    );
    let network = format!("{}_back", project.name());
    let format = "{{.Internal}} {{(index .IPAM.Config 0).IPRange}} {{(index .IPAM.Config 0).AuxiliaryAddresses.x}}";
    engine
        .docker(&["network", "inspect", "-f", format, &network])
        .ok()
        .prints("true 172.30.7.128/25 172.30.7.200\n");
}
