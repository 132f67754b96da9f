//! Known ways out of containers that need the whole engine, one file each, written
//! from their public descriptions. Each file names the defence.
//! Those that need the runtime alone are with its own tests.

mod ambient_capabilities;
mod exec_descriptors;
mod own_program;
mod working_directory;
