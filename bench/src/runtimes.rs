//! The bare OCI runtimes on one bundle: no daemon, no client.

use crate::measure::{Series, Table};
use crate::rootfs::Rootfs;
use crate::shell::{self, words};

/// `run` of `true` by our runtime, and by runc and crun where they are.
pub fn compare(gantry: &str, rootfs: &Rootfs, rounds: usize) -> Result<(), String> {
    let bundle = rootfs.bundle().display().to_string();
    let root = rootfs.bundle().join("state").display().to_string();
    let edit = "set -e; cd \"$0\"; rm -f config.json; \"$1\" runtime spec; \
        sed -i 's/\"terminal\": true/\"terminal\": false/; s/\"sh\"/\"true\"/' config.json";
    shell::run(&words(&["sh", "-c", edit, &bundle, gantry]))?;
    let mut runtimes = vec![("gantry runtime run".to_owned(), words(&[gantry, "runtime"]))];
    if let Ok(peers) = std::env::var("GANTRY_PEERS") {
        let enter = format!("{peers}/enter");
        for name in ["runc", "crun"] {
            runtimes.push((format!("{name} run (and nsenter)"), words(&[&enter, name])));
        }
        // What entering the peers' root costs by itself, to be subtracted by the reader.
        runtimes.push(("nsenter alone".to_owned(), words(&[&enter, "true"])));
    }
    let mut series: Vec<Series> = runtimes.iter().map(|(name, _)| Series::new(name)).collect();
    for round in 0..rounds {
        for (times, (name, runtime)) in series.iter_mut().zip(&runtimes) {
            let id = format!("bench-{round}");
            let args = if name == "nsenter alone" {
                Vec::new()
            } else {
                words(&["--root", &root, "run", "--bundle", &bundle, &id])
            };
            times.time(|| shell::run(&[&runtime[..], &args[..]].concat()))?;
        }
    }
    let mut table = Table::new("OCI runtimes: run of `true` from one bundle");
    table.add_all(series);
    table.print();
    Ok(())
}
