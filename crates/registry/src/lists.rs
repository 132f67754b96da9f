//! Lists of a repository: its tags, and what refers to a manifest.

use gantry_types::{Digest, ErrorKind, Index};

use crate::endpoint::PULL;
use crate::error::{Error, Result};
use crate::http::Head;
use crate::repository::Repository;
use crate::session::Ask;
use crate::url::Url;

/// The most tags of one repository that are listed.
const MOST_TAGS: usize = 100_000;
/// How many are asked for at once.
const PAGE: &str = "1000";

impl Repository {
    /// All tags, in the registry's order.
    ///
    /// # Errors
    /// [`Error::NameUnknown`], [`Error::PullDenied`], and whatever keeps us from
    /// knowing.
    pub fn tags(&self) -> Result<Vec<String>> {
        #[derive(serde::Deserialize)]
        struct Page {
            tags: Option<Vec<String>>,
        }
        let tags = self.each(|endpoint| {
            let mut tags: Vec<String> = Vec::new();
            let mut ask = endpoint.ask(self.session(), "GET", "tags/list", PULL)?;
            ask.url = ask.url.with_parameter("n", PAGE);
            loop {
                let (page, next): (Page, _) = self.page(&ask, "the list of tags")?;
                let before = tags.len();
                tags.extend(page.tags.unwrap_or_default());
                match next.filter(|_| tags.len() > before && tags.len() < MOST_TAGS) {
                    Some(next) => ask.url = next,
                    None => return Ok(tags),
                }
            }
        });
        tags.map_err(|error| self.explained(error, ""))
    }

    /// The index of what refers to a manifest: signatures, lists of parts and the
    /// like. Registries before OCI's 1.1 have it under a tag.
    ///
    /// # Errors
    /// Whatever keeps us from knowing; that there are none is an index of none.
    pub fn referrers(&self, digest: Digest) -> Result<Index> {
        let what = format!("referrers/{digest}");
        let listed = self.each(|endpoint| {
            let ask = endpoint.ask(self.session(), "GET", &what, PULL)?;
            self.page(&ask, "the list of referrers")
                .map(|(index, _)| index)
        });
        let refused = match listed {
            Err(Error::Refused(refusal)) if refusal.status == 404 => refusal,
            other => return other,
        };
        // A tag has no room for all digits of a longer one.
        let digits: String = digest.hex().chars().take(64).collect();
        match self.resolve(&format!("{}-{digits}", digest.algorithm())) {
            Ok(document) => {
                serde_json::from_slice(&document.bytes).map_err(|_| Error::Refused(refused))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Index {
                schema_version: 2,
                media_type: None,
                manifests: Vec::new(),
                annotations: None,
            }),
            Err(error) => Err(error),
        }
    }

    /// One page of a list, and where the next one is.
    pub(crate) fn page<T: serde::de::DeserializeOwned>(
        &self,
        ask: &Ask<'_>,
        what: &str,
    ) -> Result<(T, Option<Url>)> {
        let url = &ask.url;
        let mut response = self.session().ask(ask)?;
        let bytes = self.session().whole(url, what, &mut response)?;
        let page = serde_json::from_slice(&bytes).map_err(|error| {
            self.session()
                .wrong("GET", url, &format!("{what}: {error}"))
        })?;
        Ok((page, next_page(url, &response.head)))
    }
}

/// The target of `Link: <…>; rel="next"`, on the same server.
pub(crate) fn next_page(url: &Url, head: &Head) -> Option<Url> {
    let link = head
        .all("link")
        .find(|link| link.contains("rel=\"next\"") || link.contains("rel=next"))?;
    let (target, _) = link.trim().strip_prefix('<')?.split_once('>')?;
    url.join(target).filter(|next| next.same_origin(url))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Answer, Server, ok, status};

    #[test]
    fn tags_come_in_pages() {
        let server = Server::new(|seen| match seen.target.as_str() {
            "/v2/team/app/tags/list?n=1000" => Answer::Of(
                200,
                vec![(
                    "Link",
                    "</v2/team/app/tags/list?last=b>; rel=\"next\"".to_owned(),
                )],
                r#"{"name":"team/app","tags":["a","b"]}"#.into(),
            ),
            "/v2/team/app/tags/list?last=b" => ok(r#"{"tags":["c"]}"#),
            _ => status(404),
        });
        assert_eq!(server.repository().tags().unwrap(), ["a", "b", "c"]);
    }

    #[test]
    fn referrers_are_found_in_both_ways() {
        let index = format!(
            r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"x","digest":"{}","size":1}}]}}"#,
            Digest::of(b"z")
        );
        let digest = [b"a", b"b", b"c"].map(|bytes| Digest::of(bytes));
        let paths = [
            format!("referrers/{}", digest[0]),
            format!("manifests/sha256-{}", digest[1].hex()),
        ];
        let server =
            Server::new(
                move |seen| match paths.iter().any(|path| seen.target.ends_with(path)) {
                    true => ok(index.clone()),
                    false => status(404),
                },
            );
        for (digest, count) in digest.iter().zip([1, 1, 0]) {
            let index = server.repository().referrers(*digest).unwrap();
            assert_eq!(index.manifests.len(), count);
        }
    }
}
