//! A folder that the daemon asks for: it is told of each file in order, and asks for the
//! contents of those that it does not have.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use gantry_dockerfile::Glob;
use gantry_dockerfile::ignore::Patterns;
use gantry_grpc::message_stream::Outgoing;
use gantry_grpc::packet::{Kind, Packet, Stat};
use gantry_grpc::{Call, Status};
use http::HeaderMap;

use super::super::context::Source;
use super::{PIECE, wrong};

/// How many links are followed, and how deep folders may be.
const MOST_LINKS: usize = 255;
const DEEPEST: usize = 500;

/// What may be asked for.
#[derive(Debug, Clone)]
pub(super) enum Folder {
    /// A folder of the user's.
    At(PathBuf),
    /// Files that are nowhere else.
    Texts(Vec<(String, Vec<u8>)>),
}

impl Folder {
    /// A Dockerfile, and beside it what of the context does not count.
    pub(super) fn of_dockerfile(source: &Source) -> Self {
        let name = source.file_name();
        let ignored = source.ignored().into_iter().flat_map(Patterns::texts);
        let ignored: String = ignored.map(|pattern| pattern + "\n").collect();
        let text = source.text.clone().unwrap_or_default();
        let ignore = (format!("{name}.dockerignore"), ignored.into_bytes());
        Self::Texts(vec![(name.to_owned(), text), ignore])
    }
}

/// Tells of a folder, and sends what is asked for of it.
pub(super) async fn send(
    folder: &Folder,
    mut call: Call,
    outgoing: &mut Outgoing,
) -> Result<(), Status> {
    let sent = match folder {
        Folder::At(root) => {
            let wanted = Wanted::of(&call.metadata, root)?;
            let mut walk = Walk::new(&wanted);
            walk.folder(root, "", false, 0)?;
            let mut paths = Vec::with_capacity(walk.found.len());
            for (path, stat) in walk.found {
                outgoing.send(&Packet::told(&stat)).await?;
                paths.push(path);
            }
            answer(&mut call, outgoing, |id| match paths.get(id) {
                Some(path) => Ok(Box::new(File::open(path).map_err(|it| wrong(path, &it))?)),
                None => Err(Status::invalid("a file that was not told of")),
            })
            .await
        }
        Folder::Texts(texts) => {
            // Each time they may be others, of the same length maybe.
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            let now = now.map_or(0, |now| i64::try_from(now.as_nanos()).unwrap_or(0));
            for (name, text) in texts {
                let stat = Stat {
                    path: name.clone(),
                    mode: 0o600,
                    size: text.len() as u64,
                    modified: now,
                    ..Stat::default()
                };
                outgoing.send(&Packet::told(&stat)).await?;
            }
            answer(&mut call, outgoing, |id| match texts.get(id) {
                Some((_, text)) => Ok(Box::new(std::io::Cursor::new(text.clone()))),
                None => Err(Status::invalid("a file that was not told of")),
            })
            .await
        }
    };
    if let Err(status) = &sent {
        // The other side shows why; that it is gone is no news to it.
        outgoing.send(&Packet::failed(&status.text)).await.ok();
    }
    sent
}

type Contents = Box<dyn Read + Send>;

/// Ends what is told, and sends contents until the other side has all.
async fn answer(
    call: &mut Call,
    outgoing: &mut Outgoing,
    open: impl Fn(usize) -> Result<Contents, Status>,
) -> Result<(), Status> {
    outgoing.send(&Packet::told_all()).await?;
    let mut piece = vec![0; PIECE];
    while let Some(message) = call.incoming.next().await? {
        let packet = Packet::decode(&message)?;
        match packet.kind {
            Kind::Request => {
                let mut contents = open(packet.id as usize)?;
                loop {
                    let count = contents.read(&mut piece);
                    let count = count.map_err(|it| Status::unknown(it.to_string()))?;
                    // An empty piece is the end.
                    let data = Packet::data(packet.id, &piece[..count]);
                    outgoing.send(&data).await?;
                    if count == 0 {
                        break;
                    }
                }
            }
            Kind::Finished => return outgoing.send(&Packet::finished()).await,
            Kind::Failed => {
                let text = String::from_utf8_lossy(&packet.data).into_owned();
                return Err(Status::unknown(format!("error from receiver: {text}")));
            }
            Kind::Stat | Kind::Data => {
                return Err(Status::invalid("a packet that no receiver sends"));
            }
        }
    }
    Err(Status::canceled())
}

