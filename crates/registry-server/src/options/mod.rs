//! The command line of `gantry registry`: `serve`, and `gc`. The flags are in one
//! table ([`flags`]), which also names the environment variables that Docker's
//! registry reads for the same.

mod flags;
mod quantity;
mod settings;

use flags::{Command, FLAGS, Flag};
pub(crate) use settings::Settings;

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Request {
    Serve(Settings),
    Collect(Settings),
    Help(Option<Command>),
}

const HINT: &str = "See 'gantry registry --help'.";

/// Reads a command line, and the environment for what it does not say.
///
/// # Errors
/// Names what is unknown or wrong.
pub(crate) fn parse(
    args: Vec<String>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Request, String> {
    let mut settings = Settings::default();
    let mut args = args.into_iter();
    let command = match args.next().as_deref() {
        Some("serve") => Command::Serve,
        Some("gc") => Command::Collect,
        None | Some("-h" | "--help" | "help") => return Ok(Request::Help(None)),
        Some(other) => return Err(format!("unknown command: {other:?}\n{HINT}")),
    };
    for flag in FLAGS.iter().filter(|flag| flag.belongs_to(command)) {
        if let Some(name) = flag.variable
            && let Some(text) = variable(name).filter(|text| !text.is_empty())
        {
            (flag.set)(&mut settings, &text).map_err(|reason| format!("{name}: {reason}"))?;
        }
    }
    while let Some(arg) = args.next() {
        if matches!(arg.as_str(), "-h" | "--help") {
            return Ok(Request::Help(Some(command)));
        }
        let Some(long) = arg.strip_prefix("--") else {
            return Err(format!(
                "\"{command}\" accepts no arguments: {arg:?}\n{HINT}"
            ));
        };
        let (name, given) = match long.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (long, None),
        };
        let flag = FLAGS
            .iter()
            .filter(|flag| flag.belongs_to(command))
            .find(|flag| flag.name == name)
            .ok_or_else(|| format!("unknown flag: --{name}\n{HINT}"))?;
        let text = match given {
            Some(text) => text,
            None if flag.value.is_empty() => "true".to_owned(),
            None => args
                .next()
                .ok_or_else(|| format!("flag needs an argument: --{name}"))?,
        };
        (flag.set)(&mut settings, &text).map_err(|reason| {
            format!("invalid argument {text:?} for \"--{name}\" flag: {reason}")
        })?;
    }
    // Not a flag: everybody could read it in the list of processes.
    if let Some(password) = variable("REGISTRY_PROXY_PASSWORD") {
        settings.proxy_password = password;
    }
    settings.check()?;
    Ok(match command {
        Command::Serve => Request::Serve(settings),
        Command::Collect => Request::Collect(settings),
    })
}

/// What `--help` says.
pub(crate) fn help(command: Option<Command>) -> String {
    let Some(command) = command else {
        return "Usage:  gantry registry COMMAND\n\n\
                A registry for images and other artifacts (OCI distribution spec 1.1)\n\n\
                Commands:\n  serve       Serve a registry\n  \
                gc          Remove what nobody needs, also while the registry serves\n\n\
                Run 'gantry registry COMMAND --help' for more information on a command.\n"
            .to_owned();
    };
    let mut text = format!(
        "Usage:  gantry registry {command} [OPTIONS]\n\n{}\n\nOptions:\n",
        command.help()
    );
    for flag in FLAGS.iter().filter(|flag| flag.belongs_to(command)) {
        text.push_str(&line(flag));
    }
    text.push_str("  -h, --help                        Print usage\n");
    text
}

fn line(flag: &Flag) -> String {
    let shown = format!("--{} {}", flag.name, flag.value);
    let mut text = format!("      {:<29} {}\n", shown.trim_end(), flag.help);
    if let Some(variable) = flag.variable {
        text.push_str(&format!("{:<36} (also {variable})\n", ""));
    }
    text
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
            Request::Serve(settings) | Request::Collect(settings) => Ok(settings),
            Request::Help(_) => Err("help".to_owned()),
        }
    }

    #[test]
    fn flags_win_over_the_environment() {
        let variables = [
            ("REGISTRY_HTTP_ADDR", ":1"),
            ("REGISTRY_LOG_FORMATTER", "json"),
            ("REGISTRY_PROXY_PASSWORD", "secret"),
        ];
        let args = ["serve", "--addr=:2", "--read-only", "--root", "/x"];
        let found = settings(&args, &variables).unwrap();
        assert_eq!((found.addr.as_str(), found.json_log), (":2", true));
        assert!(found.read_only && found.root == *"/x" && found.proxy_password == "secret");
        let found = settings(&["gc", "--grace", "0s", "--untagged"], &variables).unwrap();
        assert!(found.gc_untagged && found.gc_grace.is_zero());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (args, text) in [
            (&["serve", "--nonsense"][..], "unknown flag: --nonsense"),
            (&["serve", "x"], "accepts no arguments"),
            (&["serve", "--root"], "needs an argument"),
            (&["serve", "--max-blob-size", "x"], "must be a size"),
            (&["serve", "--upload-timeout", "5"], "must be a time"),
            (&["serve", "--allow-push", "ann"], "must be USER=PREFIX"),
            (&["serve", "--anonymous-pull"], "--htpasswd"),
            (
                &["serve", "--auth", "digest"],
                "must be \"basic\" or \"token\"",
            ),
            (&["gc", "--addr", ":1"], "unknown flag"),
            (&["server"], "unknown command"),
        ] {
            let error = settings(args, &[]).unwrap_err();
            assert!(error.contains(text), "{error}");
        }
        let wrong = [("REGISTRY_LOG_FORMATTER", "x")];
        assert!(settings(&["serve"], &wrong).is_err());
        assert!(help(Some(Command::Serve)).contains("--max-blob-size"));
        assert!(help(None).contains("gc"));
    }
}
