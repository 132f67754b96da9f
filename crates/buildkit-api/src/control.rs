//! `moby.buildkit.v1.Control`: what a client asks of the builder itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gantry_registry::Cancel;

use crate::attest::{self, Statement, Wanted};
use crate::builds::{Build, Returning};
use crate::cache::{self, Place};
use crate::exports::{Exporter, Exporting, Response};
use crate::frontend::{self, Solved};
use crate::history::Known;
use crate::message_stream::Outgoing;
use crate::server::Call;
use crate::status::{Code, Status};
use crate::wire::{Field, Message, fields};
use crate::{BuildKit, llb, workers};

/// How long a build that has ended can still be asked how it was.
const REMEMBERED: Duration = Duration::from_secs(10);

pub(crate) fn list_workers(service: &BuildKit) -> Result<Message, Status> {
    Ok(Message::new().message(1, &workers::record(service)))
}

pub(crate) fn info() -> Message {
    Message::new().message(1, &workers::version())
}

/// What is to be built, and what is to become of it.
#[derive(Default)]
pub(crate) struct SolveRequest {
    pub(crate) id: String,
    pub(crate) session: String,
    pub(crate) frontend: String,
    pub(crate) options: BTreeMap<String, String>,
    pub(crate) exporters: Vec<Exporter>,
    /// The exporter as older clients tell it.
    pub(crate) exporter: Exporter,
    pub(crate) cache_exports: Vec<Place>,
    /// A graph of steps; one that has none is an empty file system.
    pub(crate) definition: Option<Vec<u8>>,
    pub(crate) entitlements: Vec<String>,
    pub(crate) internal: bool,
}

impl SolveRequest {
    fn decode(message: &[u8]) -> Result<Self, Status> {
        let mut request = Self::default();
        for field in fields(message) {
            let field = field?;
            match field.number {
                1 => request.id = field.text()?,
                2 => request.definition = Some(field.bytes()?.to_vec()),
                3 => request.exporter.kind = field.text()?,
                4 => field.add_to(&mut request.exporter.attributes)?,
                5 => request.session = field.text()?,
                6 => request.frontend = field.text()?,
                7 => field.add_to(&mut request.options)?,
                8 => request.cache_exports = cache_exports(field)?,
                9 => request.entitlements.push(field.text()?),
                11 => request.internal = field.flag()?,
                12 => return Err(Status::unsupported("source policies are not supported")),
                13 => request.exporters.push(Exporter::decode(field.bytes()?)?),
                _ => {}
            }
        }
        if request.exporters.is_empty() && !request.exporter.kind.is_empty() {
            let exporter = std::mem::take(&mut request.exporter);
            request.exporters.push(exporter);
        }
        Ok(request)
    }

    /// The build that this is to be, and where what its client returns arrives.
    pub(crate) fn build(&self) -> (Arc<Build>, Returning) {
        Build::new(
            self.id.clone(),
            self.session.clone(),
            Cancel::new(),
            self.entitlements.clone(),
            &self.exporters,
        )
    }

    /// When the files of the result are said to have been changed.
    fn epoch(&self) -> Result<Option<i64>, Status> {
        frontend::epoch(self.options.get("build-arg:SOURCE_DATE_EPOCH"))
    }

    /// Refuses by name what is not there.
    fn check(&self) -> Result<(), Status> {
        if self.id.is_empty() {
            return Err(Status::invalid("a build without a ref"));
        }
        let definition = self.definition.as_deref().unwrap_or_default();
        if !self.frontend.is_empty() && !llb::is_empty(definition)? {
            return Err(Status::invalid(
                "cannot solve with both Definition and Frontend specified",
            ));
        }
        cache::check(&self.cache_exports)?;
        for exporter in &self.exporters {
            exporter.check()?;
        }
        Ok(())
    }
}

fn cache_exports(field: Field<'_>) -> Result<Vec<Place>, Status> {
    let mut places = Vec::new();
    for field in fields(field.bytes()?) {
        let field = field?;
        if field.number == 4 {
            places.push(Place::decode(field.bytes()?)?);
        }
    }
    Ok(places)
}

pub(crate) async fn solve(service: &Arc<BuildKit>, mut call: Call) -> Result<Message, Status> {
    let request = SolveRequest::decode(&call.incoming.only().await?)?;
    let (build, returned) = request.build();
    let solved = run(service, &request, &build, returned).await;
    Ok(Message::new().map(1, &solved.map_err(Status::plain)?))
}

