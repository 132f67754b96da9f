//! What daemon and shim say to each other over a unix stream socket.
//!
//! ```text
//! frame    u32 length of JSON │ u32 length of bytes │ JSON │ bytes      (little-endian)
//!          descriptors travel with a frame's first byte
//!
//! daemon → shim     one `Request` a frame
//! shim → daemon     one `Message` a frame: the `Reply` to each request in turn,
//!                   and `Event`s in between on connections that subscribed
//!
//! on the shim's stdin, once:     Start ─▶ Started | Failed     (then subscribed)
//! on shim.sock:                  Subscribe ─▶ Status           (then events; Exit at once if over)
//!                                Signal, Resize, CloseStdin, Pause, Resume, Update ─▶ Done | Refused
//!                                Attach + one socket ─▶ Done | Refused
//!                                Exec + sockets ─▶ Started | Failed | Refused
//!                                SignalExec, ResizeExec, ForgetExec ─▶ Done | Refused
//!                                Stats ─▶ Stats    Processes ─▶ Processes
//!                                Acknowledge ─▶ Done once the container is over; then the shim ends
//! ```
//!
//! An attached socket carries no frames of this protocol: towards the client
//! raw bytes for a terminal, else Docker's stream frames (kind, 0, 0, 0, u32
//! big-endian length, bytes); from the client raw standard input.

mod frame;
mod messages;

pub(crate) use frame::encode;
pub use frame::{Frame, FrameError, FrameReader, receive, send};
pub use messages::{
    AttachRequest, Event, ExecRequest, ExecStatus, ExitRecord, Message, Refusal, Reply, Request,
    RuntimeFailure, StartFailure, StartRequest, Status, User,
};
