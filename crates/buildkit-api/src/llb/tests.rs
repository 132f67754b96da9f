//! Definitions as clients encode them, and such as no honest client sends.

use std::collections::BTreeMap;
use std::sync::Arc;

use gantry_build::dockerfile::{Base, Named, Plan, World};
use gantry_build::graph::{Action, Local, MountKind, Plain};
use gantry_build::{Error, Op};
use gantry_types::{DiffId, Digest, Platform};

use super::definition::{Definition, is_empty};
use super::locals::Locals;
use super::{Allowed, translate};
use crate::wire::Message;

struct Images;

impl World for Images {
    fn image(&self, name: &str, platform: Option<&Platform>) -> gantry_build::Result<Base> {
        let text = format!("{name} {platform:?}");
        Err(Error::NotFound(text)).or_else(|error| match name {
            "docker.io/library/busybox:latest" => Ok(Base {
                id: gantry_types::ImageId(Digest::of(b"id")),
                config: gantry_build::dockerfile::image(
                    &Plan::default(),
                    &gantry_build::dockerfile::Options::default(),
                    &BTreeMap::new(),
                ),
                diff_ids: vec![DiffId(Digest::of(b"layer"))],
            }),
            _ => Err(error),
        })
    }

    fn fetch(&self, url: &str, _: Option<&str>) -> gantry_build::Result<Arc<Local>> {
        Err(Error::NotFound(url.to_owned()))
    }

    fn check_out(&self, source: &gantry_git::Source) -> gantry_build::Result<Arc<Local>> {
        Err(Error::NotFound(source.to_string()))
    }

    fn named(&self, _: &str) -> Option<Named> {
        None
    }
}

/// A definition that grows; operations are named by their numbers.
#[derive(Default)]
struct Made {
    operations: Vec<Vec<u8>>,
    metadata: Vec<Message>,
}

impl Made {
    fn op(&mut self, inputs: &[(usize, u64)], kind: u32, body: Message) -> usize {
        let inputs: Vec<(String, u64)> = inputs
            .iter()
            .map(|(number, index)| (self.digest(*number), *index))
            .collect();
        self.raw(&inputs, kind, body)
    }

    fn raw(&mut self, inputs: &[(String, u64)], kind: u32, body: Message) -> usize {
        let message = inputs
            .iter()
            .fold(Message::new(), |message, (digest, index)| {
                let input = Message::new().text(1, digest).number(2, *index);
                message.message(1, &input)
            });
        let message = match kind {
            0 => message,
            kind => message.message(kind, &body),
        };
        self.operations.push(message.into_bytes());
        self.operations.len() - 1
    }

    fn digest(&self, number: usize) -> String {
        Digest::of(&self.operations[number]).to_string()
    }

    fn image(&mut self) -> usize {
        let name = "docker-image://docker.io/library/busybox:latest";
        self.op(&[], 3, Message::new().text(1, name))
    }

    /// With its end, as bytes.
    fn bytes(mut self, wanted: usize) -> Vec<u8> {
        self.op(&[(wanted, 0)], 0, Message::new());
        let all = self.operations.iter();
        let message = all.fold(Message::new(), |message, op| message.present(1, op));
        let told = self.metadata.iter();
        told.fold(message, |message, told| message.message(2, told))
            .into_bytes()
    }
}

fn plan_allowed(bytes: &[u8], allowed: Allowed) -> Result<Plan, String> {
    let definition = Definition::read(bytes).map_err(|status| status.text)?;
    translate::plan(&definition, &Locals::default(), allowed, &Images)
        .map_err(|error| error.to_string())
}

fn plan(bytes: &[u8]) -> Result<Plan, String> {
    plan_allowed(bytes, Allowed::default())
}

fn negative(message: Message, number: u32) -> Message {
    message.signed(number, -1)
}

/// A command on input 0, with more mounts.
fn command(mounts: &[Message]) -> Message {
    let meta = Message::new()
        .text(1, "sh")
        .text(1, "-c")
        .text(2, "A=b")
        .text(3, "/w")
        .text(4, "7:8")
        .message(6, &Message::new().text(1, "h").text(2, "10.0.0.1"))
        .text(7, "name")
        .message(
            9,
            &Message::new().text(1, "nofile").signed(2, 5).signed(3, 6),
        )
        .text(10, "/group");
    let root = Message::new().text(3, "/");
    let exec = Message::new().message(1, &meta).message(2, &root);
    mounts
        .iter()
        .fold(exec, |exec, mount| exec.message(2, mount))
}

