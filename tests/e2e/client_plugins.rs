//! Docker's client plug-ins, called by our client as the stock client calls them.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use crate::harness::{Engine, Outcome, finish, script};
use crate::run::wait_for;

/// A plug-in that tells how it was called, waits when asked to, and has a hook.
const HELLO: &str = r#"#!/bin/sh
here=$(dirname "$0")
case "$1 $2" in
"docker-cli-plugin-metadata ")
    echo '{"SchemaVersion":"0.1.0","Vendor":"Us","Version":"1.2","ShortDescription":"Says hello"}' ;;
"hello docker-cli-plugin-hooks")
    printf '%s' "$3" >"$here/asked"
    printf '{"Type":0,"Template":"greet them: {{command}}\\nor not"}' ;;
"__complete hello") printf 'again\tonce more\n%s\n:4\n' "$3.$4" ;;
"hello wait") echo $$ >"$here/pid"; exec sleep 1000 ;;
*)  for word in "$@"; do echo "<$word>"; done
    echo "caller: ${DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND##*/}"
    case $DOCKER_CLI_PLUGIN_SOCKET in @docker_cli_*) echo socket ;; esac
    cat; echo trouble >&2; exit 7 ;;
esac
"#;

/// An engine whose clients have plug-ins, and where these are.
fn engine() -> (Engine, PathBuf) {
    let engine = Engine::start();
    let folder = engine.dir().join("client/cli-plugins");
    std::fs::create_dir_all(&folder).expect("a folder");
    put(&folder.join("docker-hello"), HELLO);
    (engine, folder)
}

fn put(path: &std::path::Path, text: &str) {
    // By another process, so that no fork of this one holds it open for writing.
    finish(
        script("cat >\"$OUT\" && chmod 755 \"$OUT\"").env("OUT", path),
        text.as_bytes(),
    )
    .ok();
}

/// What both clients do with `args`; the name of the caller is their own.
fn both(engine: &Engine, args: &[&str], stdin: &[u8]) -> Outcome {
    let stock = engine.docker_with(args, stdin);
    let mut ours = finish(&mut engine.gantry_command(args), stdin);
    ours.stdout = ours.stdout.replace("caller: gantry", "caller: docker");
    assert_eq!(
        (stock.code, &stock.stdout, &stock.stderr),
        (ours.code, &ours.stdout, &ours.stderr),
        "{args:?}"
    );
    ours
}

#[test]
fn they_get_what_was_typed_and_their_code_is_ours() {
    let (engine, _) = engine();
    let seen = both(&engine, &["-D", "hello", "a b", "--x", ""], b"in\n");
    let expected = "<-D>\n<hello>\n<a b>\n<--x>\n<>\ncaller: docker\nsocket\nin\n";
    seen.code(7).prints(expected).says("trouble\n");
    let help = engine.gantry(&["help", "hello"]);
    assert!(help.stdout.starts_with("<help>\n<hello>\n"), "{help:?}");
    both(&engine, &["hello", "--help"], b"").code(7);
    both(&engine, &["__complete", "hello", "one", "tw"], b"")
        .prints("again\tonce more\none.tw\n:4\n");
    // Docker's plug-ins do not know the flag that only our client has.
    let ours = engine.gantry(&["--no-auto-start", "hello"]).code(7);
    assert!(ours.stdout.starts_with("<hello>\n"), "{ours:?}");
}

#[test]
fn help_and_info_list_them() {
    let (engine, folder) = engine();
    let extra = engine.dir().join("extra");
    std::fs::create_dir_all(&extra).expect("a folder");
    put(
        &extra.join("docker-hello"),
        &HELLO.replace("Says hello", "Another one"),
    );
    put(&folder.join("docker-run"), HELLO);
    put(&folder.join("docker-fails"), "#!/bin/sh\nexit 3\n");
    put(&folder.join("docker-mute"), "#!/bin/sh\n");
    put(
        &folder.join("docker-later"),
        "#!/bin/sh\necho '{\"SchemaVersion\":\"2.0.0\"}'\n",
    );
    std::fs::set_permissions(
        folder.join("docker-mute"),
        std::fs::Permissions::from_mode(0o644),
    )
    .expect("the mode can be changed");

    let listed = |format: &str| engine.gantry(&["info", "--format", format]).ok().stdout;
    let about = "{{range .ClientInfo.Plugins}}{{.Name}}: {{json .Err}}\n{{end}}";
    let stock = engine.docker(&["info", "--format", about]).ok().stdout;
    let ours = listed(about);
    assert_eq!(
        ours.lines().count(),
        stock.lines().count(),
        "{ours}\n{stock}"
    );
    for line in [
        "fails: \"failed to fetch metadata: exit status 3\"",
        "run: \"plugin \\\"run\\\" duplicates builtin command\"",
        "hello: null",
    ] {
        assert!(ours.lines().any(|other| other == line), "{ours}");
    }
    let whole = "{{range .ClientInfo.Plugins}}{{if eq .Name \"hello\"}}{{json .}}{{end}}{{end}}";
    assert_eq!(
        listed(whole),
        engine.docker(&["info", "-f", whole]).ok().stdout
    );
    let text = engine.gantry(&["info"]).ok();
    assert!(
        text.stdout
            .contains("\n Plugins:\n  hello: Says hello (Us)\n    Version:  1.2\n"),
        "{text:?}"
    );
    let text = text.says("docker-mute\" is not valid: failed to fetch metadata: fork/exec ");
    text.says("docker-later\" is not valid: plugin SchemaVersion \"2.0.0\"");
    let help = engine.gantry(&["help"]).ok().stdout;
    assert!(help.contains("\n  hello*      Says hello\n"), "{help}");
    assert!(help.contains("\nInvalid Plugins:\n"), "{help}");
    assert!(
        help.contains("\n  fails       failed to fetch metadata: exit status 3\n"),
        "{help}"
    );
    let words = engine.gantry(&["__complete", "he"]).ok().stdout;
    assert_eq!(words, "hello\tSays hello\nhelp\tHelp about a command\n:4\n");

    engine
        .gantry(&["fails"])
        .code(1)
        .says("unknown command: gantry fails")
        .says("is not valid");
    engine
        .gantry(&["help", "fails"])
        .code(1)
        .says("unknown help topic: fails");
    engine
        .gantry(&["run"])
        .code(1)
        .says("requires at least 1 argument");
    // Directories of the configuration come before the user's own.
    let config = format!("{{\"cliPluginsExtraDirs\":[{extra:?}]}}");
    std::fs::write(engine.dir().join("client/config.json"), config).expect("a file");
    let shown = "{{range .ClientInfo.Plugins}}{{if eq .Name \"hello\"}}{{.ShortDescription}} {{.ShadowedPaths}}{{end}}{{end}}";
    assert_eq!(
        listed(shown),
        engine.docker(&["info", "-f", shown]).ok().stdout
    );
    assert!(
        listed(shown).starts_with("Another one ["),
        "{}",
        listed(shown)
    );
}

