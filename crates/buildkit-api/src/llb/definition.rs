//! A definition: operations that name their inputs by digests, and what is told of each.

use std::collections::{BTreeMap, HashMap};

use gantry_types::{Digest, Platform};

use crate::status::Status;
use crate::wire::{Field, fields};

/// The most operations of a definition, and the most inputs of one.
const MAX_OPS: usize = 16 << 10;
const MAX_INPUTS: usize = 4 << 10;

/// An operation.
#[derive(Debug, Default)]
pub(super) struct Operation {
    /// What it needs: operations, and which of their results.
    pub(super) inputs: Vec<(usize, i64)>,
    /// Which kind it is, and its message.
    pub(super) kind: u32,
    pub(super) message: Vec<u8>,
    /// `os/architecture[/variant]`; empty for the machine's own.
    pub(super) platform: String,
    pub(super) ignore_cache: bool,
    pub(super) description: BTreeMap<String, String>,
}

impl Operation {
    /// The platform, if one is told.
    ///
    /// # Errors
    /// For what is none.
    pub(super) fn platform(&self) -> Result<Option<Platform>, Status> {
        let text = self.platform.as_str();
        let parsed = Some(text).filter(|text| !text.is_empty()).map(|text| {
            let parsed = text.parse::<Platform>();
            parsed.map_err(|error| Status::invalid(format!("platform {text}: {error}")))
        });
        parsed.transpose()
    }
}

/// All operations; the inputs of each are before it.
#[derive(Debug, Default)]
pub(super) struct Definition {
    pub(super) operations: Vec<Operation>,
    /// What is wanted; nothing for an empty file system.
    pub(super) wanted: Option<(usize, i64)>,
}

/// Kinds of operations, by the numbers of their fields.
pub(super) mod kind {
    pub(in crate::llb) const NONE: u32 = 0;
    pub(in crate::llb) const EXEC: u32 = 2;
    pub(in crate::llb) const SOURCE: u32 = 3;
    pub(in crate::llb) const FILE: u32 = 4;
    pub(in crate::llb) const BUILD: u32 = 5;
    pub(in crate::llb) const MERGE: u32 = 6;
    pub(in crate::llb) const DIFF: u32 = 7;
}

/// An operation as it came: its inputs are digests.
struct Raw {
    inputs: Vec<(String, i64)>,
    operation: Operation,
}

/// Whether a definition has no operations.
pub(crate) fn is_empty(definition: &[u8]) -> Result<bool, Status> {
    let mut steps = fields(definition);
    steps.try_fold(true, |none, field| Ok(none && field?.number != 1))
}

impl Definition {
    pub(super) fn read(message: &[u8]) -> Result<Self, Status> {
        let mut raws = Vec::new();
        let mut by_digest = HashMap::new();
        let mut told = Vec::new();
        for field in fields(message) {
            let field = field?;
            match field.number {
                1 => {
                    let bytes = field.bytes()?;
                    by_digest.insert(Digest::of(bytes).to_string(), raws.len());
                    raws.push(raw(bytes)?);
                }
                2 => told.push(field),
                _ => {}
            }
            if raws.len() > MAX_OPS {
                return Err(Status::invalid(format!(
                    "a definition has more than {MAX_OPS} operations"
                )));
            }
        }
        for field in told {
            tell(&field, &by_digest, &mut raws)?;
        }
        let Some(last) = raws.last() else {
            return Ok(Self::default());
        };
        let [end] = last.inputs.as_slice() else {
            return Err(Status::invalid("invalid LLB with 0 or several ends"));
        };
        let end = (place(&by_digest, &end.0)?, end.1);
        sorted(raws, &by_digest, end)
    }
}

fn place(by_digest: &HashMap<String, usize>, digest: &str) -> Result<usize, Status> {
    let found = by_digest.get(digest).copied();
    found.ok_or_else(|| Status::invalid(format!("invalid missing input digest {digest}")))
}

