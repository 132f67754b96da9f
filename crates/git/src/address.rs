//! Addresses of repositories, with what is wanted of them: `https://host/repo.git#ref:dir`,
//! `git://host/repo`, `github.com/owner/repo`, and the newer form with a query.

use std::fmt;

use base64::Engine;

use crate::error::{Error, Result};

/// The longest address.
const MAX: usize = 8 << 10;

/// A repository, and what of it is wanted.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Source {
    pub(crate) remote: Remote,
    /// A branch, a tag or a commit; the default branch when empty.
    pub reference: String,
    /// A directory of it; all when empty.
    pub subdirectory: String,
    /// What the commit's id begins with; any when empty.
    pub checksum: String,
    /// Whether `.git` is written too, if that was said.
    pub keep_git_dir: Option<bool>,
    /// Whether submodules are left out.
    pub without_submodules: bool,
}

/// Where a repository is.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Remote {
    pub(crate) scheme: Scheme,
    /// `host[:port]`
    pub(crate) authority: String,
    /// With a slash at its beginning.
    pub(crate) path: String,
    /// `user[:password]`, never shown.
    user: String,
}

/// How it is spoken to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Scheme {
    #[default]
    Https,
    Http,
    Git,
}

impl Source {
    /// Reads an address; nothing when it is none of a git repository.
    ///
    /// # Errors
    /// When it is one and something is wrong with it; ssh is refused by its name.
    pub fn parse(text: &str) -> Result<Option<Self>> {
        if text.starts_with("./") || text.starts_with("../") || text.len() > MAX {
            return Ok(None);
        }
        // The short form, which needs no `.git` at its end.
        let short = text.starts_with("github.com/");
        let whole;
        let text = match short {
            true => {
                whole = format!("https://{text}");
                &whole
            }
            false => text,
        };
        let (address, fragment) = text.split_once('#').unwrap_or((text, ""));
        let (address, query) = address.split_once('?').unwrap_or((address, ""));
        let Some((scheme, _)) = address.split_once("://") else {
            return match is_scp(address) {
                true => Err(no_ssh(address)),
                false => Ok(None),
            };
        };
        match scheme {
            "git" => {}
            "http" | "https" if address.ends_with(".git") || short => {}
            "ssh" => return Err(no_ssh(&redacted(address))),
            _ => return Ok(None),
        }
        let (reference, subdirectory) = fragment.split_once(':').unwrap_or((fragment, ""));
        let mut source = Self {
            remote: Remote::parse(address)?,
            reference: reference.to_owned(),
            subdirectory: subdirectory.to_owned(),
            ..Self::default()
        };
        source.query(query)?;
        source.check()?;
        Ok(Some(source))
    }

    /// An address that is known to be one of a repository, with `reference[:directory]`.
    ///
    /// # Errors
    /// As of [`Source::parse`].
    pub fn at(address: &str, fragment: &str) -> Result<Self> {
        if is_scp(address) {
            return Err(no_ssh(address));
        }
        let (reference, subdirectory) = fragment.split_once(':').unwrap_or((fragment, ""));
        let source = Self {
            remote: Remote::parse(address)?,
            reference: reference.to_owned(),
            subdirectory: subdirectory.to_owned(),
            ..Self::default()
        };
        source.check()?;
        Ok(source)
    }

