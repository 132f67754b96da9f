//! `/containers/*`, without the streams (`attach`, `logs`).

use gantry_api::{ApiVersion, ContainerCreate, HostConfig, WaitCondition};
use gantry_engine::{ListQuery, RemoveOptions};
use http::{Method, StatusCode};

use crate::body::{Answer, Content, json, json_line, no_content, with_type};
use crate::call::Call;
use crate::error::{Failure, Result};
use crate::router::Router;
use crate::routes::{interface_sysctls, old_clients, transfer};

pub(super) fn routes(router: &mut Router) {
    router.add(Method::GET, "/containers/json", list);
    router.add(Method::POST, "/containers/create", create);
    router.add(Method::POST, "/containers/prune", prune);
    router.add(Method::GET, "/containers/{id..}/json", inspect);
    router.add(Method::POST, "/containers/{id..}/start", start);
    router.add(Method::POST, "/containers/{id..}/stop", stop);
    router.add(Method::POST, "/containers/{id..}/restart", restart);
    router.add(Method::POST, "/containers/{id..}/kill", kill);
    router.add(Method::POST, "/containers/{id..}/wait", wait);
    router.add(Method::POST, "/containers/{id..}/resize", resize);
    router.add(Method::POST, "/containers/{id..}/pause", pause);
    router.add(Method::POST, "/containers/{id..}/unpause", unpause);
    router.add(Method::POST, "/containers/{id..}/rename", rename);
    router.add(Method::POST, "/containers/{id..}/update", update);
    router.add(Method::GET, "/containers/{id..}/top", top);
    // A link has a name of two parts.
    router.add(Method::DELETE, "/containers/{id..}", remove);
}

async fn list(call: Call) -> Result<Answer> {
    let query = ListQuery {
        all: call.query.flag("all"),
        limit: call.query.number("limit")?,
        size: call.query.flag("size"),
        filters: call.query.filters()?,
    };
    let mut found = call
        .run(move |engine| engine.containers.list(&query))
        .await?;
    if call.version < ApiVersion::new(1, 46) {
        for container in &mut found {
            container.host_config.annotations = None;
        }
    }
    json(StatusCode::OK, &found)
}

async fn create(mut call: Call) -> Result<Answer> {
    let body: Option<ContainerCreate> = call.json().await?;
    let mut body =
        body.ok_or_else(|| Failure::invalid("invalid JSON: got EOF while reading request body"))?;
    if body.config == gantry_api::Config::default() {
        let text = "config cannot be empty in order to create a container";
        return Err(Failure::invalid(text));
    }
    old_clients::check(&body, call.version)?;
    old_clients::modernize(&mut body.config, &mut body.host_config, call.version);
    let moved = interface_sysctls::migrate(&mut body, call.version).map_err(Failure::invalid)?;
    let name = call.query.owned("name");
    let platform = transfer::platform(&call)?;
    let mut created = call
        .run(move |engine| {
            engine
                .containers
                .create(name.as_deref(), body, platform.as_ref())
        })
        .await?;
    created.warnings.extend(moved);
    json(StatusCode::CREATED, &created)
}

async fn prune(call: Call) -> Result<Answer> {
    let filters = call.query.filters()?;
    let pruned = call
        .run(move |engine| engine.containers.prune(&filters))
        .await?;
    json(StatusCode::OK, &pruned)
}

async fn inspect(call: Call) -> Result<Answer> {
    let (id, size) = (call.param("id"), call.query.flag("size"));
    let container = call
        .run(move |engine| engine.containers.inspect(&id, size))
        .await?;
    json(StatusCode::OK, &container)
}

async fn start(call: Call) -> Result<Answer> {
    let id = call.param("id");
    call.run(move |engine| engine.containers.start(&id)).await?;
    Ok(no_content(StatusCode::NO_CONTENT))
}

async fn stop(call: Call) -> Result<Answer> {
    let id = call.param("id");
    let signal = chosen_signal(&call);
    let timeout = call.query.number("t")?;
    call.run(move |engine| engine.containers.stop(&id, signal.as_deref(), timeout))
        .await?;
    Ok(no_content(StatusCode::NO_CONTENT))
}

async fn restart(call: Call) -> Result<Answer> {
    let id = call.param("id");
    let signal = chosen_signal(&call);
    let timeout = call.query.number("t")?;
    call.run(move |engine| engine.containers.restart(&id, signal.as_deref(), timeout))
        .await?;
    Ok(no_content(StatusCode::NO_CONTENT))
}

