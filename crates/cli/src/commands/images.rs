//! `images`: the images.

use futures_util::future::LocalBoxFuture;
use gantry_api::ImageSummary;

use super::{Outcome, filters, names};
use crate::args::Matches;
use crate::output::formatter::{Row, Shape, render};
use crate::output::human;
use crate::session::Session;
use crate::transport::Call;

const NONE: &str = "<none>";

/// `docker images`.
pub(crate) fn run<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let mut wanted = filters::parse(matches);
        if let Some(reference) = matches.operands.first() {
            wanted.add("reference", reference.as_str());
        }
        let query = if wanted.is_empty() {
            String::new()
        } else {
            wanted.to_json()
        };
        if matches.bool("tree") {
            return super::image_tree::run(session, matches, &query).await;
        }
        let quiet = matches.bool("quiet");
        let mut format = matches.text("format").to_owned();
        if format.is_empty() && !quiet {
            format.clone_from(&session.settings.config.images_format);
        }
        let call = Call::get("/images/json")
            .query_if("all", matches.bool("all"))
            .query_some("filters", &query);
        let images: Vec<ImageSummary> = session.client.json(&call).await?;
        let digests = matches.bool("digests") || format.contains("{{.Digest}}");
        let truncate = !matches.bool("no-trunc");
        let rows: Vec<Row> = images
            .iter()
            .flat_map(|image| rows(image, digests, truncate))
            .collect();
        let shown = render(&shape(matches.bool("digests")), &rows, &format, quiet)?;
        session.printer.out(&shown);
        Ok(0)
    })
}

/// The shape of a list of images.
pub(super) fn shape(digests: bool) -> Shape {
    let table = match digests {
        true => "{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}",
        false => "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}",
    };
    let raw = match digests {
        true => {
            "repository: {{.Repository}}\ntag: {{.Tag}}\ndigest: {{.Digest}}\nimage_id: {{.ID}}\ncreated_at: {{.CreatedAt}}\nvirtual_size: {{.Size}}\n"
        }
        false => {
            "repository: {{.Repository}}\ntag: {{.Tag}}\nimage_id: {{.ID}}\ncreated_at: {{.CreatedAt}}\nvirtual_size: {{.Size}}\n"
        }
    };
    Shape {
        type_name: "formatter.imageContext",
        headers: &[
            ("ID", "IMAGE ID"),
            ("Repository", "REPOSITORY"),
            ("Tag", "TAG"),
            ("Digest", "DIGEST"),
            ("CreatedSince", "CREATED"),
            ("CreatedAt", "CREATED AT"),
            ("Size", "SIZE"),
            ("Containers", "CONTAINERS"),
            ("VirtualSize", "SIZE"),
            ("SharedSize", "SHARED SIZE"),
            ("UniqueSize", "UNIQUE SIZE"),
        ],
        table: table.to_owned(),
        raw: raw.to_owned(),
        quiet: "ID",
        raw_quiet: "image_id",
        tried_first: false,
    }
}

/// Repository, tag and digest of each row of an image.
fn labels(image: &ImageSummary, digests: bool) -> Vec<(String, String, String)> {
    let split = |name: &str| {
        let (repository, tag) = name.rsplit_once(':').unwrap_or((name, NONE));
        (repository.to_owned(), tag.to_owned())
    };
    let known = |list: &[String]| -> Vec<String> {
        let items = list.iter();
        items
            .filter(|name| !name.starts_with(NONE))
            .cloned()
            .collect()
    };
    let tags = known(&image.repo_tags);
    let all: Vec<(String, String)> = known(&image.repo_digests)
        .iter()
        .filter_map(|name| name.split_once('@'))
        .map(|(repository, digest)| (repository.to_owned(), digest.to_owned()))
        .collect();
    let mut rows = Vec::new();
    for name in &tags {
        let (repository, tag) = split(name);
        let own: Vec<&String> = all
            .iter()
            .filter(|(other, _)| *other == repository)
            .map(|(_, digest)| digest)
            .collect();
        if !digests || own.is_empty() {
            rows.push((repository, tag, NONE.to_owned()));
            continue;
        }
        for digest in own {
            rows.push((repository.clone(), tag.clone(), digest.clone()));
        }
    }
    for (repository, digest) in &all {
        let tagged = tags.iter().any(|name| split(name).0 == *repository);
        let repeated = !digests && rows.iter().any(|row| row.0 == *repository);
        if !tagged && !repeated {
            rows.push((repository.clone(), NONE.to_owned(), digest.clone()));
        }
    }
    if rows.is_empty() {
        rows.push((NONE.to_owned(), NONE.to_owned(), NONE.to_owned()));
    }
    rows
}

/// The row of an image under its first name.
pub(super) fn first_row(image: &ImageSummary, truncate: bool) -> Row {
    let mut row = rows(image, false, truncate)
        .into_iter()
        .next()
        .unwrap_or_default();
    // Only the disk usage counts containers.
    if image.containers != -1 {
        row.set("Containers", image.containers.to_string());
    }
    row.set("Digest", String::new());
    row
}

fn rows(image: &ImageSummary, digests: bool, truncate: bool) -> Vec<Row> {
    let optional = |size: i64| match size {
        -1 => "N/A".to_owned(),
        size => human::size(size, 4),
    };
    labels(image, digests)
        .into_iter()
        .map(|(repository, tag, digest)| {
            let mut row = Row::default();
            row.set(
                "ID",
                if truncate {
                    names::short_id(&image.id)
                } else {
                    &image.id
                },
            );
            row.set("Repository", repository);
            row.set("Tag", tag);
            row.set("Digest", digest);
            row.set(
                "CreatedSince",
                match image.created {
                    ..=0 => "N/A".to_owned(),
                    created => human::ago(created),
                },
            );
            row.set("CreatedAt", human::created_at(image.created));
            row.set("Size", human::size(image.size, 3));
            row.set("VirtualSize", human::size(image.size, 4));
            row.set("SharedSize", optional(image.shared_size));
            row.set(
                "UniqueSize",
                match image.shared_size {
                    -1 => "N/A".to_owned(),
                    shared => human::size(image.size - shared, 4),
                },
            );
            row.set("Containers", "N/A");
            row
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_per_name() {
        let image = ImageSummary {
            id: "sha256:0123456789abcdef".to_owned(),
            repo_tags: vec!["a:1".to_owned(), "host:5000/b:2".to_owned()],
            repo_digests: vec!["a@sha256:dd".to_owned(), "c@sha256:ee".to_owned()],
            ..ImageSummary::default()
        };
        let shown = |digests: bool| -> Vec<String> {
            labels(&image, digests)
                .into_iter()
                .map(|(repository, tag, digest)| format!("{repository} {tag} {digest}"))
                .collect()
        };
        assert_eq!(
            shown(false),
            ["a 1 <none>", "host:5000/b 2 <none>", "c <none> sha256:ee"]
        );
        assert_eq!(
            shown(true),
            [
                "a 1 sha256:dd",
                "host:5000/b 2 <none>",
                "c <none> sha256:ee"
            ]
        );
        let dangling = ImageSummary::default();
        assert_eq!(labels(&dangling, false)[0].0, NONE);
    }
}
