//! Paths of `cp`: which names a container, and what a trailing slash or dot
//! means. Paths in a container are text: they may look like anything.

use std::path::{Component, Path, PathBuf};

/// `CONTAINER:PATH`, or a path of this machine: those that start with a dot or
/// a slash, or have no colon.
pub(super) fn split(text: &str) -> (Option<&str>, &str) {
    if text.starts_with('/') {
        return (None, text);
    }
    match text.split_once(':') {
        Some((container, path)) if !container.starts_with('.') => (Some(container), path),
        _ => (None, text),
    }
}

/// Whether a path can only mean a directory.
pub(super) fn asserts_directory(path: &str) -> bool {
    path.ends_with('/') || means_contents(path)
}

/// Whether a path means what is in a directory.
pub(super) fn means_contents(path: &str) -> bool {
    matches!(path, "" | ".") || path.ends_with("/.")
}

/// The lexical form of a path: no empty parts, dots or double dots.
pub(super) fn clean(path: &str) -> String {
    let mut out = PathBuf::new();
    for part in Path::new(path).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                let can_pop = matches!(out.components().next_back(), Some(Component::Normal(_)));
                if can_pop {
                    out.pop();
                } else if !out.has_root() {
                    out.push("..");
                }
            }
            other => out.push(other),
        }
    }
    match out.as_os_str().is_empty() {
        true => ".".to_owned(),
        false => out.to_string_lossy().into_owned(),
    }
}

/// The directory of a path and the name in it; the name of `dir/.` is `.`.
pub(super) fn parent_and_name(path: &str) -> (String, String) {
    let cleaned = clean(path);
    if means_contents(path) {
        return (cleaned, ".".to_owned());
    }
    match cleaned.rsplit_once('/') {
        Some(("", name)) => ("/".to_owned(), name.to_owned()),
        Some((parent, name)) => (parent.to_owned(), name.to_owned()),
        None => (".".to_owned(), cleaned),
    }
}

/// What a symbolic link at `path` points to, seen from where the link is.
pub(super) fn link_target(path: &str, target: &str) -> String {
    match target.starts_with('/') {
        true => target.to_owned(),
        false => clean(&format!("{}/{target}", parent_and_name(path).0)),
    }
}

/// An absolute path of this machine that keeps a trailing slash or dot.
pub(super) fn absolute(path: &str) -> String {
    let base = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    let joined = clean(&base.join(path).to_string_lossy());
    let end = match path {
        _ if means_contents(path) => "/.",
        _ if path.ends_with('/') => "/",
        _ => "",
    };
    match joined.ends_with('/') {
        true => joined + end.trim_start_matches('/'),
        false => joined + end,
    }
}

/// The name of an archive's entry after the name of its top has changed.
pub(super) fn rebase(name: &str, from: &str, to: &str) -> String {
    let plain = name.strip_prefix("./").unwrap_or(name);
    let rest = match from {
        "." | "/" | "" => Some(plain),
        _ => match plain.strip_prefix(from) {
            Some("") => Some(""),
            Some(rest) => rest.strip_prefix('/'),
            None => None,
        },
    };
    match rest {
        Some("" | ".") => to.to_owned(),
        Some(rest) => format!("{to}/{rest}"),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_side() {
        assert_eq!(split("c:/x"), (Some("c"), "/x"));
        assert_eq!(split("c:"), (Some("c"), ""));
        assert_eq!(split("./c:x"), (None, "./c:x"));
        assert_eq!(split("/c:x"), (None, "/c:x"));
        assert_eq!(split("x"), (None, "x"));
        assert_eq!(split("-"), (None, "-"));
    }

    #[test]
    fn parts() {
        let table = [
            ("/a/b", "/a", "b"),
            ("/a/b/", "/a", "b"),
            ("/a/b/.", "/a/b", "."),
            ("/a", "/", "a"),
            ("a", ".", "a"),
            ("/", "/", ""),
            ("/a/../b", "/", "b"),
        ];
        for (path, parent, name) in table {
            assert_eq!(
                parent_and_name(path),
                (parent.to_owned(), name.to_owned()),
                "{path}"
            );
        }
        assert_eq!(clean("/../.."), "/");
        assert_eq!(clean("../x/.."), "..");
        assert!(asserts_directory("x/") && asserts_directory("x/.") && !asserts_directory("x"));
        assert_eq!(link_target("/a/b", "c"), "/a/c");
        assert_eq!(link_target("/a/b", "/c"), "/c");
        assert!(absolute("x/").ends_with("/x/"));
        assert!(absolute("x/.").ends_with("/x/."));
    }

    #[test]
    fn entries_follow_their_top() {
        let table = [
            ("a/b", "a", "c", "c/b"),
            ("a", "a", "c", "c"),
            ("a/", "a", "c", "c"),
            ("./b", ".", "c", "c/b"),
            ("./", ".", "c", "c"),
            ("ab", "a", "c", "ab"),
        ];
        for (name, from, to, expected) in table {
            assert_eq!(rebase(name, from, to), expected, "{name}");
        }
    }
}
