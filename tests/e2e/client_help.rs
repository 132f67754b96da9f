//! The help of every command: usage, aliases, and each flag's names, kind and
//! default are the stock client's. What the texts say is ours.

use std::collections::BTreeSet;

use crate::harness::{Engine, command, finish, gantry_binary};

/// Flags that one of the two does not show, and why.
const UNLIKE: &[(&str, &str)] = &[
    ("--io-maxbandwidth", "Windows only: hidden"),
    ("--io-maxiops", "Windows only: hidden"),
    ("--kernel-memory", "deprecated: hidden"),
    ("--health-on-failure", "gantry only"),
    ("--publish-from", "gantry only"),
    ("--cluster", "swarm only"),
    ("--availability", "swarm only"),
    ("--group", "swarm only"),
    ("--limit-bytes", "swarm only"),
    ("--required-bytes", "swarm only"),
    ("--secret", "swarm only"),
    ("--sharing", "swarm only"),
    ("--topology-preferred", "swarm only"),
    ("--topology-required", "swarm only"),
];

/// The shape of a page of help.
#[derive(Debug, PartialEq, Eq)]
struct Page {
    usage: Vec<String>,
    aliases: String,
    flags: BTreeSet<String>,
}

fn page(text: &str, command: &str) -> Page {
    let text = text.replace("gantry", "docker");
    let usage = text
        .lines()
        .filter(|line| line.starts_with("Usage:") || line.starts_with("\tdocker"));
    let aliases = text
        .lines()
        .skip_while(|line| *line != "Aliases:")
        .nth(1)
        .unwrap_or("");
    let mut flags = BTreeSet::new();
    let mut current: Option<(String, String)> = None;
    let options = text.split("\nOptions:\n").nth(1).unwrap_or("");
    for line in options.lines().chain(["      --end"]) {
        let start = line.get(6..).filter(|rest| rest.starts_with("--"));
        let Some(rest) = start.filter(|_| line.starts_with("  ")) else {
            if let Some((_, help)) = &mut current {
                help.push(' ');
                help.push_str(line.trim());
            }
            continue;
        };
        if let Some((names, help)) = current.take() {
            flags.extend(flag(&names, &help, command));
        }
        let (names, help) = rest.split_once("   ").unwrap_or((rest, ""));
        current = Some((format!("{}{names}", &line[..6]), help.trim().to_owned()));
    }
    Page {
        usage: usage.map(str::to_owned).collect(),
        aliases: aliases.trim().to_owned(),
        flags,
    }
}

/// A flag with its kind and default.
fn flag(names: &str, help: &str, command: &str) -> Option<String> {
    let long = names.get(6..)?.split(' ').next()?;
    let swarm_scope = command.starts_with("volume") && matches!(long, "--scope" | "--type");
    // Which archive `save` writes is ours to say.
    let own = command.ends_with("save") && long == "--format";
    if swarm_scope || own || UNLIKE.iter().any(|(name, _)| *name == long) {
        return None;
    }
    // `(default shows just running)` is a remark and no default.
    let default = help.rsplit_once("(default ").map(|(_, rest)| rest);
    let default = default
        .and_then(|rest| rest.strip_suffix(')'))
        .filter(|value| !value.contains(' '));
    Some(format!("{} = {}", names.trim_end(), default.unwrap_or("")))
}

/// Commands that the stock client does not have, the one that it does not list, and those
/// whose flags are the ones of its plug-in.
const OWN: [&str; 11] = [
    "build",
    "builder build",
    "help",
    "image build",
    "network explain",
    "system check",
    "volume clone",
    "volume export",
    "volume import",
    "volume rename",
    "volume snapshot",
];

#[test]
fn every_page_has_the_stock_clients_shape() {
    let stock = finish(&mut command("docker", &["--version"]), b"").line();
    if !stock.starts_with("Docker version 28.") {
        crate::harness::remark(&format!("SKIPPED: the stock client is {stock}"));
        return;
    }
    let gantry = gantry_binary().to_string_lossy().into_owned();
    let words = |group: &str| -> Vec<String> {
        let line = if group.is_empty() {
            String::new()
        } else {
            format!("{group} ")
        };
        let mut args: Vec<&str> = vec!["__completeNoDesc"];
        args.extend(group.split_whitespace());
        args.push("");
        let answer = finish(&mut command(&gantry, &args), b"").stdout;
        let names = answer.lines().filter(|name| !name.starts_with([':', '-']));
        names.map(|name| format!("{line}{name}")).collect()
    };
    let mut compared = 0;
    let groups = [
        "",
        "container",
        "image",
        "network",
        "volume",
        "context",
        "system",
        "manifest",
    ];
    for name in groups.iter().flat_map(|group| words(group)) {
        if groups.contains(&name.as_str()) || OWN.contains(&name.as_str()) {
            continue;
        }
        let mut args: Vec<&str> = name.split(' ').collect();
        args.push("--help");
        let stock = finish(&mut command("docker", &args), b"").ok();
        let ours = finish(&mut command(&gantry, &args), b"").ok();
        assert_eq!(
            page(&stock.stdout, &name),
            page(&ours.stdout, &name),
            "{name}"
        );
        compared += 1;
    }
    assert!(compared > 90, "only {compared} commands were compared");
}

#[test]
fn misspelt_words_find_their_command() {
    let engine = Engine::start();
    for (args, near) in [
        (&["rnu"][..], "Did you mean this?\n  run\n"),
        (
            &["container", "lss"],
            "Did you mean this?\n  container ls\n",
        ),
        (&["imagse"], "  images\n"),
    ] {
        engine.gantry(args).code(1).says(near);
    }
    let outcome = engine.gantry(&["frobnicate"]).code(1);
    assert!(!outcome.stderr.contains("Did you mean"), "{outcome:?}");
}

#[test]
fn errors_say_what_to_do_next() {
    let engine = Engine::with_busybox();
    engine
        .docker(&["create", "--name", "webserver", "busybox"])
        .ok();
    for (args, hint) in [
        (&["start", "webservr"][..], "Hint: Did you mean webserver?"),
        (&["logs", "webservre"], "Hint: Did you mean webserver?"),
        (
            &["create", "--name", "webserver", "busybox"],
            "rm -f webserver",
        ),
        (&["rmi", "busibox"], "Hint: Did you mean busybox?"),
    ] {
        let outcome = engine.gantry(args);
        assert_ne!(outcome.code, 0, "{outcome:?}");
        outcome.says(hint);
    }
    let outcome = engine.gantry(&["start", "quite-another"]).code(1);
    assert!(!outcome.stderr.contains("Hint"), "{outcome:?}");
}
