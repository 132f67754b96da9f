//! The patterns of `${x#…}`, `${x%…}` and `${x/…/…}`: `*`, `?` and text.
//!
//! A pattern is a row of segments between stars. For such a row the first
//! place of each segment is as good as any other, so that no search goes back.

use crate::error::Error;

/// Nobody writes longer ones, and the search costs pattern times value.
const MAX_PATTERN: usize = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Any,
    Char(char),
}

/// A shell pattern without brackets, as BuildKit has it.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    segments: Vec<Vec<Unit>>,
    starts_with_star: bool,
    ends_with_star: bool,
}

impl Pattern {
    /// Fails on an escape of a character that needs none.
    pub(crate) fn new(text: &str) -> Result<Self, Error> {
        if text.len() > MAX_PATTERN {
            return Err(Error::new("the pattern of the substitution is too long"));
        }
        let mut segments = vec![Vec::new()];
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let unit = match c {
                '*' => {
                    segments.push(Vec::new());
                    continue;
                }
                '?' => Unit::Any,
                '\\' => match chars.next() {
                    Some(c @ ('}' | '/' | '*' | '?' | '\\')) => Unit::Char(c),
                    other => {
                        let other = other.unwrap_or(char::REPLACEMENT_CHARACTER);
                        return Err(Error::new(format!(
                            "invalid pattern ({text}) in substitution: invalid escape '\\{other}'"
                        )));
                    }
                },
                c => Unit::Char(c),
            };
            if let Some(segment) = segments.last_mut() {
                segment.push(unit);
            }
        }
        let stars = segments.len() > 1;
        let starts_with_star = stars && segments.first().is_some_and(Vec::is_empty);
        let ends_with_star = stars && segments.last().is_some_and(Vec::is_empty);
        segments.retain(|segment| !segment.is_empty());
        Ok(Self {
            segments,
            starts_with_star,
            ends_with_star,
        })
    }

    fn reversed(&self) -> Self {
        let mut segments = self.segments.clone();
        segments.reverse();
        segments.iter_mut().for_each(|segment| segment.reverse());
        Self {
            segments,
            starts_with_star: self.ends_with_star,
            ends_with_star: self.starts_with_star,
        }
    }

    /// `value` without the beginning that matches.
    pub(crate) fn trim_start(&self, value: &str, longest: bool) -> String {
        let value: Vec<char> = value.chars().collect();
        self.without_start(&value, longest).iter().collect()
    }

    /// `value` without the end that matches.
    pub(crate) fn trim_end(&self, value: &str, longest: bool) -> String {
        let value: Vec<char> = value.chars().rev().collect();
        let rest = self.reversed();
        let rest = rest.without_start(&value, longest);
        rest.iter().rev().collect()
    }

    fn without_start<'a>(&self, value: &'a [char], longest: bool) -> &'a [char] {
        match self.find(value, 0, true, longest) {
            Some((_, end)) => &value[end..],
            None => value,
        }
    }

    /// `value` with the first match, or all of them, replaced. Fails when the
    /// result would be longer than `limit`.
    pub(crate) fn replace(
        &self,
        value: &str,
        replacement: &str,
        all: bool,
        limit: usize,
    ) -> Result<String, Error> {
        let value: Vec<char> = value.chars().collect();
        let mut out = String::new();
        let mut done = 0;
        let mut from = 0;
        let mut last_end = None;
        while let Some((start, end)) = self.find(&value, from, false, true) {
            // As in Go, an empty match right behind another one does not count.
            if end > start || last_end != Some(start) {
                out.extend(&value[done..start]);
                out.push_str(replacement);
                done = end;
            }
            if out.len() > limit {
                return Err(Error::new("the result of the expansion is too long"));
            }
            last_end = Some(end);
            from = if end > start { end } else { end + 1 };
            if !all || from > value.len() {
                break;
            }
        }
        out.extend(&value[done..]);
        Ok(out)
    }

    /// The first match at or behind `from`; only at `from` when `anchored`.
    fn find(
        &self,
        value: &[char],
        from: usize,
        anchored: bool,
        longest: bool,
    ) -> Option<(usize, usize)> {
        let mut segments = self.segments.iter().map(Vec::as_slice);
        let (start, mut at) = if self.starts_with_star {
            (from, from)
        } else {
            match segments.next() {
                None => (from, from),
                Some(first) if anchored => {
                    fits(first, value, from).then_some((from, from + first.len()))?
                }
                Some(first) => {
                    let start = first_place(first, value, from)?;
                    (start, start + first.len())
                }
            }
        };
        while let Some(segment) = segments.next() {
            let is_last = segments.len() == 0;
            let place = if is_last && longest && !self.ends_with_star {
                last_place(segment, value, at)?
            } else {
                first_place(segment, value, at)?
            };
            at = place + segment.len();
        }
        if self.ends_with_star && longest {
            at = value.len();
        }
        Some((start, at))
    }
}

fn fits(segment: &[Unit], value: &[char], at: usize) -> bool {
    value.get(at..at + segment.len()).is_some_and(|slice| {
        segment.iter().zip(slice).all(|(unit, c)| match unit {
            Unit::Any => true,
            Unit::Char(wanted) => wanted == c,
        })
    })
}

fn first_place(segment: &[Unit], value: &[char], from: usize) -> Option<usize> {
    let last = value.len().checked_sub(segment.len())?;
    (from..=last).find(|at| fits(segment, value, *at))
}

fn last_place(segment: &[Unit], value: &[char], from: usize) -> Option<usize> {
    let last = value.len().checked_sub(segment.len())?;
    (from..=last).rev().find(|at| fits(segment, value, *at))
}
