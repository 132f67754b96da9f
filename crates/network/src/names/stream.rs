//! Questions that come by TCP: for large answers, and by clients that prefer it.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gantry_types::ContainerId;

use super::message::Outcome;
use super::{Everybody, Known, Resolver, answer, servers};

/// How long anybody is waited for.
const PATIENCE: Duration = Duration::from_secs(4);
/// As many connections have a thread at most; more are closed.
const CONNECTIONS: usize = 32;
/// The longest answer, and how its limit is told.
const ANSWER: usize = u16::MAX as usize;

static OPEN: AtomicUsize = AtomicUsize::new(0);

/// Counts a connection while it lives.
struct Slot;

impl Slot {
    fn take() -> Option<Self> {
        let free = OPEN.fetch_add(1, Ordering::AcqRel) < CONNECTIONS;
        let slot = Self;
        free.then_some(slot)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Takes one connection of a resolver, and serves it on a thread of its own.
pub(super) fn accept(resolver: &Resolver, everybody: &Everybody) {
    let Ok((client, _)) = resolver.streams.accept() else {
        return;
    };
    let Some(slot) = Slot::take() else { return };
    let everybody = Arc::clone(everybody);
    let (container, own) = (resolver.container.clone(), resolver.servers.clone());
    let spawned = std::thread::Builder::new()
        .name("network-names".to_owned())
        .stack_size(192 * 1024)
        .spawn(move || {
            let _slot = slot;
            // A client that goes away is no failure of ours.
            let _ = serve(client, &everybody, &container, &own);
        });
    if let Err(error) = spawned {
        tracing::warn!(%error, "no thread for a question by TCP");
    }
}

fn serve(
    mut client: TcpStream,
    everybody: &Everybody,
    container: &ContainerId,
    own: &[IpAddr],
) -> std::io::Result<()> {
    client.set_nonblocking(false)?;
    client.set_read_timeout(Some(PATIENCE))?;
    client.set_write_timeout(Some(PATIENCE))?;
    loop {
        let question = receive(&mut client)?;
        let bytes = match answer(everybody, container, &question) {
            Known::Answer(query, (outcome, records)) => query.answer(outcome, &records, ANSWER),
            Known::Refusal(bytes) => bytes,
            Known::Nothing => return Ok(()),
            Known::AskOthers(query) => {
                let mut servers = servers(own).into_iter();
                let found = servers.find_map(|server| ask(server, &question).ok());
                found.unwrap_or_else(|| query.answer(Outcome::Failed, &[], ANSWER))
            }
        };
        send(&mut client, &bytes)?;
    }
}

fn ask(server: IpAddr, question: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::new(server, 53), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    send(&mut stream, question)?;
    receive(&mut stream)
}

/// A message with its length before it.
fn receive(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message)?;
    Ok(message)
}

fn send(stream: &mut TcpStream, message: &[u8]) -> std::io::Result<()> {
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.extend(&message[..usize::from(length)]);
    stream.write_all(&bytes)
}
