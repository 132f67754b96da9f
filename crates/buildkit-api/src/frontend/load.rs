//! What a build begins with, from the client's session: the Dockerfile, what of the
//! context does not count, and the context itself.

use std::path::Path;
use std::sync::Arc;

use gantry_dockerfile::ignore::Patterns;
use gantry_sys::RootDir;

use super::failure::{self, Source};
use super::options::Options;
use super::remote;
use crate::BuildKit;
use crate::builds::Build;
use crate::files::{self, Wanted, kept::Place};
use crate::progress::Vertex;
use crate::session::{self, Session};
use crate::status::Status;

/// The longest Dockerfile, and the longest ignore file.
const MAX_FILE: u64 = 4 << 20;

/// What was loaded.
pub(crate) struct Loaded {
    pub(crate) source: Source,
    /// The step that loaded the Dockerfile: where warnings belong.
    pub(crate) vertex: String,
    /// The ignore file that lies beside the Dockerfile.
    pub(super) ignore: Option<Vec<u8>>,
    /// The context, if it came with the Dockerfile, and the step that got it.
    pub(crate) remote: Option<(Place, String)>,
}

/// Loads the Dockerfile.
///
/// # Errors
/// When there is none, and those of the session.
pub(crate) async fn definition(
    service: &Arc<BuildKit>,
    build: &Arc<Build>,
    options: &Options,
) -> Result<Loaded, Status> {
    let name = &options.filename;
    if let Some(address) = options.remote.as_ref().filter(|_| !options.own_dockerfile) {
        let keep = options.keep_git_dir();
        return remote_definition(service, build, address, name, keep).await;
    }
    let beside = format!("{name}.dockerignore");
    let mut follow = vec![name.clone(), beside.clone()];
    follow.extend(lower_case(name));
    let wanted = Wanted {
        directory: options.dockerfile_directory.clone(),
        follow,
        ..Wanted::default()
    };
    let vertex = vertex(build, &format!("load build definition from {name}"));
    let digest = vertex.digest.clone();
    let place = pull(service, build, options, vertex, &wanted, "dockerfile").await?;
    let mut loaded = Loaded {
        source: source(&place, name)?,
        vertex: digest,
        ignore: read(&place.directory, &beside).ok(),
        remote: None,
    };
    if let Some(address) = &options.remote {
        let got = remote::get(service, build, address, options.keep_git_dir()).await?;
        let ignore = || read(&got.0.directory, ".dockerignore").unwrap_or_default();
        loaded.ignore.get_or_insert_with(ignore);
        loaded.remote = Some(got);
    }
    Ok(loaded)
}

/// The Dockerfile of a directory.
fn source(place: &Place, name: &str) -> Result<Source, Status> {
    let read = |name: &str| read(&place.directory, name);
    let text = match (read(name), lower_case(name)) {
        (Err(_), Some(lower)) => read(&lower).or_else(|_| read(name)),
        (text, _) => text,
    };
    let text = text.map_err(|error| failure::unreadable(name, &error))?;
    Ok(Source {
        name: name.to_owned(),
        text,
    })
}

/// Loads a context with its Dockerfile.
async fn remote_definition(
    service: &Arc<BuildKit>,
    build: &Arc<Build>,
    address: &str,
    name: &str,
    keep: Option<bool>,
) -> Result<Loaded, Status> {
    let (place, vertex) = remote::get(service, build, address, keep).await?;
    let beside = read(&place.directory, &format!("{name}.dockerignore"));
    let ignore = beside.or_else(|_| read(&place.directory, ".dockerignore"));
    Ok(Loaded {
        source: source(&place, name)?,
        vertex: vertex.clone(),
        // Nothing else needs to be asked for.
        ignore: Some(ignore.unwrap_or_default()),
        remote: Some((place, vertex)),
    })
}

/// `dockerfile` for `Dockerfile`.
fn lower_case(name: &str) -> Option<String> {
    let directory = name.strip_suffix("Dockerfile")?;
    let whole = directory.is_empty() || directory.ends_with('/');
    whole.then(|| format!("{directory}dockerfile"))
}

fn read(directory: &Path, name: &str) -> gantry_sys::Result<Vec<u8>> {
    RootDir::open(directory)?.read(name, MAX_FILE)
}

