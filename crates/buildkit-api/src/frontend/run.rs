//! A build by the engine, told as it goes.

use gantry_types::sort::IntoMap;
use std::collections::BTreeMap;
use std::sync::Arc;

use gantry_build::Error as BuildError;
use gantry_build::dockerfile::{Named, Options as Language};
use gantry_build::graph::{Ignore, Local};
use gantry_dockerfile::Word;
use gantry_dockerfile::ignore::Patterns;
use gantry_engine::{BuildEvent, BuildRequest, Builds, Error as EngineError};
use gantry_registry::Cancel;
use gantry_types::Platform;
use tokio::runtime::Handle;

use super::failure::Source;
use super::layout::{self, Layout};
use super::load::{self, Loaded};
use super::needs::{self, Needs};
use super::options::Options;
use super::solved::{Image, Solved};
use super::story::Story;
use super::{callbacks, lint, remote};
use crate::builds::Build;
use crate::files::{Wanted, kept::Place};
use crate::session::Session;
use crate::status::{Code, Status};
use crate::{BuildKit, cache, links};

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
    let file = match source.parse() {
        Ok(file) => file,
        Err(status) => {
            // What is odd above that line is told all the same.
            drop(lint::warn(service, build, options, &loaded, &[]));
            return Err(status);
        }
    };
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
    let session = load::session_of(service, build, options, "").await?;
    let platforms = platforms(options)?;
    let several = platforms.len() > 1;
    // Ends the other platforms when one fails, and not what the client asks for after that.
    let cancel = build.cancel.below();
    let credentials = callbacks::credentials(&Handle::current(), &session);
    let imports = cache::import(service, build, &options.cache_from, credentials).await;
    let inputs = Arc::new(inputs);
    let mut works = Vec::new();
    for platform in platforms {
        let builds = &service.engine.builds;
        let session = Arc::clone(&session);
        let mut request = request(options, &source, &inputs, session, builds, platform)?;
        request.imports.clone_from(&imports);
        request.options.allow.clone_from(&build.allowed);
        request.options.clamp = build.rewrites_times;
        let shown = request.options.platform.as_ref().filter(|_| several);
        let shown = shown.map(ToString::to_string);
        let one = One {
            service: Arc::clone(service),
            story: Story::new(build, shown, inputs.vertices.clone()),
            cancel: cancel.clone(),
            source: source.clone(),
            // What was received is used until the end.
            _inputs: Arc::clone(&inputs),
            request,
        };
        works.push(tokio::task::spawn_blocking(move || one.solve()));
    }
    let (mut images, mut failed) = (Vec::new(), None);
    for work in works {
        let solved = work
            .await
            .map_err(|error| Status::internal(error.to_string()))?;
        match solved {
            Ok(image) => images.push(image),
            // The others were ended for the one that failed.
            Err(status) if status.code == Code::Canceled => failed = failed.or(Some(status)),
            Err(status) => failed = Some(status),
        }
    }
    match failed {
        Some(status) => Err(status),
        None => Ok(Solved::images(images, options.list)),
    }
}

/// The platforms that are built for; this machine's when none is named.
fn platforms(options: &Options) -> Result<Vec<Option<Platform>>, Status> {
    let mut platforms = Vec::new();
    for text in &options.platforms {
        let platform = Some(platform(text)?);
        if !platforms.contains(&platform) {
            platforms.push(platform);
        }
    }
    if platforms.is_empty() {
        platforms.push(None);
    }
    Ok(platforms)
}

/// A build for one platform.
struct One {
    service: Arc<BuildKit>,
    request: BuildRequest,
    story: Story,
    cancel: Cancel,
    source: Source,
    _inputs: Arc<Inputs>,
}

