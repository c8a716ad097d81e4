use super::testing::{
    World, build_args, errors, errors_with, history, plan_with, target, target_with, try_lower,
};
use super::*;
use crate::oci::Platform;
use crate::plan::{ContextName, CopySource, Named, Op, TreeRef};

fn copies(stage: &Stage) -> Vec<&crate::plan::Copy> {
    let ops = stage.steps.iter().filter_map(|step| step.op.as_ref());
    ops.filter_map(|op| if let Op::Copy(copy) = op { Some(copy) } else { None }).collect()
}

fn runs(stage: &Stage) -> Vec<&crate::plan::Run> {
    let ops = stage.steps.iter().filter_map(|step| step.op.as_ref());
    ops.filter_map(|op| if let Op::Run(run) = op { Some(&**run) } else { None }).collect()
}

fn no_options() -> LowerOptions<'static> {
    LowerOptions::default()
}

#[test]
fn scratch_has_a_path_and_a_working_folder() {
    let stage = target("FROM scratch\n");
    assert_eq!(stage.base, Base::Scratch);
    assert_eq!(
        stage.config.config.env,
        ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
    );
    assert_eq!(stage.config.config.working_dir, "/");
    assert_eq!(stage.config.platform, Platform::default());
    assert_eq!(stage.config.rootfs.kind, "layers");
}

