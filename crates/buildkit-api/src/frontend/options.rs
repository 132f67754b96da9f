//! What a client tells the frontend, as texts by names; what is not known is refused by
//! its name.

use gantry_types::sort::IntoMap;
use std::collections::BTreeMap;
use std::str::FromStr;

use gantry_engine::StepLimits;

use crate::attest::Wanted;
use crate::cache::Place;
use crate::status::Status;
use crate::truth::{is_false, is_true};

/// The options of a build.
#[derive(Debug, Default, Clone)]
pub(crate) struct Options {
    /// The Dockerfile's name in its directory.
    pub(crate) filename: String,
    /// The client's names for the directories of the Dockerfile and of the context.
    pub(crate) dockerfile_directory: String,
    /// Whether the Dockerfile is the client's, wherever the context is.
    pub(crate) own_dockerfile: bool,
    pub(crate) context_directory: String,
    /// A context that is no directory of the client.
    pub(crate) remote: Option<String>,
    pub(crate) target: String,
    pub(crate) build_args: BTreeMap<String, String>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) platforms: Vec<String>,
    /// Whether the result is a list of platforms, even of one.
    pub(crate) list: bool,
    /// Stages that are run anew; all when the list is empty.
    pub(crate) no_cache: Option<Vec<String>>,
    /// `name:address`.
    pub(crate) add_hosts: Vec<String>,
    pub(crate) network: String,
    pub(crate) shm_size: u64,
    pub(crate) ulimits: Vec<String>,
    pub(crate) cgroup_parent: String,
    /// How commands see this machine called.
    pub(crate) hostname: String,
    /// What else a command may take.
    pub(crate) limits: StepLimits,
    /// Whether images are looked for in registries even when they are here.
    pub(crate) pull: bool,
    /// What is wanted instead of a build: `frontend.lint` and the like.
    pub(crate) request: Option<String>,
    /// Named contexts: what each name stands for.
    pub(crate) contexts: BTreeMap<String, String>,
    /// Results of other builds that contexts may be, by the names that are used for them.
    pub(crate) inputs: BTreeMap<String, String>,
    /// Sessions of directories that are not the build's own.
    pub(crate) sessions: BTreeMap<String, String>,
    /// Where results of others are looked for.
    pub(crate) cache_from: Vec<Place>,
}

/// What is only told, or tells of what goes without saying.
const IDLE: &[&str] = &[
    "frontend.caps",
    "cmdline",
    "source",
    "contextkeepgitdir",
    "vcs:source",
    "vcs:revision",
];

impl Options {
    /// # Errors
    /// `InvalidArgument` for wrong values, `Unimplemented` for options that are not
    /// supported.
    pub(crate) fn of(given: &BTreeMap<String, String>) -> Result<Self, Status> {
        let mut options = Self {
            filename: "Dockerfile".to_owned(),
            dockerfile_directory: "dockerfile".to_owned(),
            context_directory: "context".to_owned(),
            ..Self::default()
        };
        for (key, value) in given {
            match key.split_once(':') {
                Some((kind, name)) => options.named(kind, name, value)?,
                None => options.plain(key, value)?,
            }
        }
        Ok(options)
    }

    /// Whether a context that is a repository comes with its `.git`, if that was said.
    pub(super) fn keep_git_dir(&self) -> Option<bool> {
        let said = self.build_args.get("BUILDKIT_CONTEXT_KEEP_GIT_DIR")?;
        Some(is_true(said))
    }

    fn named(&mut self, kind: &str, name: &str, value: &str) -> Result<(), Status> {
        let (name, value) = (name.to_owned(), value.to_owned());
        match kind {
            "build-arg" => {
                if name == "BUILDKIT_SANDBOX_HOSTNAME" && !value.is_empty() {
                    self.hostname.clone_from(&value);
                }
                self.build_args.insert(name, value);
            }
            "label" => drop(self.labels.insert(name, value)),
            "context" => drop(self.contexts.insert(name, value)),
            "local-sessionid" => drop(self.sessions.insert(name, value)),
            "vcs" | "local-metadata" | "input-metadata" => {}
            "attest" => drop(Wanted::of(&[(format!("attest:{name}"), value)].into())?),
            _ => return Err(unsupported(&format!("{kind}:{name}"))),
        }
        Ok(())
    }

    fn plain(&mut self, key: &str, value: &str) -> Result<(), Status> {
        let text = value.to_owned();
        match key {
            "filename" if !value.is_empty() => self.filename = text,
            "dockerfilekey" => (self.dockerfile_directory, self.own_dockerfile) = (text, true),
            "contextkey" => self.context_directory = text,
            "context" if !value.is_empty() => self.remote = Some(text),
            "target" => self.target = text,
            "platform" => self.platforms = list(value)?,
            "no-cache" => self.no_cache = Some(list(value)?),
            "add-hosts" => self.add_hosts = hosts(value)?,
            "force-network-mode" => self.network = network(value)?,
            "shm-size" => self.shm_size = number(key, value)?,
            "ulimit" => self.ulimits = list(value)?,
            "hostname" if self.hostname.is_empty() => self.hostname = text,
            "hostname" => {}
            "cgroup-parent" => self.cgroup_parent = text,
            "memory" => self.limits.memory = number(key, value)?,
            "memswap" => self.limits.memory_swap = number(key, value)?,
            "cpushares" => self.limits.cpu_shares = number(key, value)?,
            "cpuperiod" => self.limits.cpu_period = number(key, value)?,
            "cpuquota" => self.limits.cpu_quota = number(key, value)?,
            "cpusetcpus" => self.limits.cpuset_cpus = text,
            "cpusetmems" => self.limits.cpuset_mems = text,
            "image-resolve-mode" => {
                self.pull = match value {
                    "" | "default" | "local" => false,
                    "pull" => true,
                    _ => {
                        let text = format!("invalid image-resolve-mode: {value}");
                        return Err(Status::invalid(text));
                    }
                };
            }
            "multi-platform" => self.list = !value.is_empty() && !is_false(value),
            "requestid" if !value.is_empty() => self.request = Some(text),
            "cache-from" => self
                .cache_from
                .extend(list(value)?.into_iter().map(registry)),
            "cache-imports" => self.cache_from.extend(imports(value)?),
            key if IDLE.contains(&key) => {}
            "filename" | "context" | "requestid" => {}
            _ => return Err(unsupported(key)),
        }
        Ok(())
    }
}

