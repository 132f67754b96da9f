//! Cgroups that systemd makes: a transient scope for each container, asked for
//! over D-Bus. systemd moves the container's first process there before it does
//! anything; what it does not know of (other hierarchies, limits without a
//! property, device rules) is set on the kernel's files as always.
//!
//! ```text
//! us                                     systemd
//! StartTransientUnit(unit, pid, …) ────▶
//!                                  ◀──── job
//!                                  ◀──── JobRemoved(job, "done")    the process is in its scope
//! limits, other hierarchies
//! …
//! StopUnit(unit) ──────────────────────▶                            when the container is over
//! ```

mod bus;
mod properties;
mod wire;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::group::Cgroup;
use crate::hierarchy::{Hierarchy, Version};
use crate::resources::Resources;
use bus::{Bus, Failure};
use wire::{Value, Writer};

const SLICE: &str = ".slice";
/// The slice of containers that name none.
const DEFAULT_SLICE: &str = "system.slice";
const UNIT_EXISTS: &str = "org.freedesktop.systemd1.UnitExists";

/// A scope: a unit of systemd's that holds processes which others have made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// The slice that it is in: `system.slice`.
    slice: String,
    /// Its name: `docker-0123.scope`.
    unit: String,
    /// The bus on which systemd is; not given, where systemd always is.
    bus: Option<PathBuf>,
}

impl Scope {
    /// The scope of the container `name`; `prefix` says whose it is. An empty
    /// slice is the default one.
    ///
    /// # Errors
    /// `InvalidPath` when these are no names of units.
    pub fn new(slice: &str, prefix: &str, name: &str) -> Result<Self> {
        let slice = if slice.is_empty() {
            DEFAULT_SLICE
        } else {
            slice
        };
        let unit = match prefix {
            // A container may be a slice by itself.
            "" => format!("{name}.scope"),
            prefix => format!("{prefix}-{name}.scope"),
        };
        let is_name = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
        if unit.len() > 255 || !unit.chars().all(is_name) {
            return Err(Error::InvalidPath(unit));
        }
        slice_path(slice)?;
        Ok(Self {
            slice: slice.to_owned(),
            unit,
            bus: bus::from_environment(),
        })
    }

    /// The same, of the systemd that is on this bus.
    pub fn on_bus(mut self, bus: PathBuf) -> Self {
        self.bus = Some(bus);
        self
    }

    /// Reads `slice:prefix:name`, as runc writes it into OCI's `cgroupsPath`.
    ///
    /// # Errors
    /// `InvalidPath` when it is something else.
    pub fn parse(path: &str) -> Result<Self> {
        let parts: Vec<&str> = path.split(':').collect();
        match parts[..] {
            [slice, prefix, name] => Self::new(slice, prefix, name),
            _ => Err(Error::InvalidPath(path.to_owned())),
        }
    }

    /// The path of its cgroup below each hierarchy's root.
    ///
    /// # Errors
    /// `InvalidPath`.
    pub fn path(&self) -> Result<String> {
        Ok(format!("{}/{}", slice_path(&self.slice)?, self.unit))
    }

    /// Has systemd make it, with a process in it, and sets the limits.
    ///
    /// # Errors
    /// `Systemd` when it refuses or does not answer; those of a cgroup. Then the
    /// scope ends with its process.
    pub fn start(&self, pid: u32, resources: &Resources) -> Result<Cgroup> {
        let unified = Hierarchy::current()?.version() == Version::V2;
        self.start_unit(pid, &properties::of(resources, unified))
            .map_err(|failure| self.failed("StartTransientUnit", failure))?;
        let group = Cgroup::in_scope(self.clone(), pid)?;
        match group.apply(resources) {
            Ok(()) => Ok(group),
            Err(error) => {
                self.stop();
                Err(error)
            }
        }
    }

