//! Lists: repositories, tags, and what says something about a manifest.

use std::sync::Arc;

use http::{HeaderName, HeaderValue, header};
use serde_json::{Value, json};

use crate::call::{Call, blocking};
use crate::content::{Answer, json, set};
use crate::failure::Result;
use crate::query::escape;
use crate::store::digest;
use gantry_metadata::registry::repositories;
use gantry_types::media_type::OCI_INDEX;

/// The longest list of referrers in one answer, in bytes.
const MOST_REFERRERS: usize = 2 << 20;

/// `GET /v2/_catalog`
pub(super) fn catalog(call: &Call) -> Result<Answer> {
    let page = call.page()?;
    let database = &call.app.store.database;
    let mut names = database.read(|view| repositories::list(view, &page.last, page.n + 1))?;
    let link = page.cut("/v2/_catalog", &mut names);
    Ok(linked(json(&json!({ "repositories": names })), link))
}

/// `GET /v2/<name>/tags/list`
pub(super) async fn tags(call: &Call, name: &str) -> Result<Answer> {
    let page = call.page()?;
    let mut tags = match tags_there(call, name).await? {
        Some(mut tags) => {
            tags.retain(|tag| tag.as_str() > page.last.as_str());
            tags
        }
        None => call.app.store.tags(name, &page.last, page.n + 1)?,
    };
    let link = page.cut(&format!("/v2/{name}/tags/list"), &mut tags);
    Ok(linked(json(&json!({ "name": name, "tags": tags })), link))
}

/// The tags of the registry that this one is a cache of, if it is one and that answers.
async fn tags_there(call: &Call, name: &str) -> Result<Option<Vec<String>>> {
    if call.app.proxy.is_none() {
        return Ok(None);
    }
    let (app, name) = (Arc::clone(&call.app), name.to_owned());
    blocking(move || {
        app.proxy
            .as_ref()
            .map_or(Ok(None), |proxy| proxy.tags(&name))
    })
    .await
}

/// `GET /v2/<name>/referrers/<digest>`
pub(super) fn referrers(call: &Call, name: &str, subject: &str) -> Result<Answer> {
    let subject = digest(subject)?;
    let wanted = call
        .query
        .get("artifactType")
        .filter(|kind| !kind.is_empty());
    let last = call.query.get("last").unwrap_or("");
    let mut length = 0;
    let mut manifests = Vec::new();
    let mut link = None;
    for row in call.app.store.referrers(name, subject)? {
        let digest = row.digest.to_string();
        let other = wanted.is_some_and(|wanted| row.artifact_type.as_deref() != Some(wanted));
        if other || digest.as_str() <= last {
            continue;
        }
        let mut descriptor = json!({
            "mediaType": row.media_type,
            "digest": digest,
            "size": row.size,
        });
        if let Some(kind) = row.artifact_type {
            descriptor["artifactType"] = kind.into();
        }
        if let Some(annotations) = row.annotations {
            length += annotations.len();
            descriptor["annotations"] = serde_json::from_str(&annotations).unwrap_or(Value::Null);
        }
        length += 2 * row.media_type.len() + 256;
        if length > MOST_REFERRERS
            && let Some(Value::String(last)) = manifests.last().map(|last: &Value| &last["digest"])
        {
            let kind = wanted.map_or_else(String::new, |kind| {
                format!("artifactType={}&", escape(kind))
            });
            link = Some(format!(
                "</v2/{name}/referrers/{subject}?{kind}last={last}>; rel=\"next\""
            ));
            break;
        }
        manifests.push(descriptor);
    }
    let mut answer = json(&json!({
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": manifests,
    }));
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(OCI_INDEX));
    if wanted.is_some() {
        headers.insert(
            HeaderName::from_static("oci-filters-applied"),
            HeaderValue::from_static("artifactType"),
        );
    }
    Ok(linked(answer, link))
}

fn linked(mut answer: Answer, link: Option<String>) -> Answer {
    if let Some(link) = link {
        set(&mut answer, header::LINK, link);
    }
    answer
}
