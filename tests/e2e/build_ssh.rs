//! `RUN --mount=type=ssh`: a command speaks to the agent of whoever builds, and nothing of
//! that stays in the image.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;

use crate::harness::{Engine, Outcome, plugins};

/// What an agent is asked, and what this one says.
const QUESTION: &[u8] = &[0, 0, 0, 1, 11];
const ANSWER: &[u8] = b"\0\0\0\x26\x0c\0\0\0\x01\
    \0\0\0\x11\0\0\0\x07ssh-rsa\0\0\0\x02no\0\0\0\x08agent-ok";

/// An agent that knows one answer.
fn agent(path: &Path) {
    let listener = UnixListener::bind(path).expect("a socket");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut question = [0; QUESTION.len()];
                while stream.read_exact(&mut question).is_ok() && question == *QUESTION {
                    stream.write_all(ANSWER).expect("a listener");
                }
            });
        }
    });
}

fn build(engine: &Engine, line: &str, args: &[&str]) -> Outcome {
    let folder = engine.dir().join("context");
    let _ = std::fs::create_dir(&folder);
    let text = format!("FROM busybox\n{line}\n");
    std::fs::write(folder.join("Dockerfile"), text).expect("room");
    let folder = folder.to_string_lossy().into_owned();
    let all = [
        &["buildx", "build", "--progress=plain", "-t", "x"],
        args,
        &[&folder],
    ];
    engine.docker(&all.concat())
}

#[test]
fn commands_speak_to_the_users_agent() {
    if plugins::find("docker-buildx").is_none() {
        return;
    }
    let engine = Engine::with_busybox();
    if !plugins::link(&engine, "docker-buildx") {
        return;
    }
    let socket = engine.dir().join("agent.sock");
    agent(&socket);
    let tools = engine.dir().join("tools");
    std::fs::create_dir(&tools).unwrap();
    // A program that passes its input on to a socket: our own client.
    std::fs::copy(crate::harness::gantry_binary(), tools.join("docker")).unwrap();
    let tools = format!("tools={}", tools.display());
    let given = format!("--ssh=default={}", socket.display());
    let args = ["--build-context", &tools, &given];
    let ask = "(printf '\\000\\000\\000\\001\\013'; sleep 1) | \
               /tools/docker -H unix://$SSH_AUTH_SOCK system dial-stdio | grep -o agent-ok";
    let built = build(
        &engine,
        &format!(
            "RUN --mount=type=ssh --mount=type=bind,from=tools,target=/tools {ask}\n\
             RUN --mount=type=ssh,target=/a/s,uid=7,gid=8,mode=0640 \
             echo $SSH_AUTH_SOCK $(stat -c %u:%g:%a:%F /a/s)\n\
             RUN test -z \"$SSH_AUTH_SOCK\" && ! test -e /a && ! test -e /run/buildkit"
        ),
        &args,
    )
    .ok();
    let second = "/a/s 7:8:640:socket";
    assert!(built.stderr.contains(second), "{}", built.stderr);
    let env = engine.inspect("x", "{{.Config.Env}}");
    assert!(!env.contains("SSH_AUTH_SOCK"), "{env}");
}

#[test]
fn an_agent_that_nobody_has_given_is_missed_only_where_it_must_be() {
    if plugins::find("docker-buildx").is_none() {
        return;
    }
    let engine = Engine::with_busybox();
    if !plugins::link(&engine, "docker-buildx") {
        return;
    }
    build(
        &engine,
        "RUN --mount=type=ssh ! test -e /run/buildkit/ssh_agent.0",
        &[],
    )
    .ok();
    let missing = build(&engine, "RUN --mount=type=ssh,required=true true", &[]);
    // buildx has a way to agents even where it was given none.
    let error = "unset ssh forward key default";
    assert!(
        missing.code != 0 && missing.stderr.contains(error),
        "{}",
        missing.stderr
    );
    let socket = engine.dir().join("agent.sock");
    agent(&socket);
    let given = format!("--ssh=other={}", socket.display());
    let missing = build(
        &engine,
        "RUN --mount=type=ssh,required=true true",
        &[&given],
    );
    let error = "unset ssh forward key default";
    assert!(
        missing.code != 0 && missing.stderr.contains(error),
        "{}",
        missing.stderr
    );
    build(
        &engine,
        "RUN --mount=type=ssh,id=other,required test -S $SSH_AUTH_SOCK",
        &[&given],
    )
    .ok();
}
