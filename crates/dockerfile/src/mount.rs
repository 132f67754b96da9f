//! `RUN --mount=type=…,target=…`: its keys, and which of them go together.
//!
//! The text is read twice, as in BuildKit: with the file, where only `from` can
//! be known, and when the step is made, with the variables of that moment.

use crate::csv::fields;
use crate::error::Error;
use crate::suggest::Case;

const KEYS: [&str; 19] = [
    "type",
    "from",
    "source",
    "target",
    "readonly",
    "id",
    "sharing",
    "required",
    "size",
    "mode",
    "uid",
    "gid",
    "src",
    "dst",
    "destination",
    "ro",
    "rw",
    "readwrite",
    "env",
];

/// What is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum MountType {
    /// Files of the context, a stage or an image.
    #[default]
    Bind,
    /// A directory that outlives the build.
    Cache,
    /// Memory.
    Tmpfs,
    /// A file that the user hands over and that stays in no layer.
    Secret,
    /// The user's ssh agent.
    Ssh,
}

impl MountType {
    const ALL: [Self; 5] = [
        Self::Bind,
        Self::Cache,
        Self::Tmpfs,
        Self::Secret,
        Self::Ssh,
    ];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bind => "bind",
            Self::Cache => "cache",
            Self::Tmpfs => "tmpfs",
            Self::Secret => "secret",
            Self::Ssh => "ssh",
        }
    }
}

/// Who may use a cache at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Sharing {
    /// Everybody.
    #[default]
    Shared,
    /// Everybody who comes while it is in use gets another one.
    Private,
    /// One after the other.
    Locked,
}

impl Sharing {
    const ALL: [Self; 3] = [Self::Shared, Self::Private, Self::Locked];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Private => "private",
            Self::Locked => "locked",
        }
    }
}

/// A mount of one step, checked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mount {
    /// What is mounted.
    pub kind: MountType,
    /// The stage, named context or image; empty for the build context.
    pub from: String,
    /// The path in there, or the id of a secret; may be empty.
    pub source: String,
    /// Where; may be empty for secrets and ssh.
    pub target: String,
    /// Whether it cannot be written.
    pub read_only: bool,
    /// The limit of a tmpfs in bytes, 0 for none.
    pub size: u64,
    /// The id of a cache, a secret or an agent; may be empty.
    pub id: String,
    /// Of a cache, if given.
    pub sharing: Option<Sharing>,
    /// Whether the step fails when the user hands nothing over.
    pub required: bool,
    /// The variable that holds a secret; empty for one named as the secret.
    pub env: Option<String>,
    /// Permissions of a secret, socket or new cache.
    pub mode: Option<u32>,
    /// Owner of a secret, socket or new cache.
    pub uid: Option<u32>,
    /// Group of a secret, socket or new cache.
    pub gid: Option<u32>,
}

/// A `--mount` as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountText {
    text: String,
    fields: Vec<String>,
}

impl MountText {
    /// Fails on bad quotes, and on a `from` that is to be expanded.
    pub(crate) fn new(text: &str) -> Result<Self, Error> {
        let fields = fields(text).map_err(|error| error.context("failed to parse csv mounts"))?;
        for field in &fields {
            if let Some((key, value)) = field.split_once('=')
                && key.eq_ignore_ascii_case("from")
                && value.find('$').is_some_and(|at| at + 1 != value.len())
            {
                return Err(Error::new(
                    "'from' doesn't support variable expansion, define alias stage instead",
                ));
            }
        }
        Ok(Self {
            text: text.to_owned(),
            fields,
        })
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The stage, context or image that it mounts from, as it is known before
    /// any variable is; none for kinds that have none.
    pub fn from(&self) -> Option<&str> {
        let mut from = None;
        for field in &self.fields {
            if let Some((key, value)) = field.split_once('=')
                && key.eq_ignore_ascii_case("from")
            {
                from = Some(value);
            }
        }
        from.filter(|from| !from.is_empty())
    }

    /// The mount, every value expanded by `expand`. Fails, in BuildKit's words,
    /// on what is unknown, malformed, or does not go together.
    pub fn resolve(
        &self,
        mut expand: impl FnMut(&str) -> Result<String, Error>,
    ) -> Result<Mount, Error> {
        let mut mount = Mount::default();
        let mut read_only = None;
        for field in &self.fields {
            let (key, value) = match field.split_once('=') {
                Some((key, value)) => (key.to_lowercase(), Some(expand(value)?)),
                None => (field.to_lowercase(), None),
            };
            match (key.as_str(), value) {
                ("readonly" | "ro", value) => read_only = Some(switch(&key, value)?),
                ("readwrite" | "rw", value) => read_only = Some(!switch(&key, value)?),
                ("required", value) => {
                    if !matches!(mount.kind, MountType::Secret | MountType::Ssh) {
                        return Err(unexpected(&key, mount.kind));
                    }
                    mount.required = switch(&key, value)?;
                }
                (_, None) => {
                    return Err(Error::new(format!(
                        "invalid field '{field}' must be a key=value pair"
                    )));
                }
                (_, Some(value)) => mount.set(&key, value, field)?,
            }
        }
        mount.read_only =
            read_only.unwrap_or(!matches!(mount.kind, MountType::Cache | MountType::Tmpfs));
        mount.check()?;
        Ok(mount)
    }
}

impl Mount {
    fn set(&mut self, key: &str, value: String, field: &str) -> Result<(), Error> {
        match key {
            "type" => self.kind = kind(&value)?,
            "from" => self.from = value,
            "source" | "src" => self.source = value,
            "target" | "dst" | "destination" => self.target = value,
            "size" => {
                if self.kind != MountType::Tmpfs {
                    return Err(unexpected(key, self.kind));
                }
                let size = gantry_types::units::parse_size(&value).ok();
                self.size = size
                    .and_then(|size| u64::try_from(size).ok())
                    .ok_or_else(|| invalid(key, &value))?;
            }
            "id" => self.id = value,
            "sharing" => self.sharing = Some(sharing(&value)?),
            "mode" => self.mode = Some(number(key, &value, 8)?),
            "uid" => self.uid = Some(number(key, &value, 10)?),
            "gid" => self.gid = Some(number(key, &value, 10)?),
            "env" => self.env = Some(value),
            _ => {
                let error = Error::new(format!("unexpected key '{key}' in '{field}'"));
                return Err(error.suggest(key, KEYS, Case::Sensitive));
            }
        }
        Ok(())
    }

