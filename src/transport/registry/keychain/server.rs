//! How files and helpers call a registry.

/// Docker Hub's name in docker's files and to helpers, from the time of the first protocol.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";
const DOCKER_IO: &str = "docker.io";

/// What a key of `auths` or `credHelpers` stands for: `HOST[:PORT][/NAMESPACE…]` as references have it.
///
/// Keys have been written with a scheme and with the path of a protocol version; containers' files have namespaces.
pub(super) fn canonical(key: &str) -> String {
    let bare = key.split_once("://").map_or(key, |(_, rest)| rest).trim_end_matches('/');
    let (host, path) = bare.split_once('/').unwrap_or((bare, ""));
    let host = host.to_ascii_lowercase();
    let host = match &*host {
        "index.docker.io" | "registry-1.docker.io" => DOCKER_IO,
        host => host,
    };
    if matches!(path, "" | "v1" | "v2") { host.to_owned() } else { format!("{host}/{path}") }
}

/// The names under which a credential may be kept for a repository, from the one that is only its own to the
/// registry's.
pub(super) fn scopes(registry: &str, repository: &str) -> impl Iterator<Item = String> {
    let full = format!("{}/{repository}", canonical(registry));
    std::iter::successors(Some(full), |name| name.rsplit_once('/').map(|(above, _)| above.to_owned()))
}

/// The key under which docker looks for a registry's credential, and others do too.
pub(super) fn key(registry: &str) -> String {
    let name = canonical(registry);
    if name == DOCKER_IO { DOCKER_HUB.to_owned() } else { name }
}

/// The names under which a helper may have a registry's credential. The first is the one that is written.
pub(super) fn names_for_helpers(registry: &str) -> Vec<String> {
    let mut names = vec![key(registry)];
    let name = canonical(registry);
    if !names.contains(&name) {
        names.push(name);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_all_times_are_understood() {
        for (key, expected) in [
            ("https://index.docker.io/v1/", "docker.io"),
            ("https://index.docker.io/v2/", "docker.io"),
            ("index.docker.io", "docker.io"),
            ("registry-1.docker.io", "docker.io"),
            ("docker.io", "docker.io"),
            ("https://index.docker.io/v1/access-token", "docker.io/v1/access-token"),
            ("http://host:5000", "host:5000"),
            ("https://Host/v2/", "host"),
            ("host/", "host"),
            ("quay.io/team/app", "quay.io/team/app"),
            ("[::1]:5000", "[::1]:5000"),
            ("", ""),
            ("://", ""),
        ] {
            assert_eq!(canonical(key), expected, "{key}");
        }
    }

    #[test]
    fn the_most_specific_name_is_first() {
        let names: Vec<String> = scopes("Quay.io", "a/b").collect();
        assert_eq!(names, ["quay.io/a/b", "quay.io/a", "quay.io"]);
    }

    #[test]
    fn docker_hub_has_two_names() {
        assert_eq!(names_for_helpers("docker.io"), ["https://index.docker.io/v1/", "docker.io"]);
        assert_eq!(names_for_helpers("ghcr.io"), ["ghcr.io"]);
        assert_eq!(canonical(&key("docker.io")), "docker.io");
    }
}
