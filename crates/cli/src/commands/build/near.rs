//! A daemon of the same machine reads the folder where it is: it opens what we have open.
//! One that cannot says so, and is sent an archive.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;

use super::context::Source;
use crate::error::Error;
use crate::session::Session;
use crate::transport::{Answer, Call, full};

/// What a daemon answers that does not see our files.
const NOT_SEEN: u16 = 421;

/// Asks for a build; the folder is handed over or sent.
pub(super) async fn ask(session: &Session, call: &Call, source: &Source) -> Result<Answer, Error> {
    if let Some((folder, dockerfile)) = source.in_place()
        && session.client.is_near().await?
        && let Ok(open) = File::open(folder)
    {
        let found = open
            .metadata()
            .map_err(|error| Error::message(format!("{}: {error}", folder.display())))?;
        let number = format!("{}:{}:{}", open.as_raw_fd(), found.dev(), found.ino());
        let call = call.clone().query("contextfd", &number);
        let body = full(dockerfile.to_vec().into());
        match session.client.send_stream(&call, body).await {
            Err(Error::Daemon {
                status: NOT_SEEN, ..
            }) => {}
            // The daemon has the folder open itself before it answers.
            other => return other,
        }
    }
    session.client.send_stream(call, source.body()?).await
}
