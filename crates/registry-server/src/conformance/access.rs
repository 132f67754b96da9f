//! Users: Basic and token authentication, rules, and what shows no secret.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{Registry, image};
use crate::options::Settings;

/// A registry with the users `ann` and `bob`, whose passwords are their names backwards.
fn registry(change: impl FnOnce(&mut Settings)) -> Registry {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("htpasswd");
    let line = |user: &str, password| format!("{user}:{}\n", bcrypt::hash(password, 4).unwrap());
    std::fs::write(&path, line("ann", "nna") + &line("bob", "bob!")).unwrap();
    let mut settings = Settings {
        root: directory.path().join("root"),
        access_log: false,
        htpasswd: Some(path),
        ..Settings::default()
    };
    change(&mut settings);
    std::fs::create_dir_all(&settings.root).unwrap();
    Registry::start(settings, Some(directory))
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

fn ask(registry: &Registry, method: &str, path: &str, authorization: &str) -> super::Reply {
    registry.send(method, path, &[("Authorization", authorization)], b"")
}

#[test]
fn only_users_are_let_in() {
    let registry = registry(|_| {});
    for path in [
        "/v2/",
        "/v2/_catalog",
        "/v2/a/tags/list",
        "/v1/search?q=a",
        "/metrics",
    ] {
        let reply = registry.get(path);
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (401, "UNAUTHORIZED"),
            "{path}"
        );
        let asked = reply.header("www-authenticate");
        assert_eq!(asked, Some("Basic realm=\"gantry registry\""));
    }
    for wrong in [
        basic("ann", "wrong"),
        basic("eve", "nna"),
        basic("", ""),
        "Basic !".to_owned(),
        "Bearer x".to_owned(),
    ] {
        assert_eq!(ask(&registry, "GET", "/v2/", &wrong).status, 401, "{wrong}");
    }
    let ann = basic("ann", "nna");
    assert_eq!(ask(&registry, "GET", "/v2/", &ann).status, 200);
    assert_eq!(
        ask(&registry, "POST", "/v2/a/blobs/uploads/", &ann).status,
        202
    );
    assert_eq!(registry.get("/healthz").status, 200);
    // A secret is in no name, and so in no log.
    assert!(!format!("{:?}", registry.settings).contains("secret"));
}

#[test]
fn rules_say_who_pulls_and_pushes_what() {
    let registry = registry(|settings| {
        settings.rules.anonymous_pull = true;
        settings.rules.push = vec![("ann".into(), "team".into()), ("*".into(), "free".into())];
    });
    let (ann, bob) = (basic("ann", "nna"), basic("bob", "bob!"));
    for (who, repository, status) in [
        (&ann, "team/x", 202),
        (&ann, "free/x", 403),
        (&bob, "free/x", 202),
        (&bob, "team/x", 403),
    ] {
        let path = format!("/v2/{repository}/blobs/uploads/");
        let reply = ask(&registry, "POST", &path, who);
        assert_eq!(reply.status, status, "{repository}");
        if status == 403 {
            assert_eq!(reply.code(), "DENIED");
        }
    }
    assert_eq!(registry.get("/v2/none/tags/list").status, 404);
    let reply = registry.send("POST", "/v2/free/x/blobs/uploads/", &[], b"");
    assert_eq!(reply.status, 401);
    assert_eq!(registry.delete("/v2/free/x/manifests/v1").status, 401);
}

/// Follows a challenge: the token for its scope.
fn token(registry: &Registry, challenge: &str, authorization: Option<&str>) -> Value {
    let part = |key: &str| {
        let (_, rest) = challenge.split_once(&format!("{key}=\""))?;
        Some(rest.split('"').next()?.to_owned())
    };
    assert_eq!(part("realm").unwrap(), "http://test/token");
    let scope = part("scope").unwrap_or_default();
    let path = format!("/token?service=x&scope={scope}&offline_token=true");
    let headers: Vec<_> = authorization
        .map(|text| ("Authorization", text))
        .into_iter()
        .collect();
    let reply = registry.send("GET", &path, &headers, b"");
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}

