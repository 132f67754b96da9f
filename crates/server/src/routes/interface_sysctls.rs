//! `--sysctl net.ipv4.conf.eth0.…`: a setting of one interface is its network's matter.
//! Clients of before 1.48 may put it beside the container's own, from where it moves to
//! the options of the endpoint; newer ones are told to put it there.

use gantry_api::{ApiVersion, ContainerCreate, EndpointSettings};

/// The option of an endpoint that has such settings.
const OPTION: &str = "com.docker.network.endpoint.sysctls";

/// Moves them, and says so.
///
/// # Errors
/// Docker's words where it is not known whose they are, or the client should know better.
pub(super) fn migrate(
    body: &mut ContainerCreate,
    version: ApiVersion,
) -> Result<Option<String>, String> {
    let mode = body.host_config.network_mode.as_str();
    let Some(sysctls) = &mut body.host_config.sysctls else {
        return Ok(None);
    };
    if mode == "host" || mode.starts_with("container:") {
        return Ok(None);
    }
    let (mut moved, mut settings) = (Vec::new(), Vec::new());
    for (key, value) in &*sysctls {
        let Some((interface, setting)) = of_interface(key, value) else {
            continue;
        };
        if version >= ApiVersion::new(1, 48) {
            return Err(format!(
                "interface specific sysctl setting {key:?} must be supplied using driver option \
                 '{OPTION}'"
            ));
        }
        if interface != "eth0" {
            return Err(format!(
                "unable to determine network endpoint for sysctl {key}, use driver option \
                 '{OPTION}' to set per-interface sysctls"
            ));
        }
        moved.push(key.clone());
        settings.push(setting);
    }
    let Some(first) = moved.first() else {
        return Ok(None);
    };
    sysctls.retain(|key, _| !moved.contains(key));
    if sysctls.is_empty() {
        body.host_config.sysctls = None;
    }
    let (moved, added) = (moved.join(","), settings.join(","));
    let warning = format!("Migrated sysctl {moved:?} to DriverOpts{{{OPTION:?}:{added:?}}}.");
    let endpoint = first_endpoint(body)
        .ok_or_else(|| format!("unable to find a network for sysctl {first}"))?;
    let options = endpoint.driver_opts.get_or_insert_default();
    let value = options.entry(OPTION.to_owned()).or_default();
    if !value.is_empty() {
        settings.insert(0, std::mem::take(value));
    }
    *value = settings.join(",");
    Ok(Some(warning))
}

/// The interface that a setting is of, and the setting in an endpoint's words.
fn of_interface<'a>(key: &'a str, value: &str) -> Option<(&'a str, String)> {
    let parts: Vec<&str> = key.splitn(5, '.').collect();
    let ["net", family, kind, interface, name] = parts[..] else {
        return None;
    };
    let setting = format!("net.{family}.{kind}.IFNAME.{name}={value}");
    interface.starts_with("eth").then_some((interface, setting))
}

/// What is wished of the network whose interface is `eth0`.
fn first_endpoint(body: &mut ContainerCreate) -> Option<&mut EndpointSettings> {
    let mode = match body.host_config.network_mode.as_str() {
        "" => "default",
        mode => mode,
    };
    let wishes = body
        .networking_config
        .endpoints_config
        .get_or_insert_default();
    let name = match wishes.keys().next() {
        // By its id, or as "bridge".
        Some(only) if wishes.len() == 1 => only.clone(),
        Some(_) if !wishes.contains_key(mode) => return None,
        _ => mode.to_owned(),
    };
    let wish = wishes.entry(name).or_default();
    Some(wish.get_or_insert_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &str) -> ContainerCreate {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn old_clients_settings_are_the_endpoints() {
        let text = r#"{"HostConfig":{"NetworkMode":"n","Sysctls":{"net.ipv4.conf.eth0.a.b":"1","net.core.x":"2"}}}"#;
        let mut old = body(text);
        let warning = migrate(&mut old, ApiVersion::new(1, 47)).unwrap().unwrap();
        assert_eq!(
            warning,
            "Migrated sysctl \"net.ipv4.conf.eth0.a.b\" to DriverOpts{\"com.docker.network.endpoint\
             .sysctls\":\"net.ipv4.conf.IFNAME.a.b=1\"}."
        );
        let wishes = old.networking_config.endpoints_config.unwrap();
        let options = wishes["n"].as_ref().unwrap().driver_opts.as_ref().unwrap();
        assert_eq!(options[OPTION], "net.ipv4.conf.IFNAME.a.b=1");
        assert_eq!(old.host_config.sysctls.unwrap().len(), 1);
        let told = migrate(&mut body(text), ApiVersion::MAX).unwrap_err();
        assert!(
            told.starts_with("interface specific sysctl setting"),
            "{told}"
        );
    }

    #[test]
    fn what_is_of_no_known_interface_stays_or_is_refused() {
        for (mode, key, moved) in [
            ("n", "net.ipv4.conf.all.x", Ok(None)),
            ("n", "net.ipv4.ip_forward", Ok(None)),
            ("host", "net.ipv4.conf.eth0.x", Ok(None)),
            ("n", "net.ipv4.conf.eth1.x", Err(())),
        ] {
            let text =
                format!(r#"{{"HostConfig":{{"NetworkMode":"{mode}","Sysctls":{{"{key}":"1"}}}}}}"#);
            let done = migrate(&mut body(&text), ApiVersion::MIN);
            assert_eq!(done.map_err(drop), moved, "{mode} {key}");
        }
    }
}
