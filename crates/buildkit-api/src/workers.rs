//! What clients are told of the machine that builds.

use gantry_engine::CachePruneQuery;
use gantry_types::Platform;

use crate::BuildKit;
use crate::wire::Message;

/// Whose interface this is.
const PACKAGE: &str = "github.com/moby/buildkit";
/// Which of its versions is spoken. Clients choose what they ask for by it.
const VERSION: &str = concat!("v0.25.0+gantry.", env!("CARGO_PKG_VERSION"));
/// The label by which clients know what `host-gateway` stands for.
const HOST_GATEWAY: &str = "org.mobyproject.buildkit.worker.moby.host-gateway-ip";
/// The label by which buildx knows that there is a store behind the builder that keeps
/// images as registries have them: packed, by digest, several platforms in an index. Only
/// then it asks for attestations, caches, archives of OCI and pushes by the builder.
const SNAPSHOTTER: &str = "org.mobyproject.buildkit.worker.snapshotter";

/// As `moby.buildkit.v1.types.BuildkitVersion`.
pub(crate) fn version() -> Message {
    Message::new().text(1, PACKAGE).text(2, VERSION)
}

/// As `moby.buildkit.v1.types.WorkerRecord`.
pub(crate) fn record(service: &BuildKit) -> Message {
    let gateway = service.worker.host_gateway.as_bytes();
    let driver = service.engine.builds.store().snapshot_driver();
    let record = Message::new()
        .text(1, &service.worker.id)
        .entry(2, HOST_GATEWAY, gateway)
        .entry(2, SNAPSHOTTER, driver.as_bytes());
    let platforms = platforms(&Platform::host());
    let record = platforms
        .iter()
        .fold(record, |record, (architecture, variant)| {
            let platform = Message::new()
                .text(1, architecture)
                .text(2, "linux")
                .text(3, variant);
            record.message(3, &platform)
        });
    let rules = service.engine.builds.rules().iter();
    let record = rules.fold(record, |record, rule| record.message(4, &policy(rule)));
    record.message(5, &version())
}

/// As `moby.buildkit.v1.types.GCPolicy`.
fn policy(rule: &CachePruneQuery) -> Message {
    let keys = [
        "id",
        "type",
        "description",
        "parent",
        "inuse",
        "shared",
        "private",
    ];
    let filters = keys.into_iter().flat_map(|key| {
        let values = rule.filters.get(key).iter();
        values.map(move |value| format!("{key}=={value}"))
    });
    let ages = ["until", "unused-for"].into_iter();
    let mut ages = ages.flat_map(|key| rule.filters.get(key));
    let age = ages
        .next()
        .and_then(|text| gantry_types::units::parse_duration(text).ok());
    let message = Message::new()
        .flag(1, rule.all)
        .signed(2, age.unwrap_or(0))
        .number(3, rule.space.reserved);
    filters
        .fold(message, |message, filter| message.text(4, &filter))
        .number(5, rule.space.max_used)
        .number(6, rule.space.min_free)
}

/// What runs here: of itself, and by the help of emulators.
fn platforms(host: &Platform) -> Vec<(String, String)> {
    let mut platforms = own_platforms(host);
    for (name, architecture, variant) in EMULATED {
        let one = ((*architecture).to_owned(), (*variant).to_owned());
        if !platforms.contains(&one) && is_emulated(name) {
            platforms.push(one);
        }
    }
    platforms
}

/// Where the kernel tells for which programs it has emulators.
const EMULATORS: &str = "/proc/sys/fs/binfmt_misc";
/// What those of QEMU are called, and what they run.
const EMULATED: &[(&str, &str, &str)] = &[
    ("x86_64", "amd64", ""),
    ("aarch64", "arm64", ""),
    ("arm", "arm", "v7"),
    ("arm", "arm", "v6"),
    ("i386", "386", ""),
    ("riscv64", "riscv64", ""),
    ("ppc64le", "ppc64le", ""),
    ("s390x", "s390x", ""),
    ("mips64el", "mips64le", ""),
    ("mips64", "mips64", ""),
    ("loongarch64", "loong64", ""),
];

fn is_emulated(name: &str) -> bool {
    let text = std::fs::read_to_string(format!("{EMULATORS}/qemu-{name}"));
    text.is_ok_and(|text| text.starts_with("enabled"))
}

fn own_platforms(host: &Platform) -> Vec<(String, String)> {
    let own = host.architecture.clone();
    match own.as_str() {
        "amd64" => ["", "v2", "v3", "v4"]
            .into_iter()
            .filter(|variant| has_level(variant))
            .map(|variant| (own.clone(), variant.to_owned()))
            .collect(),
        _ => vec![(own, host.variant.clone().unwrap_or_default())],
    }
}

#[cfg(target_arch = "x86_64")]
fn has_level(variant: &str) -> bool {
    use std::arch::is_x86_feature_detected as has;
    match variant {
        "v2" => has!("sse4.2") && has!("popcnt") && has!("ssse3"),
        "v3" => has!("avx2") && has!("bmi2") && has!("fma") && has!("movbe"),
        "v4" => has!("avx512f") && has!("avx512bw") && has!("avx512vl") && has!("avx512dq"),
        _ => true,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn has_level(_: &str) -> bool {
    true
}
