//! Platforms: `os/architecture[/variant]`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What an image is for. The fields are the image config's (image-spec, config.md) and, but for the spelling
/// of their names, the index's `platform` object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Platform {
    pub os: String,
    pub architecture: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    #[serde(rename = "os.version", default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    #[serde(rename = "os.features", default, skip_serializing_if = "Vec::is_empty")]
    pub os_features: Vec<String>,
}

impl Default for Platform {
    /// `linux/amd64`, on whatever machine: a default that looked at the CPU would give another digest elsewhere.
    fn default() -> Self {
        Self::new("linux", "amd64", None)
    }
}

impl Platform {
    pub fn new(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        Self {
            os: os.into(),
            architecture: architecture.into(),
            variant: variant.map(Into::into),
            os_version: None,
            os_features: Vec::new(),
        }
    }

    /// Whether an image for `other` is one for `self`: what is absent on either side after normalisation agrees.
    pub fn accepts(&self, other: &Self) -> bool {
        let (a, b) = (self.clone().normalized(), other.clone().normalized());
        a.os == b.os && a.architecture == b.architecture && a.variant == b.variant
    }

    /// The names that Go and containerd use: `aarch64` is `arm64`, `x86_64` is `amd64`, and a variant that is the
    /// architecture's only or usual one is left out (`arm64/v8`, `amd64/v1`) or put in (`arm` is `arm/v7`).
    #[must_use]
    pub fn normalized(mut self) -> Self {
        self.os = match self.os.to_ascii_lowercase().as_str() {
            "macos" => "darwin".into(),
            os => os.into(),
        };
        let variant = self.variant.take().map(|v| v.to_ascii_lowercase());
        let (architecture, variant) =
            match (self.architecture.to_ascii_lowercase().as_str(), variant.as_deref()) {
                ("i386", _) => ("386".to_owned(), None),
                ("x86_64" | "x86-64" | "amd64", Some("v1") | None) => ("amd64".to_owned(), None),
                ("x86_64" | "x86-64" | "amd64", Some(v)) => ("amd64".to_owned(), Some(v.to_owned())),
                ("aarch64" | "arm64", Some("8" | "v8" | "v8.0") | None) => ("arm64".to_owned(), None),
                ("aarch64" | "arm64", Some(v)) => ("arm64".to_owned(), Some(v.to_owned())),
                ("armhf", _) | ("arm", None | Some("7")) => ("arm".to_owned(), Some("v7".to_owned())),
                ("armel", _) | ("arm", Some("6")) => ("arm".to_owned(), Some("v6".to_owned())),
                ("arm", Some(v @ ("5" | "8"))) => ("arm".to_owned(), Some(format!("v{v}"))),
                (architecture, variant) => (architecture.to_owned(), variant.map(Into::into)),
            };
        (self.architecture, self.variant) = (architecture, variant);
        self
    }
}

impl Platform {
    /// The system or architecture that nobody makes images for, with those that there are; `None` if
    /// both are known. Such a platform is still one: the lists grow.
    pub fn unknown(&self) -> Option<(&str, &'static [&'static str])> {
        if !SYSTEMS.contains(&self.os.as_str()) {
            Some((&self.os, SYSTEMS))
        } else if !ARCHITECTURES.contains(&self.architecture.as_str()) {
            Some((&self.architecture, ARCHITECTURES))
        } else {
            None
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

/// Why a text is no platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a platform like `linux/amd64` or `linux/arm/v7`, found `{}`", .0.escape_debug())]
pub struct ParsePlatformError(String);

const SYSTEMS: &[&str] = &[
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "illumos",
    "ios",
    "js",
    "linux",
    "macos",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "wasip1",
    "windows",
];
const ARCHITECTURES: &[&str] = &[
    "386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64", "ppc64le",
    "riscv64", "s390x", "sparc64", "wasm",
];

impl FromStr for Platform {
    type Err = ParsePlatformError;

    /// One word is a system or an architecture, whichever it is known as (containerd's rule).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fail = || ParsePlatformError(text.chars().take(80).collect());
        let parts: Vec<&str> = text.split('/').collect();
        let fits =
            |p: &&str| !p.is_empty() && p.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
        if !parts.iter().all(fits) {
            return Err(fail());
        }
        let platform = match parts[..] {
            [one] => {
                let lower = one.to_ascii_lowercase();
                if SYSTEMS.contains(&lower.as_str()) {
                    Self::new(&lower, "amd64", None)
                } else {
                    let guess = Self::new("linux", one, None).normalized();
                    if !ARCHITECTURES.contains(&guess.architecture.as_str()) {
                        return Err(fail());
                    }
                    guess
                }
            }
            [os, architecture] => Self::new(os, architecture, None),
            [os, architecture, variant] => Self::new(os, architecture, Some(variant)),
            _ => return Err(fail()),
        };
        Ok(platform.normalized())
    }
}

impl From<&Platform> for oci_spec::image::Platform {
    fn from(platform: &Platform) -> Self {
        let value = serde_json::to_value(platform).expect("strings only");
        serde_json::from_value(value).expect("the index's platform object has these fields")
    }
}

impl From<&oci_spec::image::Platform> for Platform {
    fn from(platform: &oci_spec::image::Platform) -> Self {
        let text = |value: &dyn fmt::Display| value.to_string();
        Self {
            os: text(platform.os()),
            architecture: text(platform.architecture()),
            variant: platform.variant().clone(),
            os_version: platform.os_version().clone(),
            os_features: platform.os_features().clone().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_normalised() {
        for (text, expected) in [
            ("linux/amd64", "linux/amd64"),
            ("linux/x86_64", "linux/amd64"),
            ("linux/amd64/v2", "linux/amd64/v2"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/arm", "linux/arm/v7"),
            ("Linux/ARM/v6", "linux/arm/v6"),
            ("arm64", "linux/arm64"),
            ("linux", "linux/amd64"),
            ("windows/amd64", "windows/amd64"),
        ] {
            assert_eq!(text.parse::<Platform>().unwrap().to_string(), expected);
        }
    }

    #[test]
    fn what_is_no_platform_is_refused() {
        for text in ["", "/", "linux/", "linux/amd64/v1/x", "notanarch", "linux/a b"] {
            assert!(text.parse::<Platform>().is_err(), "`{text}` was taken");
        }
    }

    #[test]
    fn unknown_names_are_told() {
        let unknown =
            |text: &str| text.parse::<Platform>().unwrap().unknown().map(|(name, _)| name.to_owned());
        assert_eq!(unknown("linux/amd46").as_deref(), Some("amd46"));
        assert_eq!(unknown("linus/amd64").as_deref(), Some("linus"));
        assert_eq!(unknown("linux/arm/v6"), None);
    }

    #[test]
    fn it_is_the_same_in_an_index() {
        let platform: Platform = "linux/arm/v6".parse().unwrap();
        let there = oci_spec::image::Platform::from(&platform);
        assert_eq!(Platform::from(&there), platform);
    }
}
