//! From a definition to the engine's graph.

use std::collections::BTreeMap;

use gantry_build::dockerfile::{FETCHED, Plan, World};
use gantry_build::graph::{Action, Local, Mode, NodeId, Plain, PlainCopy};
use gantry_build::{Error, Node, Op};
use gantry_types::Platform;
use std::sync::Arc;

use super::definition::{Definition, Operation, kind};
use super::file::{self, Base};
use super::locals::{Got, Locals};
use super::source::{self, Source};
use super::{Allowed, exec};
use crate::status::{Code, Status};

/// Plans a definition. `world` gets images and files.
///
/// # Errors
/// Whatever is wrong with an operation; what is not supported, by its name.
pub(super) fn plan(
    definition: &Definition,
    locals: &Locals,
    allowed: Allowed,
    world: &dyn World,
) -> gantry_build::Result<Plan> {
    let mut planner = Planner {
        locals,
        allowed,
        world,
        plan: Plan::default(),
        results: Vec::new(),
    };
    for (number, operation) in definition.operations.iter().enumerate() {
        let results = planner.operation(number, operation)?;
        planner.results.push(results);
    }
    if let Some((number, index)) = definition.wanted {
        planner.plan.wanted = planner.result(number, index).map_err(told)?;
    }
    let unsolved = planner.plan.wanted;
    if let Some(node) = unsolved
        && matches!(planner.plan.graph.nodes[node].op, Op::Local(_))
    {
        // Files of the client become a layer, so that the result can be anything's base.
        let copy = Plain::Copy(PlainCopy {
            from: Some(node),
            source: "/".to_owned(),
            target: "/".to_owned(),
            contents: true,
            ..PlainCopy::default()
        });
        let op = Op::Files {
            root: None,
            actions: vec![Action::Plain(copy)],
            apart: false,
        };
        planner.plan.wanted = Some(planner.add(op, "copy /", false));
    }
    Ok(planner.plan)
}

/// A failure of reading as one of the build.
fn told(status: Status) -> Error {
    match status.code {
        Code::Unimplemented => Error::Unsupported(status.text),
        Code::NotFound => Error::NotFound(status.text),
        _ => Error::Invalid(status.text),
    }
}

struct Planner<'p> {
    locals: &'p Locals,
    allowed: Allowed,
    world: &'p dyn World,
    plan: Plan,
    /// What operations have become: steps by the numbers of results.
    results: Vec<BTreeMap<i64, Option<NodeId>>>,
}

