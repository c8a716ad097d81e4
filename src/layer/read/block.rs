//! One header block: its checksum, its numbers, its names.

use tar::Header;

/// A header block whose checksum is right.
pub(super) struct Block(pub(super) Header);

impl Block {
    /// `None` if the checksum is wrong. That of a block of zeros is.
    pub(super) fn new(bytes: &[u8; 512]) -> Option<Self> {
        let header = Header::from_byte_slice(bytes).clone();
        let expected = number(&header.as_old().cksum)?;
        // The checksum's own field counts as spaces. Old tars summed signed bytes.
        let counted =
            || bytes.iter().enumerate().map(|(i, &b)| if (148..156).contains(&i) { b' ' } else { b });
        let unsigned: i64 = counted().map(i64::from).sum();
        let signed: i64 = counted().map(|b| i64::from(b.cast_signed())).sum();
        (expected == unsigned || expected == signed).then_some(Self(header))
    }

    pub(super) fn kind(&self) -> u8 {
        self.0.as_old().linkflag[0]
    }

    pub(super) fn size(&self) -> Option<u64> {
        u64::try_from(number(&self.0.as_old().size)?).ok()
    }

    /// POSIX's magic number; what GNU's own has at `prefix` is none.
    fn is_ustar(&self) -> bool {
        &self.0.as_bytes()[257..263] == b"ustar\0"
    }

    pub(super) fn is_gnu(&self) -> bool {
        &self.0.as_bytes()[257..265] == b"ustar  \0"
    }

    pub(super) fn name(&self) -> Vec<u8> {
        let name = text(&self.0.as_old().name);
        let prefix = if self.is_ustar() { text(&self.0.as_bytes()[345..500]) } else { b"" };
        if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() }
    }

    pub(super) fn link(&self) -> &[u8] {
        text(&self.0.as_old().linkname)
    }

    /// Major and minor number. A v7 header has neither.
    pub(super) fn device(&self) -> Option<(u32, u32)> {
        if !self.is_ustar() && !self.is_gnu() {
            return Some((0, 0));
        }
        let field = |from: usize| u32::try_from(number(&self.0.as_bytes()[from..from + 8])?).ok();
        Some((field(329)?, field(337)?))
    }
}

/// Up to the first NUL, or all.
pub(super) fn text(field: &[u8]) -> &[u8] {
    field.split(|&b| b == 0).next().unwrap_or_default()
}

/// A number in octal, between spaces and NULs, where none at all is zero; or, if the first bit is set, in
/// two's complement of base 256. `None` if it is neither or too large.
pub(super) fn number(field: &[u8]) -> Option<i64> {
    match field.first() {
        Some(first) if first & 0x80 != 0 => binary(field),
        _ => octal(field),
    }
}

fn binary(field: &[u8]) -> Option<i64> {
    // The first bit is the mark, the second the sign.
    let first = (field[0] << 1).cast_signed() >> 1;
    let rest =
        field[1..].iter().try_fold(i128::from(first), |n, &b| n.checked_mul(256)?.checked_add(b.into()));
    i64::try_from(rest?).ok()
}

fn octal(field: &[u8]) -> Option<i64> {
    let blank = |b: &u8| matches!(b, b' ' | 0);
    let Some(from) = field.iter().position(|b| !blank(b)) else { return Some(0) };
    let digits = field[from..].split(blank).next()?;
    digits.iter().try_fold(0_i64, |n, &b| match b {
        b'0'..=b'7' => n.checked_mul(8)?.checked_add((b - b'0').into()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_every_form() {
        for (field, expected) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b"   644 \0", Some(0o644)),
            (b"\0\0\0\0", Some(0)),
            (b"", Some(0)),
            (b"12345670", Some(0o12_345_670)),
            (b"644 junk", Some(0o644)),
            (b"-1\0", None),
            (b"0x12", None),
            (b"8", None),
            (b"\x80\0\0\0\0\0\0\x01", Some(1)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff", Some(-1)),
            (b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", Some(i64::MAX)),
            (b"\x80\0\0\0\x80\0\0\0\0\0\0\0", None),
            (b"\xbf\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", None),
        ] {
            assert_eq!(number(field), expected, "{}", field.escape_ascii());
        }
    }
}