async fn kill(call: Call) -> Result<Answer> {
    let (id, signal) = (call.param("id"), call.query.owned("signal"));
    call.run(move |engine| engine.containers.kill(&id, signal.as_deref()))
        .await?;
    Ok(no_content(StatusCode::NO_CONTENT))
}

/// The signal that stops a container; clients could not choose it before 1.42.
fn chosen_signal(call: &Call) -> Option<String> {
    let signal = call.query.owned("signal");
    signal.filter(|_| call.version >= ApiVersion::new(1, 42))
}

/// The head of the answer is sent at once, so that the client knows that it
/// will miss nothing; before API 1.30 it came with the body.
async fn wait(call: Call) -> Result<Answer> {
    let id = call.param("id");
    let before_conditions = call.version < ApiVersion::new(1, 30);
    let condition = call.query.get("condition").filter(|_| !before_conditions);
    let condition = condition.unwrap_or("");
    let condition = WaitCondition::parse(condition).map_err(Failure::invalid)?;
    let handle = call
        .run(move |engine| engine.containers.wait(&id, condition))
        .await?;
    if before_conditions {
        return json(StatusCode::OK, &handle.outcome().await);
    }
    let (sender, content) = Content::pieces();
    tokio::spawn(async move {
        let outcome = tokio::select! {
            outcome = handle.outcome() => outcome,
            () = sender.closed() => return,
        };
        if let Ok(line) = json_line(&outcome) {
            // The client is gone: nobody wants to know any more.
            let _ = sender.send(line.into()).await;
        }
    });
    Ok(with_type(StatusCode::OK, "application/json", content))
}

async fn resize(call: Call) -> Result<Answer> {
    let id = call.param("id");
    let (height, width) = terminal_size(&call)?;
    call.run(move |engine| engine.containers.resize(&id, height, width))
        .await?;
    Ok(no_content(StatusCode::OK))
}

/// Height and width, as clients of all resizes give them.
pub(super) fn terminal_size(call: &Call) -> Result<(u16, u16)> {
    let side = |name: &str, what: &str| {
        let text = call.query.get(name).unwrap_or("");
        let failed = |why: &str| Failure::invalid(format!("invalid resize {what} {text:?}: {why}"));
        match text.parse::<i128>() {
            Ok(number) => u32::try_from(number)
                // The kernel counts no further.
                .map(|number| u16::try_from(number).unwrap_or(u16::MAX))
                .map_err(|_| failed("value out of range")),
            Err(_) => Err(failed("invalid syntax")),
        }
    };
    Ok((side("h", "height")?, side("w", "width")?))
}

async fn pause(call: Call) -> Result<Answer> {
    let id = call.param("id");
    call.run(move |engine| engine.containers.pause(&id)).await?;
    Ok(no_content(StatusCode::NO_CONTENT))
}

async fn unpause(call: Call) -> Result<Answer> {
    let id = call.param("id");
    call.run(move |engine| engine.containers.unpause(&id))
        .await?;
    Ok(no_content(StatusCode::NO_CONTENT))
}

async fn rename(call: Call) -> Result<Answer> {
    let id = call.param("id");
    let name = call.query.owned("name").unwrap_or_default();
    call.run(move |engine| engine.containers.rename(&id, &name))
        .await?;
    Ok(no_content(StatusCode::NO_CONTENT))
}

async fn update(mut call: Call) -> Result<Answer> {
    let id = call.param("id");
    let mut given: HostConfig = call.json().await?.unwrap_or_default();
    old_clients::modernize_update(&mut given, call.version);
    let updated = call
        .run(move |engine| engine.containers.update(&id, given))
        .await?;
    json(StatusCode::OK, &updated)
}

async fn top(call: Call) -> Result<Answer> {
    let (id, arguments) = (call.param("id"), call.query.owned("ps_args"));
    let top = call
        .run(move |engine| engine.containers.top(&id, arguments.as_deref()))
        .await?;
    json(StatusCode::OK, &top)
}

async fn remove(call: Call) -> Result<Answer> {
    let id = call.param("id");
    let options = RemoveOptions {
        force: call.query.flag("force"),
        volumes: call.query.flag("v"),
        link: call.query.flag("link"),
    };
    call.run(move |engine| engine.containers.remove(&id, options))
        .await?;
    Ok(no_content(StatusCode::NO_CONTENT))
}
