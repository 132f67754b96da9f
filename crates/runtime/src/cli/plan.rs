//! What `create` and `run` were told: options, and the bundle's document.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use gantry_cgroup::{Cgroup, Hierarchy, Resources, Scope, Version};
use gantry_oci::{Process, Spec};

use rustix::thread::CapabilitySet;

use super::args::Arguments;
use super::error::{Error, Result};
use super::{Context, console, store};
use crate::capability::CapabilityMask;
use crate::defaults;

/// A container about to be made.
pub(super) struct Plan<'a> {
    pub args: &'a Arguments,
    pub id: &'a str,
    pub bundle: PathBuf,
    pub spec: Spec,
    pub spec_text: Vec<u8>,
    /// Who is given the terminal's other side.
    pub console: Option<UnixStream>,
    /// Who is given a handle of the first process.
    pub pidfd: Option<UnixStream>,
    pub preserve_fds: u32,
    /// Whether it may do without a cgroup that cannot be made.
    rootless: bool,
    /// Whether systemd makes its cgroup.
    systemd: bool,
}

/// Where the process is to be.
pub(super) enum Place {
    /// Where its parent is.
    Here,
    /// In a cgroup of its own.
    Group(Cgroup),
    /// In one that systemd is yet to make.
    Scope(Scope, Resources),
}

impl Place {
    /// The cgroup, as far as it has been made.
    pub(super) fn group(&self) -> Option<&Cgroup> {
        match self {
            Self::Group(group) => Some(group),
            Self::Here | Self::Scope(..) => None,
        }
    }
}

impl<'a> Plan<'a> {
    /// Reads the bundle; nothing is made yet. `detached`: nobody stays to wait.
    pub(super) fn read(context: &Context, args: &'a Arguments, detached: bool) -> Result<Self> {
        let bundle = Path::new(args.value("bundle").unwrap_or("."));
        let bundle = bundle
            .canonicalize()
            .map_err(Error::file("chdir", bundle))?;
        let (mut spec, spec_text) = match store::read_spec(&bundle.join("config.json")) {
            Err(error) if error.is_missing() => {
                let text = "JSON specification file config.json not found";
                return Err(Error::Usage(text.to_owned()));
            }
            other => other?,
        };
        let terminal = spec.process.as_ref().is_some_and(|p| p.terminal);
        let socket = args.value("console-socket");
        if let Some(text) = terminal_problem(terminal, socket.is_some(), detached) {
            return Err(Error::Usage(text.to_owned()));
        }
        spec.process
            .iter()
            .flat_map(missing_capabilities)
            .for_each(|text| context.log.warn(&text));
        let listen_fds = pass_listen_fds(&mut spec);
        Ok(Self {
            args,
            id: args.rest()[0].as_str(),
            bundle,
            spec,
            spec_text,
            console: socket.map(console::connect).transpose()?,
            pidfd: args
                .value("pidfd-socket")
                .map(console::connect)
                .transpose()?,
            preserve_fds: args.number("preserve-fds")?.saturating_add(listen_fds),
            rootless: context.rootless,
            systemd: context.systemd,
        })
    }

    /// Whether the process has a terminal.
    pub(super) fn terminal(&self) -> bool {
        self.spec.process.as_ref().is_some_and(|p| p.terminal)
    }

    /// The directory of the root file system.
    pub(super) fn rootfs(&self) -> Result<PathBuf> {
        let root = self.spec.root.as_ref();
        let root = root.ok_or_else(|| Error::Usage("root must be specified".to_owned()))?;
        let path = self.bundle.join(&root.path);
        path.canonicalize()
            .map_err(|e| Error::file("stat", &path)(e).in_context("invalid rootfs"))
    }

