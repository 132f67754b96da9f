//! Makes two transcripts of the same script comparable: what differs from run
//! to run (ids, times, sizes, addresses) becomes a word in angle brackets.
//!
//! It knows forms, not meanings: nothing here asks which command printed a text.

/// `text` with everything that differs between two runs replaced.
pub fn normalise(text: &str, names: &[(String, &str)]) -> String {
    let mut text = text.to_owned();
    for (from, to) in names {
        text = text.replace(from.as_str(), to);
    }
    let text = ages(&words(&text));
    if text.contains("<AGO>") || text.contains("<SIZE>") || text.contains("<IP>") {
        squeeze(&text)
    } else {
        text
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '-' | '+' | '_')
}

/// Replaces word by word.
fn words(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_word) {
        let length = rest[start..]
            .find(|c| !is_word(c))
            .unwrap_or(rest.len() - start);
        out.push_str(&rest[..start]);
        out.push_str(&word(&rest[start..start + length]));
        rest = &rest[start + length..];
    }
    out.push_str(rest);
    // As Go prints a time.
    for zone in [" +0000 UTC", " UTC"] {
        out = out.replace(&format!("<DAY> <CLOCK>{zone}"), "<TIME>");
    }
    out.replace("<DAY> <CLOCK>", "<TIME>")
}

fn word(word: &str) -> String {
    if let Some(named) = whole(word) {
        return named.to_owned();
    }
    // `name:ID`, `ID.`, `key:TIME` and the like; a trailing mark belongs to the sentence.
    let bare = word.trim_end_matches(['.', ':']);
    if bare.len() < word.len()
        && let Some(named) = whole(bare)
    {
        return format!("{named}{}", &word[bare.len()..]);
    }
    if let Some((key, value)) = word.split_once(':')
        && let Some(named) = whole(value)
        && !key.is_empty()
    {
        return format!("{}:{named}", whole(key).unwrap_or(key));
    }
    if word.contains('-') && !word.contains(':') {
        let parts = word.split('-').map(|part| whole(part).unwrap_or(part));
        return parts.collect::<Vec<_>>().join("-");
    }
    word.to_owned()
}

fn whole(word: &str) -> Option<&'static str> {
    let hex = |word: &str| {
        word.bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'))
    };
    let digits = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
    match word.len() {
        64 if hex(word) => return Some("<ID>"),
        12 if hex(word) => return Some("<id>"),
        _ => {}
    }
    if word.len() == 17 && word.split(':').count() == 6 && word.split(':').all(hex) {
        return Some("<MAC>");
    }
    if is_time(word) {
        return Some("<TIME>");
    }
    if shape(word) == "dddd-dd-dd" {
        return Some("<DAY>");
    }
    if shape(word).starts_with("dd:dd:dd") && word.split('.').all(|p| !p.is_empty()) {
        return Some("<CLOCK>");
    }
    if word.split('.').count() == 4
        && word.split('.').all(digits)
        && ["172.17.", "10.219.", "10.221."]
            .iter()
            .any(|net| word.starts_with(net))
    {
        return Some("<IP>");
    }
    let number = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = &word[number.len()..];
    let is_number = digits(&number.replacen('.', "", 1));
    (is_number && matches!(unit, "B" | "kB" | "MB" | "GB")).then_some("<SIZE>")
}

fn shape(word: &str) -> String {
    word.chars()
        .map(|c| if c.is_ascii_digit() { 'd' } else { c })
        .collect()
}

/// RFC 3339; the year one, which means "never", stays.
fn is_time(word: &str) -> bool {
    shape(word).starts_with("dddd-dd-ddTdd:dd:dd") && !word.starts_with("0001-")
}

/// `2 seconds ago`, `Up About a minute`, `Less than a second ago`.
fn ages(text: &str) -> String {
    let mut out = text.replace("Less than a second", "<AGO>");
    for unit in ["second", "minute", "hour", "month", "week", "day", "year"] {
        for article in ["About a ", "About an "] {
            out = out.replace(&format!("{article}{unit}"), "<AGO>");
        }
        for plural in [format!(" {unit}s"), format!(" {unit}")] {
            while let Some(at) = numbered(&out, &plural) {
                out.replace_range(at, "<AGO>");
            }
        }
    }
    out
}

/// The place of a number that is followed by `unit` and then by an end or " ago".
fn numbered(text: &str, unit: &str) -> Option<std::ops::Range<usize>> {
    text.match_indices(unit).find_map(|(at, _)| {
        let digits = text[..at]
            .bytes()
            .rev()
            .take_while(u8::is_ascii_digit)
            .count();
        let after = &text[at + unit.len()..];
        let ends = after.is_empty()
            || ["\n", "\r", "  ", " ago", " (", "\t", "|", "\""]
                .iter()
                .any(|end| after.starts_with(end));
        (digits > 0 && ends).then(|| at - digits..at + unit.len())
    })
}

/// Columns are as wide as their longest text, which was just replaced.
fn squeeze(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let mut spaces = 0;
        for c in line.chars() {
            spaces = if c == ' ' { spaces + 1 } else { 0 };
            if spaces <= 3 {
                out.push(c);
            }
        }
    }
    out
}

#[test]
fn what_differs_is_replaced_and_nothing_else() {
    let id = "0123456789abcdef".repeat(4);
    for (text, expected) in [
        (format!("{id}\n"), "<ID>\n"),
        (format!("sha256:{id} {}", &id[..12]), "sha256:<ID> <id>"),
        (
            format!("No such container: {}.", &id[..12]),
            "No such container: <id>.",
        ),
        ("2026-11-21T10:29:07.123456789Z x".to_owned(), "<TIME> x"),
        (
            "2026-11-21 10:29:07 +0000 UTC|0001-01-01T00:00:00Z".to_owned(),
            "<TIME>|0001-01-01T00:00:00Z",
        ),
        (
            "Up 2 seconds\nExited (0) Less than a second ago".to_owned(),
            "Up <AGO>\nExited (0) <AGO> ago",
        ),
        (
            "02:42:ac:11:00:02 172.17.0.2 10.0.0.1 1.5MB 12B 64m".to_owned(),
            "<MAC> <IP> 10.0.0.1 <SIZE> <SIZE> 64m",
        ),
        (
            "line 3 of 10 seconds-old".to_owned(),
            "line 3 of 10 seconds-old",
        ),
    ] {
        assert_eq!(normalise(&text, &[]), expected);
    }
}
