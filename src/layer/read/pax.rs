//! PAX records, by POSIX pax, "pax Extended Header": each says its own length, so that a value may hold
//! newlines. Where a key comes twice the last counts.

use std::collections::BTreeMap;

/// The records of the headers that apply to an entry.
#[derive(Debug, Default, Clone)]
pub(super) struct Pax {
    records: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The regions of GNU's sparse format 0.0, which repeats its two keys.
    pub(super) regions: Vec<Vec<u8>>,
}

impl Pax {
    /// The records of one header's body; `None` if they are malformed.
    pub(super) fn parse(mut body: &[u8]) -> Option<Self> {
        let mut pax = Self::default();
        while !body.is_empty() {
            let (record, rest) = split_record(body)?;
            let equals = record.iter().position(|&b| b == b'=').filter(|&at| at > 0)?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            match key {
                b"GNU.sparse.offset" | b"GNU.sparse.numbytes" => pax.regions.push(value.to_vec()),
                _ => drop(pax.records.insert(key.to_vec(), value.to_vec())),
            }
            body = rest;
        }
        Some(pax)
    }

    /// A record's value; an empty one is as good as none.
    pub(super) fn get(&self, key: &str) -> Option<&[u8]> {
        self.records.get(key.as_bytes()).map(|value| &value[..]).filter(|value| !value.is_empty())
    }

    /// A number; `Err` if the record holds none.
    pub(super) fn number(&self, key: &str) -> Result<Option<u64>, ()> {
        self.get(key).map(decimal).transpose().map_err(|_| ())
    }

    /// Whole seconds, rounded down; `Err` if the record holds no time.
    pub(super) fn seconds(&self, key: &str) -> Result<Option<i64>, ()> {
        self.get(key).map(seconds).transpose()
    }

    /// `SCHILY.xattr.`, which GNU tar, star, Go and libarchive write. libarchive's own, encoded form says
    /// the same again.
    pub(super) fn xattrs(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let name = |key: &[u8]| key.strip_prefix(b"SCHILY.xattr.").map(<[u8]>::to_vec);
        self.records
            .iter()
            .filter_map(|(key, value)| Some((name(key)?, value.clone())))
            .filter(|(n, _)| !n.is_empty())
            .collect()
    }
}

fn split_record(body: &[u8]) -> Option<(&[u8], &[u8])> {
    // No body is so long that its length would need more digits.
    let space = body.iter().take(8).position(|&b| b == b' ')?;
    let len = usize::try_from(decimal(&body[..space]).ok()?).ok()?;
    if len > body.len() || len < space + 2 {
        return None;
    }
    let (record, rest) = body.split_at(len);
    Some((record[space + 1..].strip_suffix(b"\n")?, rest))
}

/// Decimal digits and nothing else.
pub(super) fn decimal(text: &[u8]) -> Result<u64, ()> {
    let digit = |n: u64, &b: &u8| match b {
        b'0'..=b'9' => n.checked_mul(10)?.checked_add((b - b'0').into()),
        _ => None,
    };
    let number = if text.is_empty() { None } else { text.iter().try_fold(0_u64, digit) };
    number.ok_or(())
}

fn seconds(text: &[u8]) -> Result<i64, ()> {
    let (sign, digits) = text.strip_prefix(b"-").map_or((1, text), |rest| (-1, rest));
    let mut parts = digits.splitn(2, |&b| b == b'.');
    let whole = i64::try_from(decimal(parts.next().unwrap_or_default())?).map_err(|_| ())?;
    let fraction = parts.next().unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return Err(());
    }
    let rounded_down = sign < 0 && fraction.iter().any(|&b| b != b'0');
    (sign * whole).checked_sub(rounded_down.into()).ok_or(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_may_hold_newlines_and_the_last_counts() {
        let pax = Pax::parse(b"12 path=a\nb\n9 path=c\n25 SCHILY.xattr.user.x=\n\n").unwrap();
        assert_eq!(pax.get("path"), Some(&b"c"[..]));
        assert_eq!(pax.xattrs(), BTreeMap::from([(b"user.x".to_vec(), b"\n".to_vec())]));
    }

    #[test]
    fn malformed_records_are_refused() {
        for body in [
            &b"9 path=c"[..],
            b"11 path=c\n",
            b"8 path=c\n",
            b"0 path=c\n",
            b"5 a=\n\n",
            b"4 =\n",
            b"5 =a\n",
            b"5 ab\n",
            b"x a=b\n",
            b"-1 a=b\n",
            b"99999999999999999999 a=b\n",
            b"6 a=b\n\0\0",
            b"3 \n",
            b"\n",
        ] {
            assert!(Pax::parse(body).is_none(), "`{}` was taken", body.escape_ascii());
        }
    }

    #[test]
    fn times_are_rounded_down() {
        for (text, expected) in [
            ("12", Ok(12)),
            ("12.999", Ok(12)),
            ("-1", Ok(-1)),
            ("-1.5", Ok(-2)),
            ("-1.0", Ok(-1)),
            ("-0.5", Ok(-1)),
            ("1.", Ok(1)),
            ("", Err(())),
            ("1e5", Err(())),
            (".5", Err(())),
            ("99999999999999999999", Err(())),
        ] {
            assert_eq!(seconds(text.as_bytes()), expected, "`{text}`");
        }
    }
}
