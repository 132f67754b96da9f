//! `images --tree`: each image, and below it what there is of it for each platform.

use std::cmp::Reverse;

use gantry_api::ImageSummary;
use serde_json::Value;

use super::{Outcome, names};
use crate::args::Matches;
use crate::error::Error;
use crate::output::human;
use crate::session::{Session, terminal};
use crate::transport::Call;

const WARNING: &str =
    "WARNING: This is an experimental feature. The output may change and shouldn't be depended on.";
const IN_USE: &str = "U";
/// Between two columns.
const GAP: usize = 3;
/// The columns behind the first; those to the right are left out where there is no room.
const COLUMNS: [(&str, usize); 4] = [
    ("ID", 12),
    ("DISK USAGE", 10),
    ("CONTENT SIZE", 12),
    ("EXTRA", 5),
];

/// An image, or a platform of one.
struct Line {
    /// What stands in the first column.
    name: String,
    /// What stands in the others.
    cells: [String; 4],
}

struct Branch {
    /// All names but the one in `top`.
    others: Vec<String>,
    top: Line,
    platforms: Vec<Line>,
}

pub(super) async fn run(session: &Session, matches: &Matches, filters: &str) -> Outcome {
    let unfit = |flag: &str| {
        let text = format!("--{flag} is not yet supported with --tree");
        Err(Error::Message(text))
    };
    if matches.bool("quiet") {
        return unfit("quiet");
    } else if matches.bool("no-trunc") {
        return unfit("no-trunc");
    } else if matches.bool("digests") {
        return unfit("show-digest");
    } else if !matches.text("format").is_empty() {
        return unfit("format");
    }
    let call = Call::get("/images/json")
        .query_if("all", matches.bool("all"))
        .query_if("manifests", true)
        .query_some("filters", filters);
    let mut images: Vec<ImageSummary> = session.client.json(&call).await?;
    let named = |image: &ImageSummary| {
        let mut all = image.repo_tags.iter().chain(&image.repo_digests);
        all.any(|name| !name.starts_with("<none>"))
    };
    images.retain(|image| matches.bool("all") || named(image));
    gantry_types::sort::by_key(&mut images, |image| Reverse(image.created));
    let (_, width) = terminal::size();
    let width = match width {
        0 => 80,
        width => usize::from(width).max(20),
    };
    let paint = session.printer.is_terminal();
    session.printer.out(&shown(&images, width, paint));
    Ok(0)
}

/// The whole, for so wide a terminal; with colours if `paint`.
fn shown(images: &[ImageSummary], width: usize, paint: bool) -> String {
    let branches: Vec<Branch> = images.iter().map(Branch::of).collect();
    let painted = |code: &str, text: &str| match paint {
        true => format!("\x1b[{code}m{text}\x1b[0m"),
        false => text.to_owned(),
    };
    let (first, columns) = widths(&branches, width);
    let line = |line: &Line, code: &str| {
        let mut text = painted(code, &left(&line.name, first));
        for (cell, (title, wide)) in line.cells.iter().zip(columns) {
            let cell = match *title {
                "ID" | "EXTRA" => left(cell, *wide),
                _ => format!("{cell:>wide$}"),
            };
            text += &format!("{:GAP$}{cell}", "");
        }
        text
    };
    let legend = format!(" Info ->  {IN_USE} In Use ");
    let mut text = format!("{}\n{legend:>width$}\n\n", painted("93", WARNING));
    let titles = Line {
        name: "IMAGE".to_owned(),
        cells: COLUMNS.map(|(title, _)| title.to_owned()),
    };
    text += &format!("{}\n", line(&titles, "1"));
    let spaced = branches.iter().any(|branch| !branch.platforms.is_empty());
    for branch in &branches {
        for name in &branch.others {
            text += &format!("{}\n", painted("34;1", name));
        }
        text += &format!("{}\n", line(&branch.top, "34;1"));
        for platform in &branch.platforms {
            text += &format!("{}\n", line(platform, "39"));
        }
        text += if spaced { "\n" } else { "" };
    }
    text
}

