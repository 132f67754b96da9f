//! Shell patterns over image names, as Go's `path.Match` has them: `*` and `?`
//! stop at a slash.

use gantry_types::Reference;

/// Whether the pattern matches the reference, or its repository alone, as
/// users write them.
pub(crate) fn matches_reference(pattern: &str, reference: &Reference) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    [reference.familiar(), reference.familiar_name()]
        .iter()
        .any(|name| matches(&pattern, &name.chars().collect::<Vec<_>>()))
}

/// Greedy matching with one point to go back to: linear in memory, and at most
/// quadratic in time.
fn matches(pattern: &[char], name: &[char]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() || p < pattern.len() {
        if pattern.get(p) == Some(&'*') {
            retry = Some((p, n));
            p += 1;
            continue;
        }
        if n < name.len()
            && let Some(next) = matches_one(&pattern[p..], name[n])
        {
            p += next;
            n += 1;
            continue;
        }
        match retry {
            Some((star, start)) if start < name.len() && name[start] != '/' => {
                retry = Some((star, start + 1));
                p = star + 1;
                n = start + 1;
            }
            _ => return false,
        }
    }
    true
}

/// How many characters of the pattern the character uses up, if it matches.
fn matches_one(pattern: &[char], c: char) -> Option<usize> {
    match pattern {
        ['?', ..] => (c != '/').then_some(1),
        ['\\', literal, ..] => (*literal == c).then_some(2),
        ['[', rest @ ..] => {
            let end = rest.iter().skip(1).position(|c| *c == ']')? + 1;
            let (negated, set) = match &rest[..end] {
                ['^', set @ ..] => (true, set),
                set => (false, set),
            };
            (in_set(set, c) != negated).then_some(end + 2)
        }
        [literal, ..] => (*literal == c).then_some(1),
        [] => None,
    }
}

fn in_set(mut set: &[char], c: char) -> bool {
    while let [low, rest @ ..] = set {
        if let ['-', high, more @ ..] = rest {
            if (*low..=*high).contains(&c) {
                return true;
            }
            set = more;
        } else {
            if *low == c {
                return true;
            }
            set = rest;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_follow_path_match() {
        for (pattern, name, expected) in [
            ("busybox", "busybox:latest", true),
            ("busy*", "busybox:latest", true),
            ("busybox:l?test", "busybox:latest", true),
            ("*:latest", "busybox:latest", true),
            ("*", "user/app:latest", false),
            ("*/*", "user/app:latest", true),
            ("us[a-e]r/app", "user/app:1", true),
            ("us[^a-e]r/app", "user/app:1", false),
            ("registry.example/*/*:1", "registry.example/a/b:1", true),
            ("busybox:1", "busybox:latest", false),
            ("b*x", "busybox:latest", true),
            ("", "busybox:latest", false),
            ("[", "busybox:latest", false),
        ] {
            let reference: Reference = name.parse().unwrap();
            assert_eq!(
                matches_reference(pattern, &reference),
                expected,
                "{pattern} {name}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn foreign_patterns_end(pattern in "[a-c*?\\[\\]^\\\\/-]{0,30}", name in "[a-c]{1,20}") {
            if let Ok(reference) = name.parse::<Reference>() {
                matches_reference(&pattern, &reference);
            }
        }
    }
}
