//! In which cgroup a further process of a container is born: the container's,
//! or those below it that `--cgroup` names.

use std::path::PathBuf;

use gantry_cgroup::Cgroup;
use rustix::io::Errno;
use rustix::process::Pid;

use super::args::Arguments;
use super::error::{Error, Result};
use crate::exec::Exec;
use crate::launch::{CgroupJoin, Launched};

/// The cgroup, and files of single controllers through which it goes elsewhere.
pub(super) struct Place {
    cgroup: Option<Cgroup>,
    moves: Vec<PathBuf>,
}

impl Place {
    /// As `--cgroup` says; `own` is the container's.
    pub(super) fn wanted(args: &Arguments, own: Option<&str>) -> Result<Self> {
        let Some(own) = own else {
            return Ok(Self {
                cgroup: None,
                moves: Vec::new(),
            });
        };
        let given: Vec<&str> = args.values("cgroup").collect();
        let (mut whole, mut single) = (None, Vec::new());
        for text in &given {
            match text.split_once(':') {
                Some((controllers, path)) => single.push((*text, controllers, below(path)?)),
                None if given.len() == 1 => whole = Some(below(text)?),
                None => {
                    let why = "(missing <controller>: prefix)";
                    return Err(invalid(text, why));
                }
            }
        }
        let path = whole.map_or_else(|| own.to_owned(), |path| format!("{own}/{path}"));
        let cgroup = Cgroup::open(&path)?;
        let moves = moves(&cgroup, &single)?;
        Ok(Self {
            cgroup: Some(cgroup),
            moves,
        })
    }

    /// Has the process born there.
    pub(super) fn spawn(&self, exec: Exec<'_>) -> Result<Launched> {
        let Some(group) = &self.cgroup else {
            return exec.spawn().map_err(Error::Exec);
        };
        let enter = |pid: Pid| {
            let text = pid.as_raw_nonzero().to_string();
            let enter = |file: &PathBuf| {
                std::fs::write(file, &text)
                    .map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))
            };
            self.moves.iter().try_for_each(enter)
        };
        let spawned = group.birth(|fd| {
            let cgroup = match fd {
                _ if !self.moves.is_empty() => CgroupJoin::Attach(&enter),
                Some(fd) => CgroupJoin::Unified(fd),
                None => CgroupJoin::Inherit,
            };
            Exec { cgroup, ..exec }.spawn()
        })?;
        spawned.map_err(Error::Exec)
    }
}

/// The files that move a process for single controllers.
fn moves(cgroup: &Cgroup, single: &[(&str, &str, &str)]) -> Result<Vec<PathBuf>> {
    let locations = cgroup.locations();
    let mut seen = Vec::new();
    let mut files = Vec::new();
    for (text, controllers, path) in single {
        for controller in controllers.split(',') {
            if controller.is_empty() {
                return Err(invalid(text, "(empty <controller> prefix)"));
            }
            if seen.contains(&controller) {
                return Err(Error::Usage(format!(
                    "invalid --cgroup argument(s): controller {controller} specified multiple times"
                )));
            }
            seen.push(controller);
            let known = locations.iter().find(|(name, _)| name == controller);
            let unknown = || Error::Usage(format!("unknown controller {controller} in {text}"));
            let (_, dir) = known.ok_or_else(unknown)?;
            files.push(dir.join(path).join("cgroup.procs"));
        }
    }
    Ok(files)
}

fn invalid(text: &str, why: &str) -> Error {
    Error::Usage(format!("invalid --cgroup argument: {text} {why}"))
}

/// A path below the container's, and not above.
fn below(path: &str) -> Result<&str> {
    if path.split('/').any(|part| part == "..") {
        let text = format!("invalid --cgroup argument: {path} is not a sub cgroup path");
        return Err(Error::Usage(text));
    }
    Ok(path.trim_start_matches('/'))
}
