//! `RUN`: a step that executes a command.

use super::{Device, MountFlag, Request, Syntax};
use crate::buildfile::{
    diagnostic::Diagnostic,
    flags::{Flags, Kind, Known},
    heredoc,
    lower::StageBuilder,
    syntax::{Command, Heredoc, Word},
};
use crate::plan;

/// `RUN [flags] command line`, or `RUN [flags] ["program", …]`. Of it, only the mounts' values are expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub script: Script,
    /// `--mount`, in order.
    pub mounts: Vec<MountFlag>,
    /// `--network`.
    pub network: Network,
    /// `--security`.
    pub security: Security,
    /// `--device`, in order.
    pub devices: Vec<Device>,
}

/// What a `RUN` runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Script {
    /// The JSON form, run as it is.
    Exec(Vec<Word>),
    /// Text for the shell. Empty where there were no arguments.
    Shell(Word),
    /// `RUN <<EOF`: the heredoc is the script; the shell runs it, or the kernel if it starts with `#!`.
    Heredoc(Heredoc),
    /// A command line with heredocs in it: the shell gets it with their bodies after it ([`Script::text`]).
    Piped(Word, Vec<Heredoc>),
}

impl Script {
    /// What the shell is to run: the command line and the heredocs' bodies. None for the JSON form.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Exec(_) => None,
            Self::Shell(word) => Some(word.text.clone()),
            Self::Heredoc(heredoc) => Some(heredoc.text()),
            Self::Piped(word, files) => {
                let mut text = word.text.clone();
                for file in files {
                    text.push('\n');
                    text.push_str(&file.content.text);
                    text.push_str(&file.name);
                }
                Some(text)
            }
        }
    }
}

/// `--network`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Network {
    #[default]
    Unsaid,
    Default,
    None,
    Host,
    Locked,
}

/// `--security`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Security {
    #[default]
    Sandbox,
    Insecure,
}

const FLAGS: &Known =
    &[("mount", Kind::List), ("network", Kind::Value), ("security", Kind::Value), ("device", Kind::List)];

impl Syntax for Run {
    const KEYWORD: &'static str = "RUN";
    const HELP: &'static str =
        "RUN [--mount=…] [--network=…] [--security=…] [--device=…] command line   or   RUN [\"program\", …]";
    const HEREDOCS: bool = true;

    fn parse(request: &mut Request<'_>) -> Option<Self> {
        let script = script(request);
        let mut flags = request.flags(FLAGS)?;
        let mounts = flags.list("mount");
        let devices = flags.list("device");
        Some(Self {
            script: script?,
            mounts: mounts.into_iter().map(|word| MountFlag::parse(request, word)).collect::<Option<_>>()?,
            network: network(request, &mut flags)?,
            security: security(request, &mut flags)?,
            devices: devices.iter().map(|word| Device::parse(request, word)).collect::<Option<_>>()?,
        })
    }
}

fn script(request: &mut Request<'_>) -> Option<Script> {
    let word = match request.command()? {
        Command::Exec(words) => return Some(Script::Exec(words)),
        Command::Shell(word) => word,
    };
    let mut files = std::mem::take(&mut request.heredocs);
    if files.is_empty() {
        return Some(Script::Shell(word));
    }
    match heredoc::operator(&word.text) {
        Ok(Some(_)) => Some(Script::Heredoc(files.swap_remove(0))),
        _ => Some(Script::Piped(word, files)),
    }
}

fn network(request: &mut Request<'_>, flags: &mut Flags) -> Option<Network> {
    let Some(word) = flags.given("network") else { return Some(Network::Unsaid) };
    match word.as_str() {
        "default" => Some(Network::Default),
        "none" => Some(Network::None),
        "host" => Some(Network::Host),
        "locked" => Some(Network::Locked),
        _ => request.fail(invalid(&word, "network mode", &["default", "none", "host", "locked"])),
    }
}

