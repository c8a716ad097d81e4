//! `ONBUILD`: an instruction for builds that start from this image.

use super::Instruction;

/// `ONBUILD instruction`.
#[derive(Debug, Clone)]
pub struct Onbuild {
    /// What goes to the image's config: the instruction's line, with the bodies of its heredocs; not expanded.
    pub expression: String,
    /// The instruction's keyword, as typed.
    pub keyword: crate::buildfile::syntax::Word,
    /// The instruction, for checks. None if it is wrong in a way that only a build using it would notice.
    pub instruction: Option<Box<Instruction>>,
}
