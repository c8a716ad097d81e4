//! Asking somebody at a terminal.

use std::io::{self, IsTerminal as _, Read as _, Stdin, Write as _};

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};

use super::error::Hinted;

/// Nobody types more.
const MAX_LINE: u64 = 64 << 10;

/// What Ctrl-C sends.
const INTERRUPT: u8 = 3;

/// Whether there is somebody.
pub(super) fn is_there() -> bool {
    io::stdin().is_terminal()
}

/// Asks for a line.
pub(super) fn ask(question: &str) -> anyhow::Result<String> {
    say(question);
    read_line()
}

/// Asks for a line that is not shown while it is typed.
pub(super) fn ask_secret(question: &str) -> anyhow::Result<String> {
    let stdin = io::stdin();
    let silent = Silent::start(&stdin)?;
    say(question);
    let line = read_line();
    drop(silent);
    say("\n");
    line
}

fn say(text: &str) {
    let mut stderr = io::stderr().lock();
    drop(stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush()));
}

/// Reads to the end of the line, or to where Ctrl-C broke it off: what is typed after that need not come.
fn read_line() -> anyhow::Result<String> {
    let mut line = Vec::new();
    for byte in io::stdin().lock().take(MAX_LINE).bytes() {
        match byte? {
            b'\n' => break,
            INTERRUPT => return Err(Hinted::new("interrupted").into()),
            byte => line.push(byte),
        }
    }
    let line = String::from_utf8(line).map_err(|_| Hinted::usage("what was typed is not UTF-8"))?;
    Ok(line.trim_end_matches('\r').to_owned())
}

/// A terminal that doesn't echo, until this is dropped. Ctrl-C ends the line instead of lith, which would leave the
/// terminal silent.
struct Silent<'a> {
    terminal: &'a Stdin,
    before: Termios,
}

impl<'a> Silent<'a> {
    fn start(terminal: &'a Stdin) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut silent = before.clone();
        silent.local_modes -= LocalModes::ECHO | LocalModes::ISIG;
        silent.local_modes |= LocalModes::ICANON;
        silent.special_codes[SpecialCodeIndex::VEOL] = INTERRUPT;
        tcsetattr(terminal, OptionalActions::Flush, &silent)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Silent<'_> {
    fn drop(&mut self) {
        let _restored = tcsetattr(self.terminal, OptionalActions::Now, &self.before);
    }
}
