//! Stopping and continuing all tasks: `freezer`, on v2 `cgroup.freeze`.

use std::thread;
use std::time::{Duration, Instant};

use crate::directory::Directory;
use crate::error::{Error, Result};
use crate::group::Cgroup;
use crate::hierarchy::Controller;

const PATIENCE: Duration = Duration::from_secs(2);

/// Whether the tasks run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FreezerState {
    /// They run.
    Thawed,
    /// Some are stopped already.
    Freezing,
    /// All are stopped.
    Frozen,
}

impl Cgroup {
    /// Stops every task, and returns when they have stopped.
    pub fn freeze(&self) -> Result<()> {
        let result = self.set_frozen(true);
        if result.is_err() {
            // Never leave half of it stopped.
            let _ = self.set_frozen(false);
        }
        result
    }

    /// Lets every task go on.
    pub fn thaw(&self) -> Result<()> {
        self.set_frozen(false)
    }

    /// Whether the tasks run. `Thawed` where the kernel has no freezer.
    pub fn freezer_state(&self) -> FreezerState {
        if let Some(dir) = self.v1_dir(Controller::Freezer) {
            return match dir.read("freezer.state").unwrap_or_default().trim() {
                "FROZEN" => FreezerState::Frozen,
                "FREEZING" => FreezerState::Freezing,
                _ => FreezerState::Thawed,
            };
        }
        let Some(dir) = &self.unified else {
            return FreezerState::Thawed;
        };
        match (
            dir.keyed("cgroup.events", "frozen"),
            dir.number("cgroup.freeze"),
        ) {
            (Some(1), _) => FreezerState::Frozen,
            (_, Some(1)) => FreezerState::Freezing,
            _ => FreezerState::Thawed,
        }
    }

    fn set_frozen(&self, frozen: bool) -> Result<()> {
        let (dir, write) = self.freezer(frozen)?;
        let wanted = if frozen {
            FreezerState::Frozen
        } else {
            FreezerState::Thawed
        };
        write(dir)?;
        let start = Instant::now();
        let mut pause = Duration::from_micros(50);
        while self.freezer_state() != wanted {
            if start.elapsed() > PATIENCE {
                return Err(Error::TimedOut {
                    operation: if frozen { "freeze" } else { "thaw" },
                    path: dir.path.clone(),
                });
            }
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(5));
            if frozen && self.v1_dir(Controller::Freezer).is_some() {
                // A task that was being cloned or traced may have slipped through.
                write(dir)?;
            }
        }
        Ok(())
    }

    #[expect(clippy::type_complexity, reason = "a directory and how to write to it")]
    fn freezer(&self, frozen: bool) -> Result<(&Directory, fn(&Directory) -> Result<()>)> {
        if let Some(dir) = self.v1_dir(Controller::Freezer) {
            return Ok(match frozen {
                true => (dir, |dir| dir.write("freezer.state", "FROZEN")),
                false => (dir, |dir| dir.write("freezer.state", "THAWED")),
            });
        }
        let Some(dir) = &self.unified else {
            return Err(Error::MissingController {
                controller: "freezer",
                limit: "running",
            });
        };
        Ok(match frozen {
            true => (dir, |dir| dir.write("cgroup.freeze", "1")),
            false => (dir, |dir| dir.write("cgroup.freeze", "0")),
        })
    }
}
