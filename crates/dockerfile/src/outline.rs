//! `--call=outline` and `--call=targets`: what a file offers and asks for.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::error::{Error, Span};
use crate::graph::Source;
use crate::instruction::Dockerfile;
use crate::lint::{Followed, Setting, follow};

/// The stages of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Targets {
    /// In the order of the file.
    pub targets: Vec<Target>,
}

/// One stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its name, if it has one.
    pub name: Option<String>,
    /// The comment above it.
    pub description: Option<String>,
    /// Whether it is built when nothing is said.
    pub default: bool,
    /// Its base, as it is written.
    pub base: String,
    /// Its platform, as it is written.
    pub platform: Option<String>,
    /// The lines of its `FROM`.
    pub span: Span,
}

impl Targets {
    /// The stages of a file.
    pub fn of(file: &Dockerfile) -> Self {
        let last = file.stages.len();
        let stages = file.stages.iter().enumerate();
        let targets = stages.map(|(number, stage)| Target {
            name: stage.name.clone(),
            description: stage.description.clone(),
            default: number + 1 == last,
            base: stage.base.0.clone(),
            platform: stage.platform.as_ref().map(|word| word.0.clone()),
            span: stage.span,
        });
        Self {
            targets: targets.collect(),
        }
    }

    /// As a table.
    pub fn text(&self) -> String {
        let rows = self.targets.iter().map(|target| {
            let name = match (&target.name, target.default) {
                (None, true) => "(default)".to_owned(),
                (None, false) => String::new(),
                (Some(name), true) => format!("{name} (default)"),
                (Some(name), false) => name.clone(),
            };
            [name, target.description.clone().unwrap_or_default()]
        });
        let head = ["TARGET", "DESCRIPTION"].map(str::to_owned);
        table(std::iter::once(head).chain(rows).collect(), 1)
    }

    /// For programs, as BuildKit has it.
    pub fn json(&self, bytes: &[u8]) -> Value {
        let targets = self.targets.iter().map(|target| {
            let mut out = Map::new();
            put(&mut out, "name", target.name.as_deref());
            if target.default {
                out.insert("default".to_owned(), true.into());
            }
            put(&mut out, "description", target.description.as_deref());
            put(&mut out, "base", Some(&target.base));
            put(&mut out, "platform", target.platform.as_deref());
            out.insert("location".to_owned(), location(target.span));
            Value::Object(out)
        });
        json!({"targets": targets.collect::<Vec<_>>(), "sources": [STANDARD.encode(bytes)]})
    }
}

/// What a stage, with all that it needs, asks of the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// Its name, if it has one.
    pub name: Option<String>,
    /// The comment above it.
    pub description: Option<String>,
    /// Its arguments.
    pub args: Vec<OutlineArg>,
    /// Its secrets.
    pub secrets: Vec<Asked>,
    /// Its ssh agents.
    pub ssh: Vec<Asked>,
}

/// An argument that makes a difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutlineArg {
    /// Its name.
    pub name: String,
    /// The comment above it.
    pub description: Option<String>,
    /// What it is now.
    pub value: Option<String>,
    /// Where it is declared.
    pub span: Span,
}

/// A secret or an ssh agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Its id.
    pub name: String,
    /// Whether the build fails without it.
    pub required: bool,
    /// Where it is used first.
    pub span: Span,
}

impl Outline {
    /// The outline of the target, or of the last stage. Fails where a build
    /// would before it runs anything.
    pub fn of(bytes: &[u8], setting: &Setting<'_>) -> Result<Self, Error> {
        let followed = follow(bytes, setting)?;
        let target = followed.graph.target(setting.target)?;
        let stage = &followed.file.stages[target];
        let mut outline = Self {
            name: stage.name.clone(),
            description: stage.description.clone(),
            args: Vec::new(),
            secrets: Vec::new(),
            ssh: Vec::new(),
        };
        let mut open = vec![target];
        let mut done = BTreeSet::new();
        while let Some(number) = open.pop() {
            if !done.insert(number) {
                continue;
            }
            outline.add(number, &followed);
            let node = &followed.graph.nodes()[number];
            let others = node.uses.iter().map(|reference| &reference.source);
            // The base is asked first: what it declares hides what the others do.
            for source in others.rev().chain([&node.source]) {
                if let Source::Stage(other) = source {
                    open.push(*other);
                }
            }
        }
        gantry_types::sort::by_key(&mut outline.args, |arg| arg.span.first_line);
        gantry_types::sort::by_key(&mut outline.secrets, |asked| asked.span.first_line);
        gantry_types::sort::by_key(&mut outline.ssh, |asked| asked.span.first_line);
        Ok(outline)
    }

