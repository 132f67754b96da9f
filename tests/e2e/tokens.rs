//! A registry that lets in only those who bring a token of its token server, which
//! gives a refresh token at login and takes nothing else from then on.

use std::sync::{Arc, Mutex};

use crate::gantry_only;
use crate::harness::Engine;
use crate::harness::registry::{self, Registry};
use crate::harness::relay::{Deed, Relay, Request, answer};

const PORT: u16 = 5002;

/// What the token server knows.
#[derive(Default)]
struct Tokens {
    /// How many access tokens it has given.
    given: usize,
    /// Who has asked, and with what.
    log: Vec<String>,
    /// Whether the refresh token is good no more.
    revoked: bool,
}

impl Tokens {
    fn answer(&mut self, request: &Request) -> Deed {
        if request.target.starts_with("/token") {
            return self.token(request);
        }
        let good = format!("Bearer access-{}", self.given);
        if self.given > 0 && request.header("authorization") == good {
            return Deed::Pass;
        }
        let scope = match request.target.as_str() {
            "/v2/" => "",
            _ => ",scope=\"repository:team/app:pull\"",
        };
        let challenge = format!(
            "WWW-Authenticate: Bearer realm=\"http://127.0.0.1:{PORT}/token\",service=\"tests\"\
             {scope}\r\n"
        );
        answer("401 Unauthorized", &challenge, "")
    }

    fn token(&mut self, request: &Request) -> Deed {
        let form = String::from_utf8_lossy(&request.body).into_owned();
        // Of "ann:secret".
        let by_password = request.header("authorization") == "Basic YW5uOnNlY3JldA==";
        let refresh = form.contains("grant_type=refresh_token")
            && form.contains("refresh_token=keep-me")
            && form.contains("service=tests");
        self.log.push(match (by_password, refresh) {
            (true, _) => format!("password {}", request.target),
            (_, true) => "refresh".to_owned(),
            _ => "nothing".to_owned(),
        });
        let offline = request.target.contains("offline_token=true");
        if !by_password && (!refresh || self.revoked) {
            return answer(
                "401 Unauthorized",
                "",
                r#"{"details":"incorrect username or password"}"#,
            );
        }
        self.given += 1;
        let more = match by_password && offline {
            true => ",\"refresh_token\":\"keep-me\"",
            false => "",
        };
        let body = format!(
            "{{\"access_token\":\"access-{}\",\"expires_in\":60{more}}}",
            self.given
        );
        answer("200 OK", "Content-Type: application/json\r\n", &body)
    }
}

#[test]
fn a_login_keeps_the_refresh_token_and_not_the_password() {
    let engine = Engine::start();
    gantry_only!(engine);
    let _registry = Registry::start(&engine);
    let relay = Relay::start(&engine, PORT, 5000);
    let tokens = Arc::new(Mutex::new(Tokens::default()));
    let served = Arc::clone(&tokens);
    relay.plan(move |request| served.lock().expect("no panic").answer(request));
    let log = || std::mem::take(&mut tokens.lock().expect("no panic").log);
    let host = format!("127.0.0.1:{PORT}");
    let image = registry::IMAGE.replace("127.0.0.1:5000", &host);
    let pull = |credentials: Option<&str>| {
        let header = format!("X-Registry-Auth: {}", credentials.unwrap_or_default());
        let url = format!("http://x/images/create?fromImage={image}");
        engine.curl(&["-X", "POST", "-H", &header, &url]).stdout
    };
    for client in ["docker", "gantry"] {
        let login = ["login", "-u", "ann", "--password-stdin", &host];
        let mut login = match client {
            "docker" => engine.docker_command(&login),
            _ => engine.gantry_command(&login),
        };
        crate::harness::finish(&mut login, b"secret").ok();
        let asked = log();
        assert!(
            asked
                .iter()
                .any(|line| line.starts_with("password") && line.contains("offline")),
            "{client}: {asked:?}"
        );
        let config = engine.dir().join("client/config.json");
        let kept = std::fs::read_to_string(&config).expect("a configuration");
        assert!(
            kept.contains("\"identitytoken\": \"keep-me\""),
            "{client}: {kept}"
        );
        // Of "ann:secret"; without the password it is "ann:".
        assert!(!kept.contains("YW5uOnNlY3JldA=="), "{client}: {kept}");
        let args = ["pull", &image];
        match client {
            "docker" => engine.docker(&args).ok(),
            _ => engine.gantry(&args).ok(),
        };
        let asked = log();
        assert!(
            asked.iter().all(|line| line == "refresh") && !asked.is_empty(),
            "{asked:?}"
        );
        engine.docker(&["rmi", &image]).ok();
        tokens.lock().expect("no panic").revoked = true;
        tokens.lock().expect("no panic").given += 1;
        // The stock client would ask for another password.
        let refused = pull(Some("eyJpZGVudGl0eXRva2VuIjoia2VlcC1tZSJ9"));
        assert!(
            refused.ends_with("\n401") && !refused.contains("keep-me"),
            "{refused}"
        );
        assert_eq!(log(), ["refresh"]);
        tokens.lock().expect("no panic").revoked = false;
        engine.docker(&["logout", &host]).ok();
        let config = std::fs::read_to_string(&config).expect("a configuration");
        assert!(!config.contains("keep-me"), "{config}");
        let refused = pull(None);
        assert!(refused.ends_with("\n401"), "{refused}");
        assert!(log().iter().all(|line| line == "nothing"));
    }
    let said = engine.daemon_log();
    assert!(
        !said.contains("keep-me") && !said.contains("secret"),
        "{said}"
    );
}