    fn start_unit(
        &self,
        pid: u32,
        limits: &[(&'static str, Value)],
    ) -> std::result::Result<(), Failure> {
        let mut bus = Bus::connect(self.bus.as_deref())?;
        let mut job = bus.manager(
            "StartTransientUnit",
            "ssa(sv)a(sa(sv))",
            self.wish(pid, limits),
        );
        if let Err(Failure::Refused(name, _)) = &job
            && name == UNIT_EXISTS
        {
            // What failed earlier is kept by systemd until it is told to forget it.
            let mut unit = Writer::default();
            unit.text(&self.unit);
            let _ = bus.manager("ResetFailedUnit", "s", unit.into_bytes());
            job = bus.manager(
                "StartTransientUnit",
                "ssa(sv)a(sa(sv))",
                self.wish(pid, limits),
            );
        }
        let job = job?.body().text()?;
        match bus.wait_for(&job)?.as_str() {
            "done" => Ok(()),
            result => Err(Failure::Refused(result.to_owned(), String::new())),
        }
    }

    /// What `StartTransientUnit` is called with.
    fn wish(&self, pid: u32, limits: &[(&'static str, Value)]) -> Vec<u8> {
        let mut wish = Writer::default();
        wish.text(&self.unit);
        wish.text("replace");
        wish.array(8, |w| {
            let text = |text: &str| Value::Text(text.to_owned());
            w.property("Description", &text(&format!("container {}", self.unit)));
            w.property("Slice", &text(&self.slice));
            w.property("Delegate", &Value::Bool(true));
            w.property("PIDs", &Value::Pids(vec![pid]));
            for accounting in [
                "MemoryAccounting",
                "CPUAccounting",
                "IOAccounting",
                "TasksAccounting",
            ] {
                w.property(accounting, &Value::Bool(true));
            }
            w.property("DefaultDependencies", &Value::Bool(false));
            for (name, value) in limits {
                w.property(name, value);
            }
        });
        // No further units.
        wish.array(8, |_| ());
        wish.into_bytes()
    }

    /// Tells systemd of changed limits.
    pub(crate) fn update(&self, resources: &Resources) -> Result<()> {
        let unified = Hierarchy::current()?.version() == Version::V2;
        let changed = properties::of(resources, unified);
        if changed.is_empty() {
            return Ok(());
        }
        let mut wish = Writer::default();
        wish.text(&self.unit);
        // Until the unit ends.
        wish.bool(true);
        wish.array(8, |w| {
            changed
                .iter()
                .for_each(|(name, value)| w.property(name, value))
        });
        let told = Bus::connect(self.bus.as_deref())
            .and_then(|mut bus| bus.manager("SetUnitProperties", "sba(sv)", wish.into_bytes()));
        told.map(drop)
            .map_err(|failure| self.failed("SetUnitProperties", failure))
    }

    /// Tells systemd that it is over; one that has ended by itself is no failure.
    pub(crate) fn stop(&self) {
        let mut wish = Writer::default();
        wish.text(&self.unit);
        wish.text("replace");
        if let Ok(mut bus) = Bus::connect(self.bus.as_deref()) {
            // It ends with its last process anyway.
            let _ = bus.manager("StopUnit", "ss", wish.into_bytes());
            let mut unit = Writer::default();
            unit.text(&self.unit);
            let _ = bus.manager("ResetFailedUnit", "s", unit.into_bytes());
        }
    }

    fn failed(&self, operation: &'static str, failure: Failure) -> Error {
        let why = match failure {
            Failure::Io(error) => error.to_string(),
            Failure::Refused(name, words) if words.is_empty() => name,
            Failure::Refused(_, words) => words,
        };
        Error::Systemd {
            operation,
            unit: self.unit.clone(),
            why,
        }
    }
}

/// Whether systemd runs this machine, or is where the environment says.
pub fn systemd_is_there() -> bool {
    Path::new("/run/systemd/system").is_dir() || bus::from_environment().is_some()
}

/// The path of a slice's cgroup: `a-b.slice` is in `a.slice`.
fn slice_path(slice: &str) -> Result<String> {
    let invalid = || Error::InvalidPath(slice.to_owned());
    let name = slice.strip_suffix(SLICE).ok_or_else(invalid)?;
    if name == "-" {
        return Ok(String::new());
    }
    let mut path = String::new();
    let mut whole = String::new();
    for part in name.split('-') {
        let is_name = |c: char| c.is_ascii_alphanumeric() || ":_.\\@".contains(c);
        if part.is_empty() || !part.chars().all(is_name) {
            return Err(invalid());
        }
        whole = match whole.as_str() {
            "" => part.to_owned(),
            above => format!("{above}-{part}"),
        };
        path.push('/');
        path.push_str(&whole);
        path.push_str(SLICE);
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_nested_by_their_names() {
        let path = |slice: &str| slice_path(slice).unwrap();
        assert_eq!(path("system.slice"), "/system.slice");
        assert_eq!(path("a-b-c.slice"), "/a.slice/a-b.slice/a-b-c.slice");
        assert_eq!(path("-.slice"), "");
        for bad in [
            "a",
            ".slice",
            "a--b.slice",
            "-a.slice",
            "a-.slice",
            "a/b.slice",
            "/x.slice",
        ] {
            assert!(slice_path(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn scopes_have_runcs_names() {
        let scope = Scope::parse("machine.slice:libpod:0123").unwrap();
        assert_eq!(scope.path().unwrap(), "/machine.slice/libpod-0123.scope");
        let scope = Scope::parse("::x").unwrap();
        assert_eq!(scope.path().unwrap(), "/system.slice/x.scope");
        for bad in [
            "/a/b",
            "a.slice:b",
            "a:b:c",
            "a.slice:b:../c",
            "a.slice:b:c:d",
        ] {
            assert!(Scope::parse(bad).is_err(), "{bad}");
        }
    }
}
