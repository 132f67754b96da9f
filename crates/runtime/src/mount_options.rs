//! The options of a mount in a spec: attributes, propagation, and data.

use std::os::raw::c_ulong;

use gantry_sys::MountAttr;

/// Our own mount option: only this part of the source is mounted. It is found
/// below the source, which symbolic links in there cannot leave.
pub const SUBPATH: &str = "x-gantry-subpath=";

/// Our own mount option: the source is `/proc/PID/fd/N`, a mount of [`crate::new_mount`]
/// that is attached nowhere, and is moved to its place. So what stands on devices of the
/// host is made by who may open them, which a container's processes may not.
pub const MADE: &str = "x-gantry-made";

/// A mount's options, read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct MountOptions {
    /// Attributes to set and to clear on the mount itself.
    pub set: MountAttr,
    /// See `set`.
    pub clear: MountAttr,
    /// The same for everything below it (`rro`, `rnosuid`, …).
    pub set_recursive: MountAttr,
    /// See `set_recursive`.
    pub clear_recursive: MountAttr,
    /// What of the source is bound, if this is a bind.
    pub bind: Option<Bind>,
    /// Propagation changes, in order.
    pub propagation: Vec<Propagation>,
    /// `remount`: change the mount that is there.
    pub remount: bool,
    /// `tmpcopyup`: a tmpfs begins with what it covers.
    pub copy_up: bool,
    /// `ridmap`: id mappings are of everything below too. (Whether there are any,
    /// the mount says.)
    pub idmap_recursive: bool,
    /// Options of the file system as a whole.
    pub whole: Vec<&'static str>,
    /// Whether the source is a mount that is attached nowhere.
    pub made: bool,
    /// The part of the source that is mounted, instead of all of it.
    pub subpath: Option<String>,
    /// Options for the file system: `key` or `key=value`.
    pub data: Vec<(String, Option<String>)>,
}

/// How much of a source is bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bind {
    /// The mount alone.
    One,
    /// All mounts below it too.
    Recursive,
}

/// A change of propagation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Propagation {
    /// `MS_SHARED` and so on.
    pub kind: c_ulong,
    /// Of everything below too.
    pub recursive: bool,
}

/// Reads a propagation by name: `rslave`, `private`, …
pub(crate) fn propagation(name: &str) -> Option<Propagation> {
    let (bare, recursive) = match name.strip_prefix('r') {
        Some(bare) => (bare, true),
        None => (name, false),
    };
    let kind = match bare {
        "shared" => libc::MS_SHARED,
        "slave" => libc::MS_SLAVE,
        "private" => libc::MS_PRIVATE,
        "unbindable" => libc::MS_UNBINDABLE,
        _ => return None,
    };
    Some(Propagation { kind, recursive })
}

/// Attribute options: name, attribute, and whether it is set or cleared.
const ATTRIBUTES: [(&str, MountAttr, bool); 16] = [
    ("ro", MountAttr::RDONLY, true),
    ("rw", MountAttr::RDONLY, false),
    ("nosuid", MountAttr::NOSUID, true),
    ("suid", MountAttr::NOSUID, false),
    ("nodev", MountAttr::NODEV, true),
    ("dev", MountAttr::NODEV, false),
    ("noexec", MountAttr::NOEXEC, true),
    ("exec", MountAttr::NOEXEC, false),
    ("noatime", MountAttr::NOATIME, true),
    ("strictatime", MountAttr::STRICTATIME, true),
    ("relatime", MountAttr(0), true),
    ("atime", MountAttr(0), true),
    ("nodiratime", MountAttr::NODIRATIME, true),
    ("diratime", MountAttr::NODIRATIME, false),
    ("nosymfollow", MountAttr::NOSYMFOLLOW, true),
    ("symfollow", MountAttr::NOSYMFOLLOW, false),
];

/// Options of a file system as a whole: a new one is given them. A bind shows one
/// that has its own, and the kernel then passes over them.
const WHOLE: [&str; 4] = ["dirsync", "lazytime", "mand", "sync"];

/// Options that say nothing here. (What `iversion` asks for is each file
/// system's own business by now.)
const IGNORED: [&str; 10] = [
    "iversion",
    "defaults",
    "loud",
    "silent",
    "async",
    "nomand",
    "noiversion",
    "nolazytime",
    "nostrictatime",
    "norelatime",
];

impl MountOptions {
    /// Reads options. What is no known one is for the file system.
    pub(crate) fn parse(options: &[String]) -> Self {
        let mut this = Self::default();
        for option in options {
            this.add(option);
        }
        this
    }

    fn add(&mut self, option: &str) {
        if let Some(change) = propagation(option) {
            self.propagation.push(change);
            return;
        }
        if let Some(subpath) = option.strip_prefix(SUBPATH) {
            self.subpath = Some(subpath.to_owned());
            return;
        }
        match option {
            "bind" => self.bind = self.bind.or(Some(Bind::One)),
            "rbind" => self.bind = Some(Bind::Recursive),
            "remount" => self.remount = true,
            "tmpcopyup" => self.copy_up = true,
            MADE => self.made = true,
            "idmap" => self.idmap_recursive = false,
            "ridmap" => self.idmap_recursive = true,
            "" => {}
            _ if IGNORED.contains(&option) => {}
            _ if self.add_attribute(option) => {}
            _ if WHOLE.contains(&option) => {
                let known = WHOLE.into_iter().filter(|known| *known == option);
                self.whole.extend(known);
            }
            _ => self.data.push(match option.split_once('=') {
                Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
                None => (option.to_owned(), None),
            }),
        }
    }

