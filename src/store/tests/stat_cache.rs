//! What the stat cache believes.

use std::time::{Duration, Instant};

use super::*;
use crate::store::stat_cache::{Moment, StatCache};
use crate::tree::{Fingerprint, Stat};

pub(super) fn stat(path: &Path) -> Stat {
    Stat::from(&path.symlink_metadata().unwrap())
}

#[test]
fn a_settled_file_is_known_and_a_fresh_one_is_not() {
    let (dir, store) = store();
    let path = dir.path().join("f");
    fs::write(&path, b"one").unwrap();
    let fingerprint = Fingerprint([1; 32]);

    let cache = StatCache::open(&store, dir.path());
    cache.put(b"f", stat(&path), fingerprint, Moment::now());
    cache.save().unwrap();
    assert_eq!(
        StatCache::open(&store, dir.path()).get(b"f", &stat(&path)),
        None,
        "hashed in the tick of the write"
    );

    std::thread::sleep(Duration::from_millis(60));
    let cache = StatCache::open(&store, dir.path());
    cache.put(b"f", stat(&path), fingerprint, Moment::now());
    cache.save().unwrap();
    let cache = StatCache::open(&store, dir.path());
    assert_eq!(cache.get(b"f", &stat(&path)), Some(fingerprint));
    assert_eq!(cache.get(b"g", &stat(&path)), None);

    let before = fs::metadata(&path).unwrap().modified().unwrap();
    fs::write(&path, b"two").unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(before).unwrap();
    assert_eq!(cache.get(b"f", &stat(&path)), None, "the same size and mtime, another ctime");
}

#[test]
fn what_is_not_seen_again_is_forgotten() {
    let (dir, store) = store();
    let path = dir.path().join("f");
    fs::write(&path, b"one").unwrap();
    std::thread::sleep(Duration::from_millis(60));
    let cache = StatCache::open(&store, dir.path());
    cache.put(b"f", stat(&path), Fingerprint([1; 32]), Moment::now());
    cache.save().unwrap();
    StatCache::open(&store, dir.path()).save().unwrap();
    assert_eq!(StatCache::open(&store, dir.path()).get(b"f", &stat(&path)), None);
}

#[test]
fn only_where_all_is_as_it_was_there_is_nothing_to_note() {
    let (dir, store) = store();
    let paths = ["f", "g"].map(|name| dir.path().join(name));
    let stats = || paths.each_ref().map(|path| stat(path));
    for path in &paths {
        fs::write(path, b"one").unwrap();
    }
    std::thread::sleep(Duration::from_millis(60));
    let cache = StatCache::open(&store, dir.path());
    let [f, g] = stats();
    cache.put(b"f", f, Fingerprint([1; 32]), Moment::now());
    cache.put(b"g", g, Fingerprint([1; 32]), Moment::now());
    cache.save().unwrap();
    let unchanged = |seen: &[(&[u8], Stat)]| {
        let cache = StatCache::open(&store, dir.path());
        seen.iter().for_each(|(path, stat)| _ = cache.get(path, stat));
        cache.is_unchanged()
    };
    assert!(unchanged(&[(b"f", f), (b"g", g)]));
    assert!(!unchanged(&[(b"f", f)]), "one has gone");
    assert!(!unchanged(&[(b"f", f), (b"f", f)]), "one twice, and the other has gone");
    assert!(unchanged(&[(b"f", f), (b"g", g), (b"f", f)]));
    assert!(!unchanged(&[(b"f", f), (b"g", g), (b"h", g)]), "one is new");
    fs::write(&paths[1], b"two").unwrap();
    assert!(!unchanged(&[(b"f", f), (b"g", stats()[1])]), "one is another");
}

/// The fingerprint that stands for a text here.
fn print(text: &str) -> Fingerprint {
    Fingerprint(*blake3::hash(text.as_bytes()).as_bytes())
}

