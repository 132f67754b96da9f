//! The client side of registries (OCI distribution spec 1.1, Docker registry
//! v2): find a document, read a blob, send blobs and manifests, log in, search.
//!
//! Everything here blocks: callers are worker threads, one for each layer. What
//! a server says is hostile until checked: heads, documents, redirects and waits
//! are bounded, documents are compared with their digests. Only the bytes of
//! blobs are handed on unchecked, and never more of them than were asked for.
//!
//! ```text
//! Client ── repository(name, credentials) ──▶ Repository ── resolve, blob, upload …
//!                                                │ its endpoints, in order: mirrors, then the registry itself
//!                                                └ a Session: connections, tokens, retries, cancel
//! ```
//!
//! Knows nothing about images, stores or the Engine API.

mod auth;
mod blob;
mod cancel;
mod client;
mod config;
mod credentials;
mod document;
mod endpoint;
mod error;
#[cfg(any(fuzzing, test))]
mod fuzzing;
mod get;
mod http;
mod limits;
mod lists;
mod login;
mod proxy;
mod refusal;
mod repository;
mod search;
mod session;
#[cfg(test)]
mod testing;
mod tls;
mod upload;
mod url;
mod web;

pub use blob::Blob;
pub use cancel::Cancel;
pub use client::Client;
pub use config::{Config, Mirror, Rule};
pub use credentials::Credentials;
pub use document::{Document, RateLimit};
pub use error::{Error, Result};
#[cfg(fuzzing)]
pub use fuzzing::read_answer;
pub use get::Download;
pub use login::Login;
pub use proxy::{Proxies, masked as masked_proxy};
pub use refusal::Refusal;
pub use repository::Repository;
pub use search::Found;
pub use upload::Source;
pub use web::{WebAnswer, WebRequest, WebStream};
