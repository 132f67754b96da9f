//! Known ways out of containers, one file each, written from their public
//! descriptions. Each file says how the test was seen to fail without the defence.

mod cgroup_link;
mod masked_paths;
mod mount_races;
mod own_program;
mod proc_writes;
mod release_agent;
mod swapping;