    /// The cgroup: where the spec says, or beside its like.
    pub(super) fn place(&self) -> Result<Place> {
        let linux = self.spec.linux.as_ref();
        let wanted = linux.and_then(|l| l.cgroups_path.as_deref());
        let given = linux.and_then(|l| l.resources.as_ref());
        let mut oci = given.cloned().unwrap_or_default();
        if !oci.devices.is_empty() {
            oci.devices.extend(defaults::runtime_device_rules());
        }
        if !oci.unified.is_empty() && Hierarchy::current()?.version() != Version::V2 {
            let text = "invalid configuration: cannot use unified on cgroup v1";
            return Err(Error::Usage(text.to_owned()));
        }
        let resources = Resources::from_oci(&oci)?;
        if self.systemd {
            return Ok(Place::Scope(self.scope(wanted)?, resources));
        }
        let default = Path::new(gantry_cgroup::DEFAULT_PARENT).join(self.id);
        let path = Path::new("/").join(wanted.unwrap_or(&default));
        let text = |part: Option<&Path>| part.map(|p| p.to_string_lossy().into_owned());
        let parent = text(path.parent()).unwrap_or_else(|| "/".to_owned());
        let name = text(path.file_name().map(Path::new)).unwrap_or_else(|| self.id.to_owned());
        match Cgroup::create(&parent, &name, &resources) {
            Ok(group) => Ok(Place::Group(group)),
            // Without privilege and without limits there need be none.
            Err(_) if given.is_none() && self.rootless => Ok(Place::Here),
            Err(error) => Err(error.into()),
        }
    }

    fn scope(&self, wanted: Option<&Path>) -> Result<Scope> {
        let Some(wanted) = wanted else {
            return Ok(Scope::new("", "gantry", self.id)?);
        };
        let text = wanted.to_string_lossy();
        if text.split(':').count() != 3 {
            return Err(Error::Usage(format!(
                "expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups, \
                 got {text:?} instead"
            )));
        }
        Ok(Scope::parse(&text)?)
    }
}

/// What is wrong with this combination, in runc's words.
fn terminal_problem(terminal: bool, socket: bool, detached: bool) -> Option<&'static str> {
    match (terminal, socket, detached) {
        (true, false, true) => {
            Some("cannot allocate tty if runc will detach without setting console socket")
        }
        (false, true, true) => {
            Some("cannot use console socket if runc will not detach or allocate tty")
        }
        (_, true, false) => {
            Some("cannot use console socket if runc will not detach or allocate tty")
        }
        _ => None,
    }
}

/// What of the capabilities cannot be had.
pub(super) fn missing_capabilities(process: &Process) -> Vec<String> {
    let Some(sets) = &process.capabilities else {
        return Vec::new();
    };
    let had = |name: &str| {
        let number = CapabilityMask::number(name);
        let set = number.map(|number| CapabilitySet::from_bits_retain(1 << number));
        set.is_some_and(|set| rustix::thread::capability_is_in_bounding_set(set).unwrap_or(false))
    };
    let lists = [
        &sets.bounding,
        &sets.effective,
        &sets.permitted,
        &sets.inheritable,
        &sets.ambient,
    ];
    let mut unknown: Vec<&str> = Vec::new();
    for name in lists.into_iter().flatten() {
        if !had(name) && !unknown.contains(&name.as_str()) {
            unknown.push(name);
        }
    }
    let mut warnings = Vec::new();
    if !unknown.is_empty() {
        let names = unknown.join(" ");
        warnings.push(format!(
            "ignoring unknown or unavailable capabilities: [{names}]"
        ));
    }
    let held = |name: &&String| sets.inheritable.contains(name) && sets.permitted.contains(name);
    for name in sets.ambient.iter().filter(|name| !held(name)) {
        warnings.push(format!(
            "can't raise ambient capability {name}: operation not permitted"
        ));
    }
    warnings
}

/// Sockets that our own caller handed us by `LISTEN_FDS` go to the container.
fn pass_listen_fds(spec: &mut Spec) -> u32 {
    let count = std::env::var("LISTEN_FDS")
        .ok()
        .and_then(|text| text.parse().ok());
    let Some(count @ 1..) = count else {
        return 0;
    };
    if let Some(process) = &mut spec.process {
        let more = [format!("LISTEN_FDS={count}"), "LISTEN_PID=1".to_owned()];
        process.env.extend(more);
    }
    count
}
