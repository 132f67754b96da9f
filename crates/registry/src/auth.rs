//! Being let in: what a server asks for is shown to that server, and to nobody
//! that it sends us on to.

mod challenge;
mod token;

use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub(crate) use challenge::Challenge;
pub(crate) use token::Tokens;

use crate::credentials::Credentials;
use crate::error::{Error, Result};
use crate::http::Head;
use crate::session::Session;
use crate::url::Url;
use token::Wanted;

/// To whom a request goes, and what it needs there.
#[derive(Clone)]
pub(crate) struct Access {
    /// The server that may see credentials.
    pub(crate) root: Url,
    /// Whether it is the registry itself: mirrors are asked as nobody in particular.
    pub(crate) is_origin: bool,
    /// `repository:name:pull`.
    pub(crate) scopes: Vec<String>,
}

/// What the servers of one conversation have asked for.
#[derive(Default)]
pub(crate) struct Doors {
    known: Mutex<Vec<(Url, Challenge)>>,
    /// Held while a token is fetched, so that the threads of one pull fetch one.
    fetching: Mutex<()>,
}

impl Doors {
    /// Takes note of what an answer asks for.
    pub(crate) fn learn(&self, root: &Url, head: &Head) {
        let Some(challenge) = Challenge::of(head) else {
            return;
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(other, _)| !other.same_origin(root));
        known.push((root.clone(), challenge));
    }

    fn of(&self, root: &Url) -> Option<Challenge> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.iter().find(|(other, _)| other.same_origin(root));
        found.map(|(_, challenge)| challenge.clone())
    }
}

impl Session {
    /// The `Authorization` of a request; nothing where nothing has been asked for.
    pub(crate) fn authorization(&self, access: &Access) -> Result<Option<String>> {
        let credentials = self.credentials_for(access);
        if !credentials.registry_token.is_empty() {
            return Ok(Some(format!("Bearer {}", credentials.registry_token)));
        }
        match self.doors.of(&access.root) {
            None => Ok(None),
            Some(Challenge::Basic) => match basic(credentials) {
                None => Err(Error::NoCredentials {
                    request: String::new(),
                }),
                header => Ok(header),
            },
            Some(challenge) => {
                let wanted = self.wanted(access, challenge);
                let _one = self
                    .doors
                    .fetching
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                let token = match self.tokens.get(&wanted) {
                    Some(token) => token,
                    None => self.fetch(&access.root, &wanted, false)?.token,
                };
                Ok(Some(format!("Bearer {token}")))
            }
        }
    }

    /// A server has not let us in, with `shown`. Answers whether that may be otherwise
    /// when it is asked again.
    pub(crate) fn not_let_in(&self, access: &Access, head: &Head, shown: Option<&str>) -> bool {
        self.doors.learn(&access.root, head);
        match self.doors.of(&access.root) {
            None => false,
            Some(Challenge::Basic) => shown.is_none(),
            Some(challenge) => {
                self.tokens.forget(&self.wanted(access, challenge));
                self.credentials_for(access).registry_token.is_empty()
            }
        }
    }

    /// Asks for a refresh token to use instead of the password from now on.
    pub(crate) fn identity_token(&self, access: &Access) -> Result<Option<String>> {
        match self.doors.of(&access.root) {
            Some(challenge @ Challenge::Bearer { .. }) => {
                let wanted = self.wanted(access, challenge);
                let answer = self.fetch(&access.root, &wanted, true)?;
                Ok(Some(answer.refresh_token).filter(|token| !token.is_empty()))
            }
            _ => Ok(None),
        }
    }

    fn fetch(&self, root: &Url, wanted: &Wanted, offline: bool) -> Result<token::Answer> {
        // The registry says who is to get the password; not in clear text, at least.
        let clear = wanted
            .realm
            .get(..5)
            .is_none_or(|scheme| !scheme.eq_ignore_ascii_case("https"));
        if root.secure && clear && !wanted.credentials.is_anonymous() {
            return Err(Error::Config {
                what: "realm of a token server",
                text: wanted.realm.clone(),
                reason: "credentials are not sent without TLS".to_owned(),
            });
        }
        token::fetch(self, wanted, offline)
    }

