//! Rendering: nodes and data to text.

use serde_json::Value;

use crate::ast::{Branch, Command, Definitions, Node, Pipe, Term, TermKind};
use crate::error::Error;
use crate::format::print;
use crate::functions;
use crate::lexer::line_of;
use crate::scope::{Absent, Scope};
use crate::value::Val;

/// More templates inside each other than this call each other for ever.
const MAX_CALLS: usize = 500;
/// More output than this means a template that runs away.
const MAX_OUTPUT: usize = 256 << 20;
/// So do more turns of all ranges together.
const MAX_TURNS: u32 = 1 << 24;

/// What a range goes over: indices or keys, and elements. Not a list: a number
/// may be large.
type Items = Box<dyn Iterator<Item = (Value, Value)>>;

/// Renders `nodes` with `data` as the dot and as `$`.
pub(crate) fn render(
    text: &str,
    nodes: &[Node],
    definitions: &Definitions,
    data: &Value,
    scope: &dyn Scope,
) -> Result<String, Error> {
    let mut state = State {
        text,
        scope,
        definitions,
        depth: 0,
        turns: 0,
        out: String::new(),
        variables: vec![("$".to_owned(), Val::Json(data.clone()))],
    };
    let dot = Dot {
        value: Val::Json(data.clone()),
        top: true,
    };
    state.walk(&dot, nodes)?;
    Ok(state.out)
}

/// The dot, and whether it is the data that the rendering began with.
struct Dot {
    value: Val,
    top: bool,
}

enum Flow {
    Next,
    Break,
    Continue,
}

struct State<'a> {
    text: &'a str,
    scope: &'a dyn Scope,
    definitions: &'a Definitions,
    /// How many templates call each other.
    depth: usize,
    /// How often the bodies of ranges were rendered.
    turns: u32,
    out: String,
    variables: Vec<(String, Val)>,
}

