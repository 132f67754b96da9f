//! Images that come in, `POST /images/create` (pull and import) and
//! `POST /images/load`, and those that leave: `GET /images/get` and
//! `POST /images/{name}/push`.

use std::io::Read;

use gantry_api::ApiVersion;
use gantry_engine::{ArchiveFormat, ImportQuery, PullQuery, PushQuery, SaveQuery};
use gantry_types::Platform;
use http::{Method, StatusCode};

use crate::body::{Answer, with_type};
use crate::call::Call;
use crate::download;
use crate::error::{Failure, Result};
use crate::router::Router;
use crate::stream;

pub(super) fn routes(router: &mut Router) {
    router.add(Method::POST, "/images/create", create);
    router.add(Method::POST, "/images/load", load);
    router.add(Method::POST, "/images/{name..}/push", push);
    let save_as = |format| move |call| save(call, format);
    router.add(Method::GET, "/images/get", save_as(ArchiveFormat::Current));
    router.add(
        Method::GET,
        "/images/{name..}/get",
        save_as(ArchiveFormat::Current),
    );
    // Beyond Docker.
    router.add(
        Method::GET,
        "/images/get/docker-v1",
        save_as(ArchiveFormat::DockerV1),
    );
}

async fn create(mut call: Call) -> Result<Answer> {
    let platform = platform(&call)?;
    let engine = call.state.engine().await?;
    if let Some(name) = call.query.owned("fromImage") {
        let query = PullQuery {
            name,
            tag: call.query.owned("tag"),
            platform,
            credentials: call.credentials(),
        };
        return stream::answer("pull", move |progress| {
            let mut tell = |message| progress.tell(message);
            engine.images.pull(&query, progress.gone(), &mut tell)
        })
        .await;
    }
    let query = ImportQuery {
        source: call.query.get("fromSrc").unwrap_or("").to_owned(),
        repo: call.query.owned("repo").unwrap_or_default(),
        tag: call.query.owned("tag").unwrap_or_default(),
        message: call.query.owned("message"),
        changes: call.query.all("changes").map(str::to_owned).collect(),
        platform,
    };
    let body = call.reader();
    stream::answer("import", move |progress| {
        let reader: Box<dyn Read + Send> = match query.source.as_str() {
            "" | "-" => Box::new(body),
            url => Box::new(engine.registries.get(url)?),
        };
        engine
            .images
            .import(reader, &query, &mut |message| progress.tell(message))
    })
    .await
}

/// As Docker's, it fails with a message only: SDKs look for it there.
async fn load(mut call: Call) -> Result<Answer> {
    let quiet = call.query.flag("quiet");
    let platform = described_platform(&call)?;
    let engine = call.state.engine().await?;
    let reader = call.reader();
    stream::answer("load", move |progress| {
        let loaded = engine.images.load(reader, quiet, platform, &mut |message| {
            progress.tell(message)
        });
        if let Err(error) = loaded {
            progress.fail(error);
        }
        Ok(())
    })
    .await
}

async fn push(call: Call) -> Result<Answer> {
    let query = PushQuery {
        name: call.param("name"),
        tag: call.query.owned("tag"),
        platform: described_platform(&call)?,
        credentials: call.credentials(),
    };
    let engine = call.state.engine().await?;
    stream::answer("push", move |progress| {
        let mut tell = |message| progress.tell(message);
        engine.images.push(&query, progress.gone(), &mut tell)
    })
    .await
}

/// Images as an archive: those of the query, or the one of the path.
async fn save(call: Call, format: ArchiveFormat) -> Result<Answer> {
    let query = SaveQuery {
        names: match call.param("name") {
            name if name.is_empty() => call.query.all("names").map(str::to_owned).collect(),
            name => vec![name],
        },
        platform: described_platform(&call)?,
        format,
    };
    let engine = call.state.engine().await?;
    let ((), content) = download::archive("save", move |begin, pieces| {
        match engine.images.save(&query) {
            Ok(saved) => {
                if begin.say(()) {
                    download::send(&pieces, |push| saved.write(push));
                }
            }
            Err(error) => begin.fail(error),
        }
    })
    .await?;
    Ok(with_type(StatusCode::OK, "application/x-tar", content))
}

/// The `platform` of the query: `os[/arch[/variant]]`.
pub(super) fn platform(call: &Call) -> Result<Option<Platform>> {
    call.query
        .filled("platform")
        .map(str::parse)
        .transpose()
        .map_err(|error: gantry_types::PlatformError| Failure::invalid(error.to_string()))
}

/// The `platform` of the query as JSON, since 1.48; older clients have no say.
pub(super) fn described_platform(call: &Call) -> Result<Option<Platform>> {
    if call.version < ApiVersion::new(1, 48) {
        return Ok(None);
    }
    if call.query.all("platform").count() > 1 {
        let message = "multiple platform parameters not supported";
        return Err(Failure::invalid(message));
    }
    call.query
        .filled("platform")
        .map(parse_described)
        .transpose()
        .map_err(Failure::invalid)
}

fn parse_described(text: &str) -> Result<Platform, String> {
    #[derive(serde::Deserialize)]
    #[serde(default)]
    #[derive(Default)]
    struct Described {
        os: String,
        architecture: String,
        variant: String,
        #[serde(rename = "os.version")]
        os_version: String,
    }
    let described: Described = gantry_api::decode(text.as_bytes())
        .map_err(|error| format!("failed to parse platform: {error}"))?;
    let filled = |text: String| Some(text).filter(|text| !text.is_empty());
    if described.os.is_empty() || described.architecture.is_empty() {
        return Err("both OS and Architecture must be provided".to_owned());
    }
    Ok(Platform {
        architecture: described.architecture,
        os: described.os,
        os_version: filled(described.os_version),
        variant: filled(described.variant),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_described_in_json() {
        let parsed = parse_described(r#"{"os":"linux","architecture":"arm64","variant":"v8"}"#);
        assert_eq!(parsed.unwrap().to_string(), "linux/arm64/v8");
        for text in ["", "linux/amd64", "{}", r#"{"os":"linux"}"#] {
            assert!(parse_described(text).is_err(), "{text}");
        }
    }
}
