//! Where a plug-in is found: by a socket of its name, or a file that says where it
//! listens.
//!
//! ```text
//! <sockets>/NAME.sock      or <sockets>/NAME/NAME.sock
//! <specs>/NAME.spec        unix:///path or tcp://address:port
//! <specs>/NAME.json        {"Name": …, "Addr": the same or https://address:port,
//!                           "TLSConfig": {"CAFile": …, "CertFile": …, "KeyFile": …}}
//! ```

use std::collections::BTreeSet;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use gantry_tls::ClientFiles;

/// The most that a file is read of.
const LONGEST: u64 = 64 << 10;

/// Where plug-ins are looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginFolders {
    /// Of their sockets.
    pub sockets: PathBuf,
    /// Of the files that say where they listen.
    pub specs: Vec<PathBuf>,
}

impl Default for PluginFolders {
    /// Docker's.
    fn default() -> Self {
        Self {
            sockets: "/run/docker/plugins".into(),
            specs: vec![
                "/etc/docker/plugins".into(),
                "/usr/lib/docker/plugins".into(),
            ],
        }
    }
}

impl PluginFolders {
    /// One folder for all.
    pub fn only(folder: &Path) -> Self {
        Self {
            sockets: folder.to_owned(),
            specs: vec![folder.to_owned()],
        }
    }
}

/// Where a plug-in listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    Unix(PathBuf),
    Tcp(SocketAddr),
    /// By TLS; the name is what its certificate must have.
    Tls {
        address: SocketAddr,
        name: String,
        files: ClientFiles,
    },
}

/// Finds a plug-in; `None` when there is none of that name.
///
/// # Errors
/// What is wrong with the file that says where it is.
pub(super) fn find(folders: &PluginFolders, name: &str) -> Result<Option<Address>, String> {
    // A name is one part of a path.
    if name.is_empty() || name.starts_with('.') || name.contains(['/', '\0']) {
        return Ok(None);
    }
    let places = |folder: &Path, ending: &str| {
        let file = format!("{name}.{ending}");
        [folder.join(&file), folder.join(name).join(&file)]
    };
    for path in places(&folders.sockets, "sock") {
        if path
            .metadata()
            .is_ok_and(|found| found.file_type().is_socket())
        {
            return Ok(Some(Address::Unix(path)));
        }
    }
    for folder in &folders.specs {
        for path in places(folder, "spec") {
            if let Some(text) = read(&path) {
                return address(text.trim()).map(Some);
            }
        }
        for path in places(folder, "json") {
            if let Some(text) = read(&path) {
                return of_json(&text).map(Some);
            }
        }
    }
    Ok(None)
}

/// The names of all plug-ins that there seem to be.
pub(super) fn names(folders: &PluginFolders) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let specs = folders.specs.iter().map(|folder| (folder, false));
    for (folder, sockets) in std::iter::once((&folders.sockets, true)).chain(specs) {
        for entry in folder.read_dir().into_iter().flatten().flatten() {
            let path = entry.path();
            let (stem, ending) = (path.file_stem(), path.extension());
            let Some(stem) = stem.and_then(|stem| stem.to_str()) else {
                continue;
            };
            let known = match ending.and_then(|ending| ending.to_str()) {
                Some("sock") => sockets,
                Some("spec" | "json") => !sockets || folders.specs.contains(folder),
                None => path.is_dir(),
                Some(_) => false,
            };
            if known {
                names.insert(stem.to_owned());
            }
        }
    }
    names
}

fn read(path: &Path) -> Option<String> {
    let file = std::fs::File::open(path).ok()?;
    // A pipe would never end.
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut text = String::new();
    file.take(LONGEST).read_to_string(&mut text).ok()?;
    Some(text)
}

fn of_json(text: &str) -> Result<Address, String> {
    let value: serde_json::Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let text = value["Addr"].as_str().unwrap_or_default();
    match value.get("TLSConfig").filter(|tls| !tls.is_null()) {
        None => address(text),
        Some(tls) => by_tls(text, tls),
    }
}

