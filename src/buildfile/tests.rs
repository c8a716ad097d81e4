//! Properties of the whole parser, and its reading of ordinary files beside that of another one.

use proptest::prelude::*;

use super::{
    instruction::{Instruction, Script},
    render::render,
    syntax::Command,
    *,
};

/// Everything that a file of every instruction has, and the traps.
const SAMPLE: &str = include_str!("../../fixtures/parse/quickstart/Buildfile");
const HEREDOCS: &str = include_str!("../../fixtures/parse/heredocs/Buildfile");
const FLAGS: &str = include_str!("../../fixtures/parse/flags/Buildfile");

/// Parses and renders; checks what must hold for any input.
fn check(bytes: &[u8]) -> Parsed {
    let source = Source::new("Buildfile", bytes);
    let parsed = parse(&source);
    let text = source.text();
    let inside = |span: Span| {
        assert!(span.start <= span.end && span.end <= text.len(), "{span:?} in {text:?}");
        assert!(text.is_char_boundary(span.start) && text.is_char_boundary(span.end), "{span:?} in {text:?}");
    };
    parsed.diagnostics.iter().for_each(|diagnostic| inside(diagnostic.span));
    for stage in &parsed.buildfile.stages {
        inside(stage.from.span);
        inside(stage.from.instruction.base.span);
        for statement in &stage.statements {
            inside(statement.span);
            // Even a keyword may be continued on the next line.
            assert!(source.slice(statement.keyword.span).starts_with(&statement.keyword.text[..1]));
            words(&statement.instruction).iter().for_each(|word| inside(word.span));
        }
    }
    assert!(parsed.has_errors() || !parsed.buildfile.stages.is_empty(), "a good file has a stage");
    drop(render(&source, &parsed.diagnostics, false));
    parsed
}

/// The words of the instructions that ordinary files consist of.
fn words(instruction: &Instruction) -> Vec<&Word> {
    match instruction {
        Instruction::Add(add) => add.operands.sources.iter().chain([&add.operands.destination]).collect(),
        Instruction::Copy(copy) => copy.operands.sources.iter().chain([&copy.operands.destination]).collect(),
        Instruction::Expose(expose) => expose.ports.iter().collect(),
        Instruction::Volume(volume) => volume.volumes.iter().collect(),
        Instruction::Shell(shell) => shell.command.iter().collect(),
        Instruction::User(user) => vec![&user.user],
        Instruction::Workdir(workdir) => vec![&workdir.path],
        Instruction::Stopsignal(stopsignal) => vec![&stopsignal.signal],
        Instruction::Run(run) => match &run.script {
            Script::Exec(words) => words.iter().collect(),
            Script::Shell(word) | Script::Piped(word, _) => vec![word],
            Script::Heredoc(heredoc) => vec![&heredoc.content],
        },
        Instruction::Cmd(cmd) => command(&cmd.command),
        Instruction::Entrypoint(entrypoint) => command(&entrypoint.command),
        _ => Vec::new(),
    }
}

fn command(command: &Command) -> Vec<&Word> {
    match command {
        Command::Exec(words) => words.iter().collect(),
        Command::Shell(word) => vec![word],
    }
}

#[test]
fn long_lines_are_an_error_as_elsewhere() {
    let file =
        |length: usize| parse(&Source::new("f", format!("FROM a\nENV a={}\n", "x".repeat(length - 6))));
    assert!(!file(65_535).has_errors());
    assert_eq!(file(65_536).diagnostics[0].message, "line greater than max allowed size of 65535");
}

#[test]
fn many_errors_take_little_time() {
    let parsed = check("FROM a\nXX y\n".repeat(20_000).as_bytes());
    assert_eq!(parsed.diagnostics.len(), 20_000);
}

#[test]
fn long_continuations_take_little_time() {
    let mut file = b"FROM a\nRUN a \\\n".to_vec();
    file.extend(b"#\xff\n".repeat(200_000));
    file.extend(b"b \\\n\n".repeat(50_000));
    assert!(!check(&file).has_errors());
}

#[test]
fn triggers() {
    let trigger = |text: &str| parse_trigger(&Source::new("trigger", text));
    assert!(matches!(trigger("COPY . /app").statement.unwrap().instruction, Instruction::Copy(_)));
    assert!(matches!(trigger("RUN <<A\nx\nA").statement.unwrap().instruction, Instruction::Run(_)));
    for text in ["", "# only", "RUN a\nRUN b", "FROM a", "NOPE"] {
        let found = trigger(text);
        assert!(found.statement.is_none() && !found.diagnostics.is_empty(), "{text}");
    }
}

/// Changes to a text: an offset, how many bytes go, and what comes.
fn mutations() -> impl Strategy<Value = Vec<(usize, usize, &'static str)>> {
    let pieces = prop::sample::select(vec![
        "",
        " ",
        "\n",
        "\\\n",
        "\\",
        "\"",
        "'",
        "[",
        "]",
        ",",
        "--",
        "=",
        "$",
        "${",
        "}",
        "<<",
        "<<E",
        "\nE\n",
        "#",
        "\t",
        "\r\n",
        "RUN ",
        "FROM ",
        "ONBUILD ",
        "`",
        "# escape=`\n",
        "\u{0}",
        "é",
        "\u{85}",
        "--mount=",
    ]);
    prop::collection::vec((0..2000_usize, 0..4_usize, pieces), 1..8)
}

fn mutate(text: &str, changes: &[(usize, usize, &str)]) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for (at, removed, piece) in changes {
        let at = at % (bytes.len() + 1);
        let end = (at + removed).min(bytes.len());
        bytes.splice(at..end, piece.bytes());
    }
    bytes
}

