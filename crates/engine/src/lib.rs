//! The engine: Docker's nouns as services, and the flows that join the
//! subsystems below.
//!
//! ```text
//! events ◄── images ◄── volumes ◄── networks ◄── containers ◄── builds
//!                                           (each uses those to its left only)
//!                 ▲
//!               system (looks at all; changes nothing but what a check repairs)
//! ```
//!
//! Invariants:
//! * Every change is a transaction in the database first or last, never in
//!   between: what a client was told is there after a crash, and what it was
//!   not told is either whole or taken back at the next [`Engine::open`].
//! * No lock is held during work: mark, release, work, settle. Reads never wait
//!   for a container.
//! * The engine never makes a process for a container and mounts nothing that the
//!   host or a process could see: the container's shim does that.
//! * Nothing here knows HTTP. All methods block, except where they are `async`.

mod apparmor;
mod builds;
mod check;
mod check_at_rest;
mod clock;
mod config;
mod containers;
mod disk_usage;
mod engine;
mod error;
mod events;
mod images;
mod limits;
mod networks;
mod pattern;
mod registries;
mod stats;
mod system;
mod user_namespaces;
mod volumes;

pub use builds::{
    Agents, Borrowed, BuildEvent, BuildOutput, BuildPolicy, BuildRequest, Builds, CacheExport,
    CacheOrigin, CacheOrigins, CachePruneQuery, CacheSpace, ClassicContext, ClassicQuery,
    Destination, Enlisted, Exported, Kept, Received, Solved, Space, StepLimits, reason,
};
pub use check_at_rest::check_at_rest;
pub use config::{EngineConfig, LayerCompression, NetworkConfig, ShimProgram};
pub use containers::{
    AttachQuery, AttachStream, CommitQuery, Containers, Download, ExecStart, ExecStream, Export,
    ListQuery, LogStream, LogsQuery, RemoveOptions, StatsStream, UnpackQuery, VolumeCopyKind,
    WaitHandle,
};
pub use engine::Engine;
pub use error::{Error, Result};
pub use events::{EventSubscription, Events, EventsQuery};
pub use gantry_build::dockerfile::{Dialect, Options as BuildOptions};
pub use gantry_cgroup::systemd_is_there;
pub use gantry_image::Policy as ImagePolicy;
pub use gantry_trust::{Policy as TrustPolicy, Rule as TrustRule};
pub use gantry_volume::{Patience as VolumePatience, PluginFolders};
pub use images::{
    ArchiveFormat, ImageGc, Images, ImagesQuery, ImportQuery, PullQuery, PushQuery, SaveQuery,
    Saved,
};
pub use networks::Networks;
pub use registries::Registries;
pub use system::System;
pub use user_namespaces::IdMap;
pub use volumes::Volumes;

/// The door of the fuzz target: whether what a request says makes sense, as far
/// as its words are looked at before anything is made.
#[cfg(any(fuzzing, test))]
pub fn read_request(request: &gantry_api::ContainerCreate) -> bool {
    containers::read_request(request)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_door_of_the_fuzz_target_opens() {
        let mut request = gantry_api::ContainerCreate::default();
        assert!(super::read_request(&request));
        request.host_config.binds = Some(vec![":".to_owned()]);
        assert!(!super::read_request(&request));
    }
}
