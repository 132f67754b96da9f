//! What the kernel has of a published port, and what others have in its way.

use super::Ip;
use super::element::{Forward, PUBLISHED};
use super::rules;
use super::state::Firewall;
use super::transaction::{has_element, hooks};

impl Firewall {
    /// Whether the kernel forwards a port, and the rules that do it.
    pub(crate) fn explain(&self, forward: &Forward) -> (bool, Vec<String>) {
        let element = forward.element();
        let (table, family) = (self.table(), family(forward.ip()));
        let is_there = self.with_socket(|socket| {
            has_element(socket, &table, forward.ip(), element.set, &element.key)
        });
        let at = format!("table {family} {table}");
        let (from, to, protocol) = (forward.from, forward.to, forward.protocol);
        let key = match element.set == PUBLISHED {
            true => format!("{protocol} . {}", from.port()),
            false => format!("{} . {protocol} . {}", from.ip(), from.port()),
        };
        let entry = format!("{key} : {} . {}", to.ip(), to.port());
        match is_there {
            Ok(true) => {
                let steps = [
                    format!("{at}, chain prerouting: map {} has {entry}", element.set),
                    format!("{at}, chain forward: oifname @bridges ct status dnat accept"),
                ];
                (true, steps.into())
            }
            Ok(false) => {
                let missing = format!("{at}: map {} lacks {entry}", element.set);
                (false, vec![missing])
            }
            Err(error) => (false, vec![format!("{at} cannot be read: {error}")]),
        }
    }

    /// The chains of others that a forwarded packet passes.
    pub(crate) fn others(&self) -> Vec<String> {
        let found = self.with_socket(hooks).unwrap_or_default();
        let foreign = found.into_iter().filter(|hook| !self.is_ours(&hook.table));
        let passed = foreign.filter(|hook| hook.kind == "filter" && hook.number <= 2);
        let told = passed.map(|hook| {
            let number = ["prerouting", "input", "forward"]
                .get(hook.number as usize)
                .unwrap_or(&"");
            let policy = if hook.accepts { "accept" } else { "drop" };
            format!(
                "table {} {}, chain {} (hook {number}, priority {}, policy {policy}) is not ours \
                 and decides as well",
                hook.family, hook.table, hook.chain, hook.priority
            )
        });
        let mut told: Vec<String> = told.collect();
        for file in ["ip_tables_names", "ip6_tables_names"] {
            let names = std::fs::read_to_string(format!("/proc/net/{file}")).unwrap_or_default();
            if !names.trim().is_empty() {
                let names: Vec<&str> = names.split_whitespace().collect();
                told.push(format!(
                    "legacy iptables ({}) decides as well",
                    names.join(", ")
                ));
            }
        }
        told
    }

    fn table(&self) -> String {
        rules::table(self.bridge())
    }
}

fn family(ip: Ip) -> &'static str {
    match ip {
        Ip::V4 => "ip",
        Ip::V6 => "ip6",
    }
}
