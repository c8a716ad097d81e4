//! A registry's name, as people write it.

use crate::oci::Reference;

/// The registry's name as references have it, `HOST[:PORT]`, from what may have a scheme and a path around it.
/// `None` if no reference could have it.
pub fn registry_name(text: &str) -> Option<String> {
    let bare = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or(text);
    let host = bare.split('/').next().unwrap_or_default().to_ascii_lowercase();
    let host = match &*host {
        "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
        _ => host,
    };
    let reference: Reference = format!("{host}/x").parse().ok()?;
    (reference.registry() == host).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_around_a_name_is_left_out() {
        for (text, expected) in [
            ("ghcr.io", Some("ghcr.io")),
            ("https://GHCR.io/v2/", Some("ghcr.io")),
            ("ghcr.io/team/app", Some("ghcr.io")),
            ("http://localhost:5000", Some("localhost:5000")),
            ("[::1]:5000", Some("[::1]:5000")),
            ("https://index.docker.io/v1/", Some("docker.io")),
            ("docker.io", Some("docker.io")),
            ("", None),
            ("host", None),
            ("ftp://r.io", None),
            ("https://user:secret@r.io", None),
            ("r.io:port", None),
            ("r.io\n", None),
            ("-r.io", None),
        ] {
            assert_eq!(registry_name(text).as_deref(), expected, "{text:?}");
        }
    }
}
