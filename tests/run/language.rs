//! Each part of the language: forms, shells, heredocs, users, folders, environment.

use super::{build, changes, text, world};

#[test]
fn forms_and_shells() {
    let Some(world) = world("RUN's forms") else { return };
    let image = build(
        &world,
        "FROM bb\nRUN echo \"a  b\" '$c' > /shell\nRUN [\"/bin/sh\", \"-c\", \"echo $0 > /exec\", \"zero\"]\n\
         SHELL [\"/bin/sh\", \"-ec\"]\nRUN true; echo $- > /flags\n",
        &[],
    );
    assert_eq!(text(&image, "shell"), "a  b $c\n");
    assert_eq!(text(&image, "exec"), "zero\n");
    assert!(text(&image, "flags").contains('e'));
}

#[test]
fn heredocs() {
    let Some(world) = world("heredocs of RUN") else { return };
    let image = build(
        &world,
        "FROM bb\nARG V=v\nRUN <<EOF\necho $V > /plain\necho two >> /plain\nEOF\n\
         RUN <<'X'\n#!/bin/sh -e\necho \"$0 $V\" > /script\nX\n\
         RUN <<E\n#!/bin/awk -f\nBEGIN { print \"awk\" > \"/awk\" }\nE\n\
         RUN cat <<A > /piped\nline\nA\n",
        &[],
    );
    assert_eq!(text(&image, "plain"), "v\ntwo\n");
    assert_eq!(text(&image, "script"), "/dev/pipes/X v\n");
    assert_eq!(text(&image, "awk"), "awk\n");
    assert_eq!(text(&image, "piped"), "line\n");
    let left: Vec<_> = changes(&image).into_keys().collect();
    assert_eq!(left, ["awk", "piped", "plain", "script"], "nothing of /dev is left");
}

#[test]
fn users_are_the_images() {
    let Some(world) = world("USER") else { return };
    let image = build(
        &world,
        "FROM bb\nWORKDIR /w\nRUN chmod 777 .\nUSER bob\nRUN id -u > 1; id -g >> 1; id -G >> 1; echo $HOME >> 1\n\
         USER bob:staff\nRUN id -G > 2\nUSER 777\nRUN id -u > 3; id -g >> 3; echo $HOME >> 3\n\
         USER 5:6\nENV HOME=/mine\nRUN id -G > 4; echo $HOME >> 4\nRUN touch mine\n",
        &[],
    );
    assert_eq!(text(&image, "w/1"), "1000\n1001\n1001 50\n/home/bob\n");
    assert_eq!(text(&image, "w/2"), "50\n");
    assert_eq!(text(&image, "w/3"), "777\n0\n/\n");
    assert_eq!(text(&image, "w/4"), "6\n/mine\n");
    assert_eq!(changes(&image)["w/mine"].owner, (5, 6));
    let error = super::fails(&world, "FROM bb\nUSER alice\nRUN true\n", &[]);
    assert!(error.contains("the image has no user `alice`"), "{error}");
}

#[test]
fn the_environment_is_the_buildfiles() {
    let Some(world) = world("the environment of RUN") else { return };
    let buildfile = "FROM bb\nENV A=1 B=\"x y\"\nARG C=3\nARG D\nENV A=2\nRUN env | sort > /env\n";
    let image = build(&world, buildfile, &["--build-arg", "D=four", "--build-arg", "E=no"]);
    assert_eq!(
        text(&image, "env"),
        "A=2\nB=x y\nC=3\nD=four\nHOME=/root\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n\
         PWD=/\nSHLVL=1\nSOURCE_DATE_EPOCH=0\n"
    );
    let proxy = ["--build-arg", "HTTP_PROXY=http://p"];
    let image = build(&world, "FROM bb\nRUN env | grep -i proxy | sort > /p\n", &proxy);
    assert_eq!(text(&image, "p"), "HTTP_PROXY=http://p\nhttp_proxy=http://p\n");
    assert!(!image.config.to_string().contains("http://p"), "{}", image.config);
    let image = build(&world, "FROM bb\nRUN echo $SOURCE_DATE_EPOCH > /e\n", &["--source-date-epoch", "77"]);
    assert_eq!(text(&image, "e"), "77\n");
}

#[test]
fn the_working_folder_is_there() {
    let Some(world) = world("WORKDIR before RUN") else { return };
    let image = build(
        &world,
        "FROM bb\nWORKDIR /a/b\nRUN pwd > p; echo x > ../y\nWORKDIR /gone\nRUN rmdir /gone\nUSER 5:6\nRUN pwd > p\n",
        &[],
    );
    assert_eq!(text(&image, "a/b/p"), "/a/b\n");
    assert_eq!(text(&image, "gone/p"), "/gone\n");
    assert_eq!(changes(&image)["gone/"].owner, (5, 6));
}

#[test]
fn what_a_step_changed_is_its_layer() {
    let Some(world) = world("the changes of RUN") else { return };
    let image = build(
        &world,
        "FROM bb\nRUN true\nRUN mkdir -p /d/e; echo x > /d/e/g; echo y > /d/h; ln /d/h /d/i; ln -s /d /l\n\
         RUN cat /d/h; chmod 755 /d; touch /d/h\nRUN rm -r /d/e; chmod 4755 /d/h; mkfifo /p\n",
        &[],
    );
    let paths = |layer: usize| -> Vec<String> {
        image.layers[layer].entries.iter().map(|e| format!("{}{}", e.kind, e.path)).collect()
    };
    assert_eq!(image.layers.len(), 3, "neither `true` nor a look makes a layer");
    assert_eq!(paths(1), ["dd/", "dd/e/", "-d/e/g", "-d/h", "hd/i", "ll"]);
    assert_eq!(paths(2), ["-d/.wh.e", "-d/h", "pp"]);
    let empty: Vec<bool> = image.config["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["empty_layer"].as_bool().unwrap_or(false))
        .collect();
    assert_eq!(empty, [false, true, false, true, false]);
    assert!(image.layers.iter().flat_map(|layer| &layer.entries).all(|entry| entry.mtime == 0));
}

#[test]
fn stages_take_from_steps() {
    let Some(world) = world("COPY --from of a RUN stage") else { return };
    let image = build(
        &world,
        "FROM bb AS build\nRUN mkdir /o; echo made > /o/f; ln -s f /o/l\nFROM bb AS unused\nRUN false\n\
         FROM bb\nCOPY --from=build /o /p\nRUN --mount=from=build,target=/m cat /m/o/f /p/l > /both\n",
        &[],
    );
    assert_eq!(text(&image, "p/f"), "made\n");
    assert_eq!(text(&image, "both"), "made\nmade\n");
    assert!(!changes(&image).contains_key("m/"));
}

#[test]
fn onbuild_runs_in_the_next_build() {
    let Some(world) = world("ONBUILD RUN") else { return };
    build(&world, "FROM bb\nONBUILD RUN echo then > /then\n", &["-t", "base"]);
    let image = build(&world, "FROM base\n", &["--build-context", "base=docker-image://base"]);
    assert_eq!(text(&image, "then"), "then\n");
}
