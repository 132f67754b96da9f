//! The bench's command line.

use std::path::PathBuf;

/// Rounds when the command line names none.
const ROUNDS: usize = 20;

const USAGE: &str = "\
usage: gantry-bench GANTRY-BINARY [FILTER...] [--rounds N] [--against NAME]...
                    [--json FILE] [--load FILE] [--list]
  FILTER        rows whose name contains one of these words (all), or after a `=`
                is the word
  --rounds N    how often each contender does each kind of work (20)
  --against X   only with this peer (docker, podman); may be given twice
  --json FILE   write every sample and median there
  --load FILE   the archive for the row `load` (see bench/make-image)
  --list        name the rows
(cargo xtask bench runs it; GANTRY_PEERS is the folder of the peers' scripts)";

/// What to measure, and how.
pub struct Options {
    /// The binary under test.
    pub gantry: String,
    /// Words, one of which a row's name contains; empty for all.
    pub filter: Vec<String>,
    /// How often.
    pub rounds: usize,
    /// The peers to compare with; empty for all.
    pub against: Vec<String>,
    /// Where the numbers go.
    pub json: Option<PathBuf>,
    /// The archive to load.
    pub load: Option<PathBuf>,
    /// Only name the rows.
    pub list: bool,
    /// The folder of the peers' scripts.
    pub peers: Option<String>,
}

impl Options {
    /// Whether a row is wanted.
    pub fn wants(&self, row: &str) -> bool {
        self.filter.is_empty()
            || self.filter.iter().any(|word| match word.strip_prefix('=') {
                Some(whole) => row == whole,
                None => row.contains(word.as_str()),
            })
    }
}

/// Reads the command line.
pub fn parse(args: &[String]) -> Result<Options, String> {
    let mut options = Options {
        gantry: String::new(),
        filter: Vec::new(),
        rounds: ROUNDS,
        against: Vec::new(),
        json: None,
        load: None,
        list: false,
        peers: std::env::var("GANTRY_PEERS").ok(),
    };
    let mut words = args.iter();
    let mut positional = Vec::new();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--rounds" => {
                let text = value()?;
                let number = text.parse().ok().filter(|&n| n > 0);
                options.rounds = number.ok_or_else(|| format!("--rounds {text}: not a number"))?;
            }
            "--against" => options.against.push(value()?.to_owned()),
            "--json" => options.json = Some(value()?.into()),
            "--load" => options.load = Some(value()?.into()),
            "--list" => options.list = true,
            flag if flag.starts_with('-') => return Err(format!("{flag}: unknown\n{USAGE}")),
            word => positional.push(word.to_owned()),
        }
    }
    let mut positional = positional.into_iter();
    let binary = positional.next().ok_or(USAGE)?;
    let absolute = std::fs::canonicalize(&binary).map_err(|error| format!("{binary}: {error}"))?;
    options.gantry = absolute.display().to_string();
    options.filter = positional.collect();
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn filters_and_numbers() {
        let options = parse(&words("/proc/self/exe api --rounds 3 load")).unwrap();
        assert_eq!((options.rounds, options.filter.len()), (3, 2));
        assert!(options.wants("api-none") && options.wants("load") && !options.wants("run"));
        let options = parse(&words("/proc/self/exe =pull")).unwrap();
        assert!(options.wants("pull") && !options.wants("pull-ten"));
        for wrong in [
            "",
            "/proc/self/exe --rounds",
            "/proc/self/exe --rounds 0",
            "/proc/self/exe --x",
        ] {
            assert!(parse(&words(wrong)).is_err(), "{wrong}");
        }
    }
}
