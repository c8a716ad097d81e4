//! What `--chmod` says.

use std::str::FromStr;

/// A change of permission bits: a number, or chmod's symbolic form (`u=rwX,go-w`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModeChange(Form);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    Absolute(u16),
    Symbolic(Vec<Clause>),
}

/// `[ugoa]*` and one operation. Several operations after one `who` become several clauses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Clause {
    user: bool,
    group: bool,
    other: bool,
    op: char,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// `r`, `w`, `x` as 4, 2, 1; then `X`, `s` and `t`.
    Bits { rwx: u16, x_if: bool, set_id: bool, sticky: bool },
    /// `u`, `g` or `o`: the bits which that one has now.
    Of(char),
}

/// Why a text is no mode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an octal mode like `0755` or a symbolic one like `u=rwX,go=rX`, found `{}`", .0.escape_debug())]
pub struct ParseModeError(String);

impl ModeChange {
    /// The mode of something that had `mode`.
    pub fn apply(&self, mode: u16, is_dir: bool) -> u16 {
        match &self.0 {
            Form::Absolute(mode) => *mode,
            Form::Symbolic(clauses) => {
                clauses.iter().fold(mode, |now, clause| clause.apply(now, mode, is_dir))
            }
        }
    }

    /// The mode that was given as a number.
    pub fn absolute(&self) -> Option<u16> {
        match self.0 {
            Form::Absolute(mode) => Some(mode),
            Form::Symbolic(_) => None,
        }
    }
}

impl Clause {
    /// `first` is the mode before all clauses: `X` looks at that, where chmod(1) looks at what it is by now.
    fn apply(self, mode: u16, first: u16, is_dir: bool) -> u16 {
        let rwx = match self.what {
            What::Bits { rwx, x_if, .. } => rwx | u16::from(x_if && (is_dir || first & 0o111 != 0)),
            What::Of('u') => mode >> 6 & 7,
            What::Of('g') => mode >> 3 & 7,
            What::Of(_) => mode & 7,
        };
        let (set_id, sticky) = match self.what {
            What::Bits { set_id, sticky, .. } => (set_id, sticky),
            What::Of(_) => (false, false),
        };
        let (mut bits, mut mask) = (0, 0);
        for (chosen, shift, special) in [(self.user, 6, 0o4000), (self.group, 3, 0o2000), (self.other, 0, 0)]
        {
            if chosen {
                bits |= rwx << shift | if set_id { special } else { 0 };
                mask |= 7 << shift | special;
            }
        }
        if sticky {
            bits |= 0o1000;
        }
        match self.op {
            '+' => mode | bits,
            '-' => mode & !bits,
            // A folder keeps its set-id bits under `=`, as chmod(1) has it, unless `s` names them.
            _ if is_dir && !set_id => mode & !(mask & 0o777) | bits,
            _ => mode & !mask | bits,
        }
    }
}

impl FromStr for ModeChange {
    type Err = ParseModeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fail = || ParseModeError(text.chars().take(80).collect());
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            let mode = u16::from_str_radix(text, 8).map_err(|_| fail())?;
            return if mode <= 0o7777 { Ok(Self(Form::Absolute(mode))) } else { Err(fail()) };
        }
        let mut clauses = Vec::new();
        for part in text.split(',') {
            parse_clause(part, &mut clauses).ok_or_else(fail)?;
        }
        Ok(Self(Form::Symbolic(clauses)))
    }
}

fn parse_clause(part: &str, clauses: &mut Vec<Clause>) -> Option<()> {
    let start = part.find(['+', '-', '='])?;
    let (who, mut rest) = part.split_at(start);
    if !who.chars().all(|c| "ugoa".contains(c)) {
        return None;
    }
    let all = who.is_empty() || who.contains('a');
    while let Some(op) = rest.chars().next() {
        let end = rest[1..].find(['+', '-', '=']).map_or(rest.len(), |i| i + 1);
        let what = parse_what(&rest[1..end])?;
        let has = |c| all || who.contains(c);
        clauses.push(Clause { user: has('u'), group: has('g'), other: has('o'), op, what });
        rest = &rest[end..];
    }
    Some(())
}

fn parse_what(text: &str) -> Option<What> {
    if let "u" | "g" | "o" = text {
        return text.chars().next().map(What::Of);
    }
    let (mut rwx, mut x_if, mut set_id, mut sticky) = (0, false, false, false);
    for c in text.chars() {
        match c {
            'r' => rwx |= 4,
            'w' => rwx |= 2,
            'x' => rwx |= 1,
            'X' => x_if = true,
            's' => set_id = true,
            't' => sticky = true,
            _ => return None,
        }
    }
    Some(What::Bits { rwx, x_if, set_id, sticky })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chmod(change: &str, mode: u16, is_dir: bool) -> u16 {
        change.parse::<ModeChange>().unwrap().apply(mode, is_dir)
    }

    #[test]
    fn numbers_replace_all_bits() {
        assert_eq!(chmod("755", 0o4644, false), 0o755);
        assert_eq!(chmod("04711", 0, false), 0o4711);
        assert_eq!(chmod("0", 0o777, true), 0);
    }

    #[test]
    fn symbols_do_as_chmod_does() {
        for (change, mode, is_dir, expected) in [
            ("u=rwX,go=rX", 0o600, false, 0o644),
            ("u=rwX,go=rX", 0o700, false, 0o755),
            ("u=rwX,go=rX", 0o600, true, 0o755),
            ("u=rw,g=r,o-rwx,a+X", 0o755, false, 0o751),
            ("u=rw,g=r,o-rwx,a+X", 0o640, false, 0o640),
            ("a+x,o+X", 0o644, false, 0o755),
            ("u+x,o+X", 0o644, false, 0o744),
            ("a+x", 0o644, false, 0o755),
            ("+x", 0o644, false, 0o755),
            ("go-w", 0o666, false, 0o644),
            ("g=u", 0o640, false, 0o660),
            ("o=", 0o777, false, 0o770),
            ("u+s,g+s,+t", 0o755, false, 0o7755),
            ("u-s", 0o4755, false, 0o755),
            ("u=rw+x", 0o000, false, 0o700),
            ("a=rx", 0o2777, true, 0o2555),
        ] {
            assert_eq!(chmod(change, mode, is_dir), expected, "{change} of {mode:o}");
        }
    }

    #[test]
    fn what_is_no_mode_is_refused() {
        for text in ["", "8", "999", "77777", "u", "q=r", "u=z", "u=rw,", "-1x", "0x1", "u=rug"] {
            assert!(text.parse::<ModeChange>().is_err(), "`{text}` was taken");
        }
    }
}
