//! What a request's path names.

use gantry_types::is_repository;

use http::Method;

use crate::auth::{Action, Need};
use crate::failure::{Code, Failure, Result};

/// The resource that a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// `/v2/`
    Base,
    /// `/v2/_catalog`
    Catalog,
    /// `/v2/<name>/manifests/<reference>`
    Manifest(String, String),
    /// `/v2/<name>/blobs/<digest>`
    Blob(String, String),
    /// `/v2/<name>/blobs/uploads/`
    Uploads(String),
    /// `/v2/<name>/blobs/uploads/<id>`
    Upload(String, String),
    /// `/v2/<name>/tags/list`
    Tags(String),
    /// `/v2/<name>/referrers/<digest>`
    Referrers(String, String),
    /// `/v1/search`
    Search,
    /// `/v1/repositories/<name>`: what is said of a repository
    About(String),
    /// `/v1/repositories/<name>/description`
    Description(String),
    /// `/v1/repositories/<name>/star`
    Star(String),
    /// `/metrics`
    Metrics,
}

impl Target {
    /// The target of a path; `None` when nothing is there.
    ///
    /// # Errors
    /// `NAME_INVALID`.
    pub(crate) fn of(path: &str) -> Result<Option<Self>> {
        if path == "/v2" {
            return Ok(Some(Self::Base));
        }
        let Some(rest) = path.strip_prefix("/v2/") else {
            return Self::beside(path);
        };
        match rest {
            "" => return Ok(Some(Self::Base)),
            "_catalog" => return Ok(Some(Self::Catalog)),
            _ => {}
        }
        if let Some(name) = rest.strip_suffix("/tags/list") {
            return checked(name).map(|name| Some(Self::Tags(name)));
        }
        for end in ["/blobs/uploads/", "/blobs/uploads"] {
            if let Some(name) = rest.strip_suffix(end) {
                return checked(name).map(|name| Some(Self::Uploads(name)));
            }
        }
        let Some((before, last)) = rest.rsplit_once('/').filter(|(_, last)| !last.is_empty())
        else {
            return Ok(None);
        };
        type Make = fn(String, String) -> Target;
        let kinds: [(&str, Make); 4] = [
            ("/blobs/uploads", Self::Upload),
            ("/blobs", Self::Blob),
            ("/manifests", Self::Manifest),
            ("/referrers", Self::Referrers),
        ];
        for (end, make) in kinds {
            if let Some(name) = before.strip_suffix(end) {
                return checked(name).map(|name| Some(make(name, last.to_owned())));
            }
        }
        Ok(None)
    }

    /// What is not part of the distribution spec.
    fn beside(path: &str) -> Result<Option<Self>> {
        match path {
            "/metrics" => return Ok(Some(Self::Metrics)),
            "/v1/search" => return Ok(Some(Self::Search)),
            _ => {}
        }
        let Some(rest) = path.strip_prefix("/v1/repositories/") else {
            return Ok(None);
        };
        let (name, make): (_, fn(String) -> Self) = match rest.rsplit_once('/') {
            Some((name, "star")) => (name, Self::Star),
            Some((name, "description")) => (name, Self::Description),
            _ => (rest, Self::About),
        };
        checked(name).map(|name| Some(make(name)))
    }

    /// What a request with this method does, and to what.
    pub(crate) fn needs(&self, method: &Method) -> Vec<Need> {
        let (action, name) = match self {
            Self::Base => return Vec::new(),
            Self::Catalog | Self::Search | Self::Metrics => (Action::Catalog, "catalog"),
            Self::Tags(name) | Self::Referrers(name, _) | Self::About(name) | Self::Star(name) => {
                (Action::Pull, name.as_str())
            }
            Self::Uploads(name) | Self::Upload(name, _) | Self::Description(name) => {
                (Action::Push, name.as_str())
            }
            Self::Manifest(name, _) | Self::Blob(name, _) => match *method {
                Method::GET | Method::HEAD => (Action::Pull, name.as_str()),
                Method::DELETE => (Action::Delete, name.as_str()),
                _ => (Action::Push, name.as_str()),
            },
        };
        vec![Need {
            action,
            name: name.to_owned(),
        }]
    }
}

fn checked(name: &str) -> Result<String> {
    match is_repository(name) {
        true => Ok(name.to_owned()),
        false => Err(Failure::new(Code::NameInvalid).detail(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_targets() {
        let name = || "a/b".to_owned();
        for (path, target) in [
            ("/v2/", Some(Target::Base)),
            ("/v2", Some(Target::Base)),
            ("/v2/_catalog", Some(Target::Catalog)),
            ("/v2/a/b/tags/list", Some(Target::Tags(name()))),
            ("/v2/a/b/blobs/uploads/", Some(Target::Uploads(name()))),
            ("/v2/a/b/blobs/uploads", Some(Target::Uploads(name()))),
            (
                "/v2/a/b/blobs/uploads/x",
                Some(Target::Upload(name(), "x".into())),
            ),
            ("/v2/a/b/blobs/x", Some(Target::Blob(name(), "x".into()))),
            (
                "/v2/a/b/manifests/x",
                Some(Target::Manifest(name(), "x".into())),
            ),
            (
                "/v2/a/b/referrers/x",
                Some(Target::Referrers(name(), "x".into())),
            ),
            (
                "/v2/manifests/blobs/manifests/blobs",
                Some(Target::Manifest("manifests/blobs".into(), "blobs".into())),
            ),
            ("/v2/a/b/manifests/", None),
            ("/v2/a/b", None),
            ("/v1/a", None),
            ("/v1/search", Some(Target::Search)),
            ("/v1/repositories/a/b", Some(Target::About(name()))),
            ("/v1/repositories/a/b/star", Some(Target::Star(name()))),
            (
                "/v1/repositories/a/b/description",
                Some(Target::Description(name())),
            ),
        ] {
            assert_eq!(Target::of(path).unwrap(), target, "{path}");
        }
        for path in [
            "/v2/A/manifests/x",
            "/v2/a/../b/manifests/x",
            "/v2//manifests/x",
            "/v2/a_/tags/list",
            "/v2/a b/blobs/uploads/",
        ] {
            assert!(Target::of(path).is_err(), "{path}");
        }
    }
}