    fn add(&mut self, number: usize, followed: &Followed) {
        let seen = &followed.seen[number];
        let mut of_file: Vec<&str> = Vec::new();
        for (name, arg) in &seen.args {
            if arg.of_file {
                of_file.push(name);
            } else if !self.args.iter().any(|known| known.name == *name) {
                self.args.push(OutlineArg {
                    name: name.clone(),
                    description: arg.description.clone(),
                    value: arg.value.clone(),
                    span: arg.span,
                });
            }
        }
        let node = &followed.graph.nodes()[number];
        of_file.extend(node.used_args.iter().map(String::as_str));
        self.add_of_file(of_file, followed);
        for (all, seen) in [
            (&mut self.secrets, &seen.secrets),
            (&mut self.ssh, &seen.ssh),
        ] {
            for (name, (required, span)) in seen {
                if !all.iter().any(|known| known.name == *name) {
                    all.push(Asked {
                        name: name.clone(),
                        required: *required,
                        span: *span,
                    });
                }
            }
        }
    }

    /// Arguments from before the first stage, and those that they are made of.
    fn add_of_file<'a>(&mut self, mut open: Vec<&'a str>, followed: &'a Followed) {
        let mut done = BTreeSet::new();
        while let Some(name) = open.pop() {
            let Some(global) = followed.globals.declared().get(name) else {
                continue;
            };
            if !done.insert(name) {
                continue;
            }
            open.extend(global.uses.iter().map(String::as_str));
            if !self.args.iter().any(|known| known.name == name) {
                self.args.push(OutlineArg {
                    name: name.to_owned(),
                    description: global.description.clone(),
                    value: global.value.clone(),
                    span: global.span,
                });
            }
        }
    }

    /// As tables.
    pub fn text(&self) -> String {
        let mut out = String::new();
        if self.name.is_some() || self.description.is_some() {
            let name = self.name.as_deref().unwrap_or("(default)");
            let mut rows = vec![["TARGET:".to_owned(), name.to_owned()]];
            if let Some(text) = &self.description {
                rows.push(["DESCRIPTION:".to_owned(), text.clone()]);
            }
            out.push_str(&table(rows, 1));
            out.push('\n');
        }
        if !self.args.is_empty() {
            let rows = self.args.iter().map(|arg| {
                [
                    arg.name.clone(),
                    arg.value.clone().unwrap_or_default(),
                    arg.description.clone().unwrap_or_default(),
                ]
            });
            let head = ["BUILD ARG", "VALUE", "DESCRIPTION"].map(str::to_owned);
            out.push_str(&table(std::iter::once(head).chain(rows).collect(), 3));
            out.push('\n');
        }
        for (title, asked) in [("SECRET", &self.secrets), ("SSH", &self.ssh)] {
            if asked.is_empty() {
                continue;
            }
            let rows = asked.iter().map(|asked| {
                let required = if asked.required { "true" } else { "" };
                [asked.name.clone(), required.to_owned()]
            });
            let head = [title, "REQUIRED"].map(str::to_owned);
            out.push_str(&table(std::iter::once(head).chain(rows).collect(), 3));
            out.push('\n');
        }
        out
    }

    /// For programs, as BuildKit has it.
    pub fn json(&self, bytes: &[u8]) -> Value {
        let mut out = Map::new();
        put(&mut out, "name", self.name.as_deref());
        put(&mut out, "description", self.description.as_deref());
        let args = self.args.iter().map(|arg| {
            let mut out = Map::new();
            out.insert("name".to_owned(), arg.name.clone().into());
            put(&mut out, "description", arg.description.as_deref());
            put(&mut out, "value", arg.value.as_deref());
            out.insert("location".to_owned(), location(arg.span));
            Value::Object(out)
        });
        put_all(&mut out, "args", args.collect());
        for (name, asked) in [("secrets", &self.secrets), ("ssh", &self.ssh)] {
            let asked = asked.iter().map(|asked| {
                let mut out = json!({"name": asked.name, "location": location(asked.span)});
                if asked.required {
                    out["required"] = true.into();
                }
                out
            });
            put_all(&mut out, name, asked.collect());
        }
        out.insert("sources".to_owned(), json!([STANDARD.encode(bytes)]));
        Value::Object(out)
    }
}

