//! What other programs unpack of a layer is what its settled folder holds.

use super::*;

fn has(program: &str) -> bool {
    let found = command("sh").args(["-c", "command -v \"$0\"", program]).output().unwrap().status.success();
    if !found {
        let message = format!("`{program}` is not installed: unpacking was NOT compared with it");
        assert!(!in_ci(), "{message}");
        say(&message);
    }
    found
}

/// An image of these layers in the store, named `test`.
fn image(store: &Store, layers: &[Changes]) {
    let layers: Vec<_> =
        layers.iter().map(|layer| layer::create(store, layer, &options()).unwrap()).collect();
    let diff_ids: Vec<_> = layers.iter().map(|layer| layer.diff_id.to_string()).collect();
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    let descriptor = |media_type: &str, bytes: &[u8]| {
        let digest = store.put(bytes).unwrap();
        serde_json::json!({"mediaType": media_type, "digest": digest.to_string(), "size": bytes.len()})
    };
    let config = descriptor("application/vnd.oci.image.config.v1+json", config.to_string().as_bytes());
    let layers: Vec<_> = layers.iter().map(|layer| &layer.descriptor).collect();
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": media_type, "config": config, "layers": layers,
    });
    let mut entry = descriptor(media_type, manifest.to_string().as_bytes());
    entry["annotations"] = serde_json::json!({"org.opencontainers.image.ref.name": "test"});
    let index = serde_json::json!({"schemaVersion": 2, "manifests": [entry]});
    fs::write(store.root().join("index.json"), index.to_string()).unwrap();
}

#[test]
fn umoci_unpacks_what_the_step_left() {
    if !as_root() || !has("umoci") {
        return;
    }
    let inode = Inode::fresh();
    let mut owned = file("theirs");
    (owned.meta.uid, owned.meta.gid, owned.meta.mode) = (7, 8, 0o4755);
    let base = puts([
        ("d", dir(0o750)),
        ("d/a", file("a")),
        ("d/b", file("b")),
        ("e", dir(0o755)),
        ("e/f", owned),
        ("h1", linked("one", inode)),
        ("h2", linked("one", inode)),
        ("l", symlink("d")),
    ]);
    let world = World::new(std::slice::from_ref(&base));
    let (changes, upper) = world.step(|at| {
        fs::remove_dir_all(at.join("d")).unwrap();
        fs::create_dir(at.join("d")).unwrap();
        fs::write(at.join("d/b"), "b").unwrap();
        fs::rename(at.join("e/f"), at.join("e/g")).unwrap();
        fs::remove_file(at.join("l")).unwrap();
        fs::create_dir(at.join("l")).unwrap();
        fs::write(at.join("l/n1"), "n").unwrap();
        fs::hard_link(at.join("l/n1"), at.join("l/n2")).unwrap();
        fs::write(at.join("h1"), "two").unwrap();
        rustix::fs::setxattr(at.join("e"), "user.a", b"1", rustix::fs::XattrFlags::empty()).unwrap();
    });
    let (_dir, store) = store();
    image(&store, &[base, changes]);
    let bundle = world.path("bundle");
    let image = format!("{}:test", store.root().display());
    run(command("umoci").args(["unpack", "--image", &image]).arg(&bundle));
    let unpacked = walk(&bundle.join("rootfs"));
    assert_eq!(words(&unpacked, false), words(&world.seen_with(&upper), false));
}
