//! A folder of blobs by digest, in the form of an OCI image layout: what the daemon puts
//! there and reads from there, and the index that says what is in it.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use gantry_grpc::content::{Question, digest_of};
use gantry_grpc::message_stream::Outgoing;
use gantry_grpc::wire::{Message, fields};
use gantry_grpc::{Call, Code, Status};
use gantry_types::Digest;
use serde_json::{Value, json};

use super::{PIECE, wrong};
use crate::error::Error;

/// What a message of a writer is to do.
const APPEND: u64 = 1;
const COMMIT: u64 = 2;
/// The annotation that names an entry of the index.
const NAME: &str = "org.opencontainers.image.ref.name";

fn path_of(store: &Path, digest: &Digest) -> PathBuf {
    store.join(digest.blob_path())
}

/// Takes a blob.
pub(super) async fn write(
    store: &Path,
    mut call: Call,
    outgoing: &mut Outgoing,
) -> Result<(), Status> {
    let mut coming: Option<Coming> = None;
    while let Some(message) = call.incoming.next().await? {
        let (mut action, mut expected, mut offset, mut data) = (0, String::new(), 0, &[][..]);
        for field in fields(&message) {
            let field = field?;
            match field.number {
                1 => action = field.number()?,
                2 if expected.is_empty() => expected = field.text()?,
                4 => expected = field.text()?,
                5 => offset = field.number()?,
                6 => data = field.bytes()?,
                _ => {}
            }
        }
        if coming.is_none() {
            coming = Some(Coming::begin(store, digest_of(&expected)?)?);
        }
        let blob = coming.as_mut().ok_or_else(Status::canceled)?;
        if offset != blob.written && action == APPEND {
            let text = format!("{expected} continues at {}, not at {offset}", blob.written);
            return Err(Status::invalid(text));
        }
        blob.write(data)?;
        if action == COMMIT {
            blob.commit(store)?;
        }
        let answer = Message::new()
            .number(1, action)
            .number(4, blob.written)
            .text(6, &expected);
        outgoing.send(&answer.into_bytes()).await?;
    }
    Ok(())
}

/// A blob that is coming; what is not committed goes again.
struct Coming {
    digest: Digest,
    file: File,
    path: PathBuf,
    written: u64,
}

impl Coming {
    fn begin(store: &Path, digest: Digest) -> Result<Self, Status> {
        let end = path_of(store, &digest);
        if end.exists() {
            let text = format!("content {digest}: already exists");
            return Err(Status::new(Code::AlreadyExists, text));
        }
        let path = end.with_extension(format!("{}.part", std::process::id()));
        let folder = end.parent().unwrap_or(store);
        std::fs::create_dir_all(folder).map_err(|error| wrong(folder, &error))?;
        let mut options = File::options();
        let file = options.read(true).write(true).create(true).truncate(true);
        let file = file.open(&path).map_err(|error| wrong(&path, &error))?;
        Ok(Self {
            digest,
            file,
            path,
            written: 0,
        })
    }

    fn write(&mut self, data: &[u8]) -> Result<(), Status> {
        self.written += data.len() as u64;
        let written = self.file.write_all(data);
        written.map_err(|error| wrong(&self.path, &error))
    }

    /// Puts it where it belongs, if it is what it should be.
    fn commit(&mut self, store: &Path) -> Result<(), Status> {
        let failed = |error: std::io::Error| wrong(&self.path, &error);
        let mut hasher = self.digest.hasher();
        let mut piece = vec![0; PIECE];
        (&self.file).seek(SeekFrom::Start(0)).map_err(failed)?;
        loop {
            match (&self.file).read(&mut piece).map_err(failed)? {
                0 => break,
                count => hasher.update(&piece[..count]),
            }
        }
        if hasher.finish() != self.digest {
            let text = format!("{} is not what it says", self.digest);
            return Err(Status::invalid(text));
        }
        std::fs::rename(&self.path, path_of(store, &self.digest)).map_err(failed)
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        // What was committed is not there any more.
        std::fs::remove_file(&self.path).ok();
    }
}

