//! `moby.buildkit.v1.frontend.LLBBridge`: a client that is the frontend of its own
//! build. buildx asks for one solve by our Dockerfile frontend and returns its result.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::builds::Build;
use crate::frontend::{self, Image, Solved};
use crate::server::{Call, unknown};
use crate::status::{Code, Status};
use crate::wire::{Field, Message, fields};
use crate::{BuildKit, links, llb, workers};

/// The service's name.
const NAME: &str = "/moby.buildkit.v1.frontend.LLBBridge/";

/// What a frontend may ask for.
const FRONTEND_CAPS: &[&str] = &[
    "solve.base",
    "solve.inlinereturn",
    "readfile",
    "return",
    "returnmap",
    "readdir",
    "statfile",
    "proto.refarray",
    "reference.output",
    "frontend.inputs",
    "frontend.caps",
    "gateway.solve.metadata",
    "gateway.solve.evaluate",
    "gateway.evaluate",
    "gateway.warnings",
];

/// What of the engine clients ask about by itself.
const LLB_CAPS: &[&str] = &[
    "source.image",
    "source.image.resolvemode",
    "source.local",
    "source.local.unique",
    "source.local.sessionid",
    "source.local.includepatterns",
    "source.local.followpaths",
    "source.local.excludepatterns",
    "source.local.sharedkeyhint",
    "exec.meta.base",
    "exec.meta.cgroup.parent",
    "exec.meta.network",
    "exec.meta.proxyenv",
    "exec.meta.removemountstubs.recursive",
    "exec.meta.setsdefaultpath",
    "exec.meta.ulimit",
    "exec.meta.security",
    "exec.secretenv",
    "exec.mount.ssh",
    "exec.mount.bind",
    "exec.mount.bind.readwrite-nooutput",
    "exec.mount.selector",
    "exec.mount.cache",
    "exec.mount.cache.sharing",
    "exec.mount.tmpfs",
    "exec.mount.tmpfs.size",
    "exec.mount.secret",
    "file.base",
    "file.rm.wildcard",
    "file.rm.nofollowsymlink",
    "file.copy.includeexcludepatterns",
    "file.copy.alwaysreplaceexistingdestpaths",
    "file.copy.modestring",
    "file.symlink.create",
    "mergeop",
    "diffop",
    "source.git",
    "source.git.keepgitdir",
    "source.git.fullurl",
    "source.git.httpauth",
    "source.git.subdir",
    "source.git.checksum",
    "source.git.skipsubmodules",
    "source.ocilayout",
    "source.http",
    "source.http.checksum",
    "source.http.perm",
    // As BuildKit spells it.
    "soruce.http.uidgid",
    "constraints",
    "platform",
    "meta.ignorecache",
    "meta.description",
    "exporter.image.annotations",
    "exporter.image.attestations",
    "exporter.multiple",
    "exporter.opt.name-canonical",
    "gc.freespacefilter",
];

pub(crate) async fn call(
    service: &Arc<BuildKit>,
    method: &str,
    mut call: Call,
) -> Result<Message, Status> {
    let id = call.metadata.get("buildkit-controlapi-buildid");
    let id = id.and_then(|id| id.to_str().ok()).unwrap_or("").to_owned();
    let Some(build) = service.builds.get(&id).await else {
        let text = format!("no such job {id}");
        return Err(Status::new(Code::NotFound, text));
    };
    let message = call.incoming.only().await?;
    match method {
        "Ping" => Ok(ping(service)),
        "Solve" => solve(service, &build, &message)
            .await
            .map_err(Status::plain),
        "Return" => returned(&build, &message),
        "Inputs" => Ok(Message::new()),
        "Evaluate" => build.result(&reference(&message)?).map(|_| Message::new()),
        "ReadFile" | "ReadDir" | "StatFile" => {
            crate::result_files::call(service, &build, method, &message).await
        }
        "Warn" => {
            warn(&build, &message)?;
            Ok(Message::new())
        }
        _ => Err(unknown(&format!("{NAME}{method}"))),
    }
}

fn ping(service: &BuildKit) -> Message {
    let cap = |id: &&str| Message::new().text(1, id).flag(2, true);
    let add = |number: u32, caps: &[&str], message: Message| {
        let caps = caps.iter().map(cap);
        caps.fold(message, |message, cap| message.message(number, &cap))
    };
    let message = add(1, FRONTEND_CAPS, Message::new());
    add(2, LLB_CAPS, message).message(3, &workers::record(service))
}

