//! Telling a network which Ethernet address an IP address has now, when that may not be
//! the one that others remember: those that we choose follow from the IP address.

use crate::attachment::MacAddress;
use crate::definition::Definition;
use crate::error::Error;
use crate::netlink::{Socket, route};
use crate::sysctl;

/// How often it is told; the kernel does it once.
const COUNT: &str = "com.docker.network.advertise_addr_nmsgs";
/// How many milliseconds lie between.
const INTERVAL: &str = "com.docker.network.advertise_addr_ms";

/// Whether a network's containers announce themselves, if the network says so.
///
/// Fails with `Invalid` in Docker's words.
pub(crate) fn wanted(definition: &Definition) -> Result<Option<bool>, Error> {
    let number = |key: &str, what: &str, most: u32, least: u32| {
        let Some(text) = definition.options.get(key) else {
            return Ok(None);
        };
        let wrong = || format!("value for option {key} {text:?} must be {what}");
        let number = text.parse::<i64>().map_err(|_| Error::Invalid(wrong()))?;
        match (i64::from(least)..=i64::from(most)).contains(&number) {
            true => Ok(Some(number)),
            false => Err(Error::Invalid(format!(
                "{key} must be in the range {least} to {most}"
            ))),
        }
    };
    number(INTERVAL, "integer milliseconds", 2000, 100)?;
    let count = number(COUNT, "an integer", 3, 0)?;
    Ok(count.map(|count| count > 0))
}

/// Lets the kernel announce the addresses of an interface whenever it comes up.
pub(crate) fn prepare(name: &str) {
    sysctl::set_if_possible(&format!("ipv4/conf/{name}/arp_notify"), "1");
    sysctl::set_if_possible(&format!("ipv6/conf/{name}/ndisc_notify"), "1");
}

/// Announces the addresses that an interface has: on a bridge that forwards by now. The
/// kernel does it when an Ethernet address is set.
pub(crate) fn now(
    inside: &mut Socket,
    index: u32,
    mac: MacAddress,
    name: &str,
) -> Result<(), Error> {
    prepare(name);
    inside.apply(vec![route::set_mac(index, mac, name)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_network_says_is_understood() {
        let asked = |key: &str, value: &str| {
            let options = [(key.to_owned(), value.to_owned())].into();
            wanted(&Definition {
                options,
                ..Definition::default()
            })
        };
        assert_eq!(asked("x", "y").unwrap(), None);
        assert_eq!(asked(COUNT, "0").unwrap(), Some(false));
        assert_eq!(asked(COUNT, "3").unwrap(), Some(true));
        assert_eq!(asked(INTERVAL, "100").unwrap(), None);
        for (key, value, words) in [
            (COUNT, "4", "must be in the range 0 to 3"),
            (COUNT, "x", "\"x\" must be an integer"),
            (INTERVAL, "99", "must be in the range 100 to 2000"),
            (INTERVAL, "", "\"\" must be integer milliseconds"),
        ] {
            let told = asked(key, value).unwrap_err().to_string();
            assert!(told.ends_with(words), "{told}");
        }
    }
}
