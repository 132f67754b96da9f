//! Words of a request's address: percent escapes and the query.

/// The pairs behind the `?`.
#[derive(Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads `a=b&c=d`; pairs that are not escaped rightly are left out.
    pub(crate) fn parse(text: &str) -> Self {
        let pair = |pair: &str| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((unescape(key, true)?, unescape(value, true)?))
        };
        Self(
            text.split('&')
                .filter(|text| !text.is_empty())
                .filter_map(pair)
                .collect(),
        )
    }

    /// The first value of `key`.
    pub(crate) fn get(&self, key: &'static str) -> Option<&str> {
        self.all(key).next()
    }

    /// All values of `key`.
    pub(crate) fn all(&self, key: &'static str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(found, _)| found == key)
            .map(|(_, value)| value.as_str())
    }
}

/// Undoes percent escapes, and `+` where that is a space; `None` when an escape
/// is wrong or the result is not UTF-8.
pub(crate) fn unescape(text: &str, plus: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                u8::try_from(digit()? << 4 | digit()?).ok()?
            }
            b'+' if plus => b' ',
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// `text` as a value in a query.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' | b':' => {
                escaped.push(char::from(byte));
            }
            other => escaped.push_str(&format!("%{other:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_unescaped() {
        let query = Query::parse("a=1&tag=x%2By&tag=z+w&bad=%zz&&b");
        assert_eq!(query.get("a"), Some("1"));
        assert_eq!(query.all("tag").collect::<Vec<_>>(), ["x+y", "z w"]);
        assert_eq!(query.get("bad"), None);
        assert_eq!(query.get("b"), Some(""));
        assert_eq!(unescape(&escape("a b+c&d=é"), true).unwrap(), "a b+c&d=é");
    }
}
