//! URLs as far as registries need them: `http` or `https`, a host, a port, and
//! what is asked for there. No user, no fragment, no byte that could end a line.

use std::fmt;

/// The longest one that is taken from a server.
const LIMIT: usize = 8 << 10;

/// Where to ask, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url {
    /// Whether by TLS.
    pub(crate) secure: bool,
    /// A name or an address, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Path and query; begins with `/`.
    pub(crate) target: String,
    /// A server made the query: it may hold a signature, and is not shown.
    foreign: bool,
}

impl Url {
    /// Reads an absolute URL.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        let (host, port) = split_authority(authority)?;
        Some(Self {
            secure,
            host: host.to_ascii_lowercase(),
            port: port.unwrap_or(if secure { 443 } else { 80 }),
            target: clean(target)?,
            foreign: false,
        })
    }

    /// The root of a registry's host and optional port.
    pub(crate) fn of_host(secure: bool, authority: &str) -> Option<Self> {
        let scheme = if secure { "https" } else { "http" };
        Self::parse(&format!("{scheme}://{authority}/"))
    }

    /// The same server, asked for something else.
    pub(crate) fn with_target(&self, target: String) -> Self {
        Self {
            target,
            foreign: false,
            ..self.clone()
        }
    }

    /// The target of a `Location` or `Link` that this URL answered with.
    pub(crate) fn join(&self, to: &str) -> Option<Self> {
        let to = to.trim();
        let absolute = to
            .find(':')
            .is_some_and(|colon| !to[..colon].contains(['/', '?', '#']));
        let mut joined = if absolute {
            Self::parse(to)?
        } else if to.starts_with("//") {
            let scheme = if self.secure { "https:" } else { "http:" };
            Self::parse(&format!("{scheme}{to}"))?
        } else {
            let path = self.target.split('?').next().unwrap_or("/");
            let target = match to.chars().next() {
                Some('/') => to.to_owned(),
                Some('?') => format!("{path}{to}"),
                _ => {
                    let folder = path.rfind('/').map_or("/", |slash| &path[..=slash]);
                    format!("{folder}{to}")
                }
            };
            self.with_target(clean(&target)?)
        };
        joined.foreign = true;
        Some(joined)
    }

    /// The same with one more parameter in the query.
    pub(crate) fn with_parameter(&self, name: &str, value: &str) -> Self {
        let between = if self.target.contains('?') { '&' } else { '?' };
        let mut url = self.clone();
        url.target.push(between);
        url.target.push_str(name);
        url.target.push('=');
        url.target.push_str(&encoded(value));
        url
    }

    /// Whether both are the same server, spoken to in the same way.
    pub(crate) fn same_origin(&self, other: &Self) -> bool {
        (self.secure, self.port, &self.host) == (other.secure, other.port, &other.host)
    }

    /// The host as names it, with its port where that is not the scheme's own.
    pub(crate) fn authority(&self) -> String {
        let (open, close) = match self.host.contains(':') {
            true => ("[", "]"),
            false => ("", ""),
        };
        let host = &self.host;
        match (self.secure, self.port) {
            (true, 443) | (false, 80) => format!("{open}{host}{close}"),
            (_, port) => format!("{open}{host}{close}:{port}"),
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        let shown = match (self.foreign, self.target.split_once('?')) {
            (true, Some((path, _))) => path,
            _ => &self.target,
        };
        write!(f, "{scheme}://{}{shown}", self.authority())
    }
}

/// Splits `host[:port]`. A user in it is refused: it would be shown in errors.
fn split_authority(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            match rest {
                "" => (host, None),
                rest => (host, Some(rest.strip_prefix(':')?)),
            }
        }
        None => {
            let (host, port) = match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            };
            let fits =
                |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
            if host.is_empty() || !host.bytes().all(fits) {
                return None;
            }
            (host, port)
        }
    };
    match port {
        None | Some("") => Some((host, None)),
        Some(port) => Some((host, Some(port.parse().ok().filter(|port| *port != 0)?))),
    }
}

/// Path and query in the form in which they may stand in a request's first line.
fn clean(target: &str) -> Option<String> {
    let target = target.split('#').next().unwrap_or_default();
    if target.len() > LIMIT {
        return None;
    }
    let mut clean = String::with_capacity(target.len() + 1);
    if !target.starts_with('/') {
        clean.push('/');
    }
    for byte in target.bytes() {
        match byte {
            0x21..=0x7e => clean.push(char::from(byte)),
            _ => push_encoded(&mut clean, byte),
        }
    }
    Some(clean)
}

/// A value as it may stand in a query or in a form.
pub(crate) fn encoded(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                text.push(char::from(byte));
            }
            _ => push_encoded(&mut text, byte),
        }
    }
    text
}

fn push_encoded(text: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    text.push('%');
    text.push(char::from(DIGITS[usize::from(byte >> 4)]));
    text.push(char::from(DIGITS[usize::from(byte & 15)]));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_shown() {
        for (text, shown) in [
            ("http://a", "http://a/"),
            ("HTTPS://A:443/b?c=d#e", "https://a/b?c=d"),
            ("https://a:5000?x", "https://a:5000/?x"),
            ("http://[::1]:5000/v2/", "http://[::1]:5000/v2/"),
            ("http://a/b c\r\nd", "http://a/b%20c%0D%0Ad"),
        ] {
            assert_eq!(Url::parse(text).unwrap().to_string(), shown);
        }
        for text in [
            "a",
            "ftp://a",
            "http://",
            "http://u:p@a/",
            "http://a:0",
            "http://a:x",
            "http://a b/",
            "http://[a]/",
            "http://a\n/",
        ] {
            assert_eq!(Url::parse(text), None, "{text}");
        }
    }

    #[test]
    fn locations_are_joined_and_their_queries_hidden() {
        let from = Url::parse("https://a:8/b/c?d").unwrap();
        for (to, wanted) in [
            ("http://x/y?secret", "http://x/y"),
            ("//x/y", "https://x/y"),
            ("/y?z", "https://a:8/y"),
            ("y", "https://a:8/b/y"),
            ("?n=1", "https://a:8/b/c"),
            ("y?u=http://z", "https://a:8/b/y"),
        ] {
            assert_eq!(from.join(to).unwrap().to_string(), wanted);
        }
        assert_eq!(from.join("javascript:x"), None);
        assert_eq!(from.join("file:///etc/passwd"), None);
    }

    #[test]
    fn parameters_are_encoded() {
        let url = Url::parse("https://a/t").unwrap();
        let url = url
            .with_parameter("scope", "repository:a/b:pull")
            .with_parameter("x", "ü &");
        assert_eq!(
            url.target,
            "/t?scope=repository%3Aa%2Fb%3Apull&x=%C3%BC%20%26"
        );
    }
}
