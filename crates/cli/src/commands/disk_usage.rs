//! `system df`: what takes space on disk.

use futures_util::future::LocalBoxFuture;
use gantry_api::{ContainerSummary, ImageSummary};
use gantry_gotemplate::{Strict, Template};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::volume::Volume;
use super::{Outcome, images, ps, volume};
use crate::args::Matches;
use crate::error::Error;
use crate::output::formatter::{Row, Shape, render};
use crate::output::human;
use crate::session::Session;
use crate::transport::Call;

mod build_cache;

use build_cache::Record;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Usage {
    #[serde(default)]
    layers_size: i64,
    images: Option<Vec<ImageSummary>>,
    containers: Option<Vec<ContainerSummary>>,
    volumes: Option<Vec<Volume>>,
    build_cache: Option<Vec<Record>>,
}

/// `docker system df`.
pub(crate) fn run<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let usage: Usage = session.client.json(&Call::get("/system/df")).await?;
        let format = matches.text("format");
        let shown = match matches.bool("verbose") {
            true => verbose(usage, format)?,
            false => render(&shape(), &summary(&usage), format, false)?,
        };
        session.printer.out(&shown);
        Ok(0)
    })
}

fn shape() -> Shape {
    Shape {
        type_name: "formatter.diskUsageImagesContext",
        headers: &[
            ("Type", "TYPE"),
            ("TotalCount", "TOTAL"),
            ("Active", "ACTIVE"),
            ("Size", "SIZE"),
            ("Reclaimable", "RECLAIMABLE"),
        ],
        table: "{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}".to_owned(),
        raw: "type: {{.Type}}\ntotal: {{.TotalCount}}\nactive: {{.Active}}\nsize: {{.Size}}\nreclaimable: {{.Reclaimable}}\n".to_owned(),
        quiet: "Type",
        raw_quiet: "type",
        tried_first: false,
    }
}

/// `1.2MB (34%)`.
fn part(bytes: i64, of: i64) -> String {
    let size = human::size(bytes, 4);
    match of {
        1.. => format!("{size} ({}%)", i128::from(bytes) * 100 / i128::from(of)),
        _ => size,
    }
}

fn line(kind: &str, total: usize, active: usize, size: i64, reclaimable: String) -> Row {
    let mut row = Row::default();
    row.set("Type", kind);
    row.set("TotalCount", total.to_string());
    row.set("Active", active.to_string());
    row.set("Size", human::size(size, 4));
    row.set("Reclaimable", reclaimable);
    row
}

fn summary(usage: &Usage) -> Vec<Row> {
    let images = usage.images.as_deref().unwrap_or_default();
    let used: i64 = images
        .iter()
        .filter(|image| image.containers != 0 && image.size != -1 && image.shared_size != -1)
        .map(|image| image.size - image.shared_size)
        .sum();
    let containers = usage.containers.as_deref().unwrap_or_default();
    let active = |container: &&ContainerSummary| {
        matches!(
            container.state.as_str(),
            "running" | "paused" | "restarting"
        )
    };
    let written: i64 = containers.iter().map(|container| container.size_rw).sum();
    let held: i64 = containers
        .iter()
        .filter(active)
        .map(|container| container.size_rw)
        .sum();
    let volumes = usage.volumes.as_deref().unwrap_or_default();
    let sized = || {
        let known = volumes
            .iter()
            .filter_map(|volume| volume.usage_data.as_ref());
        known.filter(|usage| usage.size != -1)
    };
    let stored: i64 = sized().map(|usage| usage.size).sum();
    let unused: i64 = sized()
        .filter(|usage| usage.ref_count == 0)
        .map(|usage| usage.size)
        .sum();
    let records = usage.build_cache.as_deref().unwrap_or_default();
    let cached = build_cache::size(records);
    let in_use: i64 = records
        .iter()
        .filter(|record| record.in_use && !record.shared)
        .map(|record| record.size)
        .sum();
    vec![
        line(
            "Images",
            images.len(),
            images.iter().filter(|image| image.containers > 0).count(),
            usage.layers_size,
            part(usage.layers_size - used, usage.layers_size),
        ),
        line(
            "Containers",
            containers.len(),
            containers.iter().filter(active).count(),
            written,
            part(written - held, written),
        ),
        line(
            "Local Volumes",
            volumes.len(),
            volumes
                .iter()
                .filter(|volume| {
                    volume
                        .usage_data
                        .as_ref()
                        .is_some_and(|usage| usage.ref_count > 0)
                })
                .count(),
            stored,
            part(unused, stored),
        ),
        line(
            "Build Cache",
            records.len(),
            records.iter().filter(|record| record.in_use).count(),
            cached,
            human::size(cached - in_use, 4),
        ),
    ]
}

