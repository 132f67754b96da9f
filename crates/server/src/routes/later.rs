//! Routes of the Engine API that this version does not serve yet: each answers
//! 501 and names itself, so that nobody has to guess.

use gantry_types::ErrorKind;
use http::Method;

use crate::error::Failure;
use crate::router::Router;

const ROUTES: &[(Method, &str)] = &[
    (Method::GET, "/containers/{id}/checkpoints"),
    (Method::POST, "/containers/{id}/checkpoints"),
    (Method::DELETE, "/containers/{id}/checkpoints/{checkpoint}"),
    (Method::GET, "/debug/vars"),
    (Method::GET, "/debug/pprof/"),
    (Method::GET, "/debug/pprof/{name}"),
    (Method::GET, "/plugins/privileges"),
    (Method::POST, "/plugins/pull"),
    (Method::POST, "/plugins/create"),
    (Method::GET, "/plugins/{name..}/json"),
    (Method::POST, "/plugins/{name..}/enable"),
    (Method::POST, "/plugins/{name..}/disable"),
    (Method::POST, "/plugins/{name..}/upgrade"),
    (Method::POST, "/plugins/{name..}/push"),
    (Method::POST, "/plugins/{name..}/set"),
    (Method::DELETE, "/plugins/{name..}"),
    (Method::POST, "/swarm/init"),
    (Method::POST, "/swarm/join"),
];

pub(super) fn routes(router: &mut Router) {
    for (method, pattern) in ROUTES {
        router.add(method.clone(), pattern, move |_| async move {
            let route = pattern.replace("..}", "}");
            let text = format!("{method} {route} is not supported yet by this version of gantry");
            Err(Failure::new(ErrorKind::Unsupported, text))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::all;
    use http::Method;

    /// Every route of the Engine API, as Docker's documents list them.
    const TABLE: &str = include_str!("../../tests/api.tsv");

    #[test]
    fn every_route_of_the_api_is_known() {
        let router = all();
        let missing: Vec<String> = TABLE
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .filter(|(method, path)| {
                let method: Method = method.parse().unwrap();
                let path = path.replace(['{', '}'], "");
                router.find(&method, &path).is_none()
            })
            .map(|(method, path)| format!("{method} {path}"))
            .collect();
        assert_eq!(missing, [""; 0]);
    }
}
