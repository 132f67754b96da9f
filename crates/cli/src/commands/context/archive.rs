//! Contexts as tar archives: `meta.json` and `tls/ENDPOINT/FILE`.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Read, Write};

use futures_util::future::LocalBoxFuture;

use super::change::{check_new, done};
use super::get;
use crate::args::Matches;
use crate::commands::Outcome;
use crate::error::Error;
use crate::session::Session;
use crate::settings::{DEFAULT_CONTEXT, Files, Meta, check_context_name};

/// More than this is no context.
const MAX_SIZE: u64 = 10 << 20;

type Tls = BTreeMap<String, Files>;

fn broken(error: std::io::Error) -> Error {
    Error::message(error.to_string())
}

/// `docker context export`.
pub(crate) fn export<'a>(
    session: &'a Session,
    matches: &'a Matches,
) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let name = &matches.operands[0];
        if name != DEFAULT_CONTEXT {
            check_context_name(name)?;
        }
        let bytes =
            pack(&get(session, name)?, &session.settings.contexts.tls(name)?).map_err(broken)?;
        let path = match matches.operands.get(1) {
            Some(path) => path.clone(),
            None => format!("{name}.dockercontext"),
        };
        if path == "-" {
            if std::io::stdout().is_terminal() {
                return Err(Error::message(
                    "cowardly refusing to export to a terminal, specify a file path",
                ));
            }
            session.printer.out_bytes(&bytes);
            return Ok(0);
        }
        let mut options = std::fs::OpenOptions::new();
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let opened = options.write(true).create_new(true).open(&path);
        let mut file = opened.map_err(|error| {
            let reason = match error.kind() {
                std::io::ErrorKind::AlreadyExists => "file exists".to_owned(),
                std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
                _ => error.to_string(),
            };
            Error::message(format!("open {path}: {reason}"))
        })?;
        file.write_all(&bytes).map_err(broken)?;
        session
            .printer
            .error_line(&format!("Written file {path:?}"));
        Ok(0)
    })
}

/// `docker context import`.
pub(crate) fn import<'a>(
    session: &'a Session,
    matches: &'a Matches,
) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let (name, path) = (&matches.operands[0], &matches.operands[1]);
        check_new(session, name)?;
        let reader: Box<dyn Read> = match path.as_str() {
            "-" => Box::new(std::io::stdin()),
            path => Box::new(std::fs::File::open(path).map_err(|error| {
                let reason = match error.kind() {
                    std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
                    _ => error.to_string(),
                };
                Error::message(format!("open {path}: {reason}"))
            })?),
        };
        let (mut meta, tls) = unpack(reader)?;
        meta.name.clone_from(name);
        session.settings.contexts.put(&meta)?;
        for (endpoint, files) in &tls {
            session.settings.contexts.set_tls(name, endpoint, files)?;
        }
        done(session, name, "imported")
    })
}

fn pack(meta: &Meta, tls: &Tls) -> std::io::Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut add = |name: &str, mode: u32, bytes: Option<&[u8]>| {
        let mut header = tar::Header::new_ustar();
        header.set_mode(mode);
        header.set_size(bytes.map_or(0, |bytes| bytes.len() as u64));
        header.set_entry_type(match bytes {
            Some(_) => tar::EntryType::Regular,
            None => tar::EntryType::Directory,
        });
        builder.append_data(&mut header, name, bytes.unwrap_or_default())
    };
    let text = serde_json::to_vec(meta)?;
    add("meta.json", 0o644, Some(&text))?;
    add("tls", 0o700, None)?;
    for (endpoint, files) in tls {
        add(&format!("tls/{endpoint}"), 0o700, None)?;
        for (name, bytes) in files {
            add(&format!("tls/{endpoint}/{name}"), 0o600, Some(bytes))?;
        }
    }
    builder.into_inner()
}

fn unpack(reader: impl Read) -> Result<(Meta, Tls), Error> {
    let mut archive = tar::Archive::new(reader.take(MAX_SIZE));
    let (mut meta, mut tls) = (None, Tls::new());
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let name = entry.path().map_err(broken)?.to_string_lossy().into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(broken)?;
        let parts: Vec<&str> = name.split('/').collect();
        let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\\');
        match parts.as_slice() {
            ["meta.json"] => {
                let parsed = serde_json::from_slice(&bytes);
                meta = Some(parsed.map_err(|error| Error::message(error.to_string()))?);
            }
            ["tls", endpoint, file] if plain(endpoint) && plain(file) => {
                let files = tls.entry((*endpoint).to_owned()).or_default();
                files.insert((*file).to_owned(), bytes);
            }
            _ => {
                return Err(Error::message(format!("{name}: unexpected context file")));
            }
        }
    }
    match meta {
        Some(meta) => Ok((meta, tls)),
        None => Err(Error::message("invalid context: no metadata found")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let meta = Meta {
            name: "x".to_owned(),
            ..Meta::default()
        };
        let files = Files::from([("ca.pem".to_owned(), b"pem".to_vec())]);
        let tls = Tls::from([("docker".to_owned(), files)]);
        let bytes = pack(&meta, &tls).unwrap();
        assert_eq!(unpack(&bytes[..]).unwrap(), (meta, tls));
        assert!(unpack(&b""[..]).is_err());
    }

    #[test]
    fn hostile_names_are_refused() {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(1);
        header.set_entry_type(tar::EntryType::Regular);
        // The builder itself refuses dots in names: the raw field is set.
        let name = b"tls/../../x";
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.set_cksum();
        builder.append(&header, &b"x"[..]).unwrap();
        let bytes = builder.into_inner().unwrap();
        assert!(unpack(&bytes[..]).is_err());
    }
}
