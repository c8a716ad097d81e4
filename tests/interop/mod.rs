//! lith beside other people's programs: what it writes they read, and what they write it reads.

pub(crate) mod busybox;
mod transport;
