//! Compressed streams: recognised by their first bytes, decoded within limits.
//!
//! Invariant: a [`Decoder`] never hands out more than its [`Limits`] allow,
//! whatever the stream claims.

mod decode;
mod encode;
mod tee;

pub use decode::Decoder;
pub use encode::Encoder;
pub use tee::Tee;

/// A compression format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not compressed.
    None,
    /// gzip (RFC 1952), one or more members.
    Gzip,
    /// bzip2, one or more streams.
    Bzip2,
    /// xz, one or more streams.
    Xz,
    /// Zstandard (RFC 8878), one or more frames.
    Zstd,
}

impl Compression {
    /// How many first bytes [`Compression::detect`] looks at.
    pub const MAGIC_LENGTH: usize = 6;

    /// The format of a stream that begins with `head`.
    pub fn detect(head: &[u8]) -> Self {
        const SKIPPABLE: [u8; 3] = [0x2a, 0x4d, 0x18];
        match head {
            [0x1f, 0x8b, 0x08, ..] => Self::Gzip,
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Self::Bzip2,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            // A skippable frame may come first (RFC 8878, 3.1.2).
            [0x50..=0x5f, rest @ ..] if rest.starts_with(&SKIPPABLE) => Self::Zstd,
            _ => Self::None,
        }
    }

    /// The format's name, as in error messages and media types.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "uncompressed",
            Self::Gzip => "gzip",
            Self::Bzip2 => "bzip2",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
        }
    }
}

/// How much a compressed stream may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most decompressed bytes.
    pub bytes: u64,
    /// Most decompressed bytes for each compressed one, looked at once
    /// [`Limits::RATIO_FROM`] bytes have come out. Honest layers with sparse
    /// files reach thousands, so there is no limit by default.
    pub ratio: Option<u64>,
    /// Most decompressed bytes that a stream may refer back to, and that a decoder
    /// keeps in memory for that: the window of zstd, the dictionary of xz.
    pub window: u64,
}

impl Limits {
    /// Up to this many decompressed bytes any ratio is fine.
    pub const RATIO_FROM: u64 = 64 << 20;

    /// What every decoder of zstd on the web must take, and none more (RFC 9659), and
    /// what `zstd -19` and `xz -6` need at most: for layers, of which several are
    /// unpacked at a time, made by anybody.
    pub const LAYER_WINDOW: u64 = 8 << 20;

    /// No limit of what comes out.
    pub const UNLIMITED: Self = Self {
        bytes: u64::MAX,
        ratio: None,
        window: 128 << 20,
    };
}

impl Default for Limits {
    /// One tebibyte, any ratio, and the windows that the usual programs can ask for.
    fn default() -> Self {
        Self {
            bytes: 1 << 40,
            ..Self::UNLIMITED
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_recognised_by_their_first_bytes() {
        for (head, format) in [
            (&b"\x1f\x8b\x08\x00"[..], Compression::Gzip),
            (b"BZh91AY", Compression::Bzip2),
            (b"BZh0", Compression::None),
            (b"\xfd7zXZ\0", Compression::Xz),
            (b"\x28\xb5\x2f\xfd\x04", Compression::Zstd),
            (b"\x53\x2a\x4d\x18\x04", Compression::Zstd),
            (b"bin/\0\0", Compression::None),
            (b"", Compression::None),
            (b"\x1f", Compression::None),
        ] {
            assert_eq!(Compression::detect(head), format, "{head:?}");
        }
    }
}