/// Puts what is needed before what needs it; what nobody needs is left out.
fn sorted(
    raws: Vec<Raw>,
    by_digest: &HashMap<String, usize>,
    end: (usize, i64),
) -> Result<Definition, Status> {
    let mut raws: Vec<Option<Raw>> = raws.into_iter().map(Some).collect();
    let mut places: Vec<Option<usize>> = vec![None; raws.len()];
    let mut open = vec![false; raws.len()];
    let mut operations = Vec::new();
    let mut path = vec![end.0];
    while let Some(at) = path.last().copied() {
        let Some(raw) = raws[at].as_ref() else {
            path.pop();
            continue;
        };
        let needs: Result<Vec<usize>, Status> = raw
            .inputs
            .iter()
            .map(|(digest, _)| place(by_digest, digest))
            .collect();
        let missing = needs?.into_iter().find(|need| places[*need].is_none());
        if let Some(need) = missing {
            if open[need] || need == at {
                return Err(Status::invalid(
                    "the operations of a definition are a circle",
                ));
            }
            open[at] = true;
            path.push(need);
            continue;
        }
        path.pop();
        let Some(raw) = raws[at].take() else { continue };
        let mut operation = raw.operation;
        for (digest, index) in &raw.inputs {
            let place = places[place(by_digest, digest)?];
            operation.inputs.push((place.unwrap_or_default(), *index));
        }
        if operation.kind == kind::NONE {
            return Err(Status::invalid(
                "an operation that does nothing has a result",
            ));
        }
        places[at] = Some(operations.len());
        operations.push(operation);
    }
    let wanted = places[end.0].map(|place| (place, end.1));
    Ok(Definition { operations, wanted })
}

fn raw(message: &[u8]) -> Result<Raw, Status> {
    let mut raw = Raw {
        inputs: Vec::new(),
        operation: Operation::default(),
    };
    for field in fields(message) {
        let field = field?;
        match field.number {
            1 => raw.inputs.push(input(&field)?),
            number @ 2..=7 => {
                raw.operation.kind = number;
                raw.operation.message = field.bytes()?.to_vec();
            }
            10 => raw.operation.platform = platform(&field)?,
            // Which worker does it: there is one.
            11 => {}
            number => {
                let text = format!("an operation of an unknown kind ({number}) in a definition");
                return Err(Status::unsupported(text));
            }
        }
    }
    if raw.inputs.len() > MAX_INPUTS {
        let text = format!("an operation has more than {MAX_INPUTS} inputs");
        return Err(Status::invalid(text));
    }
    Ok(raw)
}

fn input(field: &Field<'_>) -> Result<(String, i64), Status> {
    let (mut digest, mut index) = (String::new(), 0);
    for field in fields(field.bytes()?) {
        let field = field?;
        match field.number {
            1 => digest = field.text()?,
            2 => index = field.signed()?,
            _ => {}
        }
    }
    Ok((digest, index))
}

fn platform(field: &Field<'_>) -> Result<String, Status> {
    let (mut os, mut architecture, mut variant) = (String::new(), String::new(), String::new());
    for field in fields(field.bytes()?) {
        let field = field?;
        match field.number {
            1 => architecture = field.text()?,
            2 => os = field.text()?,
            3 => variant = field.text()?,
            _ => {}
        }
    }
    let mut text = match (os.as_str(), architecture.as_str()) {
        ("", "") => return Ok(String::new()),
        (os, architecture) => format!("{os}/{architecture}"),
    };
    if !variant.is_empty() {
        text = format!("{text}/{variant}");
    }
    Ok(text)
}

/// What is told of an operation, by its digest.
fn tell(
    field: &Field<'_>,
    by_digest: &HashMap<String, usize>,
    raws: &mut [Raw],
) -> Result<(), Status> {
    let (digest, metadata) = field.entry()?;
    let Some(place) = by_digest.get(&digest) else {
        return Ok(());
    };
    let operation = &mut raws[*place].operation;
    for field in fields(metadata) {
        let field = field?;
        match field.number {
            1 => operation.ignore_cache = field.flag()?,
            2 => field.add_to(&mut operation.description)?,
            _ => {}
        }
    }
    Ok(())
}