#[test]
fn tokens_are_given_for_passwords_and_logins() {
    let registry = registry(|settings| {
        settings.tokens = true;
        settings.rules.anonymous_pull = true;
    });
    let push = "/v2/a/b/blobs/uploads/";
    let reply = registry.send("POST", push, &[], b"");
    assert_eq!(reply.status, 401);
    let challenge = reply.header("www-authenticate").unwrap();
    assert!(challenge.starts_with("Bearer realm="), "{challenge}");
    assert!(
        challenge.contains("scope=\"repository:a/b:pull,push\""),
        "{challenge}"
    );

    let given = token(&registry, challenge, Some(&basic("ann", "nna")));
    let bearer = format!("Bearer {}", given["token"].as_str().unwrap());
    assert_eq!(ask(&registry, "POST", push, &bearer).status, 202);
    assert_eq!(ask(&registry, "GET", "/v2/", &bearer).status, 200);
    // It is good for nothing else.
    let reply = ask(&registry, "POST", "/v2/c/blobs/uploads/", &bearer);
    assert_eq!(reply.status, 401);
    let why = reply.header("www-authenticate").unwrap();
    assert!(why.contains("error=\"insufficient_scope\""), "{why}");

    let login = given["refresh_token"].as_str().unwrap();
    let form = format!(
        "grant_type=refresh_token&service=x&client_id=docker&scope=repository:c:pull,push\
         &refresh_token={login}"
    );
    let reply = registry.send("POST", "/token", &[], form.as_bytes());
    assert_eq!(reply.status, 200);
    let bearer = format!("Bearer {}", reply.json()["access_token"].as_str().unwrap());
    assert_eq!(
        ask(&registry, "POST", "/v2/c/blobs/uploads/", &bearer).status,
        202
    );
    // A login is no token.
    let stolen = format!("Bearer {login}");
    assert_eq!(ask(&registry, "GET", "/v2/", &stolen).status, 401);

    // Who shows nothing gets a token to pull with, and no other.
    let given = token(&registry, challenge, None);
    assert!(given.get("refresh_token").is_none());
    let bearer = format!("Bearer {}", given["token"].as_str().unwrap());
    assert_eq!(ask(&registry, "GET", "/v2/", &bearer).status, 200);
    assert_eq!(ask(&registry, "POST", push, &bearer).status, 401);
    for (path, form) in [
        ("/token", "grant_type=password&username=ann&password=wrong"),
        ("/token", "grant_type=refresh_token&refresh_token=x"),
    ] {
        let reply = registry.send("POST", path, &[], form.as_bytes());
        assert_eq!(reply.status, 401, "{form}");
    }
    assert_eq!(registry.send("POST", "/token", &[], b"").status, 400);
    let wrong = [("Authorization", basic("ann", "x"))].map(|(k, v)| (k, v));
    let headers: Vec<(&str, &str)> = wrong.iter().map(|(k, v)| (*k, v.as_str())).collect();
    assert_eq!(registry.send("GET", "/token", &headers, b"").status, 401);
}

#[test]
fn a_login_ends_with_its_password() {
    let registry = registry(|settings| settings.tokens = true);
    let reply = registry.get("/v2/");
    let challenge = reply.header("www-authenticate").unwrap();
    let given = token(&registry, challenge, Some(&basic("ann", "nna")));
    let login = given["refresh_token"].as_str().unwrap().to_owned();
    let form = format!("grant_type=refresh_token&refresh_token={login}");
    assert_eq!(
        registry.send("POST", "/token", &[], form.as_bytes()).status,
        200
    );
    let path = registry.settings.htpasswd.clone().unwrap();
    let line = format!("ann:{}\n# changed\n", bcrypt::hash("new", 4).unwrap());
    std::fs::write(path, line).unwrap();
    // The file is read again when a password is checked.
    assert_eq!(
        ask(&registry, "GET", "/token", &basic("ann", "nna")).status,
        401
    );
    assert_eq!(
        registry.send("POST", "/token", &[], form.as_bytes()).status,
        401
    );
}

#[test]
fn what_may_not_be_pulled_is_not_mounted_nor_found() {
    // Everybody may pull here, but only by name: the rules have no secret repositories.
    let registry = registry(|_| {});
    let ann = basic("ann", "nna");
    let headers = [("Authorization", ann.as_str())];
    for bytes in [b"{}".as_slice(), b"l"] {
        let digest = gantry_types::Digest::of(bytes);
        let path = format!("/v2/team/x/blobs/uploads/?digest={digest}");
        assert_eq!(registry.send("POST", &path, &headers, bytes).status, 201);
    }
    let kind = ("Content-Type", super::MANIFEST);
    let text = image(b"l").to_string();
    let path = "/v2/team/x/manifests/v1";
    let reply = registry.send("PUT", path, &[headers[0], kind], text.as_bytes());
    assert_eq!(reply.status, 201);
    let found = registry
        .send("GET", "/v1/search?q=tea", &headers, b"")
        .json();
    assert_eq!(found["results"][0]["name"], "team/x");
    assert_eq!(registry.get("/v1/search?q=tea").status, 401);
}
