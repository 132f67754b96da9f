//! `top`: the cells of the stock `ps`.

use serde_json::Value;

use crate::exec::{get, with_box};

#[test]
fn cells_are_those_of_ps() {
    let engine = with_box();
    let pid = engine.inspect("box", "{{.State.Pid}}");
    let own = engine
        .docker(&["top", "box", "-o", "pid,ppid,user,args"])
        .ok()
        .stdout;
    let lines: Vec<Vec<&str>> = own
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(lines[0], ["PID", "PPID", "USER", "COMMAND"]);
    assert_eq!(
        (lines[1][0], &lines[1][2..]),
        (pid.as_str(), &["root", "sleep", "1000"][..])
    );
    for (arguments, titles) in [
        ("", "UID PID PPID C STIME TTY TIME CMD"),
        (
            "aux",
            "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND",
        ),
        ("-eo%20pid,comm,%25cpu", "PID COMMAND %CPU"),
        (
            "-el",
            "F S UID PID PPID C PRI NI ADDR SZ WCHAN TTY TIME CMD",
        ),
    ] {
        let (status, text) = get(&engine, &format!("/containers/box/top?ps_args={arguments}"));
        assert_eq!(status, 200, "{text}");
        let top: Value = serde_json::from_str(&text).expect("JSON");
        let found: Vec<&str> = top["Titles"]
            .as_array()
            .expect("titles")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        assert_eq!(found.join(" "), titles);
        let cells = top["Processes"][0].as_array().expect("cells");
        assert_eq!(cells.len(), found.len());
        assert!(cells.contains(&Value::String(pid.clone())), "{text}");
    }
}

#[test]
fn refusals_are_dockers() {
    let engine = with_box();
    for (arguments, status, text) in [
        ("-o%20cmd", 500, "Couldn't find PID field in ps output"),
        (
            "-o%20nosuch,pid",
            500,
            "ps: error: unknown user-defined format specifier",
        ),
        ("--foo", 500, "ps: error: unknown gnu long option"),
    ] {
        let (got, message) = get(&engine, &format!("/containers/box/top?ps_args={arguments}"));
        assert_eq!(got, status, "{message}");
        assert!(message.contains(text), "{message}");
    }
    engine.docker(&["kill", "box"]).ok();
    engine
        .docker(&["top", "box"])
        .code(1)
        .says("is not running");
}
