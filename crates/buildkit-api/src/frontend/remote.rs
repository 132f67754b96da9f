//! A context that is no directory of the client: an archive that it hands over (`docker
//! build - < context.tar`), a git repository, or what is at a URL.

use std::io::{BufReader, Read};
use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use tokio::runtime::Handle;

use super::{callbacks, load};
use crate::BuildKit;
use crate::builds::Build;
use crate::files::kept::Place;
use crate::reading::Reading;
use crate::session;
use crate::status::Status;

/// How the client names what it hands over itself.
const HOST: &str = "buildkit-session";
/// How the context is called that comes with the request itself.
pub(crate) const POSTED: &str = "http://build-context/";
const METHOD: &str = "/moby.upload.v1.Upload/Pull";
/// How much is read at a time.
const BUFFER: usize = 256 << 10;

/// Gets the context; with the step that did. `keep` says whether `.git` comes too.
///
/// # Errors
/// For what is none of all these, and those of the session and of the servers.
pub(super) async fn get(
    service: &Arc<BuildKit>,
    build: &Arc<Build>,
    address: &str,
    keep: Option<bool>,
) -> Result<(Place, String), Status> {
    let prefix = format!("http://{HOST}/");
    match address.strip_prefix(&prefix) {
        _ if address == POSTED => {
            let archive = build.archive().take();
            let archive = archive.ok_or_else(|| Status::invalid("no context came"));
            receive(service, build, async { archive }).await
        }
        Some(path) => hand_over(service, build, path).await,
        None => distant(service, build, address, keep).await,
    }
}

/// Gets a repository, or what is at a URL.
async fn distant(
    service: &Arc<BuildKit>,
    build: &Arc<Build>,
    address: &str,
    keep: Option<bool>,
) -> Result<(Place, String), Status> {
    let source = gantry_git::Source::parse(address);
    let mut source = source.map_err(|error| Status::of(error.kind(), format!("{error}")))?;
    if let Some(source) = &mut source {
        source.keep_git_dir = keep.or(source.keep_git_dir);
    }
    let vertex = match &source {
        Some(source) => load::vertex(build, &format!("load git source {source}")),
        None => load::vertex(build, "load remote build context"),
    };
    let digest = vertex.digest.clone();
    let session = session::find(&service.sessions, &build.session).await?;
    let secret = callbacks::secret(&Handle::current(), &session);
    let place = service.kept.take(&[""]);
    let place = place.map_err(|error| Status::internal(format!("keeping files: {error}")))?;
    let (service, cancel, address) = (
        Arc::clone(service),
        build.cancel.clone(),
        address.to_owned(),
    );
    let work = async move {
        let work = tokio::task::spawn_blocking(move || {
            let builds = &service.engine.builds;
            let got = match &source {
                Some(source) => builds.check_out(source, &*secret, &cancel, &place.directory),
                None => builds.fetch_context(&address, &place.directory),
            };
            got.map(|()| place)
                .map_err(|error| Status::of(error.kind(), error.to_string()))
        });
        work.await
            .map_err(|error| Status::internal(error.to_string()))?
    };
    let place = build.progress.step(vertex, work).await?;
    Ok((place, digest))
}

/// Gets an archive of the client.
async fn hand_over(
    service: &Arc<BuildKit>,
    build: &Arc<Build>,
    path: &str,
) -> Result<(Place, String), Status> {
    let session = session::find(&service.sessions, &build.session).await?;
    if !session.offers(METHOD) {
        return Err(Status::invalid("the client does not hand its context over"));
    }
    let mut metadata = HeaderMap::new();
    let path = HeaderValue::try_from(format!("/{path}"));
    let path = path.map_err(|_| Status::invalid("a context that cannot be asked for"))?;
    metadata.insert("urlpath", path);
    metadata.insert("urlhost", HeaderValue::from_static(HOST));
    let archive = async {
        let exchange = session.call(METHOD, metadata).await?;
        Ok(Reading::new(exchange, Handle::current(), 1))
    };
    receive(service, build, archive).await
}

/// Keeps what an archive has; one that is none is a Dockerfile.
async fn receive(
    service: &Arc<BuildKit>,
    build: &Arc<Build>,
    archive: impl Future<Output = Result<impl Read + Send + 'static, Status>>,
) -> Result<(Place, String), Status> {
    let vertex = load::vertex(build, "load remote build context");
    let digest = vertex.digest.clone();
    let receive = async {
        let archive = archive.await?;
        let place = service.kept.take(&[""]);
        let place = place.map_err(|error| Status::internal(format!("keeping files: {error}")))?;
        let work = tokio::task::spawn_blocking(move || {
            let body = BufReader::with_capacity(BUFFER, archive);
            let received = gantry_build::context::receive_any(body, &place.directory);
            received
                .map(|()| place)
                .map_err(|error| Status::unknown(error.to_string()))
        });
        work.await
            .map_err(|error| Status::internal(error.to_string()))?
    };
    let place = build.progress.step(vertex, receive).await?;
    Ok((place, digest))
}
