//! Rows and `--format`: `table`, `table TEMPLATE`, `raw`, `json`, TEMPLATE.

use gantry_gotemplate::{Absent, Header, Scope, Template};
use serde_json::{Map, Value};

use super::table;
use crate::error::Error;

/// What a kind of rows looks like.
pub(crate) struct Shape {
    /// Go's name of the row type, for errors.
    pub(crate) type_name: &'static str,
    /// Fields and their column titles.
    pub(crate) headers: &'static [(&'static str, &'static str)],
    /// The template of the default table.
    pub(crate) table: String,
    /// The template of `--format raw`.
    pub(crate) raw: String,
    /// The field that `-q` shows.
    pub(crate) quiet: &'static str,
    /// How `--format raw` calls that field.
    pub(crate) raw_quiet: &'static str,
    /// Whether Docker tries the template before it asks the daemon, which shows
    /// in its complaints.
    pub(crate) tried_first: bool,
}

/// One row: its fields, and its labels for `{{.Label "x"}}`.
#[derive(Debug, Default, Clone)]
pub(crate) struct Row {
    pub(crate) fields: Map<String, Value>,
    pub(crate) labels: Map<String, Value>,
}

impl Row {
    /// Adds a field.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.fields.insert(name.to_owned(), value.into());
    }

    /// The fields in the order of their names.
    pub(crate) fn sorted_fields(&self) -> Value {
        let mut fields: Vec<_> = self.fields.iter().collect();
        gantry_types::sort::by(&mut fields, |a, b| a.0.cmp(b.0));
        let pairs = fields.into_iter();
        Value::Object(
            pairs
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        )
    }

    /// Adds the labels, both as a field and one by one.
    pub(crate) fn set_labels<'a>(
        &mut self,
        labels: impl Iterator<Item = (&'a String, &'a String)>,
    ) {
        let mut all = Vec::new();
        for (key, value) in labels {
            all.push(format!("{key}={value}"));
            self.labels.insert(key.clone(), value.as_str().into());
        }
        self.set("Labels", all.join(","));
    }
}

struct RowScope<'a> {
    type_name: &'a str,
    row: &'a Row,
}

impl Scope for RowScope<'_> {
    fn method(&self, name: &str, arguments: &[Value]) -> Option<Result<Value, String>> {
        if name != "Label" {
            return None;
        }
        if arguments.len() != 1 {
            let got = arguments.len();
            return Some(Err(format!(
                "wrong number of args for Label: want 1 got {got}"
            )));
        }
        let key = arguments.first().and_then(Value::as_str).unwrap_or("");
        let found = self.row.labels.get(key).cloned();
        Some(Ok(found.unwrap_or_else(|| Value::String(String::new()))))
    }

    fn nil(&self, _: &str) -> &'static str {
        "<nil>"
    }

    fn absent(&self, field: &str) -> Absent {
        Absent::Error(format!(
            "can't evaluate field {field} in type *{}",
            self.type_name
        ))
    }

    fn escapes_dot(&self) -> bool {
        true
    }
}

/// Renders `rows`. An empty `format` is the default table; `quiet` shows one
/// field per line.
pub(crate) fn render(
    shape: &Shape,
    rows: &[Row],
    format: &str,
    quiet: bool,
) -> Result<String, Error> {
    let (is_table, source) = source(shape, format, quiet);
    let complain = |early: &str, error: gantry_gotemplate::Error| {
        let what = match shape.tried_first {
            true => early,
            false => "template parsing error",
        };
        Error::message(format!("{what}: {error}"))
    };
    let template =
        Template::parse(&source).map_err(|error| complain("failed to parse template", error))?;
    let mut lines = Vec::with_capacity(rows.len() + 1);
    if is_table {
        let titles: Map<String, Value> = shape
            .headers
            .iter()
            .map(|(field, title)| ((*field).to_owned(), Value::from(*title)))
            .collect();
        // What cannot be shown of the titles leaves the header blank.
        let header = template.render(&Value::Object(titles), &Header);
        lines.push(header.unwrap_or_default());
    }
    for row in rows {
        let scope = RowScope {
            type_name: shape.type_name,
            row,
        };
        let line = template.render(&row.sorted_fields(), &scope);
        lines.push(line.map_err(|error| complain("failed to execute template", error))?);
    }
    if is_table {
        let split: Vec<String> = lines
            .iter()
            .flat_map(|line| line.split('\n').map(str::to_owned))
            .collect();
        return Ok(table::align(&split, 10, 3));
    }
    let mut out = String::new();
    for line in lines {
        out.push_str(&line);
        out.push('\n');
    }
    Ok(out)
}

/// Whether `format` is a table, and the template that it stands for.
fn source(shape: &Shape, format: &str, quiet: bool) -> (bool, String) {
    let (is_table, text) = match format {
        "" | "table" if quiet => (false, format!("{{{{.{}}}}}", shape.quiet)),
        "" | "table" => (true, shape.table.clone()),
        "raw" if quiet => (
            false,
            format!("{}: {{{{.{}}}}}", shape.raw_quiet, shape.quiet),
        ),
        "raw" => (false, shape.raw.clone()),
        "json" => (false, "{{json .}}".to_owned()),
        _ => match format.strip_prefix("table") {
            Some(rest) if rest.starts_with([' ', '\t']) => (true, rest.trim_start().to_owned()),
            _ => (false, format.to_owned()),
        },
    };
    (is_table, text.replace("\\t", "\t").replace("\\n", "\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape() -> Shape {
        Shape {
            type_name: "formatter.ContainerContext",
            headers: &[("ID", "CONTAINER ID"), ("Names", "NAMES")],
            table: "{{.ID}}\t{{.Names}}".to_owned(),
            raw: "container_id: {{.ID}}\n".to_owned(),
            quiet: "ID",
            raw_quiet: "container_id",
            tried_first: true,
        }
    }

    fn row() -> Row {
        let mut row = Row::default();
        row.set("Names", "<web>");
        row.set("ID", "0123456789ab");
        row.labels.insert("a.b".into(), "c".into());
        row
    }

    #[test]
    fn formats() {
        let table = [
            ("", false, "CONTAINER ID   NAMES\n0123456789ab   <web>\n"),
            ("table", true, "0123456789ab\n"),
            ("", true, "0123456789ab\n"),
            ("raw", false, "container_id: 0123456789ab\n\n"),
            (
                "json",
                false,
                "{\"ID\":\"0123456789ab\",\"Names\":\"\\u003cweb\\u003e\"}\n",
            ),
            ("{{.Names}}\\t{{.Label \"a.b\"}}", false, "<web>\tc\n"),
            (
                "table {{.Label \"a.b\"}}\\t{{.Names}}",
                false,
                "b         NAMES\nc         <web>\n",
            ),
            ("table {{.ID}}", true, "CONTAINER ID\n0123456789ab\n"),
        ];
        for (format, quiet, expected) in table {
            let shown = render(&shape(), &[row()], format, quiet).unwrap();
            assert_eq!(shown, expected, "{format}");
        }
    }

    #[test]
    fn unknown_fields_are_named() {
        let error = render(&shape(), &[row()], "{{.Foo}}", false).unwrap_err();
        assert_eq!(
            error.to_string(),
            "failed to execute template: template: :1:2: executing \"\" at <.Foo>: can't evaluate field Foo in type *formatter.ContainerContext"
        );
    }
}