/// Gives a blob, or a part of it.
pub(super) async fn read(
    store: &Path,
    mut call: Call,
    outgoing: &mut Outgoing,
) -> Result<(), Status> {
    let question = Question::of(&mut call).await?;
    let path = path_of(store, &question.digest);
    let missing = |_| {
        let text = format!("content {}: not found", question.digest);
        Status::new(Code::NotFound, text)
    };
    let mut file = File::open(&path).map_err(missing)?;
    let failed = |error: std::io::Error| wrong(&path, &error);
    file.seek(SeekFrom::Start(question.offset))
        .map_err(failed)?;
    question.answer(file, outgoing, failed).await
}

/// What a folder's index says under a name; nothing when it has no such entry.
pub(super) fn find(store: &Path, name: &str) -> Option<String> {
    let index = std::fs::read(store.join("index.json")).ok()?;
    let index: Value = serde_json::from_slice(&index).ok()?;
    let entries = index["manifests"].as_array()?;
    let named = entries.iter().find(|it| it["annotations"][NAME] == name);
    let found = named.or_else(|| entries.first().filter(|_| entries.len() == 1))?;
    found["digest"].as_str().map(str::to_owned)
}

/// Says in a folder's index what has come.
pub(super) fn note(store: &Path, mut entry: Value, names: &[String]) -> Result<(), Error> {
    let path = store.join("index.json");
    let failed = |path: &Path, error: &dyn std::fmt::Display| {
        Error::message(format!("{}: {error}", path.display()))
    };
    let index = std::fs::read(&path).ok();
    let index = index.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    let mut entries = match index {
        Some(mut index) => index["manifests"].as_array_mut().map(std::mem::take),
        None => None,
    }
    .unwrap_or_default();
    for name in names {
        entries.retain(|it| it["annotations"][NAME] != *name.as_str());
        entry["annotations"][NAME] = name.as_str().into();
        entries.push(entry.clone());
    }
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": entries,
    });
    let layout = store.join("oci-layout");
    std::fs::write(&layout, r#"{"imageLayoutVersion":"1.0.0"}"#)
        .map_err(|error| failed(&layout, &error))?;
    let part = path.with_extension("json.part");
    std::fs::write(&part, index.to_string())
        .and_then(|()| std::fs::rename(&part, &path))
        .map_err(|error| failed(&path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blobs_are_kept_when_they_are_what_they_say() {
        let dir = tempfile::tempdir().unwrap();
        let digest = Digest::of(b"some bytes");
        let mut coming = Coming::begin(dir.path(), digest).unwrap();
        coming.write(b"other bytes").unwrap();
        assert!(coming.commit(dir.path()).is_err());
        drop(coming);
        let mut coming = Coming::begin(dir.path(), digest).unwrap();
        coming.write(b"some ").unwrap();
        coming.write(b"bytes").unwrap();
        coming.commit(dir.path()).unwrap();
        drop(coming);
        let kept: Vec<_> = std::fs::read_dir(dir.path().join("blobs/sha256"))
            .unwrap()
            .collect();
        assert_eq!(kept.len(), 1);
        let again = Coming::begin(dir.path(), digest).map(drop).unwrap_err();
        assert_eq!(again.code, Code::AlreadyExists);
    }

    #[test]
    fn the_index_has_each_name_once() {
        let dir = tempfile::tempdir().unwrap();
        let names = ["latest".to_owned()];
        note(dir.path(), json!({"digest": "sha256:1"}), &names).unwrap();
        note(dir.path(), json!({"digest": "sha256:2"}), &names).unwrap();
        note(dir.path(), json!({"digest": "sha256:3"}), &["x".to_owned()]).unwrap();
        assert_eq!(find(dir.path(), "latest").as_deref(), Some("sha256:2"));
        assert_eq!(find(dir.path(), "none"), None);
    }
}
