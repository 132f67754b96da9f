//! Proxies on the way to registries, as `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`
//! name them. Plain requests are given to the proxy with their whole address; for
//! TLS it only makes a way through (`CONNECT`), and sees nothing of what is said. A
//! proxy may itself be spoken to by TLS (`https://`); one by SOCKS5 (`socks5://`,
//! `socks5h://`) makes a way through for everything.
//!
//! The password of a proxy is shown to the proxy and to nobody else.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::config::{contains, network};
use crate::error::{Error, Result};
use crate::url::Url;

/// In place of users and passwords, as Docker shows it.
const MASKED: &str = "xxxxx:xxxxx@";

/// Which servers are reached through which proxy.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    http: Option<Arc<Proxy>>,
    https: Option<Arc<Proxy>>,
    except: Vec<Except>,
    except_text: String,
}

/// A proxy.
pub(crate) struct Proxy {
    /// Where it is; secure when it is spoken to by TLS.
    pub(crate) url: Url,
    scheme: &'static str,
    login: Option<Login>,
}

/// Who we are to a proxy.
pub(crate) struct Login {
    pub(crate) user: Vec<u8>,
    pub(crate) password: Vec<u8>,
}

/// How proxies are spoken to, and the port where that is not said.
const SCHEMES: [(&str, u16); 4] = [
    ("http", 80),
    ("https", 443),
    ("socks5", 1080),
    ("socks5h", 1080),
];

/// Who is reached without a proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Except {
    Everybody,
    Network(IpAddr, u8),
    Address(IpAddr, Option<u16>),
    /// A domain, without its leading dot, and everything below it.
    Domain {
        name: String,
        itself: bool,
        port: Option<u16>,
    },
}

impl Proxies {
    /// The proxies for `http`, for `https`, and a list of those that need none. An
    /// empty text is none.
    ///
    /// # Errors
    /// When a text is no URL of an HTTP proxy; the error does not show a password.
    pub fn new(http: &str, https: &str, except: &str) -> Result<Self> {
        let entries = except.split(',').map(str::trim);
        Ok(Self {
            http: proxy("http-proxy", http)?,
            https: proxy("https-proxy", https)?,
            except: entries.filter_map(Except::parse).collect(),
            except_text: except.to_owned(),
        })
    }

    /// What an environment says, where `given` (in the order of [`Proxies::new`])
    /// is empty.
    ///
    /// # Errors
    /// Those of [`Proxies::new`].
    pub fn or_environment(
        given: [&str; 3],
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self> {
        let names = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"];
        let found = std::iter::zip(given, names).map(|(given, name)| match given {
            "" => variable(name)
                .filter(|value| !value.is_empty())
                .or_else(|| variable(&name.to_ascii_lowercase()))
                .unwrap_or_default(),
            given => given.to_owned(),
        });
        let found: Vec<String> = found.collect();
        Self::new(&found[0], &found[1], &found[2])
    }

    /// Those for `http` and for `https`, and the list of those that need none, for
    /// people: without users and passwords.
    pub fn shown(&self) -> [String; 3] {
        let shown =
            |proxy: &Option<Arc<Proxy>>| proxy.as_ref().map_or(String::new(), |p| p.shown());
        [
            shown(&self.http),
            shown(&self.https),
            self.except_text.clone(),
        ]
    }

    /// The proxy on the way to a server.
    pub(crate) fn on_the_way(&self, url: &Url) -> Option<&Arc<Proxy>> {
        let proxy = match url.secure {
            true => self.https.as_ref(),
            false => self.http.as_ref(),
        }?;
        let address: Option<IpAddr> = url.host.parse().ok();
        let here = url.host == "localhost" || address.is_some_and(|address| address.is_loopback());
        let excepted = |one: &Except| one.is(&url.host, address, url.port);
        (!here && !self.except.iter().any(excepted)).then_some(proxy)
    }
}

/// A URL of a proxy for people, without its user and password.
pub fn masked(text: &str) -> String {
    let start = text.find("://").map_or(0, |at| at + 3);
    match text.rfind('@') {
        Some(at) if at >= start => format!("{}{MASKED}{}", &text[..start], &text[at + 1..]),
        _ => text.to_owned(),
    }
}

/// Reads `[scheme://][user[:password]@]host[:port]`.
fn proxy(what: &'static str, text: &str) -> Result<Option<Arc<Proxy>>> {
    if text.is_empty() {
        return Ok(None);
    }
    let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (user, host) = match rest[..end].rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, &rest[..end]),
    };
    let wrong = |reason: String| Error::Config {
        what,
        text: format!("{scheme}://{}{host}", user.map_or("", |_| MASKED)),
        reason,
    };
    let Some((scheme, port)) = SCHEMES.into_iter().find(|(known, _)| *known == scheme) else {
        let reason = format!("proxies are spoken to by http, https or socks5, not by {scheme}");
        return Err(wrong(reason));
    };
    let url = Url::of_host(scheme == "https", host);
    let mut url =
        url.ok_or_else(|| wrong(format!("expected {scheme}://[user:password@]host[:port]")))?;
    let says_port = host
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    if !says_port {
        url.port = port;
    }
    let login = user.map(|user| {
        let (user, password) = user.split_once(':').unwrap_or((user, ""));
        Login {
            user: decoded(user),
            password: decoded(password),
        }
    });
    Ok(Some(Arc::new(Proxy { url, scheme, login })))
}

