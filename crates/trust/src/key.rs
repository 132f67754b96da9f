//! Keys: ECDSA over P-256, public ones as PEM (`PUBLIC KEY`), private ones as
//! PEM of PKCS#8 (`PRIVATE KEY`), or of what cosign (`encrypted`) or openssl (`pbes2`)
//! makes of that with a passphrase. A private key is never shown, not by `Debug` either.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantry_types::Digest;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair,
    UnparsedPublicKey,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};

use crate::{Error, encrypted, pbes2};

/// What stands before the point of every public key of this kind.
const P256_INFO: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// The bytes of an uncompressed point.
const POINT: usize = 65;

/// The name of a key: the digest of its public part, as hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(String);

/// A public key.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    point: [u8; POINT],
}

/// A private key.
pub struct PrivateKey {
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl KeyId {
    /// The first digits, for people.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.id().short())
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey of {:?}", self.public())
    }
}

impl PublicKey {
    /// Reads a key from PEM; `name` is what errors call it.
    ///
    /// # Errors
    /// [`Error::Key`].
    pub fn from_pem(name: &str, pem: &str) -> Result<Self, Error> {
        let wrong = |reason: &str| Error::Key {
            name: name.to_owned(),
            reason: reason.to_owned(),
        };
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| wrong("is no public key in PEM (\"BEGIN PUBLIC KEY\")"))?;
        let point = der
            .strip_prefix(&P256_INFO)
            .and_then(|point| <[u8; POINT]>::try_from(point).ok())
            .filter(|point| point[0] == 4)
            .ok_or_else(|| wrong("is no ECDSA key over the curve P-256"))?;
        Ok(Self { point })
    }

    fn der(&self) -> Vec<u8> {
        [&P256_INFO[..], &self.point].concat()
    }

    /// The key as PEM.
    pub fn to_pem(&self) -> String {
        pem("PUBLIC KEY", &self.der())
    }

    /// The name of the key.
    pub fn id(&self) -> KeyId {
        KeyId(Digest::of(&self.der()).hex())
    }

    /// Whether `signature` is this key's, of exactly these bytes.
    pub fn has_signed(&self, bytes: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, self.point)
            .verify(bytes, signature)
            .is_ok()
    }
}

impl PrivateKey {
    /// A new key, and its PEM.
    ///
    /// # Errors
    /// [`Error::Crypto`].
    pub fn generate() -> Result<(Self, String), Error> {
        let random = SystemRandom::new();
        let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random)
            .map_err(|_| Error::Crypto("make a key: the system has no random numbers"))?;
        let pem = pem("PRIVATE KEY", der.as_ref());
        Ok((Self::from_pem("the new key", &pem, "")?, pem))
    }

    /// The PEM of a key, encrypted as cosign does.
    ///
    /// # Errors
    /// [`Error::Key`], [`Error::Crypto`].
    pub fn encrypt(pem_of_key: &str, passphrase: &str) -> Result<String, Error> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem_of_key.as_bytes());
        let der = der.map_err(|_| Error::Crypto("encrypt what is no key"))?;
        let sealed = encrypted::seal(der.secret_pkcs8_der(), passphrase)?;
        Ok(pem(encrypted::LABEL, &sealed))
    }

    /// Whether it takes a passphrase to read the key.
    pub fn is_encrypted(pem: &str) -> bool {
        let labels = [encrypted::LABEL, encrypted::OLD_LABEL, pbes2::LABEL];
        label(pem).is_some_and(|label| labels.contains(&label))
    }

    /// Reads a key from PEM; `name` is what errors call it. The passphrase counts for
    /// keys that are [encrypted](Self::is_encrypted).
    ///
    /// # Errors
    /// [`Error::Key`]; keys in another form are refused by the name of their form.
    pub fn from_pem(name: &str, pem: &str, passphrase: &str) -> Result<Self, Error> {
        let wrong = |reason: String| Error::Key {
            name: name.to_owned(),
            reason,
        };
        if Self::is_encrypted(pem) {
            let document = content(pem).ok_or_else(|| wrong("is damaged".to_owned()))?;
            let open = match label(pem) {
                Some(pbes2::LABEL) => pbes2::open,
                _ => encrypted::open,
            };
            let der = open(&document, passphrase).map_err(wrong)?;
            return Self::from_der(&der).map_err(wrong);
        }
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| wrong(other_form(pem)))?;
        Self::from_der(der.secret_pkcs8_der()).map_err(wrong)
    }

    fn from_der(der: &[u8]) -> Result<Self, String> {
        let random = SystemRandom::new();
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der, &random)
            .map(|pair| Self { pair, random })
            .map_err(|_| "is no ECDSA key over the curve P-256".to_owned())
    }

    /// The public part.
    pub fn public(&self) -> PublicKey {
        let mut point = [0; POINT];
        point.copy_from_slice(self.pair.public_key().as_ref());
        PublicKey { point }
    }

    /// Signs exactly these bytes.
    ///
    /// # Errors
    /// [`Error::Crypto`].
    pub fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>, Error> {
        self.pair
            .sign(&self.random, bytes)
            .map(|signature| signature.as_ref().to_vec())
            .map_err(|_| Error::Crypto("sign: the system has no random numbers"))
    }
}