fn security(request: &mut Request<'_>, flags: &mut Flags) -> Option<Security> {
    let Some(word) = flags.given("security") else { return Some(Security::Sandbox) };
    match word.as_str() {
        "sandbox" => Some(Security::Sandbox),
        "insecure" => Some(Security::Insecure),
        _ => request.fail(invalid(&word, "security mode", &["sandbox", "insecure"])),
    }
}

fn invalid(word: &Word, what: &str, known: &[&str]) -> Diagnostic {
    let message = format!("invalid {what} `{}`", word.text);
    Diagnostic::error("flag-value", word.span, message).help(format!("it is one of {}", known.join(", ")))
}

impl Run {
    pub(in crate::buildfile) fn lower(&self, cx: &mut StageBuilder<'_, '_>) -> Result<(), Diagnostic> {
        let mut mounts = Vec::new();
        for flag in &self.mounts {
            let ssh = mounts.iter().filter(|m: &&plan::Mount| matches!(m.kind, plan::MountKind::Ssh { .. }));
            let ssh = ssh.count();
            mounts.push(flag.lower(cx, ssh)?);
        }
        let command = self.command(cx);
        let mut words = cx.scope.history();
        words.extend(command_words(&command, cx.shell()));
        let run = plan::Run {
            command,
            mounts,
            network: match self.network {
                Network::Unsaid => plan::Network::Unsaid,
                Network::Default => plan::Network::Default,
                Network::None => plan::Network::None,
                Network::Host => plan::Network::Host,
                Network::Locked => plan::Network::Locked,
            },
            security: match self.security {
                Security::Sandbox => plan::Security::Sandbox,
                Security::Insecure => plan::Security::Insecure,
            },
            env: cx.scope.variables.pairs(),
            proxies: cx.proxies(),
            user: cx.config.config.user.clone(),
            workdir: cx.workdir(),
        };
        cx.commit(format!("RUN {}", words.join(" ")), Some(plan::Op::Run(Box::new(run))));
        Ok(())
    }

    fn command(&self, cx: &StageBuilder<'_, '_>) -> plan::Command {
        if let Script::Exec(words) = &self.script {
            return plan::Command::Exec(words.iter().map(|word| word.text.clone()).collect());
        }
        let script = self.script.text().unwrap_or_default();
        match &self.script {
            Script::Heredoc(heredoc) if script.starts_with("#!") && cx.config.platform.os != "windows" => {
                plan::Command::Script { name: heredoc.name.clone(), content: script }
            }
            _ => plan::Command::Shell { shell: cx.shell(), script },
        }
    }
}

