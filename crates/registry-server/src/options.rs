//! The command line of `gantry registry serve` and `gc`: one table of flags, which
//! also names the environment variables that Docker's registry reads for the same.

use std::path::PathBuf;
use std::time::Duration;

/// The port without one in `--addr`.
const DEFAULT_ADDR: &str = ":5000";
const DEFAULT_ROOT: &str = "/var/lib/registry";

/// What a flag's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Switch,
    Text,
}

/// One flag.
struct Flag {
    name: &'static str,
    kind: Kind,
    /// What Docker's registry reads.
    variable: Option<&'static str>,
    help: &'static str,
    /// Takes over the value.
    set: fn(&mut Settings, &str) -> Result<(), String>,
}

/// What the registry is to do.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) addr: String,
    pub(crate) root: PathBuf,
    pub(crate) read_only: bool,
    pub(crate) access_log: bool,
    pub(crate) json_log: bool,
    pub(crate) debug: bool,
    /// The most bytes of one blob.
    pub(crate) max_blob: u64,
    /// The most uploads that have begun and not ended.
    pub(crate) max_uploads: u64,
    /// How long an upload may rest.
    pub(crate) upload_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            addr: DEFAULT_ADDR.to_owned(),
            root: DEFAULT_ROOT.into(),
            read_only: false,
            access_log: true,
            json_log: false,
            debug: false,
            max_blob: u64::MAX,
            max_uploads: 10_000,
            upload_timeout: Duration::from_secs(7 * 86_400),
        }
    }
}

const FLAGS: &[Flag] = &[
    Flag {
        name: "addr",
        kind: Kind::Text,
        variable: Some("REGISTRY_HTTP_ADDR"),
        help: "Address to listen on (default \":5000\")",
        set: |settings, text| {
            text.clone_into(&mut settings.addr);
            Ok(())
        },
    },
    Flag {
        name: "root",
        kind: Kind::Text,
        variable: Some("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY"),
        help: "Where the data are kept (default \"/var/lib/registry\")",
        set: |settings, text| {
            settings.root = text.into();
            Ok(())
        },
    },
    Flag {
        name: "read-only",
        kind: Kind::Switch,
        variable: Some("REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED"),
        help: "Refuse everything that changes anything",
        set: |settings, text| {
            settings.read_only = switch(text)?;
            Ok(())
        },
    },
    Flag {
        name: "access-log",
        kind: Kind::Switch,
        variable: None,
        help: "Write a line for each request (default true)",
        set: |settings, text| {
            settings.access_log = switch(text)?;
            Ok(())
        },
    },
    Flag {
        name: "log-format",
        kind: Kind::Text,
        variable: Some("REGISTRY_LOG_FORMATTER"),
        help: "\"text\" or \"json\" (default \"text\")",
        set: |settings, text| {
            settings.json_log = match text {
                "text" => false,
                "json" => true,
                _ => return Err("must be \"text\" or \"json\"".to_owned()),
            };
            Ok(())
        },
    },
    Flag {
        name: "debug",
        kind: Kind::Switch,
        variable: None,
        help: "Write more into the log",
        set: |settings, text| {
            settings.debug = switch(text)?;
            Ok(())
        },
    },
    Flag {
        name: "max-blob-size",
        kind: Kind::Text,
        variable: None,
        help: "The most bytes of one blob, such as 10g (default: no limit)",
        set: |settings, text| {
            settings.max_blob = bytes(text)?;
            Ok(())
        },
    },
    Flag {
        name: "max-uploads",
        kind: Kind::Text,
        variable: None,
        help: "The most uploads at a time (default 10000)",
        set: |settings, text| {
            let number = text.parse().map_err(|_| "must be a number".to_owned())?;
            settings.max_uploads = number;
            Ok(())
        },
    },
    Flag {
        name: "upload-timeout",
        kind: Kind::Text,
        variable: None,
        help: "When an unfinished upload is removed, such as 24h (default 168h)",
        set: |settings, text| {
            settings.upload_timeout = duration(text)?;
            Ok(())
        },
    },
];

/// What the command line asks for.
pub(crate) enum Request {
    Serve(Settings),
    Help,
}