fn waiting(engine: &Engine, folder: &std::path::Path) -> (Child, String) {
    let mut client = engine.gantry_command(&["hello", "wait"]);
    client
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let client = client.spawn().expect("the client starts");
    let read = || std::fs::read_to_string(folder.join("pid")).unwrap_or_default();
    wait_for(|| !read().is_empty());
    (client, read().trim().to_owned())
}

fn signal(name: &str, pid: &str) {
    finish(script(&format!("kill -{name} {pid}")).env("A", ""), b"").ok();
}

#[test]
fn the_third_signal_ends_those_that_do_not_end() {
    let (engine, folder) = engine();
    let (mut client, plugin) = waiting(&engine, &folder);
    let own = client.id().to_string();
    // Signals of one kind that come at once are one: they are sent until it has ended.
    wait_for(|| {
        let ended = client
            .try_wait()
            .expect("the client can be waited for")
            .is_some();
        if !ended {
            signal("TERM", &own);
        }
        ended
    });
    let output = client.wait_with_output().expect("the client ends");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(said, "got 3 SIGTERM/SIGINTs, forcefully exiting\n");
    assert!(!std::path::Path::new(&format!("/proc/{plugin}")).exists());
}

#[test]
fn one_that_is_killed_has_failed() {
    let (engine, folder) = engine();
    let (client, plugin) = waiting(&engine, &folder);
    signal("KILL", &plugin);
    let output = client.wait_with_output().expect("the client ends");
    assert_eq!(output.status.code(), Some(255));
}

#[test]
fn hooks_speak_on_a_terminal() {
    let (engine, folder) = engine();
    let config = r#"{"plugins":{"hello":{"hooks":"volume ls","error-hooks":"inspect"}},"features":{"hooks":"true"}}"#;
    std::fs::write(engine.dir().join("client/config.json"), config).expect("a file");
    let on_terminal = |words: &str| {
        let text = format!("exec script -qec \"$GANTRY {words}\" /dev/null");
        let mut shell = script(&text);
        let program = crate::harness::gantry_binary();
        shell
            .env("GANTRY", program)
            .env("DOCKER_HOST", engine.host());
        shell.env("DOCKER_CONFIG", engine.dir().join("client"));
        finish(&mut shell, b"").stdout.replace('\r', "")
    };
    let asked = || std::fs::read_to_string(folder.join("asked")).unwrap_or_default();
    let next = "\u{1b}[1mWhat's next:\u{1b}[0m\n    greet them: ls\n    or not\n";
    let shown = on_terminal("volume ls -q");
    assert!(shown.ends_with(next), "{shown:?}");
    assert_eq!(
        asked(),
        r#"{"RootCmd":"volume ls","Flags":{"quiet":"true"},"CommandError":""}"#
    );
    assert!(!on_terminal("volume ls --help").contains("next"));
    assert!(!on_terminal("network ls").contains("next"));
    let shown = on_terminal("inspect nosuch");
    assert!(shown.contains("What's next"), "{shown:?}");
    assert!(asked().contains("No such object: nosuch"), "{}", asked());
    // Not without a terminal, and not without being asked for.
    assert!(
        !engine
            .gantry(&["volume", "ls", "-q"])
            .ok()
            .stderr
            .contains("next")
    );
    let config = config.replace("true", "false");
    std::fs::write(engine.dir().join("client/config.json"), config).expect("a file");
    assert!(!on_terminal("volume ls -q").contains("next"));
}
