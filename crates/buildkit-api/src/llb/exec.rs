//! Commands of a definition.

use gantry_build::graph::{Exec, ExecMount, MountKind, NodeId, Sharing};

use super::Allowed;
use crate::status::Status;
use crate::wire::{Field, fields};

/// A mount as it is told.
struct Told {
    input: i64,
    selector: String,
    target: String,
    output: i64,
    read_only: bool,
    kind: u64,
    size: u64,
    id: String,
    sharing: u64,
    owner: (u32, u32),
    mode: u32,
    optional: bool,
}

/// A command, and which of its results is its file system.
pub(super) struct Command {
    pub(super) exec: Exec,
    pub(super) output: i64,
    /// The command, for people.
    pub(super) shown: String,
}

/// Reads a command; `input` finds its inputs.
pub(super) fn read(
    message: &[u8],
    allowed: Allowed,
    input: &dyn Fn(i64) -> Result<Option<NodeId>, Status>,
) -> Result<Command, Status> {
    let mut exec = Exec {
        cwd: "/".to_owned(),
        ..Exec::default()
    };
    let mut mounts = Vec::new();
    for field in fields(message) {
        let field = field?;
        match field.number {
            1 => meta(&field, &mut exec)?,
            2 => mounts.push(mount(&field)?),
            3 => exec.network = network(field.number()?, allowed)?,
            4 => exec.insecure = insecure(field.number()?, allowed)?,
            5 => exec.mounts.push(secret_variable(&field)?),
            6 => return Err(Status::unsupported("devices of commands are not supported")),
            number => return Err(unknown("a command", number)),
        }
    }
    if exec.args.is_empty() {
        return Err(Status::invalid("arguments are required"));
    }
    let mut output = -1;
    let mut has_root = false;
    for told in mounts {
        if told.target == "/" {
            if told.kind != 0 || !told.selector.is_empty() {
                let text =
                    "a file system of a command that is only a part of another is not supported";
                return Err(Status::unsupported(text));
            }
            has_root = true;
            exec.root = input(told.input)?;
            exec.read_only = told.read_only;
            output = told.output;
            continue;
        }
        let from = input(told.input)?;
        exec.mounts.push(made(told, from)?);
    }
    if !has_root {
        return Err(Status::invalid("a command without a file system"));
    }
    exec.shown = exec.args.join(" ");
    let shown = exec.shown.clone();
    Ok(Command {
        exec,
        output,
        shown,
    })
}

fn unknown(what: &str, number: u32) -> Status {
    Status::unsupported(format!(
        "field {number} of {what} in a definition is not supported"
    ))
}

fn meta(field: &Field<'_>, exec: &mut Exec) -> Result<(), Status> {
    for field in fields(field.bytes()?) {
        let field = field?;
        match field.number {
            1 => exec.args.push(field.text()?),
            2 => exec.env.push(field.text()?),
            3 => exec.cwd = field.text()?,
            4 => exec.user = field.text()?,
            5 => proxies(&field, exec)?,
            6 => exec.hosts.push(host(&field)?),
            7 => exec.hostname = field.text()?,
            9 => exec.ulimits.push(limit(&field)?),
            10 => exec.cgroup_parent = field.text()?,
            // What mounts need in the file system is always removed again.
            11 => {}
            12 => {
                let text = "commands whose exit codes other than 0 are valid are not supported";
                return Err(Status::unsupported(text));
            }
            number => return Err(unknown("a command's meta", number)),
        }
    }
    if exec.cwd.is_empty() {
        return Err(Status::invalid("working directory is required"));
    }
    Ok(())
}

/// Both spellings of each, which do not count.
fn proxies(field: &Field<'_>, exec: &mut Exec) -> Result<(), Status> {
    const NAMES: [&str; 5] = ["http", "https", "ftp", "no", "all"];
    for field in fields(field.bytes()?) {
        let field = field?;
        let Some(name) = NAMES.get(field.number as usize - 1) else {
            return Err(unknown("a command's proxies", field.number));
        };
        let value = field.text()?;
        if !value.is_empty() {
            let name = format!("{name}_proxy");
            exec.uncounted_env
                .push(format!("{}={value}", name.to_uppercase()));
            exec.uncounted_env.push(format!("{name}={value}"));
        }
    }
    Ok(())
}

fn host(field: &Field<'_>) -> Result<String, Status> {
    let (mut name, mut address) = (String::new(), String::new());
    for field in fields(field.bytes()?) {
        let field = field?;
        match field.number {
            1 => name = field.text()?,
            2 => address = field.text()?,
            _ => {}
        }
    }
    match address.parse::<std::net::IpAddr>() {
        Ok(_) => Ok(format!("{name}:{address}")),
        Err(_) => Err(Status::invalid(format!("failed to parse IP {address}"))),
    }
}

fn limit(field: &Field<'_>) -> Result<(String, i64, i64), Status> {
    let mut limit = (String::new(), 0, 0);
    for field in fields(field.bytes()?) {
        let field = field?;
        match field.number {
            1 => limit.0 = field.text()?,
            2 => limit.1 = field.signed()?,
            3 => limit.2 = field.signed()?,
            _ => {}
        }
    }
    Ok(limit)
}