#[test]
fn a_write_with_size_and_mtime_restored_is_noticed_at_any_moment() {
    let (dir, store) = store();
    let path = dir.path().join("f");
    fs::write(&path, "one").unwrap();
    let mut believed = 0;
    for round in 0..30 {
        // Some rounds find the file within the tick of its last write, some after.
        std::thread::sleep(Duration::from_millis(round * 2));
        let before = stat(&path);
        let cache = StatCache::open(&store, dir.path());
        let since = Moment::now();
        let text = fs::read_to_string(&path).unwrap();
        if let Some(known) = cache.get(b"f", &before) {
            assert_eq!(known, print(&text), "round {round}: a change went unseen");
            believed += 1;
        }
        cache.put(b"f", before, print(&text), since);
        cache.save().unwrap();
        if round % 3 == 0 {
            continue;
        }
        let other = if text == "one" { "two" } else { "one" };
        let mtime = fs::metadata(&path).unwrap().modified().unwrap();
        fs::write(&path, other).unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(mtime).unwrap();
        assert_eq!((stat(&path).mtime, stat(&path).size), (before.mtime, before.size));
    }
    assert!(believed > 0, "an unchanged file is believed in at least once");
}

#[test]
fn the_margin_is_what_the_clock_of_the_file_system_asks_for() {
    let (_dir, store) = store();
    let at =
        |seconds, nanoseconds| Stat { dev: 1, ino: 2, size: 3, mtime: (0, 0), ctime: (seconds, nanoseconds) };
    let now = Moment::at(1000, 500_000_000);
    for (stat, believed) in [
        (at(1000, 479_999_999), true),
        (at(1000, 480_000_000), false),
        (at(1000, 500_000_001), false),
        (at(2000, 1), false),
        (at(i64::MAX, 999_999_999), false),
        (at(i64::MIN, 1), true),
        (at(998, 0), true),
        (at(999, 0), false),
        (Stat { mtime: (1001, 0), ..at(10, 1) }, false),
    ] {
        let cache = StatCache::open(&store, Path::new("/context"));
        cache.put(b"f", stat, print(""), now);
        cache.save().unwrap();
        let known = StatCache::open(&store, Path::new("/context")).get(b"f", &stat);
        assert_eq!(known.is_some(), believed, "{stat:?}");
    }
}

#[test]
fn a_damaged_cache_is_an_empty_one() {
    let (_dir, store) = store();
    let stat = Stat { dev: 1, ino: 2, size: 3, mtime: (1, 1), ctime: (1, 1) };
    let context = Path::new("/context");
    let cache = StatCache::open(&store, context);
    cache.put(b"f", stat, print(""), Moment::now());
    cache.save().unwrap();
    let file = sorted_entries(&store.private("stat")).unwrap().remove(0);
    let whole = fs::read(&file).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&file, &bytes).unwrap();
        assert_eq!(StatCache::open(&store, context).get(b"f", &stat), None, "byte {at}");
        fs::write(&file, &whole[..at]).unwrap();
        assert_eq!(StatCache::open(&store, context).get(b"f", &stat), None, "cut at {at}");
    }
}

#[test]
#[ignore = "a measurement; only an optimised build says something"]
fn a_hundred_thousand_files_load_in_well_under_50_ms() {
    let (_dir, store) = store();
    let context = Path::new("/context");
    let cache = StatCache::open(&store, context);
    for n in 0..100_000 {
        let stat = Stat { dev: 1, ino: n, size: n, mtime: (1_700_000_000, 1), ctime: (1_700_000_000, 1) };
        cache.put(format!("some/folder/of/the/context/{n:06}.rs").as_bytes(), stat, print(""), Moment::now());
    }
    cache.save().unwrap();
    // The best of some, as others may be using the machine.
    let load = || {
        let started = Instant::now();
        assert_eq!(StatCache::open(&store, context).len(), 100_000);
        started.elapsed()
    };
    let took = (0..10).map(|_| load()).min().unwrap();
    assert!(took < Duration::from_millis(25), "{took:?}");
}
