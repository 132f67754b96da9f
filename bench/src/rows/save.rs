//! `save` of a real image, the one that `load` brings in: about 700 MB, six gzip
//! layers.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::in_turns_after;
use super::load::{IMAGE, USUAL};
use crate::contender::Contender;
use crate::measure::{Row, Series, Target};
use crate::options::Options;
use crate::say;

/// How long the disk is left alone after a removal.
const REST: Duration = Duration::from_secs(2);

/// Into a file, by each engine's own command line.
pub fn save(contenders: &mut [Contender], options: &Options) -> Result<Row, String> {
    let title = "`save` of an image of 700 MB in 6 gzip layers, the whole process";
    let path = options.load.clone().unwrap_or_else(|| USUAL.into());
    if !path.exists() {
        say(&format!(
            "SKIPPED: save: {} is not there: make it with bench/make-image",
            path.display()
        ));
        return Ok(Row {
            name: "save".to_owned(),
            title: title.to_owned(),
            series: Vec::new(),
            targets: Vec::new(),
        });
    }
    let dir = crate::ending::folder()?;
    let archive = path.display().to_string();
    let row = in_turns_after(
        |contender| {
            let loaded = contender.client(&["load", "-q", "-i", &archive]);
            loaded.map(drop)
        },
        ("save", title.to_owned()),
        contenders,
        options.rounds,
        vec![Target::times("docker", 6.0)],
        |contender, series| one(contender, series, dir.path()),
    );
    for contender in contenders {
        // Who has failed may not have it.
        let _ = contender.client(&["rmi", "-f", IMAGE]);
    }
    row
}

fn one(contender: &mut Contender, series: &mut Series, dir: &Path) -> Result<(), String> {
    let path = dir.join(contender.name);
    let shown = path.display().to_string();
    let group = Arc::clone(&contender.group);
    series.client(&group, || contender.client(&["save", "-o", &shown, IMAGE]))?;
    std::fs::remove_file(&path).map_err(|error| format!("{shown}: {error}"))?;
    // Neither the removal nor the writing back is the next one's.
    crate::command::run(&["sync"])?;
    std::thread::sleep(REST);
    Ok(())
}
