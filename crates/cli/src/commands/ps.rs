//! `ps`: the containers.

use std::collections::BTreeMap;

use futures_util::future::LocalBoxFuture;
use gantry_api::{ContainerSummary, Port};
use serde_json::Value;

use super::{Outcome, filters, names};
use crate::args::Matches;
use crate::output::formatter::{Row, Shape, render};
use crate::output::human;
use crate::session::Session;
use crate::transport::Call;

/// `docker ps`.
pub(crate) fn run<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let quiet = matches.bool("quiet");
        let mut format = matches.text("format").to_owned();
        if quiet && !format.is_empty() {
            let warning =
                "WARNING: Ignoring custom format, because both --format and --quiet are set.";
            session.printer.error_line(warning);
            format.clear();
        }
        if format.is_empty() && !quiet {
            format.clone_from(&session.settings.config.ps_format);
        }
        let wants_size = matches.bool("size") || (!quiet && needs_size(&format));
        let last = match matches.bool("latest") {
            true if !matches.changed("last") => 1,
            _ => matches.int("last"),
        };
        let call = Call::get("/containers/json")
            .query_if("all", matches.bool("all"))
            .query_some("filters", &filters::query(matches))
            .query_some(
                "limit",
                &if last > 0 {
                    last.to_string()
                } else {
                    String::new()
                },
            )
            .query_if("size", wants_size);
        let containers: Vec<ContainerSummary> = session.client.json(&call).await?;
        let truncate = !matches.bool("no-trunc");
        let rows: Vec<Row> = containers
            .iter()
            .map(|container| row(container, truncate))
            .collect();
        let shown = render(&shape(matches.bool("size")), &rows, &format, quiet)?;
        session.printer.out(&shown);
        Ok(0)
    })
}

/// Whether a template shows sizes, which the daemon has to be asked for.
fn needs_size(format: &str) -> bool {
    format.contains(".Size") || format.replace(' ', "").contains("{{json.}}")
}

/// The shape of a list of containers.
pub(super) fn shape(size: bool) -> Shape {
    let mut table =
        "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}"
            .to_owned();
    let mut raw = "container_id: {{.ID}}\nimage: {{.Image}}\ncommand: {{.Command}}\ncreated_at: {{.CreatedAt}}\nstate: {{.State}}\nstatus: {{.Status}}\nnames: {{.Names}}\nlabels: {{- pad .Labels 1 0}}\nports: {{- pad .Ports 1 0}}\n".to_owned();
    if size {
        table.push_str("\t{{.Size}}");
        raw.push_str("size: {{.Size}}\n");
    }
    Shape {
        type_name: "formatter.ContainerContext",
        headers: &[
            ("ID", "CONTAINER ID"),
            ("Names", "NAMES"),
            ("Image", "IMAGE"),
            ("Command", "COMMAND"),
            ("CreatedAt", "CREATED AT"),
            ("RunningFor", "CREATED"),
            ("Ports", "PORTS"),
            ("State", "STATE"),
            ("Status", "STATUS"),
            ("Size", "SIZE"),
            ("Labels", "LABELS"),
            ("Mounts", "MOUNTS"),
            ("LocalVolumes", "LOCAL VOLUMES"),
            ("Networks", "NETWORKS"),
            ("Platform", "PLATFORM"),
        ],
        table,
        raw,
        quiet: "ID",
        raw_quiet: "container_id",
        tried_first: true,
    }
}

/// A row of a list of containers.
pub(super) fn row(container: &ContainerSummary, truncate: bool) -> Row {
    let mut row = Row::default();
    let cut = |text: &str, width: usize| match truncate {
        true => names::ellipsis(text, width),
        false => text.to_owned(),
    };
    row.set(
        "ID",
        if truncate {
            names::short_id(&container.id)
        } else {
            &container.id
        },
    );
    row.set("Names", shown_names(&container.names, truncate));
    row.set("Image", image(container, truncate));
    row.set("Command", quoted(&cut(&container.command, 20)));
    row.set("CreatedAt", human::created_at(container.created));
    row.set("RunningFor", human::ago(container.created));
    row.set("Ports", ports(&container.ports));
    row.set("State", container.state.as_str());
    row.set("Status", container.status.as_str());
    row.set("Size", size(container));
    let mounts: Vec<String> = container
        .mounts
        .iter()
        .map(|mount| {
            cut(
                if mount.name.is_empty() {
                    &mount.source
                } else {
                    &mount.name
                },
                15,
            )
        })
        .collect();
    row.set("Mounts", mounts.join(","));
    let local = container
        .mounts
        .iter()
        .filter(|mount| mount.driver == "local")
        .count();
    row.set("LocalVolumes", local.to_string());
    let networks: Vec<&str> = container
        .network_settings
        .networks
        .keys()
        .map(String::as_str)
        .collect();
    row.set("Networks", networks.join(","));
    row.set("Platform", Value::Null);
    row.set_labels(container.labels.iter().flatten());
    row
}

/// Go's quoting, for a column.
fn quoted(text: &str) -> String {
    let escaped = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
        .replace('\t', "\\t")
        .replace('\r', "\\r");
    format!("\"{escaped}\"")
}

