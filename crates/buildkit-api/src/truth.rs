//! Truths in texts, as Go's `ParseBool` reads them.

use crate::status::Status;

/// What is taken for true.
pub(crate) fn is_true(text: &str) -> bool {
    matches!(text, "1" | "t" | "T" | "true" | "True" | "TRUE")
}

/// What is taken for false.
pub(crate) fn is_false(text: &str) -> bool {
    matches!(text, "0" | "f" | "F" | "false" | "False" | "FALSE")
}

/// Reads a truth of an attribute; nothing at all is true. Answers that it was read.
///
/// # Errors
/// For what is neither.
pub(crate) fn flag(key: &str, value: &str, flag: &mut bool) -> Result<bool, Status> {
    *flag = match value {
        "" => true,
        value if is_false(value) => false,
        value if is_true(value) => true,
        _ => {
            let text = format!(
                "non-bool value specified for {key}: strconv.ParseBool: parsing {value:?}: \
                 invalid syntax"
            );
            return Err(Status::invalid(text));
        }
    };
    Ok(true)
}
