//! A plan as readable text, for goldens.

use std::fmt::Write as _;

use lith::oci::{ImageConfig, Pinned};
use lith::plan::{
    Base, Command, ContextName, Copy, CopySource, Mount, MountKind, Op, Owner, Pin, Plan, Run, Stage,
    StageId, TreeRef,
};

pub(super) fn plan(plan: &Plan) -> String {
    let mut out = String::new();
    for id in plan.needed() {
        let target = if id == plan.target { ", the target" } else { "" };
        let stage = plan.stage(id);
        let name = stage.name.as_deref().unwrap_or("-");
        writeln!(out, "stage {} {name} from {}{target}", id.0, base(&stage.base)).expect("to a string");
        steps(stage, &mut out);
        config(&stage.config, &mut out);
    }
    out
}

fn steps(stage: &Stage, out: &mut String) {
    for step in &stage.steps {
        let text = step.created_by.replace('\n', "\\n");
        writeln!(out, "  line {}: {text}", step.place.line).expect("to a string");
        let op = match &step.op {
            None => continue,
            Some(Op::Copy(op)) => copy(op),
            Some(Op::Run(op)) => run(op),
            Some(Op::Mkdir(op)) => vec![format!("mkdir {}{}", op.path, owner(op.owner.as_ref()))],
        };
        for line in op {
            writeln!(out, "    {}", line.replace('\n', "\\n")).expect("to a string");
        }
    }
}

fn copy(copy: &Copy) -> Vec<String> {
    let mut lines = vec![format!(
        "copy from {} to {}{}{}{}{}{}",
        tree(&copy.from),
        copy.dest,
        if copy.into_folder { " (a folder)" } else { "" },
        owner(copy.owner.as_ref()),
        copy.mode.as_ref().map_or(String::new(), |mode| format!(", mode {}", mode_text(mode))),
        if copy.link { ", link" } else { "" },
        if copy.parents { ", parents" } else { "" },
    )];
    lines[0].push_str(&format!(", unpack {:?}", copy.unpack).to_lowercase());
    lines.extend(copy.sources.iter().map(|item| format!("  {}", source(item))));
    lines.extend(copy.exclude.iter().map(|pattern| format!("  without {pattern}")));
    lines
}

/// Of a symbolic mode, what it makes of a few.
fn mode_text(mode: &lith::plan::ModeChange) -> String {
    let of = |old, is_dir| format!("{:04o}", mode.apply(old, is_dir));
    mode.absolute().map_or_else(
        || format!("0644→{} 0755→{} 0755/→{}", of(0o644, false), of(0o755, false), of(0o755, true)),
        |mode| format!("{mode:04o}"),
    )
}

fn source(source: &CopySource) -> String {
    match source {
        CopySource::Pattern(pattern) => format!("pattern {pattern}"),
        CopySource::Inline { name, content } => {
            format!("inline {name} {:?}", String::from_utf8_lossy(content))
        }
        CopySource::Url(url) => format!("url {} {}", url.url, pin(&url.digest)),
        CopySource::Git(git) => format!(
            "git {} ref {} folder {} {}{}{}",
            git.remote,
            git.reference.as_deref().unwrap_or("-"),
            git.subdir.as_deref().unwrap_or("-"),
            pin(&git.commit),
            if git.keep_git_dir { ", .git" } else { "" },
            if git.submodules { ", submodules" } else { "" },
        ),
    }
}

fn pin<T: ToString>(pin: &Pin<T>) -> String {
    match pin {
        Pin::Pinned(value) => format!("is {}", value.to_string()),
        Pin::Unpinned => "is not pinned".to_owned(),
    }
}

fn run(run: &Run) -> Vec<String> {
    let mut lines = vec![match &run.command {
        Command::Exec(words) => format!("run {words:?}"),
        Command::Shell { shell, script } => format!("run {shell:?} {script:?}"),
        Command::Script { name, content } => format!("run script {name} {content:?}"),
    }];
    let user = if run.user.is_empty() { "root" } else { &run.user };
    lines.push(format!(
        "  in {} as {user}, network {:?}, security {:?}",
        run.workdir, run.network, run.security
    ));
    lines.extend(run.env.iter().map(|pair| format!("  env {pair}")));
    lines.extend(run.proxies.iter().map(|pair| format!("  proxy {pair}")));
    lines.extend(run.mounts.iter().map(|item| format!("  mount {}", mount(item))));
    lines
}

fn mount(mount: &Mount) -> String {
    let access = if mount.read_only { "read-only" } else { "read-write" };
    let kind = match &mount.kind {
        MountKind::Bind { from, source } => format!("bind {source} of {}", tree(from)),
        MountKind::Cache { id, from, source, sharing, mode, uid, gid } => {
            let from = from.as_ref().map_or("nothing".to_owned(), tree);
            format!("cache {id} {sharing:?}, {source} of {from}, {mode:04o} {uid}:{gid}")
        }
        MountKind::Tmpfs { size } => format!("tmpfs size {size:?}"),
        MountKind::Secret { id, required, mode, uid, gid, env, file } => {
            format!("secret {id} required {required}, file {file} {mode:04o} {uid}:{gid}, env {env:?}")
        }
        MountKind::Ssh { id, required, mode, uid, gid } => {
            format!("ssh {id} required {required}, {mode:04o} {uid}:{gid}")
        }
    };
    format!("{} {access}: {kind}", mount.target)
}

fn owner(owner: Option<&Owner>) -> String {
    owner.map_or(String::new(), |owner| {
        format!(", owner {}:{}", owner.user, owner.group.as_deref().unwrap_or("-"))
    })
}

fn base(base: &Base) -> String {
    match base {
        Base::Scratch => "scratch".to_owned(),
        Base::Stage(StageId(id)) => format!("stage {id}"),
        Base::Image(Pinned { name, .. }) => format!("image {name}"),
        Base::Files(name) => context(name),
    }
}

fn tree(tree: &TreeRef) -> String {
    match tree {
        TreeRef::Context(name) => context(name),
        TreeRef::Stage(StageId(id)) => format!("stage {id}"),
        TreeRef::Image(Pinned { name, .. }) => format!("image {name}"),
        TreeRef::Empty => "nothing".to_owned(),
    }
}

fn context(name: &ContextName) -> String {
    match name {
        ContextName::Main => "the context".to_owned(),
        ContextName::Named(name) => format!("the context {name}"),
    }
}

fn config(config: &ImageConfig, out: &mut String) {
    let text = serde_json::to_string_pretty(config).expect("a config is JSON");
    for line in text.lines() {
        writeln!(out, "  {line}").expect("to a string");
    }
}
