//! Platforms: `os/architecture[/variant]`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a string is not a platform, in containerd's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}: invalid argument")]
pub struct PlatformError(String);

/// Words that alone name an operating system.
const SYSTEMS: [&str; 17] = [
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "hurd",
    "illumos",
    "ios",
    "js",
    "linux",
    "nacl",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "windows",
    "zos",
];
/// Words that alone name an architecture, after [`normalized`].
const ARCHITECTURES: [&str; 16] = [
    "386", "amd64", "arm", "armbe", "arm64", "arm64be", "loong64", "mips", "mipsle", "mips64",
    "mips64le", "ppc64", "ppc64le", "riscv64", "s390x", "wasm",
];

/// The platform an image runs on (OCI image spec, "Image Index / platform"),
/// in Go's names (`linux`, `amd64`, `arm64`, …).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// `GOARCH`.
    #[serde(default)]
    pub architecture: String,
    /// `GOOS`.
    #[serde(default)]
    pub os: String,
    /// Windows only.
    #[serde(
        rename = "os.version",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub os_version: Option<String>,
    /// Such as `v8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Platform {
    /// The platform this program was built for.
    pub fn host() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "x86" => "386",
            other => other,
        };
        Self {
            architecture: architecture.to_owned(),
            os: "linux".to_owned(),
            os_version: None,
            variant: None,
        }
    }

    /// Whether an image for `self` runs where `wanted` is asked for: same OS and
    /// architecture, and the same variant if both name one.
    pub fn matches(&self, wanted: &Platform) -> bool {
        self.os == wanted.os
            && self.architecture == wanted.architecture
            && match (&self.variant, &wanted.variant) {
                (Some(have), Some(want)) => have == want,
                _ => true,
            }
    }

    /// How well an image for `self` does where `wanted` is asked for: 0 is what was
    /// asked for, more is what the same processors run as well (an older variant, a
    /// 32-bit program), `None` is what they do not. As containerd chooses.
    pub fn rank_for(&self, wanted: &Platform) -> Option<usize> {
        if self.os != wanted.os {
            return None;
        }
        let have = (self.architecture.as_str(), variant(self));
        can_run(&wanted.architecture, variant(wanted))
            .iter()
            .position(|one| *one == have)
    }
}

/// The number of a variant such as `v7`, the usual one of its architecture where
/// none is named.
fn variant(platform: &Platform) -> Option<u8> {
    let usual = match platform.architecture.as_str() {
        "amd64" => Some(1),
        "arm64" => Some(8),
        "arm" => Some(7),
        _ => None,
    };
    match platform.variant.as_deref() {
        None | Some("") => usual,
        // A variant that is none is like no other one.
        Some(text) => Some(text.trim_start_matches('v').parse().unwrap_or(0)),
    }
}

/// What processors of that kind run, the best first.
fn can_run(architecture: &str, variant: Option<u8>) -> Vec<(&str, Option<u8>)> {
    let down = |name, from: u8, to: u8| (to..=from).rev().map(move |n| (name, Some(n)));
    let mut all = vec![(architecture, variant)];
    let below = variant.unwrap_or(0).saturating_sub(1);
    match architecture {
        "amd64" => {
            all.extend(down("amd64", below, 1));
            all.push(("386", None));
        }
        "arm64" => {
            all.extend(down("arm64", below, 8));
            all.extend(down("arm", 8, 5));
        }
        "arm" => all.extend(down("arm", below, 5)),
        _ => {}
    }
    all
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let (mut parts, mut os_version): (Vec<&str>, _) = (text.split('/').collect(), None);
        if !text.is_empty() {
            (parts[0], os_version) = system(parts[0]).ok_or_else(|| {
                PlatformError(format!(
                    "{:?} is an invalid OS component of {text:?}: OSAndVersion specifier component \
                     must match {SYSTEM:?}",
                    parts[0]
                ))
            })?;
        }
        if let Some(part) = parts.iter().find(|part| !is_word(part, b"_.-")) {
            return Err(PlatformError(format!(
                "{part:?} is an invalid component of {text:?}: platform specifier component must \
                 match \"^[A-Za-z0-9_.-]+$\""
            )));
        }
        let lower: Vec<String> = parts.iter().map(|part| part.to_ascii_lowercase()).collect();
        let (os, architecture, variant) = match &lower[..] {
            [one] if one == "macos" => ("darwin", Self::host().architecture, None),
            [os] if SYSTEMS.contains(&os.as_str()) => {
                (os.as_str(), Self::host().architecture, None)
            }
            [one] => match normalized(one, None) {
                (arch, variant) if ARCHITECTURES.contains(&arch.as_str()) => {
                    ("linux", arch, variant)
                }
                _ => {
                    return Err(PlatformError(format!(
                        "{text:?}: unknown operating system or architecture"
                    )));
                }
            },
            [os, rest @ ..] if rest.len() <= 2 => {
                let variant = rest.get(1).cloned();
                let (arch, variant) = normalized(&rest[0], variant);
                let os = if os == "macos" { "darwin" } else { os.as_str() };
                (os, arch, variant)
            }
            _ => {
                let reason = format!("{text:?}: cannot parse platform specifier");
                return Err(PlatformError(reason));
            }
        };
        Ok(Self {
            architecture,
            os: os.to_owned(),
            os_version: os_version.map(str::to_owned),
            variant,
        })
    }
}

