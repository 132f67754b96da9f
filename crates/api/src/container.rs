//! Bodies of `/containers/*`.

mod config;
mod create;
mod exec;
mod files;
mod host_config;
mod inspect;
mod mount;
mod stats;
mod summary;
mod top;
mod wait;

pub use config::{Config, Empty, HealthCheck};
pub use create::{ContainerCreate, ContainerCreated, ContainerUpdated, ContainersPruned};
pub use exec::{ExecCreate, ExecCreated, ExecInspect, ExecProcessConfig, ExecStartOptions};
pub use files::{FilesystemChange, PATH_STAT_HEADER, PathStat, go_mode};
pub use host_config::{
    BlkioThrottle, BlkioWeight, Device, DeviceRequest, HostConfig, LogConfig, RestartPolicy, Ulimit,
};
pub use inspect::{
    ContainerInspect, ContainerState, GraphDriver, HealthLog, HealthState, MountPoint,
};
pub use mount::{
    DriverConfig, Mount, MountBindOptions, MountImageOptions, MountTmpfsOptions, MountVolumeOptions,
};
pub use stats::{
    BlkioEntry, BlkioStats, ContainerStats, CpuStats, CpuUsage, InterfaceStats, MemoryStats,
    PidsStats, ThrottlingData,
};
pub use summary::{ContainerSummary, Port, SummaryHostConfig, SummaryNetworkSettings};
pub use top::ContainerTop;
pub use wait::{WaitCondition, WaitError, WaitResponse};
