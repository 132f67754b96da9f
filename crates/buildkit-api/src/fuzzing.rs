//! The doors of the fuzz targets: what is read of a client's messages before anybody
//! else sees it, and a client's files made from what it says of them.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;

use crate::files::Packet;
use crate::frontend::Options;
use crate::wire::{Field, fields};

/// How deep messages lie in each other.
const DEPTH: u32 = 8;

/// Reads bytes as every kind of message.
pub fn read_message(bytes: &[u8]) {
    let _ = Packet::decode(&Bytes::copy_from_slice(bytes));
    let _ = crate::links::read(bytes);
    let mut options = BTreeMap::new();
    descend(bytes, DEPTH, &mut options);
    let _ = Options::of(&options);
}

fn descend(bytes: &[u8], depth: u32, options: &mut BTreeMap<String, String>) {
    let mut seen = 0;
    for field in fields(bytes) {
        let Ok(field) = field else { return };
        seen += 1;
        assert!(seen <= bytes.len(), "more fields than bytes");
        every(&field, options);
        if let (Ok(inner), 1..) = (field.bytes(), depth) {
            descend(inner, depth - 1, options);
        }
    }
}

fn every(field: &Field<'_>, options: &mut BTreeMap<String, String>) {
    let _ = (field.text(), field.number(), field.signed(), field.flag());
    let _ = (field.entry(), field.add_to(options));
}

/// Makes the files below `directory` what a client says that they are; each piece of
/// the bytes, whose length comes first, is a packet about a file, with its contents.
pub fn receive_files(mut bytes: &[u8], directory: &Path) {
    let mut told = Vec::new();
    while let Some((&length, rest)) = bytes.split_first() {
        let (packet, rest) = rest.split_at(usize::from(length).min(rest.len()));
        bytes = rest;
        let Ok(packet) = Packet::decode(&Bytes::copy_from_slice(packet)) else {
            break;
        };
        let Some(stat) = packet.stat else { break };
        told.push((stat, packet.data));
    }
    crate::files::replay(directory, told);
}
