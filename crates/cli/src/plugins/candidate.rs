//! Whether a file is a plug-in: it is run with one word, and has to answer with
//! an object that names its vendor and the version of these words.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::Plugin;
use crate::commands::is_own_word;
use crate::credentials::ended;

/// The word that asks a plug-in about itself.
const QUESTION: &str = "docker-cli-plugin-metadata";
/// No answer is longer.
const MAX_ANSWER: u64 = 1 << 20;
/// A plug-in that says nothing for so long does not hold up the help of all others.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether a plug-in may have this name.
pub(super) fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

/// The plug-in in the first of these files; `None` when there are none.
pub(super) fn ask(name: String, mut paths: Vec<PathBuf>) -> Option<Plugin> {
    if paths.is_empty() {
        return None;
    }
    let path = paths.remove(0);
    let (about, fault) = match about(&name, &path) {
        Ok(about) => (about, None),
        Err(fault) => (Map::new(), Some(fault)),
    };
    let plugin = Plugin {
        name,
        path,
        fault: fault.or_else(|| fault_in(&about)),
        about,
        shadowed: paths,
    };
    Some(plugin)
}

fn about(name: &str, path: &Path) -> Result<Map<String, Value>, String> {
    if !is_name(name) {
        return Err(format!(
            "plugin candidate {name:?} did not match \"^[a-z][a-z0-9]*$\""
        ));
    }
    if is_own_word(name) {
        return Err(format!("plugin {name:?} duplicates builtin command"));
    }
    let answer = call(path, &[QUESTION], &[])
        .map_err(|reason| format!("failed to fetch metadata: {reason}"))?;
    serde_json::from_slice(&answer).map_err(|error| format!("invalid metadata: {error}"))
}

fn fault_in(about: &Map<String, Value>) -> Option<String> {
    let text = |key| about.get(key).and_then(Value::as_str).unwrap_or("");
    let version = text("SchemaVersion");
    let major = version
        .split_once('.')
        .and_then(|(major, _)| major.parse::<u32>().ok());
    match major {
        _ if version.is_empty() => Some("plugin SchemaVersion version cannot be empty".to_owned()),
        None => Some(format!(
            "plugin SchemaVersion {version:?} has wrong format: must be <major>.<minor>.<patch>"
        )),
        Some(2..) => Some(format!(
            "plugin SchemaVersion {version:?} is not supported: must be lower than 2.0.0"
        )),
        Some(_) if text("Vendor").is_empty() => {
            Some("plugin metadata does not define a vendor".to_owned())
        }
        Some(_) => None,
    }
}

/// Runs a plug-in for what it writes to standard output.
pub(super) fn call(
    path: &Path,
    args: &[&str],
    environment: &[(&str, String)],
) -> Result<Vec<u8>, String> {
    let told = |error: std::io::Error| format!("fork/exec {}: {error}", path.display());
    let mut child = Command::new(path)
        .args(args)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(told)?;
    let (sender, receiver) = mpsc::channel();
    if let Some(output) = child.stdout.take() {
        std::thread::spawn(move || {
            let mut answer = Vec::new();
            let read = output.take(MAX_ANSWER).read_to_end(&mut answer);
            let _ = sender.send(read.map(|_| answer));
        });
    }
    let answer = match receiver.recv_timeout(PATIENCE) {
        Ok(Ok(answer)) if (answer.len() as u64) < MAX_ANSWER => Ok(answer),
        Ok(Ok(_)) => Err("its answer is too long".to_owned()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("it does not answer".to_owned()),
    };
    if answer.is_err() {
        let _ = child.kill();
    }
    let status = child.wait().map_err(told)?;
    let answer = answer?;
    match status.success() {
        true => Ok(answer),
        false => Err(ended(status)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        fault_in(&serde_json::from_str(text).unwrap()).unwrap_or_default()
    }

    #[test]
    fn names() {
        assert!(is_name("compose") && is_name("a1"));
        for name in ["", "1a", "Compose", "a-b", "a.sh", "ä"] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn what_it_has_to_say() {
        assert_eq!(fault(r#"{"SchemaVersion":"0.1.0","Vendor":"v"}"#), "");
        assert_eq!(fault(r#"{"SchemaVersion":"1.9.0","Vendor":"v"}"#), "");
        assert!(fault("{}").contains("cannot be empty"));
        assert!(fault(r#"{"SchemaVersion":"x"}"#).contains("wrong format"));
        assert!(fault(r#"{"SchemaVersion":"2.0.0"}"#).contains("not supported"));
        assert!(fault(r#"{"SchemaVersion":"0.1.0"}"#).contains("vendor"));
    }

    #[test]
    fn faults_of_files() {
        let missing = PathBuf::from("/nonexistent/docker-x");
        let plugin = ask("x".to_owned(), vec![missing]).unwrap();
        assert!(
            plugin
                .fault
                .unwrap()
                .starts_with("failed to fetch metadata: fork/exec")
        );
        let plugin = ask("run".to_owned(), vec!["/bin/true".into()]).unwrap();
        assert_eq!(
            plugin.fault.unwrap(),
            "plugin \"run\" duplicates builtin command"
        );
        let plugin = ask("x".to_owned(), vec!["/bin/false".into()]).unwrap();
        assert_eq!(
            plugin.fault.unwrap(),
            "failed to fetch metadata: exit status 1"
        );
        let plugin = ask("x".to_owned(), vec!["/bin/true".into(), "/y".into()]).unwrap();
        assert!(
            plugin
                .fault
                .as_ref()
                .unwrap()
                .starts_with("invalid metadata: ")
        );
        assert_eq!(plugin.to_json()["ShadowedPaths"], serde_json::json!(["/y"]));
    }
}
