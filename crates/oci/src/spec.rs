//! `config.json` as a whole; root, mounts and hooks.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{Linux, Process, is_off, nullable};

/// A container: `config.json`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Spec {
    /// The version of the specification that the document follows.
    #[serde(rename = "ociVersion")]
    pub version: String,
    /// The container's process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
    /// Its root file system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<Root>,
    /// Its host name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Its NIS domain name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domainname: Option<String>,
    /// Its mounts, in order.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub mounts: Vec<Mount>,
    /// Programs to be run at points of its life.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hooks: Option<Hooks>,
    /// Words that others put there.
    #[serde(
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "nullable"
    )]
    pub annotations: BTreeMap<String, String>,
    /// What is special to Linux.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linux: Option<Linux>,
}

/// The root file system.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Root {
    /// A directory, absolute or in the bundle.
    pub path: PathBuf,
    /// Whether the process may not change it.
    #[serde(skip_serializing_if = "is_off")]
    pub readonly: bool,
}

/// A mount.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Mount {
    /// Where, in the container.
    pub destination: PathBuf,
    /// The file system; binds have any word, or none.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<PathBuf>,
    /// How: as mount(8) has them, and a few more.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub options: Vec<String>,
    /// Users as the mount shows them.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub uid_mappings: Vec<crate::LinuxIdMapping>,
    /// Groups as the mount shows them.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub gid_mappings: Vec<crate::LinuxIdMapping>,
}

/// Programs by point of the container's life.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Hooks {
    /// Before the start, in the runtime's namespaces. Superseded by the next two.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub prestart: Vec<Hook>,
    /// While it is made, in the runtime's namespaces.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub create_runtime: Vec<Hook>,
    /// While it is made, in the container's namespaces.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub create_container: Vec<Hook>,
    /// Before its program runs, in the container.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub start_container: Vec<Hook>,
    /// After its program was started, in the runtime's namespaces.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub poststart: Vec<Hook>,
    /// After it was deleted, in the runtime's namespaces.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub poststop: Vec<Hook>,
}

/// A program to be run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Hook {
    /// Where it is.
    pub path: PathBuf,
    /// Its arguments, its own name first.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub args: Vec<String>,
    /// Its environment.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub env: Vec<String>,
    /// After how many seconds it has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_empty_is_not_written() {
        let spec = Spec {
            version: "1.2.0".to_owned(),
            root: Some(Root::default()),
            ..Spec::default()
        };
        let text = serde_json::to_string(&spec).unwrap();
        assert_eq!(text, r#"{"ociVersion":"1.2.0","root":{"path":""}}"#);
    }

    #[test]
    fn null_is_empty_and_the_unknown_is_passed_over() {
        let text = r#"{"ociVersion":"1.0.0","mounts":null,"annotations":null,"windows":{},"hooks":null,
            "process":{"cwd":"/","args":null,"capabilities":{"bounding":null},"selinuxLabel":"","x":[1]},
            "linux":{"seccomp":{"defaultAction":"SCMP_ACT_ALLOW","syscalls":null},"devices":null,"resources":{"devices":null}}}"#;
        let spec: Spec = serde_json::from_str(text).unwrap();
        assert!(spec.mounts.is_empty() && spec.hooks.is_none());
        assert!(spec.process.unwrap().args.is_empty());
    }

    #[test]
    fn names_are_the_specifications() {
        let text = r#"{"ociVersion":"1.2.0","process":{"terminal":true,"consoleSize":{"height":1,"width":2},"user":{"uid":1,"gid":2,"umask":18,"additionalGids":[3]},"args":["a"],"commandLine":"","cwd":"/","rlimits":[{"type":"RLIMIT_CPU","hard":1,"soft":1}],"noNewPrivileges":true,"oomScoreAdj":-5,"ioPriority":{"class":"IOPRIO_CLASS_BE","priority":4},"execCPUAffinity":{"initial":"0"}},"mounts":[{"destination":"/x","type":"bind","source":"/y","options":["bind"],"uidMappings":[{"containerID":0,"hostID":1,"size":2}]}],"linux":{"uidMappings":[{"containerID":0,"hostID":1000,"size":1}],"sysctl":{"a":"b"},"cgroupsPath":"/c","namespaces":[{"type":"pid"},{"type":"network","path":"/n"}],"devices":[{"path":"/dev/x","type":"c","major":1,"minor":2,"fileMode":438,"uid":0,"gid":0}],"rootfsPropagation":"slave","maskedPaths":["/m"],"readonlyPaths":["/r"],"mountLabel":"l","personality":{"domain":"LINUX32"},"timeOffsets":{"monotonic":{"secs":1,"nanosecs":2}}}}"#;
        let spec: Spec = serde_json::from_str(text).unwrap();
        let written = serde_json::to_value(&spec).unwrap();
        let mut wanted: serde_json::Value = serde_json::from_str(text).unwrap();
        wanted["process"]
            .as_object_mut()
            .unwrap()
            .remove("commandLine");
        assert_eq!(written, wanted);
    }
}
