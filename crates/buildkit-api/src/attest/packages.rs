//! What an image consists of, as far as its own package managers know: the databases of
//! dpkg and apk, as SPDX. They are hostile: read up to a bound, and never believed to be
//! more than text.

use std::collections::BTreeMap;
use std::time::SystemTime;

use gantry_image::{Attestation, escaped};
use gantry_sys::RootDir;
use gantry_types::Digest;
use rustix::fs::{Mode, OFlags};
use serde_json::{Value, json};

use super::{SPDX, Statement};
use crate::BuildKit;
use crate::builds::Build;
use crate::frontend::Image;
use crate::progress::Vertex;
use crate::status::Status;

/// The largest database.
const MAX_FILE: u64 = 40 << 20;
/// The most packages.
const MAX_PACKAGES: usize = 100_000;

/// Where dpkg keeps what is installed, and where images without it do.
const DPKG: &str = "/var/lib/dpkg/status";
const DPKG_PARTS: &str = "/var/lib/dpkg/status.d";
/// The same of apk, and where it will be one day.
const APK: [&str; 2] = ["/lib/apk/db/installed", "/usr/lib/apk/db/installed"];

/// A package.
#[derive(Debug, Default, PartialEq, Eq)]
struct Package {
    /// `deb` or `apk`.
    kind: &'static str,
    name: String,
    version: String,
    architecture: String,
    license: String,
    /// What it was made from.
    source: String,
    supplier: String,
}

/// Lists the packages of an image; `why` nobody else does is told.
///
/// # Errors
/// When its files cannot be read.
pub(super) fn tell(
    service: &BuildKit,
    build: &Build,
    image: &Image,
    why: &str,
) -> Result<Vec<Statement>, Status> {
    let name = format!("[{}] listing packages", image.id());
    let mut vertex = Vertex::of(&build.id, &name.clone(), name);
    vertex.started = Some(SystemTime::now());
    build.progress.vertex(&vertex);
    let text = format!("{why}: only packages of dpkg and apk are listed\n");
    build.progress.log(&vertex.digest, 2, text.as_bytes());
    let files = service.engine.builds.files(&image.built);
    let found = files
        .map(|files| files.map(|files| document(&files, &build.options())))
        .map_err(|error| Status::of(error.kind(), error.to_string()));
    vertex.completed = Some(SystemTime::now());
    if let Err(status) = &found {
        vertex.error.clone_from(&status.text);
    }
    build.progress.vertex(&vertex);
    let Some(document) = found? else {
        return Ok(Vec::new());
    };
    let attestation = Attestation::new(SPDX, &document);
    let attestation = attestation.map_err(|error| Status::internal(error.to_string()))?;
    Ok(vec![Statement {
        attestation,
        file: "sbom.spdx.json".to_owned(),
        inline_only: false,
    }])
}

fn document(files: &RootDir, options: &BTreeMap<String, String>) -> Value {
    let release = release(&read(files, "/etc/os-release"));
    let mut found = stanzas(&read(files, DPKG), "Package: ", dpkg);
    for name in parts(files) {
        if found.len() >= MAX_PACKAGES {
            break;
        }
        found.extend(stanzas(
            &read(files, &format!("{DPKG_PARTS}/{name}")),
            "Package: ",
            dpkg,
        ));
    }
    for path in APK {
        found.extend(stanzas(&read(files, path), "", apk));
    }
    found.truncate(MAX_PACKAGES);
    gantry_types::sort::by(&mut found, |a, b| {
        (a.kind, &a.name, &a.version).cmp(&(b.kind, &b.name, &b.version))
    });
    let packages = found.iter().enumerate();
    let packages: Vec<Value> = packages
        .map(|(number, package)| package.tell(number, &release))
        .collect();
    let relations = packages.iter().map(|package| {
        json!({
            "spdxElementId": "SPDXRef-DOCUMENT",
            "relationshipType": "DESCRIBES",
            "relatedSpdxElement": package["SPDXID"],
        })
    });
    let relations: Vec<Value> = relations.collect();
    let own = Digest::of(json!(packages).to_string().as_bytes());
    let epoch = options.get("build-arg:SOURCE_DATE_EPOCH");
    let epoch = epoch.and_then(|text| text.parse::<i64>().ok());
    let seconds = epoch.unwrap_or_else(crate::exports::pieces::now);
    json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": "sbom",
        "documentNamespace": format!("urn:gantry:sbom:{}", own.hex()),
        "creationInfo": {
            "created": gantry_api::rfc3339_nano(seconds.saturating_mul(1_000_000_000)),
            "creators": [concat!("Tool: gantry-", env!("CARGO_PKG_VERSION"))],
        },
        "packages": packages,
        "relationships": relations,
    })
}

