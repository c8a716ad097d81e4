//! The only clock.

use std::fmt;
use std::str::FromStr;

/// Seconds since 1970-01-01T00:00:00Z: the time that stands in every entry, config and history line of an image.
///
/// It comes from `SOURCE_DATE_EPOCH`, from `--source-date-epoch` or is zero; never from the wall clock, which
/// would put the moment of the build into its digest. It is not negative, and not past
/// the last day that RFC 3339 can say in every time zone, so that each format that lith writes can say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Epoch(u64);

/// 9999-12-30T22:00:00Z, the last second that RFC 3339 can say in every time zone.
const LAST: u64 = 253_402_207_200;

impl Epoch {
    /// The epoch of the default build: 1970-01-01T00:00:00Z.
    pub const ZERO: Self = Self(0);

    pub fn from_seconds(seconds: u64) -> Option<Self> {
        (seconds <= LAST).then_some(Self(seconds))
    }

    pub fn seconds(self) -> u64 {
        self.0
    }

    /// As the time of a node.
    pub(crate) fn mtime(self) -> i64 {
        i64::try_from(self.0).expect("bounded by LAST")
    }

    /// RFC 3339 in UTC, as `created` in config and history wants it.
    pub fn rfc3339(self) -> String {
        jiff::Timestamp::from_second(self.mtime())
            .map_or_else(|_| "1970-01-01T00:00:00Z".into(), |t| t.to_string())
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Epoch {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let seconds: u64 = text
            .parse()
            .map_err(|_| format!("expected seconds since 1970 as a whole number, found `{text}`"))?;
        Self::from_seconds(seconds).ok_or_else(|| format!("`{text}` is after the year 9999"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_in_utc() {
        assert_eq!(Epoch::ZERO.rfc3339(), "1970-01-01T00:00:00Z");
        assert_eq!("1700000000".parse::<Epoch>().unwrap().rfc3339(), "2023-11-14T22:13:20Z");
        assert_eq!(Epoch(LAST).rfc3339(), "9999-12-30T22:00:00Z");
    }

    #[test]
    fn what_no_format_can_say_is_refused() {
        for text in ["-1", "", "1.5", "253402300800", "yesterday"] {
            assert!(text.parse::<Epoch>().is_err(), "`{text}` was taken");
        }
    }
}