fn unsupported(key: &str) -> Status {
    Status::unsupported(format!("build option {key} is not supported"))
}

/// The fields of a line of comma-separated values, which may be quoted.
fn list(text: &str) -> Result<Vec<String>, Status> {
    let fields = gantry_dockerfile::fields(text);
    let mut fields = fields.map_err(|error| Status::invalid(format!("{text}: {error}")))?;
    fields.retain(|field| !field.is_empty());
    Ok(fields)
}

/// The cache that an image has, or a name of a registry.
fn registry(name: String) -> Place {
    Place {
        kind: "registry".to_owned(),
        attributes: [("ref".to_owned(), name)].into(),
    }
}

/// Where results of others are looked for, as JSON of BuildKit's.
fn imports(text: &str) -> Result<Vec<Place>, Status> {
    let wrong = |error| Status::invalid(format!("failed to unmarshal cache-imports: {error}"));
    let entries: serde_json::Value = match text {
        "" => return Ok(Vec::new()),
        text => serde_json::from_str(text).map_err(wrong)?,
    };
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let place = |entry: &serde_json::Value| {
        let attributes = entry["Attrs"].as_object().into_iter().flatten();
        Place {
            kind: text(&entry["Type"]),
            attributes: attributes.map(|(k, v)| (k.clone(), text(v))).into_map(),
        }
    };
    Ok(entries
        .as_array()
        .into_iter()
        .flatten()
        .map(place)
        .collect())
}

/// `name=address` of BuildKit as `name:address`.
fn hosts(text: &str) -> Result<Vec<String>, Status> {
    let host = |field: String| {
        let Some((name, address)) = field.split_once('=') else {
            return Err(Status::invalid(format!("invalid key-value pair {field}")));
        };
        let address = address.trim_matches(['[', ']']);
        if address != "host-gateway" && address.parse::<std::net::IpAddr>().is_err() {
            return Err(Status::invalid(format!("failed to parse IP {address}")));
        }
        Ok(format!("{}:{address}", name.to_lowercase()))
    };
    list(text)?.into_iter().map(host).collect()
}

fn network(text: &str) -> Result<String, Status> {
    match text {
        "" | "default" => Ok(String::new()),
        "none" | "host" => Ok(text.to_owned()),
        "sandbox" => Ok(String::new()),
        other => Err(Status::invalid(format!("invalid netmode {other}"))),
    }
}

fn number<N: FromStr>(key: &str, text: &str) -> Result<N, Status> {
    let number = text.parse::<N>();
    number.map_err(|_| Status::invalid(format!("invalid {key} value: {text}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(given: &[(&str, &str)]) -> Result<Options, Status> {
        let given = given
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Options::of(&given.collect())
    }

    #[test]
    fn what_buildx_sends_is_understood() {
        let options = of(&[
            ("filename", "D"),
            ("build-arg:A", "1"),
            ("label:l", "x"),
            ("add-hosts", "A=10.0.0.1,b=::1"),
            ("no-cache", ""),
            ("platform", "linux/amd64,linux/arm64"),
            ("ulimit", "\"nofile=1:2\""),
            ("vcs:localdir:context", "x"),
            (
                "cache-imports",
                r#"[{"Type":"registry","Attrs":{"ref":"a/b"}},{"Type":"gha"}]"#,
            ),
            (
                "frontend.caps",
                "moby.buildkit.frontend.subrequests+forward",
            ),
        ])
        .unwrap();
        assert_eq!(options.filename, "D");
        assert_eq!(options.build_args["A"], "1");
        assert_eq!(options.add_hosts, ["a:10.0.0.1", "b:::1"]);
        assert_eq!(options.no_cache, Some(Vec::new()));
        assert_eq!(options.platforms.len(), 2);
        assert_eq!(options.ulimits, ["nofile=1:2"]);
        let kinds: Vec<&str> = options.cache_from.iter().map(|one| &*one.kind).collect();
        assert_eq!(kinds, ["registry", "gha"]);
        assert_eq!(options.cache_from[0].attributes["ref"], "a/b");
    }

    #[test]
    fn what_is_not_supported_is_named() {
        for (key, value) in [("nosuch:name", ""), ("nosuch", "x")] {
            let status = of(&[(key, value)]).unwrap_err();
            assert_eq!(status.code, crate::status::Code::Unimplemented);
            assert!(status.text.contains(key), "{}", status.text);
        }
        assert!(of(&[("add-hosts", "x")]).is_err());
        assert!(of(&[("shm-size", "x")]).is_err());
    }
}
