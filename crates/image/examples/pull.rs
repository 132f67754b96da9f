//! Pulls images into a directory, at the same time, and tells how long it took: to
//! measure the pipeline without a daemon.
//!
//! `pull DIR NAME...`

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a tool of developers"
)]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use gantry_content::ContentStore;
use gantry_image::{Admission, ImageStore, PullRequest, Remote, Source};
use gantry_metadata::Database;
use gantry_registry::{Cancel, Client, Config, Credentials};
use gantry_snapshot::{DriverKind, MetadataRecords};
use gantry_types::Reference;

fn main() {
    let mut args = std::env::args().skip(1);
    let root = PathBuf::from(args.next().expect("a directory"));
    std::fs::create_dir_all(root.join("snapshots")).unwrap();
    let database = Arc::new(Database::open(root.join("metadata.db")).unwrap());
    let kind = DriverKind::Overlay;
    let records = Arc::new(MetadataRecords::new(Arc::clone(&database), kind.name()));
    let snapshots = kind.open(&root.join("snapshots"), records).unwrap();
    let content = ContentStore::open(root.join("content"), Arc::clone(&database)).unwrap();
    let images = ImageStore::open(database, content, snapshots).unwrap();
    let client = Client::new(Config::default()).unwrap();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for name in args {
            let (images, client) = (&images, &client);
            scope.spawn(move || {
                let reference: Reference = name.parse().unwrap();
                let cancel = Cancel::new();
                let credentials = Credentials::default();
                let repository = client.repository(&reference, &credentials, &cancel);
                let source: Arc<dyn Source> = Arc::new(Remote::new(client, &repository.unwrap()));
                let request = PullRequest {
                    reference: reference.or_latest(),
                    platform: None,
                    aside: false,
                };
                let admit = |_: &[_]| Ok(Admission::default());
                let pulled = images.pull(&source, &request, &admit, &cancel, &mut |_| {});
                println!("{name}: {}", pulled.unwrap().id);
            });
        }
    });
    println!("{:.3} s", begun.elapsed().as_secs_f64());
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find(|line| line.starts_with("VmHWM"));
    println!("{}", peak.unwrap_or_default());
}
