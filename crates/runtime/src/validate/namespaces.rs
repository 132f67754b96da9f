//! What needs a namespace of its own, and is refused where there is none.

use gantry_oci::{LinuxNamespaceType as Kind, Spec};

use super::refuse;
use crate::error::StartError;

/// Checks what the spec asks against its list of namespaces.
pub(super) fn check(spec: &Spec) -> Result<(), StartError> {
    let listed = |kind: Kind| {
        let mut all = spec.linux.iter().flat_map(|linux| &linux.namespaces);
        all.find(|namespace| namespace.kind == kind)
    };
    // Else it would be the host that is renamed.
    if listed(Kind::Uts).is_none() {
        for (name, wanted) in [
            ("hostname", &spec.hostname),
            ("domainname", &spec.domainname),
        ] {
            if wanted.as_ref().is_some_and(|wanted| !wanted.is_empty()) {
                let text = format!("unable to set {name} without a private UTS namespace");
                return Err(refuse(name, text));
            }
        }
    }
    let Some(linux) = &spec.linux else {
        return Ok(());
    };
    let mapped = !linux.uid_mappings.is_empty() || !linux.gid_mappings.is_empty();
    match listed(Kind::User) {
        None if mapped => {
            let text = "user namespace mappings specified, but user namespace isn't enabled in \
                        the config";
            return Err(refuse("linux.uidMappings", text));
        }
        Some(user) if user.path.is_none() && !mapped => {
            let text = "user namespaces enabled, but no namespace path to join nor mappings to \
                        apply specified";
            return Err(refuse("linux.uidMappings", text));
        }
        _ => {}
    }
    match listed(Kind::Time) {
        _ if linux.time_offsets.is_empty() => Ok(()),
        None => {
            let text = "time namespace offsets specified, but time namespace isn't enabled in \
                        the config";
            Err(refuse("linux.timeOffsets", text))
        }
        Some(time) if time.path.is_some() => {
            let text = "time namespace enabled, but both namespace path and time offsets \
                        specified -- you may only provide one";
            Err(refuse("linux.timeOffsets", text))
        }
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(rest: &str) -> Option<String> {
        let text = format!(r#"{{"ociVersion":"1.2.0",{rest}}}"#);
        let error = check(&serde_json::from_str(&text).unwrap()).err();
        error.map(|error| error.path)
    }

    #[test]
    fn the_host_keeps_its_name() {
        let named = |rest: &str| refused(rest).unwrap_or_default();
        assert_eq!(named(r#""hostname":"x""#), "hostname");
        assert_eq!(named(r#""domainname":"x""#), "domainname");
        let uts = r#""hostname":"x","domainname":"y","linux":{"namespaces":[{"type":"uts"}]}"#;
        assert_eq!(refused(uts), None);
    }

    #[test]
    fn mappings_and_offsets_need_their_namespace() {
        let map = r#"[{"containerID":0,"hostID":1,"size":1}]"#;
        let alone = format!(r#""linux":{{"uidMappings":{map}}}"#);
        assert_eq!(refused(&alone).as_deref(), Some("linux.uidMappings"));
        let unmapped = r#""linux":{"namespaces":[{"type":"user"}]}"#;
        assert_eq!(refused(unmapped).as_deref(), Some("linux.uidMappings"));
        let both = format!(r#""linux":{{"namespaces":[{{"type":"user"}}],"gidMappings":{map}}}"#);
        assert_eq!(refused(&both), None);
        let offsets = r#""timeOffsets":{"boottime":{"secs":1}}"#;
        for (namespaces, good) in [
            ("", false),
            (r#"{"type":"time","path":"/x"}"#, false),
            (r#"{"type":"time"}"#, true),
        ] {
            let text = format!(r#""linux":{{"namespaces":[{namespaces}],{offsets}}}"#);
            assert_eq!(refused(&text).is_none(), good, "{text}");
        }
    }
}
