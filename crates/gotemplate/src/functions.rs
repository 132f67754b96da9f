//! The functions of Go's templates, and Docker's own.

use std::cmp::Ordering;

use serde_json::Value;

use crate::format::{plain, print, quote, sprintf};
use crate::scope::Scope;
use crate::value::Val;

/// Why a function failed.
pub(crate) enum Failure {
    /// The number or kind of the arguments is wrong: told as it is.
    Arguments(String),
    /// The function itself failed: told as `error calling NAME: …`.
    Call(String),
}

const NAMES: &[&str] = &[
    "and", "or", "not", "eq", "ne", "lt", "le", "gt", "ge", "len", "index", "slice", "print",
    "printf", "println", "html", "js", "urlquery", "call", "json", "split", "join", "title",
    "lower", "upper", "pad", "truncate",
];

/// Whether a template may name this function.
pub(crate) fn exists(name: &str) -> bool {
    NAMES.contains(&name)
}

type Outcome = Result<Val, Failure>;

fn fail<T>(message: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Call(message.into()))
}

/// Calls a function. In the header of a table, Docker's own functions give
/// their text back unchanged.
pub(crate) fn call(name: &str, arguments: Vec<Val>, scope: &dyn Scope) -> Outcome {
    if scope.is_header()
        && matches!(
            name,
            "json" | "split" | "join" | "title" | "lower" | "upper" | "pad" | "truncate"
        )
    {
        let keeps_first = arguments
            .into_iter()
            .find(|value| matches!(value, Val::Json(Value::String(_))));
        return Ok(keeps_first.unwrap_or(Val::Missing));
    }
    match name {
        "not" => {
            exactly(name, &arguments, 1)?;
            Ok(Val::Json(Value::Bool(!arguments[0].is_true())))
        }
        "len" => {
            exactly(name, &arguments, 1)?;
            len(&arguments[0])
        }
        "eq" | "ne" | "lt" | "le" | "gt" | "ge" => compare(name, arguments),
        "index" => index(arguments, scope.has_typed_maps()),
        "slice" => slice(arguments),
        "print" => Ok(Val::text(printed(&arguments, false))),
        "println" => Ok(Val::text(printed(&arguments, true) + "\n")),
        "printf" => {
            at_least(name, &arguments, 1)?;
            let values: Vec<Value> = arguments.into_iter().map(Val::into_json).collect();
            let format = text(&values[0])?;
            Ok(Val::text(sprintf(format, &values[1..])))
        }
        "html" | "js" | "urlquery" => {
            let text = match arguments.as_slice() {
                [Val::Json(Value::String(text))] => text.clone(),
                _ => printed(&arguments, false),
            };
            Ok(Val::text(match name {
                "html" => crate::escape::html(&text),
                "js" => crate::escape::javascript(&text),
                _ => crate::escape::query(&text),
            }))
        }
        "call" => fail("call of a value that is no function"),
        _ => docker(name, arguments),
    }
}

fn exactly(name: &str, arguments: &[Val], want: usize) -> Result<(), Failure> {
    if arguments.len() == want {
        return Ok(());
    }
    let got = arguments.len();
    Err(Failure::Arguments(format!(
        "wrong number of args for {name}: want {want} got {got}"
    )))
}

fn at_least(name: &str, arguments: &[Val], want: usize) -> Result<(), Failure> {
    if arguments.len() >= want {
        return Ok(());
    }
    let got = arguments.len();
    Err(Failure::Arguments(format!(
        "wrong number of args for {name}: want at least {want} got {got}"
    )))
}

fn text(value: &Value) -> Result<&str, Failure> {
    let kind = match value {
        Value::String(text) => return Ok(text),
        Value::Null => {
            return Err(Failure::Arguments("invalid value; expected string".into()));
        }
        Value::Bool(_) => "bool",
        Value::Number(_) => "int",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    };
    Err(Failure::Arguments(format!(
        "wrong type for value; expected string; got {kind}"
    )))
}

fn whole(value: &Value) -> Result<usize, Failure> {
    match value.as_i64() {
        Some(number) => Ok(usize::try_from(number).unwrap_or(0)),
        None => Err(Failure::Arguments("expected integer".into())),
    }
}

fn len(value: &Val) -> Outcome {
    let length = match value {
        Val::Json(Value::String(text)) => text.len(),
        Val::Json(Value::Array(items)) => items.len(),
        Val::Json(Value::Object(map)) => map.len(),
        Val::Nil("[]" | "map[]") => 0,
        Val::Missing | Val::Nil(_) | Val::Json(Value::Null) => {
            return fail("len of nil pointer");
        }
        Val::Json(Value::Bool(_)) => return fail("len of type bool"),
        Val::Json(Value::Number(_)) => return fail("len of type int"),
    };
    Ok(Val::Json(Value::from(length)))
}

