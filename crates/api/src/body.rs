//! How bodies are declared: the `body!` macro, which makes every field accept
//! `null` and absence as its zero value (as Go's decoder does), and the list
//! that may also be given as one string.

use std::ops::{Deref, DerefMut};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

/// Declares structs whose fields are named in PascalCase, are all optional, and
/// take `null` as their zero value. A field that Go marks `omitempty` carries
/// `#[serde(skip_serializing_if = "is_default")]`.
macro_rules! body {
    ($(
        $(#[$meta:meta])*
        pub struct $name:ident {
            $( $(#[$field_meta:meta])* pub $field:ident : $ty:ty, )*
        }
    )*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "PascalCase")]
        pub struct $name {
            $(
                $(#[$field_meta])*
                #[serde(default, deserialize_with = "crate::body::null_is_default")]
                pub $field: $ty,
            )*
        }
    )*};
}

pub(crate) fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Decodes a request body: `null` and no bytes at all mean the zero value.
///
/// # Errors
/// When the text is not JSON or does not have the shape of `T`, or when more
/// follows the first value; the message is the one that Docker's users know.
pub fn decode<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, String> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(T::default());
    }
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = Option::<T>::deserialize(&mut deserializer)
        .map_err(|error| format!("invalid JSON: {error}"))?;
    deserializer
        .end()
        .map_err(|_| "unexpected content after JSON".to_owned())?;
    Ok(value.unwrap_or_default())
}

/// A list of strings that clients may also write as one string.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct StrSlice(pub Vec<String>);

impl<'de> Deserialize<'de> for StrSlice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Shape {
            One(String),
            Many(Vec<String>),
        }
        Ok(match Shape::deserialize(deserializer)? {
            Shape::One(word) => Self(vec![word]),
            Shape::Many(words) => Self(words),
        })
    }
}

impl Deref for StrSlice {
    type Target = Vec<String>;

    fn deref(&self) -> &Vec<String> {
        &self.0
    }
}

impl DerefMut for StrSlice {
    fn deref_mut(&mut self) -> &mut Vec<String> {
        &mut self.0
    }
}

impl From<Vec<String>> for StrSlice {
    fn from(words: Vec<String>) -> Self {
        Self(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, ContainerCreate};

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
    fn broken_bodies_are_refused_in_dockers_words() {
        let trailing = decode::<ContainerCreate>(b"{} {}").unwrap_err();
        assert_eq!(trailing, "unexpected content after JSON");
        let broken = decode::<ContainerCreate>(b"{").unwrap_err();
        assert!(broken.starts_with("invalid JSON: "), "{broken}");
    }
}
