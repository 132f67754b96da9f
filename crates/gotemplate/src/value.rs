//! Values during a rendering, and constants of the source.

use serde_json::{Number, Value};

/// A value that a node yields.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Val {
    /// A missing key: prints `<no value>`.
    Missing,
    /// A null of a known shape, with the text that it prints as.
    Nil(&'static str),
    /// Anything else.
    Json(Value),
}

impl Val {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Json(Value::String(text.into()))
    }

    /// The plain value; what is missing or nil is null.
    pub(crate) fn into_json(self) -> Value {
        match self {
            Self::Json(value) => value,
            Self::Missing | Self::Nil(_) => Value::Null,
        }
    }

    /// Go's truth: not the zero value, not empty.
    pub(crate) fn is_true(&self) -> bool {
        match self {
            Self::Missing | Self::Nil(_) | Self::Json(Value::Null) => false,
            Self::Json(Value::Bool(value)) => *value,
            Self::Json(Value::Number(number)) => number.as_f64() != Some(0.0),
            Self::Json(Value::String(text)) => !text.is_empty(),
            Self::Json(Value::Array(items)) => !items.is_empty(),
            Self::Json(Value::Object(map)) => !map.is_empty(),
        }
    }
}

/// A Go number: decimal, hexadecimal, octal, binary, underscores, floats.
pub(crate) fn parse_number(source: &str) -> Option<Value> {
    let plain = source.replace('_', "");
    let (sign, digits) = match plain.strip_prefix('-') {
        Some(rest) => (-1i64, rest),
        None => (1, plain.strip_prefix('+').unwrap_or(&plain)),
    };
    let lower = digits.to_ascii_lowercase();
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(rest) = lower.strip_prefix(prefix) {
            let value = i64::from_str_radix(rest, radix).ok()?;
            return Some(Value::from(sign * value));
        }
    }
    if lower.len() > 1 && lower.starts_with('0') && lower.bytes().all(|b| b.is_ascii_digit()) {
        let value = i64::from_str_radix(&lower, 8).ok()?;
        return Some(Value::from(sign * value));
    }
    if let Ok(value) = lower.parse::<i64>() {
        return Some(Value::from(sign * value));
    }
    if !lower
        .bytes()
        .all(|b| b.is_ascii_digit() || b".e+-".contains(&b))
    {
        return None;
    }
    let value = plain.parse::<f64>().ok()?;
    Number::from_f64(value).map(Value::Number)
}

/// The text of a Go string or character literal, quotes included in `source`.
pub(crate) fn unquote(source: &str) -> Option<String> {
    let inner = source.get(1..source.len().checked_sub(1)?)?;
    let mut text = String::with_capacity(inner.len());
    let mut rest = inner.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        let escape = rest.next()?;
        text.push(match escape {
            'a' => '\x07',
            'b' => '\x08',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0b',
            '\\' | '"' | '\'' => escape,
            'x' => code_point(&mut rest, String::new(), 16, 2)?,
            'u' => code_point(&mut rest, String::new(), 16, 4)?,
            'U' => code_point(&mut rest, String::new(), 16, 8)?,
            '0'..='7' => code_point(&mut rest, escape.to_string(), 8, 2)?,
            _ => return None,
        });
    }
    Some(text)
}

fn code_point(
    rest: &mut std::str::Chars<'_>,
    mut digits: String,
    radix: u32,
    count: usize,
) -> Option<char> {
    digits.extend(rest.by_ref().take(count));
    char::from_u32(u32::from_str_radix(&digits, radix).ok()?)
}
