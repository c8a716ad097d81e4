//! lith builds reproducible OCI images: a `Buildfile` and a folder become an image whose digest is a pure
//! function of its inputs.
//!
//! The modules stand in reading order, which is also the order in which they may import each other: each
//! one knows only those above it. ARCHITECTURE.md tells the story.

mod parallel;

pub mod text;

pub mod http;

pub mod oci;

pub mod compression;

pub mod tree;

pub mod store;

pub mod layer;

pub mod image;

pub mod diff;

pub mod plan;

pub mod lock;

pub mod buildfile;

pub mod pin;

pub mod transport;

pub mod context;

pub mod proxy;

pub mod sandbox;

pub mod exec;

pub mod why;

pub mod attest;

pub mod release;

pub mod audit;

pub mod build;

pub mod verify;
