//! Private keys that are encrypted as PKCS#8 (RFC 5958 with PBES2 of RFC 8018), as
//! `openssl pkcs8 -topk8` writes them: a key for AES is made of a passphrase, by PBKDF2
//! or scrypt, and opens the rest.
//!
//! ```text
//! { { PBES2, { { PBKDF2, { salt, rounds, [length], [hash] } }, { AES-CBC, iv } } }, ciphertext }
//! ```

use std::num::NonZeroU32;

use aes::cipher::generic_array::GenericArray;
use aes::cipher::{BlockDecrypt, KeyInit};
use aes::{Aes128, Aes192, Aes256};
use ring::pbkdf2;

use crate::encrypted::derive;

/// The label that openssl writes.
pub(crate) const LABEL: &str = "ENCRYPTED PRIVATE KEY";

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const OBJECT: u8 = 0x06;

// Object identifiers, as they are encoded.
const PBES2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 13];
const PBKDF2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 12];
const SCRYPT: &[u8] = &[0x2b, 6, 1, 4, 1, 0xda, 0x47, 4, 11];
/// And what follows: 2 is AES-128-CBC, 22 AES-192-CBC, 42 AES-256-CBC.
const AES: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1];
/// And what follows: 7 is HMAC with SHA-1, 9 SHA-256, 10 SHA-384, 11 SHA-512.
const HMAC: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 2];

const BLOCK: usize = 16;
/// Rounds that a file may ask for: some seconds.
const MOST_ROUNDS: u64 = 20_000_000;

/// Opens it, to the DER of the key; says why not.
pub(crate) fn open(der: &[u8], passphrase: &str) -> Result<Vec<u8>, String> {
    let ((algorithm, scheme), ciphertext) = parse(der).ok_or_else(damaged)?;
    if algorithm != PBES2 {
        return Err(
            "is encrypted in an old way, not with PBES2: `openssl pkcs8 -topk8` makes \
                    it anew"
                .to_owned(),
        );
    }
    let (kdf, cipher) = pair(scheme).ok_or_else(damaged)?;
    let length = match cipher.0.strip_prefix(AES) {
        Some([2]) => 16,
        Some([22]) => 24,
        Some([42]) => 32,
        _ => return Err("is not encrypted with AES-CBC".to_owned()),
    };
    let key = stretch(kdf, passphrase.as_bytes(), length)?;
    let mut iv = Der(cipher.1);
    let text = iv
        .take(OCTETS)
        .and_then(|iv| <[u8; BLOCK]>::try_from(iv).ok())
        .filter(|_| !ciphertext.is_empty() && ciphertext.len() % BLOCK == 0)
        .map(|iv| decrypt(&key, iv, ciphertext))
        .ok_or_else(damaged)?;
    unpadded(text).ok_or_else(|| "cannot be decrypted: the passphrase is wrong".to_owned())
}

fn damaged() -> String {
    "is damaged".to_owned()
}

/// Its identifier and its parameters.
type Algorithm<'d> = (&'d [u8], &'d [u8]);

/// How it is encrypted, and what is.
fn parse(der: &[u8]) -> Option<(Algorithm<'_>, &[u8])> {
    let mut all = Der(Der(der).take(SEQUENCE)?);
    let algorithm = Der(all.take(SEQUENCE)?).algorithm()?;
    Some((algorithm, all.take(OCTETS)?))
}

/// How the key is made, and what it opens.
fn pair(scheme: &[u8]) -> Option<(Algorithm<'_>, Algorithm<'_>)> {
    let mut both = Der(Der(scheme).take(SEQUENCE)?);
    Some((
        Der(both.take(SEQUENCE)?).algorithm()?,
        Der(both.take(SEQUENCE)?).algorithm()?,
    ))
}

