//! containerd's filters, as BuildKit uses them for its cache and its history:
//!
//! ```text
//!  FIELD[OPERATOR VALUE][,…]      OPERATOR: == != ~=      VALUE: a word, or quoted
//! ```
//!
//! All parts of a filter must fit. A field without an operator must be there.

use regex_lite::Regex;

use crate::status::Status;

/// The longest filter, and the longest regular expression of one.
const LONGEST: usize = 4 << 10;

/// A filter.
#[derive(Debug)]
pub(crate) struct Filter(Vec<Selector>);

#[derive(Debug)]
struct Selector {
    field: String,
    test: Test,
}

#[derive(Debug)]
enum Test {
    Present,
    Equal(String),
    NotEqual(String),
    Matches(Regex),
}

/// The value of a field, if it is there.
pub(crate) type Field<'f> = dyn Fn(&str) -> Option<String> + 'f;

impl Filter {
    /// # Errors
    /// `InvalidArgument` for what is none.
    pub(crate) fn parse(text: &str) -> Result<Self, Status> {
        let wrong = || Status::invalid(format!("invalid filter {text:?}"));
        if text.len() > LONGEST {
            return Err(wrong());
        }
        let (mut selectors, mut rest) = (Vec::new(), text);
        while !rest.is_empty() {
            let is_name = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
            let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
            let (field, behind) = rest.split_at(end);
            if field.is_empty() {
                return Err(wrong());
            }
            let operator = ["==", "!=", "~="].into_iter();
            let mut operator = operator.filter_map(|one| Some((one, behind.strip_prefix(one)?)));
            let (test, behind) = match operator.next() {
                None => (Test::Present, behind),
                Some((operator, behind)) => {
                    let (value, behind) = value(behind).ok_or_else(wrong)?;
                    let test = match operator {
                        "==" => Test::Equal(value),
                        "!=" => Test::NotEqual(value),
                        _ => Test::Matches(Regex::new(&value).map_err(|_| wrong())?),
                    };
                    (test, behind)
                }
            };
            selectors.push(Selector {
                field: field.to_owned(),
                test,
            });
            rest = match behind.strip_prefix(',') {
                Some("") => return Err(wrong()),
                Some(rest) => rest,
                None if behind.is_empty() => behind,
                None => return Err(wrong()),
            };
        }
        Ok(Self(selectors))
    }

    /// Whether something fits, whose fields are these.
    pub(crate) fn fits(&self, field: &Field<'_>) -> bool {
        self.0.iter().all(|selector| {
            let found = field(&selector.field);
            match &selector.test {
                Test::Present => found.is_some(),
                Test::Equal(value) => found.as_ref() == Some(value),
                Test::NotEqual(value) => found.unwrap_or_default() != *value,
                Test::Matches(regex) => regex.is_match(&found.unwrap_or_default()),
            }
        })
    }
}

/// A value, and what is behind it.
fn value(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next()?;
    if !matches!(quote, '"' | '\'' | '/' | '|') {
        let end = text.find([',', ' ']).unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        return Some((value.to_owned(), rest)).filter(|_| end > 0);
    }
    let (mut value, mut escaped) = (String::new(), false);
    for (at, character) in text.char_indices().skip(1) {
        match character {
            '\\' if !escaped => {
                escaped = true;
                continue;
            }
            end if end == quote && !escaped => return Some((value, &text[at + 1..])),
            // What a regular expression escapes stays so.
            other if escaped && other != quote && other != '\\' => {
                value.push('\\');
                value.push(other);
            }
            other => value.push(other),
        }
        escaped = false;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(filter: &str) -> bool {
        let field = |name: &str| match name {
            "id" => Some("abc".to_owned()),
            "description" => Some("COPY a, b".to_owned()),
            "shared" => Some(String::new()),
            _ => None,
        };
        Filter::parse(filter).unwrap().fits(&field)
    }

    #[test]
    fn filters_are_those_of_containerd() {
        for filter in [
            "",
            "id==abc",
            "id!=x",
            "id~=^a.c$",
            "shared",
            "id==abc,shared",
            "description==\"COPY a, b\"",
            "description~=/b$/,id==abc",
            "nosuch!=x",
        ] {
            assert!(fits(filter), "{filter}");
        }
        for filter in [
            "id==ab",
            "id~=^b",
            "nosuch",
            "shared==false",
            "id==abc,inuse",
        ] {
            assert!(!fits(filter), "{filter}");
        }
        for wrong in ["id=x", "==x", "id==", "id==a,", "id~=(", "id==\"x", "id>3"] {
            assert!(Filter::parse(wrong).is_err(), "{wrong}");
        }
    }
}