/// Builds; what its client is told of the result.
///
/// # Errors
/// Whatever is wrong with the request, or goes wrong.
pub(crate) async fn run(
    service: &Arc<BuildKit>,
    request: &SolveRequest,
    build: &Arc<Build>,
    returned: Returning,
) -> Result<Response, Status> {
    request.check()?;
    let wanted = Wanted::of(&request.options)?;
    let granted = service.engine.builds.grant(&request.entitlements);
    granted.map_err(|error| Status::of(error.kind(), error.to_string()))?;
    let Some(place) = service.builds.enter(&request.id, Arc::clone(build)) else {
        let text = format!("job ID {} exists", request.id);
        return Err(Status::new(Code::AlreadyExists, text));
    };
    // Whatever way this ends, who listens hears the end, and can ask for a while.
    let _ending = Ending {
        service: Arc::clone(service),
        build: Arc::clone(build),
        place: Some(place),
    };
    let known = Mutex::default();
    let solving = async {
        let solved = match (request.frontend.as_str(), &request.definition) {
            ("", Some(definition)) if llb::is_empty(definition)? => None,
            ("", Some(definition)) => {
                Some(llb::solve(service, build, definition, build.allowed()).await?)
            }
            // The client is its own frontend.
            ("", None) => returned.await.map_err(|_| Status::canceled())??,
            (kind, _) => {
                frontend::check_kind(kind, &request.options)?;
                build.note_options(&request.options);
                let (options, inputs) = (request.options.clone(), BTreeMap::new());
                Some(frontend::solve(service, build, options, inputs).await?)
            }
        };
        let Some(solved) = solved else {
            return Ok(BTreeMap::new());
        };
        let statements = Arc::new(wanted.tell(service, build, &solved).await?);
        let exporting = Exporting {
            service,
            build,
            solved: &solved,
            known: &statements,
            epoch: request.epoch()?,
            inline: cache::inline(&request.cache_exports),
        };
        let mut response = exporting.all(&request.exporters).await?;
        let places = &request.cache_exports;
        response.extend(cache::export(service, build, &solved, places).await?);
        if !request.internal {
            let told = tell(service, build, &solved, &wanted, &statements)?;
            *known.lock().unwrap_or_else(PoisonError::into_inner) = told;
        }
        Ok(response)
    };
    if !request.internal {
        service.history.begin(build, &request.exporters);
    }
    let solved = solving.await;
    if !request.internal {
        let known = known.into_inner().unwrap_or_else(PoisonError::into_inner);
        service.history.end(build, solved.clone(), known);
    }
    let cleaner = Arc::clone(service);
    tokio::task::spawn_blocking(move || cleaner.kept.clean(cleaner.engine.builds.bound()));
    solved
}

/// What the history is to know of a result.
fn tell(
    service: &BuildKit,
    build: &Build,
    solved: &Solved,
    wanted: &Wanted,
    statements: &[Vec<Statement>],
) -> Result<Vec<Known>, Status> {
    let mut all = Vec::new();
    for (image, statements) in std::iter::zip(solved.parts(), statements) {
        let known = attest::for_history(service, build, image, wanted, statements)?;
        all.extend(known.into_iter().map(|attestation| Known {
            platform: solved.is_list().then(|| image.id()),
            attestation,
        }));
    }
    Ok(all)
}

/// Ends what is told of a build, and forgets it after a while.
struct Ending {
    service: Arc<BuildKit>,
    build: Arc<Build>,
    place: Option<crate::register::Place<Build>>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.build.cancel.cancel();
        self.build.progress.end();
        // Nobody reads it any more, and somebody may wait for that.
        drop(self.build.archive().take());
        self.service.history.abandon(&self.build);
        let place = self.place.take();
        tokio::spawn(async move {
            tokio::time::sleep(REMEMBERED).await;
            drop(place);
        });
    }
}

/// Tells everything of a build until it has ended.
pub(crate) async fn status(
    service: &BuildKit,
    mut call: Call,
    outgoing: &mut Outgoing,
) -> Result<(), Status> {
    let mut id = String::new();
    for field in fields(&call.incoming.only().await?) {
        let field = field?;
        if field.number == 1 {
            id = field.text()?;
        }
    }
    let progress = match service.history.told(&id) {
        Some(told) => Some(told),
        None => service
            .builds
            .get(&id)
            .await
            .map(|build| build.progress.clone()),
    };
    let Some(progress) = progress else {
        return Err(Status::new(Code::NotFound, format!("no such job {id}")));
    };
    let mut listener = progress.listen();
    loop {
        let message = tokio::select! {
            message = listener.next() => message,
            () = outgoing.given_up() => return Err(Status::canceled()),
        };
        match message {
            Some(message) => outgoing.send(&message).await?,
            None => return Ok(()),
        }
    }
}

pub(crate) async fn disk_usage(service: &Arc<BuildKit>, mut call: Call) -> Result<Message, Status> {
    let mut filters = Vec::new();
    for field in fields(&call.incoming.only().await?) {
        let field = field?;
        if field.number == 1 {
            filters.push(field.text()?);
        }
    }
    crate::usage::disk_usage(service, filters).await
}

pub(crate) async fn prune(
    service: &Arc<BuildKit>,
    mut call: Call,
    outgoing: &mut Outgoing,
) -> Result<(), Status> {
    let message = call.incoming.only().await?;
    for record in crate::usage::prune(service, &message).await? {
        outgoing.send(&record.into_bytes()).await?;
    }
    Ok(())
}
