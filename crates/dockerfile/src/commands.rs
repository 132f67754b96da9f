//! The arguments and flags of each instruction, checked.

use std::time::Duration;

use crate::error::Error;
use crate::flags::{Flags, Kind};
use crate::heredoc;
use crate::instruction::{
    Add, Command, CommandLine, Copy, Healthcheck, InlineFile, Network, Pair, Run, Security, Word,
    strip_tabs,
};
use crate::lines::Line;
use crate::mount::MountText;
use crate::parse;
use crate::shell::quoted;
use crate::split::{Arguments, to_words};

const ADD_FLAGS: [(&str, Kind); 7] = [
    ("chown", Kind::Value),
    ("chmod", Kind::Value),
    ("link", Kind::Switch),
    ("keep-git-dir", Kind::Switch),
    ("checksum", Kind::Value),
    ("unpack", Kind::Switch),
    ("exclude", Kind::Values),
];

const COPY_FLAGS: [(&str, Kind); 6] = [
    ("chown", Kind::Value),
    ("from", Kind::Value),
    ("chmod", Kind::Value),
    ("link", Kind::Switch),
    ("exclude", Kind::Values),
    ("parents", Kind::Switch),
];

const RUN_FLAGS: [(&str, Kind); 4] = [
    ("mount", Kind::Values),
    ("network", Kind::Value),
    ("security", Kind::Value),
    ("device", Kind::Values),
];

const HEALTHCHECK_FLAGS: [(&str, Kind); 5] = [
    ("interval", Kind::Value),
    ("timeout", Kind::Value),
    ("start-period", Kind::Value),
    ("start-interval", Kind::Value),
    ("retries", Kind::Value),
];

/// The command of a line, and the names of the flags that were given.
pub(crate) fn command(line: &Line, original: &str) -> Result<(Command, Vec<&'static str>), Error> {
    let arguments = &line.split.arguments;
    let flags = |known: &[(&'static str, Kind)]| Flags::read(&line.split.flags, known);
    let plain = |command: Command| flags(&[]).map(|_| (command, Vec::new()));
    match line.split.name.as_str() {
        "ADD" => {
            at_least_two("ADD", arguments)?;
            let flags = flags(&ADD_FLAGS)?;
            Ok((Command::Add(add(line, &flags)?), flags.used()))
        }
        "COPY" => {
            at_least_two("COPY", arguments)?;
            let flags = flags(&COPY_FLAGS)?;
            Ok((Command::Copy(copy(line, &flags)?), flags.used()))
        }
        "RUN" => {
            let flags = flags(&RUN_FLAGS)?;
            Ok((Command::Run(run(arguments, &flags)?), flags.used()))
        }
        "HEALTHCHECK" => healthcheck(line),
        "ARG" => {
            let args = parse::args(arguments.words(), &line.comments, line.span)?;
            Ok((Command::Arg(args), Vec::new()))
        }
        "STOPSIGNAL" => {
            let signal = one("STOPSIGNAL", arguments)?;
            Ok((Command::Stopsignal(Word::from(signal)), Vec::new()))
        }
        "CMD" => plain(Command::Cmd(command_line(arguments))),
        "ENTRYPOINT" => plain(Command::Entrypoint(command_line(arguments))),
        "ENV" => plain(Command::Env(pairs("ENV", line)?)),
        "LABEL" => plain(Command::Label(pairs("LABEL", line)?)),
        "EXPOSE" => plain(Command::Expose(ports(arguments)?)),
        "MAINTAINER" => plain(Command::Maintainer(
            one("MAINTAINER", arguments)?.to_owned(),
        )),
        "ONBUILD" => plain(Command::Onbuild(parse::trigger(
            arguments,
            original,
            &line.heredocs,
        )?)),
        "SHELL" => plain(Command::Shell(shell(line)?)),
        "USER" => plain(Command::User(Word::from(one("USER", arguments)?))),
        "VOLUME" => plain(Command::Volume(volumes(arguments)?)),
        "WORKDIR" => plain(Command::Workdir(Word::from(one("WORKDIR", arguments)?))),
        _ => Err(parse::unknown(&line.split.keyword)),
    }
}

fn one<'a>(name: &str, arguments: &'a Arguments) -> Result<&'a str, Error> {
    match arguments.words() {
        [word] => Ok(word),
        _ => Err(Error::new(format!("{name} requires exactly one argument"))),
    }
}