/// The first field: the name of a result.
fn reference(message: &[u8]) -> Result<String, Status> {
    for field in fields(message) {
        let field = field?;
        if field.number == 1 {
            return field.text();
        }
    }
    Ok(String::new())
}

async fn solve(
    service: &Arc<BuildKit>,
    build: &Arc<Build>,
    message: &[u8],
) -> Result<Message, Status> {
    let (mut kind, mut definition) = (String::new(), &[][..]);
    let (mut options, mut inputs) = (BTreeMap::new(), BTreeMap::new());
    for field in fields(message) {
        let field = field?;
        match field.number {
            1 => definition = field.bytes()?,
            2 => kind = field.text()?,
            3 => field.add_to(&mut options)?,
            13 => {
                let (name, definition) = field.entry()?;
                let result = match links::read(definition)? {
                    Some(result) => result,
                    None => {
                        build.keep(llb::solve(service, build, definition, build.allowed()).await?)
                    }
                };
                inputs.insert(name, result);
            }
            15 => return Err(Status::unsupported("source policies are not supported")),
            _ => {}
        }
    }
    if kind.is_empty() {
        if llb::is_empty(definition)? {
            return Ok(Message::new().message(3, &Message::new()));
        }
        let solved = llb::solve(service, build, definition, build.allowed()).await?;
        return Ok(Message::new().message(3, &solved_message(build, solved)));
    }
    if !llb::is_empty(definition)? {
        return Err(Status::invalid(
            "cannot solve with both Definition and Frontend specified",
        ));
    }
    frontend::check_kind(&kind, &options)?;
    build.note_options(&options);
    let solved = frontend::solve(service, build, options, inputs).await?;
    let result = solved_message(build, solved);
    Ok(Message::new().message(3, &result))
}

/// A result as `moby.buildkit.v1.frontend.Result`.
fn solved_message(build: &Build, solved: Arc<Solved>) -> Message {
    let metadata = solved.metadata().into_iter();
    let has_files = solved.has_files();
    let images = solved
        .is_list()
        .then(|| solved.parts().iter().map(Image::id));
    let images: Option<Vec<String>> = images.map(Iterator::collect);
    let name = build.keep(solved);
    let reference = |name: &str| Message::new().text(1, name).message(2, &links::write(name));
    let message = match images {
        None if has_files => Message::new().message(3, &reference(&name)),
        None => Message::new().message(3, &Message::new()),
        Some(images) => {
            let images = images.into_iter().fold(Message::new(), |images, id| {
                let image = reference(&format!("{name}/{id}")).into_bytes();
                images.entry(1, &id, &image)
            });
            Message::new().message(4, &images)
        }
    };
    metadata.fold(message, |result, entry| {
        result.entry(10, &entry.0, &entry.1)
    })
}

fn returned(build: &Build, message: &[u8]) -> Result<Message, Status> {
    let mut outcome = Ok(None);
    for field in fields(message) {
        let field = field?;
        match field.number {
            1 => outcome = result(build, field),
            2 => outcome = Err(Status::decode(field.bytes()?)?),
            _ => {}
        }
    }
    build.give_back(outcome)?;
    Ok(Message::new())
}

/// Finds what the client's result names.
fn result(build: &Build, field: Field<'_>) -> Result<Option<Arc<Solved>>, Status> {
    let (mut name, mut config) = (String::new(), None);
    for field in fields(field.bytes()?) {
        let field = field?;
        match field.number {
            1 => name = field.text()?,
            3 => name = reference(field.bytes()?)?,
            10 => {
                let (key, value) = field.entry()?;
                if key == "containerimage.config" {
                    config = Some(value.to_vec());
                }
            }
            // Images of one result, which is all of them.
            4 => {
                for image in fields(field.bytes()?) {
                    let image = image?;
                    if image.number == 1 {
                        name = reference(image.entry()?.1)?;
                    }
                }
            }
            2 => {
                let text = "results of clients that old are not supported";
                return Err(Status::unsupported(text));
            }
            _ => {}
        }
    }
    match name.is_empty() {
        true => Ok(None),
        false => build.configured(&name, config.as_deref()).map(Some),
    }
}

fn warn(build: &Build, message: &[u8]) -> Result<(), Status> {
    let (mut vertex, mut warning) = (String::new(), crate::progress::Warning::default());
    for field in fields(message) {
        let field = field?;
        match field.number {
            1 => vertex = field.text()?,
            3 => warning.short = field.text()?,
            4 => warning.detail = field.text()?,
            5 => warning.url = field.text()?,
            _ => {}
        }
    }
    build.progress.warn(&vertex, &warning);
    Ok(())
}
