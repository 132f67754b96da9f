//! Go's way to print values: `%v` and the verbs of `printf`.

use std::fmt::Write;

use serde_json::{Number, Value};

use crate::value::Val;

/// No field is padded to more than this.
const MAX_WIDTH: usize = 4096;

/// Appends a value as an action prints it.
pub(crate) fn print(out: &mut String, value: &Val) {
    match value {
        Val::Missing | Val::Json(Value::Null) => out.push_str("<no value>"),
        Val::Nil(text) => out.push_str(text),
        Val::Json(value) => plain(out, value),
    }
}

/// `%v`.
pub(crate) fn plain(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("<nil>"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(value) => number(out, value),
        Value::String(text) => out.push_str(text),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(' ');
                }
                plain(out, item);
            }
            out.push(']');
        }
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by(|a, b| a.0.cmp(b.0));
            out.push_str("map[");
            for (index, (key, item)) in entries.into_iter().enumerate() {
                if index > 0 {
                    out.push(' ');
                }
                let _ = write!(out, "{key}:");
                plain(out, item);
            }
            out.push(']');
        }
    }
}

/// Whole numbers as they are, others with `%v`'s shortest form and its
/// exponent below -4 and from 21 on.
fn number(out: &mut String, number: &Number) {
    let _ = match (number.as_i64(), number.as_u64(), number.as_f64()) {
        (Some(value), _, _) => write!(out, "{value}"),
        (_, Some(value), _) => write!(out, "{value}"),
        (_, _, Some(0.0)) => write!(out, "0"),
        (_, _, Some(value)) if (1e-4..1e21).contains(&value.abs()) => write!(out, "{value}"),
        (_, _, Some(value)) => {
            let shown = format!("{value:e}");
            let (mantissa, exponent) = shown.split_once('e').unwrap_or((&shown, "0"));
            let (sign, digits) = match exponent.strip_prefix('-') {
                Some(digits) => ('-', digits),
                None => ('+', exponent),
            };
            write!(out, "{mantissa}e{sign}{digits:0>2}")
        }
        _ => Ok(()),
    };
}

/// Go's `strconv.Quote`.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            '\x0b' => out.push_str("\\v"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => {
                let _ = write!(out, "\\x{:02x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[derive(Default)]
struct Spec {
    left: bool,
    plus: bool,
    zero: bool,
    sharp: bool,
    width: usize,
    precision: Option<usize>,
}

/// Go's `fmt.Sprintf`.
pub(crate) fn sprintf(format: &str, arguments: &[Value]) -> String {
    let mut out = String::new();
    let mut rest = format.chars().peekable();
    let mut next = 0;
    while let Some(c) = rest.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut spec = Spec::default();
        while let Some(flag) = rest.next_if(|c| "-+# 0".contains(*c)) {
            match flag {
                '-' => spec.left = true,
                '+' => spec.plus = true,
                '#' => spec.sharp = true,
                '0' => spec.zero = true,
                _ => {}
            }
        }
        spec.width = digits(&mut rest, arguments, &mut next).unwrap_or(0);
        if rest.next_if_eq(&'.').is_some() {
            spec.precision = Some(digits(&mut rest, arguments, &mut next).unwrap_or(0));
        }
        let Some(verb) = rest.next() else {
            out.push_str("%!(NOVERB)");
            break;
        };
        if verb == '%' {
            out.push('%');
            continue;
        }
        match arguments.get(next) {
            Some(argument) => out.push_str(&verb_text(verb, argument, &spec)),
            None => {
                let _ = write!(out, "%!{verb}(MISSING)");
            }
        }
        next += 1;
    }
    if next < arguments.len() {
        let extra: Vec<String> = arguments[next..]
            .iter()
            .map(|value| {
                let mut shown = String::new();
                plain(&mut shown, value);
                format!("{}={shown}", kind(value))
            })
            .collect();
        let _ = write!(out, "%!(EXTRA {})", extra.join(", "));
    }
    out
}

fn digits(
    rest: &mut std::iter::Peekable<std::str::Chars<'_>>,
    arguments: &[Value],
    next: &mut usize,
) -> Option<usize> {
    if rest.next_if_eq(&'*').is_some() {
        let value = arguments.get(*next).and_then(Value::as_u64);
        *next += 1;
        return value.map(|value| (value as usize).min(MAX_WIDTH));
    }
    let mut value: Option<usize> = None;
    while let Some(digit) = rest.next_if(char::is_ascii_digit) {
        let digit = digit.to_digit(10).unwrap_or(0) as usize;
        value = Some((value.unwrap_or(0) * 10 + digit).min(MAX_WIDTH));
    }
    value
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

fn verb_text(verb: char, value: &Value, spec: &Spec) -> String {
    let mut text = String::new();
    match (verb, value) {
        ('v', Value::String(string)) if spec.sharp => text = quote(string),
        ('v' | 's', Value::String(string)) => {
            text = match spec.precision {
                Some(precision) => string.chars().take(precision).collect(),
                None => string.clone(),
            };
        }
        ('v', _) => plain(&mut text, value),
        ('s', Value::Array(_) | Value::Object(_)) => plain(&mut text, value),
        ('q', Value::String(string)) => text = quote(string),
        ('x' | 'X', Value::String(string)) => {
            for byte in string.bytes() {
                let _ = write!(text, "{byte:02x}");
            }
            if verb == 'X' {
                text = text.to_uppercase();
            }
        }
        ('t', Value::Bool(_)) => plain(&mut text, value),
        ('d' | 'x' | 'X' | 'o' | 'b' | 'c', Value::Number(number)) if !number.is_f64() => {
            text = integer(verb, number.as_i64().unwrap_or(i64::MAX), spec);
        }
        ('f' | 'F' | 'e' | 'g', Value::Number(number)) if number.is_f64() => {
            let float = number.as_f64().unwrap_or(0.0);
            match verb {
                'f' | 'F' => {
                    let _ = write!(text, "{float:.*}", spec.precision.unwrap_or(6).min(60));
                }
                _ => plain(&mut text, value),
            }
        }
        _ => {
            plain(&mut text, value);
            return format!("%!{verb}({}={text})", kind(value));
        }
    }
    pad(text, spec, matches!(value, Value::Number(_)))
}

fn integer(verb: char, value: i64, spec: &Spec) -> String {
    let magnitude = value.unsigned_abs();
    let digits = match verb {
        'x' => format!("{magnitude:x}"),
        'X' => format!("{magnitude:X}"),
        'o' => format!("{magnitude:o}"),
        'b' => format!("{magnitude:b}"),
        'c' => {
            return u32::try_from(value)
                .ok()
                .and_then(char::from_u32)
                .unwrap_or('\u{fffd}')
                .into();
        }
        _ => magnitude.to_string(),
    };
    let prefix = match verb {
        'x' if spec.sharp => "0x",
        'X' if spec.sharp => "0X",
        'o' if spec.sharp => "0",
        _ => "",
    };
    let sign = match value {
        ..0 => "-",
        _ if spec.plus => "+",
        _ => "",
    };
    format!("{sign}{prefix}{digits}")
}

fn pad(text: String, spec: &Spec, number: bool) -> String {
    let missing = spec.width.saturating_sub(text.chars().count());
    if missing == 0 {
        return text;
    }
    if spec.left {
        return text + &" ".repeat(missing);
    }
    if spec.zero {
        let sign = usize::from(number && text.starts_with(['-', '+']));
        let (head, tail) = text.split_at(sign);
        return format!("{head}{}{tail}", "0".repeat(missing));
    }
    " ".repeat(missing) + &text
}
