//! A plug-in as a driver: Docker's volume plug-in protocol, version 1.2.
//!
//! ```text
//! POST /Plugin.Activate             {"Implements": ["VolumeDriver", …]}
//! POST /VolumeDriver.Capabilities   {"Capabilities": {"Scope": …}}
//! POST /VolumeDriver.{Create,Get,List,Remove,Mount,Unmount}   {…, "Err": ""}
//! ```

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::address::Address;
use super::exchange::{self, Answer};
use crate::driver::{Found, Pairs, VolumeDriver};
use crate::{Error, Result};

/// How long a plug-in that does not listen (yet) is waited for when a container is to
/// start: it may be one that starts at the same time.
const STARTING: Duration = Duration::from_secs(5);

/// How long plug-ins may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For what is only told.
    pub asking: Duration,
    /// For what is done.
    pub working: Duration,
}

impl Default for Patience {
    /// Docker's.
    fn default() -> Self {
        Self {
            asking: Duration::from_secs(60),
            working: Duration::from_secs(120),
        }
    }
}

/// Why a plug-in did not do what it was asked.
pub(super) struct Refusal {
    pub(super) text: String,
    /// Whether it may be something of the connection, and not the plug-in's answer.
    pub(super) unanswered: bool,
}

/// A plug-in that is there and drives volumes.
pub struct Plugin {
    name: String,
    pub(super) address: Address,
    patience: Patience,
    scope: String,
}

impl Plugin {
    /// Asks who it is. `Ok(None)`: something else than volumes.
    pub(super) fn activate(
        name: &str,
        address: Address,
        patience: Patience,
    ) -> Result<Option<Self>, Refusal> {
        let mut plugin = Self {
            name: name.to_owned(),
            address,
            patience,
            scope: "local".to_owned(),
        };
        let asking = patience.asking;
        let said = plugin.ask("Plugin.Activate", None, asking)?;
        let implements = said["Implements"].as_array();
        if !implements.is_some_and(|all| all.iter().any(|one| one == "VolumeDriver")) {
            return Ok(None);
        }
        // Old ones have none.
        if let Ok(said) = plugin.ask("VolumeDriver.Capabilities", Some(json!({})), asking)
            && said["Capabilities"]["Scope"]
                .as_str()
                .map(str::to_ascii_lowercase)
                == Some("global".to_owned())
        {
            "global".clone_into(&mut plugin.scope);
        }
        Ok(Some(plugin))
    }

    fn ask(&self, what: &str, body: Option<Value>, patience: Duration) -> Result<Value, Refusal> {
        let body = body.map_or_else(String::new, |body| body.to_string());
        let answer = exchange::ask(&self.address, &format!("/{what}"), &body, patience);
        let answer = answer.map_err(|why| {
            let text = format!("Post \"http://plugin.moby.localhost/{what}\": {why}");
            refusal(text, true)
        })?;
        understood(what, &answer)
    }

    fn volume(
        &self,
        what: &str,
        (name, id): (&str, &str),
        patience: Duration,
    ) -> Result<Value, Refusal> {
        let mut body = json!({"Name": name});
        if !id.is_empty() {
            body["ID"] = id.into();
        }
        self.ask(&format!("VolumeDriver.{what}"), Some(body), patience)
    }
}

fn refusal(text: String, unanswered: bool) -> Refusal {
    Refusal { text, unanswered }
}

/// What an answer says.
fn understood(what: &str, answer: &Answer) -> Result<Value, Refusal> {
    let said: Result<Value, _> = serde_json::from_slice(&answer.body);
    let told = |said: &Value| said["Err"].as_str().unwrap_or_default().to_owned();
    if answer.status != 200 {
        let text = match &said {
            Ok(said) if !told(said).is_empty() => told(said),
            _ => short(&answer.body),
        };
        return Err(refusal(format!("{what}: {text}"), false));
    }
    match said {
        Ok(said) if said.is_object() => match told(&said) {
            text if text.is_empty() => Ok(said),
            text => Err(refusal(text, false)),
        },
        _ => {
            let text = format!(
                "{what}: the answer is no JSON object: {}",
                short(&answer.body)
            );
            Err(refusal(text, true))
        }
    }
}