proptest! {
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check(&bytes);
    }

    #[test]
    fn changed_files(changes in mutations(), which in 0..3_usize) {
        check(&mutate([SAMPLE, HEREDOCS, FLAGS][which], &changes));
    }

    #[test]
    fn any_instruction(
        keyword in prop::sample::select(instruction::forms().map(|(keyword, _)| keyword).collect::<Vec<_>>()),
        changes in mutations(),
    ) {
        check(&[b"FROM a\n", keyword.as_bytes(), b" ", &mutate("", &changes)].concat());
    }

    #[test]
    fn reads_ordinary_files_as_another_parser_does(lines in prop::collection::vec(ordinary_line(), 1..12)) {
        let text = format!("FROM base AS first\n{}\n", lines.join("\n"));
        let parsed = check(text.as_bytes());
        prop_assert!(!parsed.has_errors(), "{}\n{:?}", text, parsed.diagnostics);
        let ours: Vec<(String, Vec<String>)> = parsed.buildfile.stages[0]
            .statements
            .iter()
            .map(|statement| {
                let words = words(&statement.instruction).iter().map(|word| squeeze(&word.text)).collect();
                (statement.instruction.keyword().to_owned(), words)
            })
            .collect();
        prop_assert_eq!(ours, theirs(&text));
    }
}

/// Continuations and blanks as one space: the other parser leaves continuations in a command's text.
fn squeeze(text: &str) -> String {
    text.replace("\\\n", " ").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Lines that both parsers know: no heredocs, comments in continuations, or quotes in words.
fn ordinary_line() -> impl Strategy<Value = String> {
    let word = "[a-z$./{}_][a-z$./{}_-]{0,6}[a-z]";
    let words = prop::collection::vec(word, 2..5);
    let gap = prop::sample::select(vec![" ", "  ", "\t", " \\\n  "]);
    let list =
        (prop::sample::select(vec!["COPY", "add", "COPY --link", "EXPOSE", "VOLUME"]), words.clone(), gap);
    let json =
        (prop::sample::select(vec!["CMD", "Entrypoint", "RUN", "SHELL", "VOLUME", "COPY"]), words.clone());
    let shell = (prop::sample::select(vec!["CMD", "RUN", "ENTRYPOINT"]), words, "( && | \\\\\n | ; )[a-z]");
    let single = (prop::sample::select(vec!["USER", "WORKDIR", "STOPSIGNAL"]), word);
    prop_oneof![
        list.prop_map(|(keyword, words, gap)| format!("{keyword} {}", words.join(gap))),
        json.prop_map(|(keyword, words)| format!("{keyword} [\"{}\"]", words.join("\", \""))),
        shell.prop_map(|(keyword, words, tail)| format!("{keyword} {}{tail}", words.join(" "))),
        single.prop_map(|(keyword, word)| format!("{keyword} {word}")),
        Just("# a comment".to_owned()),
        Just(String::new()),
    ]
}

/// What the `parse-dockerfile` crate reads. Its known flaws are kept out of the way: it stops at the first error, keeps
/// `ENV`, `ARG` and `LABEL` raw, and fails several heredocs on a line, numbered ones and those before a pipe.
fn theirs(text: &str) -> Vec<(String, Vec<String>)> {
    use parse_dockerfile::{Command, Instruction as Theirs, JsonOrStringArray, Source};
    let command = |command: &Command<'_>| match command {
        Command::Exec(words) => words.value.iter().map(|word| squeeze(&word.value)).collect(),
        Command::Shell(text) => vec![squeeze(text.value)],
        _ => unreachable!("there are two forms"),
    };
    let path = |source: &Source<'_>| match source {
        Source::Path(path) => path.value.to_string(),
        _ => unreachable!("there are no heredocs"),
    };
    let parsed = parse_dockerfile::parse(text).unwrap();
    let instructions = parsed.instructions.iter().skip(1);
    let read = |instruction: &Theirs<'_>| match instruction {
        Theirs::Copy(copy) => {
            ("COPY", copy.src.iter().map(path).chain([copy.dest.value.to_string()]).collect())
        }
        Theirs::Add(add) => ("ADD", add.src.iter().map(path).chain([add.dest.value.to_string()]).collect()),
        Theirs::Expose(expose) => {
            ("EXPOSE", expose.arguments.iter().map(|port| port.value.to_string()).collect())
        }
        Theirs::Volume(volume) => {
            let words = match &volume.arguments {
                JsonOrStringArray::Json(words) => words.value.iter(),
                JsonOrStringArray::String(words) => words.iter(),
            };
            ("VOLUME", words.map(|word| word.value.to_string()).collect())
        }
        Theirs::Cmd(cmd) => ("CMD", command(&cmd.arguments)),
        Theirs::Entrypoint(entrypoint) => ("ENTRYPOINT", command(&entrypoint.arguments)),
        Theirs::Run(run) => ("RUN", command(&run.arguments)),
        Theirs::Shell(shell) => {
            ("SHELL", shell.arguments.iter().map(|word| word.value.to_string()).collect())
        }
        Theirs::User(user) => ("USER", vec![user.arguments.value.to_string()]),
        Theirs::Workdir(workdir) => ("WORKDIR", vec![workdir.arguments.value.to_string()]),
        Theirs::Stopsignal(stopsignal) => ("STOPSIGNAL", vec![stopsignal.arguments.value.to_string()]),
        other => unreachable!("{other:?} is not written"),
    };
    instructions.map(read).map(|(keyword, words)| (keyword.to_owned(), words)).collect()
}