    /// `ref=…&subdir=…`, as newer Dockerfiles have it.
    fn query(&mut self, query: &str) -> Result<()> {
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (key, value) = (decoded(key)?, decoded(value)?);
            let switch_alone = matches!(key.as_str(), "keep-git-dir" | "submodules");
            if value.is_empty() && !switch_alone {
                return Err(Error::Invalid(format!("query {key:?} has no value")));
            }
            match key.as_str() {
                "ref" => put(&mut self.reference, value, "ref")?,
                "tag" => put(&mut self.reference, below("refs/tags/", value), "ref")?,
                "branch" => put(&mut self.reference, below("refs/heads/", value), "ref")?,
                "subdir" => put(&mut self.subdirectory, value, "subdir")?,
                "checksum" | "commit" => put(&mut self.checksum, value, "checksum")?,
                "keep-git-dir" => self.keep_git_dir = Some(switch(&key, &value)?),
                "submodules" => self.without_submodules = !switch(&key, &value)?,
                _ => return Err(Error::Invalid(format!("unexpected query {key:?}"))),
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<()> {
        let odd = |c: char| c.is_control() || c == ' ';
        if self.reference.starts_with('-') || self.reference.contains(odd) {
            let text = format!("invalid git reference {:?}", self.reference);
            return Err(Error::Invalid(text));
        }
        Ok(())
    }

    /// Checks what a commit must begin with.
    ///
    /// # Errors
    /// When it can be no commit.
    pub fn require(&mut self, checksum: &str) -> Result<()> {
        let digits = checksum.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !digits || !(7..=40).contains(&checksum.len()) {
            let text = format!("invalid checksum {checksum:?}: expected a commit's digits");
            return Err(Error::Invalid(text));
        }
        put(&mut self.checksum, checksum.to_lowercase(), "checksum")
    }

    /// The host, with its port where one is given.
    pub fn host(&self) -> &str {
        &self.remote.authority
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let colon = if self.subdirectory.is_empty() {
            ""
        } else {
            ":"
        };
        let hash = if colon.is_empty() && self.reference.is_empty() {
            ""
        } else {
            "#"
        };
        let (reference, below) = (&self.reference, &self.subdirectory);
        write!(f, "{}{hash}{reference}{colon}{below}", self.remote)
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Remote {
    /// Reads an address without a query.
    pub(crate) fn parse(address: &str) -> Result<Self> {
        let wrong = || Error::Invalid(format!("invalid git address {:?}", redacted(address)));
        let (scheme, rest) = address.split_once("://").ok_or_else(wrong)?;
        let scheme = match scheme {
            "https" => Scheme::Https,
            "http" => Scheme::Http,
            "git" => Scheme::Git,
            "ssh" => return Err(no_ssh(&redacted(address))),
            _ => return Err(wrong()),
        };
        let (authority, path) = rest.split_at(rest.find('/').ok_or_else(wrong)?);
        let (user, authority) = authority.rsplit_once('@').unwrap_or(("", authority));
        if authority.is_empty() || address.contains(is_odd) {
            return Err(wrong());
        }
        Ok(Self {
            scheme,
            authority: authority.to_owned(),
            path: path.to_owned(),
            user: decoded(user)?,
        })
    }

    /// What the user in the address is to be let in with.
    pub(crate) fn authorization(&self) -> Option<String> {
        let code = |user: &str| base64::engine::general_purpose::STANDARD.encode(user);
        match self.user.split_once(':') {
            _ if self.user.is_empty() => None,
            Some(_) => Some(format!("Basic {}", code(&self.user))),
            None => Some(format!("Basic {}", code(&format!("{}:", self.user)))),
        }
    }

    /// Host and port, for a connection.
    pub(crate) fn host_and_port(&self, port: u16) -> (&str, u16) {
        let bare = self.authority.ends_with(']') || !self.authority.contains(':');
        match self.authority.rsplit_once(':') {
            Some((host, given)) if !bare => (host, given.parse().unwrap_or(port)),
            _ => (&self.authority, port),
        }
    }

    /// The address of a submodule: one that begins with `./` or `../` is beside this.
    pub(crate) fn join(&self, to: &str) -> Result<Self> {
        if !to.starts_with("./") && !to.starts_with("../") {
            return match is_scp(to) {
                true => Err(no_ssh(to)),
                false => Self::parse(to),
            };
        }
        let mut parts: Vec<&str> = self.path.trim_matches('/').split('/').collect();
        for part in to.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        let path = format!("/{}", parts.join("/"));
        if path.contains(is_odd) {
            return Err(Error::Invalid(format!("invalid git address {to:?}")));
        }
        Ok(Self {
            path,
            ..self.clone()
        })
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Https => "https",
            Scheme::Http => "http",
            Scheme::Git => "git",
        };
        write!(f, "{scheme}://{}{}", self.authority, self.path)
    }
}

/// Whether a character cannot be in an address.
fn is_odd(c: char) -> bool {
    c.is_control() || c.is_whitespace() || matches!(c, '?' | '#')
}

/// `user@host:path`.
fn is_scp(address: &str) -> bool {
    let Some((user, rest)) = address.split_once('@') else {
        return false;
    };
    let plain = |text: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        !text.is_empty() && text.chars().all(allowed)
    };
    let host = rest.split_once(':').map(|(host, _)| host);
    plain(user) && host.is_some_and(plain)
}

fn no_ssh(address: &str) -> Error {
    Error::Unsupported(format!(
        "git over ssh ({address}) is not supported by this version of gantry: use https://"
    ))
}

fn below(prefix: &str, name: String) -> String {
    match name.starts_with(prefix) {
        true => name,
        false => format!("{prefix}{name}"),
    }
}

fn put(place: &mut String, value: String, what: &str) -> Result<()> {
    if !place.is_empty() && *place != value {
        let text = format!("{what} conflicts: {place:?} vs {value:?}");
        return Err(Error::Invalid(text));
    }
    *place = value;
    Ok(())
}

fn switch(key: &str, value: &str) -> Result<bool> {
    match value {
        "" | "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(Error::Invalid(format!("invalid {key} value: {value:?}"))),
    }
}

/// A text without `%41`.
fn decoded(text: &str) -> Result<String> {
    let wrong = || Error::Invalid("invalid escape in a git address".to_owned());
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || (rest.next()? as char).to_digit(16);
                let (high, low) = (digit().ok_or_else(wrong)?, digit().ok_or_else(wrong)?);
                u8::try_from(high << 4 | low).map_err(|_| wrong())?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

/// A text in which nobody can read the user and the password of an address.
pub fn redacted(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://");
        let end = |c: char| c == '/' || c.is_whitespace() || matches!(c, '?' | '#' | '"' | '\'');
        let end = behind.find(end).unwrap_or(behind.len());
        let (authority, behind) = behind.split_at(end);
        match authority.rsplit_once('@') {
            Some((user, host)) => {
                let mask = if user.contains(':') {
                    "xxxxx:xxxxx@"
                } else {
                    "xxxxx@"
                };
                shown.push_str(mask);
                shown.push_str(host);
            }
            None => shown.push_str(authority),
        }
        rest = behind;
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Source {
        Source::parse(text).unwrap().unwrap()
    }

    #[test]
    fn all_forms_of_addresses_are_read() {
        for (text, shown) in [
            ("https://h/a/b.git", "https://h/a/b.git"),
            ("http://h:81/b.git#v1", "http://h:81/b.git#v1"),
            ("https://u:p@h/b.git#v1:d/e", "https://h/b.git#v1:d/e"),
            ("git://h/b#:d", "git://h/b#:d"),
            ("github.com/a/b#main", "https://github.com/a/b#main"),
            (
                "https://h/b.git?ref=v1&subdir=d%2Fe",
                "https://h/b.git#v1:d/e",
            ),
            ("https://h/b.git?tag=v1", "https://h/b.git#refs/tags/v1"),
            (
                "https://h/b.git?branch=x#refs/heads/x",
                "https://h/b.git#refs/heads/x",
            ),
        ] {
            assert_eq!(parse(text).to_string(), shown, "{text}");
        }
        let full = parse("https://h/b.git?keep-git-dir=1&submodules=false&checksum=1234567");
        assert_eq!(full.keep_git_dir, Some(true));
        assert!(full.without_submodules);
        assert_eq!(full.checksum, "1234567");
        for other in [
            ".",
            "./x.git",
            "https://h/a.tar.gz",
            "ftp://h/x.git",
            "dir/x.git",
            "-",
            "C:\\x",
        ] {
            assert_eq!(Source::parse(other).unwrap(), None, "{other}");
        }
        for wrong in [
            "git@github.com:a/b.git",
            "ssh://git@h/b.git",
            "https://h/b.git?x=1",
            "https://h/b.git?ref=",
            "https://h/b.git?ref=a#b",
            "https://h/b.git#--upload-pack=x",
            "https:///b.git",
        ] {
            assert!(Source::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn nobody_reads_a_password() {
        let source = parse("https://me:s%3Acret@h/b.git");
        assert_eq!(source.remote.authorization().unwrap(), "Basic bWU6czpjcmV0");
        assert!(!format!("{source} {source:?}").contains("cret"));
        assert_eq!(
            redacted("ADD https://a:b@h/x http://t@h:1/y https://h/z@1 /"),
            "ADD https://xxxxx:xxxxx@h/x http://xxxxx@h:1/y https://h/z@1 /"
        );
    }

    #[test]
    fn submodules_are_found_beside_their_repository() {
        let remote = Remote::parse("https://u:p@h/a/b.git").unwrap();
        let joined = remote.join("../c.git").unwrap();
        assert_eq!(joined.to_string(), "https://h/a/c.git");
        assert_eq!(joined.authorization(), remote.authorization());
        assert_eq!(remote.join("../../../x").unwrap().path, "/x");
        assert!(remote.join("git@h:x").is_err());
        assert!(remote.join("file:///etc").is_err());
        assert_eq!(remote.join("https://o/x").unwrap().authorization(), None);
        let git = Remote::parse("git://[::1]/x").unwrap();
        assert_eq!(git.host_and_port(9418), ("[::1]", 9418));
        let git = Remote::parse("git://h:1/x").unwrap();
        assert_eq!(git.host_and_port(9418), ("h", 1));
    }
}