/// Reads a command line, and the environment for what it does not say.
///
/// # Errors
/// Names what is unknown or wrong.
pub(crate) fn parse(
    args: Vec<String>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Request, String> {
    let mut settings = Settings::default();
    for flag in FLAGS {
        if let Some(name) = flag.variable
            && let Some(text) = variable(name).filter(|text| !text.is_empty())
        {
            (flag.set)(&mut settings, &text)
                .map_err(|reason| format!("{name}={text:?}: {reason}"))?;
        }
    }
    let mut args = args.into_iter();
    let hint = "See 'gantry registry --help'.";
    match args.next().as_deref() {
        Some("serve") => {}
        None | Some("-h" | "--help" | "help") => return Ok(Request::Help),
        Some(other) => return Err(format!("unknown command: {other:?}\n{hint}")),
    }
    while let Some(arg) = args.next() {
        if matches!(arg.as_str(), "-h" | "--help") {
            return Ok(Request::Help);
        }
        let Some(long) = arg.strip_prefix("--") else {
            return Err(format!("\"serve\" accepts no arguments: {arg:?}\n{hint}"));
        };
        let (name, given) = match long.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (long, None),
        };
        let flag = FLAGS.iter().find(|flag| flag.name == name);
        let flag = flag.ok_or_else(|| format!("unknown flag: --{name}\n{hint}"))?;
        let text = match given {
            Some(text) => text,
            None if flag.kind == Kind::Switch => "true".to_owned(),
            None => args
                .next()
                .ok_or_else(|| format!("flag needs an argument: --{name}"))?,
        };
        (flag.set)(&mut settings, &text).map_err(|reason| {
            format!("invalid argument {text:?} for \"--{name}\" flag: {reason}")
        })?;
    }
    Ok(Request::Serve(settings))
}

/// What `--help` says.
pub(crate) fn help() -> String {
    let mut text = String::from(
        "Usage:  gantry registry serve [OPTIONS]\n\n\
         A registry for images and other artifacts (OCI distribution spec 1.1).\n\nOptions:\n",
    );
    for flag in FLAGS {
        let value = match flag.kind {
            Kind::Switch => "",
            Kind::Text => " string",
        };
        let shown = format!("--{}{value}", flag.name);
        text.push_str(&format!("      {shown:<28} {}\n", flag.help));
        if let Some(variable) = flag.variable {
            text.push_str(&format!("      {:<28} (also {variable})\n", ""));
        }
    }
    text.push_str("  -h, --help                       Print usage\n");
    text
}

fn switch(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("must be true or false".to_owned()),
    }
}

/// A size with an optional unit (k, m, g, t: powers of 1024).
fn bytes(text: &str) -> Result<u64, String> {
    let lower = text.to_ascii_lowercase();
    let digits = lower.trim_end_matches('b');
    let shift = match digits.chars().last() {
        Some('k') => 10,
        Some('m') => 20,
        Some('g') => 30,
        Some('t') => 40,
        _ => 0,
    };
    let digits = digits.trim_end_matches(['k', 'm', 'g', 't']);
    let number: u64 = digits.parse().map_err(|_| "must be a size".to_owned())?;
    number
        .checked_mul(1 << shift)
        .ok_or_else(|| "is too large".to_owned())
}

/// A time with a unit (s, m, h, d).
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "must be a time such as 30s, 10m, 24h or 7d".to_owned();
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    let seconds = number.checked_mul(seconds).filter(|s| *s < 1 << 40);
    seconds.map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(args: &[&str], variables: &[(&str, &str)]) -> Result<Settings, String> {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        let variable = |name: &str| {
            let found = variables.iter().find(|(found, _)| *found == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        match parse(args, variable)? {
            Request::Serve(settings) => Ok(settings),
            Request::Help => Err("help".to_owned()),
        }
    }

    #[test]
    fn flags_win_over_the_environment() {
        let variables = [
            ("REGISTRY_HTTP_ADDR", ":1"),
            ("REGISTRY_LOG_FORMATTER", "json"),
        ];
        let found = settings(
            &["serve", "--addr=:2", "--read-only", "--root", "/x"],
            &variables,
        );
        let found = found.unwrap();
        assert_eq!((found.addr.as_str(), found.json_log), (":2", true));
        assert!(found.read_only && found.root == *"/x");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (args, text) in [
            (&["serve", "--nonsense"][..], "unknown flag: --nonsense"),
            (&["serve", "x"], "accepts no arguments"),
            (&["serve", "--root"], "needs an argument"),
            (&["serve", "--max-blob-size", "x"], "must be a size"),
            (&["serve", "--upload-timeout", "5"], "must be a time"),
            (&["server"], "unknown command"),
        ] {
            let error = settings(args, &[]).unwrap_err();
            assert!(error.contains(text), "{error}");
        }
        assert!(settings(&["serve"], &[("REGISTRY_LOG_FORMATTER", "x")]).is_err());
        assert!(help().contains("--max-blob-size"));
    }

    #[test]
    fn quantities_are_read() {
        assert_eq!(bytes("10k").unwrap(), 10 << 10);
        assert_eq!(bytes("3GB").unwrap(), 3 << 30);
        assert!(bytes("99999999999t").is_err() && bytes("").is_err());
        assert_eq!(duration("2h").unwrap(), Duration::from_secs(7200));
        assert!(duration("é").is_err() && duration("").is_err());
    }
}