/// How wide the first column is, and which others there are.
fn widths(branches: &[Branch], width: usize) -> (usize, &'static [(&'static str, usize)]) {
    let (mut first, mut columns) = (width, 0);
    for (_, wide) in COLUMNS {
        if first < wide + GAP + 12 {
            break;
        }
        first -= wide + GAP;
        columns += 1;
    }
    let names = branches.iter().flat_map(|branch| {
        let platforms = branch.platforms.iter().map(|line| &line.name);
        let own = std::iter::once(&branch.top.name).filter(|name| *name != UNTAGGED);
        own.chain(&branch.others).chain(platforms)
    });
    // As Docker counts: bytes.
    let widest = names.map(String::len).max().unwrap_or(0).max(5);
    (first.min(widest), &COLUMNS[..columns])
}

const UNTAGGED: &str = "<untagged>";

impl Branch {
    fn of(image: &ImageSummary) -> Self {
        let (mut content, mut used) = (0, image.containers > 0);
        let mut platforms = Vec::new();
        for manifest in image.manifests.iter().flatten() {
            let size = |name: &str| manifest["Size"][name].as_i64().unwrap_or(0);
            content += size("Content");
            if manifest["Kind"] != "image" {
                continue;
            }
            let containers = manifest["ImageData"]["Containers"].as_array();
            let in_use = containers.is_some_and(|containers| !containers.is_empty());
            used |= in_use;
            platforms.push(Line {
                name: platform(&manifest["ImageData"]["Platform"]),
                cells: cells(
                    manifest["ID"].as_str().unwrap_or_default(),
                    (size("Total"), size("Content")),
                    in_use,
                ),
            });
        }
        let last = platforms.len().saturating_sub(1);
        for (index, line) in platforms.iter_mut().enumerate() {
            let branch = if index == last { "└─" } else { "├─" };
            line.name = format!("{branch} {}", line.name);
        }
        // Docker has a column for this only when a platform is in use.
        used &= !platforms.is_empty();
        let mut names = image.repo_tags.clone();
        gantry_types::sort::by_key(&mut names, |name| Reverse(name.len()));
        Self {
            top: Line {
                name: names.pop().unwrap_or_else(|| UNTAGGED.to_owned()),
                cells: cells(&image.id, (image.size, content), used),
            },
            others: names,
            platforms,
        }
    }
}

fn cells(id: &str, (usage, content): (i64, i64), in_use: bool) -> [String; 4] {
    [
        names::short_id(id).to_owned(),
        human::size(usage, 3),
        human::size(content, 3),
        if in_use { IN_USE } else { "" }.to_owned(),
    ]
}

/// `linux/arm64/v8`.
fn platform(value: &Value) -> String {
    let parts = ["os", "architecture", "variant"].map(|key| value[key].as_str().unwrap_or(""));
    match parts {
        ["", ..] => "unknown".to_owned(),
        parts => {
            let said: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
            said.join("/")
        }
    }
}

/// A text in a column: what is too long ends in `…`.
fn left(text: &str, width: usize) -> String {
    match text.chars().count() > width {
        true => text.chars().take(width - 1).chain(['…']).collect(),
        false => format!("{text:width$}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn platforms_stand_below_their_image() {
        let manifest = |arch: &str, containers: Value| {
            json!({
                "ID": "sha256:0123456789abcdef", "Kind": "image", "Available": true,
                "Size": {"Content": 1000, "Total": 5000},
                "ImageData": {
                    "Platform": {"os": "linux", "architecture": arch}, "Containers": containers,
                },
            })
        };
        let mut image = ImageSummary {
            id: "sha256:fedcba9876543210".to_owned(),
            repo_tags: vec!["a:1".to_owned(), "a:latest".to_owned()],
            size: 4000,
            ..ImageSummary::default()
        };
        let plain = shown(std::slice::from_ref(&image), 60, false);
        assert!(
            plain
                .ends_with("SIZE\na:latest\na:1        fedcba987654          4kB             0B\n")
        );
        image.manifests = Some(vec![
            manifest("amd64", json!(["c"])),
            manifest("arm64", json!([])),
        ]);
        let tree = shown(&[image], 80, false);
        let lines: Vec<&str> = tree.lines().skip(3).map(str::trim_end).collect();
        assert_eq!(
            lines,
            [
                "IMAGE                ID             DISK USAGE   CONTENT SIZE   EXTRA",
                "a:latest",
                "a:1                  fedcba987654          4kB            2kB   U",
                "├─ linux/amd64       0123456789ab          5kB            1kB   U",
                "└─ linux/arm64       0123456789ab          5kB            1kB",
                "",
            ]
        );
        assert_eq!(left("registry/name", 6), "regis…");
    }
}