/// The bytes of a percent-encoded text.
fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let pair = after.get(..2).filter(|_| *first == b'%');
        let byte = pair
            .and_then(|pair| std::str::from_utf8(pair).ok())
            .and_then(|pair| u8::from_str_radix(pair, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = match byte {
            Some(_) => &after[2..],
            None => after,
        };
    }
    bytes
}

impl Proxy {
    /// The header line that tells the proxy who asks.
    pub(crate) fn line(&self) -> Option<String> {
        let login = self.login.as_ref()?;
        let both = [&login.user[..], b":", &login.password].concat();
        let own = STANDARD.encode(both);
        Some(format!("Proxy-Authorization: Basic {own}\r\n"))
    }

    /// Whether it makes a way through for everything, and who we are to it then.
    pub(crate) fn socks(&self) -> Option<Option<&Login>> {
        let is_socks = self.scheme.starts_with("socks");
        is_socks.then_some(self.login.as_ref())
    }

    fn shown(&self) -> String {
        let masked = self.login.as_ref().map_or("", |_| MASKED);
        format!("{}://{masked}{}", self.scheme, self.url.authority())
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

impl Except {
    fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        if text.is_empty() {
            return None;
        }
        if text == "*" {
            return Some(Self::Everybody);
        }
        if let Some((address, bits)) = network(&text) {
            return Some(Self::Network(address, bits));
        }
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse() {
            return Some(Self::Address(address, None));
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (text.as_str(), None),
        };
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse() {
            return Some(Self::Address(address, port));
        }
        let name = host.strip_prefix('*').unwrap_or(host);
        Some(Self::Domain {
            itself: !name.starts_with('.'),
            name: name.trim_start_matches('.').to_owned(),
            port,
        })
    }

    fn is(&self, host: &str, address: Option<IpAddr>, port: u16) -> bool {
        let right_port = |wanted: &Option<u16>| wanted.is_none_or(|wanted| wanted == port);
        match self {
            Self::Everybody => true,
            Self::Network(net, bits) => {
                address.is_some_and(|address| contains(*net, *bits, address.to_canonical()))
            }
            Self::Address(one, wanted) => {
                let same = address.is_some_and(|it| it.to_canonical() == one.to_canonical());
                same && right_port(wanted)
            }
            Self::Domain {
                name,
                itself,
                port: wanted,
            } => {
                let host = host.trim_end_matches('.');
                let below = host.strip_suffix(name.as_str());
                let fits =
                    below.is_some_and(|rest| rest.ends_with('.') || rest.is_empty() && *itself);
                fits && right_port(wanted)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Answer, Server, config, ok, repository};

    fn through(except: &str, url: &str) -> bool {
        let proxies = Proxies::new("p:1", "http://p:2", except).unwrap();
        proxies.on_the_way(&Url::parse(url).unwrap()).is_some()
    }

    #[test]
    fn exceptions_are_read_as_go_reads_them() {
        for (except, url, wanted) in [
            ("", "http://a.example", true),
            ("", "http://127.0.0.1:5000", false),
            ("", "https://localhost", false),
            ("", "https://[::1]:5", false),
            ("*", "http://a.example", false),
            ("a.example", "http://a.example", false),
            ("a.example", "https://x.a.example:5000", false),
            ("a.example", "http://ba.example", true),
            (".a.example", "http://a.example", true),
            (".a.example", "http://x.a.example", false),
            ("*.a.example", "http://x.a.example", false),
            ("x, A.example:5000", "http://a.example:5000", false),
            ("a.example:5000", "http://a.example:80", true),
            ("10.0.0.0/8", "http://10.1.2.3", false),
            ("10.0.0.0/8", "http://11.1.2.3", true),
            ("10.1.2.3", "http://10.1.2.3:5000", false),
            ("10.1.2.3:80", "http://10.1.2.3:5000", true),
            ("fd00::1", "http://[fd00::1]:5000", false),
            ("[fd00::1]:5000", "http://[fd00::1]:5000", false),
        ] {
            assert_eq!(through(except, url), wanted, "{except} {url}");
        }
    }

    #[test]
    fn passwords_are_never_shown() {
        let proxies = Proxies::new("u:hunter2@p.example:3128", "", "x").unwrap();
        let shown = ["http://xxxxx:xxxxx@p.example:3128", "", "x"];
        assert_eq!(proxies.shown(), shown);
        assert!(!format!("{proxies:?}").contains("hunter2"));
        assert_eq!(masked("http://u:p@h:1"), "http://xxxxx:xxxxx@h:1");
        assert_eq!(
            (masked("u@h"), masked("h:1")),
            (format!("{MASKED}h"), "h:1".to_owned())
        );
        for text in ["socks4://u:hunter2@p", "http://u:hunter2@", "u:hunter2@p:x"] {
            let error = Proxies::new("", text, "").unwrap_err().to_string();
            assert!(
                error.contains("https-proxy") && !error.contains("hunter2"),
                "{error}"
            );
        }
    }

    #[test]
    fn ports_go_without_saying() {
        for (text, port, shown) in [
            ("https://p", 443, "https://p"),
            ("https://u:p@[::1]:80", 80, "https://xxxxx:xxxxx@[::1]:80"),
            ("socks5://p", 1080, "socks5://p:1080"),
            ("socks5h://[fd00::1]", 1080, "socks5h://[fd00::1]:1080"),
            ("socks5://p:9", 9, "socks5://p:9"),
        ] {
            let proxy = proxy("http-proxy", text).unwrap().unwrap();
            assert_eq!((proxy.url.port, &*proxy.shown()), (port, shown));
            assert_eq!(proxy.socks().is_some(), text.starts_with("socks"));
        }
    }

    #[test]
    fn the_environment_counts_where_nothing_is_given() {
        let variable = |name: &str| match name {
            "HTTP_PROXY" => Some("http://upper".to_owned()),
            "http_proxy" | "no_proxy" => Some("lower".to_owned()),
            _ => None,
        };
        let found = Proxies::or_environment(["", "", ""], variable).unwrap();
        assert_eq!(found.shown(), ["http://upper", "", "lower"]);
        let found = Proxies::or_environment(["given", "", "x"], variable).unwrap();
        assert_eq!(found.shown(), ["http://given", "", "x"]);
    }

    #[test]
    fn plain_requests_name_the_whole_address() {
        let proxy = Server::new(|seen| {
            let known = seen.header("proxy-authorization") == Some("Basic dTpwIHc=");
            let target = seen.target.strip_prefix("http://r.invalid:5000");
            match target {
                Some("/v2/") if known => ok(""),
                Some(list) if known && list.starts_with("/v2/team/app/tags/list") => {
                    ok(r#"{"name":"x","tags":["1"]}"#)
                }
                _ => Answer::Of(407, Vec::new(), Vec::new()),
            }
        });
        let mut config = config();
        config.insecure = vec!["r.invalid:5000".to_owned()];
        let url = format!("http://u:p%20w@{}", proxy.host());
        // Nobody listens where TLS is tried first.
        config.proxies = Proxies::new(&url, "127.0.0.1:1", "").unwrap();
        let tags = repository(config, "r.invalid:5000/team/app").tags();
        assert_eq!(tags.unwrap(), ["1"]);
    }

    /// A proxy that makes a way to that server, once `greet` has let the client in.
    fn tunnel(
        to: std::net::SocketAddr,
        greet: fn(&mut std::net::TcpStream),
    ) -> std::net::SocketAddr {
        use std::io::copy;
        use std::net::{TcpListener, TcpStream};
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            greet(&mut client);
            let mut server = TcpStream::connect(to).unwrap();
            let (mut from, mut back) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || copy(&mut from, &mut back));
            let _ = copy(&mut server, &mut client);
        });
        address
    }

    fn connect(client: &mut (impl std::io::Read + std::io::Write)) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            client.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        assert!(head.starts_with(b"CONNECT r.invalid:443 HTTP/1.1\r\nHost: r.invalid:443\r\n"));
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
    }

