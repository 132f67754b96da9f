//! Builds that run: what their client is told, what they have come to, and how they
//! are ended.

use gantry_types::sort::IntoMap;
use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use gantry_registry::Cancel;
use tokio::sync::oneshot;

use crate::exports::Exporter;
use crate::frontend::Solved;
use crate::llb::Allowed;
use crate::progress::Progress;
use crate::status::{Code, Status};

/// What a client's frontend has returned: a result's name, or nothing.
pub(crate) type Returned = Result<Option<Arc<Solved>>, Status>;

/// Where what a client's frontend returns arrives.
pub(crate) type Returning = oneshot::Receiver<Returned>;

/// The archive of a context, from whoever sends it.
pub(crate) type Archive = Box<dyn Read + Send>;

/// A build.
pub(crate) struct Build {
    pub(crate) id: String,
    /// The session of the client that asked for it.
    pub(crate) session: String,
    /// What the Dockerfile may ask for.
    pub(crate) allowed: Vec<String>,
    /// Whether no file of a new layer may be later than `SOURCE_DATE_EPOCH`.
    pub(crate) rewrites_times: bool,
    pub(crate) progress: Progress,
    pub(crate) created: SystemTime,
    /// Thrown when nobody wants the result any more.
    pub(crate) cancel: Cancel,
    /// What the frontend was given, for the history.
    options: Mutex<BTreeMap<String, String>>,
    results: Mutex<BTreeMap<String, Arc<Solved>>>,
    waiting: Mutex<Option<oneshot::Sender<Returned>>>,
    /// The context that came with the request.
    archive: Mutex<Option<Archive>>,
}

impl Build {
    /// A build, and where what its client returns arrives.
    pub(crate) fn new(
        id: String,
        session: String,
        cancel: Cancel,
        allowed: Vec<String>,
        exporters: &[Exporter],
    ) -> (Arc<Self>, Returning) {
        let (sender, receiver) = oneshot::channel();
        let build = Self {
            id,
            session,
            allowed,
            rewrites_times: exporters.iter().any(Exporter::rewrites_times),
            progress: Progress::new(),
            created: SystemTime::now(),
            cancel,
            options: Mutex::default(),
            results: Mutex::default(),
            waiting: Mutex::new(Some(sender)),
            archive: Mutex::default(),
        };
        (Arc::new(build), receiver)
    }

    /// Keeps what the frontend was given.
    pub(crate) fn note_options(&self, options: &BTreeMap<String, String>) {
        let mut noted = self.options.lock().unwrap_or_else(PoisonError::into_inner);
        // The history shows them: no password of a context's address stays in there.
        let shown = options.iter();
        *noted = shown
            .map(|(name, value)| match name.starts_with("context") {
                true => (name.clone(), gantry_git::redacted(value)),
                false => (name.clone(), value.clone()),
            })
            .into_map();
    }

    /// What the frontend was given.
    pub(crate) fn options(&self) -> BTreeMap<String, String> {
        let noted = self.options.lock();
        noted.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps a result; its name.
    pub(crate) fn keep(&self, solved: Arc<Solved>) -> String {
        let mut results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        let name = format!("{}::{}", self.id, results.len());
        results.insert(name.clone(), solved);
        name
    }

    /// A result by its name, or by that of one of its images: the result's, a slash and
    /// the image's platform.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn result(&self, name: &str) -> Result<Arc<Solved>, Status> {
        let results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        let at = name.rfind("::").unwrap_or(0);
        let end = name[at..].find('/').map_or(name.len(), |slash| at + slash);
        let whole = &name[..end];
        let found = results.get(whole).cloned();
        found.ok_or_else(|| Status::new(Code::NotFound, format!("no such ref: {name}")))
    }

    /// A result, with the configuration that its client says it has.
    ///
    /// # Errors
    /// When there is none, or when it is in use.
    pub(crate) fn configured(
        &self,
        name: &str,
        config: Option<&[u8]>,
    ) -> Result<Arc<Solved>, Status> {
        let solved = self.result(name)?;
        let known = solved.metadata().get("containerimage.config").cloned();
        let Some(config) = config.filter(|config| known.as_deref() != Some(*config)) else {
            return Ok(solved);
        };
        drop(solved);
        let mut results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        let mut solved = results
            .remove(name)
            .ok_or_else(|| Status::new(Code::NotFound, format!("no such ref: {name}")))?;
        match Arc::get_mut(&mut solved) {
            Some(solved) => solved.configure(config)?,
            None => return Err(Status::internal(format!("{name} is in use"))),
        }
        results.insert(name.to_owned(), Arc::clone(&solved));
        Ok(solved)
    }

    /// The place of the context that comes with the request, if one does.
    pub(crate) fn archive(&self) -> MutexGuard<'_, Option<Archive>> {
        self.archive.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What its client may ask for.
    pub(crate) fn allowed(&self) -> Allowed {
        let has = |name: &str| self.allowed.iter().any(|it| it == name);
        Allowed {
            host_network: has("network.host"),
            insecure: has("security.insecure"),
        }
    }

    /// The client's frontend is done.
    ///
    /// # Errors
    /// When it was done before.
    pub(crate) fn give_back(&self, returned: Returned) -> Result<(), Status> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(sender) = waiting.take() else {
            return Err(Status::invalid("a build returns once"));
        };
        // A build that nobody waits for any more was cancelled.
        drop(sender.send(returned));
        Ok(())
    }
}
