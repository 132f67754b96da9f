//! From method and path to the handler. A pattern is a path whose `{name}`
//! stands for one segment, and `{name..}` for one or more (image names have
//! slashes that clients do not escape). The first pattern that matches wins.

use std::pin::Pin;

use http::Method;

use crate::body::Answer;
use crate::call::Call;
use crate::error::Result;

type Running = Pin<Box<dyn Future<Output = Result<Answer>> + Send>>;
type Handler = Box<dyn Fn(Call) -> Running + Send + Sync>;

/// All routes.
#[derive(Default)]
pub(crate) struct Router {
    routes: Vec<Route>,
}

struct Route {
    method: Method,
    pattern: Vec<Segment>,
    handler: Handler,
}

#[derive(Debug, PartialEq, Eq)]
enum Segment {
    Literal(&'static str),
    One(&'static str),
    Many(&'static str),
}

/// What the placeholders of a pattern stand for.
pub(crate) type Params = Vec<(&'static str, String)>;

impl Router {
    /// Adds a route after those that are there.
    pub(crate) fn add<F>(
        &mut self,
        method: Method,
        pattern: &'static str,
        handler: impl Fn(Call) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = Result<Answer>> + Send + 'static,
    {
        self.routes.push(Route {
            method,
            pattern: compile(pattern),
            handler: Box::new(move |call| Box::pin(handler(call))),
        });
    }

    /// The handler for a request, and its parameters.
    pub(crate) fn find(&self, method: &Method, path: &str) -> Option<(&Handler, Params)> {
        let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        self.routes
            .iter()
            .filter(|route| route.method == *method)
            .find_map(|route| {
                let params = matches(&route.pattern, &segments)?;
                Some((&route.handler, params))
            })
    }
}

fn compile(pattern: &'static str) -> Vec<Segment> {
    let pattern = pattern.strip_prefix('/').unwrap_or(pattern);
    let segment = |text: &'static str| {
        let name = text.strip_prefix('{').and_then(|t| t.strip_suffix('}'));
        match name.map(|name| (name, name.strip_suffix(".."))) {
            None => Segment::Literal(text),
            Some((_, Some(name))) => Segment::Many(name),
            Some((name, None)) => Segment::One(name),
        }
    };
    pattern.split('/').map(segment).collect()
}

/// Matches segments; there is at most one `Many` in a pattern, so that it takes
/// all that the others leave.
fn matches(pattern: &[Segment], path: &[&str]) -> Option<Params> {
    let mut params = Params::new();
    let mut at = 0;
    for (index, segment) in pattern.iter().enumerate() {
        let after = pattern.len() - index - 1;
        let here = path.get(at)?;
        match segment {
            Segment::Literal(text) if text == here => {}
            Segment::One(name) if !here.is_empty() => params.push((name, (*here).to_owned())),
            Segment::Many(name) if !here.is_empty() => {
                let end = path.len().checked_sub(after).filter(|end| *end > at)?;
                params.push((name, path[at..end].join("/")));
                at = end - 1;
            }
            _ => return None,
        }
        at += 1;
    }
    (at == path.len()).then_some(params)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(pattern: &'static str, path: &str) -> Option<Params> {
        let segments: Vec<&str> = path[1..].split('/').collect();
        matches(&compile(pattern), &segments)
    }

    #[test]
    fn names_may_have_slashes() {
        let found = params("/images/{name..}/json", "/images/a.io:5000/b/c:d/json").unwrap();
        assert_eq!(found, [("name", "a.io:5000/b/c:d".to_owned())]);
        let found = params("/images/{name..}", "/images/json/json").unwrap();
        assert_eq!(found, [("name", "json/json".to_owned())]);
        assert!(params("/images/{name..}/json", "/images/json").is_none());
        assert!(params("/images/{name..}/json", "/images//json").is_none());
    }

    #[test]
    fn other_paths_do_not_match() {
        assert!(params("/containers/{id}/json", "/containers/x/json").is_some());
        for path in [
            "/containers//json",
            "/containers/x/y/json",
            "/containers/x/json/",
            "/containers/x",
            "/",
        ] {
            assert!(params("/containers/{id}/json", path).is_none(), "{path}");
        }
    }
}
