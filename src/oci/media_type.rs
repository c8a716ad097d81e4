//! The media types that documents and layers have: OCI's, and docker's for the same thing.

pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// What is read as a manifest or an index.
pub const MANIFESTS: [&str; 4] = [
    INDEX,
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

pub fn is_index(media_type: &str) -> bool {
    matches!(media_type, INDEX | "application/vnd.docker.distribution.manifest.list.v2+json")
}

/// Of one image.
pub fn is_manifest(media_type: &str) -> bool {
    MANIFESTS.contains(&media_type) && !is_index(media_type)
}

pub fn is_config(media_type: &str) -> bool {
    matches!(
        media_type,
        "application/vnd.oci.image.config.v1+json" | "application/vnd.docker.container.image.v1+json"
    )
}

pub fn is_layer(media_type: &str) -> bool {
    let Some((kind, compression)) = split_layer_type(media_type) else { return false };
    let kinds =
        ["layer.v1.tar", "layer.nondistributable.v1.tar", "rootfs.diff.tar", "rootfs.foreign.diff.tar"];
    kinds.contains(&kind) && matches!(compression, "" | "+gzip" | "+zstd" | ".gzip" | ".zstd")
}

fn split_layer_type(media_type: &str) -> Option<(&str, &str)> {
    let rest = media_type
        .strip_prefix("application/vnd.oci.image.")
        .or_else(|| media_type.strip_prefix("application/vnd.docker.image."))?;
    let end = rest.find(".tar")? + ".tar".len();
    Some(rest.split_at(end))
}