/// A plug-in that says who it is by a certificate, and may want to see one.
fn by_tls(text: &str, tls: &serde_json::Value) -> Result<Address, String> {
    let place = text
        .strip_prefix("https://")
        .map(|rest| format!("tcp://{rest}"));
    let Address::Tcp(place) = address(place.as_deref().unwrap_or(text))? else {
        return Err(format!("{text:?}: TLS needs https:// or tcp://"));
    };
    if tls["InsecureSkipVerify"] == true {
        return Err("InsecureSkipVerify of plug-ins is not supported: name its CAFile".to_owned());
    }
    let file = |key: &str| tls[key].as_str().filter(|path| !path.is_empty());
    let authority = file("CAFile").ok_or("TLSConfig of plug-ins needs a CAFile")?;
    let ours = match (file("CertFile"), file("KeyFile")) {
        (None, None) => None,
        (Some(certificate), Some(key)) => Some((certificate.into(), key.into())),
        _ => return Err("TLSConfig needs both CertFile and KeyFile, or neither".to_owned()),
    };
    let name = match text.contains("://localhost:") {
        true => "localhost".to_owned(),
        false => place.ip().to_string(),
    };
    Ok(Address::Tls {
        address: place,
        name,
        files: ClientFiles {
            authority: authority.into(),
            ours,
        },
    })
}

fn address(text: &str) -> Result<Address, String> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err("unknown protocol".to_owned());
    };
    match scheme {
        "unix" if rest.starts_with('/') => Ok(Address::Unix(rest.into())),
        "tcp" | "http" => {
            let rest = rest.trim_end_matches('/');
            let local = rest
                .strip_prefix("localhost:")
                .and_then(|port| port.parse().ok());
            let local = local.map(|port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
            local
                .or_else(|| rest.parse().ok())
                .map(Address::Tcp)
                .ok_or_else(|| format!("{text:?}: an IP address and a port are needed"))
        }
        _ => Err(format!("{text:?}: only unix:// and tcp:// are supported")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugins_are_found_by_socket_and_by_file() {
        let folder = tempfile::tempdir().unwrap();
        let folders = PluginFolders::only(folder.path());
        let path = |name: &str| folder.path().join(name);
        let _socket = std::os::unix::net::UnixListener::bind(path("one.sock")).unwrap();
        std::fs::create_dir(path("two")).unwrap();
        let _other = std::os::unix::net::UnixListener::bind(path("two/two.sock")).unwrap();
        std::fs::write(path("three.spec"), "tcp://localhost:80\n").unwrap();
        std::fs::write(
            path("four.json"),
            r#"{"Name":"four","Addr":"unix:///x.sock"}"#,
        )
        .unwrap();
        std::fs::write(path("bad.spec"), "nothing").unwrap();
        std::fs::write(
            path("tls.json"),
            r#"{"Addr":"https://localhost:5","TLSConfig":{"CAFile":"/ca"}}"#,
        )
        .unwrap();
        let found = |name: &str| find(&folders, name).unwrap();
        assert_eq!(found("one"), Some(Address::Unix(path("one.sock"))));
        assert_eq!(found("two"), Some(Address::Unix(path("two/two.sock"))));
        let local = Address::Tcp("127.0.0.1:80".parse().unwrap());
        assert_eq!(found("three"), Some(local));
        assert_eq!(found("four"), Some(Address::Unix("/x.sock".into())));
        for none in ["five", "", "..", "../one", "two/two", "a\0b"] {
            assert_eq!(found(none), None, "{none}");
        }
        assert_eq!(find(&folders, "bad").unwrap_err(), "unknown protocol");
        let Some(Address::Tls { name, files, .. }) = found("tls") else {
            panic!("no TLS");
        };
        assert_eq!((name.as_str(), files.ours), ("localhost", None));
        let all: Vec<String> = names(&folders).into_iter().collect();
        assert_eq!(all, ["bad", "four", "one", "three", "tls", "two"]);
    }

    #[test]
    fn who_speaks_tls_is_checked() {
        for (more, part) in [
            (r#""Addr":"tcp://1.2.3.4:5","TLSConfig":{}"#, "a CAFile"),
            (
                r#""Addr":"unix:///x","TLSConfig":{"CAFile":"/a"}"#,
                "needs https",
            ),
            (r#""Addr":"https://1.2.3.4:5""#, "only unix:// and tcp://"),
            (
                r#""Addr":"https://1.2.3.4:5","TLSConfig":{"CAFile":"/a","CertFile":"/b"}"#,
                "both CertFile and KeyFile",
            ),
            (
                r#""Addr":"https://1.2.3.4:5","TLSConfig":{"InsecureSkipVerify":true}"#,
                "InsecureSkipVerify",
            ),
        ] {
            let error = of_json(&format!("{{{more}}}")).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn addresses_are_checked() {
        for bad in [
            "",
            "x",
            "tcp://name:1",
            "https://1.2.3.4:5",
            "unix://x",
            "tcp://1.2.3.4",
        ] {
            assert!(address(bad).is_err(), "{bad}");
        }
        let six = address("tcp://[::1]:5").unwrap();
        assert_eq!(six, Address::Tcp("[::1]:5".parse().unwrap()));
    }
}
