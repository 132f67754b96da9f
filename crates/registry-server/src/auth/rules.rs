//! What users may do: everybody who is known pulls and pushes, unless rules say
//! below which names they push; who is not known pulls, if that is allowed.

use super::Who;

/// What is done with a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Pull,
    Push,
    Delete,
    /// Reads the list of all repositories.
    Catalog,
}

impl Action {
    fn word(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Delete => "delete",
            Self::Catalog => "*",
        }
    }
}

/// One thing that a request does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Need {
    pub(crate) action: Action,
    /// The repository; `catalog` for the list of them.
    pub(crate) name: String,
}

impl Need {
    /// As token servers write it.
    pub(crate) fn scope(&self) -> String {
        let actions = match self.action {
            Action::Push => "pull,push",
            other => other.word(),
        };
        format!("{}:{}:{actions}", self.kind(), self.name)
    }

    /// What kind of thing the name is of.
    pub(crate) fn kind(&self) -> &'static str {
        match self.action {
            Action::Catalog => "registry",
            _ => "repository",
        }
    }

    /// Reads `repository:name:pull,push`; unknown words are left out.
    pub(crate) fn parse(scope: &str) -> Vec<Self> {
        let Some((kind, rest)) = scope.split_once(':') else {
            return Vec::new();
        };
        let Some((name, actions)) = rest.rsplit_once(':') else {
            return Vec::new();
        };
        // An old form names a class: `repository(plugin)`.
        let kind = kind.split('(').next().unwrap_or(kind);
        let need = |action| Self {
            action,
            name: name.to_owned(),
        };
        let mut needs = Vec::new();
        for word in actions.split(',') {
            match (kind, word) {
                ("repository", "pull") => needs.push(need(Action::Pull)),
                ("repository", "push") => needs.push(need(Action::Push)),
                ("repository", "delete") => needs.push(need(Action::Delete)),
                ("repository", "*") => {
                    needs.extend([Action::Pull, Action::Push, Action::Delete].map(need));
                }
                ("registry", "*") if name == "catalog" => needs.push(need(Action::Catalog)),
                _ => {}
            }
        }
        needs
    }

    /// Whether who may do this may do `other`.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self == other
    }

    /// The action as tokens write it.
    pub(crate) fn word(&self) -> &'static str {
        self.action.word()
    }
}

/// What users may do.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rules {
    /// Whether pulling needs no password.
    pub(crate) anonymous_pull: bool,
    /// `(user or *, beginning of names)`: where users push.
    pub(crate) push: Vec<(String, String)>,
}

impl Rules {
    /// Whether `who` may do it.
    pub(crate) fn allow(&self, who: &Who, need: &Need) -> bool {
        let Who::User(user) = who else {
            return self.anonymous_pull && matches!(need.action, Action::Pull | Action::Catalog);
        };
        match need.action {
            Action::Pull | Action::Catalog => true,
            Action::Push | Action::Delete => {
                let own = |(name, _): &&(String, String)| name == user;
                let others = |(name, _): &&(String, String)| name == "*";
                let below = |(_, prefix): &(String, String)| begins(&need.name, prefix);
                match self.push.iter().any(|rule| own(&rule)) {
                    true => self.push.iter().filter(own).any(below),
                    false => {
                        let mut general = self.push.iter().filter(others).peekable();
                        general.peek().is_none() || general.any(below)
                    }
                }
            }
        }
    }
}

/// Whether a name is `prefix` or below it.
fn begins(name: &str, prefix: &str) -> bool {
    let prefix = prefix.trim_end_matches('/');
    name.strip_prefix(prefix)
        .is_some_and(|rest| prefix.is_empty() || rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(action: Action, name: &str) -> Need {
        Need {
            action,
            name: name.to_owned(),
        }
    }

    #[test]
    fn scopes_are_read_and_written() {
        let push = need(Action::Push, "a/b");
        assert_eq!(push.scope(), "repository:a/b:pull,push");
        assert_eq!(
            Need::parse("repository:a/b:pull,push,nonsense"),
            [need(Action::Pull, "a/b"), push]
        );
        let catalog = Need::parse("registry:catalog:*");
        assert_eq!(catalog, [need(Action::Catalog, "catalog")]);
        assert_eq!(Need::parse("repository(plugin):a:pull").len(), 1);
        assert!(Need::parse("nonsense").is_empty() && Need::parse("a:b").is_empty());
    }

    #[test]
    fn rules_say_who_pushes_where() {
        let user = |name: &str| Who::User(name.to_owned());
        let open = Rules::default();
        assert!(open.allow(&user("a"), &need(Action::Push, "x")));
        assert!(!open.allow(&Who::Anybody, &need(Action::Pull, "x")));
        let rules = Rules {
            anonymous_pull: true,
            push: vec![
                ("ann".to_owned(), "team/".to_owned()),
                ("root".to_owned(), String::new()),
                ("*".to_owned(), "public".to_owned()),
            ],
        };
        for (who, action, name, allowed) in [
            (Who::Anybody, Action::Pull, "x", true),
            (Who::Anybody, Action::Push, "public/x", false),
            (user("ann"), Action::Push, "team/x", true),
            (user("ann"), Action::Push, "team", true),
            (user("ann"), Action::Push, "teams/x", false),
            (user("ann"), Action::Delete, "public/x", false),
            (user("bob"), Action::Push, "public/x", true),
            (user("bob"), Action::Push, "x", false),
            (user("bob"), Action::Pull, "x", true),
            (user("root"), Action::Delete, "x", true),
        ] {
            assert_eq!(
                rules.allow(&who, &need(action, name)),
                allowed,
                "{who:?} {name}"
            );
        }
    }
}