fn at_least_one(name: &str) -> Error {
    Error::new(format!("{name} requires at least one argument"))
}

fn at_least_two(name: &str, arguments: &Arguments) -> Result<(), Error> {
    if arguments.words().len() < 2 {
        return Err(Error::new(format!(
            "{name} requires at least two arguments, but only one was provided. Destination could not be determined"
        )));
    }
    Ok(())
}

fn command_line(arguments: &Arguments) -> CommandLine {
    match arguments {
        Arguments::Json(words) => CommandLine::Exec(words.clone()),
        other => CommandLine::Shell(other.words().join(" ")),
    }
}

fn pairs(name: &str, line: &Line) -> Result<Vec<Pair>, Error> {
    // Flags are complained of first.
    Flags::read(&line.split.flags, &[])?;
    let Arguments::Pairs(pairs) = &line.split.arguments else {
        return Err(at_least_one(name));
    };
    let pairs = pairs.iter().map(|(key, value, legacy)| {
        if key.is_empty() {
            return Err(Error::new(format!("{name} names can not be blank")));
        }
        Ok(Pair {
            name: Word::from(key.as_str()),
            value: Word::from(value.as_str()),
            legacy: *legacy,
        })
    });
    pairs.collect()
}

fn ports(arguments: &Arguments) -> Result<Vec<Word>, Error> {
    let mut ports = to_words(arguments.words());
    if ports.is_empty() {
        return Err(at_least_one("EXPOSE"));
    }
    gantry_types::sort::by(&mut ports, |a, b| a.0.cmp(&b.0));
    Ok(ports)
}

fn volumes(arguments: &Arguments) -> Result<Vec<Word>, Error> {
    if arguments.words().is_empty() {
        return Err(at_least_one("VOLUME"));
    }
    let volumes = arguments.words().iter().map(|volume| match volume.trim() {
        "" => Err(Error::new("VOLUME specified can not be an empty string")),
        volume => Ok(Word::from(volume)),
    });
    volumes.collect()
}

fn shell(line: &Line) -> Result<Vec<String>, Error> {
    Flags::read(&line.split.flags, &[])?;
    match &line.split.arguments {
        Arguments::Json(words) if !words.is_empty() => Ok(words.clone()),
        Arguments::Words(_) => Err(Error::new(
            "SHELL requires the arguments to be in JSON form",
        )),
        _ => Err(at_least_one("SHELL")),
    }
}

/// What `ADD` and `COPY` have in common.
struct Transfer {
    sources: Vec<Word>,
    inline: Vec<InlineFile>,
    destination: Word,
}

fn transfer(name: &str, line: &Line) -> Result<Transfer, Error> {
    let words = line.split.arguments.words();
    let Some((destination, sources)) = words.split_last() else {
        return Err(at_least_one(name));
    };
    if is_heredoc(destination).is_some() {
        return Err(Error::new(format!(
            "{name} cannot accept a heredoc as a destination"
        )));
    }
    let mut transfer = Transfer {
        sources: Vec::new(),
        inline: Vec::new(),
        destination: Word::from(destination.as_str()),
    };
    for source in sources {
        let Some(announced) = is_heredoc(source) else {
            transfer.sources.push(Word::from(source.as_str()));
            continue;
        };
        // The last one of a name counts, as in Docker.
        let content = line
            .heredocs
            .iter()
            .rfind(|heredoc| heredoc.name == announced.name)
            .map(|heredoc| heredoc.content.as_str())
            .unwrap_or_default();
        transfer.inline.push(InlineFile {
            content: if announced.strip_tabs {
                strip_tabs(content)
            } else {
                content.to_owned()
            },
            name: announced.name,
            expand: announced.expand,
        });
    }
    Ok(transfer)
}

fn is_heredoc(word: &str) -> Option<crate::instruction::Heredoc> {
    heredoc::word_of(word).ok().flatten()
}

fn add(line: &Line, flags: &Flags) -> Result<Add, Error> {
    let transfer = transfer("ADD", line)?;
    Ok(Add {
        sources: transfer.sources,
        inline: transfer.inline,
        destination: transfer.destination,
        chown: flags.value("chown").map(Word::from),
        chmod: flags.value("chmod").map(Word::from),
        link: flags.switch("link") == Some(true),
        keep_git_dir: flags.switch("keep-git-dir"),
        checksum: flags.value("checksum").map(Word::from),
        unpack: flags.switch("unpack"),
        exclude: flags.values("exclude").to_vec(),
    })
}

