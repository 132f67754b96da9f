//! A way through a SOCKS5 proxy (RFC 1928, passwords by RFC 1929). It is told the
//! server's name, not an address, whatever it is called: as Go does.

use std::io::{self, Read, Write};
use std::net::IpAddr;

use crate::proxy::Login;
use crate::url::Url;

const VERSION: u8 = 5;
const NO_LOGIN: u8 = 0;
const PASSWORD: u8 = 2;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// What the proxy's refusals mean, in Go's words.
const REFUSALS: [&str; 9] = [
    "succeeded",
    "general SOCKS server failure",
    "connection not allowed by ruleset",
    "network unreachable",
    "host unreachable",
    "connection refused",
    "TTL expired",
    "command not supported",
    "address type not supported",
];

/// Asks the proxy for a way to a server.
pub(super) fn ask(
    wire: &mut (impl Read + Write),
    url: &Url,
    login: Option<&Login>,
) -> io::Result<()> {
    let methods: &[u8] = match login {
        None => &[VERSION, 1, NO_LOGIN],
        Some(_) => &[VERSION, 2, NO_LOGIN, PASSWORD],
    };
    wire.write_all(methods)?;
    match (read(wire)?, login) {
        ([VERSION, NO_LOGIN], _) => {}
        ([VERSION, PASSWORD], Some(login)) => log_in(wire, login)?,
        ([VERSION, _], _) => return Err(refused("no acceptable authentication methods")),
        _ => return Err(refused("unexpected protocol version")),
    }
    let mut request = vec![VERSION, CONNECT, 0];
    match url.host.parse() {
        Ok(IpAddr::V4(address)) => {
            request.push(IPV4);
            request.extend(address.octets());
        }
        Ok(IpAddr::V6(address)) => {
            request.push(IPV6);
            request.extend(address.octets());
        }
        Err(_) => {
            request.push(NAME);
            short(&mut request, url.host.as_bytes())?;
        }
    }
    request.extend(url.port.to_be_bytes());
    wire.write_all(&request)?;
    let [version, code, _, kind] = read(wire)?;
    if version != VERSION {
        return Err(refused("unexpected protocol version"));
    }
    if code != 0 {
        let known = REFUSALS.get(usize::from(code));
        return Err(refused(known.unwrap_or(&"unknown code")));
    }
    // Where it has gone out: nobody asks.
    let length = match kind {
        IPV4 => 4,
        IPV6 => 16,
        NAME => usize::from(read::<1>(wire)?[0]),
        _ => return Err(refused("unknown address type")),
    };
    wire.read_exact(&mut vec![0; length + 2])
}

fn log_in(wire: &mut (impl Read + Write), login: &Login) -> io::Result<()> {
    let mut request = vec![1];
    short(&mut request, &login.user)?;
    short(&mut request, &login.password)?;
    wire.write_all(&request)?;
    match read(wire)? {
        [1, 0] => Ok(()),
        _ => Err(refused("username/password authentication failed")),
    }
}

/// Adds bytes behind their number.
fn short(request: &mut Vec<u8>, bytes: &[u8]) -> io::Result<()> {
    let length = u8::try_from(bytes.len());
    request.push(length.map_err(|_| refused("a name is too long"))?);
    request.extend(bytes);
    Ok(())
}

fn read<const N: usize>(wire: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    wire.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn refused(why: &str) -> io::Error {
    io::Error::other(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A proxy that says this, whatever it is told.
    struct Script(io::Cursor<Vec<u8>>, Vec<u8>);

    impl Read for Script {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(buffer)
        }
    }

    impl Write for Script {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1.extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn told(url: &str, login: Option<&Login>, says: &[u8]) -> (io::Result<()>, Vec<u8>, usize) {
        let mut script = Script(io::Cursor::new(says.to_vec()), Vec::new());
        let result = ask(&mut script, &Url::parse(url).unwrap(), login);
        let left = says.len() - script.0.position() as usize;
        (result, script.1, left)
    }

    #[test]
    fn names_and_addresses_are_given_on_and_nothing_is_read_too_much() {
        let yes = [5, 0, 5, 0, 0, 1, 9, 9, 9, 9, 0, 1, b'x'];
        let (result, said, left) = told("https://r.invalid", None, &yes);
        result.unwrap();
        assert_eq!(said, b"\x05\x01\x00\x05\x01\x00\x03\x09r.invalid\x01\xbb");
        assert_eq!(left, 1);
        let yes = [5, 0, 5, 0, 0, 3, 2, b'a', b'b', 0, 1];
        let (result, said, left) = told("http://10.1.2.3:5000", None, &yes);
        result.unwrap();
        assert_eq!(said[3..], [5, 1, 0, 1, 10, 1, 2, 3, 0x13, 0x88]);
        assert_eq!(left, 0);
    }

    #[test]
    fn passwords_are_given_only_where_they_are_asked_for() {
        let login = Login {
            user: b"u".to_vec(),
            password: b"secret".to_vec(),
        };
        let yes = [5, 2, 1, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        let (result, said, _) = told("http://r.invalid", Some(&login), &yes);
        result.unwrap();
        assert!(said.starts_with(b"\x05\x02\x00\x02\x01\x01u\x06secret\x05"));
        for (says, words) in [
            (&[5, 2, 1, 1][..], "authentication failed"),
            (&[5, 0xff], "no acceptable"),
            (b"HTTP/1.1", "protocol version"),
            (&[5, 0, 5, 4, 0, 1], "host unreachable"),
            (&[5, 0, 5, 99, 0, 1], "unknown code"),
            (&[5, 0, 5, 0, 0, 7], "address type"),
            (&[5], "fill whole buffer"),
        ] {
            let (result, said, _) = told("http://r.invalid", Some(&login), says);
            let error = result.unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
            assert_eq!(says.get(1) == Some(&2), said.ends_with(b"secret"));
        }
    }
}
