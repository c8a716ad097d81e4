use super::*;
use crate::buildfile::instruction::{
    Run,
    tests::{errors, parsed},
};

fn flag(value: &str) -> MountFlag {
    parsed::<Run>(&format!("RUN --mount={value} a")).mounts.remove(0)
}

fn resolve(value: &str) -> Result<Mount, String> {
    flag(value).resolve(&mut |word| Ok(word.text.replace("$v", "cache"))).map_err(|diagnostic| {
        let help = diagnostic.help.map(|help| format!("; {help}")).unwrap_or_default();
        diagnostic.message + &help
    })
}

#[test]
fn types_and_their_defaults() {
    for (value, kind, read_only) in [
        ("target=/a", MountKind::Bind, true),
        ("type=bind,dst=/a,rw", MountKind::Bind, false),
        ("type=bind,destination=/a,readwrite=false", MountKind::Bind, true),
        ("type=CACHE,target=/a", MountKind::Cache, false),
        ("type=$v,target=/a,ro", MountKind::Cache, true),
        ("type=tmpfs,target=/a", MountKind::Tmpfs, false),
        ("type=secret,id=a", MountKind::Secret, true),
        ("type=ssh", MountKind::Ssh, true),
    ] {
        let mount = resolve(value).unwrap();
        assert_eq!((mount.kind, mount.read_only), (kind, read_only), "{value}");
    }
}

#[test]
fn all_keys() {
    let mount =
        resolve("type=cache,id=i,target=/a,from=b,source=c,sharing=Locked,mode=0750,uid=1,gid=2").unwrap();
    assert_eq!((&*mount.id, &*mount.target, &*mount.from, &*mount.source), ("i", "/a", "b", "c"));
    assert_eq!((mount.sharing, mount.mode), (Some(Sharing::Locked), Some(0o750)));
    assert_eq!((mount.uid, mount.gid), (Some(1), Some(2)));
    let mount = resolve("type=secret,src=a,env=B,required").unwrap();
    assert_eq!((mount.env.as_deref(), mount.required), (Some("B"), true));
    assert_eq!(resolve("type=tmpfs,target=/a,size=1.5g").unwrap().size, Some(3 << 29));
    assert!(!resolve("TYPE=ssh,Required=0").unwrap().required);
}

#[test]
fn errors_of_values() {
    for (value, expected) in [
        ("type=bnd", "unsupported mount type `bnd`; did you mean `bind`?"),
        ("type=", "unsupported mount type ``"),
        ("type=cache,sharing=lock", "unsupported sharing value `lock`; did you mean `locked`?"),
        ("tagret=/a", "unexpected key `tagret`; did you mean `target`?"),
        ("what", "invalid field `what` must be a `key=value` pair"),
        ("required,type=secret", "unexpected key `required` for mount type `bind`"),
        ("type=cache,size=1", "unexpected key `size` for mount type `cache`"),
        ("type=tmpfs,size=x", "invalid value for `size`: `x`"),
        ("ro=x", "invalid value for `ro`: `x`"),
        ("type=cache,mode=8", "invalid value for `mode`: `8`"),
        ("type=cache,uid=+1", "invalid value for `uid`: `+1`"),
        ("type=cache,uid=4294967296", "invalid value for `uid`: `4294967296`"),
        ("mode=0", "mode not allowed for `bind` type mounts"),
        ("type=tmpfs,gid=0", "gid not allowed for `tmpfs` type mounts"),
        ("type=secret", "invalid secret mount, one of source, target required"),
        ("type=secret,id=a,src=b", "both source and id can't be set"),
        ("type=secret,id=a,from=b", "secret mount should not have a from"),
        ("type=secret,id=a,sharing=shared", "secret mount should not define sharing"),
        ("type=ssh,sharing=shared", "invalid cache sharing set for ssh mount"),
    ] {
        assert_eq!(resolve(value).unwrap_err(), expected, "{value}");
    }
}

#[test]
fn quoted_fields_may_hold_commas() {
    let texts = |value: &str| {
        flag(value).fields.into_iter().map(|field| field.value.unwrap().text).collect::<Vec<_>>()
    };
    assert_eq!(texts(r#"\"source=a,b\",target=c"#), ["a,b", "c"]);
    assert_eq!(texts(r#"\"source=a\"\"b\""#), ["a\"b"]);
}

#[test]
fn errors_of_parsing() {
    let from = "`from` doesn't support variable expansion";
    assert_eq!(errors("RUN --mount=from=$a,target=/b x"), [from]);
    assert_eq!(resolve("from=a$,target=/b").unwrap().from, "a$");
    assert_eq!(errors("RUN --mount= x"), ["the value is empty"]);
    assert_eq!(errors("RUN --mount=a\\\"b x"), ["a quote in a comma-separated value is out of place"]);
}

#[test]
fn fields_have_places() {
    let line = "RUN --mount=type=cache,target=/a x";
    let mount = parsed::<Run>(line).mounts.remove(0);
    let span = mount.fields[1].value.as_ref().unwrap().span;
    assert_eq!(&line[span.start..span.end], "/a");
}
