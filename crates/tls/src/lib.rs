//! The files of TLS: certificates, keys, and what servers and clients make of them.
//!
//! To begin with: [`ServerFiles::config`] and [`ClientFiles::config`].

mod client;
mod server;

use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

pub use client::ClientFiles;
pub use server::ServerFiles;

/// A file that is missing or cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", file.display())]
pub struct WrongFile {
    /// Which.
    pub file: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

impl WrongFile {
    fn new(file: &Path, reason: impl std::fmt::Display) -> Self {
        Self {
            file: file.to_owned(),
            reason: reason.to_string(),
        }
    }
}

/// The certificates in a PEM file; there may be none.
///
/// # Errors
/// When the file cannot be read, or one of them is damaged.
pub fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, WrongFile> {
    CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|error| WrongFile::new(file, error))
}

fn at_least_one(file: &Path) -> Result<Vec<CertificateDer<'static>>, WrongFile> {
    let found = certificates(file)?;
    match found.is_empty() {
        true => Err(WrongFile::new(file, "no certificate in it")),
        false => Ok(found),
    }
}
