//! Every option of Docker's daemon, and a few of our own: one table for the
//! command line, for `daemon.json` and for the help text.

pub(super) use super::option::{Kind, Opt, Support};
use super::option::{both, not_yet, opt, with_short};
use Kind::{Any, List, NetworkOptions, Number, Pairs, Pools, Switch, Text, Ulimits};
use Support::{Only, Yes};

/// All options, those that work first.
pub(super) static OPTIONS: &[Opt] = &[
    both(
        "bip",
        Text,
        Yes,
        "Address and subnet of the default bridge (CIDR)",
    ),
    with_short(
        'b',
        both(
            "bridge",
            Text,
            Yes,
            "Use this existing bridge for the default network; \"none\" disables it",
        ),
    ),
    opt(
        "bridge-name",
        "",
        Text,
        Yes,
        "Name of the bridge that gantry makes (default \"gantry0\")",
    ),
    both(
        "cgroup-parent",
        Text,
        Yes,
        "The cgroup above all containers' (default \"/gantry\")",
    ),
    both(
        "experimental",
        Switch,
        Yes,
        "Say that experimental features are on (those that are there are so anyway)",
    ),
    opt(
        "config-file",
        "",
        Text,
        Yes,
        "Configuration file (default: /etc/gantry/daemon.json or else /etc/docker/daemon.json)",
    ),
    both(
        "cpu-rt-period",
        Number,
        Yes,
        "The period of --cpu-rt-runtime in microseconds",
    ),
    both(
        "cpu-rt-runtime",
        Number,
        Yes,
        "Microseconds for real-time tasks of all containers (cgroup v1)",
    ),
    both(
        "data-root",
        Text,
        Yes,
        "Everything that lasts (default \"/var/lib/gantry\")",
    ),
    with_short('D', both("debug", Switch, Yes, "Log everything")),
    opt(
        "default-address-pool",
        "default-address-pools",
        Pools,
        Yes,
        "Where networks get their subnets (base=CIDR,size=BITS)",
    ),
    both(
        "default-shm-size",
        Text,
        Yes,
        "Size of /dev/shm in containers (default 64MiB)",
    ),
    opt(
        "default-ulimit",
        "default-ulimits",
        Ulimits,
        Yes,
        "Resource limits of containers (name=soft[:hard])",
    ),
    opt(
        "detach",
        "",
        Switch,
        Yes,
        "Leave the terminal (used when a command starts the daemon)",
    ),
    opt(
        "exec-opt",
        "exec-opts",
        List,
        Yes,
        "How processes are run: native.cgroupdriver=cgroupfs or systemd",
    ),
    both(
        "exec-root",
        Text,
        Yes,
        "Sockets and state of what runs (default \"/run/gantry\")",
    ),
    with_short(
        'G',
        both(
            "group",
            Text,
            Yes,
            "Group of the unix socket (default \"docker\", where it exists)",
        ),
    ),
    both(
        "dns",
        List,
        Yes,
        "Name servers of containers that do not say",
    ),
    opt(
        "dns-opt",
        "dns-opts",
        List,
        Yes,
        "Resolver options of containers that do not say",
    ),
    both(
        "dns-search",
        List,
        Yes,
        "Search list of containers that do not say",
    ),
    with_short(
        'H',
        opt(
            "host",
            "hosts",
            List,
            Yes,
            "Where to listen: unix://PATH, tcp://HOST[:PORT], fd://[SOCKET]",
        ),
    ),
    opt(
        "host-gateway-ip",
        "host-gateway-ips",
        List,
        Yes,
        "What host-gateway stands for in --add-host (default the bridge's address)",
    ),
    opt("", "host-gateway-ip", Text, Yes, "A single one"),
    both(
        "icc",
        Switch,
        Yes,
        "Containers on the default bridge may talk to each other (default true)",
    ),
    opt(
        "idle-exit",
        "",
        Text,
        Yes,
        "End after this time without requests and running containers",
    ),
    both(
        "init",
        Switch,
        Yes,
        "Run an init process in containers that do not say",
    ),
    both(
        "init-path",
        Text,
        Yes,
        "The init program (default: gantry's own)",
    ),
    opt(
        "insecure-tcp",
        "",
        Switch,
        Yes,
        "Listen on TCP without TLS where other machines can reach it",
    ),
    both(
        "ip-forward",
        Switch,
        Yes,
        "Switch the kernel's forwarding on (default true)",
    ),
    both(
        "ip-forward-no-drop",
        Switch,
        Yes,
        "Let the host forward between its other interfaces as well",
    ),
    both(
        "ip-masq",
        Switch,
        Yes,
        "Masquerade what leaves the default bridge (default true)",
    ),
    both(
        "ip",
        Text,
        Yes,
        "Host address of published ports that name none (default all)",
    ),
    both(
        "iptables",
        Switch,
        Yes,
        "Set packet rules (with nf_tables) (default true)",
    ),
    both(
        "ip6tables",
        Switch,
        Yes,
        "Set packet rules for IPv6, too (default true)",
    ),
    opt(
        "label",
        "labels",
        List,
        Yes,
        "Labels of the daemon (key=value)",
    ),
    both(
        "live-restore",
        Switch,
        Yes,
        "Containers outlive the daemon (default true)",
    ),
    both(
        "layer-compression",
        Text,
        Yes,
        "How layers are packed that are pushed: gzip or zstd (default: as they are, and zstd)",
    ),
    both(
        "log-driver",
        Text,
        Yes,
        "Default log driver of containers (default \"json-file\")",
    ),
    both(
        "log-format",
        Text,
        Yes,
        "\"text\" or \"json\" (default \"text\")",
    ),
    with_short(
        'l',
        both(
            "log-level",
            Text,
            Yes,
            "debug, info, warn, error or fatal (default \"info\")",
        ),
    ),
    opt(
        "log-opt",
        "log-opts",
        Pairs,
        Yes,
        "Default log options of containers",
    ),
    both(
        "max-concurrent-downloads",
        Number,
        Yes,
        "How many layers of all pulls are downloaded at a time (default 3)",
    ),
    both(
        "max-concurrent-uploads",
        Number,
        Yes,
        "How many layers of all pushes are uploaded at a time (default 5)",
    ),
    both(
        "max-download-attempts",
        Number,
        Yes,
        "How often a download that gets nowhere is begun (default 5)",
    ),
    both(
        "mtu",
        Number,
        Yes,
        "MTU of the default bridge (default 1500)",
    ),
    both(
        "no-new-privileges",
        Switch,
        Yes,
        "Set no-new-privileges for all containers",
    ),
    with_short(
        'p',
        both(
            "pidfile",
            Text,
            Yes,
            "Where the pid is written (default \"EXEC-ROOT/gantry.pid\")",
        ),
    ),
    both("raw-logs", Switch, Yes, "No colours in the log"),
    both(
        "seccomp-profile",
        Text,
        Yes,
        "Default profile: a file, \"builtin\" or \"unconfined\"",
    ),
    both(
        "shutdown-timeout",
        Number,
        Yes,
        "Seconds for containers to stop at the end, without live-restore (default 15)",
    ),
    with_short(
        's',
        both(
            "storage-driver",
            Text,
            Yes,
            "overlay2 or vfs (default: the best that works)",
        ),
    ),
    opt(
        "storage-opt",
        "storage-opts",
        List,
        Yes,
        "overlay2.size=SIZE: how much each container may write",
    ),
    both(
        "tls",
        Switch,
        Yes,
        "TLS, without asking clients for certificates",
    ),
    both(
        "tlscacert",
        Text,
        Yes,
        "Who may sign clients' certificates (default \"~/.docker/ca.pem\")",
    ),
    both(
        "tlscert",
        Text,
        Yes,
        "The daemon's certificate (default \"~/.docker/cert.pem\")",
    ),
    both(
        "tlskey",
        Text,
        Yes,
        "Its key (default \"~/.docker/key.pem\")",
    ),
    both(
        "tlsverify",
        Switch,
        Yes,
        "TLS, and ask clients for certificates",
    ),
    opt(
        "insecure-registry",
        "insecure-registries",
        List,
        Yes,
        "Registry (host[:port] or CIDR) that needs no TLS, or no certificate",
    ),
    opt(
        "registry-mirror",
        "registry-mirrors",
        List,
        Yes,
        "Mirror of Docker's own registry, asked first",
    ),
    opt(
        "",
        "registries",
        Any,
        Yes,
        "Mirrors of any registry, by prefixes of names",
    ),
    both(
        "plugin-dir",
        Text,
        Yes,
        "Folder of plug-ins' sockets and files, instead of Docker's three",
    ),
    both(
        "plugin-timeout",
        Number,
        Yes,
        "Seconds that a volume plug-in may take (default 120, and 60 for what it only tells)",
    ),
    opt(
        "http-proxy",
        "",
        Text,
        Yes,
        "Proxy on the way to registries without TLS (default: $HTTP_PROXY)",
    ),
    opt(
        "https-proxy",
        "",
        Text,
        Yes,
        "Proxy on the way to registries with TLS (default: $HTTPS_PROXY)",
    ),
    opt(
        "no-proxy",
        "",
        Text,
        Yes,
        "Hosts, domains and networks that need no proxy (default: $NO_PROXY)",
    ),
    opt("", "proxies", Any, Yes, "The same three, in the file"),
    opt(
        "",
        "builder",
        Any,
        Yes,
        "How much the cache of builds may take, and what builds may allow",
    ),
    opt(
        "",
        "image-gc",
        Any,
        Yes,
        "Which images are removed by age or size (default: none)",
    ),
    opt(
        "",
        "trust-policy",
        Any,
        Yes,
        "Which images must be signed, and by whom",
    ),
    both(
        "publish-default",
        Text,
        Yes,
        "Host address of published ports that name none: the same as --ip",
    ),
    both(
        "publish-from",
        List,
        Yes,
        "Who may use the published ports of containers that do not say: CIDR, ADDRESS or all",
    ),
    both(
        "userns-remap",
        Text,
        Yes,
        "User namespace of containers: \"default\", USER[:GROUP] or UID[:GID]",
    ),
    opt(
        "validate",
        "",
        Switch,
        Yes,
        "Check the configuration and end",
    ),
    both(
        "userland-proxy",
        Switch,
        Yes,
        "Forward in the daemon what the kernel cannot, as from ::1 (default true)",
    ),
    both(
        "userland-proxy-path",
        Text,
        Yes,
        "Taken for scripts that name Docker's proxy; ours is in the daemon",
    ),
    both(
        "allow-direct-routing",
        Switch,
        Yes,
        "Published ports are reached at the containers' own addresses, too",
    ),
    both(
        "bridge-accept-fwmark",
        Text,
        Yes,
        "Let packets with this firewall mark in to containers: MARK[/MASK]",
    ),
    opt(
        "warm-networks",
        "",
        Number,
        Yes,
        "How many network namespaces are kept ready (default 4)",
    ),
    opt(
        "warm-shims",
        "",
        Number,
        Yes,
        "How many monitors are kept ready (default 4)",
    ),
    both(
        "bip6",
        Text,
        Yes,
        "IPv6 address and subnet of the default bridge (CIDR)",
    ),
    both("default-gateway", Text, Yes, "The default bridge's way out"),
    both("default-gateway-v6", Text, Yes, "The same of IPv6"),
    opt(
        "default-network-opt",
        "default-network-opts",
        NetworkOptions,
        Yes,
        "Option of new networks: driver=key=value",
    ),
    both(
        "fixed-cidr",
        Text,
        Yes,
        "Where the default bridge's containers get addresses from (CIDR)",
    ),
    both("fixed-cidr-v6", Text, Yes, "The same of IPv6"),
    both("ipv6", Switch, Yes, "IPv6 on the default bridge"),
    both(
        "mtu-from-uplink",
        Switch,
        Yes,
        "MTU of the default route's link",
    ),
    both(
        "default-cgroupns-mode",
        Text,
        Yes,
        "Cgroup namespace of containers: host or private",
    ),
    both(
        "default-ipc-mode",
        Text,
        Yes,
        "IPC of containers: shareable or private",
    ),
    opt(
        "",
        "features",
        Any,
        Yes,
        "buildkit: what clients are told to build with",
    ),
    // What is not there yet.
    not_yet("add-runtime", "runtimes", Any),
    not_yet("authorization-plugin", "authorization-plugins", List),
    not_yet("cdi-spec-dir", "cdi-spec-dirs", List),
    not_yet("containerd", "containerd", Text),
    not_yet("containerd-namespace", "containerd-namespace", Text),
    not_yet(
        "containerd-plugins-namespace",
        "containerd-plugins-namespace",
        Text,
    ),
    both("cri-containerd", Switch, Only("false"), ""),
    both("default-runtime", Text, Only("runc"), ""),
    not_yet("feature", "", Pairs),
    both("firewall-backend", Text, Only("nftables"), ""),
    not_yet("metrics-addr", "metrics-addr", Text),
    opt("", "min-api-version", Text, Only("1.24"), ""),
    not_yet(
        "network-control-plane-mtu",
        "network-control-plane-mtu",
        Number,
    ),
    not_yet("node-generic-resource", "node-generic-resources", List),
    both("rootless", Switch, Only("false"), ""),
    both("selinux-enabled", Switch, Only("false"), ""),
    not_yet(
        "swarm-default-advertise-addr",
        "swarm-default-advertise-addr",
        Text,
    ),
];

/// The option of this flag.
pub(super) fn by_flag(flag: &str) -> Option<&'static Opt> {
    OPTIONS
        .iter()
        .find(|option| !option.flag.is_empty() && option.flag == flag)
}

/// The option of this letter.
pub(super) fn by_letter(letter: char) -> Option<&'static Opt> {
    OPTIONS.iter().find(|option| option.short == Some(letter))
}

/// The option of this key of `daemon.json`.
pub(super) fn by_key(key: &str) -> Option<&'static Opt> {
    OPTIONS
        .iter()
        .find(|option| !option.key.is_empty() && option.key == key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique() {
        for name in [|option: &Opt| option.flag, |option: &Opt| option.key] {
            let all: Vec<_> = OPTIONS.iter().map(name).filter(|n| !n.is_empty()).collect();
            let unique: BTreeSet<_> = all.iter().collect();
            assert_eq!(all.len(), unique.len());
        }
    }

    #[test]
    fn what_works_is_explained() {
        for option in OPTIONS.iter().filter(|option| option.support == Yes) {
            assert!(!option.help.is_empty(), "{}", option.flag);
        }
    }
}