    fn credentials_for(&self, access: &Access) -> &Credentials {
        static NOBODY: Credentials = Credentials {
            username: String::new(),
            password: String::new(),
            identity_token: String::new(),
            registry_token: String::new(),
        };
        if access.is_origin {
            &self.credentials
        } else {
            &NOBODY
        }
    }

    fn wanted(&self, access: &Access, challenge: Challenge) -> Wanted {
        let (realm, service, scope) = match challenge {
            Challenge::Basic => Default::default(),
            Challenge::Bearer {
                realm,
                service,
                scope,
            } => (realm, service, scope),
        };
        let mut scopes = access.scopes.clone();
        // What the server itself names may be more than we know of.
        scopes.extend(scope.split_whitespace().map(str::to_owned));
        scopes.sort();
        scopes.dedup();
        let credentials = self.credentials_for(access).clone();
        Wanted {
            realm,
            service,
            scopes,
            credentials,
        }
    }
}

/// `Basic …`, where there are a name and a password.
pub(crate) fn basic(credentials: &Credentials) -> Option<String> {
    let Credentials {
        username, password, ..
    } = credentials;
    if username.is_empty() || password.is_empty() {
        return None;
    }
    Some(format!(
        "Basic {}",
        STANDARD.encode(format!("{username}:{password}"))
    ))
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use gantry_types::Digest;

    use super::*;
    use crate::testing::{Answer, Seen, Server, config, ok, status};
    use crate::{Cancel, Client, Config, Mirror, Repository, Rule};

    fn user() -> Credentials {
        Credentials {
            username: "user".to_owned(),
            password: "secret".to_owned(),
            ..Credentials::default()
        }
    }

    fn open(config: Config, server: &Server, credentials: &Credentials) -> Repository {
        let name = format!("{}/team/app", server.host()).parse().unwrap();
        let client = Client::new(config).unwrap();
        client
            .repository(&name, credentials, &Cancel::new())
            .unwrap()
    }

    fn challenge(text: String) -> Answer {
        Answer::Of(401, vec![("WWW-Authenticate", text)], Vec::new())
    }

    /// A token server that hands out `t1`, `t2`, …
    fn token_server() -> Arc<Server> {
        let count = AtomicUsize::new(0);
        Arc::new(Server::new(move |seen| {
            let count = count.fetch_add(1, Ordering::Relaxed) + 1;
            let known = seen.header("authorization") == Some("Basic dXNlcjpzZWNyZXQ=");
            let refreshed = seen.body.ends_with(b"refresh_token=id%2F1");
            match (known || refreshed, seen.header("authorization")) {
                (true, _) | (_, None) => {
                    ok(format!(r#"{{"token":"t{count}","refresh_token":"id/1"}}"#))
                }
                _ => Answer::Of(
                    401,
                    vec![],
                    br#"{"details":"incorrect username or password"}"#.into(),
                ),
            }
        }))
    }

    /// A registry that wants a token of that server, and takes those that it likes.
    fn registry(
        tokens: &Arc<Server>,
        takes: impl Fn(&str, &Seen) -> bool + Send + Sync + 'static,
    ) -> Server {
        let realm = format!("http://{}/token", tokens.host());
        Server::bare(move |seen| {
            let shown = seen
                .header("authorization")
                .and_then(|shown| shown.strip_prefix("Bearer "));
            match shown.is_some_and(|token| takes(token, seen)) {
                true => ok("{}"),
                false => challenge(format!(r#"Bearer realm="{realm}",service="s p""#)),
            }
        })
    }

    #[test]
    fn tokens_are_fetched_once_for_each_need() {
        let tokens = token_server();
        let server = registry(&tokens, |_, _| true);
        let client = Client::new(config()).unwrap();
        for name in ["a", "a", "b"] {
            let name = format!("{}/{name}", server.host()).parse().unwrap();
            let repository = client.repository(&name, &user(), &Cancel::new()).unwrap();
            repository.resolve("1").unwrap();
            repository.resolve("2").unwrap();
        }
        assert_eq!(
            tokens.lines(),
            [
                "GET /token?scope=repository%3Aa%3Apull&service=s%20p&account=user",
                "GET /token?scope=repository%3Ab%3Apull&service=s%20p&account=user",
            ]
        );
        // The password itself has gone to the token server alone.
        let shown = server.seen();
        assert!(shown.iter().all(|seen| {
            seen.header("authorization")
                .unwrap()
                .starts_with("Bearer t")
        }));
    }

    #[test]
    fn a_mount_needs_both_repositories() {
        let tokens = token_server();
        let server = registry(&tokens, |_, _| true);
        let repository = open(config(), &server, &user());
        assert!(!repository.mount(Digest::of(b""), "other").unwrap());
        assert!(tokens.lines()[0].starts_with(
            "GET /token?scope=repository%3Aother%3Apull&scope=repository%3Ateam%2Fapp%3Apull%2Cpush&"
        ));
    }

    #[test]
    fn a_token_that_is_none_any_more_is_renewed() {
        let tokens = token_server();
        let server = registry(&tokens, |token, seen| {
            token == "t2" || seen.target.ends_with("/1")
        });
        let repository = open(config(), &server, &user());
        repository.resolve("1").unwrap();
        repository.resolve("2").unwrap();
        assert_eq!(tokens.lines().len(), 2);
    }

    #[test]
    fn an_upload_outlives_its_token() {
        let tokens = token_server();
        let realm = format!("http://{}/token", tokens.host());
        let server = Server::bare(move |seen| {
            let token = seen.header("authorization").unwrap_or_default();
            match (seen.verb.as_str(), token) {
                ("POST", "Bearer t1") => {
                    Answer::Of(202, vec![("Location", "/u/1".to_owned())], vec![])
                }
                ("GET", "Bearer t2") => {
                    Answer::Of(204, vec![("Range", "0-1048576".to_owned())], vec![])
                }
                ("PATCH", "Bearer t2") => {
                    Answer::Of(202, vec![("Location", "/u/2".to_owned())], vec![])
                }
                ("PUT", "Bearer t2") => status(201),
                _ => challenge(format!(r#"Bearer realm="{realm}""#)),
            }
        });
        let bytes: Vec<u8> = (0..2_000_000u32).map(|at| at as u8).collect();
        let opened = bytes.clone();
        let source = move |offset: u64| {
            let rest = opened[usize::try_from(offset).unwrap()..].to_vec();
            Ok(Box::new(std::io::Cursor::new(rest)) as Box<dyn Read>)
        };
        let repository = open(config(), &server, &user());
        repository
            .upload(Digest::of(&bytes), bytes.len() as u64, &source)
            .unwrap();
        let seen = server.seen();
        let verbs: Vec<_> = seen.iter().map(|seen| seen.verb.as_str()).collect();
        assert_eq!(verbs, ["POST", "PUT", "GET", "PATCH", "PUT"]);
        assert_eq!(seen[3].header("content-range"), Some("1048577-1999999"));
        assert!(seen[3].body == bytes[1048577..]);
    }

    #[test]
    fn refresh_tokens_stand_for_passwords() {
        let tokens = token_server();
        let server = registry(&tokens, |_, _| true);
        let client = Client::new(config()).unwrap();
        let login = client
            .login(&server.host(), &user(), &Cancel::new())
            .unwrap();
        assert_eq!(
            (login.status, login.identity_token.as_str()),
            ("Login Succeeded", "id/1")
        );
        let identity = Credentials {
            identity_token: login.identity_token,
            ..Credentials::default()
        };
        open(config(), &server, &identity).resolve("1").unwrap();
        let seen = tokens.seen();
        assert_eq!(
            seen[0].target,
            "/token?service=s%20p&offline_token=true&client_id=gantry&account=user"
        );
        assert_eq!(
            String::from_utf8_lossy(&seen[1].body),
            "grant_type=refresh_token&service=s%20p&client_id=gantry&scope=repository%3Ateam%2Fapp\
             %3Apull&refresh_token=id%2F1"
        );
    }

    #[test]
    fn those_who_are_not_known_are_told_so() {
        let tokens = token_server();
        let server = registry(&tokens, |_, _| true);
        let wrong = Credentials {
            password: "hunter2".to_owned(),
            ..user()
        };
        let error = open(config(), &server, &wrong).resolve("1").unwrap_err();
        let text = error.to_string();
        assert!(
            text.ends_with("unauthorized: incorrect username or password"),
            "{text}"
        );
        assert!(!format!("{text}{error:?}").contains("hunter2"));
        let login = Client::new(config())
            .unwrap()
            .login(&server.host(), &wrong, &Cancel::new());
        let error = login.err().unwrap();
        let wanted = "unauthorized: incorrect username or password";
        assert_eq!(
            error.to_string(),
            format!("Get \"http://{}/v2/\": {wanted}", server.host())
        );
        assert_eq!(error.kind(), gantry_types::ErrorKind::Unauthorized);
    }

    #[test]
    fn names_and_passwords_are_sent_where_they_are_wanted() {
        let server = Server::bare(|seen| match seen.header("authorization") {
            Some("Basic dXNlcjpzZWNyZXQ=") => ok("{}"),
            _ => challenge("Basic realm=\"r\"".to_owned()),
        });
        open(config(), &server, &user()).resolve("1").unwrap();
        let root = format!("http://{}/v2/", server.host());
        let nobody = open(config(), &server, &Credentials::default());
        assert_eq!(
            nobody.resolve("1").unwrap_err().to_string(),
            format!("Head \"{root}team/app/manifests/1\": no basic auth credentials")
        );
        let error = nobody.head_blob(Digest::of(b"")).unwrap_err();
        assert_eq!(error.to_string(), "no basic auth credentials");
        let wrong = Credentials {
            password: "x".to_owned(),
            ..user()
        };
        let error = open(config(), &server, &wrong).resolve("1").unwrap_err();
        assert_eq!(error.to_string(), "unauthorized: authentication required");
        let login = Client::new(config())
            .unwrap()
            .login(&root, &wrong, &Cancel::new());
        assert_eq!(
            login.err().unwrap().to_string(),
            format!("login attempt to {root} failed with status: 401 Unauthorized")
        );
    }

    #[test]
    fn nobody_else_sees_who_we_are() {
        let elsewhere = Arc::new(Server::new(|_| ok("1234")));
        let location = format!("http://{}/blob?signature=x", elsewhere.host());
        let server = Server::bare(move |seen| match seen.header("authorization") {
            Some(_) => Answer::Of(307, vec![("Location", location.clone())], Vec::new()),
            _ => challenge("Basic realm=r".to_owned()),
        });
        let mirror = Server::bare(|seen| match seen.target.as_str() {
            "/v2/" => challenge("Basic realm=r".to_owned()),
            _ => status(404),
        });
        let mut config = config();
        config.rules.push(Rule {
            prefix: server.host(),
            mirrors: vec![Mirror {
                url: format!("http://{}", mirror.host()),
            }],
            fall_back: true,
        });
        let repository = open(config, &server, &user());
        let mut text = String::new();
        repository
            .blob(Digest::of(b""), 4, 0)
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "1234");
        assert_eq!(
            server.seen()[0].header("authorization"),
            Some("Basic dXNlcjpzZWNyZXQ=")
        );
        for other in [&mirror, &*elsewhere] {
            assert!(
                other
                    .seen()
                    .iter()
                    .all(|seen| seen.header("authorization").is_none())
            );
        }
        assert_eq!(elsewhere.lines(), ["GET /blob?signature=x"]);
    }

    #[test]
    fn a_secure_registry_gets_no_password_sent_in_clear_text() {
        let session = Client::new(config()).unwrap();
        let session = session.session(&Arc::new(config()), &user(), &Cancel::new());
        let root = Url::parse("https://r.example/").unwrap();
        let wanted = Wanted {
            realm: "http://127.0.0.1:1/token".to_owned(),
            service: String::new(),
            scopes: Vec::new(),
            credentials: user(),
        };
        let error = session.fetch(&root, &wanted, false).err().unwrap();
        assert!(
            error
                .to_string()
                .ends_with("credentials are not sent without TLS"),
            "{error}"
        );
    }
}