impl Package {
    fn tell(&self, number: usize, release: &Release) -> Value {
        let mut url = format!(
            "pkg:{}/{}/{}",
            self.kind,
            escaped(&release.id),
            escaped(&self.name)
        );
        url += &format!(
            "@{}?arch={}",
            escaped(&self.version),
            escaped(&self.architecture)
        );
        for (key, value) in [
            ("distro", release.distribution()),
            ("upstream", self.source.clone()),
        ] {
            if !value.is_empty() {
                url += &format!("&{key}={}", escaped(&value));
            }
        }
        let license = match self.license.as_str() {
            "" => "NOASSERTION",
            text => text,
        };
        let supplier = match self.supplier.as_str() {
            "" => "NOASSERTION".to_owned(),
            text => format!("Person: {text}"),
        };
        json!({
            "SPDXID": format!("SPDXRef-Package-{}-{number}", self.kind),
            "name": self.name,
            "versionInfo": self.version,
            "supplier": supplier,
            "downloadLocation": "NOASSERTION",
            "filesAnalyzed": false,
            "licenseConcluded": "NOASSERTION",
            "licenseDeclared": license,
            "copyrightText": "NOASSERTION",
            "externalRefs": [{
                "referenceCategory": "PACKAGE-MANAGER",
                "referenceType": "purl",
                "referenceLocator": url,
            }],
        })
    }
}

/// What `/etc/os-release` says.
struct Release {
    id: String,
    version: String,
}

impl Release {
    fn distribution(&self) -> String {
        match self.version.as_str() {
            "" => String::new(),
            version => format!("{}-{version}", self.id),
        }
    }
}

fn release(text: &str) -> Release {
    let value = |key: &str| value(text, key).trim_matches(['"', '\'']).to_owned();
    let id = value("ID=");
    Release {
        id: if id.is_empty() {
            "linux".to_owned()
        } else {
            id
        },
        version: value("VERSION_ID="),
    }
}

/// A text, as far as it is one; nothing when it is not there.
fn read(files: &RootDir, path: &str) -> String {
    let bytes = files.read(path, MAX_FILE).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The files that are a database together.
fn parts(files: &RootDir) -> Vec<String> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let opened = files.open_in_root(DPKG_PARTS, flags, Mode::empty());
    let entries = opened
        .ok()
        .and_then(|opened| rustix::fs::Dir::read_from(opened).ok());
    let names = entries.into_iter().flatten().flatten();
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names
        .filter(|name| !name.starts_with('.') && !name.ends_with(".md5sums"))
        .take(MAX_PACKAGES)
        .collect()
}

/// The packages of a database: each a block of lines.
fn stanzas(text: &str, needed: &str, package: fn(&str) -> Option<Package>) -> Vec<Package> {
    let blocks = text.split("\n\n").filter(|block| block.contains(needed));
    blocks.filter_map(package).collect()
}

/// What stands behind a key at the beginning of a line.
fn value(text: &str, key: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    line.unwrap_or("").trim().to_owned()
}

fn dpkg(block: &str) -> Option<Package> {
    let value = |key: &str| value(block, key);
    let status = value("Status:");
    if !status.is_empty() && !status.ends_with(" installed") {
        return None;
    }
    let source = value("Source:");
    let package = Package {
        kind: "deb",
        name: value("Package:"),
        version: value("Version:"),
        architecture: value("Architecture:"),
        license: String::new(),
        // `name (version)`
        source: source.split(' ').next().unwrap_or("").to_owned(),
        supplier: value("Maintainer:"),
    };
    Some(package).filter(|package| !package.name.is_empty())
}

fn apk(block: &str) -> Option<Package> {
    let value = |key: &str| value(block, key);
    let name = value("P:");
    let origin = value("o:");
    let package = Package {
        kind: "apk",
        source: if origin == name {
            String::new()
        } else {
            origin
        },
        name,
        version: value("V:"),
        architecture: value("A:"),
        license: value("L:"),
        supplier: value("m:"),
    };
    Some(package).filter(|package| !package.name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn databases_of_package_managers_are_read() {
        let text = "Package: libc6\nStatus: install ok installed\nMaintainer: A <a@b>\n\
                    Architecture: amd64\nSource: glibc (2.36-9)\nVersion: 2.36-9+deb12u4\n\
                    Description: x\n more\n\nPackage: gone\nStatus: deinstall ok config-files\n\
                    Version: 1\n\nnothing\n";
        let found = stanzas(text, "Package: ", dpkg);
        assert_eq!(found.len(), 1);
        assert_eq!((&*found[0].name, &*found[0].source), ("libc6", "glibc"));
        let release = release("NAME=x\nID=debian\nVERSION_ID=\"12\"\n");
        let told = found[0].tell(0, &release);
        assert_eq!(
            told["externalRefs"][0]["referenceLocator"],
            "pkg:deb/debian/libc6@2.36-9%2Bdeb12u4?arch=amd64&distro=debian-12&upstream=glibc"
        );
        let text = "C:Q1\nP:musl\nV:1.2.4-r2\nA:x86_64\nL:MIT\no:musl\nm:B <b@c>\nF:lib\n\nP:\n";
        let found = stanzas(text, "", apk);
        assert_eq!(found.len(), 1);
        assert_eq!((&*found[0].license, &*found[0].source), ("MIT", ""));
    }
}