#[test]
fn a_base_images_config_is_kept_whole() {
    let mut world = World::default().with("alpine", r#"{"Env":["A=1"],"Cmd":["sh"],"Vendor":2,"User":"u"}"#);
    let stage = target_with("FROM alpine\nLABEL a=b\n", &no_options(), &mut world);
    let config = stage.config;
    assert!(matches!(stage.base, Base::Image(pinned) if pinned.name == "alpine"));
    assert_eq!((config.created, config.extra["vendor"].clone()), (None, 1.into()));
    assert_eq!(config.config.extra["Vendor"], 2);
    assert_eq!((config.config.user.as_str(), config.config.working_dir.as_str()), ("u", ""));
    assert_eq!(config.config.env[0], "A=1");
    assert!(config.config.env[1].starts_with("PATH="));
    assert_eq!((config.rootfs.diff_ids.len(), config.history.len()), (1, 1));
}

#[test]
fn stages_are_found_by_name_and_number() {
    let text = "FROM scratch AS First\nFROM first\nFROM scratch\nCOPY --from=FIRST a /\nCOPY --from=1 b /\n";
    let plan = plan_with(text, &no_options(), &mut World::default());
    assert_eq!(plan.stages[1].base, Base::Stage(StageId(0)));
    let from: Vec<_> = copies(&plan.stages[2]).iter().map(|copy| copy.from.clone()).collect();
    assert_eq!(from, [TreeRef::Stage(StageId(0)), TreeRef::Stage(StageId(1))]);
    assert_eq!(plan.needed(), [StageId(0), StageId(1), StageId(2)]);
}

#[test]
fn what_is_not_needed_is_not_resolved() {
    let text = "FROM missing.example/x AS a\nCOPY https://wrong /\nFROM scratch\nCOPY x /\n";
    let mut world = World::default();
    let plan = plan_with(text, &no_options(), &mut world);
    assert_eq!((plan.target, plan.needed()), (StageId(1), vec![StageId(1)]));
    assert!(plan.stages[0].steps.is_empty());
    assert_eq!(world.asked, [] as [&str; 0]);
}

#[test]
fn the_target_may_be_any_stage() {
    let text = "FROM scratch AS a\nENV X=1\nFROM scratch AS b-1\nFROM missing AS c\n";
    let by = |target: &str| {
        let options = LowerOptions { target: Some(target.into()), ..LowerOptions::default() };
        try_lower(text, &options, &mut World::default()).map(|(plan, _)| plan.target.0)
    };
    assert_eq!((by("A").unwrap(), by("b-1").unwrap()), (0, 1));
    let wrong = by("d").unwrap_err();
    assert_eq!(wrong[0].message, "target stage `d` could not be found");
    assert_eq!(wrong[0].help.as_deref(), Some("did you mean `a`?"));
    assert!(by("0").is_err() && by("7").is_err(), "stages have no numbers here");
}

#[test]
fn references_that_make_no_sense() {
    assert_eq!(
        errors("FROM scratch AS a\nCOPY --from=a x /\n"),
        ["2: circular dependency detected on stage: a"]
    );
    assert_eq!(
        errors("FROM scratch AS a\nCOPY --from=b x /\nFROM scratch AS b\nCOPY --from=a x /\n").len(),
        1
    );
    assert_eq!(
        errors("FROM scratch AS a\nCOPY --from=b x /\nFROM scratch AS b\nFROM a\n"),
        ["2: cannot copy from stage `b`, it needs to be defined before current stage `a`"]
    );
    assert_eq!(errors("FROM scratch\nCOPY --from=3 x /\n"), ["2: invalid stage index 3"]);
    assert_eq!(errors("FROM scratch\nCOPY --from=-1 x /\n"), ["2: invalid stage index -1"]);
    assert_eq!(errors("FROM ALPINE:latest\n").len(), 1);
    assert_eq!(errors("FROM scratch AS Base\nFROM BASE\n").len(), 1, "unlike `--from`, a base is lowercase");
    assert_eq!(errors("FROM scratch\nCOPY --from=Oth x /\n").len(), 1);
    assert_eq!(errors("FROM scratch\nCOPY <<a/b /\nx\na/b\n"), ["2: `a/b` can't be the name of a file"]);
    assert_eq!(errors("ARG B\nFROM $B\n"), ["2: base name ($B) should not be blank"]);
    assert_eq!(
        errors("FROM scratch AS builder\nFROM scratch\nCOPY --from=bulder a /\n"),
        ["3: no image `bulder` is at hand"]
    );
}

#[test]
fn several_errors_are_reported_at_once() {
    let text = "FROM scratch\nSTOPSIGNAL NOPE\nCOPY --chmod=9 a /\nEXPOSE x\n";
    assert_eq!(errors(text).len(), 3, "{:?}", errors(text));
}

#[test]
fn named_contexts_stand_in_for_stages_and_images() {
    let mut world = World::default()
        .context("base", Named::Image)
        .context("alpine", Named::Files)
        .context("tools", Named::Files)
        .context("scratch", Named::Files)
        .with("base", r#"{"User":"replaced"}"#);
    let text = "FROM missing AS base\nCOPY --from=gone x /\nFROM base\nCOPY --from=alpine:latest a /\nCOPY --from=tools b /\nFROM scratch\nCOPY --from=1 x /\nFROM alpine\nCOPY --from=2 x /\n";
    let plan = plan_with(text, &no_options(), &mut world);
    assert!(matches!(&plan.stages[0].base, Base::Image(pinned) if pinned.name == "base"));
    assert!(plan.stages[0].steps.is_empty());
    assert_eq!(plan.stages[1].base, Base::Stage(StageId(0)));
    assert_eq!(plan.stages[1].config.config.user, "replaced");
    let from: Vec<_> = copies(&plan.stages[1]).iter().map(|copy| copy.from.clone()).collect();
    let named = |name: &str| TreeRef::Context(ContextName::Named(name.into()));
    assert_eq!(from, [named("alpine:latest"), named("tools")]);
    assert_eq!(plan.stages[2].base, Base::Scratch);
    assert_eq!(plan.stages[3].base, Base::Files(ContextName::Named("alpine".into())));
}

#[test]
fn platforms_reach_bases_and_config() {
    let mut world = World::default().with("a", "{}");
    let options = LowerOptions { platform: "linux/arm/v6".parse().ok(), ..LowerOptions::default() };
    let text = "FROM a AS x\nFROM --platform=$BUILDPLATFORM a\nCOPY --from=x f /\nARG TARGETVARIANT\nENV V=$TARGETVARIANT\n";
    let (plan, found) = try_lower(text, &options, &mut world).unwrap();
    assert_eq!(world.asked, ["a linux/amd64", "a linux/arm/v6"]);
    assert_eq!(plan.stages[1].config.platform.to_string(), "linux/arm/v6");
    assert_eq!(plan.stages[0].config.platform.to_string(), "linux/amd64");
    assert_eq!(plan.stages[1].config.config.env("V"), Some("v6"));
    assert_eq!(found.iter().map(|d| d.code).collect::<Vec<_>>(), ["InvalidBaseImagePlatform"]);
    assert_eq!(
        errors("FROM --platform=$NOPE scratch\n"),
        ["1: empty platform value from expression `$NOPE`"]
    );
    assert_eq!(errors("FROM --platform=what scratch\n").len(), 1);
}

#[test]
fn arguments_have_scopes() {
    let text = "ARG A=1\nARG B=$A-b\nFROM scratch AS s\nENV X=$A\nARG A\nARG C=$A-c\nENV Y=$A$B Z=$C\nFROM s\nENV W=$A$B\n";
    let env = |options: &LowerOptions<'_>| {
        let stage = target_with(text, options, &mut World::default());
        ["X", "Y", "Z", "W"].map(|name| stage.config.config.env(name).unwrap().to_owned())
    };
    assert_eq!(env(&no_options()), ["", "1", "1-c", "1"]);
    assert_eq!(env(&build_args(&[("A", "x"), ("C", "y")])), ["", "x", "y", "x"]);
}

#[test]
fn the_last_of_env_and_arg_counts() {
    let stage = target(
        "FROM scratch\nARG A=arg\nENV A=env\nRUN x\nENV B=$A\nFROM scratch\nENV A=env\nARG A=arg\nRUN x\n",
    );
    assert_eq!(runs(&stage)[0].env[1..], ["A=arg"]);
    assert_eq!(stage.config.config.env[1..], ["A=env"]);
    assert_eq!(stage.steps[2].created_by, "RUN |1 A=arg /bin/sh -c x");
    let stage = target("FROM scratch AS a\nENV A=env\nARG A=arg\nFROM a\nRUN x\n");
    assert!(runs(&stage)[0].env.contains(&"A=env".to_owned()), "a stage begins with its base's environment");
}

#[test]
fn proxies_are_in_no_history_unless_declared() {
    let options = build_args(&[("HTTP_PROXY", "p"), ("no_proxy", "n")]);
    let (plan, found) =
        try_lower("FROM scratch\nRUN x\nARG no_proxy\nRUN y\n", &options, &mut World::default()).unwrap();
    assert!(found.is_empty(), "{found:?}");
    let runs = runs(&plan.stages[0]);
    assert_eq!(runs[0].proxies, ["HTTP_PROXY=p", "NO_PROXY=n", "http_proxy=p", "no_proxy=n"]);
    assert!(!runs[0].env.iter().any(|pair| pair.contains("_proxy=")));
    assert_eq!(plan.stages[0].steps[0].created_by, "RUN /bin/sh -c x");
    assert_eq!(plan.stages[0].steps[2].created_by, "RUN |1 no_proxy=n /bin/sh -c y");
}

#[test]
fn a_build_argument_that_nothing_declares_is_a_warning() {
    let options = build_args(&[("VERSIN", "1"), ("SOURCE_DATE_EPOCH", "2"), ("TARGETARCH", "x")]);
    let (_, found) = try_lower("FROM scratch\nARG VERSION\n", &options, &mut World::default()).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].code, "unused-build-arg");
    assert_eq!(found[0].help.as_deref(), Some("did you mean `VERSION`?"));
}