impl Planner<'_> {
    fn add(&mut self, op: Op, shown: &str, fresh: bool) -> NodeId {
        let node = self.plan.graph.add(Node {
            op,
            label: shown.to_owned(),
            place: format!("definition {shown}"),
            fresh,
        });
        self.plan.named.push((node, shown.to_owned()));
        node
    }

    fn result(&self, number: usize, index: i64) -> Result<Option<NodeId>, Status> {
        let found = self.results.get(number).and_then(|all| all.get(&index));
        found.copied().ok_or_else(|| {
            Status::unsupported(format!(
                "result {index} of an operation (of a mount that is written) is not supported"
            ))
        })
    }

    /// An operation's input; a negative number is nothing.
    fn input(&self, operation: &Operation, index: i64) -> Result<Option<NodeId>, Status> {
        let Ok(index) = usize::try_from(index) else {
            return Ok(None);
        };
        let (number, result) = operation
            .inputs
            .get(index)
            .ok_or_else(|| Status::invalid(format!("invalid input index {index}")))?;
        self.result(*number, *result)
    }

    fn operation(
        &mut self,
        number: usize,
        operation: &Operation,
    ) -> gantry_build::Result<BTreeMap<i64, Option<NodeId>>> {
        let custom = operation.description.get("llb.customname");
        let name = |own: String| custom.cloned().unwrap_or(own);
        let only = |node| gantry_types::sort::map([(0, node)]);
        let fresh = operation.ignore_cache;
        match operation.kind {
            kind::SOURCE => {
                let source = source::read(&operation.message).map_err(told)?;
                let node = self.source(number, operation, &source, &name)?;
                Ok(only(Some(node)))
            }
            kind::EXEC => {
                let input = |index| self.input(operation, index);
                let command = exec::read(&operation.message, self.allowed, &input).map_err(told)?;
                let shown = name(command.shown);
                let node = self.add(Op::Exec(command.exec), &shown, fresh);
                Ok(gantry_types::sort::map([(command.output, Some(node))]))
            }
            kind::FILE => self.files(operation, &name),
            kind::MERGE | kind::DIFF => {
                let node = self.joined(operation, &name).map_err(told)?;
                Ok(only(node))
            }
            kind::BUILD => Err(Error::Unsupported(
                "build operations in definitions are not supported".to_owned(),
            )),
            other => Err(Error::Unsupported(format!("operations of kind {other}"))),
        }
    }

    fn joined(
        &mut self,
        operation: &Operation,
        name: &dyn Fn(String) -> String,
    ) -> Result<Option<NodeId>, Status> {
        let mut indexes = Vec::new();
        let (mut lower, mut upper) = (None, None);
        for field in crate::wire::fields(&operation.message) {
            let field = field?;
            let mut index = 0;
            for field in crate::wire::fields(field.bytes()?) {
                let field = field?;
                if field.number == 1 {
                    index = field.signed()?;
                }
            }
            match field.number {
                1 => lower = Some(index),
                2 => upper = Some(index),
                _ => {}
            }
            indexes.push(index);
        }
        if operation.kind == kind::DIFF {
            let side = |index: Option<i64>| match index {
                Some(index) => self.input(operation, index),
                None => Ok(None),
            };
            let (lower, upper) = (side(lower)?, side(upper)?);
            let shown = name("diff".to_owned());
            return Ok(Some(self.add(
                Op::Diff { lower, upper },
                &shown,
                operation.ignore_cache,
            )));
        }
        let mut merged = Vec::new();
        for index in indexes {
            merged.extend(self.input(operation, index)?);
        }
        match merged.is_empty() {
            true => Ok(None),
            false => {
                let shown = name("merge".to_owned());
                Ok(Some(self.add(
                    Op::Merge(merged),
                    &shown,
                    operation.ignore_cache,
                )))
            }
        }
    }

    /// Actions become steps: a chain of which only the end is a result is one.
    fn files(
        &mut self,
        operation: &Operation,
        name: &dyn Fn(String) -> String,
    ) -> gantry_build::Result<BTreeMap<i64, Option<NodeId>>> {
        let steps = file::read(&operation.message, operation.inputs.len()).map_err(told)?;
        let mut made: Vec<Chain> = Vec::new();
        let mut results = BTreeMap::new();
        for step in &steps {
            let mut chain = match step.on {
                Base::Made(index) => made[index].clone(),
                Base::Input(index) => Chain {
                    root: self.input(operation, index as i64).map_err(told)?,
                    ..Chain::default()
                },
                Base::Nothing => Chain::default(),
            };
            let from = match step.from {
                Base::Nothing => None,
                Base::Input(index) => self.input(operation, index as i64).map_err(told)?,
                Base::Made(index) => {
                    let before = made[index].clone();
                    let node = self.chained(before, operation, name);
                    made[index] = Chain {
                        root: Some(node),
                        ..Chain::default()
                    };
                    Some(node)
                }
            };
            if let Some(root) = chain.root
                && chain.actions.is_empty()
                && matches!(self.plan.graph.nodes[root].op, Op::Local(_))
            {
                return Err(Error::Unsupported(
                    "changing a directory of the client is not supported: copy it first".to_owned(),
                ));
            }
            chain.actions.push(step.action(from));
            chain.shown.push(step.shown());
            if step.output >= 0 {
                let node = self.chained(chain, operation, name);
                results.insert(step.output, Some(node));
                chain = Chain {
                    root: Some(node),
                    ..Chain::default()
                };
            }
            made.push(chain);
        }
        Ok(results)
    }

    fn chained(
        &mut self,
        chain: Chain,
        operation: &Operation,
        name: &dyn Fn(String) -> String,
    ) -> NodeId {
        if let (Some(root), true) = (chain.root, chain.actions.is_empty()) {
            return root;
        }
        let shown = name(chain.shown.join(", "));
        let op = Op::Files {
            root: chain.root,
            actions: chain.actions,
            apart: false,
        };
        self.add(op, &shown, operation.ignore_cache)
    }

    fn source(
        &mut self,
        number: usize,
        operation: &Operation,
        source: &Source,
        name: &dyn Fn(String) -> String,
    ) -> gantry_build::Result<NodeId> {
        let whole = format!("{}://{}", source.scheme, source.rest);
        let shown = name(gantry_git::redacted(&whole));
        match (self.locals.got.get(&number), source.scheme.as_str()) {
            (Some(Got::Directory(place)), _) => {
                let local = Local {
                    directory: place.directory.to_path_buf(),
                    ..Local::default()
                };
                Ok(self.add(Op::Local(Arc::new(local)), &shown, false))
            }
            (Some(Got::Image(image)), _) => self.image(image, None, &shown),
            (None, "docker-image") => {
                let known = ["image.resolvemode", "image.checksum"];
                source.only(&known).map_err(told)?;
                if !source.attribute("image.checksum").is_empty() {
                    let text = "the attribute image.checksum is not supported: name the digest";
                    return Err(Error::Unsupported(text.to_owned()));
                }
                let platform = operation.platform().map_err(told)?;
                self.image(&source.rest, platform, &shown)
            }
            (None, "git") => {
                let local = self.repository(source)?;
                Ok(self.add(Op::Local(local), &shown, false))
            }
            (None, "http" | "https") => self.file(source, &whole, &shown),
            (None, scheme) => Err(Error::Unsupported(format!(
                "sources of the kind {scheme}:// are not supported"
            ))),
        }
    }

    fn image(
        &mut self,
        image: &str,
        platform: Option<Platform>,
        shown: &str,
    ) -> gantry_build::Result<NodeId> {
        let base = self.world.image(image, platform.as_ref())?;
        Ok(self.add(Op::Layers(base.diff_ids), shown, false))
    }

    fn repository(&self, source: &Source) -> gantry_build::Result<Arc<Local>> {
        let known = [
            "git.keepgitdir",
            "git.checksum",
            "git.subdir",
            "git.skipsubmodules",
            "git.authtokensecret",
            "git.authheadersecret",
        ];
        source.only(&known).map_err(told)?;
        for (name, usual) in [
            ("git.authtokensecret", "GIT_AUTH_TOKEN"),
            ("git.authheadersecret", "GIT_AUTH_HEADER"),
        ] {
            if !matches!(source.attribute(name), "") && source.attribute(name) != usual {
                let text = format!("the attribute {name} other than {usual} is not supported");
                return Err(Error::Unsupported(text));
            }
        }
        // The address itself has no scheme, and no `.git` that could be asked for.
        let address = match source.attribute("git.fullurl") {
            "" => format!(
                "https://{}",
                source.rest.split('#').next().unwrap_or_default()
            ),
            full => full.split('#').next().unwrap_or_default().to_owned(),
        };
        let fragment = source
            .rest
            .split_once('#')
            .map_or("", |(_, fragment)| fragment);
        let mut found = gantry_git::Source::at(&address, fragment).map_err(Error::of_git)?;
        if !source.attribute("git.subdir").is_empty() {
            source
                .attribute("git.subdir")
                .clone_into(&mut found.subdirectory);
        }
        found.keep_git_dir = Some(source.attribute("git.keepgitdir") == "true");
        found.without_submodules = source.attribute("git.skipsubmodules") == "true";
        if !source.attribute("git.checksum").is_empty() {
            let wanted = source.attribute("git.checksum");
            found.require(wanted).map_err(Error::of_git)?;
        }
        self.world.check_out(&found)
    }

    /// A file of the web, alone in a file system.
    fn file(&mut self, source: &Source, url: &str, shown: &str) -> gantry_build::Result<NodeId> {
        let known = [
            "http.checksum",
            "http.filename",
            "http.perm",
            "http.uid",
            "http.gid",
        ];
        source.only(&known).map_err(told)?;
        let checksum = Some(source.attribute("http.checksum")).filter(|text| !text.is_empty());
        let local = self.world.fetch(url, checksum)?;
        let from = self.add(Op::Local(local), shown, false);
        let name = match source.attribute("http.filename") {
            "" => {
                let path = url.split(['?', '#']).next().unwrap_or_default();
                let path = path.split_once("://").map_or(path, |(_, path)| path);
                let last = path.split_once('/').map_or("", |(_, path)| path);
                match last.rsplit('/').next() {
                    Some("") | None => "download",
                    Some(last) => last,
                }
            }
            name => name,
        };
        if name.contains('/') || name == ".." {
            return Err(Error::Invalid(format!("invalid file name {name}")));
        }
        let number = |name: &str, radix| {
            let text = source.attribute(name);
            let wrong = |_| Error::Invalid(format!("invalid {name}: {text}"));
            match text {
                "" => Ok(None),
                text => u32::from_str_radix(text.trim_start_matches("0o"), radix)
                    .map(Some)
                    .map_err(wrong),
            }
        };
        let (uid, gid) = (number("http.uid", 10)?, number("http.gid", 10)?);
        let copy = Plain::Copy(PlainCopy {
            from: Some(from),
            source: format!("/{FETCHED}"),
            target: format!("/{name}"),
            owner: Some(format!("{}:{}", uid.unwrap_or(0), gid.unwrap_or(0))),
            mode: Some(Mode::Octal(number("http.perm", 8)?.unwrap_or(0o600))),
            ..PlainCopy::default()
        });
        let op = Op::Files {
            root: None,
            actions: vec![Action::Plain(copy)],
            apart: false,
        };
        Ok(self.add(op, shown, false))
    }
}

/// Actions that become one step.
#[derive(Clone, Default)]
struct Chain {
    root: Option<NodeId>,
    actions: Vec<Action>,
    shown: Vec<String>,
}