fn compare(name: &str, arguments: Vec<Val>) -> Outcome {
    at_least(name, &arguments, 1)?;
    if name == "eq" && arguments.len() < 2 {
        return fail("missing argument for comparison");
    }
    if name != "eq" {
        exactly(name, &arguments, 2)?;
    }
    let values: Vec<Value> = arguments.into_iter().map(Val::into_json).collect();
    let result = match name {
        "eq" => {
            let mut equal = false;
            for other in &values[1..] {
                equal = equal || equals(&values[0], other)?;
            }
            equal
        }
        "ne" => !equals(&values[0], &values[1])?,
        _ => {
            let order = order(&values[0], &values[1])?;
            match name {
                "lt" => order == Ordering::Less,
                "le" => order != Ordering::Greater,
                "gt" => order == Ordering::Greater,
                _ => order != Ordering::Less,
            }
        }
    };
    Ok(Val::Json(Value::Bool(result)))
}

fn equals(a: &Value, b: &Value) -> Result<bool, Failure> {
    match (a, b) {
        (Value::Array(_) | Value::Object(_), Value::Null) => Ok(false),
        (Value::Array(_) | Value::Object(_), _) | (_, Value::Array(_) | Value::Object(_)) => {
            fail("non-comparable type")
        }
        (Value::Null, _) | (_, Value::Null) => Ok(a == b),
        (Value::Number(a), Value::Number(b)) if a.is_f64() == b.is_f64() => {
            Ok(a.as_f64() == b.as_f64() && a.as_i64() == b.as_i64())
        }
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        (Value::String(a), Value::String(b)) => Ok(a == b),
        _ => fail("incompatible types for comparison"),
    }
}

fn order(a: &Value, b: &Value) -> Result<Ordering, Failure> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) if a.is_f64() == b.is_f64() => {
            match (a.as_i64(), b.as_i64()) {
                (Some(a), Some(b)) => Ok(a.cmp(&b)),
                _ => Ok(a
                    .as_f64()
                    .partial_cmp(&b.as_f64())
                    .unwrap_or(Ordering::Equal)),
            }
        }
        (Value::String(a), Value::String(b)) => Ok(a.cmp(b)),
        (Value::Number(_) | Value::String(_), Value::Number(_) | Value::String(_)) => {
            fail("incompatible types for comparison")
        }
        _ => fail("invalid type for comparison"),
    }
}

/// Looks keys up one after the other. In a map that holds text only, a key that
/// is not there has the empty text when maps are `typed`.
fn index(arguments: Vec<Val>, typed: bool) -> Outcome {
    at_least("index", &arguments, 1)?;
    let mut rest = arguments.into_iter();
    let mut item = rest.next().unwrap_or(Val::Missing);
    for key in rest {
        let key = key.into_json();
        item = match item {
            Val::Missing | Val::Json(Value::Null) => return fail("index of untyped nil"),
            Val::Nil("map[]") => Val::text(""),
            Val::Nil(_) => return fail("index of nil pointer"),
            Val::Json(Value::Object(mut map)) => match key.as_str() {
                Some(key) => match map.remove(key) {
                    Some(found) => Val::Json(found),
                    None if typed && map.values().all(Value::is_string) => Val::text(""),
                    None => Val::Missing,
                },
                None => return fail("value has type int; should be string"),
            },
            Val::Json(Value::Array(mut items)) => {
                let Some(at) = key.as_i64() else {
                    return fail("cannot index slice/array with type string");
                };
                match usize::try_from(at) {
                    Ok(position) if position < items.len() => {
                        Val::Json(items.swap_remove(position))
                    }
                    _ => return fail(format!("index out of range: {at}")),
                }
            }
            Val::Json(Value::String(text)) => {
                let at = key.as_i64().unwrap_or(-1);
                match usize::try_from(at)
                    .ok()
                    .and_then(|at| text.as_bytes().get(at))
                {
                    Some(byte) => Val::Json(Value::from(*byte)),
                    None => return fail(format!("index out of range: {at}")),
                }
            }
            Val::Json(_) => return fail("can't index item of type int"),
        };
    }
    Ok(item)
}

