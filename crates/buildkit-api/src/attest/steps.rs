//! The steps of a build as provenance tells them: BuildKit's operations, as JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantry_build::Op;
use gantry_build::graph::{Action, Node, Plain};
use serde_json::{Value, json};

use crate::frontend::Image;

/// `buildConfig`: all steps.
pub(super) fn tell(image: &Image) -> Value {
    let nodes = image.built.plan.graph.nodes.iter().enumerate();
    let steps = nodes.map(|(number, node)| {
        let inputs = node.op.inputs();
        let inputs = inputs.iter().map(|input| format!("step{input}:0"));
        let mut step = json!({"id": format!("step{number}"), "op": {"Op": operation(node)}});
        let inputs: Vec<String> = inputs.collect();
        if !inputs.is_empty() {
            step["inputs"] = json!(inputs);
        }
        step
    });
    json!({ "llbDefinition": steps.collect::<Vec<_>>() })
}

fn operation(node: &Node) -> Value {
    match &node.op {
        Op::Exec(exec) => json!({"exec": {"meta": {
            "args": exec.args, "env": exec.env, "cwd": exec.cwd, "user": exec.user,
        }}}),
        Op::Files { actions, .. } => {
            let actions: Vec<Value> = actions.iter().flat_map(action).collect();
            json!({"file": {"actions": actions}})
        }
        Op::Merge(_) => json!({"merge": {}}),
        Op::Diff { .. } => json!({"diff": {}}),
        Op::Layers(_) => {
            let name = node.label.trim_start_matches("FROM ");
            json!({"source": {"identifier": format!("docker-image://{name}")}})
        }
        _ => json!({"source": {"identifier": format!("local://{}", node.label)}}),
    }
}

/// An operation on files; one that copies several is several.
fn action(action: &Action) -> Vec<Value> {
    let actions: Vec<Value> = match action {
        // The classic builder alone has these.
        Action::NoFile { .. } => Vec::new(),
        Action::Copy(copy) => {
            let one = |from: &String| json!({"copy": {"src": from, "dest": copy.target}});
            copy.sources.iter().map(one).collect()
        }
        Action::Mkdir { path, .. } => vec![json!({"mkdir": {"path": path}})],
        Action::Mkfile { path, mode, .. } => {
            vec![json!({"mkfile": {"path": path, "mode": mode}})]
        }
        Action::Plain(plain) => vec![self::plain(plain)],
    };
    let action = |action: Value| json!({ "Action": action });
    actions.into_iter().map(action).collect()
}

/// An operation of a definition.
fn plain(plain: &Plain) -> Value {
    match plain {
        Plain::Copy(copy) => json!({"copy": {"src": copy.source, "dest": copy.target}}),
        Plain::Directory { path, .. } => json!({"mkdir": {"path": path}}),
        Plain::File { path, mode, .. } => json!({"mkfile": {"path": path, "mode": mode}}),
        Plain::Link { to, path, .. } => json!({"symlink": {"oldpath": to, "newpath": path}}),
        Plain::Remove { path, .. } => json!({"rm": {"path": path}}),
    }
}

/// `source`: the Dockerfile.
pub(super) fn source(image: &Image) -> Value {
    let (name, text) = (&image.source.0, &image.source.1);
    json!({"infos": [{
        "filename": name,
        "language": "Dockerfile",
        "data": STANDARD.encode(text),
    }]})
}
