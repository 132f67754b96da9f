//! The routes, by noun. What is not here yet is listed in `later`.

mod attach;
mod build;
mod buildkit;
mod containers;
mod events;
mod exec;
mod files;
mod images;
mod interface_sysctls;
mod later;
mod logs;
mod networks;
mod old_clients;
mod registries;
mod stats;
mod swarm;
mod system;
mod transfer;
mod volumes;
mod websocket;

use crate::router::Router;

/// All routes; where two patterns match, the first one wins.
pub(crate) fn all() -> Router {
    let mut router = Router::default();
    system::routes(&mut router);
    build::routes(&mut router);
    events::routes(&mut router);
    containers::routes(&mut router);
    attach::routes(&mut router);
    buildkit::routes(&mut router);
    websocket::routes(&mut router);
    exec::routes(&mut router);
    files::routes(&mut router);
    logs::routes(&mut router);
    stats::routes(&mut router);
    registries::routes(&mut router);
    transfer::routes(&mut router);
    images::routes(&mut router);
    volumes::routes(&mut router);
    networks::routes(&mut router);
    swarm::routes(&mut router);
    later::routes(&mut router);
    router
}
