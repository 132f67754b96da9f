//! Request bodies as Go's decoder reads them, since that is what clients were
//! written against: the names of fields in any case, the last of two values for
//! one field, and Go's words for what does not fit.

use std::fmt;

use serde::Deserialize;
use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess};
use serde::de::{Unexpected, Visitor};
use serde_json::Value;

/// Decodes a request body: `null` and no bytes at all mean the zero value.
///
/// # Errors
/// When the text is not JSON or does not have the shape of `T`, or when more
/// follows the first value; the message is the one that Docker's users know.
pub fn decode<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, String> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(T::default());
    }
    let mut values = serde_json::Deserializer::from_slice(body).into_iter::<Value>();
    let value = match values.next() {
        Some(Ok(value)) => value,
        Some(Err(error)) => return Err(syntax(&error, body)),
        None => return Ok(T::default()),
    };
    let rest = body.get(values.byte_offset()..).unwrap_or_default();
    if !rest.iter().all(u8::is_ascii_whitespace) {
        return Err("unexpected content after JSON".to_owned());
    }
    Option::<T>::deserialize(Json(&value))
        .map(Option::unwrap_or_default)
        .map_err(|error| format!("invalid JSON: {error}"))
}

/// Why a text is not JSON.
fn syntax(error: &serde_json::Error, body: &[u8]) -> String {
    if error.is_eof() {
        return "invalid JSON: unexpected EOF".to_owned();
    }
    let mut lines = body.split(|byte| *byte == b'\n');
    let line = lines
        .nth(error.line().saturating_sub(1))
        .unwrap_or_default();
    let found = line.get(error.column().saturating_sub(1)..);
    let found = found.unwrap_or_default().first();
    let told = error.to_string();
    let told = match (told.as_str(), found) {
        // In an object it is a key that is missing.
        (told, Some(b'}')) if told.starts_with("trailing comma") => "key must be a string",
        (told, _) => told,
    };
    let place = WHERE.iter().find(|(start, _)| told.starts_with(start));
    match (found, place) {
        (Some(found), Some((_, place))) => {
            let found = match found {
                b'\'' => "\\'".to_owned(),
                b'"' => "\"".to_owned(),
                byte => char::from(*byte).escape_default().to_string(),
            };
            format!("invalid JSON: invalid character '{found}' {place}")
        }
        _ => format!("invalid JSON: {error}"),
    }
}

/// What serde's parser says of a character that does not fit, and what Go's says.
const WHERE: [(&str, &str); 9] = [
    ("expected value", "looking for beginning of value"),
    (
        "key must be a string",
        "looking for beginning of object key string",
    ),
    ("trailing comma", "looking for beginning of value"),
    ("expected `:`", "after object key"),
    ("expected `,` or `}`", "after object key:value pair"),
    ("expected `,` or `]`", "after array element"),
    ("control character", "in string literal"),
    ("invalid escape", "in string escape code"),
    ("invalid number", "in numeric literal"),
];

/// A value that is read as Go reads it.
pub(crate) struct Json<'a>(pub(crate) &'a Value);

impl Json<'_> {
    /// What Go calls a value of this kind.
    fn unexpected(&self) -> Unexpected<'_> {
        match self.0 {
            Value::Null => Unexpected::Unit,
            Value::Bool(value) => Unexpected::Bool(*value),
            Value::Number(number) => number
                .as_f64()
                .map_or(Unexpected::Other("number"), Unexpected::Float),
            Value::String(text) => Unexpected::Str(text),
            Value::Array(_) => Unexpected::Seq,
            Value::Object(_) => Unexpected::Map,
        }
    }
}

