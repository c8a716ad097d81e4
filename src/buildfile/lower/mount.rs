//! `RUN --mount`: from a mount as meant to one of the plan, whose trees, places and defaults are all known.

use super::{path, stage::StageBuilder};
use crate::buildfile::{
    diagnostic::Diagnostic,
    instruction::{Mount, MountFlag, MountKind},
};
use crate::plan::{self, ContextName, TreeRef};

impl MountFlag {
    /// `ssh` is the number of ssh mounts before this one.
    pub(in crate::buildfile) fn lower(
        &self,
        cx: &mut StageBuilder<'_, '_>,
        ssh: usize,
    ) -> Result<plan::Mount, Diagnostic> {
        let mount = self.resolve(&mut |word| cx.expand(word))?;
        let from = self.from(&mount, cx)?;
        let wrong = |message: String| Err(Diagnostic::error("mount", self.word.span, message));
        let (uid, gid) = (mount.uid.unwrap_or(0), mount.gid.unwrap_or(0));
        let mode = |default| mount.mode.map_or(default, |mode| (mode & 0o7777) as u16);
        let (kind, target) = match mount.kind {
            MountKind::Bind => {
                let from = from.unwrap_or(TreeRef::Context(ContextName::Main));
                (plan::MountKind::Bind { from, source: path::join("/", &mount.source) }, None)
            }
            MountKind::Cache => (
                plan::MountKind::Cache {
                    id: if mount.id.is_empty() { path::clean(&mount.target) } else { mount.id.clone() },
                    from,
                    source: path::join("/", &mount.source),
                    sharing: mount.sharing.unwrap_or_default(),
                    mode: mode(0o755),
                    uid,
                    gid,
                },
                None,
            ),
            MountKind::Tmpfs => {
                let size = mount.size.and_then(|size| u64::try_from(size).ok()).filter(|size| *size > 0);
                (plan::MountKind::Tmpfs { size }, None)
            }
            MountKind::Secret => {
                let (kind, target) = secret(&mount, mode(0o400));
                (kind, Some(target))
            }
            MountKind::Ssh => {
                if !mount.source.is_empty() {
                    return wrong("ssh does not support source".to_owned());
                }
                let id = if mount.id.is_empty() { "default".to_owned() } else { mount.id.clone() };
                let target = Some(mount.target.clone()).filter(|target| !target.is_empty());
                let target = target.unwrap_or_else(|| format!("/run/buildkit/ssh_agent.{ssh}"));
                let kind = plan::MountKind::Ssh { id, required: mount.required, mode: mode(0o600), uid, gid };
                (kind, Some(path::join("/", &target)))
            }
        };
        let target = target.unwrap_or_else(|| path::join(&cx.workdir(), &mount.target));
        if target == "/" {
            return wrong(format!("invalid mount target `{}`", mount.target));
        }
        Ok(plan::Mount { kind, target, read_only: mount.read_only })
    }

    /// The tree to mount; the other kinds of mounts have none.
    fn from(&self, mount: &Mount, cx: &mut StageBuilder<'_, '_>) -> Result<Option<TreeRef>, Diagnostic> {
        let field = self.fields.iter().rev().find(|field| field.key.text.eq_ignore_ascii_case("from"));
        match field.and_then(|field| field.value.as_ref()) {
            Some(word)
                if !mount.from.is_empty() && matches!(mount.kind, MountKind::Bind | MountKind::Cache) =>
            {
                cx.origin(word, false).map(Some)
            }
            _ => Ok(None),
        }
    }
}