fn slice(arguments: Vec<Val>) -> Outcome {
    at_least("slice", &arguments, 1)?;
    let mut values = arguments.into_iter().map(Val::into_json);
    let item = values.next().unwrap_or(Value::Null);
    let mut bounds = Vec::new();
    for value in values {
        bounds.push(whole(&value)?);
    }
    let length = match &item {
        Value::String(text) => text.len(),
        Value::Array(items) => items.len(),
        _ => return fail("can't slice item of this type"),
    };
    let start = bounds.first().copied().unwrap_or(0);
    let end = bounds.get(1).copied().unwrap_or(length);
    if let Some(out) = [start, end].into_iter().find(|bound| *bound > length) {
        return fail(format!("index out of range: {out}"));
    }
    if start > end {
        return fail(format!("invalid slice index: {start} > {end}"));
    }
    Ok(match item {
        Value::String(text) => Val::text(String::from_utf8_lossy(&text.as_bytes()[start..end])),
        Value::Array(mut items) => Val::Json(Value::Array(items.drain(start..end).collect())),
        other => Val::Json(other),
    })
}

/// `fmt.Sprint`: a space between operands when neither is a string;
/// `fmt.Sprintln`: always.
fn printed(arguments: &[Val], line: bool) -> String {
    let mut out = String::new();
    for (index, value) in arguments.iter().enumerate() {
        let is_text = |value: &Val| matches!(value, Val::Json(Value::String(_)));
        if index > 0 && (line || (!is_text(value) && !is_text(&arguments[index - 1]))) {
            out.push(' ');
        }
        match value {
            Val::Missing | Val::Json(Value::Null) => out.push_str("<nil>"),
            other => print(&mut out, other),
        }
    }
    out
}

/// Go's `strings.Title`: every letter that follows no letter is raised.
pub fn title_case(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        if inside {
            out.push(c);
        } else {
            out.extend(c.to_uppercase());
        }
        inside = c.is_alphanumeric() || c == '_' || c == '\'';
    }
    out
}

fn docker(name: &str, arguments: Vec<Val>) -> Outcome {
    let values: Vec<Value> = arguments.iter().cloned().map(Val::into_json).collect();
    let want = match name {
        "split" | "join" | "truncate" => 2,
        "pad" => 3,
        _ => 1,
    };
    exactly(name, &arguments, want)?;
    Ok(Val::text(match name {
        "json" => return json(&values[0]),
        "title" => title_case(text(&values[0])?),
        "lower" => text(&values[0])?.to_lowercase(),
        "upper" => text(&values[0])?.to_uppercase(),
        "split" => {
            let parts = split(text(&values[0])?, text(&values[1])?);
            return Ok(Val::Json(Value::Array(parts)));
        }
        "join" => {
            let separator = text(&values[1])?;
            let items = match &values[0] {
                Value::Array(items) => items.as_slice(),
                Value::Null => &[],
                _ => {
                    return Err(Failure::Arguments(
                        "wrong type for value; expected []string; got string".into(),
                    ));
                }
            };
            let parts: Vec<String> = items
                .iter()
                .map(|item| {
                    let mut shown = String::new();
                    plain(&mut shown, item);
                    shown
                })
                .collect();
            parts.join(separator)
        }
        "pad" => {
            let source = text(&values[0])?;
            if source.is_empty() {
                return Ok(Val::text(""));
            }
            let (left, right) = (whole(&values[1])?.min(4096), whole(&values[2])?.min(4096));
            format!("{}{source}{}", " ".repeat(left), " ".repeat(right))
        }
        _ => {
            let source = text(&values[0])?;
            let mut end = whole(&values[1])?.min(source.len());
            while !source.is_char_boundary(end) {
                end -= 1;
            }
            source[..end].to_owned()
        }
    }))
}

fn split(source: &str, separator: &str) -> Vec<Value> {
    if separator.is_empty() {
        return source.chars().map(|c| Value::from(c.to_string())).collect();
    }
    source.split(separator).map(Value::from).collect()
}

/// Compact JSON without escaping `<`, `>` and `&`, as Docker's encoder is set.
fn json(value: &Value) -> Outcome {
    match serde_json::to_string(value) {
        Ok(text) => Ok(Val::text(text)),
        Err(error) => fail(format!("{}: {}", quote("json"), error)),
    }
}

/// Compact JSON with `<`, `>` and `&` escaped.
pub(crate) fn escaped_json(value: Val) -> Val {
    let text = value.into_json().to_string();
    Val::text(
        text.replace('<', "\\u003c")
            .replace('>', "\\u003e")
            .replace('&', "\\u0026"),
    )
}
