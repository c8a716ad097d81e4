//! The instructions, one file each: its struct, its parser and its tests. What an instruction does is not here but
//! in its lowering.
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
pub use mount::{Field, Mount, MountFlag, MountKind, Sharing};
pub use onbuild::Onbuild;
pub use operands::Operands;
pub use run::{Network, Run, Script, Security};
pub use shell::Shell;
pub use stopsignal::Stopsignal;
pub use user::User;
pub use volume::Volume;
pub use workdir::Workdir;

macro_rules! instructions {
    ($($name:ident)*) => {
        /// An instruction of a stage; all but `FROM`, which begins one.
        #[derive(Debug, Clone)]
        pub enum Instruction {
            $($name($name),)*
        }
    };
}

instructions! {
    Add Arg Cmd Copy Entrypoint Env Expose Healthcheck Label Maintainer Onbuild Run Shell Stopsignal User Volume
    Workdir
}
