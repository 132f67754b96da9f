//! What a volume begins with: the image's files, copied into it.

use std::sync::Arc;

use super::in_turns;
use crate::contender::Contender;
use crate::measure::{Row, Target};
use crate::options::Options;

/// The container that the image is made of.
const NAME: &str = "bench-copy-up";
/// The image.
const IMAGE: &str = "bench/copy-up:latest";
/// The volume.
const VOLUME: &str = "bench-copy-up";
/// Ten thousand files of up to 4 KB, in a hundred directories.
const FILL: &str = "/bin/busybox mkdir /many; i=0; while [ $i -lt 100 ]; do /bin/busybox mkdir /many/$i; \
    j=0; while [ $j -lt 100 ]; do /bin/busybox head -c $((j*40)) /dev/zero >/many/$i/$j; j=$((j+1)); done; \
    i=$((i+1)); done";

/// A container with a new volume in the place of those files. Podman copies them when the
/// container starts, so it is started.
pub fn copy_up(contenders: &mut [Contender], options: &Options) -> Result<Row, String> {
    for contender in contenders.iter_mut() {
        contender.stay(NAME, &["sleep", "100000"])?;
        contender.client(&["exec", NAME, "sh", "-c", FILL])?;
        contender.client(&["commit", NAME, IMAGE])?;
        contender.remove(NAME)?;
    }
    let title = "`run --rm` with a new volume that begins with 10,000 files of the image, by \
                 each engine's own client";
    let targets = vec![Target::times("docker", 3.0), Target::times("podman", 3.0)];
    let mount = format!("{VOLUME}:/many");
    let row = in_turns(
        ("copy-up", title.to_owned()),
        contenders,
        options.rounds,
        targets,
        |contender, series| {
            let group = Arc::clone(&contender.group);
            let mut run = vec!["run", "--rm", "--network", "none", "-v", &mount];
            run.extend([IMAGE, "true"]);
            series.client(&group, || contender.client(&run))?;
            contender.client(&["volume", "rm", VOLUME]).map(drop)
        },
    );
    for contender in contenders.iter_mut() {
        contender.client(&["rmi", "-f", IMAGE])?;
    }
    row
}