fn network(mode: u64, allowed: Allowed) -> Result<String, Status> {
    match mode {
        0 => Ok(String::new()),
        1 if allowed.host_network => Ok("host".to_owned()),
        1 => Err(Status::invalid("network.host is not allowed")),
        2 => Ok("none".to_owned()),
        mode => Err(Status::invalid(format!("invalid network mode {mode}"))),
    }
}

fn insecure(mode: u64, allowed: Allowed) -> Result<bool, Status> {
    match mode {
        0 => Ok(false),
        1 if allowed.insecure => Ok(true),
        1 => Err(Status::invalid("security.insecure is not allowed")),
        mode => Err(Status::invalid(format!("invalid security mode {mode}"))),
    }
}

/// A variable whose value is a secret.
fn secret_variable(field: &Field<'_>) -> Result<ExecMount, Status> {
    let (mut id, mut name, mut optional) = (String::new(), String::new(), false);
    for field in fields(field.bytes()?) {
        let field = field?;
        match field.number {
            1 => id = field.text()?,
            2 => name = field.text()?,
            3 => optional = field.flag()?,
            _ => {}
        }
    }
    Ok(ExecMount {
        target: String::new(),
        kind: MountKind::Secret {
            id,
            required: !optional,
            mode: 0,
            owner: (0, 0),
        },
        from: None,
        source: name,
        writable: false,
    })
}

fn mount(field: &Field<'_>) -> Result<Told, Status> {
    let mut told = Told {
        input: 0,
        selector: String::new(),
        target: String::new(),
        output: 0,
        read_only: false,
        kind: 0,
        size: 0,
        id: String::new(),
        sharing: 0,
        owner: (0, 0),
        mode: 0,
        optional: false,
    };
    for field in fields(field.bytes()?) {
        let field = field?;
        match field.number {
            1 => told.input = field.signed()?,
            2 => told.selector = field.text()?,
            3 => told.target = target(&field.text()?),
            4 => told.output = field.signed()?,
            5 => told.read_only = field.flag()?,
            6 => told.kind = field.number()?,
            19..=22 => options(&field, &mut told)?,
            // How the contents are looked at is our own affair: they always are.
            23 | 24 => {}
            number => return Err(unknown("a mount", number)),
        }
    }
    Ok(told)
}

/// Absolute, without what leads nowhere.
fn target(path: &str) -> String {
    gantry_dockerfile::clean(&format!("/{path}"))
}

/// What is told of a mount of a kind.
fn options(field: &Field<'_>, told: &mut Told) -> Result<(), Status> {
    let kind = field.number;
    for field in fields(field.bytes()?) {
        let field = field?;
        let short = |field: &Field<'_>| -> Result<u32, Status> {
            u32::try_from(field.number()?).map_err(|_| Status::invalid("a number is too large"))
        };
        match (kind, field.number) {
            (19, 1) => told.size = field.number()?,
            (20..=22, 1) => told.id = field.text()?,
            (20, 2) => told.sharing = field.number()?,
            (21 | 22, 2) => told.owner.0 = short(&field)?,
            (21 | 22, 3) => told.owner.1 = short(&field)?,
            (21 | 22, 4) => told.mode = short(&field)?,
            (21 | 22, 5) => told.optional = field.flag()?,
            (_, number) => return Err(unknown("a mount's options", number)),
        }
    }
    Ok(())
}

fn made(told: Told, from: Option<NodeId>) -> Result<ExecMount, Status> {
    let (required, owner, mode) = (!told.optional, told.owner, told.mode);
    let kind = match told.kind {
        0 => MountKind::Bind,
        1 => MountKind::Secret {
            id: told.id,
            required,
            mode,
            owner,
        },
        2 => MountKind::Ssh {
            id: told.id,
            required,
            mode,
            owner,
        },
        3 => MountKind::Cache {
            id: told.id,
            sharing: match told.sharing {
                0 => Sharing::Shared,
                1 => Sharing::Private,
                2 => Sharing::Locked,
                other => return Err(Status::invalid(format!("invalid cache sharing {other}"))),
            },
            mode: 0o755,
            owner: (0, 0),
        },
        4 => MountKind::Tmpfs { size: told.size },
        other => return Err(Status::unsupported(format!("mounts of the type {other}"))),
    };
    // An empty directory, whose contents nobody sees afterwards.
    if matches!(kind, MountKind::Bind) && from.is_none() {
        return Ok(ExecMount {
            target: told.target,
            kind: MountKind::Tmpfs { size: 0 },
            from: None,
            source: String::new(),
            writable: !told.read_only,
        });
    }
    let secret = matches!(kind, MountKind::Secret { .. });
    Ok(ExecMount {
        target: told.target,
        from: from.filter(|_| matches!(kind, MountKind::Bind | MountKind::Cache { .. })),
        kind,
        // That of a secret is a variable's name.
        source: if secret { String::new() } else { told.selector },
        writable: !told.read_only && !secret,
    })
}