/// A secret and the file that it is seen as.
fn secret(mount: &Mount, mode: u16) -> (plan::MountKind, String) {
    let ids = [&mount.source, &mount.id].into_iter().find(|id| !id.is_empty());
    let id = ids.cloned().unwrap_or_else(|| path::base(&mount.target).to_owned());
    let target = if mount.target.is_empty() {
        format!("/run/secrets/{}", path::base(&id))
    } else {
        path::join("/", &mount.target)
    };
    let env = mount.env.as_ref().map(|name| if name.is_empty() { id.clone() } else { name.clone() });
    let kind = plan::MountKind::Secret {
        // A variable alone, unless a place for a file is given too.
        file: env.is_none() || !mount.target.is_empty(),
        id,
        required: mount.required,
        mode,
        uid: mount.uid.unwrap_or(0),
        gid: mount.gid.unwrap_or(0),
        env,
    };
    (kind, target)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buildfile::lower::{
        LowerOptions,
        testing::{World, errors, target_with},
    };
    use crate::oci::{Digest, Pinned};
    use crate::plan::{Named, Op, StageId};

    fn lowered(flags: &str) -> Vec<plan::Mount> {
        let mut world = World::default().context("files", Named::Files).with("image", "{}");
        let text = format!("FROM scratch AS s\nFROM scratch\nARG V=val\nWORKDIR /w\nRUN {flags} x\n");
        let mut stage = target_with(&text, &LowerOptions::default(), &mut world);
        let Some(Op::Run(run)) = stage.steps.pop().unwrap().op else { panic!("{flags}") };
        run.mounts
    }

    #[test]
    fn binds_take_their_tree_from_anywhere() {
        let from = |from: &str| match lowered(&format!("--mount=target=/a{from}")).remove(0).kind {
            plan::MountKind::Bind { from, source } => (from, source),
            other => panic!("{other:?}"),
        };
        assert_eq!(from(""), (TreeRef::Context(ContextName::Main), "/".into()));
        assert_eq!(from(",from=S,source=../x/$V"), (TreeRef::Stage(StageId(0)), "/x/val".into()));
        assert_eq!(from(",from=files").0, TreeRef::Context(ContextName::Named("files".into())));
        let pinned = Pinned { name: "image".into(), digest: Digest::of(b"image") };
        assert_eq!(from(",from=image").0, TreeRef::Image(pinned));
        assert_eq!(from(",from=scratch").0, TreeRef::Empty);
    }

    #[test]
    fn targets_are_absolute() {
        let target = |target: &str| lowered(&format!("--mount={target}")).remove(0);
        assert_eq!(target("target=/a/../b/").target, "/b");
        assert_eq!(target("target=$V,rw").target, "/w/val");
        assert!(!target("target=a,rw").read_only && target("target=a").read_only);
        assert_eq!(target("source=x").target, "/w");
        assert_eq!(
            errors("FROM scratch\nRUN --mount=type=tmpfs,target=/ x\n"),
            ["2: invalid mount target `/`"]
        );
        assert_eq!(errors("FROM scratch\nRUN --mount=source=x x\n").len(), 1);
    }

    #[test]
    fn caches_are_known_by_their_target() {
        let [plain, full] = lowered(
            "--mount=type=cache,target=a//b --mount=type=cache,target=/c,id=$V,from=s,source=d,sharing=locked,uid=1,gid=2,mode=0700",
        )
        .try_into()
        .unwrap();
        let kind = plan::MountKind::Cache {
            id: "a/b".into(),
            from: None,
            source: "/".into(),
            sharing: plan::Sharing::Shared,
            mode: 0o755,
            uid: 0,
            gid: 0,
        };
        assert_eq!((plain.kind, plain.target.as_str(), plain.read_only), (kind, "/w/a/b", false));
        let kind = plan::MountKind::Cache {
            id: "val".into(),
            from: Some(TreeRef::Stage(StageId(0))),
            source: "/d".into(),
            sharing: plan::Sharing::Locked,
            mode: 0o700,
            uid: 1,
            gid: 2,
        };
        assert_eq!(full.kind, kind);
    }

    #[test]
    fn secrets_are_files_unless_they_are_variables_only() {
        let secret = |fields: &str| {
            let mount = lowered(&format!("--mount=type=secret,{fields}")).remove(0);
            let plan::MountKind::Secret { id, env, file, required, mode, .. } = mount.kind else { panic!() };
            (id, mount.target, env, file, required, mode)
        };
        let text = |text: &str| text.to_owned();
        assert_eq!(secret("id=a/k"), (text("a/k"), text("/run/secrets/k"), None, true, false, 0o400));
        assert_eq!(
            secret("target=/x/y,required,mode=0440"),
            (text("y"), text("/x/y"), None, true, true, 0o440)
        );
        let (id, target, ..) = secret("source=s,dst=rel");
        assert_eq!((id.as_str(), target.as_str()), ("s", "/rel"));
        let (_, _, env, file, ..) = secret("id=k,env=E");
        assert_eq!((env.as_deref(), file), (Some("E"), false));
        let (_, _, env, file, ..) = secret("id=k,env=,target=/f");
        assert_eq!((env.as_deref(), file), (Some("k"), true));
    }

    #[test]
    fn ssh_sockets_are_numbered() {
        let mounts =
            lowered("--mount=type=ssh --mount=type=tmpfs,target=/t,size=1k --mount=type=ssh,id=x,uid=5");
        let targets: Vec<_> = mounts.iter().map(|mount| mount.target.as_str()).collect();
        assert_eq!(targets, ["/run/buildkit/ssh_agent.0", "/t", "/run/buildkit/ssh_agent.1"]);
        assert_eq!(mounts[1].kind, plan::MountKind::Tmpfs { size: Some(1024) });
        let kind = plan::MountKind::Ssh { id: "x".into(), required: false, mode: 0o600, uid: 5, gid: 0 };
        assert_eq!(mounts[2].kind, kind);
        assert_eq!(
            errors("FROM scratch\nRUN --mount=type=ssh,source=x x\n"),
            ["2: ssh does not support source"]
        );
    }

    #[test]
    fn a_later_stage_cannot_be_mounted() {
        let text = "FROM scratch AS a\nRUN --mount=from=b,target=/b x\nFROM scratch AS b\nFROM a\n";
        let expected = "2: cannot copy from stage `b`, it needs to be defined before current stage `a`";
        assert_eq!(errors(text), [expected]);
    }
}
