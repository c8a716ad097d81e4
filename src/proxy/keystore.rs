//! A trust store as Java reads it: the format `JKS`, with one certificate.
//!
//! Big-endian: a magic number, version 2, the number of entries; of each its kind, its name, a time, the certificate's type
//! and bytes; then a SHA-1 of the password and all of that, which Java checks where it is given a password.

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

/// What Java's tools expect where nobody says another.
const PASSWORD: &str = "changeit";

const MAGIC: u32 = 0xfeed_feed;
const TRUSTED: u32 = 2;

pub(super) fn with(certificate: &[u8]) -> Vec<u8> {
    let mut store = Vec::new();
    for number in [MAGIC, 2, 1, TRUSTED] {
        store.extend(number.to_be_bytes());
    }
    text(&mut store, "lith");
    store.extend(0_u64.to_be_bytes());
    text(&mut store, "X.509");
    store.extend(u32::try_from(certificate.len()).expect("a certificate of ours is short").to_be_bytes());
    store.extend(certificate);
    let mut hashed: Vec<u8> = PASSWORD.encode_utf16().flat_map(u16::to_be_bytes).collect();
    hashed.extend(b"Mighty Aphrodite");
    hashed.extend(&store);
    store.extend(digest(&SHA1_FOR_LEGACY_USE_ONLY, &hashed).as_ref());
    store
}

fn text(store: &mut Vec<u8>, text: &str) {
    store.extend(u16::try_from(text.len()).expect("a few letters").to_be_bytes());
    store.extend(text.as_bytes());
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_store_is_as_java_has_it() {
        let store = super::with(b"der");
        let expected =
            b"\xfe\xed\xfe\xed\0\0\0\x02\0\0\0\x01\0\0\0\x02\0\x04lith\0\0\0\0\0\0\0\0\0\x05X.509\0\0\0\x03der";
        assert_eq!(&store[..store.len() - 20], expected);
    }
}
