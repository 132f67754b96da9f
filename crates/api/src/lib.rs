//! The words of the Docker Engine API: request and answer bodies, filters,
//! versions, the stream framing and the few encodings of its query strings.
//!
//! Invariant: what is serialized here is byte for byte what dockerd 28.5 prints
//! for the same values (its nulls, its empty lists, its field order), and every
//! `null` that a client sends means the zero value. Nothing here does I/O or
//! knows what a value is used for.

#[macro_use]
mod body;

mod auth;
mod check;
mod container;
mod decode;
mod disk_usage;
mod distribution;
mod error_body;
mod event;
mod explain;
mod filters;
mod image;
mod network;
mod network_body;
mod progress;
mod query;
mod stream;
mod system;
mod time;
mod version;
mod volume;

pub use auth::{AUTH_HEADER, AuthAnswer, AuthConfig};
pub use body::StrSlice;
pub use check::{CheckFinding, CheckLine, CheckSummary};
pub use container::{
    BlkioEntry, BlkioStats, BlkioThrottle, BlkioWeight, Config, ContainerCreate, ContainerCreated,
    ContainerInspect, ContainerState, ContainerStats, ContainerSummary, ContainerTop,
    ContainerUpdated, ContainersPruned, CpuStats, CpuUsage, Device, DeviceRequest, DriverConfig,
    Empty, ExecCreate, ExecCreated, ExecInspect, ExecProcessConfig, ExecStartOptions,
    FilesystemChange, GraphDriver, HealthCheck, HealthLog, HealthState, HostConfig, InterfaceStats,
    LogConfig, MemoryStats, Mount, MountBindOptions, MountImageOptions, MountPoint,
    MountTmpfsOptions, MountVolumeOptions, PATH_STAT_HEADER, PathStat, PidsStats, Port,
    RestartPolicy, SummaryHostConfig, SummaryNetworkSettings, ThrottlingData, Ulimit,
    WaitCondition, WaitError, WaitResponse, go_mode,
};
pub use decode::decode;
pub use disk_usage::{BuildCachePruned, BuildCacheRecord, DataRootUsage, DiskUsage};
pub use distribution::{
    DistributionDescriptor, DistributionInspect, DistributionPlatform, SearchResult,
};
pub use error_body::ErrorBody;
pub use event::{Actor, Event};
pub use explain::{PortExplained, PortWay};
pub use filters::{FilterError, Filters};
pub use image::{
    HistoryItem, ImageDeleted, ImageInspect, ImageInspectConfig, ImageMetadata, ImageSummary,
    ImagesPruned, RootFs,
};
pub use network::{
    Address, EndpointIpam, EndpointSettings, NetworkSettings, NetworkingConfig, PortBinding,
    PortMap,
};
pub use network_body::{
    ConfigReference, EndpointResource, Ipam, IpamConfig, NetworkConnect, NetworkCreate,
    NetworkCreated, NetworkDisconnect, NetworkInspect, NetworksPruned,
};
pub use progress::{ProgressDetail, ProgressError, ProgressMessage};
pub use query::query_bool;
pub use stream::{Demultiplexer, FRAME_HEADER_LEN, FrameError, StreamKind, frame_header};
pub use system::{
    Commit, Component, ContainerdInfo, FirewallInfo, Info, Namespaces, Platform, Plugins,
    RegistryConfig, RegistryIndex, RuntimeInfo, SwarmInfo, Version,
};
pub use time::{Timestamp, TimestampError, ZERO_TIME, rfc3339_nano};
pub use version::{ApiVersion, VersionError};
pub use volume::{Volume, VolumeCopy, VolumeCreate, VolumeList, VolumeUsage, VolumesPruned};