impl One {
    fn solve(self) -> Result<Image, Status> {
        let tell = |event: BuildEvent<'_>| self.story.tell(event);
        let builds = &self.service.engine.builds;
        let solved = builds.solve(&self.request, &self.cancel, &tell);
        let solved = solved.map_err(|error| {
            self.cancel.cancel();
            failure(&self.story, &self.source, error)
        })?;
        let wanted = self.request.options.platform.clone();
        Ok(Image {
            platform: wanted.unwrap_or_else(|| solved.platform()),
            built: solved,
            source: (self.source.name.clone(), self.source.text.clone()),
        })
    }
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
    /// An image of a layout, and its name for this build.
    Layout(String, Layout),
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
/// the result of another build, `oci-layout://…` of the client, or an address of a repository or an archive.
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
                exclude: load::ignored_in(service, build, options, directory).await?,
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
        Some(("oci-layout", rest)) => {
            let address = layout::Address::parse(rest)?;
            let platforms = platforms(options)?;
            let found = layout::borrow(service, build, name, address, "", &platforms).await?;
            Ok(NamedInput::Layout(value.to_owned(), found))
        }
        None => Err(Status::unsupported(format!(
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
    platform: Option<Platform>,
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
    let named = inputs.named.iter().filter_map(|(name, input)| {
        let name = for_platform(name, platform.as_ref())?;
        let input = match input {
            NamedInput::Directory(place) => Named::Directory(local(place)),
            NamedInput::Image(image) | NamedInput::Layout(image, _) => Named::Image(image.clone()),
        };
        Some((name.to_owned(), input))
    });
    let borrowed = inputs.named.values().filter_map(|input| match input {
        NamedInput::Layout(name, found) => {
            let image = found.get(&layout::key(platform.as_ref()))?;
            Some((name.clone(), Arc::clone(image)))
        }
        _ => None,
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
        named: named.into_map(),
        borrowed: borrowed.into_map(),
        options: language(options, platform)?,
        pull: options.pull,
        limits: options.limits.clone(),
        credentials: callbacks::credentials(&runtime, &session),
        secret: callbacks::secret(&runtime, &session),
        agents: Some(Arc::new(super::agent::Forwarded {
            runtime: runtime.clone(),
            session,
        })),
        imports: None,
        explain: false,
        kept: gantry_engine::Kept::default(),
    })
}

/// The name of a context, which may be that of one platform (`name::linux/amd64`) only.
fn for_platform<'n>(name: &'n str, platform: Option<&Platform>) -> Option<&'n str> {
    let Some((name, of)) = name.split_once("::") else {
        return Some(name);
    };
    let host = Platform::host();
    let of: Platform = of.parse().ok()?;
    (of == *platform.unwrap_or(&host)).then_some(name)
}

/// Says which paths do not count.
fn ignore(patterns: &[String]) -> Result<Ignore, Status> {
    let patterns = Patterns::new(patterns).map_err(|error| Status::invalid(error.to_string()))?;
    Ok(Arc::new(move |path: &str| patterns.is_ignored(path)))
}

fn language(options: &Options, platform: Option<Platform>) -> Result<Language, Status> {
    let arguments = options.build_args.iter();
    Ok(Language {
        build_args: arguments
            .map(|(name, value)| (name.clone(), Some(value.clone())))
            .into_map(),
        target: options.target.clone(),
        labels: options.labels.clone(),
        no_cache: options.no_cache.as_ref().is_some_and(Vec::is_empty),
        no_cache_stages: options.no_cache.clone().unwrap_or_default(),
        platform,
        network: options.network.clone(),
        hosts: options.add_hosts.clone(),
        hostname: options.hostname.clone(),
        ulimits: options
            .ulimits
            .iter()
            .map(|text| ulimit(text))
            .collect::<Result<_, _>>()?,
        shm_size: i64::try_from(options.shm_size).unwrap_or(i64::MAX),
        cgroup_parent: options.cgroup_parent.clone(),
        epoch: epoch(options.build_args.get("SOURCE_DATE_EPOCH"))?,
        ..Language::default()
    })
}

/// Seconds since 1970 that everything is said to be made at, if that is said.
///
/// # Errors
/// For what is no number.
pub(crate) fn epoch(text: Option<&String>) -> Result<Option<i64>, Status> {
    let number = text.filter(|text| !text.is_empty()).map(|text| {
        let number = text.parse::<i64>();
        number.map_err(|_| Status::invalid(format!("invalid SOURCE_DATE_EPOCH: {text}")))
    });
    number.transpose()
}

fn platform(text: &str) -> Result<Platform, Status> {
    let mut platform: Platform = text.parse().map_err(|error| {
        Status::invalid(format!("failed to parse target platform {text}: {error}"))
    })?;
    // As everywhere in Docker, that is what is meant.
    if platform.architecture == "arm" && platform.variant.is_none() {
        platform.variant = Some("v7".to_owned());
    }
    Ok(platform)
}

/// `name=soft:hard`.
fn ulimit(text: &str) -> Result<(String, i64, i64), Status> {
    let parse = || {
        let (name, values) = text.split_once('=')?;
        let (soft, hard) = values.split_once(':').unwrap_or((values, values));
        Some((name.to_owned(), soft.parse().ok()?, hard.parse().ok()?))
    };
    parse().ok_or_else(|| Status::invalid(format!("failed to parse ulimit: {text}")))
}