#[test]
fn the_epoch_is_an_argument_like_others() {
    let options = LowerOptions { source_date_epoch: "7".parse().ok(), ..LowerOptions::default() };
    let text = "FROM scratch\nARG SOURCE_DATE_EPOCH\n";
    let stage = target_with(text, &options, &mut World::default());
    assert_eq!(stage.steps[0].created_by, "ARG SOURCE_DATE_EPOCH=7");
    let parsed = crate::buildfile::parse(&crate::buildfile::Source::new(
        "f",
        "ARG SOURCE_DATE_EPOCH=5\nFROM scratch\n",
    ));
    assert_eq!(source_date_epoch(&parsed.buildfile, &no_options()).as_deref(), Some("5"));
    let given = build_args(&[("SOURCE_DATE_EPOCH", "6")]);
    assert_eq!(source_date_epoch(&parsed.buildfile, &given).as_deref(), Some("6"));
}

#[test]
fn labels_of_the_command_line_win_and_are_no_history() {
    let labels = [("a".to_owned(), "cli".to_owned())].into();
    let options = LowerOptions { labels, ..LowerOptions::default() };
    let plan = plan_with("FROM scratch AS x\nLABEL a=file b=2\nFROM x\n", &options, &mut World::default());
    assert_eq!(plan.stages[1].config.config.labels["a"], "cli");
    assert_eq!(plan.stages[0].config.config.labels["a"], "file");
    assert!(plan.stages[1].steps.is_empty());
}