/// What the first line of PEM says.
fn label(pem: &str) -> Option<&str> {
    pem.lines().find_map(|line| {
        line.trim()
            .strip_prefix("-----BEGIN ")?
            .strip_suffix("-----")
    })
}

/// The bytes between the lines.
pub(crate) fn content(pem: &str) -> Option<Vec<u8>> {
    let lines = pem.lines().map(str::trim);
    let text: String = lines
        .skip_while(|line| !line.starts_with("-----BEGIN "))
        .skip(1)
        .take_while(|line| !line.starts_with("-----END "))
        .collect();
    STANDARD.decode(text).ok()
}

/// What a private key that cannot be read is, as far as its first line tells.
fn other_form(pem: &str) -> String {
    match label(pem) {
        Some("EC PRIVATE KEY") => {
            "keys in SEC1 form are not supported: `openssl pkcs8 -topk8 -nocrypt -in KEY -out \
             NEW` gives PKCS#8"
                .to_owned()
        }
        Some("PUBLIC KEY") => "is a public key, and only private ones can sign".to_owned(),
        _ => "is no private key in PKCS#8 PEM (\"BEGIN PRIVATE KEY\")".to_owned(),
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut out = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(64) {
        out.extend(line.iter().copied().map(char::from));
        out.push('\n');
    }
    out.push_str(&format!("-----END {label}-----\n"));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `openssl ecparam -name prime256v1 -genkey | openssl pkcs8 -topk8 -nocrypt`.
    const OPENSSL_KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg8gPgBniBkiio7qbH\n\
        GU6521zVzFdSnZesihVGZe4oJIyhRANCAAS9mb36VLOryxZ2eH+XW9jhhAkNa1lm\n\
        eX7HXcuGkudbTCzHXrtBqOWMpp2oWVzTxDeVMErlSt4TOWi0BisNsaxb\n\
        -----END PRIVATE KEY-----\n";
    const OPENSSL_PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\n\
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEvZm9+lSzq8sWdnh/l1vY4YQJDWtZ\n\
        Znl+x13LhpLnW0wsx167QajljKadqFlc08Q3lTBK5UreEzlotAYrDbGsWw==\n\
        -----END PUBLIC KEY-----\n";
    /// `openssl dgst -sha256 -sign` over "hello", in base64.
    const OPENSSL_SIGNATURE: &str = "MEUCIQCqJP1i4Uskbz7Hfe6+Fnhwt0XKla3EISZevBTv1WTDGQIgJ3c8bM4lkeYpdrmPApxus/M/PFOXiI+72kvUabZahT8=";

    /// A key that libsodium has put in a box, as cosign does; "correct horse".
    const BOXED: &str = "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n\
        eyJrZGYiOnsibmFtZSI6InNjcnlwdCIsInBhcmFtcyI6eyJOIjoxMDI0LCJyIjo4\n\
        LCJwIjoxfSwic2FsdCI6IkFBRUNBd1FGQmdjSUNRb0xEQTBPRHhBUkVoTVVGUllY\n\
        R0JrYUd4d2RIaDg9In0sImNpcGhlciI6eyJuYW1lIjoibmFjbC9zZWNyZXRib3gi\n\
        LCJub25jZSI6IlpHVm1aMmhwYW10c2JXNXZjSEZ5YzNSMWRuZDRlWHA3In0sImNp\n\
        cGhlcnRleHQiOiI2QUJRRjAxZFNjc2xPREMxVmc4TEthdEFWT21CcHhPaStreit4\n\
        UGdkSm55eDlibGVnUmQ5K1dlVVlLWlpidmc4NWtpL1NQZ0NUZ1phUFdFa2xNeVAx\n\
        YVlMVzFmN2NvL1BwZzQ0bkkvYnlsT2NORVg1dXdNK0FYdDk0QkF3SlEycUE2TE9M\n\
        ZWNGamx2Z0tvZDZFaWdqWU80a3RVRWpYbG52ckd5Wm5KUWlNWXBJNGVtODhIWnJs\n\
        STZqYkFBSlFWSkYxVjN5SUFlblhMbFFkdz09In0=\n\
        -----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n";
    const BOXED_PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\n\
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEM8BUFWDf+q9LXZ6ORtpmDq5WBzxt\n\
        qqn5jd/omm9xLIefjfPTXGMElCrfHiVw9mCuz21pdjMq4ax7eYe5so3mHw==\n\
        -----END PUBLIC KEY-----\n";

    #[test]
    fn keys_of_cosign_open_with_their_passphrase() {
        let key = PrivateKey::from_pem("k", BOXED, "correct horse").unwrap();
        assert_eq!(key.public().to_pem(), BOXED_PUBLIC);
        let wrong = PrivateKey::from_pem("k", BOXED, "battery").unwrap_err();
        assert_eq!(
            wrong.to_string(),
            "k: cannot be decrypted: the passphrase is wrong"
        );
        let (key, plain) = PrivateKey::generate().unwrap();
        let sealed = PrivateKey::encrypt(&plain, "x").unwrap();
        assert!(PrivateKey::is_encrypted(&sealed) && !PrivateKey::is_encrypted(&plain));
        let again = PrivateKey::from_pem("k", &sealed, "x").unwrap();
        assert_eq!(again.public(), key.public());
    }

    #[test]
    fn what_is_signed_is_verified_and_nothing_else() {
        let (key, pem) = PrivateKey::generate().unwrap();
        let (other, _) = PrivateKey::generate().unwrap();
        let signature = key.sign(b"payload").unwrap();
        assert!(key.public().has_signed(b"payload", &signature));
        assert!(!key.public().has_signed(b"payloae", &signature));
        assert!(!other.public().has_signed(b"payload", &signature));
        assert!(!key.public().has_signed(b"payload", &signature[1..]));
        assert!(!key.public().has_signed(b"payload", b""));
        let again = PrivateKey::from_pem("x", &pem, "").unwrap();
        assert_eq!(again.public(), key.public());
        let public = PublicKey::from_pem("x", &key.public().to_pem()).unwrap();
        assert_eq!(public, key.public());
        assert_eq!(public.id().to_string().len(), 64);
        assert!(!format!("{key:?}").contains(&pem[30..60]));
    }

    #[test]
    fn keys_of_openssl_are_understood() {
        let key = PrivateKey::from_pem("key", OPENSSL_KEY, "").unwrap();
        let public = PublicKey::from_pem("pub", OPENSSL_PUBLIC).unwrap();
        assert_eq!(key.public(), public);
        assert_eq!(public.to_pem(), OPENSSL_PUBLIC);
        let signature = STANDARD.decode(OPENSSL_SIGNATURE).unwrap();
        assert!(public.has_signed(b"hello", &signature));
    }

    #[test]
    fn other_forms_are_refused_by_name() {
        let body = "-----\nMIIB\n-----END X-----\n";
        for (label, part) in [
            ("EC PRIVATE KEY", "-topk8"),
            ("PUBLIC KEY", "only private ones can sign"),
            ("RSA PRIVATE KEY", "PKCS#8"),
        ] {
            let text = format!("-----BEGIN {label}{body}");
            let error = PrivateKey::from_pem("k", &text, "")
                .unwrap_err()
                .to_string();
            assert!(error.starts_with("k: ") && error.contains(part), "{error}");
        }
        assert!(PublicKey::from_pem("k", "").is_err());
        let (key, _) = PrivateKey::generate().unwrap();
        let long = pem("PUBLIC KEY", &[key.public().der(), vec![0]].concat());
        assert!(PublicKey::from_pem("k", &long).is_err());
    }
}
