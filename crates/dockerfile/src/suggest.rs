//! "Did you mean …?": the nearest of the words that would have been right.

/// Whether upper and lower case make a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// They do.
    Sensitive,
    /// They do not; the suggestion is written as the wrong word was.
    Insensitive,
}

/// A word that is this many changes away is another word.
const TOO_FAR: usize = 3;

/// Longer words are nobody's slip of the finger.
const LONGEST: usize = 256;

/// The one of `options` with the fewest changes to `value`. None when all are
/// too far away, or when one is the very same: then something else is wrong.
pub fn nearest<'a>(
    value: &str,
    options: impl IntoIterator<Item = &'a str>,
    case: Case,
) -> Option<String> {
    let fold = |text: &str| match case {
        Case::Sensitive => text.to_owned(),
        Case::Insensitive => text.to_lowercase(),
    };
    let wanted = fold(value);
    if wanted.len() > LONGEST {
        return None;
    }
    let initial = wanted.chars().next();
    let mut best = ((TOO_FAR, false), None);
    for option in options {
        let option = fold(option);
        if option == wanted {
            return None;
        }
        // Of two that are as near, the one with the same first letter.
        let far = (distance(&wanted, &option), option.chars().next() != initial);
        if far < best.0 {
            best = (far, Some(option));
        }
    }
    best.1.map(|found| match case {
        Case::Insensitive if value == value.to_lowercase() => found,
        Case::Insensitive if value == value.to_uppercase() => found.to_uppercase(),
        _ => found,
    })
}

/// Levenshtein's distance, in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let changed = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_found_and_other_words_are_not() {
        let names = ["ENTRYPOINT", "ENV", "RUN"];
        let near = |word| nearest(word, names, Case::Insensitive);
        assert_eq!(near("RNTRYPOINT").as_deref(), Some("ENTRYPOINT"));
        assert_eq!(near("runn").as_deref(), Some("run"));
        assert_eq!(near("RNU").as_deref(), Some("RUN"));
        assert_eq!(near("Runn").as_deref(), Some("run"));
        assert_eq!(near("run"), None);
        assert_eq!(near("FOOBARBAZ"), None);
        assert_eq!(nearest("Form", ["from"], Case::Sensitive), None);
        assert_eq!(
            nearest("form", ["from"], Case::Sensitive).as_deref(),
            Some("from")
        );
    }
}
