//! The wall clock that the programs of steps see. Monotonic clocks are always the machine's.

use std::fmt;

/// `# clock=` and `--clock`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Clock {
    /// The machine's.
    #[default]
    Real,
    /// One that stands still at the epoch.
    Epoch,
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Real => "real",
            Self::Epoch => "epoch",
        })
    }
}

impl std::str::FromStr for Clock {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = [Self::Real, Self::Epoch].into_iter().find(|clock| clock.to_string() == text);
        known.ok_or_else(|| "expected `epoch` or `real`".into())
    }
}
