//! provisional
#![allow(missing_docs, unused)]
use crate::error::{Error, Result};
use crate::events::Events;
use gantry_api::*;
use gantry_metadata::Database;
use gantry_snapshot::SnapshotDriver;
use gantry_types::{ImageId, Platform, ProcessConfig};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

#[derive(Clone)]
pub struct Images {}
#[derive(Debug, Clone, Default)]
pub struct ImagesQuery {
    pub all: bool,
    pub digests: bool,
    pub shared_size: bool,
    pub filters: Filters,
}
#[derive(Debug, Clone, Default)]
pub struct ImportQuery {
    pub source: String,
}
pub(crate) struct UsedImage {
    pub(crate) id: ImageId,
    pub(crate) platform: Platform,
    pub(crate) config: Option<ProcessConfig>,
    pub(crate) top: Option<String>,
}
impl Images {
    pub(crate) fn open(
        data_root: &Path,
        db: &Arc<Database>,
        s: &Arc<dyn SnapshotDriver>,
        e: Events,
    ) -> Result<Self> {
        Ok(Self {})
    }
    pub(crate) fn for_container(&self, name: &str) -> Result<UsedImage> {
        Err(Error::NotFound(String::new()))
    }
    pub(crate) fn descend_from(&self, names: &[String]) -> Result<Vec<String>> {
        Ok(vec![])
    }
    pub(crate) fn shown_as(&self, name: &str, id: &str) -> String {
        name.to_owned()
    }
    pub(crate) fn size(&self, id: &str) -> i64 {
        0
    }
    pub(crate) fn count(&self) -> Result<usize> {
        Ok(0)
    }
}
