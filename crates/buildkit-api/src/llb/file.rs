//! File operations of a definition: a chain of actions, each on what another has made.

use gantry_build::graph::{Action, Mode, NodeId, Plain, PlainCopy};

use crate::status::Status;
use crate::wire::{Field, fields};

/// What an action works on: an input of the operation, or what an action before has made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Base {
    Nothing,
    Input(usize),
    Made(usize),
}

/// An action.
pub(super) struct Step {
    pub(super) on: Base,
    /// What a copy takes from.
    pub(super) from: Base,
    /// Which result of the operation it is; negative for none.
    pub(super) output: i64,
    what: Plain,
}

impl Step {
    /// The action, that takes from `from`.
    pub(super) fn action(&self, from: Option<NodeId>) -> Action {
        Action::Plain(match &self.what {
            Plain::Copy(copy) => Plain::Copy(PlainCopy {
                from,
                ..copy.clone()
            }),
            other => other.clone(),
        })
    }

    /// For people, as BuildKit has it.
    pub(super) fn shown(&self) -> String {
        match &self.what {
            Plain::Copy(copy) => format!("copy {} {}", copy.source, copy.target),
            Plain::Directory { path, .. } => format!("mkdir {path}"),
            Plain::File { path, .. } => format!("mkfile {path}"),
            Plain::Link { to, path, .. } => format!("symlink {to} -> {path}"),
            Plain::Remove { path, .. } => format!("rm {path}"),
        }
    }
}

/// Reads all actions of an operation with so many inputs.
pub(super) fn read(message: &[u8], inputs: usize) -> Result<Vec<Step>, Status> {
    let mut steps = Vec::new();
    for field in fields(message) {
        let field = field?;
        if field.number == 2 {
            let step = step(&field, inputs, steps.len())?;
            steps.push(step);
        }
    }
    match steps.is_empty() {
        true => Err(Status::invalid("a file operation without actions")),
        false => Ok(steps),
    }
}

fn step(field: &Field<'_>, inputs: usize, number: usize) -> Result<Step, Status> {
    let (mut on, mut from, mut output, mut what) = (0, 0, 0, None);
    for field in fields(field.bytes()?) {
        let field = field?;
        match field.number {
            1 => on = field.signed()?,
            2 => from = field.signed()?,
            3 => output = field.signed()?,
            4 => what = Some(Plain::Copy(copy(&field)?)),
            5 => what = Some(make_file(&field)?),
            6 => what = Some(make_directory(&field)?),
            7 => what = Some(remove(&field)?),
            8 => what = Some(link(&field)?),
            number => {
                let text = format!("a file action of an unknown kind ({number}) in a definition");
                return Err(Status::unsupported(text));
            }
        }
    }
    let base = |index: i64| match usize::try_from(index) {
        Err(_) => Ok(Base::Nothing),
        Ok(index) if index < inputs => Ok(Base::Input(index)),
        Ok(index) if index - inputs < number => Ok(Base::Made(index - inputs)),
        Ok(index) => Err(Status::invalid(format!("invalid input index {index}"))),
    };
    let what = what.ok_or_else(|| Status::invalid("a file action that does nothing"))?;
    Ok(Step {
        on: base(on)?,
        from: match what {
            Plain::Copy(_) => base(from)?,
            _ => Base::Nothing,
        },
        output,
        what,
    })
}

fn unknown(what: &str, number: u32) -> Status {
    Status::unsupported(format!(
        "field {number} of {what} in a definition is not supported"
    ))
}

/// Permissions, of which a negative number says nothing.
fn mode(field: &Field<'_>) -> Result<Option<u32>, Status> {
    let mode = field.signed()?;
    Ok(u32::try_from(mode).ok().map(|mode| mode & 0o7777))
}

/// A time; a negative one is no wish.
fn time(field: &Field<'_>) -> Result<Option<i64>, Status> {
    Ok(Some(field.signed()?).filter(|time| *time >= 0))
}