/// What an operating system is called by: containerd's words for it.
const SYSTEM: &str = r"^([A-Za-z0-9_-]+)(?:\(([A-Za-z0-9_.%-]*)((?:\+[A-Za-z0-9_.%-]+)*)\))?$";

fn is_word(part: &str, more: &[u8]) -> bool {
    let mut bytes = part.bytes();
    !part.is_empty() && bytes.all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
}

/// An operating system, perhaps with its version in brackets. (Features behind that,
/// which only Windows has, are none that we know.)
fn system(part: &str) -> Option<(&str, Option<&str>)> {
    let (name, version) = match part.strip_suffix(')').and_then(|part| part.split_once('(')) {
        Some((name, version)) => (name, Some(version)),
        None => (part, None),
    };
    let version = version.filter(|version| !version.is_empty());
    let fits = is_word(name, b"_-") && version.is_none_or(|version| is_word(version, b"_.%-"));
    fits.then_some((name, version))
}

/// An architecture by its usual name.
fn normalized(architecture: &str, variant: Option<String>) -> (String, Option<String>) {
    let (name, own) = match architecture {
        "x86_64" | "x86-64" => ("amd64", None),
        "aarch64" => ("arm64", None),
        "i386" => ("386", None),
        "armhf" => ("arm", Some("v7")),
        "armel" => ("arm", Some("v6")),
        other => (other, None),
    };
    let variant = own.map(str::to_owned).or(variant);
    (name.to_owned(), variant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_is_ranked() {
        let rank = |have: &str, wanted: &str| {
            let parse = |text: &str| text.parse::<Platform>().unwrap();
            parse(have).rank_for(&parse(wanted))
        };
        for (have, wanted, expected) in [
            ("linux/amd64", "linux/amd64", Some(0)),
            ("linux/amd64/v1", "linux/amd64", Some(0)),
            ("linux/amd64/v2", "linux/amd64", None),
            ("linux/amd64", "linux/amd64/v3", Some(2)),
            ("linux/386", "linux/amd64", Some(1)),
            ("linux/arm64/v8", "linux/arm64", Some(0)),
            ("linux/arm/v7", "linux/arm64", Some(2)),
            ("linux/arm/v6", "linux/arm", Some(1)),
            ("linux/arm/v7", "linux/arm/v6", None),
            ("windows/amd64", "linux/amd64", None),
            ("unknown/unknown", "linux/amd64", None),
            ("linux/s390x", "linux/s390x", Some(0)),
        ] {
            assert_eq!(rank(have, wanted), expected, "{have} for {wanted}");
        }
    }

    #[test]
    fn text_round_trips() {
        for text in ["linux/amd64", "linux/arm64/v8"] {
            assert_eq!(text.parse::<Platform>().unwrap().to_string(), text);
        }
        for (text, wanted) in [
            ("arm64", "linux/arm64"),
            ("Linux/x86_64", "linux/amd64"),
            ("armhf", "linux/arm/v7"),
            ("linux(1.2)/amd64", "linux/amd64"),
            ("macos/arm64", "darwin/arm64"),
        ] {
            assert_eq!(text.parse::<Platform>().unwrap().to_string(), wanted);
        }
        for (text, reason) in [
            ("", "\"\" is an invalid component of \"\""),
            (
                "bogus",
                "\"bogus\": unknown operating system or architecture: invalid argument",
            ),
            ("linux/", "\"\" is an invalid component of \"linux/\""),
            (
                "a.b/c",
                "\"a.b\" is an invalid OS component of \"a.b/c\": OSAndVersion specifier component \
                 must match \"^([A-Za-z0-9_-]+)(?:\\\\(([A",
            ),
            ("/", "\"\" is an invalid OS component of \"/\""),
            ("linux(1", "\"linux(1\" is an invalid OS component"),
            (
                "a/b/c/d",
                "\"a/b/c/d\": cannot parse platform specifier: invalid argument",
            ),
            (
                "linux/am d",
                "\"am d\" is an invalid component of \"linux/am d\"",
            ),
        ] {
            let error = text.parse::<Platform>().unwrap_err().to_string();
            assert!(error.starts_with(reason), "{error}");
        }
    }
}