    /// What does not go together.
    fn check(&self) -> Result<(), Error> {
        let name = self.kind.name();
        if matches!(self.kind, MountType::Bind | MountType::Tmpfs) {
            let given = [
                ("mode", self.mode.is_some()),
                ("uid", self.uid.is_some()),
                ("gid", self.gid.is_some()),
            ];
            if let Some((key, _)) = given.iter().find(|(_, given)| *given) {
                return Err(Error::new(format!(
                    "{key} not allowed for \"{name}\" type mounts"
                )));
            }
        }
        if self.kind == MountType::Secret {
            let refusal = if !self.from.is_empty() {
                Some("secret mount should not have a from")
            } else if self.sharing.is_some() {
                Some("secret mount should not define sharing")
            } else if self.source.is_empty() && self.target.is_empty() && self.id.is_empty() {
                Some("invalid secret mount. one of source, target required")
            } else if !self.source.is_empty() && !self.id.is_empty() {
                Some("both source and id can't be set")
            } else {
                None
            };
            if let Some(refusal) = refusal {
                return Err(Error::new(refusal));
            }
        }
        if self.sharing.is_some() && self.kind != MountType::Cache {
            return Err(Error::new(format!(
                "invalid cache sharing set for {name} mount"
            )));
        }
        Ok(())
    }
}

fn kind(value: &str) -> Result<MountType, Error> {
    let lower = value.to_lowercase();
    MountType::ALL
        .into_iter()
        .find(|kind| kind.name() == lower)
        .ok_or_else(|| {
            let names = MountType::ALL.map(MountType::name);
            let value = crate::shell::quoted(value);
            Error::new(format!("unsupported mount type {value}")).suggest(
                value.trim_matches('"'),
                names,
                Case::Sensitive,
            )
        })
}

fn sharing(value: &str) -> Result<Sharing, Error> {
    let lower = value.to_lowercase();
    Sharing::ALL
        .into_iter()
        .find(|sharing| sharing.name() == lower)
        .ok_or_else(|| {
            let quoted = crate::shell::quoted(value);
            let names = Sharing::ALL.map(Sharing::name);
            Error::new(format!("unsupported sharing value {quoted}")).suggest(
                value,
                names,
                Case::Sensitive,
            )
        })
}

/// A switch without a value is on.
fn switch(key: &str, value: Option<String>) -> Result<bool, Error> {
    match value.as_deref() {
        None | Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
        Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
        Some(value) => Err(invalid(key, value)),
    }
}

fn number(key: &str, value: &str, radix: u32) -> Result<u32, Error> {
    let bad = || Error::new(format!("invalid value {value} for {key}"));
    if value.starts_with('+') {
        return Err(bad());
    }
    u32::from_str_radix(value, radix).map_err(|_| bad())
}

fn invalid(key: &str, value: &str) -> Error {
    Error::new(format!("invalid value for {key}: {value}"))
}

fn unexpected(key: &str, kind: MountType) -> Error {
    let kind = kind.name();
    Error::new(format!("unexpected key '{key}' for mount type '{kind}'"))
}
