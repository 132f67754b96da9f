//! The client's ssh agents (`moby.sshforward.v1`): one call for each conversation, whose
//! messages are the conversation's bytes.

use std::os::unix::net::UnixStream;
use std::sync::Arc;

use gantry_engine::Agents;
use gantry_grpc::carry;
use http::{HeaderMap, HeaderValue};
use tokio::runtime::Handle;

use crate::session::Session;
use crate::status::{Code, Status};
use crate::wire::Message;

const CHECK: &str = "/moby.sshforward.v1.SSH/CheckAgent";
const FORWARD: &str = "/moby.sshforward.v1.SSH/ForwardAgent";

/// The agents of a session's client.
pub(super) struct Forwarded {
    pub(super) runtime: Handle,
    pub(super) session: Arc<Session>,
}

impl Agents for Forwarded {
    fn check(&self, id: &str) -> Result<(), String> {
        let none = || format!("no SSH key {id:?} forwarded from the client");
        if !self.session.offers(CHECK) {
            return Err(none());
        }
        let question = Message::new().text(1, id).into_bytes();
        let answer = self.runtime.block_on(self.session.unary(CHECK, &question));
        match answer {
            Ok(_) => Ok(()),
            Err(status) if status.code == Code::Unimplemented => Err(none()),
            Err(status) => Err(status.text),
        }
    }

    fn converse(&self, id: &str, command: UnixStream) {
        let carried = self.runtime.block_on(carry(&self.session, id, command));
        if let Err(status) = carried {
            tracing::debug!(%status, id, "a conversation with an ssh agent broke");
        }
    }
}

async fn carry(session: &Session, id: &str, command: UnixStream) -> Result<(), Status> {
    let gone = |_| Status::canceled();
    command.set_nonblocking(true).map_err(gone)?;
    let command = tokio::net::UnixStream::from_std(command).map_err(gone)?;
    let (mut reader, mut writer) = command.into_split();
    let mut metadata = HeaderMap::new();
    let id = HeaderValue::try_from(id).map_err(|_| Status::invalid("an id of an ssh agent"))?;
    metadata.insert("buildkit.ssh.id", id);
    let (mut outgoing, mut answers) = session.call(FORWARD, metadata).await?.split();
    let outward = async {
        carry::send_from(&mut reader, &mut outgoing, gone).await?;
        outgoing.end();
        Ok(())
    };
    let inward = async {
        while let Some(message) = answers.next().await? {
            carry::write_to(&mut writer, &message, gone).await?;
        }
        Ok(())
    };
    // A command that has closed its side may still wait for the answer; an agent that has
    // ended says nothing more.
    let mut outward = std::pin::pin!(outward);
    let mut inward = std::pin::pin!(inward);
    tokio::select! {
        ended = &mut inward => ended,
        ended = &mut outward => match ended {
            Ok(()) => inward.await,
            failed => failed,
        },
    }
}
