//! Property: tar → layer → tar gives the same entries, and again the same bytes.

use std::collections::BTreeMap;

use gantry_archive::tar::{Entry, Kind, Timestamp};
use gantry_archive::{PackOptions, Whiteouts};
use proptest::prelude::*;

use crate::support::*;

/// A tree as a flat list, so that shrinking is simple.
type Model = BTreeMap<Vec<u8>, (Entry, Vec<u8>)>;

fn name() -> impl Strategy<Value = Vec<u8>> {
    let byte = any::<u8>().prop_filter("no name has it", |byte| *byte != 0 && *byte != b'/');
    let any_bytes = proptest::collection::vec(byte, 1..40);
    prop_oneof![
        4 => "[a-e]{1,2}".prop_map(String::into_bytes),
        1 => any_bytes,
        1 => "[x-z]{150,255}".prop_map(String::into_bytes),
    ]
    .prop_filter("has a meaning of its own", |name| {
        name != b"." && name != b".." && !name.starts_with(b".wh.")
    })
}

fn time() -> impl Strategy<Value = Timestamp> {
    (-2_000_000_000i64..15_000_000_000, 0u32..1_000_000_000).prop_map(|(seconds, nanoseconds)| {
        Timestamp {
            seconds,
            nanoseconds,
        }
    })
}

fn attributes() -> impl Strategy<Value = BTreeMap<Vec<u8>, Vec<u8>>> {
    let key = prop_oneof![
        "user\\.[a-z]{1,8}".prop_map(String::into_bytes),
        "trusted\\.[a-n]{1,8}".prop_map(String::into_bytes),
    ];
    let value = proptest::collection::vec(any::<u8>(), 0..40);
    proptest::collection::btree_map(key, value, 0..3)
}

fn node() -> impl Strategy<Value = (Entry, Vec<u8>)> {
    let kind = prop_oneof![
        3 => Just(Kind::File),
        3 => Just(Kind::Directory),
        1 => Just(Kind::Symlink),
        1 => Just(Kind::HardLink),
        1 => Just(Kind::CharDevice),
        1 => Just(Kind::BlockDevice),
        1 => Just(Kind::Fifo),
    ];
    let data = proptest::collection::vec(any::<u8>(), 0..1500);
    let device = (1u32..4096, 0u32..(1 << 20));
    (
        kind,
        0u32..0o10000,
        any::<(u32, u32)>(),
        time(),
        attributes(),
        data,
        name(),
        device,
    )
        .prop_map(
            |(kind, mode, (uid, gid), mtime, xattrs, data, target, device)| {
                let mut entry = Entry::new("", kind);
                entry.mode = mode;
                entry.uid = uid % (u32::MAX - 1);
                entry.gid = gid % (u32::MAX - 1);
                entry.mtime = mtime;
                match kind {
                    Kind::File | Kind::Directory => entry.xattrs = xattrs,
                    Kind::Symlink => {
                        entry.link = target;
                        entry.mode = 0o777;
                    }
                    Kind::CharDevice | Kind::BlockDevice => entry.device = device,
                    _ => {}
                }
                let data = if kind == Kind::File { data } else { Vec::new() };
                entry.size = data.len() as u64;
                (entry, data)
            },
        )
}

/// Puts nodes into a tree: each goes into one of the directories before it.
fn model() -> impl Strategy<Value = Model> {
    let seeds = proptest::collection::vec((node(), name(), any::<prop::sample::Index>()), 0..25);
    seeds.prop_map(|seeds| {
        let mut model = Model::new();
        let mut directories = vec![Vec::new()];
        for ((entry, data), name, place) in seeds {
            let mut path: Vec<u8> = place.get(&directories).clone();
            path.extend_from_slice(&name);
            if path.len() > 3000 || model.contains_key(&path) {
                continue;
            }
            if entry.kind == Kind::Directory {
                let mut inside = path.clone();
                inside.push(b'/');
                directories.push(inside);
            }
            model.insert(path, (entry, data));
        }
        resolve_links(model)
    })
}

/// Gives each path to its entry; a hard link becomes one to the first file
/// before it in the order of the archive, or goes.
fn resolve_links(model: Model) -> Model {
    let mut sorted: Vec<_> = model.into_iter().collect();
    sorted
        .sort_by(|(one, _), (other, _)| one.split(|b| *b == b'/').cmp(other.split(|b| *b == b'/')));
    let mut first_file = None;
    let mut resolved = Model::new();
    for (path, (mut entry, data)) in sorted {
        entry.path.clone_from(&path);
        match entry.kind {
            Kind::Directory => entry.path.push(b'/'),
            Kind::File if first_file.is_none() => first_file = Some(entry.clone()),
            Kind::HardLink => {
                let Some(first) = &first_file else { continue };
                entry.link.clone_from(&first.path);
                entry.mode = first.mode;
                entry.uid = first.uid;
                entry.gid = first.gid;
                entry.mtime = first.mtime;
            }
            _ => {}
        }
        resolved.insert(path, (entry, data));
    }
    resolved
}

fn in_order(model: &Model) -> Vec<(Entry, Vec<u8>)> {
    let mut entries: Vec<_> = model.iter().collect();
    entries
        .sort_by(|(one, _), (other, _)| one.split(|b| *b == b'/').cmp(other.split(|b| *b == b'/')));
    entries.into_iter().map(|(_, node)| node.clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 150,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_tree_survives(model in model(), sparse in any::<bool>()) {
        if is_root() {
            let entries = in_order(&model);
            let bytes = archive(&entries);
            prop_assert_eq!(&parse(&bytes), &entries);
            let target = Target::new();
            let applied = target.apply(&bytes, Whiteouts::Overlay).unwrap();
            prop_assert_eq!(applied.entries, entries.len() as u64);
            let mut options = PackOptions::new(Whiteouts::Overlay);
            options.sparse = sparse;
            let packed = target.pack(&options);
            if !sparse {
                prop_assert_eq!(&parse(&packed), &entries);
                prop_assert_eq!(&packed, &bytes);
            }
            let second = Target::new();
            second.apply(&packed, Whiteouts::Remove).unwrap();
            prop_assert_eq!(second.pack(&options), packed);
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..3000),
        model in model(),
        places in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        reseal in any::<bool>(),
    ) {
        let mut reader = gantry_archive::tar::Reader::new(bytes.as_slice());
        while let Ok(Some(_)) = reader.next_entry() {}
        bytes = archive(&in_order(&model));
        for (place, byte) in &places {
            let place = place.index(bytes.len());
            bytes[place] = *byte;
            if reseal {
                let block = place / 512 * 512;
                seal(&mut bytes[block..block + 512]);
            }
        }
        let mut reader = gantry_archive::tar::Reader::new(bytes.as_slice());
        while let Ok(Some(_)) = reader.next_entry() {}
        if is_root() {
            // Whatever it says, nothing outside is touched.
            let target = Target::new();
            let _ = target.apply(&bytes, Whiteouts::Remove);
        }
    }
}

fn seal(header: &mut [u8]) {
    header[148..156].fill(b' ');
    let sum: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
}
