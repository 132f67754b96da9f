//! The nodes of a parsed template, each with its byte position and able to
//! print itself the way Go shows it in errors.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

/// A piece of a template's body.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    Text(String),
    Action(Pipe),
    If(Branch),
    With(Branch),
    Range(Branch),
    Break,
    Continue,
    /// `{{template "name" pipe}}`: its position, the name, and the new dot.
    Template(usize, String, Option<Pipe>),
}

/// Templates that `define` and `block` name.
pub(crate) type Definitions = BTreeMap<String, Vec<Node>>;

/// The body shared by `if`, `with` and `range`.
#[derive(Debug, Clone)]
pub(crate) struct Branch {
    pub(crate) pipe: Pipe,
    pub(crate) body: Vec<Node>,
    pub(crate) otherwise: Vec<Node>,
}

/// `$a, $b := cmd | cmd`.
#[derive(Debug, Clone)]
pub(crate) struct Pipe {
    pub(crate) variables: Vec<String>,
    /// `=` instead of `:=`.
    pub(crate) assign: bool,
    pub(crate) commands: Vec<Command>,
}

/// One command of a pipeline: a term and its arguments.
#[derive(Debug, Clone)]
pub(crate) struct Command {
    pub(crate) position: usize,
    pub(crate) terms: Vec<Term>,
}

/// An operand.
#[derive(Debug, Clone)]
pub(crate) struct Term {
    pub(crate) position: usize,
    pub(crate) kind: TermKind,
}

#[derive(Debug, Clone)]
pub(crate) enum TermKind {
    Dot,
    Nil,
    /// A constant and its source text.
    Constant(Value, String),
    Function(String),
    Field(Vec<String>),
    Variable(String, Vec<String>),
    Pipe(Box<Pipe>),
    /// A parenthesized pipeline followed by fields.
    Chain(Box<Term>, Vec<String>),
}

impl fmt::Display for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.variables.is_empty() {
            let sign = if self.assign { "=" } else { ":=" };
            write!(f, "{} {sign} ", self.variables.join(", "))?;
        }
        for (index, command) in self.commands.iter().enumerate() {
            if index > 0 {
                f.write_str(" | ")?;
            }
            write!(f, "{command}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, term) in self.terms.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            write!(f, "{term}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = |f: &mut fmt::Formatter<'_>, names: &[String]| {
            names.iter().try_for_each(|name| write!(f, ".{name}"))
        };
        match &self.kind {
            TermKind::Dot => f.write_str("."),
            TermKind::Nil => f.write_str("nil"),
            TermKind::Constant(_, text) => f.write_str(text),
            TermKind::Function(name) => f.write_str(name),
            TermKind::Field(names) => fields(f, names),
            TermKind::Variable(name, names) => {
                f.write_str(name)?;
                fields(f, names)
            }
            TermKind::Pipe(pipe) => write!(f, "({pipe})"),
            TermKind::Chain(term, names) => {
                write!(f, "{term}")?;
                fields(f, names)
            }
        }
    }
}