/// A key of so many bytes.
fn stretch(
    (name, parameters): Algorithm<'_>,
    passphrase: &[u8],
    length: usize,
) -> Result<Vec<u8>, String> {
    let mut rest = Der(Der(parameters).take(SEQUENCE).ok_or_else(damaged)?);
    let salt = rest.take(OCTETS).ok_or_else(damaged)?;
    let mut number = || rest.number().ok_or_else(damaged);
    let mut key = vec![0; length];
    match name {
        SCRYPT => derive(
            passphrase,
            salt,
            (number()?, number()?, number()?),
            &mut key,
        )?,
        PBKDF2 => {
            let rounds = number()?;
            let hash = hash(rest)?;
            let rounds = u32::try_from(rounds.min(MOST_ROUNDS + 1)).ok();
            let rounds = rounds.and_then(NonZeroU32::new).ok_or_else(damaged)?;
            if u64::from(rounds.get()) > MOST_ROUNDS {
                return Err("asks for too much: PBKDF2 with that many rounds".to_owned());
            }
            pbkdf2::derive(hash, rounds, salt, passphrase, &mut key);
        }
        _ => return Err("is encrypted with neither PBKDF2 nor scrypt".to_owned()),
    }
    Ok(key)
}

/// The hash of PBKDF2, behind a length that nobody needs: SHA-1 when it is not said.
fn hash(mut rest: Der<'_>) -> Result<pbkdf2::Algorithm, String> {
    let _ = rest.take(INTEGER);
    let named = rest.take(SEQUENCE).and_then(|hash| Der(hash).take(OBJECT));
    Ok(match named.map(|name| name.strip_prefix(HMAC)) {
        None | Some(Some([7])) => pbkdf2::PBKDF2_HMAC_SHA1,
        Some(Some([9])) => pbkdf2::PBKDF2_HMAC_SHA256,
        Some(Some([10])) => pbkdf2::PBKDF2_HMAC_SHA384,
        Some(Some([11])) => pbkdf2::PBKDF2_HMAC_SHA512,
        _ => return Err("is encrypted with an unknown hash".to_owned()),
    })
}

/// The length of `key` is one that AES has.
fn decrypt(key: &[u8], iv: [u8; BLOCK], ciphertext: &[u8]) -> Vec<u8> {
    match key.len() {
        16 => chained(&Aes128::new(GenericArray::from_slice(key)), iv, ciphertext),
        24 => chained(&Aes192::new(GenericArray::from_slice(key)), iv, ciphertext),
        _ => chained(&Aes256::new(GenericArray::from_slice(key)), iv, ciphertext),
    }
}

fn chained<C>(cipher: &C, iv: [u8; BLOCK], ciphertext: &[u8]) -> Vec<u8>
where
    C: BlockDecrypt<BlockSize = aes::cipher::consts::U16>,
{
    let mut plain = Vec::with_capacity(ciphertext.len());
    let mut before: &[u8] = &iv;
    for chunk in ciphertext.chunks_exact(BLOCK) {
        let mut block = GenericArray::clone_from_slice(chunk);
        cipher.decrypt_block(&mut block);
        plain.extend(std::iter::zip(block, before).map(|(byte, mask)| byte ^ mask));
        before = chunk;
    }
    plain
}

/// Without what fills the last block; none when that is not as it should be.
fn unpadded(mut plain: Vec<u8>) -> Option<Vec<u8>> {
    let count = usize::from(*plain.last()?);
    let kept = plain.len().checked_sub(count)?;
    let fits = (1..=BLOCK).contains(&count);
    if !fits || plain[kept..].iter().any(|byte| usize::from(*byte) != count) {
        return None;
    }
    plain.truncate(kept);
    // One wrong passphrase in 256 leaves what looks filled up.
    (plain.first() == Some(&SEQUENCE)).then_some(plain)
}

/// What is left of a sequence in DER.
struct Der<'d>(&'d [u8]);