#[test]
fn a_command_has_all_that_it_is_told() {
    let mut made = Made::default();
    let image = made.image();
    let ssh = negative(Message::new(), 1)
        .text(3, "/s/../agent")
        .number(6, 2)
        .message(
            22,
            &Message::new()
                .text(1, "default")
                .number(2, 3)
                .number(4, 0o600),
        );
    let cache = negative(Message::new(), 1)
        .text(3, "/cache")
        .number(6, 3)
        .message(20, &Message::new().text(1, "c").number(2, 2));
    let secret = Message::new().text(1, "word").text(2, "WORD").flag(3, true);
    let body = command(&[ssh, cache]).message(5, &secret).number(3, 2);
    let run = made.op(&[(image, 0)], 2, body);
    made.metadata.push({
        let description = Message::new().entry(2, "llb.customname", b"my step");
        Message::new()
            .text(1, &made.digest(run))
            .message(2, &description.flag(1, true))
    });
    let plan = plan(&made.bytes(run)).unwrap();
    let node = &plan.graph.nodes[plan.wanted.unwrap()];
    let Op::Exec(exec) = &node.op else {
        panic!("{node:?}")
    };
    assert!(node.fresh);
    assert_eq!(node.label, "my step");
    assert_eq!(exec.root, Some(0));
    assert_eq!(exec.args, ["sh", "-c"]);
    assert_eq!((exec.cwd.as_str(), exec.user.as_str()), ("/w", "7:8"));
    assert_eq!(exec.hosts, ["h:10.0.0.1"]);
    assert_eq!(exec.ulimits, [("nofile".to_owned(), 5, 6)]);
    assert_eq!(
        (exec.hostname.as_str(), exec.network.as_str()),
        ("name", "none")
    );
    assert_eq!(exec.cgroup_parent, "/group");
    let secret = &exec.mounts[0];
    assert_eq!(
        (secret.target.as_str(), secret.source.as_str()),
        ("", "WORD")
    );
    assert!(matches!(
        secret.kind,
        MountKind::Secret {
            required: false,
            ..
        }
    ));
    assert_eq!(exec.mounts[1].target, "/agent");
    assert!(matches!(
        exec.mounts[1].kind,
        MountKind::Ssh { owner: (3, 0), .. }
    ));
    assert!(matches!(exec.mounts[2].kind, MountKind::Cache { .. }));
}

#[test]
fn privileges_are_asked_for() {
    for (field, name) in [(3, "network.host"), (4, "security.insecure")] {
        let mut made = Made::default();
        let image = made.image();
        let run = made.op(&[(image, 0)], 2, command(&[]).number(field, 1));
        let bytes = made.bytes(run);
        assert_eq!(plan(&bytes).unwrap_err(), format!("{name} is not allowed"));
        let allowed = Allowed {
            host_network: true,
            insecure: true,
        };
        assert!(plan_allowed(&bytes, allowed).is_ok());
    }
}

/// An action of a file operation.
fn action(on: i64, output: i64, kind: u32, body: &Message) -> Message {
    let action = Message::new().signed(1, on).signed(3, output);
    negative(action, 2).message(kind, body)
}

#[test]
fn a_chain_of_actions_is_one_step() {
    let mut made = Made::default();
    let image = made.image();
    let other = made.image();
    let mkdir = Message::new().text(1, "/d").number(2, 0o755).flag(3, true);
    let copy = Message::new()
        .text(1, "/etc")
        .text(2, "/d")
        .signed(4, -1)
        .signed(11, -1);
    let copy = Message::new()
        .signed(1, 1)
        .signed(2, 0)
        .signed(3, -1)
        .message(4, &copy.flag(6, true));
    let rm = Message::new().text(1, "/x*").flag(3, true);
    let link = Message::new().text(1, "../a").text(2, "/l");
    let body = Message::new()
        .message(2, &action(0, -1, 6, &mkdir))
        .message(2, &copy)
        .message(2, &action(2, -1, 7, &rm))
        .message(2, &action(3, 0, 8, &link));
    // Two inputs that are the same are one operation.
    assert_eq!(made.digest(image), made.digest(other));
    let files = made.op(&[(image, 0)], 4, body);
    let plan = plan(&made.bytes(files)).unwrap();
    let node = &plan.graph.nodes[plan.wanted.unwrap()];
    let Op::Files { root, actions, .. } = &node.op else {
        panic!("{node:?}")
    };
    assert_eq!((*root, actions.len()), (Some(0), 4));
    assert_eq!(
        node.label,
        "mkdir /d, copy /etc /d, rm /x*, symlink ../a -> /l"
    );
    let Action::Plain(Plain::Copy(copy)) = &actions[1] else {
        panic!()
    };
    assert_eq!(
        (copy.from, copy.mode.clone(), copy.time),
        (Some(0), None, None)
    );
    assert!(copy.contents && !copy.create);
}