/// Which files are wanted.
struct Wanted {
    exclude: Patterns,
    /// What is wanted; all when there is none.
    include: Patterns,
    /// The same as exceptions, to see what may be left out.
    may_include: Patterns,
}

impl Wanted {
    fn of(metadata: &HeaderMap, root: &Path) -> Result<Self, Status> {
        let invalid = |error: gantry_dockerfile::Error| Status::invalid(error.to_string());
        let mut include = values(metadata, "include-patterns");
        let mut links = MOST_LINKS;
        for path in values(metadata, "followpaths") {
            follow(root, "", &path, &mut include, &mut links);
        }
        let exceptions = include.iter().map(|pattern| format!("!{pattern}"));
        Ok(Self {
            exclude: Patterns::new(values(metadata, "exclude-patterns")).map_err(invalid)?,
            may_include: Patterns::new(exceptions).map_err(invalid)?,
            include: Patterns::new(include).map_err(invalid)?,
        })
    }
}

/// The values of a header that may be there several times, and may be encoded.
fn values(metadata: &HeaderMap, name: &str) -> Vec<String> {
    let encoded = metadata.get(format!("{name}-encoded"));
    let encoded = encoded.is_some_and(|value| value == "1");
    let all = metadata.get_all(name).iter();
    all.filter_map(|value| value.to_str().ok())
        .map(|value| match encoded {
            true => decode(value),
            false => value.to_owned(),
        })
        .collect()
}

/// What Go's `url.QueryEscape` has made of a text.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|_| *first == b'%');
        let hex = hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match (hex, *first) {
            (Some(byte), _) => {
                bytes.push(byte);
                rest = &after[2..];
                continue;
            }
            (None, b'+') => bytes.push(b' '),
            (None, byte) => bytes.push(byte),
        }
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Adds a path below `above` to what is wanted, and what links on the way lead to.
fn follow(root: &Path, above: &str, path: &str, found: &mut Vec<String>, links: &mut usize) {
    let join = |above: &str, name: &str| match above {
        "" => name.to_owned(),
        above => format!("{above}/{name}"),
    };
    let (name, rest) = path.split_once('/').unwrap_or((path, ""));
    if *links == 0 || name.is_empty() {
        return;
    }
    let names: Vec<String> = match gantry_dockerfile::has_wildcard(name) {
        false => vec![name.to_owned()],
        true => {
            let Ok(glob) = Glob::new(name) else { return };
            let entries = std::fs::read_dir(root.join(above)).into_iter().flatten();
            let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
            names.filter(|name| glob.matches(name)).collect()
        }
    };
    for name in names {
        let here = join(above, &name);
        match std::fs::read_link(root.join(&here)) {
            Ok(target) => {
                *links -= 1;
                found.push(here);
                let target = target.to_string_lossy().into_owned();
                let from = if target.starts_with('/') { "" } else { above };
                let whole = gantry_dockerfile::clean(&format!("/{from}/{target}/{rest}"));
                follow(root, "", whole.trim_start_matches('/'), found, links);
            }
            Err(_) if rest.is_empty() => found.push(here),
            Err(_) => follow(root, &here, rest, found, links),
        }
        if *links == 0 {
            return;
        }
    }
}

/// A walk through a folder, in the order of names.
struct Walk<'w> {
    wanted: &'w Wanted,
    found: Vec<(PathBuf, Stat)>,
    /// Folders above, which come along with the first of what is in them.
    waiting: Vec<(PathBuf, Stat)>,
    /// The first path of each file that has several.
    links: HashMap<(u64, u64), String>,
}

impl<'w> Walk<'w> {
    fn new(wanted: &'w Wanted) -> Self {
        Self {
            wanted,
            found: Vec::new(),
            waiting: Vec::new(),
            links: HashMap::new(),
        }
    }