impl State<'_> {
    fn fail<T>(
        &self,
        position: usize,
        context: &dyn std::fmt::Display,
        message: impl Into<String>,
    ) -> Result<T, Error> {
        let before = &self.text[..position.min(self.text.len())];
        Err(Error::Execute {
            line: line_of(self.text, position),
            column: before.rfind('\n').map_or(position, |at| position - at - 1),
            context: context.to_string(),
            message: message.into(),
        })
    }

    fn walk(&mut self, dot: &Dot, nodes: &[Node]) -> Result<Flow, Error> {
        for node in nodes {
            match node {
                Node::Text(text) => self.out.push_str(text),
                Node::Action(pipe) => {
                    let value = self.pipe(dot, pipe)?;
                    if pipe.variables.is_empty() {
                        match &value {
                            Val::Json(json) => match self.scope.shown(json) {
                                Some(text) => self.out.push_str(&text),
                                None => print(&mut self.out, &value),
                            },
                            _ => print(&mut self.out, &value),
                        }
                    }
                }
                Node::If(branch) | Node::With(branch) => {
                    let with = matches!(node, Node::With(_));
                    let flow = self.branch(dot, branch, with)?;
                    if !matches!(flow, Flow::Next) {
                        return Ok(flow);
                    }
                }
                Node::Range(branch) => {
                    let flow = self.range(dot, branch)?;
                    if !matches!(flow, Flow::Next) {
                        return Ok(flow);
                    }
                }
                Node::Break => return Ok(Flow::Break),
                Node::Continue => return Ok(Flow::Continue),
                Node::Template(position, name, pipe) => {
                    self.template(dot, *position, name, pipe.as_ref())?;
                }
            }
            if self.out.len() > MAX_OUTPUT {
                return self.fail(0, &"", "the output is too large");
            }
        }
        Ok(Flow::Next)
    }

    /// Renders another template with its own dot and variables.
    fn template(
        &mut self,
        dot: &Dot,
        position: usize,
        name: &str,
        pipe: Option<&Pipe>,
    ) -> Result<(), Error> {
        let shown = format!("{{{{template {name:?}}}}}");
        let Some(nodes) = self.definitions.get(name) else {
            return self.fail(position, &shown, format!("template {name:?} not defined"));
        };
        if self.depth >= MAX_CALLS {
            return self.fail(position, &shown, "exceeded maximum template depth");
        }
        let value = match pipe {
            Some(pipe) => self.pipe(dot, pipe)?,
            None => Val::Nil("<nil>"),
        };
        let inner = Dot {
            top: dot.top && value == dot.value,
            value: value.clone(),
        };
        let variables = std::mem::replace(&mut self.variables, vec![("$".to_owned(), value)]);
        self.depth += 1;
        self.walk(&inner, nodes)?;
        self.depth -= 1;
        self.variables = variables;
        Ok(())
    }

    fn branch(&mut self, dot: &Dot, branch: &Branch, with: bool) -> Result<Flow, Error> {
        let mark = self.variables.len();
        let value = self.pipe(dot, &branch.pipe)?;
        let flow = if !value.is_true() {
            self.walk(dot, &branch.otherwise)
        } else if with {
            self.walk(&Dot { value, top: false }, &branch.body)
        } else {
            self.walk(dot, &branch.body)
        };
        self.variables.truncate(mark);
        flow
    }

    fn items(&self, branch: &Branch, value: Val) -> Result<Items, Error> {
        Ok(match value.into_json() {
            Value::Null => Box::new(std::iter::empty()),
            Value::Array(items) => Box::new(
                items
                    .into_iter()
                    .enumerate()
                    .map(|(index, item)| (Value::from(index), item)),
            ),
            Value::Object(map) => {
                let mut entries: Vec<_> = map.into_iter().collect();
                entries.sort_by(|a, b| a.0.cmp(&b.0));
                Box::new(
                    entries
                        .into_iter()
                        .map(|(key, item)| (Value::String(key), item)),
                )
            }
            Value::Number(number) if number.is_u64() => {
                let count = number.as_u64().unwrap_or(0);
                Box::new((0..count).map(|n| (Value::from(n), Value::from(n))))
            }
            other => {
                let mut shown = String::new();
                print(&mut shown, &Val::Json(other));
                let position = branch.pipe.commands[0].position;
                return self.fail(
                    position,
                    &branch.pipe,
                    format!("range can't iterate over {shown}"),
                );
            }
        })
    }

    fn range(&mut self, dot: &Dot, branch: &Branch) -> Result<Flow, Error> {
        let mark = self.variables.len();
        let value = self.pipe(dot, &branch.pipe)?;
        let mut items = self.items(branch, value)?.peekable();
        if items.peek().is_none() {
            let flow = self.walk(dot, &branch.otherwise);
            self.variables.truncate(mark);
            return flow;
        }
        for (key, item) in items {
            self.turns += 1;
            if self.turns > MAX_TURNS {
                let position = branch.pipe.commands[0].position;
                let message = format!("more than {MAX_TURNS} turns of ranges");
                return self.fail(position, &branch.pipe, message);
            }
            match branch.pipe.variables.as_slice() {
                [element] => self.set(element, Val::Json(item.clone())),
                [index, element] => {
                    self.set(index, Val::Json(key));
                    self.set(element, Val::Json(item.clone()));
                }
                _ => {}
            }
            let inner = self.variables.len();
            let dot = Dot {
                value: Val::Json(item),
                top: false,
            };
            let flow = self.walk(&dot, &branch.body)?;
            self.variables.truncate(inner);
            if matches!(flow, Flow::Break) {
                break;
            }
        }
        self.variables.truncate(mark);
        Ok(Flow::Next)
    }

    fn set(&mut self, name: &str, value: Val) {
        if let Some(slot) = self.variables.iter_mut().rev().find(|slot| slot.0 == name) {
            slot.1 = value;
        }
    }

    fn pipe(&mut self, dot: &Dot, pipe: &Pipe) -> Result<Val, Error> {
        let mut value = None;
        for command in &pipe.commands {
            value = Some(self.command(dot, command, value)?);
        }
        let value = value.unwrap_or(Val::Missing);
        for name in &pipe.variables {
            if pipe.assign {
                self.set(name, value.clone());
            } else {
                self.variables.push((name.clone(), value.clone()));
            }
        }
        Ok(value)
    }

    fn command(&mut self, dot: &Dot, command: &Command, last: Option<Val>) -> Result<Val, Error> {
        let first = &command.terms[0];
        let arguments = &command.terms[1..];
        match &first.kind {
            TermKind::Function(name) => self.function(dot, command, name, last),
            TermKind::Field(names) => {
                if let Some(result) = self.method(dot, first, names, arguments, last.clone()) {
                    return result;
                }
                self.refuse_arguments(first, names, arguments, &last)?;
                self.term(dot, first)
            }
            TermKind::Variable(_, names) | TermKind::Chain(_, names) => {
                self.refuse_arguments(first, names, arguments, &last)?;
                self.term(dot, first)
            }
            TermKind::Pipe(_) | TermKind::Dot | TermKind::Constant(..) => {
                if !arguments.is_empty() || last.is_some() {
                    let shown = first.to_string();
                    return self.fail(
                        first.position,
                        first,
                        format!("can't give argument to non-function {shown}"),
                    );
                }
                self.term(dot, first)
            }
            TermKind::Nil => self.fail(first.position, first, "nil is not a command"),
        }
    }

    fn refuse_arguments(
        &self,
        first: &Term,
        names: &[String],
        arguments: &[Term],
        last: &Option<Val>,
    ) -> Result<(), Error> {
        if arguments.is_empty() && last.is_none() {
            return Ok(());
        }
        let name = names.last().cloned().unwrap_or_else(|| first.to_string());
        self.fail(
            first.position,
            first,
            format!("{name} is not a method but has arguments"),
        )
    }

    fn method(
        &mut self,
        dot: &Dot,
        first: &Term,
        names: &[String],
        arguments: &[Term],
        last: Option<Val>,
    ) -> Option<Result<Val, Error>> {
        let [name] = names else { return None };
        if !dot.top {
            return None;
        }
        let mut values = Vec::new();
        for argument in arguments {
            match self.term(dot, argument) {
                Ok(value) => values.push(value.into_json()),
                Err(error) => return Some(Err(error)),
            }
        }
        values.extend(last.map(Val::into_json));
        let result = self.scope.method(name, &values)?;
        Some(match result {
            Ok(value) => Ok(Val::Json(value)),
            Err(message) if message.starts_with("wrong number of args") => {
                self.fail(first.position, first, message)
            }
            Err(message) => self.fail(
                first.position,
                first,
                format!("error calling {name}: {message}"),
            ),
        })
    }

    fn function(
        &mut self,
        dot: &Dot,
        command: &Command,
        name: &str,
        last: Option<Val>,
    ) -> Result<Val, Error> {
        let terms = &command.terms[1..];
        if name == "and" || name == "or" {
            return self.logic(dot, command, name == "or", last);
        }
        let mut values = Vec::with_capacity(terms.len() + 1);
        for term in terms {
            values.push(self.term(dot, term)?);
        }
        values.extend(last);
        let is_dot = matches!(terms, [only] if matches!(only.kind, TermKind::Dot));
        if name == "json" && dot.top && is_dot {
            if self.scope.escapes_dot() {
                return Ok(functions::escaped_json(dot.value.clone()));
            }
            if let Some(value) = self.scope.wire() {
                values = vec![Val::Json(value.clone())];
            }
        }
        functions::call(name, values, self.scope).or_else(|failure| {
            let message = match failure {
                functions::Failure::Arguments(message) => message,
                functions::Failure::Call(message) => format!("error calling {name}: {message}"),
            };
            self.fail(command.position, command, message)
        })
    }

    /// `and` and `or` stop at the first argument that decides.
    fn logic(
        &mut self,
        dot: &Dot,
        command: &Command,
        stop_at: bool,
        last: Option<Val>,
    ) -> Result<Val, Error> {
        let mut value = None;
        for term in &command.terms[1..] {
            let next = self.term(dot, term)?;
            if next.is_true() == stop_at {
                return Ok(next);
            }
            value = Some(next);
        }
        match last.or(value) {
            Some(value) => Ok(value),
            None => {
                let name = if stop_at { "or" } else { "and" };
                self.fail(
                    command.position,
                    &command.terms[0],
                    format!("wrong number of args for {name}: want at least 1 got 0"),
                )
            }
        }
    }

    fn term(&mut self, dot: &Dot, term: &Term) -> Result<Val, Error> {
        match &term.kind {
            TermKind::Dot => Ok(dot.value.clone()),
            TermKind::Nil => Ok(Val::Nil("<nil>")),
            TermKind::Constant(value, _) => Ok(Val::Json(value.clone())),
            TermKind::Function(name) => {
                let command = Command {
                    position: term.position,
                    terms: vec![term.clone()],
                };
                self.function(dot, &command, name, None)
            }
            TermKind::Field(names) => {
                if let Some(result) = self.method(dot, term, names, &[], None) {
                    return result;
                }
                self.fields(dot.value.clone(), names, term)
            }
            TermKind::Variable(name, names) => {
                let value = self
                    .variables
                    .iter()
                    .rev()
                    .find(|slot| slot.0 == *name)
                    .map_or(Val::Missing, |slot| slot.1.clone());
                self.fields(value, names, term)
            }
            TermKind::Pipe(pipe) => {
                let mark = self.variables.len();
                let value = self.pipe(dot, pipe);
                self.variables.truncate(mark);
                value
            }
            TermKind::Chain(inner, names) => {
                let value = self.term(dot, inner)?;
                self.fields(value, names, term)
            }
        }
    }

    fn fields(&self, mut value: Val, names: &[String], term: &Term) -> Result<Val, Error> {
        for name in names {
            value = match value {
                Val::Json(Value::Object(mut map)) => {
                    match map.remove(match self.scope.key(name, &map) {
                        Ok(key) => key,
                        Err(message) => return self.fail(term.position, term, message),
                    }) {
                        Some(Value::Null) => Val::Nil(self.scope.nil(name)),
                        Some(found) => Val::Json(found),
                        None => match self.scope.absent(name) {
                            Absent::Value(Value::Null) => Val::Nil(self.scope.nil(name)),
                            Absent::Value(found) => Val::Json(found),
                            Absent::NoValue => Val::Missing,
                            Absent::Error(message) => {
                                return self.fail(term.position, term, message);
                            }
                        },
                    }
                }
                Val::Missing | Val::Nil(_) | Val::Json(Value::Null) => {
                    return self.fail(
                        term.position,
                        term,
                        format!("nil pointer evaluating interface {{}}.{name}"),
                    );
                }
                Val::Json(_) => {
                    return self.fail(
                        term.position,
                        term,
                        format!("can't evaluate field {name} in type interface {{}}"),
                    );
                }
            };
        }
        Ok(value)
    }
}
