//! What volumes may be called.

use crate::{Error, Result};

/// Checks a name.
///
/// # Errors
/// `Invalid`, in Docker's words.
pub(crate) fn check(name: &str) -> Result<()> {
    let invalid = |why: String| Error::Invalid {
        name: name.to_owned(),
        why,
    };
    if name.len() == 1 {
        let why = "volume name is too short, names should be at least two alphanumeric characters";
        return Err(invalid(why.to_owned()));
    }
    let word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    let first = name.bytes().next();
    if first.is_some_and(|byte| byte.is_ascii_alphanumeric())
        && name.bytes().all(word)
        // Longer than any file may be called.
        && name.len() <= 255
    {
        return Ok(());
    }
    Err(invalid(format!(
        "\"{name}\" includes invalid characters for a local volume name, only \
         \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use \
         absolute path"
    )))
}

/// A name for a volume that was given none: 64 hexadecimal digits.
pub(crate) fn random() -> Result<String> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| Error::Disk {
        operation: "read",
        path: "random numbers".into(),
        source: std::io::Error::other(error.to_string()),
    })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_in_dockers_words() {
        for good in ["ab", "a.b", "0_-", &"x".repeat(255)] {
            check(good).unwrap();
        }
        for bad in [
            "a/b",
            "..",
            ".ab",
            "a b",
            "-ab",
            "ä1",
            &"x".repeat(256),
            "../../etc",
        ] {
            let text = check(bad).unwrap_err().to_string();
            assert!(
                text.starts_with(&format!("create {bad}: \"{bad}\" includes invalid")),
                "{text}"
            );
        }
        let short = check("x").unwrap_err().to_string();
        assert!(short.starts_with("create x: volume name is too short"));
    }
}