    fn socks(client: &mut std::net::TcpStream) {
        use std::io::{Read, Write};
        let mut said = [0; 4];
        client.read_exact(&mut said).unwrap();
        client.write_all(&[5, 0]).unwrap();
        let mut said = [0; 16];
        client.read_exact(&mut said).unwrap();
        assert!(said.starts_with(b"\x05\x01\x00\x03\x09r.invalid"));
        client.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 9]).unwrap();
    }

    #[test]
    fn tls_goes_through_and_is_the_servers() {
        let server = crate::tls::testing_server(|_| ok(r#"{"name":"x","tags":["1"]}"#));
        let mut config = config();
        config.insecure = vec!["r.invalid".to_owned()];
        let proxy = tunnel(server.address, connect).to_string();
        config.proxies = Proxies::new("", &proxy, "").unwrap();
        let tags = repository(config, "r.invalid/team/app").tags();
        assert_eq!(tags.unwrap(), ["1"]);
    }

    #[test]
    fn socks_is_for_everything() {
        let answer = |_: &crate::testing::Seen| ok(r#"{"name":"x","tags":["1"]}"#);
        let secure = crate::tls::testing_server(answer);
        let mut with_tls = config();
        with_tls.insecure = vec!["r.invalid".to_owned()];
        let proxy = format!("socks5h://u:p@{}", tunnel(secure.address, socks));
        with_tls.proxies = Proxies::new("", &proxy, "").unwrap();
        let tags = repository(with_tls, "r.invalid/team/app").tags();
        assert_eq!(tags.unwrap(), ["1"]);

        let plain = Server::new(answer);
        let mut without = config();
        without.insecure = vec!["r.invalid:80".to_owned()];
        let address = plain.host().parse().unwrap();
        let proxy = format!("socks5://u:p@{}", tunnel(address, socks));
        // Nobody listens where TLS is tried first.
        without.proxies = Proxies::new(&proxy, "127.0.0.1:1", "").unwrap();
        let tags = repository(without, "r.invalid:80/team/app").tags();
        assert_eq!(tags.unwrap(), ["1"]);
    }

    #[test]
    fn a_proxy_may_have_tls_of_its_own() {
        // What is behind it is reached by TLS in TLS, or as a part of what it is asked.
        let proxy = crate::tls::testing_server(|seen| match seen.target.as_str() {
            "/v2/" | "r.invalid:443" => Answer::Of(403, Vec::new(), Vec::new()),
            target if target.starts_with("http://r.invalid:5000/v2/") => {
                ok(r#"{"name":"x","tags":["1"]}"#)
            }
            other => panic!("{other}"),
        });
        let mut config = config();
        config.insecure = vec!["r.invalid:5000".to_owned(), "127.0.0.0/8".to_owned()];
        let url = format!("https://{}", proxy.address);
        config.proxies = Proxies::new(&url, &url, "").unwrap();
        let tags = repository(config.clone(), "r.invalid:5000/team/app").tags();
        assert_eq!(tags.unwrap(), ["1"]);
        let refused = repository(config, "r.invalid/team/app").tags().unwrap_err();
        let text = refused.to_string();
        assert!(text.contains("proxyconnect tcp: 403 Forbidden"), "{text}");
    }

    #[test]
    fn a_proxy_that_refuses_is_named() {
        let proxy = Server::new(|seen| {
            assert_eq!(
                (seen.verb.as_str(), seen.target.as_str()),
                ("CONNECT", "r.invalid:443")
            );
            assert_eq!(seen.header("proxy-authorization"), Some("Basic dTpwdw=="));
            Answer::Of(407, Vec::new(), b"who are you?".to_vec())
        });
        let mut config = config();
        config.proxies = Proxies::new("", &format!("u:pw@{}", proxy.host()), "").unwrap();
        let failed = repository(config, "r.invalid/team/app").tags().unwrap_err();
        let text = failed.to_string();
        assert!(
            text.contains("proxyconnect tcp: 407 Proxy Authentication Required"),
            "{text}"
        );
    }
}
