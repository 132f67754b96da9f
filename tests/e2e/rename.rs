//! `rename`, and who knows the new name afterwards.

use crate::exec::{events, with_box};

#[test]
fn the_new_name_is_known_everywhere() {
    let mut engine = with_box();
    let id = engine.inspect("box", "{{.Id}}");
    engine.docker(&["rename", "box", "case"]).ok().prints("");
    assert_eq!(
        engine.inspect("case", "{{.Name}} {{.Id}}"),
        format!("/case {id}")
    );
    engine.docker(&["inspect", "box"]).code(1);
    let names = engine.docker(&["ps", "--filter", "name=case", "--format", "{{.Names}}"]);
    names.ok().prints("case\n");
    let events = events(&engine);
    let rename = events.iter().rfind(|(action, _)| action == "rename");
    let (_, attributes) = rename.expect("an event");
    assert_eq!(
        (&attributes["oldName"], &attributes["name"]),
        (&"/box".into(), &"case".into())
    );
    engine
        .docker(&["create", "--name", "box", "busybox", "true"])
        .ok();
    if engine.is_gantry() {
        engine.kill_daemon();
        engine.boot();
    }
    assert_eq!(engine.inspect("case", "{{.Id}}"), id);
    assert_ne!(engine.inspect("box", "{{.Id}}"), id);
}

#[test]
fn refusals_are_dockers() {
    let engine = with_box();
    engine
        .docker(&["create", "--name", "other", "busybox", "true"])
        .ok();
    let other = engine.inspect("other", "{{.Id}}");
    let taken = format!(
        "Error when allocating new name: Conflict. The container name \"/other\" is already in \
         use by container \"{other}\". You have to remove (or rename) that container to be able \
         to reuse that name."
    );
    for (name, text) in [
        ("other", taken.as_str()),
        (
            "box",
            "Renaming a container with the same name as its current name",
        ),
        (
            "/box",
            "Renaming a container with the same name as its current name",
        ),
        (
            "a",
            "Error when allocating new name: Invalid container name (/a), only \
             [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
        ),
    ] {
        engine.docker(&["rename", "box", name]).code(1).says(text);
    }
    engine
        .docker(&["rename", "ghost", "x1"])
        .code(1)
        .says("No such container: ghost");
}
