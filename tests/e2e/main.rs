//! End-to-end tests: the real daemon, driven by the stock `docker` client.
//!
//! Each test starts a private daemon: its own roots, socket, cgroup parent and
//! network namespace, so tests run in parallel and leave nothing. With
//! `GANTRY_E2E_DOCKER=<socket>` the same scripts run against a real Docker
//! (`cargo xtask e2e --against docker`); what only gantry has is skipped there,
//! visibly.

mod harness;

mod api_clients;
mod apparmor;
mod attach;
mod bootstrap;
mod build_contexts;
mod build_git;
mod build_results;
mod build_ssh;
mod builds;
mod buildx;
mod buildx_caches;
mod buildx_exports;
mod buildx_platforms;
mod cli;
mod client_commands;
mod client_completion;
mod client_contexts;
mod client_help;
mod client_plugins;
mod compose;
mod crash;
mod daemon;
mod debian;
mod disk_check;
mod disk_check_beside;
mod disk_space;
mod dockerfiles;
mod errors;
mod escapes;
mod events;
mod exec;
mod exit_codes;
mod files;
mod firewall;
mod foreign;
mod health;
mod hostile_image;
mod images;
mod init;
mod leaks;
mod libraries;
mod lifecycle;
mod logs;
mod logs_options;
mod logs_rsyslog;
mod logs_services;
mod namespaces;
mod network;
mod network_faults;
mod network_links;
mod outlive;
mod pause;
mod proxies;
mod pull;
mod pull_faults;
mod pull_layers;
mod push;
mod push_faults;
mod reaper;
mod registries;
mod registry;
mod registry_words;
mod rename;
mod resources;
mod restart;
mod run;
mod security;
mod stalling;
mod states;
mod storage_options;
mod tokens;
mod top;
mod transcripts;
mod user_namespaces;
mod volume_copies;
mod volume_owners;
mod volume_plugins;
mod volumes;
