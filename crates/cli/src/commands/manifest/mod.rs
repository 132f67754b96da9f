//! `manifest`: lists of manifests, made on this side and sent to a registry.

mod image;
mod push;
mod store;

use futures_util::future::LocalBoxFuture;
use gantry_api::DistributionPlatform;
use gantry_types::{Digest, Reference};
use serde::Deserialize;

use self::image::{ImageManifest, indented};
use self::store::Store;
use super::{Outcome, names};
use crate::args::Matches;
use crate::error::Error;
use crate::registry::{failed, is_absent, wanted};
use crate::session::Session;

pub(crate) use push::push;

const TABS: &[u8] = b"\t";

/// What a registry has under a name.
enum Found {
    One(ImageManifest),
    Many(Vec<ImageManifest>),
}

fn named(text: &str) -> Result<Reference, Error> {
    let reference = names::normalized(text).map_err(Error::Message)?;
    Ok(reference.or_latest())
}

/// Asks a registry for a manifest, or for a list with all that is in it.
fn fetch(session: &Session, name: &Reference, insecure: bool) -> Result<Found, Error> {
    #[derive(Deserialize)]
    struct List {
        manifests: Vec<Entry>,
    }
    #[derive(Deserialize)]
    struct Entry {
        digest: Digest,
        platform: Option<DistributionPlatform>,
    }
    let repository = session.repository(name, insecure)?;
    let get = |wanted: &str| {
        repository
            .resolve(wanted)
            .map_err(|error| match is_absent(&error) {
                true => Error::message(format!("no such manifest: {name}")),
                false => failed(error),
            })
    };
    let document = get(&wanted(name))?;
    if !image::is_list(&document) {
        let one = ImageManifest::of(&repository, name.clone(), &document, None)?;
        return Ok(Found::One(one));
    }
    let list: List = serde_json::from_slice(&document.bytes)
        .map_err(|error| Error::message(format!("{name}: invalid manifest list: {error}")))?;
    let many = list.manifests.into_iter().map(|entry| {
        let own = format!("{}@{}", name, entry.digest);
        let own = own.parse().unwrap_or_else(|_| name.clone());
        let document = get(&entry.digest.to_string())?;
        let platform = Some(entry.platform.unwrap_or_default());
        ImageManifest::of(&repository, own, &document, platform)
    });
    Ok(Found::Many(many.collect::<Result<_, _>>()?))
}

/// `docker manifest inspect`.
pub(crate) fn inspect<'a>(
    session: &'a Session,
    matches: &'a Matches,
) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let (verbose, insecure) = (matches.bool("verbose"), matches.bool("insecure"));
        let store = Store::new(session);
        let found = match &matches.operands[..] {
            [list, name] => Found::One(store.get(&named(list)?, &named(name)?)?),
            [name, ..] => {
                let name = named(name)?;
                match store.has(&name) {
                    true => Found::Many(store.list(&name)?),
                    false => fetch(session, &name, insecure)?,
                }
            }
            [] => return Err(Error::message("manifest inspect takes a name")),
        };
        let text = match (found, verbose) {
            (Found::One(one), true) => indented(&one, TABS),
            (Found::One(one), false) => indented(one.plain(), TABS),
            (Found::Many(many), true) => indented(&many, TABS),
            (Found::Many(many), false) => {
                String::from_utf8(image::list(&many).1).unwrap_or_default()
            }
        };
        session.printer.line(&text);
        Ok(0)
    })
}

/// `docker manifest create`.
pub(crate) fn create<'a>(
    session: &'a Session,
    matches: &'a Matches,
) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let Some((list, sources)) = matches.operands.split_first() else {
            return Err(Error::message("manifest create takes names"));
        };
        let list = named(list)?;
        let store = Store::new(session);
        if store.has(&list) && !matches.bool("amend") {
            return Err(Error::message(
                "refusing to amend an existing manifest list with no --amend flag",
            ));
        }
        for source in sources {
            let source = named(source)?;
            let manifest = match store.get(&list, &source) {
                Ok(known) => known,
                Err(_) => match fetch(session, &source, matches.bool("insecure"))? {
                    Found::One(one) => one,
                    Found::Many(_) => {
                        return Err(Error::message(format!("{source} is a manifest list")));
                    }
                },
            };
            store.save(&list, &manifest)?;
        }
        session
            .printer
            .line(&format!("Created manifest list {list}"));
        Ok(0)
    })
}

/// `docker manifest annotate`.
pub(crate) fn annotate<'a>(
    session: &'a Session,
    matches: &'a Matches,
) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let (list, name) = (named(&matches.operands[0])?, named(&matches.operands[1])?);
        let store = Store::new(session);
        let mut manifest = store.get(&list, &name).map_err(|error| {
            match error.to_string().starts_with("No such manifest") {
                true => Error::message(format!(
                    "manifest for image {name} does not exist in {list}"
                )),
                false => error,
            }
        })?;
        let platform = manifest.descriptor.platform.get_or_insert_default();
        for (flag, field) in [
            ("os", &mut platform.os),
            ("arch", &mut platform.architecture),
            ("variant", &mut platform.variant),
            ("os-version", &mut platform.os_version),
        ] {
            let given = matches.text(flag);
            if !given.is_empty() {
                given.clone_into(field);
            }
        }
        for feature in matches.list("os-features") {
            if !platform.os_features.contains(&feature) {
                platform.os_features.push(feature);
            }
        }
        if !is_known(&platform.os, &platform.architecture) {
            return Err(Error::message(format!(
                "manifest entry for image has unsupported os/arch combination: {}/{}",
                matches.text("os"),
                matches.text("arch")
            )));
        }
        store.save(&list, &manifest)?;
        Ok(0)
    })
}

/// The combinations that Docker takes.
fn is_known(os: &str, architecture: &str) -> bool {
    let architectures: &[&str] = match os {
        "linux" => &[
            "386", "amd64", "arm", "arm64", "ppc64le", "mips64", "mips64le", "riscv64", "s390x",
        ],
        "darwin" => &["386", "amd64", "arm", "arm64"],
        "freebsd" | "netbsd" | "openbsd" => &["386", "amd64", "arm"],
        "windows" => &["386", "amd64", "arm", "arm64"],
        "plan9" => &["386", "amd64"],
        "dragonfly" | "solaris" => &["amd64"],
        _ => &[],
    };
    architectures.contains(&architecture)
}

/// `docker manifest rm`.
pub(crate) fn remove<'a>(
    session: &'a Session,
    matches: &'a Matches,
) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let store = Store::new(session);
        let removed = matches
            .operands
            .iter()
            .map(|list| store.remove(&named(list)?));
        let failures: Vec<String> = removed
            .filter_map(|outcome| outcome.err().map(|error| error.to_string()))
            .collect();
        match failures.is_empty() {
            true => Ok(0),
            false => Err(Error::Several(failures)),
        }
    })
}
