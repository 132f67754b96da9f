//! cosign's encrypted private keys: a JSON document in PEM that says how a key is made of
//! a passphrase (scrypt), and holds the PKCS#8 key in a box (NaCl's secretbox: XSalsa20
//! and Poly1305).
//!
//! ```text
//!  passphrase, salt ─scrypt─► key ─XSalsa20(nonce)─► 32 bytes: Poly1305's key │ the rest: ⊕ PKCS#8
//!  ciphertext = tag(16) ║ box
//! ```

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use poly1305::Poly1305;
use poly1305::universal_hash::KeyInit;
use ring::rand::{SecureRandom, SystemRandom};
use salsa20::XSalsa20;
use salsa20::cipher::{KeyIvInit, StreamCipher};
use scrypt::Params;
use serde::{Deserialize, Serialize};

use crate::Error;

/// The labels that cosign writes, and has written before.
pub(crate) const LABEL: &str = "ENCRYPTED SIGSTORE PRIVATE KEY";
pub(crate) const OLD_LABEL: &str = "ENCRYPTED COSIGN PRIVATE KEY";

const SALT: usize = 32;
const NONCE: usize = 24;
const TAG: usize = 16;
const KEY: usize = 32;
/// What cosign takes: 2^16 rounds of 1 KiB.
const LOG_N: u8 = 16;
const R: u32 = 8;
/// Memory that a file may ask for.
const MOST_MEMORY: u64 = 512 << 20;
/// Rounds beside each other that a file may ask for.
const MOST_P: u64 = 16;

#[derive(Serialize, Deserialize)]
struct Document {
    kdf: Kdf,
    cipher: Cipher,
    ciphertext: String,
}

#[derive(Serialize, Deserialize)]
struct Kdf {
    name: String,
    params: KdfParams,
    salt: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct KdfParams {
    n: u64,
    #[serde(rename = "r")]
    r: u32,
    #[serde(rename = "p")]
    p: u32,
}

#[derive(Serialize, Deserialize)]
struct Cipher {
    name: String,
    nonce: String,
}

/// Opens the box; says why not.
pub(crate) fn open(document: &[u8], passphrase: &str) -> Result<Vec<u8>, String> {
    let document: Document =
        serde_json::from_slice(document).map_err(|error| format!("is damaged: {error}"))?;
    if (document.kdf.name.as_str(), document.cipher.name.as_str()) != ("scrypt", "nacl/secretbox") {
        return Err(format!(
            "is encrypted with {} and {}, not with scrypt and nacl/secretbox",
            document.kdf.name, document.cipher.name
        ));
    }
    let bytes = |text: &str| STANDARD.decode(text).map_err(|_| "is damaged".to_owned());
    let nonce = <[u8; NONCE]>::try_from(bytes(&document.cipher.nonce)?)
        .map_err(|_| "is damaged".to_owned())?;
    let salt = bytes(&document.kdf.salt)?;
    let KdfParams { n, r, p } = document.kdf.params;
    let mut key = [0; KEY];
    derive(
        passphrase.as_bytes(),
        &salt,
        (n, r.into(), p.into()),
        &mut key,
    )?;
    let mut text = bytes(&document.ciphertext)?;
    if text.len() < TAG {
        return Err("is damaged".to_owned());
    }
    let mut content = text.split_off(TAG);
    let (mut stream, authenticator) = streams(&key, &nonce);
    // Whoever could measure this comparison has the file and this process.
    if authenticator.compute_unpadded(&content).as_slice() != text {
        return Err("cannot be decrypted: the passphrase is wrong".to_owned());
    }
    stream.apply_keystream(&mut content);
    Ok(content)
}

/// Puts a key into a box, as cosign does.
pub(crate) fn seal(pkcs8: &[u8], passphrase: &str) -> Result<Vec<u8>, Error> {
    let random = SystemRandom::new();
    let (mut salt, mut nonce) = ([0; SALT], [0; NONCE]);
    random
        .fill(&mut salt)
        .and_then(|()| random.fill(&mut nonce))
        .map_err(|_| Error::Crypto("encrypt a key: the system has no random numbers"))?;
    let params = KdfParams {
        n: 1 << LOG_N,
        r: R,
        p: 1,
    };
    let cost = (params.n, R.into(), params.p.into());
    let mut key = [0; KEY];
    derive(passphrase.as_bytes(), &salt, cost, &mut key)
        .map_err(|_| Error::Crypto("encrypt a key: no key can be derived"))?;
    let (mut stream, authenticator) = streams(&key, &nonce);
    let mut content = pkcs8.to_vec();
    stream.apply_keystream(&mut content);
    let mut text = authenticator.compute_unpadded(&content).to_vec();
    text.append(&mut content);
    let document = Document {
        kdf: Kdf {
            name: "scrypt".to_owned(),
            params,
            salt: STANDARD.encode(salt),
        },
        cipher: Cipher {
            name: "nacl/secretbox".to_owned(),
            nonce: STANDARD.encode(nonce),
        },
        ciphertext: STANDARD.encode(text),
    };
    serde_json::to_vec(&document).map_err(|_| Error::Crypto("write an encrypted key"))
}

/// Makes a key of a passphrase by scrypt, as hard as the three numbers N, r and p say.
pub(crate) fn derive(
    passphrase: &[u8],
    salt: &[u8],
    (n, r, p): (u64, u64, u64),
    key: &mut [u8],
) -> Result<(), String> {
    let memory = n.saturating_mul(128).saturating_mul(r);
    if !n.is_power_of_two() || memory > MOST_MEMORY || p > MOST_P {
        return Err(format!(
            "asks for too much: scrypt with N={n}, r={r}, p={p}"
        ));
    }
    let log_n = u8::try_from(n.trailing_zeros()).unwrap_or(u8::MAX);
    let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    Params::new(log_n, small(r), small(p), key.len())
        .ok()
        .and_then(|params| scrypt::scrypt(passphrase, salt, &params, key).ok())
        .ok_or_else(|| format!("asks for what cannot be: scrypt with N={n}, r={r}, p={p}"))
}

/// What the content is mixed with, and what proves it.
fn streams(key: &[u8; KEY], nonce: &[u8; NONCE]) -> (XSalsa20, Poly1305) {
    let mut stream = XSalsa20::new(key.into(), nonce.into());
    let mut first = [0; KEY];
    stream.apply_keystream(&mut first);
    (stream, Poly1305::new(&first.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_is_opened_by_the_same_passphrase_alone() {
        let sealed = seal(b"a key", "secret").unwrap();
        assert_eq!(open(&sealed, "secret").unwrap(), b"a key");
        assert!(open(&sealed, "Secret").unwrap_err().contains("passphrase"));
        let mut document: serde_json::Value = serde_json::from_slice(&sealed).unwrap();
        document["ciphertext"] = "AAAA".into();
        assert!(open(document.to_string().as_bytes(), "secret").is_err());
        document["kdf"]["params"]["N"] = (1u64 << 40).into();
        let refused = open(document.to_string().as_bytes(), "secret").unwrap_err();
        assert!(refused.contains("asks for too much"), "{refused}");
        document["cipher"]["name"] = "rot13".into();
        let refused = open(document.to_string().as_bytes(), "secret").unwrap_err();
        assert!(refused.contains("with scrypt and rot13"), "{refused}");
        assert!(open(b"{}", "secret").is_err());
    }
}
