//! What a real dockerd 28.5 answered, read and written again: not a byte may
//! change. The files under `dockerd/` are recordings.

use gantry_api::{
    ContainerInspect, ContainerSummary, Event, HistoryItem, ImageInspect, ImageSummary, Info,
    Version,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

fn unchanged<T: DeserializeOwned + Serialize>(recorded: &str) {
    let recorded = recorded.trim_end();
    let value: T = serde_json::from_str(recorded).expect("a recording has the body's shape");
    let written = serde_json::to_string(&value).expect("a body can be written");
    assert_eq!(written, recorded);
}

macro_rules! recordings {
    ($( $name:ident: $body:ty = $file:literal, )*) => {$(
        #[test]
        fn $name() {
            unchanged::<$body>(include_str!(concat!("dockerd/", $file)));
        }
    )*};
}

recordings! {
    container_inspect: ContainerInspect = "container_inspect.json",
    container_list: Vec<ContainerSummary> = "container_list.json",
    image_inspect: ImageInspect = "image_inspect.json",
    image_inspect_before_1_44: ImageInspect = "image_inspect_1_43.json",
    image_list: Vec<ImageSummary> = "image_list.json",
    image_history: Vec<HistoryItem> = "image_history.json",
    info: Info = "info.json",
    version: Version = "version.json",
}

#[test]
fn events() {
    for line in include_str!("dockerd/events.json").lines() {
        unchanged::<Event>(line);
    }
}

#[test]
fn legacy_event_fields_are_dockers() {
    for line in include_str!("dockerd/events.json").lines() {
        let event: Event = serde_json::from_str(line).unwrap();
        let made = Event::new(
            &event.kind,
            &event.action,
            event.actor.clone(),
            event.time_nano,
        );
        assert_eq!(made, event);
    }
}
