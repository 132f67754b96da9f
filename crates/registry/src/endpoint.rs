//! Which servers are asked for a repository: mirrors by rule, then the registry itself.

use std::sync::OnceLock;

use gantry_types::Reference;

use crate::auth::Access;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::http::Request;
use crate::limits::ERROR;
use crate::session::{Ask, Session};
use crate::url::Url;

/// What a pull, a push and a deletion need.
pub(crate) const PULL: &str = "pull";
pub(crate) const PUSH: &str = "pull,push";
pub(crate) const DELETE: &str = "delete";

/// The domain that Docker's own registry has in names.
pub(crate) const HUB: &str = "docker.io";
/// The host behind it.
const HUB_HOST: &str = "registry-1.docker.io";

/// One server that may hold a repository.
pub(crate) struct Endpoint {
    /// Its roots, in the order in which they are tried: by TLS first.
    roots: Vec<Url>,
    /// The path of the repository there.
    pub(crate) path: String,
    /// Whether it is the registry of the name, and no mirror of it.
    pub(crate) is_origin: bool,
    /// What is asked for to see whether it answers.
    probe: &'static str,
    reached: OnceLock<Url>,
}

impl Endpoint {
    /// The root that answers. The first to ask finds out.
    ///
    /// # Errors
    /// When none does.
    pub(crate) fn root(&self, session: &Session) -> Result<&Url> {
        if let Some(url) = self.reached.get() {
            return Ok(url);
        }
        if let Some(root) = self.roots.iter().find(|root| session.pool.knows(root)) {
            return Ok(self.reached.get_or_init(|| root.clone()));
        }
        let mut last = Error::Cancelled;
        for root in &self.roots {
            let url = root.with_target(self.probe.to_owned());
            match session.send_bare(Request::new("GET", &url)) {
                Ok(mut response) => {
                    session.doors.learn(root, &response.head);
                    if response.head.status == 200 {
                        session.pool.note_open(root);
                    }
                    // Only so that the connection is good for the next request.
                    drop(response.body.read_up_to(ERROR));
                    return Ok(self.reached.get_or_init(|| root.clone()));
                }
                Err(error) => last = session.failed("GET", &url, error),
            }
            if session.cancel.is_cancelled() {
                break;
            }
        }
        Err(last)
    }

    /// The root that is tried first.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn first(&self) -> Result<&Url> {
        self.roots.first().ok_or(Error::Cancelled)
    }

    /// A request for something of the repository, such as `tags/list`, that needs the
    /// right to do `actions` there.
    pub(crate) fn ask(
        &self,
        session: &Session,
        verb: &'static str,
        what: &str,
        actions: &str,
    ) -> Result<Ask<'static>> {
        let root = self.root(session)?;
        let url = root.with_target(format!("/v2/{}/{what}", self.path));
        Ok(Ask::new(verb, url).access(Access {
            root: root.clone(),
            is_origin: self.is_origin,
            scopes: vec![format!("repository:{}:{actions}", self.path)],
        }))
    }

    /// Of the server, for people.
    pub(crate) fn name(&self) -> String {
        self.reached
            .get()
            .or(self.roots.first())
            .map(Url::authority)
            .unwrap_or_default()
    }
}

/// The endpoints of a repository, in the order in which they are asked.
pub(crate) fn of(config: &Config, reference: &Reference) -> Result<Vec<Endpoint>> {
    let mut endpoints = Vec::new();
    let mut fall_back = true;
    if let Some((rule, rest)) = rule_for(config, &reference.name()) {
        fall_back = rule.fall_back;
        for mirror in &rule.mirrors {
            endpoints.push(mirrored(&mirror.url, rest)?);
        }
    }
    if reference.domain() == HUB && fall_back {
        for mirror in &config.mirrors {
            endpoints.push(mirrored(mirror, reference.path())?);
        }
    }
    if fall_back {
        endpoints.push(origin(config, reference)?);
    }
    Ok(endpoints)
}