fn copy(line: &Line, flags: &Flags) -> Result<Copy, Error> {
    let transfer = transfer("COPY", line)?;
    Ok(Copy {
        sources: transfer.sources,
        inline: transfer.inline,
        destination: transfer.destination,
        from: flags.value("from").map(Word::from),
        chown: flags.value("chown").map(Word::from),
        chmod: flags.value("chmod").map(Word::from),
        link: flags.switch("link") == Some(true),
        parents: flags.switch("parents") == Some(true),
        exclude: flags.values("exclude").to_vec(),
    })
}

fn run(arguments: &Arguments, flags: &Flags) -> Result<Run, Error> {
    if !flags.values("device").is_empty() {
        return Err(Error::new(
            "--device is not supported: there are no CDI devices here",
        ));
    }
    let mounts = flags
        .values("mount")
        .iter()
        .map(|text| MountText::new(text));
    Ok(Run {
        line: command_line(arguments),
        mounts: mounts.collect::<Result<_, _>>()?,
        network: network(flags)?,
        security: security(flags)?,
    })
}

fn network(flags: &Flags) -> Result<Network, Error> {
    match flags.values("network").first().map(String::as_str) {
        None | Some("default") => Ok(Network::Default),
        Some("none") => Ok(Network::None),
        Some("host") => Ok(Network::Host),
        Some(other) => Err(Error::new(format!(
            "invalid network mode {}",
            quoted(other)
        ))),
    }
}

fn security(flags: &Flags) -> Result<Security, Error> {
    match flags.values("security").first().map(String::as_str) {
        None | Some("sandbox") => Ok(Security::Sandbox),
        Some("insecure") => Ok(Security::Insecure),
        Some(other) => Err(Error::new(format!(
            "security {} is not valid",
            quoted(other)
        ))),
    }
}

fn healthcheck(line: &Line) -> Result<(Command, Vec<&'static str>), Error> {
    let Arguments::Kind(kind, rest) = &line.split.arguments else {
        return Err(at_least_one("HEALTHCHECK"));
    };
    let kind = kind.to_uppercase();
    if kind == "NONE" {
        if !rest.words().is_empty() {
            return Err(Error::new("HEALTHCHECK NONE takes no arguments"));
        }
        return Ok((Command::Healthcheck(Healthcheck::None), Vec::new()));
    }
    let flags = Flags::read(&line.split.flags, &HEALTHCHECK_FLAGS)?;
    if kind != "CMD" {
        return Err(Error::new(format!(
            "Unknown type {} in HEALTHCHECK (try CMD)",
            quoted(&kind)
        )));
    }
    if rest.words().is_empty() {
        return Err(Error::new("Missing command after HEALTHCHECK CMD"));
    }
    let check = Healthcheck::Check {
        line: command_line(rest),
        interval: interval(&flags, "interval")?,
        timeout: interval(&flags, "timeout")?,
        start_period: interval(&flags, "start-period")?,
        start_interval: interval(&flags, "start-interval")?,
        retries: retries(&flags)?,
    };
    Ok((Command::Healthcheck(check), flags.used()))
}

fn interval(flags: &Flags, name: &str) -> Result<Duration, Error> {
    let Some(text) = flags.value(name) else {
        return Ok(Duration::ZERO);
    };
    let nanos = gantry_types::units::parse_duration(text).map_err(Error::new)?;
    if nanos != 0 && nanos < 1_000_000 {
        return Err(Error::new(format!(
            "Interval {} cannot be less than 1ms",
            quoted(name)
        )));
    }
    Ok(Duration::from_nanos(nanos.unsigned_abs()))
}

fn retries(flags: &Flags) -> Result<u32, Error> {
    let Some(text) = flags.value("retries") else {
        return Ok(0);
    };
    let number: i32 = text.parse().map_err(|_| {
        let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
        let numeric = !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit());
        let what = if numeric {
            "value out of range"
        } else {
            "invalid syntax"
        };
        Error::new(format!(
            "strconv.ParseInt: parsing {}: {what}",
            quoted(text)
        ))
    })?;
    u32::try_from(number)
        .map_err(|_| Error::new(format!("--retries cannot be negative ({number})")))
}