#[test]
fn triggers_of_an_image_run_first_and_are_gone() {
    let mut world =
        World::default().with("base", r#"{"OnBuild":["COPY --from=tools x /bin/","ENV A=$B","ARG B=1"]}"#);
    let text = "FROM scratch AS tools\nFROM base\nENV C=$A\n";
    let plan = plan_with(text, &no_options(), &mut world);
    let stage = &plan.stages[1];
    let history: Vec<&str> = stage.steps.iter().map(|step| step.created_by.as_str()).collect();
    assert_eq!(history, ["COPY x /bin/", "ENV A=", "ARG B=1", "ENV C="]);
    assert_eq!(stage.steps[0].place.line, 2);
    assert_eq!(plan.needed(), [StageId(0), StageId(1)]);
    assert!(stage.config.config.on_build.is_empty());
}

#[test]
fn triggers_of_a_stage_run_in_those_that_begin_with_it() {
    let text = "FROM scratch AS a\nONBUILD COPY <<F /f\nONBUILD ENV A=1\nFROM a AS b\nFROM b\n";
    let text = text.replace("/f\n", "/f\nhello\nF\n");
    let plan = plan_with(&text, &no_options(), &mut World::default());
    assert_eq!(plan.stages[0].config.config.on_build, ["COPY <<F /f\nhello\nF", "ENV A=1"]);
    assert!(plan.stages[0].steps.is_empty());
    let CopySource::Inline { content, .. } = &copies(&plan.stages[1])[0].sources[0] else { panic!() };
    assert_eq!(content, b"hello\n");
    assert_eq!(plan.stages[1].config.config.env("A"), Some("1"));
    assert!(plan.stages[1].config.config.on_build.is_empty());
    assert!(plan.stages[2].steps.is_empty());
}

#[test]
fn a_wrong_trigger_is_reported_at_its_from() {
    let mut world = World::default().with("base", r#"{"OnBuild":["FOO x","STOPSIGNAL $NOPE"]}"#);
    let found = try_lower("FROM scratch AS a\nFROM base\n", &no_options(), &mut world).unwrap_err();
    let errors: Vec<_> = found.iter().filter(|d| d.is_error()).collect();
    assert_eq!(errors.len(), 2, "{found:?}");
    assert_eq!(errors[0].message, "unknown instruction: FOO");
    assert!(errors[0].notes[0].contains("ONBUILD FOO x"));
    assert_eq!(errors[0].span, errors[1].span);
}

#[test]
fn a_missing_image_is_asked_for_and_reported_once() {
    let mut world = World::default();
    let text = "FROM nope AS a\nFROM nope\nCOPY --from=a x /\nCOPY --from=nope y /\n";
    let found = errors_with(text, &no_options(), &mut world);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(world.asked, ["nope linux/amd64"]);
}

#[test]
fn long_chains_of_stages_need_no_stack() {
    let mut text = "FROM scratch AS s0\n".to_owned();
    for i in 1..3_000 {
        text.push_str(&format!("FROM s{} AS s{i}\n", i - 1));
    }
    assert_eq!(plan_with(&text, &no_options(), &mut World::default()).needed().len(), 3_000);
}

#[test]
fn history_of_simple_instructions() {
    let lines = "MAINTAINER me\nENV A=1 B=\"two words\"\nLABEL l=$A\nEXPOSE 90 80-81/UDP\nVOLUME /v $A\nUSER $A:g\nWORKDIR a\nSHELL [\"/bin/bash\", \"-c\"]\nCMD echo \"hi\"\nENTRYPOINT [\"/e\"]\nSTOPSIGNAL SIGTERM\nHEALTHCHECK --interval=90s CMD true\nARG C\nARG D=$A E\n";
    assert_eq!(
        history(lines),
        [
            "MAINTAINER me",
            "ENV A=1 B=two words",
            "LABEL l=1",
            "EXPOSE [80/udp 81/udp 90/tcp]",
            "VOLUME [/v 1]",
            "USER 1:g",
            "WORKDIR /a",
            "SHELL [/bin/bash -c]",
            r#"CMD ["/bin/bash" "-c" "echo \"hi\""]"#,
            r#"ENTRYPOINT ["/e"]"#,
            "STOPSIGNAL SIGTERM",
            "HEALTHCHECK {Test:[CMD-SHELL true] Interval:1m30s Timeout:0s StartPeriod:0s StartInterval:0s Retries:0}",
            "ARG C",
            "ARG D=1 E",
        ]
    );
}

mod soup {
    use proptest::prelude::*;

    use super::*;
    use crate::buildfile::{Source, check, parse};

    /// Lines made of words that mean something, in any order.
    fn file() -> impl Strategy<Value = String> {
        let keyword = proptest::sample::select(vec![
            "FROM",
            "COPY",
            "ADD",
            "RUN",
            "ENV",
            "ARG",
            "LABEL",
            "EXPOSE",
            "VOLUME",
            "USER",
            "WORKDIR",
            "CMD",
            "SHELL",
            "ENTRYPOINT",
            "ONBUILD COPY",
            "ONBUILD ENV",
            "STOPSIGNAL",
            "HEALTHCHECK CMD",
            "HEALTHCHECK",
            "MAINTAINER",
        ]);
        let word = proptest::sample::select(vec![
            "scratch",
            "AS",
            "a",
            "b",
            "0",
            "1",
            "--from=a",
            "--from=0",
            "--from=b",
            "--platform=$TARGETPLATFORM",
            "A=1",
            "B=$A",
            "$A",
            "${B:-x}",
            "${A?no}",
            "/",
            "a/",
            "..",
            "https://h/x",
            "https://h/x.git#r:d",
            "<<E",
            "[\"x\"]",
            "NONE",
            "80",
            "1-2/udp",
            "x:1:2",
            "u:g",
            "SIGTERM",
            "--chmod=u+x",
            "--chown=$A",
            "image",
            "--mount=type=cache,target=$A",
            "--mount=from=a,target=/x",
            "--checksum=sha256:0",
            "\\",
            "'",
            "\"",
        ]);
        let line = (keyword, proptest::collection::vec(word, 0..4))
            .prop_map(|(keyword, words)| format!("{keyword} {}\n", words.join(" ")));
        proptest::collection::vec(line, 0..12)
            .prop_map(|lines| format!("FROM scratch AS a\n{}E\n", lines.concat()))
    }

    proptest! {
        #[test]
        fn any_file_gives_a_plan_or_errors_and_the_same_twice(text in file(), target in proptest::option::of("[ab01]")) {
            let source = Source::new("f", text.as_str());
            let parsed = parse(&source);
            let options = LowerOptions { target, ..build_args(&[("A", "given"), ("https_proxy", "p")]) };
            let once = || {
                let mut world = World::default().with("image", r#"{"OnBuild":["COPY --from=a x $A","BAD"]}"#);
                format!("{:?}", lower(&parsed.buildfile, &options, &mut world))
            };
            prop_assert_eq!(once(), once());
            for diagnostic in check::check(&parsed, &options, None) {
                let text = source.text().get(diagnostic.span.start..diagnostic.span.end);
                prop_assert!(diagnostic.span.is_none() || text.is_some(), "{:?}", diagnostic);
            }
            if let Ok((plan, _)) = lower(&parsed.buildfile, &options, &mut World::default()) {
                for id in plan.needed() {
                    prop_assert!(plan.stage(id).stages_used().iter().all(|used| *used < id));
                }
            }
        }
    }
}
