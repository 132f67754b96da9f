//! `/images/*`, without what transfers them (`transfer`).

use gantry_api::{ApiVersion, Config, ImageInspect, ImageSummary};
use gantry_engine::ImagesQuery;
use http::{Method, StatusCode};

use crate::body::{Answer, json, no_content};
use crate::call::Call;
use crate::error::{Failure, Result};
use crate::router::Router;
use crate::routes::transfer::described_platform;

pub(super) fn routes(router: &mut Router) {
    router.add(Method::GET, "/images/json", list);
    router.add(Method::POST, "/images/prune", prune);
    router.add(Method::GET, "/images/{name..}/attestations", attestations);
    router.add(Method::GET, "/images/{name..}/json", inspect);
    router.add(Method::GET, "/images/{name..}/history", history);
    router.add(Method::POST, "/images/{name..}/tag", tag);
    router.add(Method::DELETE, "/images/{name..}", remove);
}

async fn list(call: Call) -> Result<Answer> {
    let mut filters = call.query.filters()?;
    // Gone since 1.41, where `reference` says it.
    if let Some(name) = call
        .query
        .filled("filter")
        .filter(|_| call.version < ApiVersion::new(1, 41))
    {
        filters.add("reference", name);
    }
    let query = ImagesQuery {
        all: call.query.flag("all"),
        digests: call.query.flag("digests"),
        shared_size: call.query.flag("shared-size"),
        manifests: call.query.flag("manifests") && call.version >= ApiVersion::new(1, 47),
        filters,
    };
    let mut found = call.run(move |engine| engine.images.list(&query)).await?;
    for image in &mut found {
        for_version(image, call.version);
    }
    json(StatusCode::OK, &found)
}

/// Puts an image's line into the shape that older clients expect.
fn for_version(image: &mut ImageSummary, version: ApiVersion) {
    if version < ApiVersion::new(1, 51) {
        image.containers = -1;
    }
    shape_for_version(image, version);
}

/// The same where containers were always counted.
pub(super) fn shape_for_version(image: &mut ImageSummary, version: ApiVersion) {
    if version < ApiVersion::new(1, 44) {
        image.virtual_size = image.size;
    }
    if version < ApiVersion::new(1, 43) {
        if image.repo_tags.is_empty() && image.repo_digests.is_empty() {
            image.repo_digests.push("<none>@<none>".to_owned());
        }
        if image.repo_tags.is_empty() {
            image.repo_tags.push("<none>:<none>".to_owned());
        }
    }
}

async fn prune(call: Call) -> Result<Answer> {
    let filters = call.query.filters()?;
    let pruned = call
        .run(move |engine| engine.images.prune(&filters))
        .await?;
    json(StatusCode::OK, &pruned)
}

async fn inspect(call: Call) -> Result<Answer> {
    let name = call.param("name");
    let platform = match call.version < ApiVersion::new(1, 49) {
        true => None,
        false => described_platform(&call)?,
    };
    let manifests = call.query.flag("manifests") && call.version >= ApiVersion::new(1, 48);
    if platform.is_some() && manifests {
        let message = "conflicting options: manifests and platform options cannot both be set";
        return Err(Failure::invalid(message));
    }
    let image = call
        .run(move |engine| engine.images.inspect(&name, platform.as_ref(), manifests))
        .await?;
    json(StatusCode::OK, &inspected_for_version(image, call.version))
}

/// Puts an image into the shape that older clients expect.
fn inspected_for_version(mut image: ImageInspect, version: ApiVersion) -> ImageInspect {
    if version < ApiVersion::new(1, 44) {
        image.virtual_size = image.size;
    }
    if version < ApiVersion::new(1, 45) {
        image.container_config = Some(Config::default());
    }
    if version < ApiVersion::new(1, 50) {
        image.config = image.config.with_legacy();
    }
    image
}

/// Newer than this version of the API: clients are told so, as by Docker 28.
async fn attestations(_: Call) -> Result<Answer> {
    Err(Failure::page_not_found())
}

async fn history(call: Call) -> Result<Answer> {
    let name = call.param("name");
    let platform = described_platform(&call)?;
    let steps = call
        .run(move |engine| engine.images.history(&name, platform.as_ref()))
        .await?;
    json(StatusCode::OK, &steps)
}

async fn tag(call: Call) -> Result<Answer> {
    let name = call.param("name");
    let repo = call.query.get("repo").unwrap_or("").to_owned();
    let tag = call.query.owned("tag");
    call.run(move |engine| engine.images.tag(&name, &repo, tag.as_deref()))
        .await?;
    Ok(no_content(StatusCode::CREATED))
}

async fn remove(call: Call) -> Result<Answer> {
    let name = call.param("name");
    let (force, noprune) = (call.query.flag("force"), call.query.flag("noprune"));
    let removed = call
        .run(move |engine| engine.images.remove(&name, force, noprune))
        .await?;
    json(StatusCode::OK, &removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_clients_get_old_shapes() {
        let image = || ImageSummary {
            containers: 2,
            size: 5,
            ..ImageSummary::default()
        };
        let (mut new, mut old) = (image(), image());
        for_version(&mut new, ApiVersion::MAX);
        assert_eq!(new, image());
        for_version(&mut old, ApiVersion::MIN);
        assert_eq!((old.containers, old.virtual_size), (-1, 5));
        assert_eq!(old.repo_tags, ["<none>:<none>"]);
    }

    #[test]
    fn old_clients_find_the_old_fields() {
        let shown = |version| inspected_for_version(ImageInspect::default(), version);
        assert_eq!(shown(ApiVersion::MAX), ImageInspect::default());
        let old = shown(ApiVersion::new(1, 43));
        assert!(old.container_config.is_some() && old.config.hostname.is_some());
        let newer = shown(ApiVersion::new(1, 49));
        assert!(newer.container_config.is_none() && newer.config.hostname.is_some());
    }
}
