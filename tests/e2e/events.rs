//! `GET /events`: what the transcripts cannot show.

use serde_json::Value;

use crate::exec::{events, get, with_box};
use crate::gantry_only;
use crate::harness::{command, finish};
use crate::run::wait_for;

#[test]
fn a_reload_of_the_configuration_is_told() {
    let engine = with_box();
    gantry_only!(engine);
    finish(
        &mut command("kill", &["-HUP", &engine.pid().to_string()]),
        b"",
    )
    .ok();
    let mut seen = Value::Null;
    wait_for(|| {
        let filters = "%7B%22type%22%3A%5B%22daemon%22%5D%7D";
        let until = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let (_, text) = get(&engine, &format!("/events?until={until}&filters={filters}"));
        seen = serde_json::from_str(&text).unwrap_or_default();
        !seen.is_null()
    });
    assert_eq!(seen["Action"], "reload");
    assert_eq!(seen["Actor"]["Attributes"]["live-restore"], "true");
    let id = engine.docker(&["info", "--format", "{{.ID}}"]).ok().line();
    assert_eq!(seen["Actor"]["ID"], id);
}

#[test]
fn labels_and_details_are_attributes() {
    let engine = with_box();
    let create = [
        "create", "--name", "labelled", "-l", "k=v", "busybox", "true",
    ];
    engine.docker(&create).ok();
    engine.docker(&["kill", "-s", "WINCH", "box"]).ok();
    engine.docker(&["kill", "box"]).ok();
    wait_for(|| engine.inspect("box", "{{.State.Running}}") == "false");
    let events = events(&engine);
    let attributes = |action: &str, name: &str| {
        let event = events
            .iter()
            .rfind(|(found, attributes)| found == action && attributes["name"] == name);
        event
            .unwrap_or_else(|| panic!("{action} in {events:?}"))
            .1
            .clone()
    };
    assert_eq!(attributes("create", "labelled")["k"], "v");
    assert_eq!(attributes("kill", "box")["signal"], "9");
    let die = attributes("die", "box");
    assert_eq!(
        (&die["exitCode"], &die["image"]),
        (&"137".into(), &"busybox".into())
    );
    assert!(
        die["execDuration"]
            .as_str()
            .is_some_and(|text| text.parse::<u32>().is_ok())
    );
}