/// What of the context does not count.
///
/// # Errors
/// For patterns that are none, and those of the session.
pub(crate) async fn ignored(
    service: &Arc<BuildKit>,
    build: &Arc<Build>,
    options: &Options,
    loaded: &Loaded,
) -> Result<Vec<String>, Status> {
    match &loaded.ignore {
        Some(text) => patterns(text),
        None => ignored_in(service, build, options, &options.context_directory).await,
    }
}

/// What of a directory of the client does not count, by its own word.
///
/// # Errors
/// As [`ignored`].
pub(super) async fn ignored_in(
    service: &Arc<BuildKit>,
    build: &Arc<Build>,
    options: &Options,
    directory: &str,
) -> Result<Vec<String>, Status> {
    let wanted = Wanted {
        directory: directory.to_owned(),
        follow: vec![".dockerignore".to_owned()],
        ..Wanted::default()
    };
    let name = match directory == options.context_directory {
        true => "load .dockerignore".to_owned(),
        false => format!("context {directory}: load .dockerignore"),
    };
    let vertex = vertex(build, &name);
    let place = pull(service, build, options, vertex, &wanted, ".dockerignore").await?;
    // Most have none.
    patterns(&read(&place.directory, ".dockerignore").unwrap_or_default())
}

fn patterns(text: &[u8]) -> Result<Vec<String>, Status> {
    let patterns = Patterns::parse(text)
        .map_err(|error| Status::invalid(format!("failed parsing .dockerignore: {error}")))?;
    Ok(patterns.texts().collect())
}

/// Gets a directory of the client: the context, or a named one; with the step that did.
///
/// # Errors
/// Those of the session and of the disk.
pub(crate) async fn directory(
    service: &Arc<BuildKit>,
    build: &Arc<Build>,
    options: &Options,
    wanted: &Wanted,
) -> Result<(Place, String), Status> {
    let name = match wanted.directory == options.context_directory {
        true => "load build context".to_owned(),
        false => format!("context {}: load from client", wanted.directory),
    };
    let vertex = vertex(build, &name);
    let digest = vertex.digest.clone();
    let place = pull(service, build, options, vertex, wanted, "").await?;
    Ok((place, digest))
}

/// A step of the frontend's own.
pub(super) fn vertex(build: &Build, what: &str) -> Vertex {
    Vertex::of(&build.id, what, format!("[internal] {what}"))
}

/// Gets files of the client into a directory that is kept; `part` tells apart what is
/// kept of the same directory for different ends.
pub(super) async fn pull(
    service: &Arc<BuildKit>,
    build: &Arc<Build>,
    options: &Options,
    vertex: Vertex,
    wanted: &Wanted,
    part: &str,
) -> Result<Place, Status> {
    let session = session_of(service, build, options, &wanted.directory).await?;
    let key = [session.shared_key(), &wanted.directory, part];
    let place = service.kept.take(&key);
    let place = place.map_err(|error| Status::internal(format!("keeping files: {error}")))?;
    let what = match wanted.directory == options.dockerfile_directory {
        true => "transferring dockerfile:",
        false => "transferring context:",
    };
    let progress = &build.progress;
    let receiving = files::receive(
        &session,
        wanted,
        Arc::clone(&place.directory),
        progress.clone(),
        vertex.digest.clone(),
        what,
    );
    progress.step(vertex, receiving).await?;
    Ok(place)
}

/// The session that has a directory.
pub(crate) async fn session_of(
    service: &BuildKit,
    build: &Build,
    options: &Options,
    directory: &str,
) -> Result<Arc<Session>, Status> {
    let id = options.sessions.get(directory).unwrap_or(&build.session);
    session::find(&service.sessions, id).await
}

#[cfg(test)]
mod tests {
    use super::lower_case;

    #[test]
    fn only_dockerfiles_own_name_may_be_small() {
        assert_eq!(lower_case("Dockerfile").as_deref(), Some("dockerfile"));
        assert_eq!(lower_case("a/Dockerfile").as_deref(), Some("a/dockerfile"));
        assert_eq!(lower_case("MyDockerfile"), None);
        assert_eq!(lower_case("Dockerfile.x"), None);
    }
}
