//! Search in the protocol of Docker's Hub, and what there is to find: descriptions
//! and stars.

use std::sync::Arc;

use gantry_metadata::registry::{repositories, stars};
use http::StatusCode;
use serde_json::{Value, json};

use crate::call::{Call, blocking};
use crate::content::{Answer, json, status};
use crate::failure::{Code, Failure, Result};

/// Results on a page: without a wish, and at most.
const PAGE: usize = 25;
const MOST: usize = 100;
/// The longest description.
const DESCRIPTION: usize = 1000;

/// `GET /v1/search?q=&n=&page=`
pub(super) fn answer(call: &Call) -> Result<Answer> {
    let term = call.query.get("q").unwrap_or("");
    let number = |key| match call.query.get(key) {
        None => Ok(None),
        Some(text) => text
            .parse::<usize>()
            .map(Some)
            .map_err(|_| Failure::new(Code::PaginationNumberInvalid).detail(json!({ key: text }))),
    };
    let size = number("n")?.unwrap_or(PAGE).clamp(1, MOST);
    let page = number("page")?.unwrap_or(1).max(1);
    let may = |name: &str| call.app.may_pull(&call.who, name);
    let mut found = call
        .app
        .store
        .database
        .read(|view| repositories::search(view, term))?;
    found.retain(|row| may(&row.name));
    let total = found.len();
    let results: Vec<Value> = found
        .into_iter()
        .skip((page - 1).saturating_mul(size))
        .take(size)
        .map(|row| {
            json!({
                "name": row.name,
                "description": row.description,
                "star_count": row.stars,
                "is_official": false,
                "is_automated": false,
                "is_trusted": false,
            })
        })
        .collect();
    Ok(json(&json!({
        "query": term,
        "num_results": total,
        "num_pages": total.div_ceil(size),
        "page": page,
        "page_size": size,
        "results": results,
    })))
}

/// `GET /v1/repositories/<name>`
pub(super) fn about(call: &Call, name: &str) -> Result<Answer> {
    let (description, stars) = call.app.store.database.read(|view| {
        let id = repositories::find(view, name)?.ok_or_else(|| unknown(name))?;
        let description = repositories::description(view, id)?;
        Ok::<_, Failure>((description, stars::count(view, id)?))
    })?;
    Ok(json(&json!({
        "name": name, "description": description, "star_count": stars,
    })))
}

/// `PUT /v1/repositories/<name>/description`: the text is the body.
pub(super) async fn describe(call: Call, name: String) -> Result<Answer> {
    let bytes = Call::bytes(call.body, DESCRIPTION, Code::SizeInvalid).await?;
    let text = String::from_utf8(bytes.to_vec())
        .ok()
        .filter(|text| !text.chars().any(|c| c.is_control() && c != '\n'));
    let text = text.ok_or_else(|| {
        Failure::with(Code::Unsupported, "a description is text").status(StatusCode::BAD_REQUEST)
    })?;
    let app = Arc::clone(&call.app);
    blocking(move || {
        let known: bool = app
            .store
            .database
            .write_durable(|tx| repositories::describe(tx, &name, text.trim()))
            .map_err(|error: gantry_metadata::Error| Failure::from(error))?;
        known.then_some(()).ok_or_else(|| unknown(&name))
    })
    .await?;
    Ok(status(StatusCode::NO_CONTENT))
}

/// `PUT` and `DELETE /v1/repositories/<name>/star`: once for each user; without users,
/// once for each address.
pub(super) async fn star(call: Call, name: String, liked: bool) -> Result<Answer> {
    let who = match call.who.name() {
        Some(user) => format!("user:{user}"),
        None if call.app.auth.is_some() => return Err(Failure::new(Code::Denied)),
        None => format!("address:{}", call.peer.ip()),
    };
    let app = Arc::clone(&call.app);
    blocking(move || {
        app.store.database.write_durable(|tx| {
            let id = repositories::find(tx, &name)?.ok_or_else(|| unknown(&name))?;
            match liked {
                true => stars::insert(tx, id, &who)?,
                false => drop(stars::delete(tx, id, &who)?),
            }
            Ok(())
        })
    })
    .await?;
    Ok(status(StatusCode::NO_CONTENT))
}

fn unknown(name: &str) -> Failure {
    Failure::new(Code::NameUnknown).detail(json!({ "name": name }))
}
