//! Scripts whose answers are recorded: `transcripts/NAME.txt` holds commands, and
//! below each what the real Docker answered to the stock client.
//!
//! ```text
//! # a remark
//! $ docker run --name x busybox sh -c 'echo out; echo err >&2; exit 3'
//! | out
//! ! err
//! = 3
//! ~ gantry: why this engine means to answer something else
//! | what it answers
//! ```
//!
//! Each command is a shell's, in the test's folder `$DIR`, with `docker` being
//! the client under test. `> ` continues a command. `~ gantry:` holds for every
//! client on this engine, `~ our client:` for this client on every engine, and
//! `~ both:` for our client on our engine. Every reason must stand in
//! `docs/compatibility.md`.
//!
//! With `GANTRY_E2E_RECORD` and the real Docker, the answers are written anew.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::engine::{Engine, gantry_binary};
use super::normal::normalise;
use super::outcome::{Outcome, finish};

/// What every command may use: `await 'SHELL'` waits until a command succeeds,
/// `rooted` calls the data root ROOT, `within ID COMMAND…` runs one inside a container's mount and pid namespaces.
const PRELUDE: &str = r#"
await() {
    await_n=0
    until eval "$1" >/dev/null 2>&1; do
        await_n=$((await_n + 1))
        if [ $await_n -gt 300 ]; then echo "await: it never comes: $1" >&2; return 1; fi
        sleep 0.05
    done
}
rooted() { sed "s,$(docker info -f '{{.DockerRootDir}}'),ROOT,g"; }
gone() { for gone_c; do docker rm -f "$gone_c" >/dev/null 2>&1; done; true; }
"#;

/// The client that a script is run with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// The `docker` of the machine.
    Stock,
    /// `gantry`, called `docker`.
    Ours,
}

/// One command and the answers that are right.
#[derive(Default)]
struct Step {
    /// Remarks and empty lines before it.
    lead: String,
    command: String,
    docker: String,
    /// Whom it concerns, why, and the answer.
    differences: Vec<(String, String, String)>,
}

impl Step {
    /// The right answer for this pair.
    fn expected(&self, client: Client, gantry: bool) -> &str {
        let applies = |tag: &str| match tag {
            "both" => gantry && client == Client::Ours,
            "gantry" => gantry,
            _ => client == Client::Ours,
        };
        let order = ["both", "gantry", "our client"];
        let found = order.iter().filter(|tag| applies(tag)).find_map(|tag| {
            let mut all = self.differences.iter();
            all.find(|(have, _, _)| have == tag)
        });
        found.map_or(self.docker.as_str(), |(_, _, answer)| answer)
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("transcripts")
}

fn parse(name: &str, text: &str) -> (Vec<Step>, String) {
    let mut steps: Vec<Step> = Vec::new();
    let mut lead = String::new();
    for (number, line) in text.lines().enumerate() {
        let at = || format!("transcripts/{name}.txt:{}: {line:?}", number + 1);
        match line.as_bytes().first() {
            None | Some(b'#') => {
                lead.push_str(line);
                lead.push('\n');
            }
            Some(b'$') => {
                let step = Step {
                    lead: std::mem::take(&mut lead),
                    command: line
                        .strip_prefix("$ ")
                        .unwrap_or_else(|| panic!("{}", at()))
                        .to_owned(),
                    ..Step::default()
                };
                steps.push(step);
            }
            Some(b'>') => {
                let step = steps.last_mut().unwrap_or_else(|| panic!("{}", at()));
                step.command.push('\n');
                step.command
                    .push_str(line[1..].strip_prefix(' ').unwrap_or_default());
            }
            Some(b'~') => {
                let (tag, reason) = line[1..]
                    .split_once(':')
                    .unwrap_or_else(|| panic!("{}", at()));
                let tag = tag.trim();
                assert!(["both", "gantry", "our client"].contains(&tag), "{}", at());
                let difference = (tag.to_owned(), reason.trim().to_owned(), String::new());
                let step = steps.last_mut().unwrap_or_else(|| panic!("{}", at()));
                step.differences.push(difference);
            }
            Some(b'|' | b'!' | b'=') => {
                let step = steps.last_mut().unwrap_or_else(|| panic!("{}", at()));
                let answer = match step.differences.last_mut() {
                    Some((_, _, answer)) => answer,
                    None => &mut step.docker,
                };
                answer.push_str(line);
                answer.push('\n');
            }
            _ => panic!("{}", at()),
        }
    }
    (steps, lead)
}

fn print(steps: &[Step], tail: &str) -> String {
    let mut text = String::new();
    for step in steps {
        text.push_str(&step.lead);
        let command = step.command.replace('\n', "\n> ");
        // Writing to a String does not fail.
        let _ = writeln!(text, "$ {command}");
        text.push_str(&step.docker);
        for (tag, reason, answer) in &step.differences {
            let _ = write!(text, "~ {tag}: {reason}\n{answer}");
        }
    }
    text + tail
}

/// An answer as it is written in a transcript.
fn answer(outcome: &Outcome, names: &[(String, &str)]) -> String {
    let mut text = String::new();
    for (mark, stream) in [("|", &outcome.stdout), ("!", &outcome.stderr)] {
        let stream = visible(&normalise(stream, names));
        for line in stream.split_inclusive('\n') {
            let (line, end) = match line.strip_suffix('\n') {
                Some(line) => (line, ""),
                None => (line, "<no newline>"),
            };
            let space = if line.is_empty() { "" } else { " " };
            let _ = writeln!(text, "{mark}{space}{line}{end}");
        }
    }
    if outcome.code != 0 {
        let _ = writeln!(text, "= {}", outcome.code);
    }
    text
}

/// Our client may add what to do next; what Docker says stands above it.
fn without_hints(answer: &str, client: Client) -> String {
    let is_hint = |line: &&str| line[1..].starts_with(" Hint: ") && client == Client::Ours;
    let lines = answer.split_inclusive('\n').filter(|line| !is_hint(line));
    lines.collect()
}

/// Control characters, and spaces at the end of a line, as one can read them.
fn visible(stream: &str) -> String {
    let mut out = String::with_capacity(stream.len());
    for line in stream.split_inclusive('\n') {
        let (line, end) = line
            .strip_suffix('\n')
            .map_or((line, ""), |line| (line, "\n"));
        let bare = line.trim_end_matches(' ');
        for c in bare.chars() {
            match c {
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                c if c.is_control() => {
                    let _ = write!(out, "\\x{:02x}", u32::from(c));
                }
                c => out.push(c),
            }
        }
        out.push_str(&"\\s".repeat(line.len() - bare.len()));
        out.push_str(end);
    }
    out
}

/// The command of a step as a process.
fn process(engine: &Engine, command: &str) -> Command {
    let dir = engine.dir();
    let text = format!("{PRELUDE}\n{command}");
    let mut shell = super::command("timeout", &["-s", "KILL", "60", "sh", "-c", &text]);
    let path = std::env::var("PATH").unwrap_or_default();
    shell
        .current_dir(dir)
        .env("PATH", format!("{}:{path}", dir.join("bin").display()))
        .env("DIR", dir)
        .env("HOME", dir)
        .env("LC_ALL", "C")
        .env("TERM", "xterm")
        .env("DOCKER_HOST", engine.host())
        .env("DOCKER_CONFIG", dir.join("client"))
        .env_remove("DOCKER_CONTEXT");
    shell
}

/// Where the machine's client is.
fn stock_client() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|dir| dir.join("docker"))
        .find(|file| file.is_file())
        .expect("a docker client on the PATH")
}