/// Names without the slash; those of links only in full output.
fn shown_names(all: &[String], truncate: bool) -> String {
    let bare = all
        .iter()
        .map(|name| name.strip_prefix('/').unwrap_or(name));
    let shown: Vec<&str> = bare
        .filter(|name| !truncate || !name.contains('/'))
        .collect();
    shown.join(",")
}

fn image(container: &ContainerSummary, truncate: bool) -> String {
    let image = container.image.as_str();
    if image.is_empty() {
        return "<no image>".to_owned();
    }
    if !truncate {
        return image.to_owned();
    }
    let short = names::short_id(&container.image_id);
    if !short.is_empty() && short == names::short_id(image) {
        return short.to_owned();
    }
    match names::normalized(image) {
        Ok(reference) if reference.digest().is_some() => match reference.tag() {
            Some(tag) => format!("{}:{tag}", reference.familiar_name()),
            None => reference.familiar_name(),
        },
        _ => image.to_owned(),
    }
}

fn size(container: &ContainerSummary) -> String {
    let written = human::size(container.size_rw, 3);
    match container.size_root_fs {
        1.. => format!(
            "{written} (virtual {})",
            human::size(container.size_root_fs, 3)
        ),
        _ => written,
    }
}

fn joined(ip: &str, ports: &str) -> String {
    match ip.contains(':') {
        true => format!("[{ip}]:{ports}"),
        false => format!("{ip}:{ports}"),
    }
}

fn group(ip: &str, kind: &str, first: u16, last: u16) -> String {
    let ports = match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    };
    match ip {
        "" => format!("{ports}/{kind}"),
        ip => format!("{}->{ports}/{kind}", joined(ip, &ports)),
    }
}

/// Ports, neighbours merged when they are published under their own number.
fn ports(all: &[Port]) -> String {
    let mut sorted: Vec<&Port> = all.iter().collect();
    gantry_types::sort::by_key(&mut sorted, |port| {
        (port.private_port, &port.ip, port.public_port, &port.kind)
    });
    let mut open: BTreeMap<(&str, &str), (u16, u16)> = BTreeMap::new();
    let mut order = Vec::new();
    let (mut done, mut mapped) = (Vec::new(), Vec::new());
    for port in sorted {
        let number = port.private_port;
        if !port.ip.is_empty() && port.public_port != number {
            let host = joined(&port.ip, &port.public_port.to_string());
            mapped.push(format!("{host}->{number}/{}", port.kind));
            continue;
        }
        let key = (port.ip.as_str(), port.kind.as_str());
        match open.get_mut(&key) {
            None => {
                open.insert(key, (number, number));
                order.push(key);
            }
            Some(range) if range.1.checked_add(1) == Some(number) => range.1 = number,
            Some(range) => {
                done.push(group(key.0, key.1, range.0, range.1));
                *range = (number, number);
            }
        }
    }
    for key in order {
        if let Some((first, last)) = open.get(&key) {
            done.push(group(key.0, key.1, *first, *last));
        }
    }
    done.append(&mut mapped);
    done.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(ip: &str, private: u16, public: u16, kind: &str) -> Port {
        Port {
            ip: ip.to_owned(),
            private_port: private,
            public_port: public,
            kind: kind.to_owned(),
        }
    }

    #[test]
    fn ports_are_merged() {
        let table = [
            (vec![], ""),
            (
                vec![port("", 80, 0, "tcp"), port("", 81, 0, "tcp")],
                "80-81/tcp",
            ),
            (
                vec![
                    port("0.0.0.0", 80, 8080, "tcp"),
                    port("::", 80, 8080, "tcp"),
                    port("0.0.0.0", 81, 81, "udp"),
                    port("::", 81, 81, "udp"),
                ],
                "0.0.0.0:81->81/udp, [::]:81->81/udp, 0.0.0.0:8080->80/tcp, [::]:8080->80/tcp",
            ),
            (
                vec![
                    port("0.0.0.0", 1, 1, "tcp"),
                    port("0.0.0.0", 2, 2, "tcp"),
                    port("0.0.0.0", 9, 9, "tcp"),
                ],
                "0.0.0.0:1-2->1-2/tcp, 0.0.0.0:9->9/tcp",
            ),
        ];
        for (all, expected) in table {
            assert_eq!(ports(&all), expected);
        }
    }

    #[test]
    fn a_row() {
        let container = ContainerSummary {
            id: "0123456789abcdef".to_owned(),
            names: vec!["/web".to_owned(), "/db/web".to_owned()],
            image: "repo/x@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
                .to_owned(),
            command: "sh -c \"a very long command\"".to_owned(),
            status: "Up 3 minutes".to_owned(),
            size_rw: 2,
            size_root_fs: 4_000_000,
            ..ContainerSummary::default()
        };
        let shown = row(&container, true);
        assert_eq!(shown.fields["ID"], "0123456789ab");
        assert_eq!(shown.fields["Names"], "web");
        assert_eq!(shown.fields["Image"], "repo/x");
        assert_eq!(shown.fields["Command"], "\"sh -c \\\"a very long …\"");
        assert_eq!(shown.fields["Size"], "2B (virtual 4MB)");
        let full = row(&container, false);
        assert_eq!(full.fields["Names"], "web,db/web");
    }
}
