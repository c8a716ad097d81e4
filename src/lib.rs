//! lith builds reproducible OCI images from a Buildfile: the same inputs give the same digest.

pub mod buildfile;
