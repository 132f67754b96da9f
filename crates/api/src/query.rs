//! The boolean rule of query strings.

/// Whether a query value means yes: everything does but the empty string, `0`,
/// `no`, `false` and `none` in any case.
pub fn query_bool(value: &str) -> bool {
    !matches!(
        value.trim().to_ascii_lowercase().as_str(),
        "" | "0" | "no" | "false" | "none"
    )
}

#[cfg(test)]
mod tests {
    use super::query_bool;

    #[test]
    fn anything_but_a_no_is_a_yes() {
        for no in ["", "0", "no", "False", "NONE"] {
            assert!(!query_bool(no), "{no}");
        }
        for yes in ["1", "true", "True", "yes", "2", "x"] {
            assert!(query_bool(yes), "{yes}");
        }
    }
}
