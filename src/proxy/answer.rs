//! Which part of what the lock has is an answer to a request: all, some, or that it is still the same.

use std::ops::Range;

use jiff::fmt::rfc2822;

use super::message::Head;
use crate::lock::LockedResponse;

/// What of a body is given.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    Whole,
    Some(Range<u64>),
    /// The program has it.
    NotModified,
    /// It has nothing there.
    Unsatisfiable,
}

/// RFC 9110, sections 13.2.2 and 14.2. Several ranges at once are answered with all of it, which is allowed.
pub(super) fn part(response: &LockedResponse, head: &Head) -> Part {
    if response.status != 200 {
        return Part::Whole;
    }
    if is_known(response, head) {
        return Part::NotModified;
    }
    let Some(range) = head.header("range").filter(|_| head.method == "GET" && may_be_cut(response, head))
    else {
        return Part::Whole;
    };
    match (response.size, response.digest.is_some()) {
        (Some(size), true) => cut(range, size),
        _ => Part::Whole,
    }
}

fn is_known(response: &LockedResponse, head: &Head) -> bool {
    let strong = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    if let Some(tags) = head.header("if-none-match") {
        let known = response.etag.as_ref().map(|tag| strong(tag.as_str()));
        return tags.trim() == "*"
            || known.is_some_and(|known| tags.split(',').any(|tag| strong(tag) == known));
    }
    let time = |text: &str| rfc2822::parse(text.trim()).ok().map(|time| time.timestamp());
    let since = head.header("if-modified-since").and_then(time);
    let modified = response.last_modified.as_ref().and_then(|value| time(value.as_str()));
    since.zip(modified).is_some_and(|(since, modified)| modified <= since)
}

/// `If-Range`: a part is of use only with the rest of the same.
fn may_be_cut(response: &LockedResponse, head: &Head) -> bool {
    let Some(wanted) = head.header("if-range").map(str::trim) else { return true };
    let is = |value: &Option<crate::lock::HeaderValue>| {
        value.as_ref().is_some_and(|value| value.as_str() == wanted && !wanted.starts_with("W/"))
    };
    is(&response.etag) || is(&response.last_modified)
}

fn cut(range: &str, size: u64) -> Part {
    let Some((first, last)) = range.trim().strip_prefix("bytes=").and_then(|range| range.split_once('-'))
    else {
        return Part::Whole;
    };
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if digits { Some(text.parse().unwrap_or(u64::MAX)) } else { None }
    };
    let range = match (number(first), number(last)) {
        (None, Some(count)) if first.is_empty() => size.saturating_sub(count)..size,
        (Some(first), None) if last.is_empty() => first..size,
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(size),
        _ => return Part::Whole,
    };
    if range.is_empty() { Part::Unsatisfiable } else { Part::Some(range) }
}

#[cfg(test)]
mod tests {
    use super::super::message::Connection;
    use super::*;
    use crate::lock::HeaderValue;
    use crate::oci::Digest;

    fn asked(headers: &str) -> Part {
        let response = LockedResponse {
            digest: Some(Digest::of(b"0123456789")),
            size: Some(10),
            etag: HeaderValue::new("\"x\""),
            last_modified: HeaderValue::new("Tue, 01 Sep 2020 10:00:00 GMT"),
            ..LockedResponse::of_status(200)
        };
        let text = format!("GET / HTTP/1.1\r\n{headers}\r\n\r\n").into_bytes();
        let head = Connection::new(std::io::Cursor::new(text)).head().unwrap().unwrap();
        part(&response, &head)
    }

    #[test]
    fn ranges() {
        for (range, expected) in [
            ("bytes=0-3", Part::Some(0..4)),
            ("bytes=4-", Part::Some(4..10)),
            ("bytes=-3", Part::Some(7..10)),
            ("bytes=-30", Part::Some(0..10)),
            ("bytes=9-99999999999999999999999", Part::Some(9..10)),
            ("bytes=10-", Part::Unsatisfiable),
            ("bytes=-0", Part::Unsatisfiable),
            ("bytes=3-1", Part::Whole),
            ("bytes=0-1,4-5", Part::Whole),
            ("bytes=x-", Part::Whole),
            ("lines=1-2", Part::Whole),
            ("bytes=--1", Part::Whole),
        ] {
            assert_eq!(asked(&format!("Range: {range}")), expected, "{range}");
        }
        assert_eq!(asked("Range: bytes=1-\r\nIf-Range: \"x\""), Part::Some(1..10));
        assert_eq!(asked("Range: bytes=1-\r\nIf-Range: \"y\""), Part::Whole);
        assert_eq!(asked("Range: bytes=1-\r\nIf-Range: Tue, 01 Sep 2020 10:00:00 GMT"), Part::Some(1..10));
    }

    #[test]
    fn what_is_known_is_not_sent() {
        for (headers, known) in [
            ("If-None-Match: \"x\"", true),
            ("If-None-Match: \"a\", W/\"x\"", true),
            ("If-None-Match: *", true),
            ("If-None-Match: \"y\"\r\nIf-Modified-Since: Tue, 01 Sep 2020 10:00:00 GMT", false),
            ("If-Modified-Since: Tue, 01 Sep 2020 10:00:00 GMT", true),
            ("If-Modified-Since: Wed, 02 Sep 2020 10:00:00 GMT", true),
            ("If-Modified-Since: Mon, 31 Aug 2020 10:00:00 GMT", false),
            ("If-Modified-Since: yesterday", false),
        ] {
            assert_eq!(asked(headers) == Part::NotModified, known, "{headers}");
        }
    }
}
