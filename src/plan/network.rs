//! What of the network steps have.

use std::fmt;

/// `RUN --network`. What is not said is left to the build, which has none unless asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    Unsaid,
    Default,
    None,
    Host,
    /// What the lock file has of it, and nothing else.
    Locked,
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unsaid => "unsaid",
            Self::Default => "default",
            Self::None => "none",
            Self::Host => "host",
            Self::Locked => "locked",
        })
    }
}

impl std::str::FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::Unsaid, Self::Default, Self::None, Self::Host, Self::Locked];
        let known = all.into_iter().find(|network| network.to_string() == text);
        known.ok_or_else(|| "there is no such network".into())
    }
}
