//! What is known without asking anybody: who is in the networks of the container
//! that asks.

use std::collections::HashMap;
use std::net::IpAddr;

use gantry_types::ContainerId;

use super::message::{Kind, Query, Record, reversed};
use crate::attachment::{Attachment, Endpoint};
use crate::mode::NetworkMode;
use crate::network::Attached;

/// Who is attached.
pub(super) type Everybody = HashMap<ContainerId, Attached>;

/// The records that answer a container's question; `None` when its name is nobody's
/// here, and others have to be asked.
pub(super) fn lookup(
    everybody: &Everybody,
    asking: &Attachment,
    query: &Query,
) -> Option<Vec<Record>> {
    if query.kind == Kind::Ptr {
        let address = reversed(&query.name)?;
        return named(everybody, asking, address).map(|name| vec![Record::Name(name)]);
    }
    let mut found = false;
    let mut addresses: Vec<IpAddr> = Vec::new();
    for place in users(asking) {
        let name = linked(place, &query.name).unwrap_or(&query.name);
        for endpoint in members(everybody, &place.network_id) {
            if is_called(endpoint, name) {
                found = true;
                addresses.extend(endpoint.addresses());
            }
        }
        // The first of the asking one's networks that knows the name decides.
        if found {
            break;
        }
    }
    let wanted = |address: &IpAddr| match query.kind {
        Kind::A => address.is_ipv4(),
        Kind::Aaaa => address.is_ipv6(),
        _ => false,
    };
    let records = addresses.into_iter().filter(wanted).map(Record::Address);
    found.then(|| records.collect())
}

/// The places in users' networks: in predefined ones nobody has names.
fn users(attachment: &Attachment) -> impl Iterator<Item = &Endpoint> {
    let places = attachment.endpoints.iter();
    places.filter(|place| NetworkMode::parse(&place.network) == NetworkMode::User)
}

fn members<'a>(everybody: &'a Everybody, network: &'a str) -> impl Iterator<Item = &'a Endpoint> {
    let all = everybody.values();
    all.filter_map(move |one| one.attachment.endpoint(network))
}

/// Whom a name means that the asking one alone knows.
fn linked<'a>(place: &'a Endpoint, name: &str) -> Option<&'a str> {
    let mut links = place.links.iter();
    let link = links.find(|(alias, _)| alias.eq_ignore_ascii_case(name));
    link.map(|(_, target)| target.as_str())
}

/// By its names alone, or with the network's behind.
fn is_called(endpoint: &Endpoint, name: &str) -> bool {
    let plain = |known: &String| known.eq_ignore_ascii_case(name);
    let qualified = |known: &String| {
        let rest = name
            .get(..known.len())
            .filter(|n| known.eq_ignore_ascii_case(n));
        let network = rest.and_then(|_| name[known.len()..].strip_prefix('.'));
        network.is_some_and(|n| n.eq_ignore_ascii_case(&endpoint.network))
    };
    let mut names = endpoint.dns_names.iter();
    names.any(|known| plain(known) || qualified(known))
}

fn named(everybody: &Everybody, asking: &Attachment, address: IpAddr) -> Option<String> {
    for place in users(asking) {
        for endpoint in members(everybody, &place.network_id) {
            if endpoint.addresses().contains(&address) {
                let name = endpoint.dns_names.first()?;
                return Some(format!("{name}.{}", endpoint.network));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::message::tests::query;
    use super::*;
    use crate::attachment::Place;

    fn endpoint(network: &str, names: &[&str], address: &str) -> Endpoint {
        Endpoint {
            network_id: network.to_owned(),
            network: network.to_owned(),
            endpoint_id: String::new(),
            ipv4: Some(Place {
                address: address.parse().unwrap(),
                gateway: None,
            }),
            ipv6: None,
            interface: None,
            gw_priority: 0,
            dns_names: names.iter().map(ToString::to_string).collect(),
            links: Vec::new(),
        }
    }

    fn attached(endpoints: Vec<Endpoint>) -> Attached {
        Attached {
            name: String::new(),
            attachment: Attachment {
                mode: NetworkMode::User,
                sandbox_id: String::new(),
                endpoints,
                published: Vec::new(),
                sources: crate::ports::Sources::default(),
                linked: Vec::new(),
            },
        }
    }

    #[test]
    fn names_are_known_within_a_network_only() {
        let web = attached(vec![endpoint("front", &["web", "www"], "10.1.0.2/24")]);
        let both = attached(vec![
            endpoint("front", &["app"], "10.1.0.3/24"),
            endpoint("back", &["app"], "10.2.0.3/24"),
        ]);
        let db = attached(vec![endpoint("back", &["db"], "10.2.0.2/24")]);
        let everybody: Everybody = [(1, web), (2, both), (3, db)]
            .map(|(n, one)| (ContainerId::from_random([n; 32]), one))
            .into();
        let ask = |n: u8, name: &str, kind: u16| {
            let asking = &everybody[&ContainerId::from_random([n; 32])].attachment;
            let query = Query::parse(&query(name, kind, false)).unwrap();
            lookup(&everybody, asking, &query)
        };
        let address = |text: &str| Some(vec![Record::Address(text.parse().unwrap())]);
        assert_eq!(ask(1, "app", 1), address("10.1.0.3"));
        assert_eq!(ask(3, "APP.back", 1), address("10.2.0.3"));
        assert_eq!(ask(2, "www", 1), address("10.1.0.2"));
        assert_eq!(
            ask(1, "web", 28),
            Some(Vec::new()),
            "known, but not by IPv6"
        );
        assert_eq!(ask(1, "db", 1), None, "another network's");
        assert_eq!(ask(1, "example.org", 1), None);
        let mut linked = everybody[&ContainerId::from_random([1; 32])]
            .attachment
            .clone();
        linked.endpoints[0].links = vec![("service".to_owned(), "app".to_owned())];
        let query = Query::parse(&query("service", 1, false)).unwrap();
        assert_eq!(lookup(&everybody, &linked, &query), address("10.1.0.3"));
        assert_eq!(ask(1, "service", 1), None, "only for whom it was made");
        let name = |text: &str| Some(vec![Record::Name(text.to_owned())]);
        assert_eq!(ask(3, "3.0.2.10.in-addr.arpa", 12), name("app.back"));
        assert_eq!(ask(3, "2.0.1.10.in-addr.arpa", 12), None);
    }
}
