//! The `tag` option: a Go template over what Docker's log drivers know of a
//! container.

use gantry_gotemplate::{Absent, Scope, Template};
use serde_json::{Value, json};

use crate::options::Subject;

/// Digits of a shortened id.
const SHORT: usize = 12;

/// The tag that `template` means, or what is wrong with it in Go's words.
pub(crate) fn render(template: &str, subject: &Subject<'_>) -> Result<String, String> {
    let named = |error: gantry_gotemplate::Error| {
        error
            .to_string()
            .replacen("template: :", "template: log-tag:", 1)
            .replacen("executing \"\"", "executing \"log-tag\"", 1)
    };
    Template::parse(template)
        .and_then(|template| template.render(&fields(subject), &Fields))
        .map_err(named)
}

/// All that may be named, but for what other options say already.
fn fields(subject: &Subject<'_>) -> Value {
    let name = subject.name.strip_prefix('/').unwrap_or(subject.name);
    let image = subject.image_id;
    let words: Vec<&str> = std::iter::once(subject.program)
        .chain(subject.arguments.iter().map(String::as_str))
        .collect();
    json!({
        "ID": short(subject.id),
        "FullID": subject.id,
        "Name": name,
        "Command": words.join(" "),
        "ImageID": short(image.strip_prefix("sha256:").unwrap_or(image)),
        "ImageFullID": image,
        "ImageName": subject.image_name,
        "Hostname": subject.hostname,
        "DaemonName": "docker",
        "ContainerID": subject.id,
        "ContainerName": subject.name,
        "ContainerEntrypoint": subject.program,
        "ContainerArgs": subject.arguments,
        "ContainerImageID": image,
        "ContainerImageName": subject.image_name,
        "ContainerCreated": subject.created,
        "ContainerEnv": subject.env,
        "ContainerLabels": subject.labels,
    })
}

fn short(id: &str) -> &str {
    id.get(..SHORT).unwrap_or(id)
}

/// Names that do not exist are errors, as for Go's structs.
struct Fields;

impl Scope for Fields {
    fn absent(&self, field: &str) -> Absent {
        Absent::Error(format!("can't evaluate field {field} in type *logger.Info"))
    }

    fn has_typed_maps(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_rendered() {
        let subject = Subject {
            id: "0123456789abcdef",
            name: "/web",
            program: "sh",
            arguments: &["-c".to_owned(), "true".to_owned()],
            image_id: "sha256:fedcba98765432100",
            image_name: "app:1",
            ..Subject::default()
        };
        for (template, tag) in [
            ("plain", "plain"),
            ("{{.ID}}", "0123456789ab"),
            ("{{.Name}}|{{.FullID}}", "web|0123456789abcdef"),
            ("{{.Command}}", "sh -c true"),
            ("{{.ImageID}} {{.ImageName}}", "fedcba987654 app:1"),
            ("{{upper .Name}}", "WEB"),
        ] {
            assert_eq!(render(template, &subject).as_deref(), Ok(tag));
        }
        assert_eq!(
            render("{{.Nope}}", &subject).unwrap_err(),
            "template: log-tag:1:2: executing \"log-tag\" at <.Nope>: \
             can't evaluate field Nope in type *logger.Info"
        );
        assert_eq!(
            render("{{", &subject).unwrap_err(),
            "template: log-tag:1: unclosed action"
        );
    }
}
