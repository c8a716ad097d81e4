//! Running a plan: each operation is a function from trees to changes.

pub mod copy;
pub mod mkdir;
mod owner;
mod resolve_path;
mod root;

pub use owner::{OwnerError, Unknown};
pub use resolve_path::ResolveError;