/// The registry of a name itself.
fn origin(config: &Config, reference: &Reference) -> Result<Endpoint> {
    let mut endpoint = of_host(config, reference.domain())?;
    reference.path().clone_into(&mut endpoint.path);
    Ok(endpoint)
}

/// A registry, without a repository.
pub(crate) fn of_host(config: &Config, domain: &str) -> Result<Endpoint> {
    let host = match domain {
        HUB => HUB_HOST,
        domain => domain,
    };
    Ok(Endpoint {
        roots: roots(config, host)?,
        path: String::new(),
        is_origin: true,
        probe: "/v2/",
        reached: OnceLock::new(),
    })
}

/// Where a registry is searched.
pub(crate) fn of_index(config: &Config, host: &str) -> Result<Endpoint> {
    let mut endpoint = of_host(config, host)?;
    endpoint.probe = "/v1/_ping";
    Ok(endpoint)
}

/// How a registry may be spoken to.
fn roots(config: &Config, host: &str) -> Result<Vec<Url>> {
    let mut schemes = vec![true];
    if config.is_insecure(host) {
        schemes.push(false);
    }
    let urls = schemes.into_iter().map(|secure| Url::of_host(secure, host));
    urls.collect::<Option<Vec<_>>>()
        .ok_or_else(|| Error::Config {
            what: "registry host",
            text: host.to_owned(),
            reason: "expected host[:port]".to_owned(),
        })
}

fn mirrored(url: &str, rest: &str) -> Result<Endpoint> {
    let root = crate::config::mirror_url(url)?;
    let path = format!(
        "{}/{}",
        root.target.trim_end_matches('/'),
        rest.trim_start_matches('/')
    );
    Ok(Endpoint {
        path: path.trim_matches('/').to_owned(),
        roots: vec![root],
        is_origin: false,
        probe: "/v2/",
        reached: OnceLock::new(),
    })
}

/// The rule with the longest prefix of a name, and what follows that prefix.
fn rule_for<'a, 'b>(config: &'a Config, name: &'b str) -> Option<(&'a crate::Rule, &'b str)> {
    let fits = |rule: &'a crate::Rule| {
        let rest = name.strip_prefix(rule.prefix.trim_end_matches('/'))?;
        (rest.is_empty() || rest.starts_with('/')).then_some((rule, rest))
    };
    let fitting = config.rules.iter().filter_map(fits);
    fitting.max_by_key(|(rule, _)| rule.prefix.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Mirror, Rule};

    fn shown(config: &Config, name: &str) -> Vec<String> {
        let endpoints = of(config, &name.parse().unwrap()).unwrap();
        let shown = endpoints.iter().map(|one| {
            let url = one.roots[0].with_target(format!("/v2/{}", one.path));
            format!("{url}")
        });
        shown.collect()
    }

    fn rule(prefix: &str, mirrors: &[&str], fall_back: bool) -> Rule {
        let mirrors = mirrors.iter().map(|url| Mirror {
            url: (*url).to_owned(),
        });
        Rule {
            prefix: prefix.to_owned(),
            mirrors: mirrors.collect(),
            fall_back,
        }
    }

    #[test]
    fn mirrors_come_first() {
        let config = Config {
            mirrors: vec!["https://m.example/".to_owned()],
            rules: vec![
                rule(
                    "quay.example",
                    &["https://a.example/q", "http://b.example:5000"],
                    true,
                ),
                rule("quay.example/team", &["https://team.example/x/y"], false),
            ],
            ..Config::default()
        };
        for (name, wanted) in [
            (
                "busybox",
                &[
                    "https://m.example/v2/library/busybox",
                    "https://registry-1.docker.io/v2/library/busybox",
                ][..],
            ),
            (
                "quay.example/teams/a",
                &[
                    "https://a.example/v2/q/teams/a",
                    "http://b.example:5000/v2/teams/a",
                    "https://quay.example/v2/teams/a",
                ],
            ),
            ("quay.example/team/a", &["https://team.example/v2/x/y/a"]),
            ("other.example/a", &["https://other.example/v2/a"]),
        ] {
            assert_eq!(shown(&config, name), wanted);
        }
    }
}
