//! `update`: other limits for a container that exists.

use std::io::Read;
use std::path::Path;

use gantry_cgroup::Resources;
use gantry_oci::{LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxPids, LinuxResources};

use super::Context;
use super::args::{Arguments, Option as Flag};
use super::error::{Error, Result};
use super::manage::own_cgroup;
use super::store::{self, Status};

/// Options of `update`.
pub(super) const OPTIONS: &[Flag] = &[
    Flag::value(
        "resources",
        Some('r'),
        "a file with limits as the specification has them, or -; other options do not count then",
    ),
    Flag::value("blkio-weight", None, "weight among others, 10 to 1000"),
    Flag::value("cpu-period", None, "microseconds of a period"),
    Flag::value("cpu-quota", None, "microseconds of work in a period"),
    Flag::value("cpu-burst", None, "microseconds that can be saved up"),
    Flag::value("cpu-share", None, "weight among others"),
    Flag::value("cpu-rt-period", None, "the same as --cpu-period, real-time"),
    Flag::value("cpu-rt-runtime", None, "the same as --cpu-quota, real-time"),
    Flag::value("cpu-idle", None, "1: run when nothing else wants to; 0"),
    Flag::value("cpuset-cpus", None, "processors that may be used"),
    Flag::value("cpuset-mems", None, "nodes of memory that may be used"),
    Flag::value("kernel-memory", None, ""),
    Flag::value("kernel-memory-tcp", None, ""),
    Flag::value("memory", None, "bytes of memory"),
    Flag::value("memory-reservation", None, "bytes that are left to it"),
    Flag::value("memory-swap", None, "bytes of memory and swap; -1: any"),
    Flag::value("pids-limit", None, "the largest number of tasks"),
    Flag::value("l3-cache-schema", None, "not supported"),
    Flag::value("mem-bw-schema", None, "not supported"),
];

/// The largest document that is read.
const MAX_DOCUMENT: u64 = 1 << 20;

/// `update`: what is not named stays as it is.
pub(super) fn update(context: &Context, args: &Arguments) -> Result<i32> {
    let record = store::look(context, &args.rest()[0])?;
    if store::status(context, &record) == Status::Stopped {
        return Err(Error::State("container not running".to_owned()));
    }
    let mut wanted = match args.value("resources") {
        Some(path) => document(path)?,
        None => from_options(args)?,
    };
    for (option, what) in [
        ("l3-cache-schema", "Intel RDT/CAT: l3 cache schema"),
        ("mem-bw-schema", "Intel RDT/MBA: memory bandwidth schema"),
    ] {
        if args.value(option).is_some_and(|value| !value.is_empty()) {
            return Err(Error::Usage(format!("{what} is not enabled")));
        }
    }
    // As with runc: kernels have no such limits any more, access to devices is
    // not a matter of updates, and 0 is the number that is not given.
    if let Some(memory) = &mut wanted.memory
        && (memory.kernel.take().is_some() | memory.kernel_tcp.take().is_some())
    {
        context
            .log
            .warn("Kernel memory settings are ignored and will be removed");
    }
    wanted.devices.clear();
    wanted.pids = wanted.pids.filter(|pids| pids.limit != 0);
    let resources = Resources::from_oci(&wanted)?;
    own_cgroup(&record)?.update(&resources)?;
    Ok(0)
}

/// The specification's document; `-` is standard input.
fn document(path: &str) -> Result<LinuxResources> {
    let path = Path::new(path);
    let text = if path == Path::new("-") {
        let mut text = Vec::new();
        std::io::stdin()
            .take(MAX_DOCUMENT)
            .read_to_end(&mut text)
            .map_err(Error::file("read", path))?;
        text
    } else {
        store::read(path)?
    };
    serde_json::from_slice(&text).map_err(|e| Error::Document {
        path: path.to_path_buf(),
        text: e.to_string(),
    })
}

fn from_options(args: &Arguments) -> Result<LinuxResources> {
    let text = |name: &str| {
        args.value(name)
            .filter(|t| !t.is_empty())
            .map(str::to_owned)
    };
    let cpu = LinuxCpu {
        shares: number(args, "cpu-share")?,
        quota: number(args, "cpu-quota")?,
        burst: number(args, "cpu-burst")?,
        period: number(args, "cpu-period")?,
        realtime_runtime: number(args, "cpu-rt-runtime")?,
        realtime_period: number(args, "cpu-rt-period")?,
        idle: number(args, "cpu-idle")?,
        cpus: text("cpuset-cpus"),
        mems: text("cpuset-mems"),
    };
    let memory = LinuxMemory {
        limit: bytes(args, "memory")?,
        reservation: bytes(args, "memory-reservation")?,
        swap: bytes(args, "memory-swap")?,
        kernel: bytes(args, "kernel-memory")?,
        kernel_tcp: bytes(args, "kernel-memory-tcp")?,
        ..LinuxMemory::default()
    };
    let block_io = LinuxBlockIo {
        weight: number(args, "blkio-weight")?,
        ..LinuxBlockIo::default()
    };
    Ok(LinuxResources {
        memory: Some(memory),
        cpu: Some(cpu),
        pids: number(args, "pids-limit")?.map(|limit| LinuxPids { limit }),
        block_io: Some(block_io),
        ..LinuxResources::default()
    })
}

fn number<T: std::str::FromStr>(args: &Arguments, name: &str) -> Result<Option<T>> {
    let Some(text) = args.value(name).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let invalid = |_| Error::Usage(format!("invalid value for {name}: {text:?}"));
    text.parse().map(Some).map_err(invalid)
}

/// Bytes, with a unit or without; -1 is no limit.
fn bytes(args: &Arguments, name: &str) -> Result<Option<i64>> {
    let Some(text) = args.value(name).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let invalid = || Error::Usage(format!("invalid value for {name}: {text:?}"));
    parse_bytes(text).map(Some).ok_or_else(invalid)
}

fn parse_bytes(text: &str) -> Option<i64> {
    if text == "-1" {
        return Some(-1);
    }
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match &lower[digits.len()..] {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return None,
    };
    let count: i64 = digits.trim().parse().ok().filter(|count| *count >= 0)?;
    count.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_units() {
        let table = [
            ("1", Some(1)),
            ("64k", Some(65536)),
            ("1 MiB", Some(1 << 20)),
            ("2G", Some(2 << 30)),
            ("-1", Some(-1)),
            ("-2", None),
            ("1x", None),
            ("", None),
            ("9999999999999g", None),
        ];
        for (text, wanted) in table {
            assert_eq!(parse_bytes(text), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_not_named_is_left_alone() {
        let words = ["--memory", "64m", "--pids-limit=7", "id"].map(str::to_owned);
        let args = Arguments::parse(words.to_vec(), OPTIONS, true).unwrap();
        let wanted = from_options(&args).unwrap();
        let memory = wanted.memory.unwrap();
        assert_eq!((memory.limit, memory.swap), (Some(64 << 20), None));
        assert_eq!(wanted.pids.unwrap().limit, 7);
        assert_eq!(wanted.cpu, Some(LinuxCpu::default()));
    }
}
