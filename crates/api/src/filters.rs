//! The `filters` query parameter: which objects a list, a stream of events or a
//! removal is about. All keys must match; within a key, one value must.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Why a filter is refused; the words are Docker's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// The text is not JSON of either shape.
    #[error("invalid filter")]
    Malformed,
    /// No such key here.
    #[error("invalid filter '{0}'")]
    UnknownKey(String),
    /// The key takes other values.
    #[error("invalid filter '{key}=[{values}]'")]
    InvalidValue {
        /// The key.
        key: String,
        /// Its values, joined by spaces.
        values: String,
    },
}

/// Parsed filters: keys and the values given for each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters {
    fields: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Values {
    List(Vec<String>),
    Map(BTreeMap<String, bool>),
}

impl Filters {
    /// No filters.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads `{"label":["a=b"]}` or the older `{"label":{"a=b":true}}`; the
    /// empty text and `null` mean no filters.
    ///
    /// # Errors
    /// When the text has neither shape.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let parsed: Option<BTreeMap<String, Option<Values>>> =
            serde_json::from_str(text).map_err(|_| FilterError::Malformed)?;
        let fields = parsed
            .unwrap_or_default()
            .into_iter()
            .map(|(key, values)| match values {
                Some(Values::List(list)) => (key, list),
                Some(Values::Map(map)) => (key, map.into_keys().collect()),
                None => (key, Vec::new()),
            })
            .collect();
        Ok(Self { fields })
    }

    /// The older of the two shapes, which every daemon reads; empty when there
    /// are no filters.
    pub fn to_json(&self) -> String {
        if self.fields.is_empty() {
            return String::new();
        }
        let shape: BTreeMap<&str, BTreeMap<&str, bool>> = self
            .fields
            .iter()
            .map(|(key, values)| {
                let set = values.iter().map(|value| (value.as_str(), true)).collect();
                (key.as_str(), set)
            })
            .collect();
        serde_json::to_string(&shape).unwrap_or_default()
    }

    /// Adds a value.
    pub fn add(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.fields
            .entry(key.into())
            .or_default()
            .push(value.into());
    }

    /// Refuses keys that are not among `known`.
    ///
    /// # Errors
    /// Names the first unknown key.
    pub fn validate(&self, known: &[&str]) -> Result<(), FilterError> {
        match self
            .fields
            .keys()
            .find(|key| !known.contains(&key.as_str()))
        {
            Some(key) => Err(FilterError::UnknownKey(key.clone())),
            None => Ok(()),
        }
    }

    /// Whether there are no filters.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Whether the key was given.
    pub fn contains(&self, key: &str) -> bool {
        self.fields.contains_key(key)
    }

    /// The values of a key, none when it was not given.
    pub fn get(&self, key: &str) -> &[String] {
        self.fields.get(key).map_or(&[], Vec::as_slice)
    }

    /// Whether the key was not given, or some value of it passes `test`.
    pub fn any(&self, key: &str, test: impl FnMut(&str) -> bool) -> bool {
        let values = self.get(key);
        values.is_empty() || values.iter().map(String::as_str).any(test)
    }

    /// Whether every value of the key (`name` or `name=value`) is among `pairs`;
    /// the rule for labels.
    pub fn all_pairs(&self, key: &str, pairs: Option<&BTreeMap<String, String>>) -> bool {
        self.get(key).iter().all(|wanted| {
            let (name, value) = match wanted.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (wanted.as_str(), None),
            };
            let found = pairs.and_then(|pairs| pairs.get(name));
            found.is_some_and(|found| value.is_none_or(|value| value == found))
        })
    }

    /// The key as a boolean, `default` when it was not given.
    ///
    /// # Errors
    /// When its values are neither true nor false, or both.
    pub fn boolean(&self, key: &str, default: bool) -> Result<bool, FilterError> {
        let values = self.get(key);
        if values.is_empty() {
            return Ok(default);
        }
        let yes = values.iter().any(|v| matches!(v.as_str(), "1" | "true"));
        let no = values.iter().any(|v| matches!(v.as_str(), "0" | "false"));
        if yes == no {
            return Err(FilterError::InvalidValue {
                key: key.to_owned(),
                values: values.join(" "),
            });
        }
        Ok(yes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_shapes_mean_the_same() {
        let list = Filters::parse(r#"{"label":["a=b","c"]}"#).unwrap();
        let map = Filters::parse(r#"{"label":{"a=b":true,"c":true}}"#).unwrap();
        assert_eq!(list, map);
        assert_eq!(Filters::parse(&list.to_json()).unwrap(), list);
        assert!(Filters::parse("").unwrap().is_empty());
        assert!(Filters::parse("null").unwrap().is_empty());
    }

    #[test]
    fn wrong_filters_are_refused_in_dockers_words() {
        for text in ["x", r#"{"a":1}"#, "[]", r#"{"a":{"b":3}}"#] {
            assert_eq!(Filters::parse(text), Err(FilterError::Malformed), "{text}");
        }
        let filters = Filters::parse(r#"{"foo":["a"],"dangling":["zz"]}"#).unwrap();
        let unknown = filters.validate(&["dangling"]).unwrap_err();
        assert_eq!(unknown.to_string(), "invalid filter 'foo'");
        let value = filters.boolean("dangling", true).unwrap_err();
        assert_eq!(value.to_string(), "invalid filter 'dangling=[zz]'");
    }

    #[test]
    fn labels_match_by_name_or_pair() {
        let labels = BTreeMap::from([("a".to_owned(), "b=c".to_owned())]);
        let matches = |text: &str| {
            Filters::parse(text)
                .unwrap()
                .all_pairs("label", Some(&labels))
        };
        assert!(matches(r#"{"label":["a"]}"#));
        assert!(matches(r#"{"label":["a=b=c"]}"#));
        assert!(!matches(r#"{"label":["a=b"]}"#));
        assert!(!matches(r#"{"label":["a","z"]}"#));
        assert!(matches("{}"));
    }
}
