//! Images of layouts of OCI that the client has: `oci-layout://STORE@DIGEST`.

use gantry_types::sort::IntoMap;
use std::collections::BTreeMap;
use std::sync::Arc;

use gantry_engine::Borrowed;
use gantry_types::{Digest, Platform};
use tokio::runtime::Handle;

use crate::BuildKit;
use crate::builds::Build;
use crate::client_source::ClientStore;
use crate::progress::Vertex;
use crate::session;
use crate::status::Status;

/// The images of a layout: for each platform that is built for.
pub(crate) type Layout = BTreeMap<String, Arc<Borrowed>>;

/// Where an image of a layout is.
pub(crate) struct Address {
    /// The client's name of the layout.
    pub(crate) store: String,
    pub(crate) digest: Digest,
}

impl Address {
    /// From what is behind `oci-layout:`.
    ///
    /// # Errors
    /// For what does not end with a digest.
    pub(crate) fn parse(text: &str) -> Result<Self, Status> {
        let wrong = || Status::invalid(format!("invalid OCI layout reference {text:?}"));
        let rest = text.trim_start_matches('/');
        let (name, digest) = rest.split_once('@').ok_or_else(wrong)?;
        Ok(Self {
            store: name.split(':').next().unwrap_or_default().to_owned(),
            digest: digest.parse().map_err(|_| wrong())?,
        })
    }
}

/// How images for a platform are found again.
pub(super) fn key(platform: Option<&Platform>) -> String {
    platform.map_or_else(String::new, ToString::to_string)
}

/// Gets an image of a layout, for each of the platforms; `session` has it, the build's own
/// if it is empty.
///
/// # Errors
/// When the client does not have it, and for what is no image.
pub(crate) async fn borrow(
    service: &Arc<BuildKit>,
    build: &Arc<Build>,
    name: &str,
    address: Address,
    session: &str,
    platforms: &[Option<Platform>],
) -> Result<Layout, Status> {
    let session = match session {
        "" => &build.session,
        other => other,
    };
    let session = session::find(&service.sessions, session).await?;
    let (store, digest) = (format!("oci:{}", address.store), address.digest);
    let source = ClientStore::of(&session, &Handle::current(), store);
    let title = format!("[context {name}] oci-layout://{}@{digest}", address.store);
    let vertex = Vertex::of(&build.id, &title.clone(), title);
    let (service, cancel) = (Arc::clone(service), build.cancel.clone());
    let platforms = platforms.to_vec();
    let work = async move {
        let work = tokio::task::spawn_blocking(move || {
            let get = |platform: &Option<Platform>| {
                let platform = platform.as_ref();
                let builds = &service.engine.builds;
                let image = builds.borrow(&source, digest, platform, &cancel);
                let image = image.map_err(|error| Status::of(error.kind(), error.to_string()))?;
                Ok((key(platform), Arc::new(image)))
            };
            platforms.iter().map(get).try_into_map()
        });
        work.await
            .map_err(|error| Status::internal(error.to_string()))?
    };
    build.progress.step(vertex, work).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_end_with_a_digest() {
        let digest = Digest::of(b"x");
        for text in [format!("//store@{digest}"), format!("//store:tag@{digest}")] {
            let address = Address::parse(&text).unwrap();
            assert_eq!((&*address.store, address.digest), ("store", digest));
        }
        for text in ["", "//store", "//store@sha256:1", "//store:tag"] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }
}
