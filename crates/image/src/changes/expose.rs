//! EXPOSE: `port[-port][/protocol]`.

use crate::{Error, Result};

/// The ports that one word means, as `port/protocol`.
pub(super) fn parse(word: &str) -> Result<Vec<String>> {
    let bad = || Error::Invalid(format!("Invalid containerPort: {word}"));
    let (range, protocol) = word.split_once('/').unwrap_or((word, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(Error::Invalid(format!("Invalid proto: {protocol}")));
    }
    // A published form (`ip:host:container`) counts by its last part.
    let range = range.rsplit(':').next().unwrap_or(range);
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port != 0);
    let first = port(first).ok_or_else(bad)?;
    let last = port(last).ok_or_else(bad)?;
    if last < first {
        return Err(bad());
    }
    Ok((first..=last)
        .map(|port| format!("{port}/{protocol}"))
        .collect())
}
