//! A build by the engine, told as it goes.

use std::collections::BTreeMap;
use std::sync::Arc;

use gantry_api::Ulimit;
use gantry_build::Error as BuildError;
use gantry_build::dockerfile::{Named, Options as Language};
use gantry_build::graph::{Ignore, Local};
use gantry_dockerfile::Word;
use gantry_dockerfile::ignore::Patterns;
use gantry_engine::{BuildEvent, BuildRequest, Builds, Error as EngineError, StepLimits};
use gantry_types::Platform;
use tokio::runtime::Handle;

use super::failure::Source;
use super::load::{self, Loaded};
use super::needs::{self, Needs};
use super::options::Options;
use super::solved::{Image, Solved};
use super::story::Story;
use super::{callbacks, lint, remote};
use crate::builds::Build;
use crate::files::{Wanted, kept::Place};
use crate::session::Session;
use crate::status::Status;
use crate::{BuildKit, links};

/// Builds.
///
/// # Errors
/// Those of the build.
pub(super) async fn run(
    service: &Arc<BuildKit>,
    build: &Arc<Build>,
    options: &Options,
    loaded: Loaded,
) -> Result<Solved, Status> {
    let source = loaded.source.clone();
    let file = gantry_dockerfile::parse(&source.text).map_err(|error| source.wrong(&error))?;
    super::check_language(file.directives.syntax.as_deref())?;
    let mut loaded = loaded;
    let arguments = lint::arguments(&file, options);
    let triggers = |base: &Word| {
        let value = |name: &str| arguments.value(name);
        let image = gantry_dockerfile::expand(base, file.escape(), &value).ok()?;
        let found = service.engine.images.inspect(&image, None, false).ok()?;
        Some(found.config.on_build.unwrap_or_default())
    };
    let needs = needs::of(&file, &triggers);
    let inputs = Inputs::load(service, build, options, &mut loaded, needs).await?;
    lint::warn(service, build, options, &loaded, &inputs.ignored)?;
    no_cache_imports(build, options);
    let session = load::session_of(service, build, options, "").await?;
    let builds = &service.engine.builds;
    let mut request = request(options, &source, &inputs, session, builds)?;
    request.options.allow.clone_from(&build.allowed);
    let wanted = request.options.platform.clone();
    let text = (source.name.clone(), source.text.clone());
    let story = Story::new(build.progress.clone(), &build.id, inputs.vertices.clone());
    let (service, cancel) = (Arc::clone(service), build.cancel.clone());
    let work = tokio::task::spawn_blocking(move || {
        // What was received is used until the end.
        let _inputs = inputs;
        let tell = |event: BuildEvent<'_>| story.tell(event);
        let solved = service.engine.builds.solve(&request, &cancel, &tell);
        solved.map_err(|error| failure(&story, &source, error))
    });
    let solved = work
        .await
        .map_err(|error| Status::internal(error.to_string()))??;
    let image = Image {
        platform: wanted.unwrap_or_else(|| solved.platform()),
        built: solved,
        source: text,
    };
    Ok(Solved::images(vec![image], false))
}

/// What clients are told of a build that failed.
pub(super) fn failure(story: &Story, source: &Source, error: EngineError) -> Status {
    let kind = error.kind();
    let build = match &error {
        EngineError::Build(build) => Some(build),
        _ => None,
    };
    let text = match build {
        Some(BuildError::Exit { command, code }) => {
            format!("process {command:?} did not complete successfully: exit code: {code}")
        }
        Some(BuildError::NotBegun { command, error }) => {
            format!("process {command:?} did not complete successfully: {error}")
        }
        Some(BuildError::Cancelled) => "context canceled".to_owned(),
        _ => error.to_string(),
    };
    let span = match build {
        Some(BuildError::Placed { span, .. }) => Some(*span),
        _ => None,
    };
    let span = story.failed(build, &text).or(span);
    source.blame(Status::of(kind, text), span)
}

/// Directories of the client that a build works on.
struct Inputs {
    context: Option<Place>,
    named: BTreeMap<String, NamedInput>,
    /// The steps that loaded directories, by their names in the graph.
    vertices: BTreeMap<String, String>,
    ignored: Vec<String>,
    /// Whether the context has also what does not count.
    all_came: bool,
}

/// What the engine calls the step that has the context.
const CONTEXT: &str = "[internal] load build context";

enum NamedInput {
    Directory(Place),
    Image(String),
}

impl Inputs {
    async fn load(
        service: &Arc<BuildKit>,
        build: &Arc<Build>,
        options: &Options,
        loaded: &mut Loaded,
        needs: Needs,
    ) -> Result<Self, Status> {
        let ignored = load::ignored(service, build, options, loaded).await?;
        let mut inputs = Self {
            context: None,
            named: BTreeMap::new(),
            vertices: BTreeMap::new(),
            ignored,
            all_came: false,
        };
        if let Some((place, vertex)) = loaded.remote.take() {
            inputs.context = Some(place);
            inputs.vertices.insert(CONTEXT.to_owned(), vertex);
            inputs.all_came = true;
        } else if needs.any {
            let wanted = Wanted {
                directory: options.context_directory.clone(),
                exclude: inputs.ignored.clone(),
                follow: needs.paths,
                ..Wanted::default()
            };
            let (place, vertex) = load::directory(service, build, options, &wanted).await?;
            inputs.context = Some(place);
            inputs.vertices.insert(CONTEXT.to_owned(), vertex);
        }
        for (name, value) in &options.contexts {
            let input = named(service, build, options, name, value).await?;
            inputs.named.insert(name.clone(), input);
        }
        Ok(inputs)
    }
}