fn copy(field: &Field<'_>) -> Result<PlainCopy, Status> {
    let mut copy = PlainCopy::default();
    let (mut octal, mut words) = (None, String::new());
    for field in fields(field.bytes()?) {
        let field = field?;
        match field.number {
            1 => copy.source = field.text()?,
            2 => copy.target = field.text()?,
            3 => copy.owner = owner(&field)?,
            4 => octal = mode(&field)?,
            5 => copy.follow = field.flag()?,
            6 => copy.contents = field.flag()?,
            7 => copy.unpack = field.flag()?,
            8 => copy.create = field.flag()?,
            9 => copy.wildcard = field.flag()?,
            10 => copy.empty = field.flag()?,
            11 => copy.time = time(&field)?,
            12 => copy.include.push(field.text()?),
            13 => copy.exclude.push(field.text()?),
            14 => copy.replace = field.flag()?,
            15 => words = field.text()?,
            number => return Err(unknown("a copy", number)),
        }
    }
    copy.mode = match words.is_empty() {
        false => Some(Mode::Symbolic(words)),
        true => octal.map(Mode::Octal),
    };
    Ok(copy)
}

fn make_file(field: &Field<'_>) -> Result<Plain, Status> {
    let (mut path, mut bits, mut bytes) = (String::new(), 0, Vec::new());
    let (mut whose, mut when) = (None, None);
    for field in fields(field.bytes()?) {
        let field = field?;
        match field.number {
            1 => path = field.text()?,
            2 => bits = mode(&field)?.unwrap_or(0o644),
            3 => bytes = field.bytes()?.to_vec(),
            4 => whose = owner(&field)?,
            5 => when = time(&field)?,
            number => return Err(unknown("a new file", number)),
        }
    }
    Ok(Plain::File {
        path,
        mode: bits,
        bytes,
        owner: whose,
        time: when,
    })
}

fn make_directory(field: &Field<'_>) -> Result<Plain, Status> {
    let (mut path, mut bits, mut parents) = (String::new(), 0, false);
    let (mut whose, mut when) = (None, None);
    for field in fields(field.bytes()?) {
        let field = field?;
        match field.number {
            1 => path = field.text()?,
            2 => bits = mode(&field)?.unwrap_or(0o755),
            3 => parents = field.flag()?,
            4 => whose = owner(&field)?,
            5 => when = time(&field)?,
            number => return Err(unknown("a new directory", number)),
        }
    }
    Ok(Plain::Directory {
        path,
        mode: bits,
        parents,
        owner: whose,
        time: when,
    })
}

fn link(field: &Field<'_>) -> Result<Plain, Status> {
    let (mut to, mut path, mut whose, mut when) = (String::new(), String::new(), None, None);
    for field in fields(field.bytes()?) {
        let field = field?;
        match field.number {
            1 => to = field.text()?,
            2 => path = field.text()?,
            3 => whose = owner(&field)?,
            4 => when = time(&field)?,
            number => return Err(unknown("a link", number)),
        }
    }
    Ok(Plain::Link {
        to,
        path,
        owner: whose,
        time: when,
    })
}

fn remove(field: &Field<'_>) -> Result<Plain, Status> {
    let (mut path, mut missing, mut wildcard) = (String::new(), false, false);
    for field in fields(field.bytes()?) {
        let field = field?;
        match field.number {
            1 => path = field.text()?,
            2 => missing = field.flag()?,
            3 => wildcard = field.flag()?,
            number => return Err(unknown("a removal", number)),
        }
    }
    Ok(Plain::Remove {
        path,
        missing,
        wildcard,
    })
}

/// `user[:group]`. A user by number without a group has root's.
fn owner(field: &Field<'_>) -> Result<Option<String>, Status> {
    let (mut user, mut group) = (None, None);
    for field in fields(field.bytes()?) {
        let field = field?;
        match field.number {
            1 => user = name(&field)?,
            2 => group = name(&field)?,
            number => return Err(unknown("an owner", number)),
        }
    }
    Ok(match (user, group) {
        (None, None) => None,
        (user, Some((group, _))) => {
            let user = user.map_or_else(|| "0".to_owned(), |(user, _)| user);
            Some(format!("{user}:{group}"))
        }
        (Some((user, true)), None) => Some(format!("{user}:0")),
        (Some((user, false)), None) => Some(user),
    })
}

/// A user or group, and whether it is a number. Names are those of the file system that
/// is changed.
fn name(field: &Field<'_>) -> Result<Option<(String, bool)>, Status> {
    // The number 0 is not written.
    let Some(field) = fields(field.bytes()?).next().transpose()? else {
        return Ok(Some(("0".to_owned(), true)));
    };
    match field.number {
        1 => {
            let mut name = String::new();
            for field in fields(field.bytes()?) {
                let field = field?;
                if field.number == 1 {
                    name = field.text()?;
                }
            }
            Ok(Some((name, false)))
        }
        2 => Ok(Some((field.number()?.to_string(), true))),
        number => Err(unknown("a user", number)),
    }
}
