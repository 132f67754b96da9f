//! A container's log: its files, written here, and its service, told by a
//! process of its own.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use gantry_logs::speak::{Service, Speaker};
use gantry_logs::{Settings, Stream, Writer};
use rustix::event::PollFlags;

use super::outlet::Outlet;

/// How long the service may take with the last output: less than whoever kills
/// a container waits for its end…
const PATIENCE: Duration = Duration::from_secs(5);
/// … and one for which nobody is to wait.
const LITTLE_PATIENCE: Duration = Duration::from_secs(1);

/// What can be ready of a log.
#[derive(Debug, Clone, Copy)]
pub(super) enum LogPart {
    /// The way to the process that tells the service.
    Way,
    /// That process: it has ended.
    Speaker,
}

pub(super) struct Log {
    writer: Writer,
    outlet: Option<Outlet>,
    /// Whether what came last could not be kept.
    failed: bool,
}

impl Log {
    /// Opens the files, and connects to the service.
    pub(super) fn open(settings: &Settings) -> gantry_logs::Result<Self> {
        let writer = Writer::open(settings.clone())?;
        let outlet = match Speaker::new(settings) {
            None => None,
            Some(mut speaker) => {
                speaker.connect()?;
                Some(Outlet::begin(settings, speaker)?)
            }
        };
        Ok(Self {
            writer,
            outlet,
            failed: false,
        })
    }

    /// Whether nobody wants to know what the container writes.
    pub(super) fn is_idle(&self) -> bool {
        self.writer.is_idle()
    }

    /// Takes output. The reason, when from now on it cannot be kept.
    pub(super) fn write(&mut self, stream: Stream, bytes: &[u8]) -> Option<String> {
        // A full disk must not disturb the container.
        let failure = self.writer.write(stream, bytes).err();
        self.pass_on();
        let first = failure.as_ref().filter(|_| !self.failed);
        let reason = first.map(ToString::to_string);
        self.failed = failure.is_some();
        reason
    }

    /// A stream has ended.
    pub(super) fn finish(&mut self, stream: Stream) {
        // A full disk: the rest of the output is lost.
        let _ = self.writer.finish(stream);
        self.pass_on();
    }

    fn pass_on(&mut self) {
        if let (Some(outlet), Some(records)) = (&mut self.outlet, self.writer.untold()) {
            outlet.push(records);
            records.clear();
        }
    }

    /// Whether the container has to wait for the service.
    pub(super) fn is_full(&self) -> bool {
        self.outlet.as_ref().is_some_and(Outlet::is_full)
    }

    /// What is waited for.
    pub(super) fn interests<'a>(&'a self, add: impl FnMut(LogPart, BorrowedFd<'a>, PollFlags)) {
        if let Some(outlet) = &self.outlet {
            outlet.interests(add);
        }
    }

    pub(super) fn serve(&mut self, part: LogPart, flags: PollFlags) {
        if let Some(outlet) = &mut self.outlet {
            outlet.serve(part, flags);
        }
    }

    /// No more comes.
    pub(super) fn end(&mut self) {
        if let Some(outlet) = &mut self.outlet {
            outlet.end();
        }
    }

    /// Whether the service has been told everything.
    pub(super) fn is_told(&self) -> bool {
        self.outlet.as_ref().is_none_or(Outlet::is_over)
    }

    /// How long the container's end waits for that.
    pub(super) fn patience(&self) -> Duration {
        match self.outlet.as_ref().and_then(Outlet::service) {
            Some(Service::Fluentd(fluentd)) if fluentd.asynchronous => LITTLE_PATIENCE,
            _ => PATIENCE,
        }
    }

    /// Gives back memory.
    pub(super) fn rest(&mut self) {
        self.writer.rest();
        if let Some(outlet) = &mut self.outlet {
            outlet.rest();
        }
    }

    /// Compresses what is left to compress; who has not been told by now never is.
    pub(super) fn close(self) {
        self.writer.close();
        if let Some(outlet) = self.outlet {
            outlet.close();
        }
    }
}
