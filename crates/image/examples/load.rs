//! Loads an image archive into a store of its own, for profiles of the storage
//! crates alone: `load DIR ARCHIVE [overlay|vfs]`. The store stays in DIR.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use gantry_content::ContentStore;
use gantry_image::{ImageStore, LoadOptions};
use gantry_metadata::Database;
use gantry_snapshot::{DriverKind, MetadataRecords};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [root, archive, rest @ ..] = arguments.as_slice() else {
        return Err("usage: load DIR ARCHIVE [overlay|vfs]".into());
    };
    let root = Path::new(root);
    let kind = match rest.first().map(String::as_str) {
        Some("vfs") => DriverKind::Vfs,
        _ => DriverKind::Overlay,
    };
    std::fs::create_dir_all(root.join("snapshots"))?;
    let database = Arc::new(Database::open(root.join("metadata.db"))?);
    let records = Arc::new(MetadataRecords::new(Arc::clone(&database), kind.name()));
    let snapshots = kind.open(&root.join("snapshots"), records)?;
    let content = ContentStore::open(root.join("content"), Arc::clone(&database))?;
    let images = ImageStore::open(database, content, snapshots)?;
    let begun = Instant::now();
    let file = std::fs::File::open(archive)?;
    let loaded = images.load(file, &LoadOptions::default(), &mut |_| {})?;
    let mut out = std::io::stdout();
    writeln!(out, "{} images, {:?}", loaded.len(), begun.elapsed())?;
    // What the process keeps, to be seen after the load.
    let status = std::fs::read_to_string("/proc/self/status")?;
    for line in status
        .lines()
        .filter(|line| line.starts_with("VmHWM") || line.starts_with("RssAnon"))
    {
        writeln!(out, "{line}")?;
    }
    Ok(())
}
