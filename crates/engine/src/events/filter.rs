//! Which events a client wants.

use gantry_api::{Event, Filters};

/// Filters that name an object of this kind.
const OBJECTS: [&str; 8] = [
    "config",
    "container",
    "daemon",
    "network",
    "node",
    "plugin",
    "secret",
    "service",
];
/// Actions that carry details behind a colon, which a filter leaves out.
const WITH_DETAILS: [&str; 3] = ["health_status", "exec_create", "exec_start"];

/// The filters of a subscription.
#[derive(Debug, Clone, Default)]
pub(super) struct EventFilter {
    filters: Filters,
}

impl EventFilter {
    /// As Docker does, keys that mean nothing here are passed over.
    pub(super) fn new(filters: &Filters) -> Self {
        Self {
            filters: filters.clone(),
        }
    }

    pub(super) fn matches(&self, event: &Event) -> bool {
        let filters = &self.filters;
        filters.any("event", |action| action_matches(action, &event.action))
            && filters.any("type", |kind| kind == event.kind)
            && filters.any("scope", |scope| scope == event.scope)
            && filters.all_pairs("label", Some(&event.actor.attributes))
            && OBJECTS
                .iter()
                .all(|kind| !filters.contains(kind) || self.names(kind, event))
            && (!filters.contains("volume") || self.names("volume", event))
            && filters.any("image", |image| image_matches(image, event))
    }

    /// Whether the event's object is of `kind` and named by one of its values.
    fn names(&self, kind: &str, event: &Event) -> bool {
        let name = event.actor.attributes.get("name");
        event.kind == kind
            && self.filters.get(kind).iter().any(|wanted| {
                event.actor.id.starts_with(wanted.as_str())
                    || name.is_some_and(|name| name.starts_with(wanted.as_str()))
            })
    }
}

fn action_matches(wanted: &str, action: &str) -> bool {
    wanted == action
        || WITH_DETAILS
            .iter()
            .any(|with| *with == wanted && action.starts_with(with))
}

/// An image's own events, and those of containers made from it; with its tag
/// and without.
fn image_matches(wanted: &str, event: &Event) -> bool {
    let attribute = match event.kind.as_str() {
        "image" => "name",
        _ => "image",
    };
    let untagged = |name: &str| {
        let path = name.rfind('/').map_or(0, |slash| slash + 1);
        let colon = name[path..].find(':').map(|colon| path + colon);
        name[..colon.unwrap_or(name.len())].to_owned()
    };
    let names = |name: &str| name == wanted || untagged(name) == wanted;
    (event.kind == "image" && names(&event.actor.id))
        || event
            .actor
            .attributes
            .get(attribute)
            .is_some_and(|name| names(name))
}

#[cfg(test)]
mod tests {
    use gantry_api::Actor;

    use super::*;

    fn event(kind: &str, action: &str, attributes: &[(&str, &str)]) -> Event {
        let attributes = attributes
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        let actor = Actor {
            id: "abcdef".to_owned(),
            attributes,
        };
        Event::new(kind, action, actor, 0)
    }

    #[test]
    fn filters_choose() {
        let start = event(
            "container",
            "start",
            &[("name", "web"), ("image", "bb:1"), ("k", "v")],
        );
        let exec = event("container", "exec_create: sh -c x", &[("name", "web")]);
        let tag = event("image", "tag", &[("name", "reg:5000/bb:1")]);
        for (json, starts, execs, tags) in [
            (r"{}", true, true, true),
            (r#"{"type":["container"]}"#, true, true, false),
            (r#"{"event":["start","tag"]}"#, true, false, true),
            (r#"{"event":["exec_create"]}"#, false, true, false),
            (r#"{"container":["web"]}"#, true, true, false),
            (r#"{"container":["abc"]}"#, true, true, false),
            (r#"{"image":["bb"]}"#, true, false, false),
            (r#"{"image":["reg:5000/bb"]}"#, false, false, true),
            (r#"{"label":["k=v"]}"#, true, false, false),
            (r#"{"foo":["a"]}"#, true, true, true),
        ] {
            let filter = EventFilter::new(&Filters::parse(json).unwrap());
            let matched = [&start, &exec, &tag].map(|event| filter.matches(event));
            assert_eq!(matched, [starts, execs, tags], "{json}");
        }
    }
}