impl<'de> Deserializer<'de> for Json<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(number), _, _) => visitor.visit_u64(number),
                (_, Some(number), _) => visitor.visit_i64(number),
                (_, _, number) => visitor.visit_f64(number.unwrap_or(f64::NAN)),
            },
            Value::String(text) => visitor.visit_str(text),
            Value::Array(values) => visitor.visit_seq(Elements(values.iter())),
            Value::Object(map) => visitor.visit_map(Entries {
                entries: map
                    .iter()
                    .map(|(key, value)| (key.as_str(), value))
                    .collect::<Vec<_>>()
                    .into_iter(),
                of: None,
                value: None,
            }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let Value::Object(map) = self.0 else {
            return Err(de::Error::invalid_type(self.unexpected(), &visitor));
        };
        let mut entries: Vec<(&str, &Value)> = Vec::with_capacity(map.len());
        for (key, value) in map {
            let same = |field: &&&str| field.eq_ignore_ascii_case(key);
            let Some(field) = fields.iter().find(same) else {
                continue;
            };
            // The exact name wins.
            match entries.iter_mut().find(|(have, _)| have == field) {
                Some(have) if key == field => have.1 = value,
                Some(_) => {}
                None => entries.push((field, value)),
            }
        }
        visitor.visit_map(Entries {
            entries: entries.into_iter(),
            of: Some(name),
            value: None,
        })
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

struct Elements<'a>(std::slice::Iter<'a, Value>);

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        self.0
            .next()
            .map(|value| seed.deserialize(Json(value)))
            .transpose()
    }
}

struct Entries<'a> {
    entries: std::vec::IntoIter<(&'a str, &'a Value)>,
    /// Whose fields they are.
    of: Option<&'static str>,
    value: Option<(&'a str, &'a Value)>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        self.value = self.entries.next();
        let key = self.value.map(|(key, _)| StrDeserializer::new(key));
        key.map(|key| seed.deserialize(key)).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let (key, value) = self.value.take().unwrap_or(("", &Value::Null));
        seed.deserialize(Json(value))
            .map_err(|error| match self.of {
                Some(name) => error.within(name, key),
                None => error,
            })
    }
}

/// What does not fit, in Go's words.
#[derive(Debug)]
pub(crate) struct Error {
    message: String,
    /// The outermost struct, and the names of the fields from there on.
    of: &'static str,
    path: Vec<String>,
    /// What Go would have there.
    wanted: Option<String>,
}

impl Error {
    fn within(mut self, name: &'static str, field: &str) -> Self {
        self.of = name;
        self.path.insert(0, field.to_owned());
        self
    }
}

/// Go's name of a struct, where its users see it.
fn go_name(name: &str) -> &str {
    match name {
        // Parts of an embedding struct without a name.
        "Config" | "Surroundings" => "",
        "ExecCreate" => "ExecOptions",
        other => other,
    }
}

