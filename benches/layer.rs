//! Writing and reading layers: bytes of tar per second.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lith::compression::{Compression, decode};
use lith::layer::{self, Options};
use lith::oci::Epoch;
use lith::store::Store;
use lith::tree::{Changes, Content, ImagePath, Kind, Meta, Node, Source, Stat};

/// Text that compresses about as sources do, the same on every run.
fn text(seed: u32, len: usize) -> Vec<u8> {
    let mut state = seed;
    let mut step = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) as usize
    };
    let words: Vec<String> = (0..3000)
        .map(|_| "abcdefghijklmnopqrstuvwxyz"[step() % 24..].chars().take(1 + step() % 7).collect())
        .collect();
    let mut out = Vec::with_capacity(len + 8);
    while out.len() < len {
        out.extend_from_slice(words[step() % (1 + step() % words.len())].as_bytes());
        out.push(b" \n.;("[step() % 5]);
    }
    out.truncate(len);
    out
}

/// Files on disk, so that opening and reading them counts.
fn files(folder: &std::path::Path, count: usize, size: usize) -> Changes {
    let mut changes = Changes::default();
    let body = text(1, size * 40);
    for i in 0..count {
        let at = folder.join(i.to_string());
        std::fs::write(&at, &body[i * 37 % (body.len() - size)..][..size]).expect("a temporary file");
        let seen = Stat::from(&at.symlink_metadata().expect("just written"));
        let content = Content::new(seen.size, Source::File { path: Arc::new(at), seen });
        let path = ImagePath::new(format!("src/{}/{i}.c", i % 100).as_bytes()).expect("a normal path");
        changes.puts.insert(path, Node::new(Meta::root_owned(0o644), Kind::File { content, inode: None }));
    }
    changes
}

fn options(compression: &str, threads: usize) -> Options {
    let compression: Compression = compression.parse().expect("a compression");
    Options { compression, epoch: Epoch::ZERO, threads }
}

fn bench(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = Arc::new(Store::open(&folder.path().join("store")).expect("a store"));
    for (what, count, size) in [("small files", 10_000, 2_000), ("large files", 4, 8 << 20)] {
        let from = folder.path().join(what);
        std::fs::create_dir(&from).expect("a temporary folder");
        let changes = files(&from, count, size);
        let mut group = criterion.benchmark_group(what);
        group.sample_size(10).throughput(Throughput::Bytes((count * size) as u64));
        for (compression, threads) in [("none", 1), ("gzip", 1), ("gzip", 2), ("zstd", 2)] {
            group.bench_function(format!("create {compression}, {threads} threads"), |bench| {
                bench.iter(|| {
                    layer::create(&store, &changes, &options(compression, threads)).expect("a layer")
                });
            });
        }
        for compression in ["none", "gzip", "zstd"] {
            let layer = layer::create(&store, &changes, &options(compression, 2)).expect("a layer");
            let blob = store.read_blob(&layer.descriptor, u64::MAX).expect("its blob");
            group.bench_function(format!("list {compression}"), |bench| {
                bench.iter(|| {
                    layer::read::list(decode(black_box(&blob[..])).expect("a decoder"), None).expect("a tar")
                });
            });
        }
        group.bench_function("key", |bench| {
            bench.iter(|| layer::key(&changes, &options("gzip", 2)).expect("contents have been read"));
        });
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
