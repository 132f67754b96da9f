//! What a container uses, in numbers and in words.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::commands::names;
use crate::output::formatter::{Row, Shape};
use crate::output::human;

/// The answer of the daemon, as far as it is shown.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Figures {
    name: String,
    id: String,
    cpu_stats: Cpu,
    precpu_stats: Cpu,
    memory_stats: Memory,
    blkio_stats: Blkio,
    networks: Option<BTreeMap<String, Network>>,
    pids_stats: Pids,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Cpu {
    cpu_usage: CpuUsage,
    system_cpu_usage: u64,
    online_cpus: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CpuUsage {
    total_usage: u64,
    percpu_usage: Option<Vec<u64>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Memory {
    usage: u64,
    limit: u64,
    stats: Option<BTreeMap<String, u64>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Blkio {
    io_service_bytes_recursive: Option<Vec<BlkioEntry>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct BlkioEntry {
    op: String,
    value: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Network {
    rx_bytes: u64,
    tx_bytes: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Pids {
    current: u64,
}

impl Figures {
    /// The part of one CPU that was used between the two readings, in percent.
    fn cpu_percent(&self) -> f64 {
        let (now, before) = (&self.cpu_stats, &self.precpu_stats);
        let used = now.cpu_usage.total_usage as f64 - before.cpu_usage.total_usage as f64;
        let system = now.system_cpu_usage as f64 - before.system_cpu_usage as f64;
        let cpus = match now.online_cpus {
            0 => now.cpu_usage.percpu_usage.as_ref().map_or(0, Vec::len) as f64,
            cpus => f64::from(cpus),
        };
        match used > 0.0 && system > 0.0 {
            true => used / system * cpus * 100.0,
            false => 0.0,
        }
    }

    /// Memory without files that could be dropped at any time.
    fn memory(&self) -> u64 {
        let stat = |name: &str| {
            let stats = self.memory_stats.stats.as_ref();
            stats.and_then(|stats| stats.get(name)).copied()
        };
        let usage = self.memory_stats.usage;
        let old = stat("total_inactive_file").filter(|inactive| *inactive < usage);
        let inactive = old.or_else(|| stat("inactive_file").filter(|inactive| *inactive < usage));
        usage - inactive.unwrap_or(0)
    }

    fn memory_percent(&self) -> f64 {
        match self.memory_stats.limit {
            0 => 0.0,
            limit => self.memory() as f64 / limit as f64 * 100.0,
        }
    }

    fn blocks(&self, letter: char) -> u64 {
        let entries = self.blkio_stats.io_service_bytes_recursive.iter().flatten();
        let own = entries.filter(|entry| {
            entry.op.chars().next().map(|c| c.to_ascii_lowercase()) == Some(letter)
        });
        own.map(|entry| entry.value).sum()
    }

    fn network(&self) -> (u64, u64) {
        let all = self.networks.iter().flatten();
        all.fold((0, 0), |sum, (_, one)| {
            (sum.0 + one.rx_bytes, sum.1 + one.tx_bytes)
        })
    }
}

/// The shape of the table.
pub(super) fn shape() -> Shape {
    Shape {
        type_name: "container.statsContext",
        headers: &[
            ("Container", "CONTAINER"),
            ("Name", "NAME"),
            ("ID", "CONTAINER ID"),
            ("CPUPerc", "CPU %"),
            ("MemUsage", "MEM USAGE / LIMIT"),
            ("MemPerc", "MEM %"),
            ("NetIO", "NET I/O"),
            ("BlockIO", "BLOCK I/O"),
            ("PIDs", "PIDS"),
        ],
        table: "{{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}".to_owned(),
        raw: "raw".to_owned(),
        quiet: "ID",
        raw_quiet: "container_id",
        tried_first: false,
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn two_sizes(first: u64, second: u64) -> String {
    let sizes = [first, second].map(|bytes| human::size(signed(bytes), 3));
    sizes.join(" / ")
}

/// A row; dashes for a container that has told nothing.
pub(super) fn row(container: &str, figures: Option<&Figures>, truncate: bool) -> Row {
    let mut row = Row::default();
    row.set("Container", container);
    let id = figures.map_or("", |figures| figures.id.as_str());
    row.set("ID", if truncate { names::short_id(id) } else { id });
    let name = figures.map_or("", |figures| figures.name.trim_start_matches('/'));
    row.set("Name", if name.is_empty() { "--" } else { name });
    let Some(figures) = figures else {
        for field in ["CPUPerc", "MemPerc", "NetIO", "BlockIO", "PIDs"] {
            row.set(field, "--");
        }
        row.set("MemUsage", "-- / --");
        return row;
    };
    let limit = figures.memory_stats.limit;
    let memory = [figures.memory(), limit].map(|bytes| human::binary_size(signed(bytes)));
    let (received, sent) = figures.network();
    row.set("CPUPerc", format!("{:.2}%", figures.cpu_percent()));
    row.set("MemUsage", memory.join(" / "));
    row.set("MemPerc", format!("{:.2}%", figures.memory_percent()));
    row.set("NetIO", two_sizes(received, sent));
    row.set(
        "BlockIO",
        two_sizes(figures.blocks('r'), figures.blocks('w')),
    );
    row.set("PIDs", figures.pids_stats.current.to_string());
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_in_words() {
        let text = r#"{"name":"/web","id":"0123456789abcdef","cpu_stats":{"cpu_usage":{"total_usage":200},"system_cpu_usage":2000,"online_cpus":2},
            "precpu_stats":{"cpu_usage":{"total_usage":100},"system_cpu_usage":1000},
            "memory_stats":{"usage":3145728,"limit":10485760,"stats":{"total_inactive_file":1048576}},
            "blkio_stats":{"io_service_bytes_recursive":[{"op":"Read","value":1000},{"op":"write","value":5}]},
            "networks":{"eth0":{"rx_bytes":1500,"tx_bytes":2}},"pids_stats":{"current":3}}"#;
        let figures: Figures = serde_json::from_str(text).unwrap();
        let shown = row("web", Some(&figures), true).fields;
        let expected = [
            ("Name", "web"),
            ("ID", "0123456789ab"),
            ("CPUPerc", "20.00%"),
            ("MemUsage", "2MiB / 10MiB"),
            ("MemPerc", "20.00%"),
            ("NetIO", "1.5kB / 2B"),
            ("BlockIO", "1kB / 5B"),
            ("PIDs", "3"),
        ];
        for (field, value) in expected {
            assert_eq!(shown[field], value, "{field}");
        }
        assert_eq!(row("x", None, true).fields["MemUsage"], "-- / --");
    }
}
