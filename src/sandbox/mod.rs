//! RUN: the only place that starts a step's processes, and the only one that may hold `unsafe`.

pub mod rootfs;
