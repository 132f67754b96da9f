//! The commands on registries.

use super::super::{Arity, Command, login};
use super::command;
use crate::args::{Flag, Kind, flag};

static LOGIN: &[Flag] = &[
    flag(
        "password",
        Kind::Text,
        "Password or access token (other users can see it)",
    )
    .short('p'),
    flag("password-stdin", Kind::Bool, "Read the password from stdin"),
    flag("username", Kind::Text, "Name of the user").short('u'),
];

pub(super) static COMMANDS: &[Command] = &[
    command(
        "login",
        "[OPTIONS] [SERVER]",
        Arity::AtMost(1),
        "Try and keep credentials for a registry",
        login::login,
    )
    .flags(&[LOGIN])
    .detail("Without SERVER it is about Docker Hub.")
    .starts_daemon(),
    command(
        "logout",
        "[SERVER]",
        Arity::AtMost(1),
        "Forget the credentials for a registry",
        login::logout,
    )
    .detail("Without SERVER it is about Docker Hub."),
];
