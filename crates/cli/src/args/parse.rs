//! The parser: flags in any order among the operands, or only before the
//! first one; `-it` together, `-fvalue`, `-f=value`, `--flag value`,
//! `--flag=value`, `--` ends the flags.

use super::flag::{Flag, Kind};
use super::matches::Matches;

/// How a command line ended.
#[derive(Debug)]
pub(crate) enum Parsed {
    Matches(Matches),
    /// `--help` was among the flags.
    Help,
}

/// A fault in the command line, in pflag's words.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ParseError(pub(crate) String);

/// Parses `args` against `tables`. Without `interspersed`, everything from the
/// first operand on is an operand.
pub(crate) fn parse(
    tables: &[&'static [Flag]],
    interspersed: bool,
    args: &[String],
) -> Result<Parsed, ParseError> {
    let flags: Vec<&'static Flag> = tables.iter().flat_map(|table| table.iter()).collect();
    let mut parser = Parser {
        matches: Matches {
            flags,
            ..Matches::default()
        },
        args,
        next: 0,
    };
    while let Some(arg) = parser.take() {
        if arg == "--" {
            parser
                .matches
                .operands
                .extend_from_slice(&args[parser.next..]);
            break;
        }
        let help = if let Some(long) = arg.strip_prefix("--") {
            parser.long(long)?
        } else if arg.len() > 1 && arg.starts_with('-') {
            parser.shorts(&arg[1..])?
        } else {
            parser.matches.operands.push(arg.to_owned());
            if !interspersed {
                parser
                    .matches
                    .operands
                    .extend_from_slice(&args[parser.next..]);
                break;
            }
            false
        };
        if help {
            return Ok(Parsed::Help);
        }
    }
    Ok(Parsed::Matches(parser.matches))
}

struct Parser<'a> {
    matches: Matches,
    args: &'a [String],
    next: usize,
}

impl<'a> Parser<'a> {
    fn take(&mut self) -> Option<&'a str> {
        let arg = self.args.get(self.next)?;
        self.next += 1;
        Some(arg)
    }

    /// `name` or `name=value`; true when help is asked for.
    fn long(&mut self, text: &str) -> Result<bool, ParseError> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text, None),
        };
        if name.is_empty() || name.starts_with('-') {
            return Err(ParseError(format!("bad flag syntax: --{text}")));
        }
        let Some(flag) = self
            .matches
            .flags
            .iter()
            .find(|flag| flag.long == name)
            .copied()
        else {
            if name == "help" {
                return Ok(true);
            }
            return Err(ParseError(format!("unknown flag: --{name}")));
        };
        let value = match value {
            Some(value) => value,
            None if flag.kind == Kind::Bool => "true".to_owned(),
            None => match self.take() {
                Some(value) => value.to_owned(),
                None => {
                    return Err(ParseError(format!("flag needs an argument: --{name}")));
                }
            },
        };
        self.set(flag, value)?;
        Ok(false)
    }

    /// A cluster of short flags; true when help is asked for.
    fn shorts(&mut self, cluster: &str) -> Result<bool, ParseError> {
        let mut rest = cluster;
        while let Some(short) = rest.chars().next() {
            let after = &rest[short.len_utf8()..];
            let Some(flag) = self
                .matches
                .flags
                .iter()
                .find(|flag| flag.short == Some(short))
                .copied()
            else {
                if short == 'h' {
                    return Ok(true);
                }
                return Err(ParseError(format!(
                    "unknown shorthand flag: '{short}' in -{rest}"
                )));
            };
            if let Some(value) = after.strip_prefix('=') {
                self.set(flag, value.to_owned())?;
                return Ok(false);
            }
            if flag.kind == Kind::Bool {
                self.set(flag, "true".to_owned())?;
                rest = after;
                continue;
            }
            let value = match (after, self.next) {
                ("", _) => match self.take() {
                    Some(value) => value.to_owned(),
                    None => {
                        return Err(ParseError(format!(
                            "flag needs an argument: '{short}' in -{rest}"
                        )));
                    }
                },
                (value, _) => value.to_owned(),
            };
            self.set(flag, value)?;
            return Ok(false);
        }
        Ok(false)
    }

    fn set(&mut self, flag: &'static Flag, value: String) -> Result<(), ParseError> {
        flag.kind.check(&value).map_err(|reason| {
            ParseError(format!(
                "invalid argument {value:?} for \"{}\" flag: {reason}",
                flag.names()
            ))
        })?;
        if flag.kind == Kind::Strings {
            let parts = value.split(',').filter(|part| !part.is_empty());
            for part in parts {
                self.matches.values.push((flag.long, part.to_owned()));
            }
        } else {
            self.matches.values.push((flag.long, value));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::flag::flag;
    use super::*;

    static FLAGS: &[Flag] = &[
        flag("interactive", Kind::Bool, "").short('i'),
        flag("tty", Kind::Bool, "").short('t'),
        flag("rm", Kind::Bool, ""),
        flag("env", Kind::Env, "").short('e'),
        flag("memory", Kind::Bytes, "").short('m'),
        flag("memory-swap", Kind::SwapBytes, ""),
        flag("sig-proxy", Kind::Bool, "").default("true"),
        flag("platform", Kind::Strings, ""),
    ];

    fn go(interspersed: bool, args: &str) -> String {
        let args: Vec<String> = args.split_whitespace().map(str::to_owned).collect();
        match parse(&[FLAGS], interspersed, &args) {
            Ok(Parsed::Help) => "help".to_owned(),
            Ok(Parsed::Matches(found)) => {
                let values: Vec<String> = found
                    .values
                    .iter()
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect();
                format!("{} | {}", values.join(" "), found.operands.join(" "))
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn reads_as_pflag_does() {
        let table = [
            (
                false,
                "-it --rm bb sh -c x",
                "interactive=true tty=true rm=true | bb sh -c x",
            ),
            (false, "-i bb -t", "interactive=true | bb -t"),
            (true, "bb -t", "tty=true | bb"),
            (true, "bb -- -t", " | bb -t"),
            (false, "--rm=false bb", "rm=false | bb"),
            (false, "--sig-proxy=false bb", "sig-proxy=false | bb"),
            (
                false,
                "-eA=1 -e B=2 -e=C=3 --env=D bb",
                "env=A=1 env=B=2 env=C=3 env=D | bb",
            ),
            (
                false,
                "-ite A=1 bb",
                "interactive=true tty=true env=A=1 | bb",
            ),
            (
                false,
                "-m 1g --memory-swap -1 bb",
                "memory=1g memory-swap=-1 | bb",
            ),
            (false, "- x", " | - x"),
            (
                true,
                "--platform a,b --platform=c",
                "platform=a platform=b platform=c | ",
            ),
            (false, "--help", "help"),
            (false, "-h", "help"),
            (false, "--foo", "unknown flag: --foo"),
            (false, "-iZ", "unknown shorthand flag: 'Z' in -Z"),
            (false, "-e", "flag needs an argument: 'e' in -e"),
            (false, "--env", "flag needs an argument: --env"),
            (
                false,
                "-m xx",
                "invalid argument \"xx\" for \"-m, --memory\" flag: invalid size: 'xx'",
            ),
            (
                false,
                "--rm=xx",
                "invalid argument \"xx\" for \"--rm\" flag: strconv.ParseBool: parsing \"xx\": invalid syntax",
            ),
        ];
        for (interspersed, args, expected) in table {
            assert_eq!(go(interspersed, args), expected, "{args}");
        }
    }
}