    /// Finds what is wanted in a folder; `all` says that the folder itself is.
    fn folder(&mut self, path: &Path, above: &str, all: bool, depth: usize) -> Result<(), Status> {
        if depth > DEEPEST {
            return Err(Status::invalid(format!("{}: too deep", path.display())));
        }
        let failed = |error: std::io::Error| wrong(path, &error);
        let mut names: Vec<OsString> = Vec::new();
        for entry in std::fs::read_dir(path).map_err(failed)? {
            names.push(entry.map_err(failed)?.file_name());
        }
        names.sort_unstable();
        for name in names {
            let Some(text) = name.to_str() else {
                let text = format!("{}: a name that is not UTF-8", path.join(&name).display());
                return Err(Status::invalid(text));
            };
            let below = match above {
                "" => text.to_owned(),
                above => format!("{above}/{text}"),
            };
            self.entry(path.join(&name), below, all, depth)?;
        }
        Ok(())
    }

    fn entry(
        &mut self,
        path: PathBuf,
        below: String,
        all: bool,
        depth: usize,
    ) -> Result<(), Status> {
        let Wanted {
            exclude,
            include,
            may_include,
        } = self.wanted;
        let all = all || include.is_empty() || include.is_ignored(&below);
        let excluded = exclude.is_ignored(&below);
        let found = match rustix::fs::lstat(&path) {
            Ok(found) => found,
            // It has gone meanwhile.
            Err(rustix::io::Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(wrong(&path, &errno.into())),
        };
        let kind = rustix::fs::FileType::from_raw_mode(found.st_mode);
        let is_folder = kind.is_dir();
        if !is_folder && (!all || excluded || kind.is_socket()) {
            return Ok(());
        }
        let link = match kind {
            rustix::fs::FileType::Symlink => std::fs::read_link(&path)
                .map_err(|error| wrong(&path, &error))?
                .to_string_lossy()
                .into_owned(),
            rustix::fs::FileType::RegularFile if found.st_nlink > 1 => {
                let first = self.links.entry((found.st_dev, found.st_ino));
                match first {
                    std::collections::hash_map::Entry::Occupied(first) => first.get().clone(),
                    std::collections::hash_map::Entry::Vacant(first) => {
                        first.insert(below.clone());
                        String::new()
                    }
                }
            }
            _ => String::new(),
        };
        let mut stat = Stat::of(&below, &found, link);
        // Whose they are here says nothing there.
        (stat.uid, stat.gid) = (0, 0);
        self.waiting.push((path.clone(), stat));
        if all && !excluded {
            self.found.append(&mut self.waiting);
        }
        if is_folder {
            let open = all || !may_include.may_skip(&below);
            if open && !(excluded && exclude.may_skip(&below)) {
                self.folder(&path, &below, all, depth + 1)?;
            }
            // It was not wanted, and nothing in it was.
            self.waiting.pop_if(|(waiting, _)| *waiting == path);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn told(root: &Path, headers: &[(&str, &str)]) -> Vec<String> {
        let mut metadata = HeaderMap::new();
        for (name, value) in headers {
            let name = HeaderName::try_from(*name).unwrap();
            metadata.append(name, HeaderValue::try_from(*value).unwrap());
        }
        let wanted = Wanted::of(&metadata, root).unwrap();
        let mut walk = Walk::new(&wanted);
        walk.folder(root, "", false, 0).unwrap();
        walk.found.into_iter().map(|(_, stat)| stat.path).collect()
    }

    #[test]
    fn what_is_wanted_is_told_of_with_the_folders_above() {
        let dir = tempfile::tempdir().unwrap();
        for path in ["a/b/c", "a/d.log", "e/f", "g", "h/i", "ö"] {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        std::os::unix::fs::symlink("../a/b", dir.path().join("e/l")).unwrap();
        let told = |headers: &[(&str, &str)]| told(dir.path(), headers);
        let exclude = [
            ("exclude-patterns", "**/*.log"),
            ("exclude-patterns", "h"),
            ("exclude-patterns", "e"),
            ("exclude-patterns", "!e/f"),
        ];
        assert_eq!(told(&exclude), ["a", "a/b", "a/b/c", "e", "e/f", "g", "ö"]);
        let follow = [("followpaths", "e/l/c"), ("followpaths", "g*")];
        assert_eq!(told(&follow), ["a", "a/b", "a/b/c", "e", "e/l", "g"]);
        let encoded = [
            ("include-patterns", "%C3%B6"),
            ("include-patterns-encoded", "1"),
        ];
        assert_eq!(told(&encoded), ["ö"]);
        assert!(told(&[("include-patterns", "none")]).is_empty());
    }
}
