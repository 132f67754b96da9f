//! Lines of comma-separated values, as `--mount` and the attributes of builds are written.

use crate::error::Error;

/// The fields of one line of CSV; a field may be quoted.
///
/// # Errors
/// For quotes that are not where they may be.
pub fn fields(text: &str) -> Result<Vec<String>, Error> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let (field, behind) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_field(quoted)?,
            None => match rest.split_once(',') {
                Some((field, behind)) => (field.to_owned(), Some(behind)),
                None => (rest.to_owned(), None),
            },
        };
        if !rest.starts_with('"') && field.contains('"') {
            return Err(Error::new("bare \" in non-quoted-field"));
        }
        fields.push(field);
        match behind {
            Some(behind) => rest = behind,
            None => return Ok(fields),
        }
    }
}

/// A field up to its closing quote; a doubled quote is one of its characters.
fn quoted_field(mut rest: &str) -> Result<(String, Option<&str>), Error> {
    let bad = || Error::new("extraneous or missing \" in quoted-field");
    let mut field = String::new();
    loop {
        let (part, behind) = rest.split_once('"').ok_or_else(bad)?;
        field.push_str(part);
        match behind.chars().next() {
            Some('"') => {
                field.push('"');
                rest = &behind[1..];
            }
            Some(',') => return Ok((field, Some(&behind[1..]))),
            None => return Ok((field, None)),
            Some(_) => return Err(bad()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_may_be_quoted() {
        let read = |text: &str| fields(text).unwrap();
        assert_eq!(read("a=1,\"b=x,y\"\"z\",c"), ["a=1", "b=x,y\"z", "c"]);
        assert_eq!(read(""), [""]);
        assert_eq!(read("a,"), ["a", ""]);
        for wrong in ["a\"b", "\"a", "\"a\"b", "a,\"b\" "] {
            assert!(fields(wrong).is_err(), "{wrong}");
        }
    }
}
