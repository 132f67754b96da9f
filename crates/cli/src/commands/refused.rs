//! Docker's commands that this version does not have: named, so that they are
//! refused by name, and listed in the help of their groups.

/// A command that is refused.
pub(crate) struct Refused {
    pub(crate) path: &'static str,
    pub(crate) aliases: &'static [&'static str],
}

const fn refused(path: &'static str, aliases: &'static [&'static str]) -> Refused {
    Refused { path, aliases }
}

/// The groups, and what they are about.
pub(crate) const GROUPS: &[(&str, &str)] = &[
    ("builder", "Builds and their cache"),
    ("checkpoint", "Checkpoints of containers"),
    ("completion", "Completion scripts for shells"),
    ("config", "Swarm configs"),
    ("container", "Containers"),
    ("context", "Contexts: names for daemons"),
    ("image", "Images"),
    ("manifest", "Image manifests and manifest lists"),
    ("network", "Networks"),
    ("node", "Swarm nodes"),
    ("plugin", "Plugins"),
    ("secret", "Swarm secrets"),
    ("service", "Swarm services"),
    ("stack", "Swarm stacks"),
    ("swarm", "Swarm"),
    ("system", "The daemon and its host"),
    ("trust", "Signatures of images"),
    ("volume", "Volumes"),
];

/// Every other command of Docker's that is not here yet.
pub(crate) const REFUSED: &[Refused] = &[
    refused("checkpoint create", &[]),
    refused("checkpoint ls", &["checkpoint list"]),
    refused("checkpoint rm", &["checkpoint remove"]),
    refused("plugin create", &[]),
    refused("plugin disable", &[]),
    refused("plugin enable", &[]),
    refused("plugin inspect", &[]),
    refused("plugin install", &[]),
    refused("plugin ls", &["plugin list"]),
    refused("plugin push", &[]),
    refused("plugin rm", &["plugin remove"]),
    refused("plugin set", &[]),
    refused("plugin upgrade", &[]),
    refused("trust signer add", &[]),
    refused("trust signer remove", &[]),
    refused("volume update", &[]),
    refused("config create", &[]),
    refused("config inspect", &[]),
    refused("config ls", &["config list"]),
    refused("config rm", &["config remove"]),
    refused("node demote", &[]),
    refused("node inspect", &[]),
    refused("node ls", &["node list"]),
    refused("node promote", &[]),
    refused("node ps", &[]),
    refused("node rm", &["node remove"]),
    refused("node update", &[]),
    refused("secret create", &[]),
    refused("secret inspect", &[]),
    refused("secret ls", &["secret list"]),
    refused("secret rm", &["secret remove"]),
    refused("service create", &[]),
    refused("service inspect", &[]),
    refused("service logs", &[]),
    refused("service ls", &["service list"]),
    refused("service ps", &[]),
    refused("service rm", &["service remove"]),
    refused("service rollback", &[]),
    refused("service scale", &[]),
    refused("service update", &[]),
    refused("stack config", &[]),
    refused("stack deploy", &["stack up"]),
    refused("stack ls", &["stack list"]),
    refused("stack ps", &[]),
    refused("stack rm", &["stack remove", "stack down"]),
    refused("stack services", &[]),
    refused("swarm ca", &[]),
    refused("swarm init", &[]),
    refused("swarm join", &[]),
    refused("swarm join-token", &[]),
    refused("swarm leave", &[]),
    refused("swarm unlock", &[]),
    refused("swarm unlock-key", &[]),
    refused("swarm update", &[]),
];
