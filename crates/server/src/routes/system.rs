//! `_ping`, `version`, `info`, and `plugins`, of which there are none.

use gantry_api::{ApiVersion, CheckLine, Info, ProgressMessage};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use crate::body::{Answer, Content, json, no_content, with_type};
use crate::call::Call;
use crate::error::Result;
use crate::router::Router;
use crate::routes::images;
use crate::stream;

pub(super) fn routes(router: &mut Router) {
    router.add(Method::GET, "/_ping", ping);
    router.add(Method::HEAD, "/_ping", ping_head);
    router.add(Method::GET, "/version", version);
    router.add(Method::GET, "/info", info);
    router.add(Method::GET, "/system/df", disk_usage);
    router.add(Method::POST, "/gantry/system/check", check);
    router.add(Method::GET, "/plugins", plugins);
    router.add(Method::OPTIONS, "/{any..}", options);
}

async fn ping(call: Call) -> Result<Answer> {
    let text = "text/plain; charset=utf-8";
    let mut answer = with_type(StatusCode::OK, text, Content::full("OK"));
    add_ping_headers(answer.headers_mut(), call.state.builder_version());
    Ok(answer)
}

async fn ping_head(call: Call) -> Result<Answer> {
    let text = "text/plain; charset=utf-8";
    let mut answer = with_type(StatusCode::OK, text, Content::empty());
    add_ping_headers(answer.headers_mut(), call.state.builder_version());
    let none = HeaderValue::from_static("0");
    answer.headers_mut().insert(header::CONTENT_LENGTH, none);
    Ok(answer)
}

fn add_ping_headers(headers: &mut HeaderMap, builder: &'static str) {
    for (name, value) in [
        ("builder-version", builder),
        ("cache-control", "no-cache, no-store, must-revalidate"),
        ("pragma", "no-cache"),
        ("swarm", "inactive"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

async fn version(call: Call) -> Result<Answer> {
    let version = call.run(|engine| Ok(engine.system.version())).await?;
    json(StatusCode::OK, &version)
}

async fn info(call: Call) -> Result<Answer> {
    let info = call.run(|engine| engine.system.info()).await?;
    json(StatusCode::OK, &for_version(info, call.version))
}

async fn disk_usage(call: Call) -> Result<Answer> {
    // Older clients get everything.
    let kinds: Vec<String> = match call.version < ApiVersion::new(1, 42) {
        true => Vec::new(),
        false => call.query.all("type").map(str::to_owned).collect(),
    };
    let mut usage = call
        .run(move |engine| engine.system.disk_usage(&kinds))
        .await?;
    for image in usage.images.iter_mut().flatten() {
        images::shape_for_version(image, call.version);
    }
    if call.version < ApiVersion::new(1, 44) {
        let records = usage.build_cache.iter().flatten();
        usage.builder_size = Some(records.map(|record| record.size).sum());
    }
    json(StatusCode::OK, &usage)
}

/// What is found comes as data for programs, a line each, and the summary last.
async fn check(call: Call) -> Result<Answer> {
    let (repair, quick) = (call.query.flag("repair"), call.query.flag("quick"));
    let engine = call.state.engine().await?;
    stream::answer("check", move |progress| {
        let line = |line: CheckLine| {
            progress.tell(ProgressMessage {
                aux: serde_json::to_value(line).ok(),
                ..ProgressMessage::default()
            })
        };
        let summary = engine.system.check(repair, quick, &mut |finding| {
            line(CheckLine {
                finding: Some(finding),
                ..CheckLine::default()
            })
        })?;
        line(CheckLine {
            summary: Some(summary),
            ..CheckLine::default()
        });
        Ok(())
    })
    .await
}

/// Puts what is known of the engine into the shape that older clients expect.
fn for_version(mut info: Info, version: ApiVersion) -> Info {
    let before = |minor| version < ApiVersion::new(1, minor);
    if before(25) {
        for option in info.security_options.iter_mut() {
            if let Some(named) = option.strip_prefix("name=") {
                *option = named.split(',').next().unwrap_or(named).to_owned();
            }
        }
    }
    if before(42) {
        info.kernel_memory = Some(info.memory_limit);
    }
    if before(49) {
        for commit in [
            &mut info.containerd_commit,
            &mut info.runc_commit,
            &mut info.init_commit,
        ] {
            commit.expected = Some(commit.id.clone());
        }
        info.firewall_backend = None;
    }
    if before(50) {
        info.bridge_nf_iptables = Some(false);
        info.bridge_nf_ip6tables = Some(false);
    }
    info
}

/// Clients take a missing route for a broken engine.
async fn plugins(_: Call) -> Result<Answer> {
    json(StatusCode::OK, &[(); 0])
}

async fn options(_: Call) -> Result<Answer> {
    Ok(no_content(StatusCode::OK))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_clients_find_the_old_fields() {
        let shown = |minor| {
            let info = Info {
                security_options: vec!["name=seccomp,profile=builtin".to_owned()],
                firewall_backend: Some(gantry_api::FirewallInfo::default()),
                ..Info::default()
            };
            for_version(info, ApiVersion::new(1, minor))
        };
        let oldest = shown(24);
        assert_eq!(oldest.security_options, ["seccomp"]);
        assert!(oldest.kernel_memory.is_some() && oldest.firewall_backend.is_none());
        assert_eq!(oldest.bridge_nf_iptables, Some(false));
        let newest = shown(51);
        assert_eq!(newest.security_options, ["name=seccomp,profile=builtin"]);
        assert!(newest.kernel_memory.is_none() && newest.firewall_backend.is_some());
        assert_eq!(newest.bridge_nf_iptables, None);
    }
}
