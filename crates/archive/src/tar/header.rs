//! One header block, as it lies in the archive.
//!
//! ```text
//! offset  0 name 100 | 100 mode 8 | 108 uid 8 | 116 gid 8 | 124 size 12 | 136 mtime 12
//!       148 checksum 8 | 156 type 1 | 157 link 100 | 257 magic 6, version 2
//!       265 uname 32 | 297 gname 32 | 329 major 8 | 337 minor 8
//!       345 ustar: prefix 155        GNU: atime 12, ctime 12, …, 386 sparse map 4×24,
//!                                         482 extended 1, 483 real size 12
//!       345 star: prefix 131, …, 508 "tar\0"
//! ```

use super::{BLOCK, number};

/// Which dialect a header is written in, as far as fields differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    V7,
    Ustar,
    Star,
    Gnu,
}

/// A header block whose checksum is right.
pub(super) struct Header<'b>(&'b [u8; BLOCK]);

impl<'b> Header<'b> {
    /// The header in `block`, or `None` if the checksum is wrong.
    pub(super) fn parse(block: &'b [u8; BLOCK]) -> Option<Self> {
        let stored = number::parse_field(&block[148..156])?;
        let (mut unsigned, mut signed) = (0i64, 0i64);
        for (place, byte) in block.iter().enumerate() {
            let byte = if (148..156).contains(&place) {
                b' '
            } else {
                *byte
            };
            unsigned += i64::from(byte);
            // Some old systems summed signed characters.
            signed += i64::from(byte.cast_signed());
        }
        (stored == unsigned || stored == signed).then_some(Self(block))
    }

    pub(super) fn dialect(&self) -> Dialect {
        match (&self.0[257..263], &self.0[263..265]) {
            (b"ustar\0", _) if &self.0[508..512] == b"tar\0" => Dialect::Star,
            (b"ustar\0", _) => Dialect::Ustar,
            (b"ustar ", b" \0") => Dialect::Gnu,
            _ => Dialect::V7,
        }
    }

    pub(super) fn type_flag(&self) -> u8 {
        self.0[156]
    }

    /// The whole name, prefix included.
    pub(super) fn name(&self) -> Vec<u8> {
        let name = until_nul(&self.0[0..100]);
        let prefix = match self.dialect() {
            Dialect::Ustar => until_nul(&self.0[345..500]),
            Dialect::Star => until_nul(&self.0[345..476]),
            Dialect::V7 | Dialect::Gnu => &[],
        };
        if prefix.is_empty() {
            name.to_vec()
        } else {
            [prefix, b"/", name].concat()
        }
    }

    pub(super) fn link(&self) -> Vec<u8> {
        until_nul(&self.0[157..257]).to_vec()
    }

    pub(super) fn mode(&self) -> Option<i64> {
        number::parse_field(&self.0[100..108])
    }

    pub(super) fn uid(&self) -> Option<i64> {
        number::parse_field(&self.0[108..116])
    }

    pub(super) fn gid(&self) -> Option<i64> {
        number::parse_field(&self.0[116..124])
    }

    pub(super) fn size(&self) -> Option<i64> {
        number::parse_field(&self.0[124..136])
    }

    pub(super) fn mtime(&self) -> Option<i64> {
        number::parse_field(&self.0[136..148])
    }

    /// Major and minor number, which v7 does not have.
    pub(super) fn device(&self) -> Option<(i64, i64)> {
        if self.dialect() == Dialect::V7 {
            return None;
        }
        let major = number::parse_field(&self.0[329..337])?;
        let minor = number::parse_field(&self.0[337..345])?;
        Some((major, minor))
    }

    /// The first four places of GNU's old sparse map, and whether blocks with
    /// more of them follow.
    pub(super) fn gnu_sparse_map(&self) -> (&'b [u8], bool) {
        (&self.0[386..482], self.0[482] != 0)
    }

    /// The size with holes of a file in GNU's old sparse format.
    pub(super) fn gnu_real_size(&self) -> Option<i64> {
        number::parse_field(&self.0[483..495])
    }
}

/// The bytes before the first NUL.
fn until_nul(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|byte| *byte == 0);
    &field[..end.unwrap_or(field.len())]
}
