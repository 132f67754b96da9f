//! The flags of `build`: those of the classic builder and of buildx. What is hidden goes
//! without saying, or is refused by its name.

use super::TRUST;
use crate::args::{Flag, Kind, flag, values};

pub(super) static BUILD: &[Flag] = &[
    flag("add-host", Kind::ExtraHost, "Add a host, as name:ip"),
    flag(
        "allow",
        Kind::Strings,
        "Allow commands more: network.host, security.insecure",
    ),
    flag(
        "annotation",
        Kind::List,
        "Add an annotation, as [index:|manifest:]name=value",
    ),
    flag(
        "attest",
        Kind::List,
        "Say where the image is from or what is in it, as type=provenance|sbom,…",
    ),
    flag("build-arg", Kind::List, "Set an argument, as name=value"),
    flag(
        "build-context",
        Kind::List,
        "Another context, as name=folder, name=docker-image://image or name=URL",
    ),
    flag("builder", Kind::Text, "Another builder").hidden(),
    flag(
        "cache-from",
        Kind::List,
        "Take results from elsewhere: an image, or type=registry|local,…",
    ),
    flag(
        "cache-to",
        Kind::List,
        "Give results on: an image, or type=registry|local|inline,…",
    ),
    flag(
        "call",
        Kind::Text,
        "What is done with the Dockerfile: build, check, outline, targets",
    )
    .default("build")
    .values(values::CALLS),
    flag("cgroup-parent", Kind::Text, "Cgroup of the commands"),
    flag(
        "check",
        Kind::Bool,
        "Only look for what breaks a rule in the Dockerfile",
    ),
    flag("compress", Kind::Bool, "Compress a context that is sent as an archive"),
    flag(
        "cpu-period",
        Kind::Int,
        "Period of the CPU quota, in microseconds",
    ),
    flag(
        "cpu-quota",
        Kind::Int,
        "CPU quota, in microseconds for each period",
    ),
    flag("cpu-shares", Kind::Int, "Relative weight of CPU").short('c'),
    flag("cpuset-cpus", Kind::Text, "CPUs to use (0-3, 0,1)"),
    flag("cpuset-mems", Kind::Text, "Memory nodes to use (0-3, 0,1)"),
    TRUST,
    flag(
        "explain-cache",
        Kind::Bool,
        "Say of each step that is run what has changed",
    ),
    flag("file", Kind::Text, "The Dockerfile (PATH/Dockerfile)").short('f'),
    flag(
        "force-rm",
        Kind::Bool,
        "Remove the container of a command that fails (always done)",
    )
    .hidden(),
    flag("iidfile", Kind::Text, "Write the image's id to this file"),
    flag("isolation", Kind::Text, "Isolation of containers").hidden(),
    flag("label", Kind::Label, "Set a label, as name=value"),
    flag("load", Kind::Bool, "Keep the image beside other outputs"),
    flag("memory", Kind::Bytes, "Limit of memory of each command").short('m'),
    flag(
        "memory-swap",
        Kind::SwapBytes,
        "Limit of memory and swap; -1 for no limit",
    ),
    flag(
        "metadata-file",
        Kind::Text,
        "Write what was built to this file, as JSON",
    ),
    flag("network", Kind::Text, "Network of the commands").default("default"),
    flag("no-cache", Kind::Bool, "Run everything again"),
    flag(
        "no-cache-filter",
        Kind::Strings,
        "Run everything of these stages again",
    ),
    flag(
        "output",
        Kind::List,
        "What becomes of the result, as type=image|registry|oci|docker|local|tar,dest=PATH, or a folder",
    )
    .short('o'),
    flag(
        "platform",
        Kind::Strings,
        "Platforms to build for, as os/arch[/variant]",
    )
    .values(values::PLATFORMS),
    flag("progress", Kind::Text, "How progress is shown")
        .default("auto")
        .values(values::PROGRESS),
    flag(
        "provenance",
        Kind::Text,
        "Say where the image is from: true, mode=min, mode=max",
    ),
    flag(
        "pull",
        Kind::Bool,
        "Look for newer images in their registries",
    ),
    flag("push", Kind::Bool, "Push the image to its registries"),
    flag("quiet", Kind::Bool, "Show the image's id only").short('q'),
    flag(
        "rm",
        Kind::Bool,
        "Remove the containers of commands (always done)",
    )
    .default("true")
    .hidden(),
    flag("sbom", Kind::Text, "Say what is in the image: true, or options"),
    flag(
        "secret",
        Kind::List,
        "A secret, as id=NAME,src=PATH or id=NAME,env=VARIABLE",
    ),
    flag("security-opt", Kind::Strings, "Security options").hidden(),
    flag("shm-size", Kind::Bytes, "Size of /dev/shm"),
    flag("squash", Kind::Bool, "Make one layer of all new ones"),
    flag(
        "ssh",
        Kind::List,
        "An agent of keys for commands, as default or id=SOCKET",
    ),
    flag("tag", Kind::List, "Name of the image, as name[:tag]").short('t'),
    flag("target", Kind::Text, "Stage to build"),
    flag("ulimit", Kind::Ulimit, "Limit of a process"),
    flag("verify", Kind::Bool, "Build twice and compare the layers"),
];