fn put(out: &mut Map<String, Value>, name: &str, value: Option<&str>) {
    if let Some(value) = value.filter(|value| !value.is_empty()) {
        out.insert(name.to_owned(), value.into());
    }
}

fn put_all(out: &mut Map<String, Value>, name: &str, values: Vec<Value>) {
    if !values.is_empty() {
        out.insert(name.to_owned(), values.into());
    }
}

/// Lines as BuildKit's protocol has them, each for itself.
pub(crate) fn location(span: Span) -> Value {
    let ranges = (span.first_line..=span.last_line)
        .map(|line| json!({"start": {"line": line}, "end": {"line": line}}));
    json!({"ranges": ranges.collect::<Vec<_>>()})
}

/// Columns as wide as their widest cell and `gap` spaces; the last one as it is.
fn table<const N: usize>(rows: Vec<[String; N]>, gap: usize) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0) + gap
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut out = String::new();
    for row in &rows {
        for (column, cell) in row.iter().enumerate() {
            match column + 1 == N {
                true => out.push_str(cell),
                false => out.push_str(&format!("{cell:width$}", width = widths[column])),
            }
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::ignore::Patterns;
    use crate::lint::Base;
    use crate::parse::parse;

    const FILE: &str = "# V is the version
ARG V=1
ARG W=$V-w
ARG UNUSED=x
# base is the base
FROM bb:$V AS base
# LOCAL is local
ARG LOCAL=$PATH
ARG V
RUN --mount=type=secret,id=tok,required=true --mount=type=ssh echo
FROM bb:1 AS other
ARG Z
RUN --mount=type=secret,target=/run/secrets/abc --mount=type=cache,target=/c,id=cc echo
# final is what you want
FROM --platform=$TARGETPLATFORM base AS final
ARG Q=${W}
ARG W
ARG R=${W}
COPY --from=other a b
";

    fn outline(target: Option<&str>, given: &[(&str, &str)]) -> Outline {
        let predefined = [("TARGETPLATFORM", "linux/amd64".to_owned())];
        let given = given
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let build_args: BTreeMap<String, String> = given.collect();
        let setting = Setting {
            predefined: &predefined,
            build_args: &build_args,
            contexts: &BTreeSet::new(),
            ignored: &Patterns::default(),
            target,
            image: &|_, _| {
                Ok(Base {
                    env: vec![("PATH".to_owned(), "/bin".to_owned())],
                    ..Base::default()
                })
            },
            options: None,
        };
        Outline::of(FILE.as_bytes(), &setting).expect("an outline")
    }

    /// What the real buildx prints of the same file.
    #[test]
    fn an_outline_is_what_buildx_prints() {
        assert_eq!(
            outline(None, &[]).text(),
            "TARGET:      final
DESCRIPTION: is what you want

BUILD ARG   VALUE   DESCRIPTION
V           1       is the version
W           1-w     
LOCAL       /bin    is local
Z                   
Q                   
R           1-w     

SECRET   REQUIRED
tok      true
abc      

SSH       REQUIRED
default   

"
        );
        assert_eq!(
            outline(Some("base"), &[("V", "1"), ("Z", "3")]).text(),
            "TARGET:      base
DESCRIPTION: is the base

BUILD ARG   VALUE   DESCRIPTION
LOCAL       /bin    is local
V           1       

SECRET   REQUIRED
tok      true

SSH       REQUIRED
default   

"
        );
    }

    #[test]
    fn an_outline_for_programs() {
        let out = outline(Some("other"), &[]).json(b"x");
        let lines = |line| json!({"ranges": [{"start": {"line": line}, "end": {"line": line}}]});
        assert_eq!(
            out,
            json!({
                "name": "other",
                "args": [{"name": "Z", "location": lines(12)}],
                "secrets": [{"name": "abc", "location": lines(13)}],
                "sources": ["eA=="],
            })
        );
    }

    #[test]
    fn targets_are_listed() {
        let targets = Targets::of(&parse(FILE.as_bytes()).expect("a file"));
        assert_eq!(
            targets.text(),
            "TARGET          DESCRIPTION\nbase            is the base\nother           \nfinal (default) is what you want\n"
        );
        let json = targets.json(b"");
        assert_eq!(json["targets"][2]["platform"], "$TARGETPLATFORM");
        assert_eq!(json["targets"][2]["default"], true);
        assert_eq!(json["targets"][1].get("description"), None);
    }
}
