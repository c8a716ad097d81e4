//! What `Link` and the headers about ranges say.

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
