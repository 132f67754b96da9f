//! `--verify`: whether two builds of the same have come out the same.

use serde_json::Value;

use crate::error::Error;
use crate::session::Session;
use crate::transport::Call;

/// Compares two images; says which layers differ, and which steps made them.
pub(super) async fn compare(session: &Session, one: &str, two: &str) -> Result<(), Error> {
    let (first, second) = (layers(session, one).await?, layers(session, two).await?);
    if first == second {
        let text = format!("Verified: both builds made the same {} layers", first.len());
        session.printer.error_line(&text);
        return Ok(());
    }
    let steps = steps(session, one).await?;
    let mut lines = vec!["two builds of the same made different layers:".to_owned()];
    for number in 0..first.len().max(second.len()) {
        if first.get(number) != second.get(number) {
            let step = steps.get(number).map_or("", String::as_str);
            lines.push(format!("  layer {}: {step}", number + 1));
        }
    }
    Err(Error::message(lines.join("\n")))
}

async fn layers(session: &Session, id: &str) -> Result<Vec<String>, Error> {
    let image: Value = session
        .client
        .json(&Call::get(format!("/images/{id}/json")))
        .await?;
    let layers = image["RootFS"]["Layers"].as_array().cloned();
    let texts = layers.into_iter().flatten();
    Ok(texts
        .filter_map(|layer| layer.as_str().map(str::to_owned))
        .collect())
}

/// The steps that made the layers, the first one first.
async fn steps(session: &Session, id: &str) -> Result<Vec<String>, Error> {
    let history: Vec<Value> = session
        .client
        .json(&Call::get(format!("/images/{id}/history")))
        .await?;
    let made = history.iter().rev().filter(|step| step["Size"] != 0);
    Ok(made
        .filter_map(|step| step["CreatedBy"].as_str().map(str::to_owned))
        .collect())
}
