//! What of a definition is got before it is planned: directories of the client, and
//! results of other builds.

use std::collections::BTreeMap;
use std::sync::Arc;

use gantry_engine::Borrowed;

use super::definition::{Definition, kind};
use super::source;
use crate::BuildKit;
use crate::builds::Build;
use crate::files::{Wanted, kept::Place};
use crate::frontend::{layout, plain};
use crate::links;
use crate::status::Status;

/// What an operation's source has become.
pub(super) enum Got {
    /// Files of the client, kept until the end.
    Directory(Place),
    /// An image.
    Image(String),
}

/// What was got.
#[derive(Default)]
pub(super) struct Locals {
    /// By the numbers of operations.
    pub(super) got: BTreeMap<usize, Got>,
    /// Images that only this build knows, by their names.
    pub(super) borrowed: BTreeMap<String, Arc<Borrowed>>,
}

/// Whether images are looked for in their registries even when they are here: all, when
/// it is wished of one.
pub(super) fn wants_pull(definition: &Definition) -> Result<bool, Status> {
    let sources = definition.operations.iter();
    let mut sources = sources.filter(|operation| operation.kind == kind::SOURCE);
    sources.try_fold(false, |found, operation| {
        let source = source::read(&operation.message)?;
        match source.attribute("image.resolvemode") {
            "" | "default" | "local" => Ok(found),
            "pull" => Ok(true),
            other => Err(Status::invalid(format!(
                "invalid image.resolvemode: {other}"
            ))),
        }
    })
}

/// Gets all of them.
pub(super) async fn load(
    service: &Arc<BuildKit>,
    build: &Arc<Build>,
    definition: &Definition,
) -> Result<Locals, Status> {
    let mut locals = Locals::default();
    for (number, operation) in definition.operations.iter().enumerate() {
        if operation.kind != kind::SOURCE {
            continue;
        }
        let source = source::read(&operation.message)?;
        let got = match source.scheme.as_str() {
            "local" => {
                source.only(&[
                    "local.session",
                    "local.includepattern",
                    "local.excludepatterns",
                    "local.followpaths",
                ])?;
                let wanted = Wanted {
                    directory: source.rest.clone(),
                    include: source.list("local.includepattern")?,
                    exclude: source.list("local.excludepatterns")?,
                    follow: source.list("local.followpaths")?,
                };
                let session = source.attribute("local.session");
                let place = plain::directory(service, build, &wanted, session, number).await?;
                Got::Directory(place)
            }
            "oci-layout" => {
                source.only(&["oci.store", "oci.session"])?;
                let address = layout::Address::parse(&source.rest)?;
                let address = layout::Address {
                    store: source.attribute("oci.store").to_owned(),
                    ..address
                };
                let platforms = [operation.platform()?];
                let (name, session) = (&source.rest, source.attribute("oci.session"));
                let found =
                    layout::borrow(service, build, name, address, session, &platforms).await?;
                let image = found.into_values().next();
                let image = image.ok_or_else(|| Status::internal("an image of a layout"))?;
                let name = format!("oci-layout://{}#{number}", source.rest);
                locals.borrowed.insert(name.clone(), image);
                Got::Image(name)
            }
            links::RESULT => Got::Image(links::image(service, &source.rest).await?),
            _ => continue,
        };
        locals.got.insert(number, got);
    }
    Ok(locals)
}
