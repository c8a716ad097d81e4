//! What `Location`, `Link` and the range headers say.

use ureq::http::Uri;

/// The URL that `reference` stands for in an answer from `base` (RFC 3986, 5.2, without dot segments: no registry
/// needs them, and the host is judged by whoever follows it).
pub(super) fn join(base: &str, reference: &str) -> Option<String> {
    let reference = reference.split('#').next()?.trim();
    let (scheme, rest) = base.split_once("://")?;
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let base_path = rest[authority.len()..].split(['?', '#']).next()?;
    let url = if reference.contains("://") && !reference.starts_with(['/', '?']) {
        reference.to_owned()
    } else if let Some(rest) = reference.strip_prefix("//") {
        format!("{scheme}://{rest}")
    } else if reference.starts_with('/') {
        format!("{scheme}://{authority}{reference}")
    } else if reference.starts_with('?') {
        format!("{scheme}://{authority}{base_path}{reference}")
    } else {
        let folder = base_path.rfind('/').map_or("/", |at| &base_path[..=at]);
        format!("{scheme}://{authority}{folder}{reference}")
    };
    let uri: Uri = url.parse().ok()?;
    (matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some()).then_some(url)
}

/// The URL with one more parameter.
pub(super) fn with_parameter(url: &str, name: &str, value: &str) -> String {
    let joint = match url.split_once('?') {
        None => "?",
        Some((_, "")) => "",
        Some((_, query)) if query.ends_with('&') => "",
        Some(_) => "&",
    };
    format!("{url}{joint}{name}={}", encoded(value))
}

/// As a part of a query.
pub(super) fn encoded(text: &str) -> String {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"-._~".contains(b);
    let part = |b: u8| if plain(&b) { char::from(b).to_string() } else { format!("%{b:02X}") };
    text.bytes().map(part).collect()
}

/// The target of the link of a type (RFC 8288): `<URL>; rel="next"`.
pub(super) fn link<'a>(header: &'a str, relation: &str) -> Option<&'a str> {
    let mut rest = header;
    while let Some((target, after)) = rest.split_once('<').and_then(|(_, rest)| rest.split_once('>')) {
        let parameters = after.split('<').next().unwrap_or(after);
        let fits = |parameter: &str| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let value = value.trim().trim_end_matches(',').trim_end().trim_matches('"');
            name.trim().eq_ignore_ascii_case("rel")
                && value.split(' ').any(|word| word.eq_ignore_ascii_case(relation))
        };
        if parameters.split(';').any(fits) {
            return Some(target);
        }
        rest = after;
    }
    None
}

/// How many bytes an upload has, of `Range: 0-N` (distribution-spec, "Pushing a blob in chunks"). One that has none
/// says `0-0`, as no number less than zero can be written.
pub(super) fn received(range: &str) -> Option<u64> {
    let (first, last) = range.strip_prefix("bytes=").unwrap_or(range).split_once('-')?;
    if first.trim() != "0" {
        return None;
    }
    match last.trim() {
        "0" => Some(0),
        // What some registries say of an upload without bytes.
        "-1" => Some(0),
        last => last.parse::<u64>().ok()?.checked_add(1),
    }
}

/// Where a part begins, and how large the whole is, of `Content-Range: bytes FIRST-LAST/SIZE`.
pub(super) fn part(content_range: &str) -> Option<(u64, Option<u64>)> {
    let (range, size) = content_range.strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = range.split_once('-')?;
    let size = if size.trim() == "*" { None } else { Some(size.trim().parse().ok()?) };
    Some((first.trim().parse().ok()?, size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_relative_or_not() {
        for (base, reference, expected) in [
            ("https://r/v2/a/tags/list?n=1", "/v2/a/tags/list?last=x", Some("https://r/v2/a/tags/list?last=x")),
            ("https://r:5/v2/a", "https://other/x?y", Some("https://other/x?y")),
            ("http://r/v2/a", "//other/x", Some("http://other/x")),
            ("https://r/v2/a/uploads/", "uuid?_state=1", Some("https://r/v2/a/uploads/uuid?_state=1")),
            ("https://r/v2/a/list?n=1", "?n=1&last=b", Some("https://r/v2/a/list?n=1&last=b")),
            ("https://r", "x", Some("https://r/x")),
            ("https://r/v2", "/x?to=http://y", Some("https://r/x?to=http://y")),
            ("https://r/v2", "ftp://r/x", None),
            ("https://r/v2", "file:///etc/passwd", None),
            ("https://r/v2", "https://", None),
            ("https://r/v2", "/a b", None),
            ("no url", "/x", None),
        ] {
            assert_eq!(join(base, reference).as_deref(), expected, "{base} {reference}");
        }
    }

    #[test]
    fn a_parameter_is_appended() {
        for (url, expected) in [
            ("http://r/x", "http://r/x?digest=sha256%3Aab"),
            ("http://r/x?", "http://r/x?digest=sha256%3Aab"),
            ("http://r/x?_state=1", "http://r/x?_state=1&digest=sha256%3Aab"),
            ("http://r/x?_state=1&", "http://r/x?_state=1&digest=sha256%3Aab"),
        ] {
            assert_eq!(with_parameter(url, "digest", "sha256:ab"), expected);
        }
    }

    #[test]
    fn the_next_page_is_found() {
        for (header, expected) in [
            ("</v2/a?last=x>; rel=\"next\"", Some("/v2/a?last=x")),
            ("</v2/a>;rel=next", Some("/v2/a")),
            ("</first>; rel=\"first\", </v2/a>; title=\"x\"; Rel=\"last next\"", Some("/v2/a")),
            ("</first>; rel=\"next\", </v2/a>; rel=\"last\"", Some("/first")),
            ("</v2/a>; rel=\"prev\"", None),
            ("/v2/a", None),
            ("<", None),
            ("", None),
        ] {
            assert_eq!(link(header, "next"), expected, "{header}");
        }
    }

    #[test]
    fn ranges() {
        for (text, expected) in [
            ("0-9", Some(10)),
            ("bytes=0-9", Some(10)),
            ("0-0", Some(0)),
            ("0--1", Some(0)),
            ("1-9", None),
            ("0-18446744073709551615", None),
            ("0-x", None),
            ("", None),
        ] {
            assert_eq!(received(text), expected, "{text}");
        }
        assert_eq!(part("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(part("bytes 5-9/*"), Some((5, None)));
        for wrong in ["bytes */10", "bytes 5-9", "5-9/10", "bytes x-9/10", "bytes 5-9/x"] {
            assert_eq!(part(wrong), None, "{wrong}");
        }
    }
}
