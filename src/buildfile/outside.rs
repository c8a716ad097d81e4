//! What a file asks of the outside world, as it is written: by this a lock knows whether it is of this file.

use super::{
    instruction::{Instruction, Network},
    lower,
    syntax::{Buildfile, Statement, Word},
};

/// Every text that names something outside, before expansion, in the order of the file. What is copied from the context,
/// and what steps run, are no part of it; nor are arguments: a name that they change is another name.
pub fn outside_names(file: &Buildfile) -> Vec<String> {
    let mut names = Vec::new();
    names.extend(file.directives.syntax.iter().map(|syntax| said("syntax", syntax)));
    for stage in &file.stages {
        let from = &stage.from.instruction;
        names.push(said("from", &from.base));
        names.extend(from.platform.iter().map(|platform| said("platform", platform)));
        stage.statements.iter().for_each(|statement| names.extend(of_statement(statement)));
    }
    names
}

/// Whether what a step asks for is part of what it asks of the outside.
pub fn has_locked_steps(file: &Buildfile) -> bool {
    let mut statements = file.stages.iter().flat_map(|stage| &stage.statements);
    statements.any(
        |statement| matches!(&statement.instruction, Instruction::Run(run) if run.network == Network::Locked),
    )
}

fn of_statement(statement: &Statement) -> Vec<String> {
    let mut names: Vec<String> = lower::from_words(statement).map(|word| said("copy", word)).collect();
    match &statement.instruction {
        Instruction::Add(add) => {
            let sources = add.operands.sources.iter().filter(|source| may_be_remote(&source.text));
            names.extend(sources.map(|source| said("add", source)));
            names.extend(add.checksum.iter().map(|checksum| said("checksum", checksum)));
        }
        // What it asks for is known when it runs: another program may ask for something else.
        Instruction::Run(run) if run.network == Network::Locked => {
            names.push(format!("run {} {:?}", statement.original, run.script));
        }
        _ => {}
    }
    names
}

fn said(what: &str, word: &Word) -> String {
    format!("{what} {}", word.text)
}

/// A URL, a repository, or a variable that may hold one.
fn may_be_remote(source: &str) -> bool {
    source.contains("://") || source.contains('@') || source.contains('$')
}

#[cfg(test)]
mod tests {
    use crate::buildfile::{Source, parse};

    fn names(text: &str) -> Vec<String> {
        super::outside_names(&parse(&Source::new("Buildfile", text)).buildfile)
    }

    #[test]
    fn what_is_outside_is_told_and_nothing_else() {
        let text = "# syntax=docker/dockerfile:1\nARG V=1\nFROM --platform=$BUILDPLATFORM a:$V AS x\nARG W\n\
            COPY --from=b:1 f g\nADD https://h/f $D local /x/\nADD --checksum=sha256:00 https://h/g /g\n\
            RUN --mount=from=c,target=/c make\nENV A=b\n";
        assert_eq!(
            names(text),
            [
                "syntax docker/dockerfile:1",
                "from a:$V",
                "platform $BUILDPLATFORM",
                "copy b:1",
                "add https://h/f",
                "add $D",
                "add https://h/g",
                "checksum sha256:00",
                "copy c",
            ]
        );
        let other = text.replace("make", "other").replace("A=b", "A=c").replace("local", "another");
        assert_eq!(names(&other), names(text));
    }

    #[test]
    fn a_locked_step_is_outside() {
        let text = "FROM a\nRUN --network=locked make\n";
        assert_ne!(names(text), names(&text.replace("make", "other")));
        let is_locked = |text| super::has_locked_steps(&parse(&Source::new("Buildfile", text)).buildfile);
        assert!(is_locked(text) && !is_locked("FROM a\nRUN --network=default make\n"));
    }
}
