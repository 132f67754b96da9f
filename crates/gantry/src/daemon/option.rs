//! One option of the daemon: its names, what its values look like, and whether it
//! does anything.

/// What the values of an option look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `true` or `false`.
    Switch,
    /// A word.
    Text,
    /// A whole number.
    Number,
    /// May be repeated; a JSON array of words.
    List,
    /// `key=value`, may be repeated; a JSON object of words.
    Pairs,
    /// `name=soft[:hard]`, may be repeated; a JSON object of objects.
    Ulimits,
    /// `base=CIDR,size=BITS`, may be repeated; a JSON array of objects.
    Pools,
    /// `driver=key=value`, may be repeated; a JSON object of objects of words.
    NetworkOptions,
    /// Any JSON; in the file only.
    Any,
}

/// Whether an option does anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Support {
    /// It works.
    Yes,
    /// This value is what happens anyway; any other one is refused.
    Only(&'static str),
    /// Refused by name.
    No,
}

/// One option.
#[derive(Debug)]
pub(super) struct Opt {
    /// The name after `--`; empty for keys of the file that are no flag.
    pub(super) flag: &'static str,
    /// The letter after `-`.
    pub(super) short: Option<char>,
    /// The name in `daemon.json`; empty for flags that are no key of the file.
    pub(super) key: &'static str,
    pub(super) kind: Kind,
    pub(super) support: Support,
    pub(super) help: &'static str,
}

pub(super) const fn opt(
    flag: &'static str,
    key: &'static str,
    kind: Kind,
    support: Support,
    help: &'static str,
) -> Opt {
    Opt {
        flag,
        short: None,
        key,
        kind,
        support,
        help,
    }
}

pub(super) const fn with_short(short: char, option: Opt) -> Opt {
    Opt {
        short: Some(short),
        ..option
    }
}

/// An option whose flag and key have the same name.
pub(super) const fn both(
    name: &'static str,
    kind: Kind,
    support: Support,
    help: &'static str,
) -> Opt {
    opt(name, name, kind, support, help)
}

/// An option of Docker's that does nothing here yet.
pub(super) const fn not_yet(flag: &'static str, key: &'static str, kind: Kind) -> Opt {
    opt(flag, key, kind, Support::No, "")
}

impl Opt {
    /// What the option is called where it has only one name.
    pub(super) fn name(&self) -> &'static str {
        if self.flag.is_empty() {
            self.key
        } else {
            self.flag
        }
    }

    /// Refuses what the option cannot do.
    ///
    /// # Errors
    /// Names the option, as `called` (`--flag` or a key of the file).
    pub(super) fn check(&self, called: &str, value: &serde_json::Value) -> Result<(), String> {
        let written = match value {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        match self.support {
            Support::Yes => Ok(()),
            Support::Only(only) if written == only => Ok(()),
            Support::Only(only) => Err(format!(
                "option {called} is not supported yet with any value but {only:?}"
            )),
            Support::No => Err(format!("option {called} is not supported yet")),
        }
    }
}