impl<'d> Der<'d> {
    /// The content of the next element, if it is of this kind.
    fn take(&mut self, tag: u8) -> Option<&'d [u8]> {
        let [found, length, rest @ ..] = self.0 else {
            return None;
        };
        let (length, rest) = match *length {
            short @ 0..=0x7f => (usize::from(short), rest),
            0x81 => (usize::from(*rest.first()?), &rest[1..]),
            0x82 => (
                usize::from(u16::from_be_bytes(*rest.first_chunk()?)),
                &rest[2..],
            ),
            _ => return None,
        };
        if *found != tag || rest.len() < length {
            return None;
        }
        let (content, rest) = rest.split_at(length);
        self.0 = rest;
        Some(content)
    }

    fn algorithm(mut self) -> Option<Algorithm<'d>> {
        Some((self.take(OBJECT)?, self.0))
    }

    fn number(&mut self) -> Option<u64> {
        let bytes = self.take(INTEGER)?;
        let bytes = bytes.strip_prefix(&[0]).unwrap_or(bytes);
        let fold = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        (bytes.len() <= 8).then(|| bytes.iter().fold(0, fold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PrivateKey;

    /// Made by `openssl pkcs8 -topk8` with each of `-v2 aes-256-cbc -iter 2048`,
    /// `-v2 aes-128-cbc -v2prf hmacWithSHA512` and `-scrypt -scrypt_N 1024`.
    const KEYS: [(&str, &str); 3] = [
        (
            "correct horse",
            "MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAi2sDRGZbRMYQICCAAw\n\
             DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEDr7yneiHp2j4kFWzbaT5CsEgZAr\n\
             WcYfxStPifoO5iZHUhC9Amey+aAmg6nIAxernwnkU5I7ozxhvElXg/cRpv8zIRPA\n\
             e0hbB7wmO3bjQrEVq0kfV7lKMKTdtGyc78ErWgSJlmiH3H1wLMA4FOC30pqE5w9l\n\
             BCbrlmgx6ZMkXc5LxBECyfyvjPVm65InVotWOCXkQ06+DnCObYjhecwWxsEMYD8=",
        ),
        (
            "x",
            "MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAjNErYSsqHNhgICA+gw\n\
             DAYIKoZIhvcNAgsFADAdBglghkgBZQMEAQIEEDwAV/bGaL8PvWj3pGi7HWcEgZAW\n\
             y8QlDi7qUyS6ChJOcyU+CaAeuLUp3tNiCTjXO5bDMf4ULIeYst4csNhAuDnlZfmW\n\
             xa/xWe1tAZa8vjIeLBdCgTibMAsTwW1vrxsN3BA40tqGH0akRPnm5HA2jYaGy5ge\n\
             cIAJaPw5ku3EDy0pe9v+LXEifnhIRgTy9jmaJC7MNdHFjwpK4oEjaq54ohJP4+A=",
        ),
        (
            "x",
            "MIHkME8GCSqGSIb3DQEFDTBCMCEGCSsGAQQB2kcECzAUBAhayLdiSp0FKAICBAAC\n\
             AQgCAQEwHQYJYIZIAWUDBAEqBBCSdhpzl9xZuDhhxZnigupSBIGQdU32Yd8pnJro\n\
             9KeRLbpA7j++bLbNxnEITIJUgcM6xx0MhTMy6utTRhcVrijEyZ/7ffH7E+Z/WnxH\n\
             TuK276m1+x2eSRPrH+HeQ3YSuNCdRR4bUWFX+3iommoWOzFJcyvZn3JR1zf+F+T6\n\
             2VBqBFZcr47CFnrppA7pL0dEQdTTvobA9i7QF9T+QyPBOrP0geTu",
        ),
    ];
    const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\n\
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEw0/g2HGXLDdN7lE5DLCiTBSkRepH\n\
        9QPRQMcBg1/aOgk4ktexks6wC5Exx4xqz3Vr9id2WuZm6VlmvnAY7Jy+8w==\n\
        -----END PUBLIC KEY-----\n";

    #[test]
    fn keys_of_openssl_open_with_their_passphrase() {
        for (passphrase, text) in KEYS {
            let pem = format!("-----BEGIN {LABEL}-----\n{text}\n-----END {LABEL}-----\n");
            assert!(PrivateKey::is_encrypted(&pem));
            let key = PrivateKey::from_pem("k", &pem, passphrase).unwrap();
            assert_eq!(key.public().to_pem(), PUBLIC);
            let wrong = PrivateKey::from_pem("k", &pem, "battery").unwrap_err();
            let expected = "k: cannot be decrypted: the passphrase is wrong";
            assert_eq!(wrong.to_string(), expected);
            // Whatever stands there is an error, not a crash.
            let der = crate::key::content(&pem).unwrap();
            for at in 0..der.len().min(90) {
                let mut spoilt = der.clone();
                spoilt[at] ^= 0x80;
                let _ = open(&spoilt, passphrase);
                assert!(open(&der[..at], passphrase).is_err());
            }
        }
    }
}
