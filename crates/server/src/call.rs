//! One request on its way through a handler.

use std::sync::Arc;

use gantry_api::ApiVersion;
use gantry_engine::Engine;
use gantry_types::ErrorKind;
use http::HeaderMap;
use serde::de::DeserializeOwned;

use crate::body::{self, BodyReader};
use crate::error::{Failure, Result};
use crate::hijack::Takeover;
use crate::peers::Peer;
use crate::query::Query;
use crate::router::Params;
use crate::state::State;
use crate::upload::Upload;

/// A request, taken apart.
pub(crate) struct Call {
    pub(crate) state: Arc<State>,
    pub(crate) version: ApiVersion,
    pub(crate) query: Query,
    pub(crate) params: Params,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Upload>,
    /// The connection itself, for those who go on without HTTP.
    pub(crate) takeover: Takeover,
    /// Who asks.
    pub(crate) peer: Peer,
}

impl Call {
    /// What a placeholder of the route stands for.
    pub(crate) fn param(&self, name: &str) -> String {
        self.params
            .iter()
            .find(|(key, _)| *key == name)
            .map_or_else(String::new, |(_, value)| value.clone())
    }

    /// Runs a blocking call of the engine.
    ///
    /// # Errors
    /// Those of the call, and `Unavailable` while the daemon starts.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Engine) -> gantry_engine::Result<T> + Send + 'static,
    ) -> Result<T> {
        let engine = self.state.engine().await?;
        let done = tokio::task::spawn_blocking(move || work(&engine)).await;
        let done = done.map_err(|error| {
            Failure::new(ErrorKind::Internal, format!("internal error: {error}"))
        })?;
        Ok(done?)
    }

    /// The request's JSON; `None` when there is none.
    ///
    /// # Errors
    /// As [`body::read_json`].
    pub(crate) async fn json<T: DeserializeOwned + Default>(&mut self) -> Result<Option<T>> {
        match self.body.take() {
            Some(body) => body::read_json(&self.headers, body).await,
            None => body::check_type(&self.headers, false).map(|()| None),
        }
    }

    /// The request's bytes, for blocking code.
    pub(crate) fn reader(&mut self) -> BodyReader {
        BodyReader::new(self.body.take())
    }
}
