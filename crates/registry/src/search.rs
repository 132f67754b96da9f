//! Looking for images by words, as Docker's own registry answers it (`/v1/search`).

use serde::Deserialize;

use crate::auth::Access;
use crate::cancel::Cancel;
use crate::client::Client;
use crate::credentials::Credentials;
use crate::endpoint::{self, HUB};
use crate::error::{Error, Result};
use crate::session::Ask;

/// Where Docker's own registry is searched.
const HUB_INDEX: &str = "index.docker.io";

/// A repository that was found.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[derive(Default)]
pub struct Found {
    /// The repository.
    pub name: String,
    /// What its owner says about it.
    pub description: String,
    /// How many like it.
    pub star_count: i64,
    /// Whether Docker itself looks after it.
    pub is_official: bool,
    /// Whether it is built by the registry.
    pub is_automated: bool,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    results: Vec<Found>,
}

impl Client {
    /// The repositories that fit a term, which may begin with the host of a registry.
    ///
    /// # Errors
    /// When the registry cannot be reached, or knows no search.
    pub fn search(
        &self,
        term: &str,
        limit: u32,
        credentials: &Credentials,
        cancel: &Cancel,
    ) -> Result<Vec<Found>> {
        if term.contains("://") {
            return Err(Error::Config {
                what: "repository name",
                text: term.to_owned(),
                reason: "it should not have a scheme".to_owned(),
            });
        }
        let config = self.config();
        let session = self.session(&config, credentials, cancel);
        let (host, term) = split(term);
        let index = if host == HUB { HUB_INDEX } else { host };
        let endpoint = endpoint::of_index(&config, index)?;
        let root = match host {
            HUB => endpoint.first(),
            _ => endpoint.root(&session),
        };
        let root = root.map_err(|error| match config.is_insecure(index) {
            true => error,
            false => Error::Index {
                host: index.to_owned(),
                reason: error.to_string(),
            },
        })?;
        let url = root
            .with_target("/v1/search".to_owned())
            .with_parameter("q", term);
        let url = url.with_parameter("n", &limit.to_string());
        let access = Access {
            root: root.clone(),
            is_origin: true,
            scopes: Vec::new(),
        };
        let ask = Ask::new("GET", url.clone()).access(access);
        let mut response = session.ask(&ask).map_err(|error| match error {
            Error::Refused(refusal) if refusal.code.is_empty() => Error::NoSearch(refusal.status),
            other => other,
        })?;
        let bytes = session.whole(&url, "the list of what was found", &mut response)?;
        let answer: Answer = serde_json::from_slice(&bytes)
            .map_err(|error| session.wrong("GET", &url, &error.to_string()))?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(answer.results.into_iter().take(limit).collect())
    }
}

/// Docker's rule for what is a host in a term, and what it looks for there.
fn split(term: &str) -> (&str, &str) {
    let (host, rest) = match term.split_once('/') {
        Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => (host, rest),
        _ => (HUB, term),
    };
    match host {
        HUB | HUB_INDEX => (HUB, rest.strip_prefix("library/").unwrap_or(rest)),
        host => (host, rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Server, config, ok, status};

    #[test]
    fn repositories_are_found() {
        let server = Server::new(|seen| match seen.target.as_str() {
            "/v1/_ping" => ok("{}"),
            "/v1/search?q=a%20b&n=2" => ok(r#"{"num_results":3,"results":[
                {"name":"x","description":"d","star_count":7,"is_official":true},
                {"name":"y"},{"name":"z"}]}"#),
            _ => status(404),
        });
        let client = Client::new(config()).unwrap();
        let search = |term: &str| {
            let term = format!("{}/{term}", server.host());
            client.search(&term, 2, &Credentials::default(), &Cancel::new())
        };
        let found = search("a b").unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(
            (
                found[0].name.as_str(),
                found[0].star_count,
                found[0].is_official
            ),
            ("x", 7, true)
        );
        assert_eq!(
            search("c").unwrap_err().to_string(),
            "Unexpected status code 404"
        );
    }

    #[test]
    fn terms_have_hosts() {
        for (term, wanted) in [
            ("redis", (HUB, "redis")),
            ("library/redis", (HUB, "redis")),
            ("docker.io/library/redis", (HUB, "redis")),
            ("team/app", (HUB, "team/app")),
            ("localhost/app", ("localhost", "app")),
            ("r.example:5000/team/app", ("r.example:5000", "team/app")),
        ] {
            assert_eq!(split(term), wanted);
        }
    }
}
