//! Packs of honest servers, and of others.

use super::*;
use crate::testing::{Packed, deflated, id_of};

fn file(bytes: &[u8]) -> File {
    let file = tempfile::tempfile().unwrap();
    file.write_all_at(bytes, 0).unwrap();
    file
}

fn open(bytes: &[u8]) -> Result<Pack> {
    Pack::open(file(bytes), &Cancel::new())
}

/// A delta that adds one byte to `base`.
fn delta(base: &[u8], byte: u8) -> Vec<u8> {
    let length = u8::try_from(base.len()).unwrap();
    vec![length, length + 1, 0x90, length, 1, byte]
}

#[test]
fn deltas_are_resolved_in_any_order() {
    let mut packed = Packed::default();
    let (one, two, three) = (b"abc".to_vec(), b"abcd".to_vec(), b"abcde".to_vec());
    // By name, before what it stands on.
    let late = delta(&two, b'e');
    packed.raw(
        7,
        late.len(),
        id_of("blob", &two).as_bytes(),
        &deflated(&late),
    );
    let base = 12 + packed.body.len();
    packed.object("blob", &one);
    let here = 12 + packed.body.len();
    let early = delta(&one, b'd');
    let back = u8::try_from(here - base).unwrap();
    packed.raw(6, early.len(), &[back], &deflated(&early));
    let large = vec![7; 200_000];
    packed.object("blob", &large);
    let mut pack = open(&packed.bytes()).unwrap();
    for bytes in [&one, &two, &three, &large] {
        let id = id_of("blob", bytes);
        assert_eq!(pack.kind(id), Some(Kind::Blob));
        let mut found = Vec::new();
        pack.blob(id, &mut |piece| {
            found.extend_from_slice(piece);
            Ok(())
        })
        .unwrap();
        assert!(found == *bytes);
    }
    assert!(pack.read(id_of("blob", &large), Kind::Blob, 1000).is_err());
    assert!(pack.read(id_of("blob", &one), Kind::Tree, 1000).is_err());
    assert_eq!(read_all(file(&packed.bytes())).unwrap(), 4);
}

#[test]
fn what_is_no_honest_pack_is_refused() {
    let whole = {
        let mut packed = Packed::default();
        packed.object("blob", b"hello");
        packed.bytes()
    };
    assert!(open(&whole).is_ok());
    for cut in 0..whole.len() {
        assert!(open(&whole[..cut]).is_err(), "{cut}");
    }
    let refused = |what: &str, make: &dyn Fn(&mut Packed)| {
        let mut packed = Packed::default();
        make(&mut packed);
        let error = open(&packed.bytes()).err().unwrap().to_string();
        assert!(error.contains(what), "{error}");
    };
    refused("longer", &|packed| {
        packed.raw(3, 4, &[], &deflated(b"hello"));
    });
    refused("shorter", &|packed| {
        packed.raw(3, 6, &[], &deflated(b"hello"));
    });
    refused("too large", &|packed| {
        packed.raw(3, 1 << 40, &[], &deflated(b"hello"));
    });
    refused("kind 5", &|packed| {
        packed.raw(5, 5, &[], &deflated(b"hello"));
    });
    refused("cut off", &|packed| packed.count += 1);
    refused("behind", &|packed| packed.body.push(0));
    refused("too many", &|packed| packed.count = u32::MAX);
    let own = |packed: &mut Packed, code, before: &[u8]| {
        let delta = delta(b"x", b'y');
        packed.raw(code, delta.len(), before, &deflated(&delta));
    };
    refused("stands on nothing", &|packed| own(packed, 6, &[0]));
    refused("stands on nothing", &|packed| own(packed, 6, &[11]));
    refused("stands on nothing", &|packed| own(packed, 6, &[0xff; 11]));
    refused("did not come", &|packed| own(packed, 7, &[9; 20]));
}

#[test]
fn deltas_that_make_much_of_little_are_bounded() {
    let mut packed = Packed::default();
    let base = vec![0; 1 << 16];
    packed.object("blob", &base);
    // Announces 2^40 bytes, copies the same again and again.
    let mut bomb = vec![0x80, 0x80, 0x04, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20];
    bomb.extend(std::iter::repeat_n(0x80, 10_000));
    let back = packed.body.len();
    packed.raw(
        6,
        bomb.len(),
        &[u8::try_from(back).unwrap_or(0x7f)],
        &deflated(&bomb),
    );
    let error = open(&packed.bytes()).err().unwrap().to_string();
    assert!(
        error.contains("bytes in a delta") || error.contains("nothing"),
        "{error}"
    );
}
