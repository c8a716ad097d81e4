//! What a path of the distribution specification names.

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    Base,
    Token,
    Blob {
        repository: String,
        digest: String,
    },
    Uploads {
        repository: String,
    },
    Upload {
        repository: String,
        id: String,
    },
    Manifest {
        repository: String,
        reference: String,
    },
    Tags {
        repository: String,
    },
    Referrers {
        repository: String,
        digest: String,
    },
    /// `/cdn` before a blob's path: where registries redirect to. It wants no authorization.
    Cdn {
        repository: String,
        digest: String,
    },
    Unknown,
}

impl Route {
    pub(super) fn of(path: &str) -> Self {
        match path {
            "/v2/" | "/v2" => return Self::Base,
            "/token" => return Self::Token,
            _ => {}
        }
        if let Some(path) = path.strip_prefix("/cdn") {
            return match Self::of(path) {
                Self::Blob { repository, digest } => Self::Cdn { repository, digest },
                _ => Self::Unknown,
            };
        }
        path.strip_prefix("/v2/").map_or(Self::Unknown, Self::in_repository)
    }

    fn in_repository(path: &str) -> Self {
        let split =
            |marker: &str| path.rsplit_once(marker).map(|(name, rest)| (name.to_owned(), rest.to_owned()));
        if let Some((repository, id)) = split("/blobs/uploads/") {
            return if id.is_empty() {
                Self::Uploads { repository }
            } else {
                Self::Upload { repository, id }
            };
        }
        if let Some((repository, digest)) = split("/blobs/") {
            return Self::Blob { repository, digest };
        }
        if let Some((repository, reference)) = split("/manifests/") {
            return Self::Manifest { repository, reference };
        }
        if let Some((repository, digest)) = split("/referrers/") {
            return Self::Referrers { repository, digest };
        }
        path.strip_suffix("/tags/list")
            .map_or(Self::Unknown, |name| Self::Tags { repository: name.to_owned() })
    }

    /// The repository that it is in, if in any.
    pub(super) fn repository(&self) -> Option<&str> {
        match self {
            Self::Blob { repository, .. }
            | Self::Uploads { repository }
            | Self::Upload { repository, .. }
            | Self::Manifest { repository, .. }
            | Self::Tags { repository }
            | Self::Referrers { repository, .. } => Some(repository),
            Self::Base | Self::Token | Self::Cdn { .. } | Self::Unknown => None,
        }
    }
}