/// Go's name of the type that serde expects.
fn go_type(expected: &str) -> String {
    let name = match expected {
        "a string" => "string",
        "a boolean" => "bool",
        "a sequence" => "[]string",
        "a map" => "map[string]string",
        "i64" => "int64",
        "i32" => "int32",
        "u16" => "uint16",
        "u32" => "uint",
        "u64" => "uint64",
        other => other,
    };
    match name.strip_prefix("struct ") {
        Some("Config" | "Surroundings" | "ContainerCreate") => "container.CreateRequest".to_owned(),
        Some(name) => format!("container.{}", go_name(name)),
        None => name.to_owned(),
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(wanted) = &self.wanted else {
            return f.write_str(&self.message);
        };
        write!(f, "json: cannot unmarshal {} into Go ", self.message)?;
        match self.path.is_empty() {
            true => write!(f, "value of type {wanted}"),
            false => {
                let (of, path) = (go_name(self.of), self.path.join("."));
                write!(f, "struct field {of}.{path} of type {wanted}")
            }
        }
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self {
            message: message.to_string(),
            of: "",
            path: Vec::new(),
            wanted: None,
        }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let found = match found {
            Unexpected::Bool(_) => "bool".to_owned(),
            Unexpected::Unsigned(_) | Unexpected::Signed(_) => "number".to_owned(),
            Unexpected::Float(number) if number.fract() == 0.0 => "number".to_owned(),
            Unexpected::Float(number) => format!("number {number}"),
            Unexpected::Str(_) => "string".to_owned(),
            Unexpected::Seq => "array".to_owned(),
            Unexpected::Map => "object".to_owned(),
            other => other.to_string(),
        };
        Self {
            wanted: Some(go_type(&expected.to_string())),
            ..Self::custom(found)
        }
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let number = match found {
            Unexpected::Unsigned(number) => number.to_string(),
            Unexpected::Signed(number) => number.to_string(),
            Unexpected::Float(number) => number.to_string(),
            _ => return Self::invalid_type(found, expected),
        };
        Self {
            wanted: Some(go_type(&expected.to_string())),
            ..Self::custom(format!("number {number}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, ContainerCreate, ExecCreate};

    #[test]
    fn null_and_absence_mean_zero() {
        let config: Config =
            decode(br#"{"Hostname":null,"Tty":null,"Env":null,"Cmd":"sh","Entrypoint":["a","b"]}"#)
                .unwrap();
        assert_eq!(config.hostname, "");
        assert_eq!(config.env, None);
        assert_eq!(config.cmd, Some(vec!["sh".to_owned()].into()));
        assert_eq!(config.entrypoint.unwrap().len(), 2);
        assert_eq!(decode::<Config>(b"").unwrap(), Config::default());
        assert_eq!(decode::<Config>(b"null").unwrap(), Config::default());
    }

    #[test]
    fn names_may_be_in_any_case_and_twice() {
        let body = br#"{"image":"a","IMAGE":"b","Image":"c","hostconfig":{"autoREMOVE":true,
            "memory":5},"labels":{"aB":"x"},"unknown":1}"#;
        let create: ContainerCreate = decode(body).unwrap();
        assert_eq!(create.config.image, "c");
        assert!(create.host_config.auto_remove);
        assert_eq!(create.host_config.memory, 5);
        assert_eq!(create.config.labels.unwrap()["aB"], "x");
        let twice: ContainerCreate = decode(br#"{"Image":"a","Image":"b"}"#).unwrap();
        assert_eq!(twice.config.image, "b");
    }

    #[test]
    fn broken_bodies_are_refused_in_dockers_words() {
        let message = |body: &str| decode::<ContainerCreate>(body.as_bytes()).unwrap_err();
        for (body, wanted) in [
            ("{} {}", "unexpected content after JSON"),
            ("{} x", "unexpected content after JSON"),
            ("{", "invalid JSON: unexpected EOF"),
            (
                "x",
                "invalid JSON: invalid character 'x' looking for beginning of value",
            ),
            (
                "{invalid json",
                "invalid JSON: invalid character 'i' looking for beginning of object key string",
            ),
            (
                r#"{"a" 1}"#,
                "invalid JSON: invalid character '1' after object key",
            ),
            (
                r#"{"a":"b" "c":1}"#,
                "invalid JSON: invalid character '\"' after object key:value pair",
            ),
            (
                r#"{"a":["b" 1]}"#,
                "invalid JSON: invalid character '1' after array element",
            ),
            (
                r#"{"a":1,}"#,
                "invalid JSON: invalid character '}' looking for beginning of object key string",
            ),
            (
                "{'a':1}",
                "invalid JSON: invalid character '\\'' looking for beginning of object key string",
            ),
            (
                "[]",
                "invalid JSON: json: cannot unmarshal array into Go value of type \
                 container.CreateRequest",
            ),
            (
                r#"{"Image":5}"#,
                "invalid JSON: json: cannot unmarshal number into Go struct field .Image of type \
                 string",
            ),
            (
                r#"{"HostConfig":{"Memory":1.5}}"#,
                "invalid JSON: json: cannot unmarshal number 1.5 into Go struct field \
                 .HostConfig.Memory of type int64",
            ),
            (
                r#"{"HostConfig":[]}"#,
                "invalid JSON: json: cannot unmarshal array into Go struct field .HostConfig of \
                 type container.HostConfig",
            ),
            (
                r#"{"Labels":["a"]}"#,
                "invalid JSON: json: cannot unmarshal array into Go struct field .Labels of type \
                 map[string]string",
            ),
        ] {
            assert_eq!(message(body), wanted, "{body}");
        }
        assert_eq!(
            decode::<ExecCreate>(br#"{"Cmd":"true"}"#).unwrap_err(),
            "invalid JSON: json: cannot unmarshal string into Go struct field ExecOptions.Cmd of \
             type []string"
        );
    }
}
