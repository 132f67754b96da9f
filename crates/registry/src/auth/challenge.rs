//! `WWW-Authenticate`: what a server wants to see (RFC 9110, section 11.6.1).

use crate::http::Head;

/// One way in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// Name and password with each request.
    Basic,
    /// A token of the server at `realm`.
    Bearer {
        realm: String,
        service: String,
        scope: String,
    },
}

impl Challenge {
    /// The way to go, of those that an answer offers: a token before a password.
    pub(crate) fn of(head: &Head) -> Option<Self> {
        let offered: Vec<Self> = head.all("www-authenticate").flat_map(read).collect();
        let token = offered.iter().find(|one| **one != Self::Basic);
        token.or(offered.first()).cloned()
    }
}

/// The challenges in one header that we know.
fn read(header: &str) -> Vec<Challenge> {
    let mut found: Vec<(String, Vec<(String, String)>)> = Vec::new();
    let mut rest = header;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let end = rest.find([' ', '\t', ',', '=', '"']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if word.is_empty() {
            break;
        }
        match after.trim_start().strip_prefix('=') {
            Some(after) => {
                let (value, after) = value(after.trim_start());
                if let Some((_, parameters)) = found.last_mut() {
                    parameters.push((word.to_ascii_lowercase(), value));
                }
                rest = after;
            }
            None => {
                found.push((word.to_ascii_lowercase(), Vec::new()));
                rest = after;
            }
        }
    }
    let known = found.into_iter().filter_map(|(scheme, parameters)| {
        let get = |name: &str| {
            let found = parameters.iter().find(|(found, _)| found == name);
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        match scheme.as_str() {
            "basic" => Some(Challenge::Basic),
            "bearer" => Some(Challenge::Bearer {
                realm: get("realm"),
                service: get("service"),
                scope: get("scope"),
            }),
            _ => None,
        }
    });
    known.collect()
}

/// A value, in quotes or not, and what follows it.
fn value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([' ', '\t', ',']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: &str, scope: &str) -> Challenge {
        let [realm, service, scope] = [realm, service, scope].map(str::to_owned);
        Challenge::Bearer {
            realm,
            service,
            scope,
        }
    }

    #[test]
    fn challenges_are_read() {
        for (header, wanted) in [
            (r#"Basic realm="Registry""#, vec![Challenge::Basic]),
            (
                r#"Bearer realm="https://a/t?x=1",service="s,t",scope="repository:a:pull,push""#,
                vec![bearer("https://a/t?x=1", "s,t", "repository:a:pull,push")],
            ),
            (
                r#"Negotiate, basic realm=x, BEARER  Realm = "a\"b" , error=invalid_token"#,
                vec![Challenge::Basic, bearer("a\"b", "", "")],
            ),
            ("", vec![]),
            ("=,=\"", vec![]),
            (r#"Bearer realm="open"#, vec![bearer("open", "", "")]),
        ] {
            assert_eq!(read(header), wanted, "{header}");
        }
    }
}
