//! The command line of `gantry daemon`: `--flag value`, `--flag=value`, `-f
//! value`, `-fvalue`; switches take a value only after `=`.

use serde_json::{Map, Value, json};

use super::options::{self, Kind, Opt};
use super::quantity;

/// Values of options, by their names: those of flags are kept apart from those
/// of the file until both are known.
pub(super) type Values = Map<String, Value>;

/// What the command line asks for.
#[derive(Debug, PartialEq)]
pub(super) enum Request {
    Run(Values),
    Help,
    Version,
}

/// Reads a command line.
///
/// # Errors
/// Names the flag that is unknown, lacks a value, has a wrong one, or is not
/// supported.
pub(super) fn parse(args: Vec<String>) -> Result<Request, String> {
    let mut values = Values::new();
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "-h" | "--help" => return Ok(Request::Help),
            "-v" | "--version" => return Ok(Request::Version),
            _ => {}
        }
        let (option, called, given) = split(&arg)?;
        let text = match given {
            Some(text) => text,
            None if option.kind == Kind::Switch => "true".to_owned(),
            None => args
                .next()
                .ok_or_else(|| format!("flag needs an argument: {called}"))?,
        };
        add(&mut values, option, &text)
            .map_err(|reason| format!("invalid argument {text:?} for {called:?} flag: {reason}"))?;
        let value = values.get(option.name()).unwrap_or(&Value::Null);
        option.check(&called, value)?;
    }
    Ok(Request::Run(values))
}

/// The option of an argument, how it was called, and the value in the argument.
fn split(arg: &str) -> Result<(&'static Opt, String, Option<String>), String> {
    if let Some(long) = arg.strip_prefix("--") {
        let (name, value) = match long.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (long, None),
        };
        let option = options::by_flag(name)
            .ok_or_else(|| format!("unknown flag: --{name}\nSee 'gantry daemon --help'."))?;
        return Ok((option, format!("--{name}"), value));
    }
    let mut letters = arg.strip_prefix('-').unwrap_or("").chars();
    let Some(letter) = letters.next() else {
        return Err(format!(
            "\"gantry daemon\" accepts no arguments: {arg:?}\nSee 'gantry daemon --help'."
        ));
    };
    let option = options::by_letter(letter).ok_or_else(|| {
        format!("unknown shorthand flag: {letter:?} in {arg}\nSee 'gantry daemon --help'.")
    })?;
    let rest = letters.as_str();
    let rest = rest.strip_prefix('=').unwrap_or(rest);
    let value = (!rest.is_empty()).then(|| rest.to_owned());
    Ok((option, format!("-{letter}"), value))
}

/// Adds one occurrence of a flag.
fn add(values: &mut Values, option: &Opt, text: &str) -> Result<(), String> {
    let name = option.name();
    match option.kind {
        Kind::Switch => {
            let value = match text {
                "1" | "t" | "T" | "true" | "TRUE" | "True" => true,
                "0" | "f" | "F" | "false" | "FALSE" | "False" => false,
                _ => return Err("expected true or false".to_owned()),
            };
            values.insert(name.to_owned(), json!(value));
        }
        Kind::Text | Kind::Any => {
            values.insert(name.to_owned(), json!(text));
        }
        Kind::Number => {
            let number: i64 = text.parse().map_err(|_| "expected a number".to_owned())?;
            values.insert(name.to_owned(), json!(number));
        }
        Kind::List => push(values, name, json!(text)),
        Kind::Pools => push(values, name, quantity::pool(text)?),
        Kind::Pairs => {
            let (key, value) = text.split_once('=').unwrap_or((text, ""));
            put(values, name, key, json!(value));
        }
        Kind::NetworkOptions => {
            let mut parts = text.splitn(3, '=');
            let (Some(driver), Some(key), Some(value)) = (parts.next(), parts.next(), parts.next())
            else {
                return Err("expected driver=key=value".to_owned());
            };
            let mut options = Values::new();
            if let Some(Value::Object(known)) = values.get(name).and_then(|all| all.get(driver)) {
                options.clone_from(known);
            }
            options.insert(key.to_owned(), json!(value));
            put(values, name, driver, Value::Object(options));
        }
        Kind::Ulimits => {
            let (key, limit) = quantity::ulimit(text)?;
            put(values, name, &key, limit);
        }
    }
    Ok(())
}

fn push(values: &mut Values, name: &str, value: Value) {
    let list = values.entry(name).or_insert_with(|| json!([]));
    if let Value::Array(list) = list {
        list.push(value);
    }
}

fn put(values: &mut Values, name: &str, key: &str, value: Value) {
    let map = values.entry(name).or_insert_with(|| json!({}));
    if let Value::Object(map) = map {
        map.insert(key.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str]) -> Result<Request, String> {
        parse(args.iter().map(|arg| (*arg).to_owned()).collect())
    }

    #[test]
    fn flags_have_all_usual_forms() {
        let request = parsed(&[
            "-H",
            "unix:///a",
            "--host=tcp://b",
            "-Hfd://",
            "-D",
            "--icc=false",
            "--mtu",
            "1400",
            "--log-opt",
            "max-size=1m",
            "--log-opt",
            "tag=a=b",
        ]);
        let Request::Run(values) = request.unwrap() else {
            panic!("not a run");
        };
        assert_eq!(values["host"], json!(["unix:///a", "tcp://b", "fd://"]));
        assert_eq!(values["debug"], json!(true));
        assert_eq!(values["icc"], json!(false));
        assert_eq!(values["mtu"], json!(1400));
        assert_eq!(values["log-opt"], json!({"max-size": "1m", "tag": "a=b"}));
    }

    #[test]
    fn mistakes_are_named() {
        for (args, part) in [
            (&["--bogus"][..], "unknown flag: --bogus"),
            (&["-z"], "unknown shorthand flag: 'z' in -z"),
            (&["run"], "accepts no arguments"),
            (&["--mtu"], "flag needs an argument: --mtu"),
            (&["--mtu", "x"], "invalid argument \"x\" for \"--mtu\" flag"),
            (
                &["--metrics-addr", "x"],
                "option --metrics-addr is not supported yet",
            ),
            (
                &["--network-control-plane-mtu", "1"],
                "is not supported yet",
            ),
            (
                &["--default-network-opt", "bridge=x"],
                "expected driver=key=value",
            ),
        ] {
            let error = parsed(args).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        assert!(parsed(&["--ipv6=false"]).is_ok());
        assert_eq!(parsed(&["--mtu", "1", "--help"]).unwrap(), Request::Help);
    }
}
