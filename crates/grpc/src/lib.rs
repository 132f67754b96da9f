//! gRPC as BuildKit and its clients speak it, without generated code: a client calls the
//! daemon over one connection, and the daemon calls the client over another.
//!
//! ```text
//!  wire            messages: fields in, fields out
//!  message_stream  messages over one stream of HTTP/2
//!  status          how a call ends
//!  caller, serve   the two ends of a connection
//!  packet          the files that travel in messages
//!  carry           bytes of another connection in messages
//!  content         blobs, as containerd's content service gives them
//! ```
//!
//! Invariant: what comes in is bounded and checked. What the messages mean is not known
//! here.

pub mod caller;
pub mod carry;
pub mod content;
pub mod message_stream;
pub mod packet;
pub mod serve;
pub mod status;
pub mod wire;

pub use caller::{Answers, Caller, Exchange};
pub use serve::{Call, Service, serve};
pub use status::{Code, Status};
