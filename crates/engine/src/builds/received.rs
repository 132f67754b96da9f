//! What `POST /build` is given becomes a request: the context, its ignore file, and the
//! Dockerfile in it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;

use gantry_build::Error as BuildError;
use gantry_build::context;
use gantry_build::dockerfile::{Dialect, Options};
use gantry_build::graph::{Ignore, Local};
use gantry_dockerfile::ignore::Patterns;
use gantry_registry::Cancel;
use gantry_types::ImageConfig;

use super::request::{BuildOutput, BuildRequest, ClassicContext, ClassicQuery};
use super::space::Space;
use super::{Builds, Inner};
use crate::error::{Error, Result};

/// The largest Dockerfile.
const MAX_DOCKERFILE: u64 = 16 << 20;
/// Where it is looked for.
const DOCKERFILE: &str = "Dockerfile";
/// Paths that do not count.
const IGNORE: &str = ".dockerignore";

/// A request, and what was received for it, which goes with this.
#[derive(Debug)]
pub struct Received {
    /// What is to be built.
    pub request: BuildRequest,
    /// The patterns of the ignore file.
    pub ignored: Vec<String>,
    _space: Space,
}

impl Builds {
    /// Receives the context of a build, or looks at it where it is.
    ///
    /// # Errors
    /// `Invalid` for what is no context; `NotFound` without a Dockerfile.
    pub fn receive(
        &self,
        query: &ClassicQuery,
        context: ClassicContext<impl BufRead + Send>,
        cancel: &Cancel,
    ) -> Result<Received> {
        let inner = &self.inner;
        self.grant(&query.options.allow)?;
        let space = inner.space()?;
        let (mut local, name, dockerfile) = match context {
            ClassicContext::Live(directory, dockerfile) => {
                let mut local = Local::live(directory, None);
                local.contents = self.contents(&local.directory);
                (local, query.dockerfile.clone(), dockerfile)
            }
            ClassicContext::Archive(body) => {
                match query.remote.as_str() {
                    "" => context::receive(body, space.path())?,
                    url => inner.distant_context(url, query, cancel, space.path())?,
                }
                let (name, dockerfile) = read_dockerfile(space.path(), &query.dockerfile)?;
                let local = Local {
                    directory: space.path().to_owned(),
                    ..Local::default()
                };
                (local, name, dockerfile)
            }
        };
        let cache_from = inner.cache_from(&query.cache_from);
        let patterns = ignored(&local.directory, &name)?;
        let texts = patterns.texts().collect();
        let ignore: Ignore = Arc::new(move |path: &str| patterns.is_ignored(path));
        local.ignore = Some(ignore);
        let shown = match query.shown.is_empty() {
            true => name,
            false => query.shown.clone(),
        };
        Ok(Received {
            request: request(query, local, shown, dockerfile, cache_from)?,
            ignored: texts,
            _space: space,
        })
    }
}

fn request(
    query: &ClassicQuery,
    local: Local,
    name: String,
    dockerfile: Vec<u8>,
    cache_from: Vec<ImageConfig>,
) -> Result<BuildRequest> {
    let (credentials, secrets) = (query.credentials.clone(), query.secrets.clone());
    let version = env!("CARGO_PKG_VERSION").to_owned();
    Ok(BuildRequest {
        dockerfile,
        name,
        context: Some(Arc::new(local)),
        named: BTreeMap::new(),
        borrowed: BTreeMap::new(),
        options: Options {
            engine_version: (query.options.dialect == Dialect::Classic).then_some(version),
            epoch: epoch(&query.options.build_args)?,
            cache_from,
            clamp: query.outputs.iter().any(BuildOutput::rewrites_times),
            ..query.options.clone()
        },
        pull: query.pull,
        limits: query.limits.clone(),
        credentials: Arc::new(move |host| for_host(&credentials, host)),
        secret: Arc::new(move |id| secrets.get(id).cloned()),
        agents: None,
        imports: None,
        explain: query.explain,
        kept: query.kept,
    })
}

/// When all is said to have been made, if the arguments say so.
fn epoch(arguments: &BTreeMap<String, Option<String>>) -> Result<Option<i64>> {
    let given = arguments.get("SOURCE_DATE_EPOCH").cloned().flatten();
    let given = given.filter(|text| !text.is_empty());
    let number = given.map(|text| {
        text.parse()
            .map_err(|_| Error::Invalid(format!("invalid SOURCE_DATE_EPOCH: {text}")))
    });
    number.transpose()
}

