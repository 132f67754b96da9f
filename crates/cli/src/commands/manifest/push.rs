//! `manifest push`: a list goes to its registry, with the manifests in it and
//! what these need.

use futures_util::future::LocalBoxFuture;
use gantry_registry::Repository;
use gantry_types::Reference;

use super::image::{self, ImageManifest};
use super::store::Store;
use super::{Outcome, named};
use crate::args::Matches;
use crate::error::Error;
use crate::registry::{failed, wanted};
use crate::session::Session;

/// `docker manifest push`.
pub(crate) fn push<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let list = named(&matches.operands[0])?;
        let store = Store::new(session);
        let manifests = store.list(&list)?;
        if manifests.is_empty() {
            return Err(Error::message(format!("{list} not found")));
        }
        let elsewhere = manifests
            .iter()
            .map(|manifest| manifest.reference.domain())
            .find(|domain| *domain != list.domain());
        if let Some(domain) = elsewhere {
            return Err(Error::message(format!(
                "cannot use source images from a different registry than the target image: \
                 {domain} != {}",
                list.domain()
            )));
        }
        let insecure = matches.bool("insecure");
        let repository = session.repository(&list, insecure)?;
        for manifest in &manifests {
            if manifest.reference.path() != list.path() {
                let source = session.repository(&manifest.reference, insecure)?;
                bring(&repository, &source, manifest)?;
                put(session, &repository, &list, manifest)?;
            }
        }
        let (media_type, bytes) = image::list(&manifests);
        let digest = repository
            .put_manifest(&wanted(&list), media_type, &bytes)
            .map_err(failed)?;
        session.printer.line(&digest.to_string());
        if matches.bool("purge") {
            store.remove(&list)?;
        }
        Ok(0)
    })
}

/// Has the registry take over what a manifest of another repository needs; what
/// it does not take over goes by way of this client.
fn bring(
    repository: &Repository,
    source: &Repository,
    manifest: &ImageManifest,
) -> Result<(), Error> {
    for (digest, size) in manifest.blobs() {
        let there = repository.head_blob(digest).map_err(failed)?.is_some();
        if there
            || repository
                .mount(digest, manifest.reference.path())
                .map_err(failed)?
        {
            continue;
        }
        repository
            .upload(digest, size, &|offset| {
                Ok(Box::new(source.blob(digest, size, offset)?))
            })
            .map_err(failed)?;
    }
    Ok(())
}

fn put(
    session: &Session,
    repository: &Repository,
    list: &Reference,
    manifest: &ImageManifest,
) -> Result<(), Error> {
    let descriptor = &manifest.descriptor;
    let digest = descriptor.digest.to_string();
    repository
        .put_manifest(&digest, &descriptor.media_type, &manifest.bytes()?)
        .map_err(failed)?;
    let name = list.name();
    session
        .printer
        .line(&format!("Pushed ref {name}@{digest} with digest: {digest}"));
    Ok(())
}
