//! Reading a big log.

use std::path::Path;
use std::sync::Arc;

use super::in_turns;
use crate::contender::Contender;
use crate::measure::Row;
use crate::options::Options;

/// The container's name.
const NAME: &str = "bench-logs";
/// How many lines it writes: 200 000 of about 90 bytes in the log.
const SCRIPT: &str = "i=0; while [ $i -lt 20 ]; do seq 1 10000; i=$((i+1)); done";
/// The last line and how many there are, to see that all came.
const LINES: usize = 200_000;

/// `logs` by each engine's own command line.
pub fn read(contenders: &mut [Contender], options: &Options) -> Result<Row, String> {
    let output = Path::new("/var/tmp/gantry-bench-logs.out");
    for contender in contenders.iter_mut() {
        contender.log_once(NAME, SCRIPT)?;
    }
    let title = format!("`logs` of {LINES} lines (json-file) into a file, the whole process");
    let row = in_turns(
        ("logs", title),
        contenders,
        options.rounds,
        Vec::new(),
        |contender, series| {
            let group = Arc::clone(&contender.group);
            series.client(&group, || contender.client_into(&["logs", NAME], output))?;
            let text = std::fs::read(output).map_err(|error| error.to_string())?;
            match text.iter().filter(|byte| **byte == b'\n').count() {
                LINES => Ok(()),
                lines => Err(format!("{}: {lines} lines in the log", contender.name)),
            }
        },
    );
    let _ = std::fs::remove_file(output);
    for contender in contenders.iter_mut() {
        contender.remove(NAME)?;
    }
    row
}
