//! The files of containers: `/containers/{id}/archive`, `export`, `changes`, and
//! `/commit`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantry_api::{Config, PATH_STAT_HEADER, PathStat};
use gantry_engine::{CommitQuery, UnpackQuery};
use gantry_types::ErrorKind;
use http::{HeaderName, HeaderValue, Method, StatusCode};

use crate::body::{Answer, json, no_content, with_type};
use crate::call::Call;
use crate::download::{archive, on_a_thread, send};
use crate::error::{Failure, Result};
use crate::router::Router;

pub(super) fn routes(router: &mut Router) {
    router.add(Method::GET, "/containers/{id..}/archive", download);
    router.add(Method::HEAD, "/containers/{id..}/archive", stat);
    router.add(Method::PUT, "/containers/{id..}/archive", upload);
    router.add(Method::GET, "/containers/{id..}/export", export);
    router.add(Method::GET, "/containers/{id..}/changes", changes);
    router.add(Method::POST, "/commit", commit);
}

async fn stat(call: Call) -> Result<Answer> {
    let (id, path) = (call.param("id"), wanted_path(&call)?);
    let stat = call
        .run(move |engine| engine.containers.path_stat(&id, &path))
        .await?;
    with_stat(no_content(StatusCode::OK), &stat)
}

async fn download(call: Call) -> Result<Answer> {
    let (id, path) = (call.param("id"), wanted_path(&call)?);
    let engine = call.state.engine().await?;
    let (stat, content) = archive("copy-out", move |begin, pieces| {
        let download = match engine.containers.download(&id, &path) {
            Ok(download) => download,
            Err(error) => return begin.fail(error),
        };
        if begin.say(download.stat.clone()) {
            send(&pieces, |push| download.write(push));
        }
    })
    .await?;
    with_stat(
        with_type(StatusCode::OK, "application/x-tar", content),
        &stat,
    )
}

async fn upload(mut call: Call) -> Result<Answer> {
    let id = call.param("id");
    let query = UnpackQuery {
        path: wanted_path(&call)?,
        keep_kinds: call.query.flag("noOverwriteDirNonDir"),
        to_user: call.query.flag("copyUIDGID"),
    };
    let body = call.reader();
    on_a_thread("copy-in", call.state.engine().await?, move |engine| {
        engine.containers.upload(&id, &query, body)
    })
    .await?;
    Ok(no_content(StatusCode::OK))
}

async fn export(call: Call) -> Result<Answer> {
    let id = call.param("id");
    let engine = call.state.engine().await?;
    let ((), content) = archive("export", move |begin, pieces| {
        match engine.containers.export(&id) {
            Ok(export) => {
                if begin.say(()) {
                    send(&pieces, |push| export.write(push));
                }
            }
            Err(error) => begin.fail(error),
        }
    })
    .await?;
    let kind = "application/octet-stream";
    Ok(with_type(StatusCode::OK, kind, content))
}

async fn changes(call: Call) -> Result<Answer> {
    let id = call.param("id");
    let found = call
        .run(move |engine| engine.containers.changes(&id))
        .await?;
    // As Docker has it, nothing is no list.
    json(StatusCode::OK, &(!found.is_empty()).then_some(found))
}

async fn commit(mut call: Call) -> Result<Answer> {
    let text = |name: &str| call.query.owned(name).unwrap_or_default();
    let mut query = CommitQuery {
        container: text("container"),
        repo: text("repo"),
        tag: text("tag"),
        comment: text("comment"),
        author: text("author"),
        pause: call.query.filled("pause").is_none() || call.query.flag("pause"),
        changes: call.query.all("changes").map(str::to_owned).collect(),
        config: None,
    };
    query.config = call.json::<Option<Config>>().await?.flatten();
    let engine = call.state.engine().await?;
    let id = on_a_thread("commit", engine, move |engine| {
        engine.containers.commit(&query)
    })
    .await?;
    json(StatusCode::CREATED, &Committed { id })
}

/// The answer to a commit.
#[derive(serde::Serialize)]
#[serde(rename_all = "PascalCase")]
struct Committed {
    id: String,
}

fn wanted_path(call: &Call) -> Result<String> {
    match call.query.owned("path") {
        Some(path) if !path.is_empty() => Ok(path),
        _ => Err(Failure::invalid("bad parameter: pathcannot be empty")),
    }
}

fn with_stat(mut answer: Answer, stat: &PathStat) -> Result<Answer> {
    let internal = |error: String| Failure::new(ErrorKind::Internal, error);
    let json = serde_json::to_vec(stat).map_err(|error| internal(error.to_string()))?;
    let value = HeaderValue::try_from(STANDARD.encode(json))
        .map_err(|error| internal(error.to_string()))?;
    let name = HeaderName::from_static(PATH_STAT_HEADER);
    answer.headers_mut().insert(name, value);
    Ok(answer)
}