/// Every object: four tables, or one template over all of them.
fn verbose(mut usage: Usage, format: &str) -> Result<String, Error> {
    let truncate = matches!(format, "" | "table");
    let images: Vec<Row> = usage
        .images
        .iter()
        .flatten()
        .map(|image| images::first_row(image, truncate))
        .collect();
    let containers: Vec<Row> = usage
        .containers
        .iter_mut()
        .flatten()
        .map(|container| {
            // The size of the image is in the images' table.
            container.size_root_fs = 0;
            ps::row(container, truncate)
        })
        .collect();
    let volumes: Vec<Row> = usage.volumes.iter().flatten().map(volume::row).collect();
    let mut records = usage.build_cache.unwrap_or_default();
    build_cache::sort(&mut records);
    let caches: Vec<Row> = records
        .iter()
        .map(|record| build_cache::row(record, truncate))
        .collect();
    if !truncate {
        return templated(
            &[
                ("Images", &images),
                ("Containers", &containers),
                ("Volumes", &volumes),
                ("BuildCache", &caches),
            ],
            format,
        );
    }
    let table = |shape: Shape, rows: &[Row], columns: &[&str]| {
        let cells: Vec<String> = columns
            .iter()
            .map(|name| format!("{{{{.{name}}}}}"))
            .collect();
        render(&shape, rows, &format!("table {}", cells.join("\t")), false)
    };
    Ok(format!(
        "Images space usage:\n\n{}\nContainers space usage:\n\n{}\nLocal Volumes space usage:\n\n{}\nBuild cache usage: {}\n\n{}",
        table(
            images::shape(false),
            &images,
            &[
                "Repository",
                "Tag",
                "ID",
                "CreatedSince",
                "Size",
                "SharedSize",
                "UniqueSize",
                "Containers"
            ],
        )?,
        table(
            ps::shape(false),
            &containers,
            &[
                "ID",
                "Image",
                "Command",
                "LocalVolumes",
                "Size",
                "RunningFor",
                "Status",
                "Names"
            ],
        )?,
        table(volume::shape(), &volumes, &["Name", "Links", "Size"])?,
        human::size(build_cache::size(&records), 4),
        table(
            build_cache::shape(),
            &caches,
            &[
                "ID",
                "CacheType",
                "Size",
                "CreatedSince",
                "LastUsedSince",
                "UsageCount",
                "Shared"
            ],
        )?,
    ))
}

fn templated(groups: &[(&str, &[Row])], format: &str) -> Result<String, Error> {
    let data: Map<String, Value> = groups
        .iter()
        .map(|(name, rows)| {
            let fields = rows.iter().map(|row| row.sorted_fields());
            ((*name).to_owned(), Value::Array(fields.collect()))
        })
        .collect();
    let source = match format {
        "json" => "{{json .}}",
        other => other,
    };
    let template = Template::parse(source)
        .map_err(|error| Error::message(format!("template parsing error: {error}")))?;
    template
        .render(&Value::Object(data), &Strict)
        .map_err(|error| Error::message(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage() -> Usage {
        serde_json::from_str(
            r#"{"LayersSize":2000,"Images":[{"Id":"sha256:a","Size":500,"SharedSize":0,"Containers":1,"Created":1,"Labels":null,"ParentId":"","RepoDigests":[],"RepoTags":["a:1"]}],
            "Containers":[],"Volumes":[{"Name":"v","Driver":"local","Scope":"local","Mountpoint":"/m","Labels":null,"UsageData":{"RefCount":0,"Size":10}}],"BuildCache":null}"#,
        )
        .unwrap()
    }

    #[test]
    fn lines() {
        let shown = render(&shape(), &summary(&usage()), "", false).unwrap();
        assert_eq!(
            shown,
            "TYPE            TOTAL     ACTIVE    SIZE      RECLAIMABLE\nImages          1         1         2kB       1.5kB (75%)\nContainers      0         0         0B        0B\nLocal Volumes   1         0         10B       10B (100%)\nBuild Cache     0         0         0B        0B\n"
        );
    }

    #[test]
    fn all_objects() {
        let shown = verbose(usage(), "").unwrap();
        assert!(shown.contains("Local Volumes space usage:\n\nVOLUME NAME   LINKS     SIZE\nv             0         10B\n"), "{shown}");
        let shown = verbose(usage(), "{{range .Volumes}}{{.Name}}{{end}}").unwrap();
        assert_eq!(shown, "v");
    }
}