/// The door of the fuzz target: all that an answer is taken for.
#[cfg(fuzzing)]
pub fn read_answer(mut bytes: &[u8]) {
    let Ok(answer) = exchange::read(&mut bytes) else {
        return;
    };
    if let Ok(said) = understood("Fuzz", &answer) {
        let _ = (path(&said), found(&said["Volume"]));
        let all = said["Volumes"].as_array().into_iter().flatten();
        all.for_each(|one| drop(found(one)));
    }
}

/// A text of foreign origin that is shown.
fn short(bytes: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(bytes)
        .trim()
        .chars()
        .take(1000)
        .collect();
    text.replace(char::is_control, " ")
}

/// A driver's failure, told with the operation and the volume.
fn failed<'n>(operation: &'static str, name: &'n str) -> impl Fn(Refusal) -> Error + use<'n> {
    move |refusal| Error::Driver {
        operation,
        name: name.to_owned(),
        why: refusal.text,
    }
}

fn path(said: &Value) -> Result<PathBuf, String> {
    let text = said["Mountpoint"].as_str().unwrap_or_default();
    let plain = text.starts_with('/') && !text.contains('\0') && text.len() < 4096;
    match plain || text.is_empty() {
        true => Ok(text.into()),
        false => Err(format!("{:?} is no absolute path", short(text.as_bytes()))),
    }
}

fn found(said: &Value) -> Option<Found> {
    let name = said["Name"].as_str().filter(|name| !name.is_empty())?;
    Some(Found {
        name: name.to_owned(),
        mountpoint: path(said).unwrap_or_default(),
        created_at: said["CreatedAt"].as_str().unwrap_or_default().to_owned(),
        status: said["Status"]
            .as_object()
            .filter(|all| !all.is_empty())
            .cloned(),
    })
}

impl VolumeDriver for Plugin {
    fn name(&self) -> &str {
        &self.name
    }

    fn scope(&self) -> &str {
        &self.scope
    }

    fn create(&self, name: &str, options: &Pairs) -> Result<()> {
        let options = Some(options).filter(|options| !options.is_empty());
        let body = json!({"Name": name, "Opts": options});
        self.ask("VolumeDriver.Create", Some(body), self.patience.working)
            .map(drop)
            .map_err(failed("create", name))
    }

    fn get(&self, name: &str) -> Result<Option<Found>> {
        match self.volume("Get", (name, ""), self.patience.asking) {
            // Of another one is a lie.
            Ok(said) => Ok(found(&said["Volume"]).filter(|found| found.name == name)),
            // Whatever it says, there is none that it would give.
            Err(refusal) if !refusal.unanswered => Ok(None),
            Err(refusal) => Err(Error::Driver {
                operation: "get",
                name: name.to_owned(),
                why: format!(
                    "error while checking if volume {name:?} exists in driver {:?}: {}",
                    self.name, refusal.text
                ),
            }),
        }
    }

    fn list(&self) -> Result<Vec<Found>> {
        let said = self
            .ask("VolumeDriver.List", Some(json!({})), self.patience.asking)
            .map_err(failed("list", &self.name))?;
        let all = said["Volumes"].as_array().into_iter().flatten();
        Ok(all.filter_map(found).collect())
    }

    fn remove(&self, name: &str) -> Result<()> {
        self.volume("Remove", (name, ""), self.patience.working)
            .map(drop)
            .map_err(failed("remove", name))
    }

    fn mount(&self, name: &str, id: &str) -> Result<PathBuf> {
        let patient_until = Instant::now() + STARTING.min(self.patience.working);
        let said = loop {
            match self.volume("Mount", (name, id), self.patience.working) {
                Err(refusal)
                    if refusal.text.contains(": connect: ") && Instant::now() < patient_until =>
                {
                    std::thread::sleep(Duration::from_millis(200));
                }
                said => break said,
            }
        };
        let refused = |why: String, unanswered| Error::Mount { why, unanswered };
        let said = said.map_err(|refusal| refused(refusal.text, refusal.unanswered))?;
        match path(&said) {
            Ok(path) if path.as_os_str().is_empty() => {
                let why = format!("plug-in {:?} said no mountpoint", self.name);
                Err(refused(why, true))
            }
            Ok(path) => Ok(path),
            Err(why) => Err(refused(format!("plug-in {:?}: {why}", self.name), true)),
        }
    }

    fn unmount(&self, name: &str, id: &str) -> Result<()> {
        self.volume("Unmount", (name, id), self.patience.working)
            .map(drop)
            .map_err(failed("unmount", name))
    }
}
