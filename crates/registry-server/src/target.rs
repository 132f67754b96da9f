//! What a request's path names.

use gantry_types::is_repository;

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
            return Ok(None);
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
