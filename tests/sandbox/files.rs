//! Root file systems written, read and removed by whoever may.

use lith::oci::Epoch;
use lith::sandbox::{Step, User};
use lith::store::Store;
use lith::tree::Tree;

use super::ground::{Ground, names};

super::cases! { what_a_step_did_comes_back anything_is_removed a_flat_root_file_system }

fn what_a_step_did_comes_back(ground: &Ground) {
    let store = Store::open(&ground.path("store")).unwrap();
    let mut step = ground.script(
        "mkdir -p /new/deep; echo content > /new/deep/f; chmod 600 /new/deep/f; ln /new/deep/f /new/g; \
         ln -s f /new/l; rm /work/below; mkdir /new/closed; chmod 0 /new/closed; echo x > /new/unread; chmod 0 /new/unread",
    );
    if !ground.is_single() {
        step.args[2].extend_from_slice(b"; chown 1000:1001 /new/deep/f /new/unread");
    }
    ground.sandbox.prepare(&step.upper, &Tree::default(), Epoch::ZERO).unwrap();
    let ran = ground.run(&step);
    assert!(ran.exit.success(), "{ran:?}");
    let changes = ground.sandbox.collect(&step.upper, Epoch::ZERO, &store).unwrap();
    let show = |(path, node): (&lith::tree::ImagePath, &lith::tree::Node)| {
        format!("{} {:o} {}:{}", path.display(), node.meta.mode, node.meta.uid, node.meta.gid)
    };
    let puts: Vec<String> = changes.puts.iter().map(show).collect();
    let owner = if ground.is_single() { "0:0" } else { "1000:1001" };
    let expected = [
        "/ 755 0:0".to_owned(),
        "/new 755 0:0".into(),
        "/new/closed 0 0:0".into(),
        "/new/deep 755 0:0".into(),
        format!("/new/deep/f 600 {owner}"),
        format!("/new/g 600 {owner}"),
        "/new/l 777 0:0".into(),
        format!("/new/unread 0 {owner}"),
        "/work 755 0:0".into(),
    ];
    assert_eq!(puts, expected);
    let whiteouts: Vec<String> = changes.whiteouts.iter().map(ToString::to_string).collect();
    assert_eq!(whiteouts, ["work/below"]);
    // And back: the changes unpacked are a layer that the next step stands on.
    let layer = ground.folder("layer");
    assert!(ground.sandbox.unpack(&changes, &layer).unwrap().is_empty());
    let mut next = ground
        .script("cat /new/deep/f /new/g /new/unread; readlink /new/l; stat -c %u /new/unread; ls /work");
    next.lowers.push(layer);
    let uid = owner.split(':').next().unwrap();
    assert_eq!(ground.ok(&next), format!("content\ncontent\nx\nf\n{uid}\n"));
}

fn anything_is_removed(ground: &Ground) {
    let step =
        ground.script("mkdir -p /a/b/c; echo > /a/b/f; chmod -R 0 /a; [ $(id -u) != 0 ] || chown 0:0 /a");
    ground.ok(&step);
    if !ground.is_single() {
        let user = User { uid: 4321, gid: 4321, groups: Vec::new() };
        let step =
            Step { upper: step.upper.clone(), user, ..ground.script("mkdir -p /tmp/x/y; chmod 0 /tmp/x") };
        std::fs::set_permissions(
            ground.root().join("tmp"),
            std::os::unix::fs::PermissionsExt::from_mode(0o1777),
        )
        .unwrap();
        ground.run(&step);
    }
    for folder in [&step.upper, &step.scratch] {
        ground.sandbox.remove(folder).unwrap();
        assert!(!folder.exists());
        ground.sandbox.remove(folder).unwrap();
    }
    assert!(ground.root().join("work/below").exists());
}

fn a_flat_root_file_system(ground: &Ground) {
    let flat = ground.folder("flat");
    assert!(ground.sandbox.flatten(&[&ground.root()], &flat).unwrap().is_empty());
    let mut step = ground.script("echo x > /work/new; rm /work/below; cat /etc/hosts | wc -l; ls /");
    step.flat = true;
    step.lowers.clear();
    step.upper.clone_from(&flat);
    let ran = ground.run(&step);
    assert_eq!(ran.out, "2\nbin\ndev\netc\nhome\nproc\nroot\nsys\ntmp\nwork\n", "{ran:?}");
    assert_eq!(names(&flat.join("work")), ["new"]);
    assert_eq!(ran.exit.mount_points.len(), 5);
}
