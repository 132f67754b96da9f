//! Completion in a real bash, and the protocol that other shells' scripts use.

use crate::harness::{Engine, command, finish, gantry_binary};

/// What bash would offer for `line`, which ends at the cursor.
const ASK: &str = r#"
source <("$GANTRY" completion bash)
split() {
    # As readline does with the default COMP_WORDBREAKS.
    COMP_WORDS=(); local word piece i c
    read -ra words <<<"$1"
    for word in "${words[@]}"; do
        piece=
        for ((i = 0; i < ${#word}; i++)); do
            c=${word:i:1}
            if [[ $c == [=:] ]]; then
                [[ -n $piece ]] && COMP_WORDS+=("$piece")
                COMP_WORDS+=("$c"); piece=
            else
                piece+=$c
            fi
        done
        [[ -n $piece ]] && COMP_WORDS+=("$piece")
    done
    [[ $1 == *' ' ]] && COMP_WORDS+=("")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
}
while IFS= read -r line; do
    COMP_LINE=$line; COMP_POINT=${#line}; COMPREPLY=()
    split "$line"
    __gantry_complete
    echo "${COMPREPLY[*]}"
done
"#;

fn offered(engine: &Engine, lines: &[&str]) -> Vec<String> {
    let folder = gantry_binary().parent().expect("the program has a folder");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut bash = command("bash", &["--norc", "-c", ASK]);
    bash.env("GANTRY", gantry_binary())
        .env("PATH", format!("{}:{path}", folder.display()))
        .env("DOCKER_HOST", engine.host())
        .env("DOCKER_CONFIG", engine.dir().join("client"));
    let answer = finish(&mut bash, (lines.join("\n") + "\n").as_bytes()).ok();
    answer.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn bash_offers_what_could_stand_there() {
    let engine = Engine::with_busybox();
    engine.docker(&["tag", "busybox", "other/name:v1"]).ok();
    engine
        .docker(&["run", "-d", "--name", "alpha", "busybox", "sleep", "1000"])
        .ok();
    engine.docker(&["create", "--name", "beta", "busybox"]).ok();
    let table = [
        ("gantry ru", "run"),
        ("gantry container st", "start stats stop"),
        ("gantry exec ", "alpha"),
        ("gantry rm b", "beta"),
        ("gantry rm -f beta ", "alpha"),
        ("gantry start ", "beta"),
        ("gantry run --rm bus", "busybox:latest"),
        // Colons and equals signs break words in bash.
        ("gantry rmi other/name:", "v1"),
        ("gantry run --pull=a", "always"),
        ("gantry run --pull ", "always missing never"),
        ("gantry run --ulimit nof", "nofile="),
        ("gantry run --ipc container:al", "alpha"),
        ("gantry run --restart un", "unless-stopped"),
        ("gantry run --kernel", ""),
        ("gantry system ", "check df events info prune"),
        ("gantry inspect --type i", "image"),
        ("gantry ps extra ", ""),
        ("gantry nonsense ", ""),
    ];
    let lines: Vec<&str> = table.iter().map(|(line, _)| *line).collect();
    for ((line, expected), got) in table.iter().zip(offered(&engine, &lines)) {
        let mut words: Vec<&str> = got.split_whitespace().collect();
        words.sort_unstable();
        assert_eq!(words.join(" "), *expected, "{line:?}");
    }
}

#[test]
fn the_protocol_is_the_stock_clients() {
    let engine = Engine::with_busybox();
    engine
        .docker(&["run", "-d", "--name", "alpha", "busybox", "sleep", "1000"])
        .ok();
    for args in [
        &["__completeNoDesc", "run", "--network", ""][..],
        &["__completeNoDesc", "run", "--restart", ""],
        &["__completeNoDesc", "container", "unpause", ""],
        &["__completeNoDesc", "exec", ""],
        &["__completeNoDesc", "cp", ""],
        &["__completeNoDesc", "image", "rm", ""],
        &["__completeNoDesc", "run", "--pull", ""],
    ] {
        let (stock, ours) = (engine.docker(args).ok(), engine.gantry(args).ok());
        let sorted = |text: &str| {
            let mut lines: Vec<&str> = text.lines().collect();
            lines.sort_unstable();
            lines.join("\n")
        };
        assert_eq!(sorted(&stock.stdout), sorted(&ours.stdout), "{args:?}");
    }
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let script = engine.gantry(&["completion", shell]).ok().stdout;
        assert!(script.contains("__complete"), "{shell}");
        let unfilled = ["@PROGRAM@", "@REQUEST@"]
            .iter()
            .any(|word| script.contains(word));
        assert!(!unfilled, "{shell}");
    }
}
