//! `load` of a real image: about 700 MB, six gzip layers (made by `bench/make-image`).

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::in_turns;
use crate::contender::Contender;
use crate::measure::{Row, Target};
use crate::options::Options;
use crate::say;

/// Where `make-image` usually puts it.
pub(super) const USUAL: &str = "/var/tmp/gantry-load/docker.tar";
/// The image in it.
pub(super) const IMAGE: &str = "bench/real:latest";
/// How long the disk is left alone after a removal.
const REST: Duration = Duration::from_secs(2);

/// By each engine's own command line; the image is not there before.
pub fn load(contenders: &mut [Contender], options: &Options) -> Result<Row, String> {
    let path = options.load.clone().unwrap_or_else(|| USUAL.into());
    let mut row = Row {
        name: "load".to_owned(),
        title: "`load` of an image of 700 MB in 6 gzip layers, the whole process".to_owned(),
        series: Vec::new(),
        targets: vec![Target::times("docker", 3.0)],
    };
    if !path.exists() {
        say(&format!(
            "SKIPPED: load: {} is not there: make it with bench/make-image",
            path.display()
        ));
        return Ok(row);
    }
    let name = (row.name.as_str(), row.title.clone());
    let measured = in_turns(
        name,
        contenders,
        options.rounds,
        Vec::new(),
        |contender, series| one(contender, series, &path),
    )?;
    row.series = measured.series;
    Ok(row)
}

fn one(
    contender: &mut Contender,
    series: &mut crate::measure::Series,
    path: &Path,
) -> Result<(), String> {
    let path = path.display().to_string();
    let group = Arc::clone(&contender.group);
    series.client(&group, || contender.client(&["load", "-q", "-i", &path]))?;
    contender.client(&["rmi", "-f", IMAGE])?;
    // Neither the removal nor the writing back is the next one's.
    crate::command::run(&["sync"])?;
    std::thread::sleep(REST);
    Ok(())
}
