//! Which manifest of an index is the one for a platform.

use crate::oci::{Descriptor, Platform};

/// How far `offered` is from `wanted`: 0 is the very same, `None` does not run there.
///
/// A processor runs what was built for an older version of its architecture, so the newest of these is taken
/// (containerd's order). Another architecture is never taken, even where processors could run it: the image
/// would say another platform than was asked for.
pub(super) fn distance(wanted: &Platform, offered: &Platform) -> Option<u32> {
    let (wanted, offered) = (wanted.clone().normalized(), offered.clone().normalized());
    if (&wanted.os, &wanted.architecture) != (&offered.os, &offered.architecture) {
        return None;
    }
    if wanted.variant == offered.variant {
        return Some(0);
    }
    let version = |platform: &Platform| version(&platform.architecture, platform.variant.as_deref());
    let ((major, minor), (old_major, old_minor)) = (version(&wanted)?, version(&offered)?);
    match wanted.architecture.as_str() {
        "arm" if old_major < 5 => None,
        "amd64" | "arm" => major.checked_sub(old_major),
        // An Armv9.n does all that an Armv8.(n+5) does.
        "arm64" if major == 9 && old_major == 8 => Some(minor + 1 + (minor + 5).checked_sub(old_minor)?),
        "arm64" if major == old_major => minor.checked_sub(old_minor),
        _ => None,
    }
}

fn version(architecture: &str, variant: Option<&str>) -> Option<(u32, u32)> {
    let text = match (architecture, variant) {
        (_, Some(variant)) => variant.strip_prefix('v')?,
        ("amd64", None) => "1",
        ("arm64", None) => "8",
        (_, None) => return None,
    };
    let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
    // Bounded, so that no arithmetic on a stranger's numbers can overflow.
    let number = |text: &str| text.parse::<u32>().ok().filter(|&n| n < 1000);
    Some((number(major)?, number(minor)?))
}

/// Whether an index's entry is what BuildKit writes beside an image: a statement about it, nothing to run.
pub(super) fn is_attestation(entry: &Descriptor) -> bool {
    let annotated = entry.annotations().as_ref().is_some_and(|a| a.contains_key("vnd.docker.reference.type"));
    annotated || platform(entry).is_some_and(|p| p.os == "unknown" && p.architecture == "unknown")
}

/// The platform that an index's entry says it is for.
pub(super) fn platform(entry: &Descriptor) -> Option<Platform> {
    entry.platform().as_ref().map(Platform::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn best<'a>(wanted: &str, offered: &[&'a str]) -> Option<&'a str> {
        let wanted: Platform = wanted.parse().unwrap();
        let ranked = offered.iter().filter_map(|o| Some((distance(&wanted, &o.parse().unwrap())?, *o)));
        ranked.min_by_key(|(rank, _)| *rank).map(|(_, offered)| offered)
    }

    #[test]
    fn the_newest_that_runs_is_taken() {
        for (wanted, offered, expected) in [
            ("linux/amd64", &["linux/386", "linux/arm64", "linux/amd64"][..], Some("linux/amd64")),
            ("linux/amd64", &["linux/386", "linux/amd64/v2"], None),
            ("linux/amd64/v3", &["linux/amd64", "linux/amd64/v4", "linux/amd64/v2"], Some("linux/amd64/v2")),
            ("linux/arm", &["linux/arm/v5", "linux/arm/v6", "linux/arm/v8"], Some("linux/arm/v6")),
            ("linux/arm/v7", &["linux/arm/v6", "linux/arm"], Some("linux/arm")),
            ("linux/arm/v5", &["linux/arm/v6", "linux/arm"], None),
            ("linux/arm64", &["linux/arm/v7", "linux/arm64/v8"], Some("linux/arm64/v8")),
            ("linux/arm64", &["linux/arm/v7"], None),
            (
                "linux/arm64/v9",
                &["linux/arm64", "linux/arm64/v8.5", "linux/arm64/v8.6"],
                Some("linux/arm64/v8.5"),
            ),
            (
                "linux/arm64/v8.2",
                &["linux/arm64", "linux/arm64/v8.1", "linux/arm64/v9"],
                Some("linux/arm64/v8.1"),
            ),
            ("linux/riscv64", &["linux/riscv64"], Some("linux/riscv64")),
            ("linux/riscv64", &["linux/riscv64/x"], None),
            ("windows/amd64", &["linux/amd64"], None),
        ] {
            assert_eq!(best(wanted, offered), expected, "{wanted} of {offered:?}");
        }
    }

    #[test]
    fn absurd_variants_are_no_match_and_no_panic() {
        let wanted = Platform::new("linux", "arm64", Some("v9.4294967295"));
        for variant in ["v8.4294967295", "v99999999999999", "v", "v8.", "v-1", "é"] {
            let offered = Platform::new("linux", "arm64", Some(variant));
            assert_eq!(distance(&wanted, &offered), None);
            assert_eq!(distance(&Platform::new("linux", "arm64", Some("v9.5")), &offered), None);
        }
    }
}