/// The command line as the history shows it.
fn command_words(command: &plan::Command, mut shell: Vec<String>) -> Vec<String> {
    match command {
        plan::Command::Exec(words) => words.clone(),
        plan::Command::Shell { script, .. } => {
            shell.push(script.clone());
            shell
        }
        plan::Command::Script { name, .. } => {
            shell.push(format!("/dev/pipes/{name}"));
            shell
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buildfile::instruction::tests::{errors, messages, parsed};
    use crate::buildfile::lower::testing::{history, target};

    #[test]
    fn scripts() {
        let text = |line: &str| parsed::<Run>(line).script.text();
        assert_eq!(text("RUN a  \\\n  'b' $c").as_deref(), Some("a    'b' $c"));
        assert_eq!(text("RUN"), Some(String::new()));
        assert_eq!(text(r#"RUN ["a", "b"]"#), None);
        assert_eq!(text(r#"RUN [ "$a" = b ]"#).as_deref(), Some(r#"[ "$a" = b ]"#));
        assert_eq!(text("RUN <<EOF\na\nb\nEOF\n").as_deref(), Some("a\nb\n"));
        assert_eq!(text("RUN <<-'EOF'\n\ta\n\tEOF\n").as_deref(), Some("a\n"));
        assert_eq!(text("RUN <<EOF python3\nx\nEOF\n").as_deref(), Some("<<EOF python3\nx\nEOF"));
        assert_eq!(
            text("RUN cat <<A 3<<-B | x\n1\nA\n\t2\nB\n").as_deref(),
            Some("cat <<A 3<<-B | x\n1\nA\n\t2\nB")
        );
        assert!(matches!(parsed::<Run>(r#"RUN ["<<EOF"]"#).script, Script::Exec(_)));
    }

    #[test]
    fn flags() {
        let run: Run = parsed("RUN --network=none --security=insecure --mount=target=/a --device=x -- --a b");
        assert_eq!((run.network, run.security), (Network::None, Security::Insecure));
        assert_eq!((run.mounts.len(), run.devices.len()), (1, 1));
        assert_eq!(run.script.text().as_deref(), Some("--a b"));
    }

    #[test]
    fn errors_of_run() {
        assert_eq!(errors("RUN --network=x a"), ["invalid network mode `x`"]);
        assert_eq!(errors("RUN --network= a"), ["invalid network mode ``"]);
        assert_eq!(errors("RUN --security=x a"), ["invalid security mode `x`"]);
        assert_eq!(errors("RUN --mout=x a"), ["unknown flag `--mout`"]);
        assert_eq!(messages("RUN <<EOF\na\n"), ["unterminated heredoc"]);
    }

    fn lowered(lines: &str) -> plan::Run {
        let mut stage = target(&format!("FROM scratch\n{lines}\n"));
        let Some(plan::Op::Run(run)) = stage.steps.pop().unwrap().op else { panic!("{lines}") };
        *run
    }

    #[test]
    fn commands() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let shell = |shell: &[&str], script: &str| plan::Command::Shell {
            shell: words(shell),
            script: script.into(),
        };
        assert_eq!(lowered("RUN a $b").command, shell(&["/bin/sh", "-c"], "a $b"));
        assert_eq!(lowered("SHELL [\"s\", \"-x\"]\nRUN a").command, shell(&["s", "-x"], "a"));
        assert_eq!(lowered("RUN [\"a\", \"$b\"]").command, plan::Command::Exec(words(&["a", "$b"])));
        assert_eq!(lowered("RUN <<E\na\nE").command, shell(&["/bin/sh", "-c"], "a\n"));
        let script = plan::Command::Script { name: "E".into(), content: "#!/x\na\n".into() };
        assert_eq!(lowered("RUN <<E\n#!/x\na\nE").command, script);
        assert_eq!(lowered("RUN cat <<E\na\nE").command, shell(&["/bin/sh", "-c"], "cat <<E\na\nE"));
    }

    #[test]
    fn surroundings() {
        let run =
            lowered("ENV A=1\nARG B=2\nARG C\nUSER u\nWORKDIR /w/\nRUN --network=host --security=insecure x");
        assert_eq!(run.env[1..], ["A=1", "B=2"]);
        assert_eq!((run.user.as_str(), run.workdir.as_str()), ("u", "/w"));
        assert_eq!((run.network, run.security), (plan::Network::Host, plan::Security::Insecure));
        assert_eq!(lowered("RUN --network=default x").network, plan::Network::Default);
        assert_eq!(lowered("RUN --network=locked x").network, plan::Network::Locked);
        assert_eq!(lowered("RUN x").network, plan::Network::Unsaid);
    }

    #[test]
    fn history_has_arguments_and_the_command_line() {
        assert_eq!(
            history("ARG A=\"x y\"\nARG B\nRUN echo $A\nRUN [\"a\", \"b\"]\nRUN <<E\n#!/x\nE\n")[2..],
            [
                "RUN |2 A=x y B= /bin/sh -c echo $A",
                "RUN |2 A=x y B= a b",
                "RUN |2 A=x y B= /bin/sh -c /dev/pipes/E"
            ]
        );
    }
}