/// What a named context is: `docker-image://…`, `local:NAME` of the client, `input:NAME`,
/// the result of another build, or an address of a repository or an archive.
async fn named(
    service: &Arc<BuildKit>,
    build: &Arc<Build>,
    options: &Options,
    name: &str,
    value: &str,
) -> Result<NamedInput, Status> {
    match value.split_once(':') {
        Some(("docker-image", image)) => {
            let image = image.trim_start_matches('/').to_owned();
            Ok(NamedInput::Image(image))
        }
        Some(("local", directory)) => {
            let wanted = Wanted {
                directory: directory.to_owned(),
                ..Wanted::default()
            };
            let loaded = load::directory(service, build, options, &wanted).await?;
            Ok(NamedInput::Directory(loaded.0))
        }
        Some(("input", input)) => {
            let result = options.inputs.get(input);
            let result =
                result.ok_or_else(|| Status::invalid(format!("no input is called {input}")))?;
            Ok(NamedInput::Image(links::image(service, result).await?))
        }
        Some(("oci-layout", _)) | None => Err(Status::unsupported(format!(
            "the context {name}={value} is not supported"
        ))),
        Some(_) => {
            let loaded = remote::get(service, build, value, None).await?;
            Ok(NamedInput::Directory(loaded.0))
        }
    }
}

fn request(
    options: &Options,
    source: &Source,
    inputs: &Inputs,
    session: Arc<Session>,
    builds: &Builds,
) -> Result<BuildRequest, Status> {
    let local = |place: &Place| {
        Arc::new(Local {
            directory: place.directory.to_path_buf(),
            // What does not count has not travelled.
            ignore: None,
            contents: builds.contents(&place.directory),
            live: None,
        })
    };
    let named = inputs.named.iter().map(|(name, input)| {
        let input = match input {
            NamedInput::Directory(place) => Named::Directory(local(place)),
            NamedInput::Image(image) => Named::Image(image.clone()),
        };
        (name.clone(), input)
    });
    let context = inputs.context.as_ref().map(|place| match inputs.all_came {
        false => Ok(local(place)),
        true => Ok(Arc::new(Local {
            directory: place.directory.to_path_buf(),
            ignore: Some(ignore(&inputs.ignored)?),
            ..Local::default()
        })),
    });
    let runtime = Handle::current();
    Ok(BuildRequest {
        dockerfile: source.text.clone(),
        name: source.name.clone(),
        context: context.transpose()?,
        named: named.collect(),
        options: language(options)?,
        pull: options.pull,
        limits: limits(options)?,
        credentials: callbacks::credentials(&runtime, &session),
        secret: callbacks::secret(&runtime, &session),
        agents: Some(Arc::new(super::agent::Forwarded {
            runtime: runtime.clone(),
            session,
        })),
        explain: false,
    })
}

/// Says which paths do not count.
fn ignore(patterns: &[String]) -> Result<Ignore, Status> {
    let patterns = Patterns::new(patterns).map_err(|error| Status::invalid(error.to_string()))?;
    Ok(Arc::new(move |path: &str| patterns.is_ignored(path)))
}

/// Tells that no layers are taken from elsewhere; as in BuildKit, a build goes on then.
fn no_cache_imports(build: &Build, options: &Options) {
    for name in &options.cache_from {
        let mut vertex = load::vertex(build, name);
        vertex.name = format!("importing cache manifest from {name}");
        let now = Some(std::time::SystemTime::now());
        (vertex.started, vertex.completed) = (now, now);
        "cache imports are not supported by this version of gantry".clone_into(&mut vertex.error);
        build.progress.vertex(&vertex);
    }
}

fn language(options: &Options) -> Result<Language, Status> {
    let platform = match options.platforms.as_slice() {
        [] => None,
        [one] => Some(platform(one)?),
        _ => {
            return Err(Status::unsupported(
                "images for several platforms are not supported",
            ));
        }
    };
    let epoch = options
        .build_args
        .get("SOURCE_DATE_EPOCH")
        .filter(|text| !text.is_empty());
    let epoch = epoch.map(|text| {
        let number = text.parse::<i64>();
        number.map_err(|_| Status::invalid(format!("invalid SOURCE_DATE_EPOCH: {text}")))
    });
    let arguments = options.build_args.iter();
    Ok(Language {
        build_args: arguments
            .map(|(name, value)| (name.clone(), Some(value.clone())))
            .collect(),
        target: options.target.clone(),
        labels: options.labels.clone(),
        no_cache: options.no_cache.as_ref().is_some_and(Vec::is_empty),
        no_cache_stages: options.no_cache.clone().unwrap_or_default(),
        platform,
        network: options.network.clone(),
        hosts: options.add_hosts.clone(),
        epoch: epoch.transpose()?,
        ..Language::default()
    })
}

fn platform(text: &str) -> Result<Platform, Status> {
    text.parse().map_err(|error| {
        Status::invalid(format!("failed to parse target platform {text}: {error}"))
    })
}

fn limits(options: &Options) -> Result<StepLimits, Status> {
    let ulimits = options.ulimits.iter().map(|text| {
        let parsed = ulimit(text);
        parsed.ok_or_else(|| Status::invalid(format!("failed to parse ulimit: {text}")))
    });
    Ok(StepLimits {
        cgroup_parent: options.cgroup_parent.clone(),
        shm_size: i64::try_from(options.shm_size).unwrap_or(i64::MAX),
        ulimits: ulimits.collect::<Result<_, _>>()?,
        ..StepLimits::default()
    })
}

/// `name=soft:hard`.
fn ulimit(text: &str) -> Option<Ulimit> {
    let (name, values) = text.split_once('=')?;
    let (soft, hard) = values.split_once(':').unwrap_or((values, values));
    Some(Ulimit {
        name: name.to_owned(),
        soft: soft.parse().ok()?,
        hard: hard.parse().ok()?,
    })
}
