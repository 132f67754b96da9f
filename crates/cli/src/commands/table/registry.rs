//! The commands on registries.

use super::super::{Arity, Command, Operands, login, manifest, trust};
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

const INSECURE: Flag = flag(
    "insecure",
    Kind::Bool,
    "The registry has no TLS, or a certificate of its own",
);
const KEY: Flag = flag("key", Kind::Text, "Name of a key, or a file with one");

static MANIFEST_ANNOTATE: &[Flag] = &[
    flag("arch", Kind::Text, "Architecture that the image is for"),
    flag("os", Kind::Text, "Operating system that the image is for"),
    flag(
        "os-features",
        Kind::Strings,
        "What it needs of the operating system",
    ),
    flag("os-version", Kind::Text, "Version of the operating system"),
    flag("variant", Kind::Text, "Variant of the architecture"),
];
static MANIFEST_CREATE: &[Flag] = &[
    flag("amend", Kind::Bool, "Add to a list that is there").short('a'),
    INSECURE,
];
static MANIFEST_INSPECT: &[Flag] = &[
    INSECURE,
    flag("verbose", Kind::Bool, "Show layers and platforms too").short('v'),
];
static MANIFEST_PUSH: &[Flag] = &[
    INSECURE,
    flag("purge", Kind::Bool, "Forget the list once it is pushed").short('p'),
];
static TRUST_INSPECT: &[Flag] = &[
    INSECURE,
    flag(
        "key",
        Kind::List,
        "File with a public key to know signatures by",
    ),
    flag("pretty", Kind::Bool, "Show it for people"),
];
static TRUST_REVOKE: &[Flag] = &[
    INSECURE,
    KEY,
    flag("yes", Kind::Bool, "Do not ask").short('y'),
];
static TRUST_SIGN: &[Flag] = &[
    INSECURE,
    KEY,
    flag("local", Kind::Bool, "Push the local image first"),
];
static KEY_GENERATE: &[Flag] = &[flag(
    "dir",
    Kind::Text,
    "Directory for the public key (the current one without it)",
)];
static KEY_LOAD: &[Flag] = &[flag("name", Kind::Text, "Name of the key").default("signer")];

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
    command(
        "manifest annotate",
        "[OPTIONS] MANIFEST_LIST MANIFEST",
        Arity::Exactly(2),
        "Say what an image in a list is for",
        manifest::annotate,
    )
    .flags(&[MANIFEST_ANNOTATE]),
    command(
        "manifest create",
        "MANIFEST_LIST MANIFEST [MANIFEST...]",
        Arity::AtLeast(2),
        "Begin a list of manifests, to be annotated and pushed",
        manifest::create,
    )
    .flags(&[MANIFEST_CREATE]),
    command(
        "manifest inspect",
        "[OPTIONS] [MANIFEST_LIST] MANIFEST",
        Arity::Between(1, 2),
        "Show a manifest or a list of them",
        manifest::inspect,
    )
    .flags(&[MANIFEST_INSPECT]),
    command(
        "manifest push",
        "[OPTIONS] MANIFEST_LIST",
        Arity::Exactly(1),
        "Upload a list of manifests to a registry",
        manifest::push,
    )
    .flags(&[MANIFEST_PUSH]),
    command(
        "manifest rm",
        "MANIFEST_LIST [MANIFEST_LIST...]",
        Arity::AtLeast(1),
        "Forget lists that were begun here",
        manifest::remove,
    ),
    command(
        "trust inspect",
        "IMAGE[:TAG] [IMAGE[:TAG]...]",
        Arity::AtLeast(1),
        "Show who has signed images",
        trust::inspect,
    )
    .flags(&[TRUST_INSPECT])
    .operands(Operands::Images),
    command(
        "trust key generate",
        "NAME",
        Arity::Exactly(1),
        "Make a key to sign with",
        trust::generate,
    )
    .flags(&[KEY_GENERATE]),
    command(
        "trust key load",
        "[OPTIONS] KEYFILE",
        Arity::Exactly(1),
        "Take a private key from a file",
        trust::import,
    )
    .flags(&[KEY_LOAD])
    .operands(Operands::Files),
    command(
        "trust revoke",
        "[OPTIONS] IMAGE[:TAG]",
        Arity::Exactly(1),
        "Remove your signatures of an image",
        trust::revoke,
    )
    .flags(&[TRUST_REVOKE])
    .operands(Operands::Image),
    command(
        "trust sign",
        "IMAGE:TAG",
        Arity::Exactly(1),
        "Sign an image in its registry",
        trust::sign,
    )
    .flags(&[TRUST_SIGN])
    .operands(Operands::Image),
];