#[test]
fn merges_and_differences_join_layers() {
    let mut made = Made::default();
    let image = made.image();
    let run = made.op(&[(image, 0)], 2, command(&[]));
    let sides = Message::new()
        .message(1, &Message::new())
        .message(2, &Message::new().signed(1, 1));
    let diff = made.op(&[(image, 0), (run, 0)], 7, sides.clone());
    let merge = made.op(
        &[(image, 0), (diff, 0)],
        6,
        Message::new()
            .message(1, &Message::new())
            .message(1, &Message::new().signed(1, 1)),
    );
    let plan = plan(&made.bytes(merge)).unwrap();
    let nodes = &plan.graph.nodes;
    let Op::Merge(inputs) = &nodes[plan.wanted.unwrap()].op else {
        panic!()
    };
    assert_eq!(inputs.len(), 2);
    let Op::Diff { lower, upper } = &nodes[inputs[1]].op else {
        panic!()
    };
    assert_eq!(*lower, Some(inputs[0]));
    assert!(upper.is_some());
}

#[test]
fn what_makes_no_sense_or_is_not_there_is_named() {
    let error = |make: &dyn Fn(&mut Made) -> usize| {
        let mut made = Made::default();
        let wanted = make(&mut made);
        plan(&made.bytes(wanted)).unwrap_err()
    };
    let source =
        |name: &'static str| move |made: &mut Made| made.op(&[], 3, Message::new().text(1, name));
    assert!(error(&source("busybox")).contains("failed to parse source identifier"));
    assert!(error(&source("oci-layout://x")).contains("oci-layout:// are not supported"));
    assert!(error(&source("git://h/r.git#b:d")).contains("https://h/r.git#b:d"));
    assert!(error(&|made| made.op(&[], 5, Message::new())).contains("build operations"));
    assert!(error(&|made| made.op(&[], 9, Message::new())).contains("unknown kind (9)"));
    assert!(error(&|made| made.op(&[], 4, Message::new())).contains("without actions"));
    let missing = ("sha256:1".to_owned(), 0);
    let missing = std::slice::from_ref(&missing);
    assert!(error(&|made| made.raw(missing, 2, command(&[]))).contains("missing input digest"));
    assert!(
        error(&|made| {
            let image = made.image();
            made.op(&[(image, 3)], 2, command(&[]))
        })
        .contains("result 3")
    );
    let attribute = Message::new()
        .text(1, "docker-image://x")
        .entry(2, "image.layerlimit", b"1");
    assert!(error(&|made| made.op(&[], 3, attribute.clone())).contains("image.layerlimit"));
    let codes = Message::new().message(1, &Message::new().text(1, "x").text(3, "/").number(12, 1));
    assert!(error(&|made| made.op(&[], 2, codes.clone())).contains("exit codes"));
    assert!(is_empty(&[]).unwrap() && plan(&[]).unwrap().wanted.is_none());
    assert!(plan(&[0x0a, 0x7f]).is_err());
}

#[test]
fn long_chains_and_many_operations_are_bounded() {
    let mut made = Made::default();
    let mut last = made.image();
    for _ in 0..3000 {
        last = made.op(&[(last, 0)], 2, command(&[]));
    }
    assert_eq!(plan(&made.bytes(last)).unwrap().graph.nodes.len(), 3001);
    let mut made = Made::default();
    for number in 0..20_000u32 {
        made.op(
            &[],
            3,
            Message::new().text(1, &format!("docker-image://{number}")),
        );
    }
    assert!(
        plan(&made.bytes(0))
            .unwrap_err()
            .contains("more than 16384 operations")
    );
}
