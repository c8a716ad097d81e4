//! The instructions, one file each: its struct, its parser, its lowering and its tests.
//!
//! To add one: a file, and its name in `instructions!` below; dispatch, suggestions and help follow.

mod add;
mod arg;
mod cmd;
mod copy;
mod device;
mod entrypoint;
mod env;
mod expose;
mod from;
mod healthcheck;
mod label;
mod maintainer;
mod mount;
mod onbuild;
mod operands;
mod request;
mod run;
mod shell;
mod stopsignal;
mod user;
mod volume;
mod workdir;

pub use add::Add;
pub use arg::{Arg, Definition};
pub use cmd::Cmd;
pub use copy::Copy;
pub use device::Device;
pub use entrypoint::Entrypoint;
pub use env::Env;
pub use expose::Expose;
pub use from::{From, StageName};
pub use healthcheck::{Check, Healthcheck};
pub use label::Label;
pub use maintainer::Maintainer;
pub use mount::{Field, Mount, MountFlag, MountKind};
pub use onbuild::Onbuild;
pub use operands::Operands;
pub use run::{Network, Run, Script, Security};
pub use shell::Shell;
pub use stopsignal::Stopsignal;
pub use user::User;
pub use volume::Volume;
pub use workdir::Workdir;

use super::{diagnostic::Diagnostic, lower::StageBuilder, syntax::Word};
pub(super) use request::Request;

/// What each instruction's file implements.
pub(super) trait Syntax: Sized {
    /// In upper case.
    const KEYWORD: &'static str;
    /// Its form, in one line.
    const HELP: &'static str;
    /// Heredocs on its line are heredocs.
    const HEREDOCS: bool = false;

    /// None after an error, which the request has collected.
    fn parse(request: &mut Request<'_>) -> Option<Self>;
}

/// An instruction's entry in the table.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) keyword: &'static str,
    pub(super) help: &'static str,
    pub(super) heredocs: bool,
    pub(super) parse: fn(&mut Request<'_>) -> Option<Instruction>,
}

macro_rules! instructions {
    ($($name:ident)*) => {
        /// An instruction of a stage; all but `FROM`, which begins one.
        #[derive(Debug, Clone)]
        pub enum Instruction {
            $($name($name),)*
        }

        impl Instruction {
            /// The keyword, in upper case.
            #[must_use]
            pub fn keyword(&self) -> &'static str {
                match self {
                    $(Self::$name(_) => <$name as Syntax>::KEYWORD,)*
                }
            }

            /// What it does to a stage; each instruction's file says it.
            pub(super) fn lower(&self, cx: &mut StageBuilder<'_, '_>) -> Result<(), Diagnostic> {
                match self {
                    $(Self::$name(instruction) => instruction.lower(cx),)*
                }
            }
        }

        const KNOWN: &[Known] = &[$(Known {
            keyword: <$name as Syntax>::KEYWORD,
            help: <$name as Syntax>::HELP,
            heredocs: <$name as Syntax>::HEREDOCS,
            parse: |request| Some(Instruction::$name(<$name as Syntax>::parse(request)?)),
        },)*];
    };
}

instructions! {
    Add Arg Cmd Copy Entrypoint Env Expose Healthcheck Label Maintainer Onbuild Run Shell Stopsignal User Volume
    Workdir
}

/// The instruction of a keyword in any case.
pub(super) fn find(keyword: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.keyword.eq_ignore_ascii_case(keyword))
}

/// Keywords and forms of all instructions, for help texts; `FROM` first.
pub fn forms() -> impl Iterator<Item = (&'static str, &'static str)> {
    std::iter::once((From::KEYWORD, From::HELP)).chain(KNOWN.iter().map(|known| (known.keyword, known.help)))
}

pub(super) fn unknown(keyword: &Word) -> Diagnostic {
    let names = forms().map(|(name, _)| name);
    Diagnostic::error("unknown-instruction", keyword.span, format!("unknown instruction: {}", keyword.text))
        .suggest(&keyword.text, names)
}

#[cfg(test)]
mod tests;
