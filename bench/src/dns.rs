//! A client of name servers: the bench started again as a small program inside a
//! container's network, which asks for one name over and over.

use std::net::{IpAddr, UdpSocket};
use std::time::{Duration, Instant};

use crate::say;

/// The word that makes this program of the bench.
pub const ARGUMENT: &str = "ask-for-a-name";
/// How often the name is asked for.
const TIMES: usize = 200;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks `args[0]` for the IPv4 address of `args[1]`, and prints the median of what the
/// answers took, in nanoseconds.
pub fn ask(args: &[String]) -> Result<(), String> {
    let [server, name] = args else {
        return Err("expected a server and a name".to_owned());
    };
    let server: IpAddr = server
        .parse()
        .map_err(|_| format!("{server}: no address"))?;
    let failed = |error: std::io::Error| format!("{server}: {error}");
    let socket = UdpSocket::bind("0.0.0.0:0").map_err(failed)?;
    socket.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    socket.connect((server, 53)).map_err(failed)?;
    let mut times = Vec::with_capacity(TIMES);
    let mut answer = [0; 512];
    for number in 0..TIMES {
        let question = question(number as u16, name);
        let begun = Instant::now();
        socket.send(&question).map_err(failed)?;
        let length = socket.recv(&mut answer).map_err(failed)?;
        times.push(begun.elapsed());
        // Its outcome, and how many addresses there are.
        if length < 12 || answer[3] & 15 != 0 || answer[7] == 0 {
            return Err(format!("{server} does not know {name}"));
        }
    }
    times.sort();
    say(&times[TIMES / 2].as_nanos().to_string());
    Ok(())
}

fn question(number: u16, name: &str) -> Vec<u8> {
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.extend([0, 0, 1, 0, 1]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_for_addresses() {
        let bytes = question(7, "a.bc");
        assert_eq!(bytes[..12], [0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[12..], [1, b'a', 2, b'b', b'c', 0, 0, 1, 0, 1]);
    }
}