impl Inner {
    /// The images that are a source of the cache; as in Docker, those that are not here are
    /// none.
    fn cache_from(&self, names: &[String]) -> Vec<ImageConfig> {
        let images = names.iter().map(|name| (name, self.images.for_build(name)));
        let here = images.filter_map(|(name, image)| match image {
            Ok(image) => Some(image.config),
            Err(error) => {
                tracing::warn!(name, %error, "no source of the cache");
                None
            }
        });
        here.collect()
    }

    /// A context from the network: a repository, or what is at a URL.
    fn distant_context(
        &self,
        url: &str,
        query: &ClassicQuery,
        cancel: &Cancel,
        directory: &Path,
    ) -> Result<()> {
        let source = gantry_git::Source::parse(url);
        let source = source.map_err(|error| Error::Build(BuildError::of_git(error)))?;
        let Some(mut source) = source else {
            return self.fetch_context(url, directory);
        };
        let wish = query
            .options
            .build_args
            .get("BUILDKIT_CONTEXT_KEEP_GIT_DIR");
        if matches!(wish, Some(Some(value)) if value == "1" || value == "true") {
            source.keep_git_dir = Some(true);
        }
        let secrets = query.secrets.clone();
        let secret = move |id: &str| secrets.get(id).cloned();
        self.check_out(&source, &secret, cancel, directory)
    }

    /// A context from the web: an archive, or a Dockerfile alone.
    pub(super) fn fetch_context(&self, url: &str, directory: &Path) -> Result<()> {
        if !url.starts_with("http://") && !url.starts_with("https://") {
            let url = gantry_git::redacted(url);
            let text = format!("a build from {url:?} is not supported by this version of gantry");
            return Err(Error::Unsupported(text));
        }
        let body = BufReader::new(self.registries.get(url)?);
        Ok(context::receive_any(body, directory)?)
    }
}

/// The credentials for a registry, by its name or its address.
fn for_host(
    all: &BTreeMap<String, gantry_registry::Credentials>,
    host: &str,
) -> gantry_registry::Credentials {
    let bare = |key: &str| {
        let key = key
            .trim_start_matches("https://")
            .trim_start_matches("http://");
        key.split('/').next().unwrap_or_default().to_owned()
    };
    let official = host == "docker.io";
    let found = all.iter().find(|(key, _)| {
        let key = bare(key);
        key == host || (official && key == "index.docker.io")
    });
    found.map(|(_, given)| given.clone()).unwrap_or_default()
}

/// The Dockerfile and its path in the context.
fn read_dockerfile(context: &std::path::Path, wished: &str) -> Result<(String, Vec<u8>)> {
    let root =
        gantry_sys::RootDir::open(context).map_err(|error| Error::Failed(error.to_string()))?;
    let read = |name: &str| root.read(name, MAX_DOCKERFILE);
    let name = match wished {
        "" => DOCKERFILE,
        name => name,
    };
    match read(name) {
        Ok(bytes) => return Ok((name.to_owned(), check(bytes, name)?)),
        // Docker looks for this one, too.
        Err(_) if wished.is_empty() || wished == DOCKERFILE => {
            let lower = DOCKERFILE.to_lowercase();
            if let Ok(bytes) = read(&lower) {
                let bytes = check(bytes, &lower)?;
                return Ok((lower, bytes));
            }
        }
        Err(_) => {}
    }
    Err(Error::Build(BuildError::NotFound(format!(
        "Cannot locate specified Dockerfile: {name}"
    ))))
}

fn check(bytes: Vec<u8>, name: &str) -> Result<Vec<u8>> {
    match bytes.is_empty() {
        true => Err(Error::Invalid(format!(
            "the Dockerfile ({name}) cannot be empty"
        ))),
        false => Ok(bytes),
    }
}

/// What of a context its ignore file names.
fn ignored(directory: &Path, dockerfile: &str) -> Result<Patterns> {
    let root =
        gantry_sys::RootDir::open(directory).map_err(|error| Error::Failed(error.to_string()))?;
    let own = format!("{dockerfile}{IGNORE}");
    let text = root
        .read(&own, MAX_DOCKERFILE)
        .or_else(|_| root.read(IGNORE, MAX_DOCKERFILE));
    let text = text.unwrap_or_default();
    Patterns::parse(&text).map_err(|error| Error::Invalid(error.to_string()))
}