    /// Whether the option is an attribute; then it is added.
    fn add_attribute(&mut self, option: &str) -> bool {
        let find = |name: &str| ATTRIBUTES.iter().find(|(known, ..)| *known == name);
        // "ro" is itself, "rro" is recursive; "relatime" is not "elatime".
        let (entry, recursive) = match (find(option), option.strip_prefix('r').and_then(find)) {
            (Some(entry), _) => (entry, false),
            (None, Some(entry)) => (entry, true),
            (None, None) => return false,
        };
        let (name, attribute, is_set) = *entry;
        let (set, clear) = if recursive {
            (&mut self.set_recursive, &mut self.clear_recursive)
        } else {
            (&mut self.set, &mut self.clear)
        };
        if name.ends_with("atime") && !name.ends_with("diratime") {
            *set = set.without(MountAttr::ATIME_MASK).with(attribute);
            *clear = clear.with(MountAttr::ATIME_MASK);
        } else if is_set {
            *set = set.with(attribute);
            *clear = clear.without(attribute);
        } else {
            *clear = clear.with(attribute);
            *set = set.without(attribute);
        }
        true
    }

    /// The flags of mount(2) that say the same, by name, as runc lists them.
    pub(crate) fn flag_names(&self, bind: bool) -> String {
        let has =
            |attribute: MountAttr| !attribute.is_empty() && self.set.with(attribute) == self.set;
        let mut names = Vec::new();
        for (name, attribute) in [
            ("MS_RDONLY", MountAttr::RDONLY),
            ("MS_NOSUID", MountAttr::NOSUID),
            ("MS_NODEV", MountAttr::NODEV),
            ("MS_NOEXEC", MountAttr::NOEXEC),
        ] {
            names.extend(has(attribute).then_some(name));
        }
        names.extend(self.remount.then_some("MS_REMOUNT"));
        if bind {
            names.push("MS_BIND");
            names.extend((self.bind == Some(Bind::Recursive)).then_some("MS_REC"));
        }
        names.join("|")
    }

    /// The value of a data option.
    pub(crate) fn value(&self, key: &str) -> Option<&str> {
        let found = self.data.iter().rev().find(|(known, _)| known == key)?;
        found.1.as_deref()
    }
}

/// The names of all options that mean something here, for `features`.
pub(crate) fn known_names() -> Vec<String> {
    let mut names: Vec<String> = ["bind", "rbind", "idmap", "ridmap", "remount", "tmpcopyup"]
        .iter()
        .map(ToString::to_string)
        .collect();
    names.extend(WHOLE.iter().chain(&IGNORED).map(ToString::to_string));
    for kind in ["shared", "slave", "private", "unbindable"] {
        names.extend([kind.to_owned(), format!("r{kind}")]);
    }
    for (name, ..) in ATTRIBUTES {
        names.extend([name.to_owned(), format!("r{name}")]);
    }
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> MountOptions {
        let list: Vec<String> = text.split(',').map(str::to_owned).collect();
        MountOptions::parse(&list)
    }

    #[test]
    fn attributes_and_data_are_told_apart() {
        let o = parse("nosuid,strictatime,mode=755,size=65536k,newinstance");
        assert_eq!(o.set, MountAttr::NOSUID.with(MountAttr::STRICTATIME));
        assert_eq!(o.clear, MountAttr::ATIME_MASK);
        assert_eq!(o.value("size"), Some("65536k"));
        assert_eq!(o.data[2], ("newinstance".to_owned(), None));
    }

    #[test]
    fn flags_have_names() {
        assert_eq!(
            parse("rbind,ro").flag_names(true),
            "MS_RDONLY|MS_BIND|MS_REC"
        );
        assert_eq!(parse("nosuid,mode=1").flag_names(false), "MS_NOSUID");
        assert_eq!(parse("bind").flag_names(true), "MS_BIND");
    }

    #[test]
    fn the_whole_file_system_has_options_too() {
        let o = parse("sync,dirsync,async,iversion,defaults");
        assert_eq!(o.whole, ["sync", "dirsync"]);
        assert!(o.data.is_empty());
    }

    #[test]
    fn the_last_word_counts() {
        assert_eq!(parse("ro,rw").set, MountAttr::default());
        assert_eq!(parse("ro,rw").clear, MountAttr::RDONLY);
        assert_eq!(parse("rw,ro").set, MountAttr::RDONLY);
        assert_eq!(parse("noatime,relatime").set, MountAttr::default());
    }

    #[test]
    fn a_part_of_a_source_is_no_option_of_the_file_system() {
        let o = parse("rbind,x-gantry-subpath=a/b=c");
        assert_eq!(o.subpath.as_deref(), Some("a/b=c"));
        assert!(o.data.is_empty());
    }

    #[test]
    fn recursive_ones_and_binds() {
        let o = parse("rbind,rro,rprivate,nodev");
        assert_eq!(o.bind, Some(Bind::Recursive));
        assert_eq!(o.set_recursive, MountAttr::RDONLY);
        assert_eq!(o.set, MountAttr::NODEV);
        assert!(o.propagation[0].recursive);
        assert_eq!(o.propagation[0].kind, libc::MS_PRIVATE);
        assert_eq!(parse("relatime").set_recursive, MountAttr::default());
        assert_eq!(parse("bind,rbind").bind, Some(Bind::Recursive));
    }

    #[test]
    fn id_mappings_are_of_one_mount_or_of_all_below() {
        assert!(!parse("bind,idmap").idmap_recursive);
        assert!(parse("rbind,ridmap").idmap_recursive);
    }
}