/// Runs the script `name` with `client` and compares, or records.
pub fn play(name: &str, client: Client) {
    let engine = Engine::with_busybox();
    let stock = engine.docker(&["version", "--format", "{{.Client.Version}}"]);
    if client == Client::Stock && !stock.stdout.starts_with("28.") {
        super::remark(&format!(
            "SKIPPED: transcripts are those of a client 28, this one is {}",
            stock.line()
        ));
        return;
    }
    let bin = engine.dir().join("bin");
    std::fs::create_dir(&bin).expect("a folder");
    let program = match client {
        Client::Stock => stock_client(),
        Client::Ours => gantry_binary().to_owned(),
    };
    let terminal = env!("CARGO_BIN_EXE_gantry-e2e-terminal");
    std::os::unix::fs::symlink(program, bin.join("docker")).expect("a link");
    std::os::unix::fs::symlink(terminal, bin.join("terminal")).expect("a link");
    let names = [
        (engine.host(), "$DOCKER_HOST"),
        (engine.dir().display().to_string(), "$DIR"),
    ];
    let path = folder().join(format!("{name}.txt"));
    let text = std::fs::read_to_string(&path).expect("the transcript");
    let (mut steps, tail) = parse(name, &text);
    let record = client == Client::Stock
        && !engine.is_gantry()
        && std::env::var_os("GANTRY_E2E_RECORD").is_some();
    let mut wrong = String::new();
    for step in &mut steps {
        let outcome = finish(&mut process(&engine, &step.command), b"");
        let got = without_hints(&answer(&outcome, &names), client);
        let expected = step.expected(client, engine.is_gantry());
        if record {
            step.docker = got;
        } else if got != expected {
            let command = step.command.replace('\n', "\n> ");
            let _ = writeln!(wrong, "$ {command}\n--- expected\n{expected}--- got\n{got}");
        }
    }
    if record {
        std::fs::write(&path, print(&steps, &tail)).expect("the transcript can be written");
    }
    assert!(
        wrong.is_empty(),
        "transcripts/{name}.txt, {client:?} client:\n{wrong}"
    );
}

/// Every reason for a difference, with the name of its transcript.
pub fn reasons() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder()).expect("the folder of transcripts") {
        let path = entry.expect("a transcript").path();
        let text = std::fs::read_to_string(&path).expect("a transcript");
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let (steps, _) = parse(&name, &text);
        for step in steps {
            found.extend(
                step.differences
                    .into_iter()
                    .map(|(_, reason, _)| (name.clone(), reason)),
            );
        }
    }
    found
}

/// Every transcript there is.
pub fn names() -> Vec<String> {
    let entries = std::fs::read_dir(folder()).expect("the folder of transcripts");
    let stem = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.expect("a transcript").path();
        path.file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    };
    let mut names: Vec<String> = entries.map(stem).collect();
    names.sort();
    names
}
