//! docs/guide.md is true: its commands are run as they stand, with docker-registry, and print what it says.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;

use crate::support::programs::find;
use crate::support::{World, lith};

const PORT: &str = "127.0.0.1:5000";
const END: &str = "== end of a block";

/// A block of commands, and what it prints, if that is told.
struct Block {
    commands: String,
    prints: Option<String>,
}

fn blocks(guide: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut lines = guide.lines();
    while let Some(line) = lines.next() {
        let Some(kind) = line.strip_prefix("```") else { continue };
        let body: String = lines
            .by_ref()
            .take_while(|line| *line != "```")
            .fold(String::new(), |all, line| all + line + "\n");
        match kind {
            "sh" => blocks.push(Block { commands: body, prints: None }),
            "text" => blocks.last_mut().expect("commands before what they print").prints = Some(body),
            kind => panic!("a block of `{kind}`"),
        }
    }
    blocks
}

/// Whether a line is what the guide says, where `…` stands for anything.
fn fits(line: &str, wanted: &str) -> bool {
    let parts: Vec<&str> = wanted.split('…').collect();
    let [first, middle @ .., last] = &parts[..] else { return line == wanted };
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[test]
fn the_guide_runs_from_start_to_end() {
    for program in ["docker-registry", "skopeo", "umoci"] {
        let Some(_) = find(program, "the guide") else { return };
    }
    let guide = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/guide.md")).unwrap();
    let address = free_address();
    let blocks = blocks(&guide.replace(PORT, &address));
    let mut script = format!(
        "set -euo pipefail\nregistry=\ntrap '[ -z \"$registry\" ] || kill \"$registry\" 2>/dev/null || true' EXIT\nPATH={:?}:$PATH\n",
        lith().parent().unwrap()
    );
    for block in &blocks {
        script += &block.commands;
        if block.commands.contains("registry=$!") {
            let socket = address.replace(':', "/");
            writeln!(
                script,
                "for try in $(seq 400); do (: <>/dev/tcp/{socket}) 2>/dev/null && break; sleep 0.05; done"
            )
            .unwrap();
        }
        writeln!(script, "echo '{END}'").unwrap();
    }
    let world = World::new();
    world.write("guide.sh", &script).write("home/keep", "");
    let path = std::env::var("PATH").unwrap();
    let output = Command::new("bash")
        .arg(world.path("guide.sh"))
        .current_dir(world.path(""))
        .env_clear()
        .env("PATH", format!("{path}:/usr/sbin:/sbin"))
        .env("HOME", world.path("home"))
        .env("USER", "ann")
        .output()
        .unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{:?}\n{stdout}\n{stderr}", output.status);
    let end = format!("{END}\n");
    let mut outputs = stdout.split(&*end);
    for block in &blocks {
        let printed: Vec<&str> = outputs.next().unwrap().lines().collect();
        let Some(wanted) = &block.prints else { continue };
        let wanted: Vec<&str> = wanted.lines().collect();
        let is_so = printed.len() == wanted.len()
            && printed.iter().zip(&wanted).all(|(line, wanted)| fits(line, wanted));
        assert!(is_so, "{}\nprints\n{printed:#?}\nand not\n{wanted:#?}\n{stderr}", block.commands);
    }
    assert!(stderr.contains("after: `staging` has not had it"), "{stderr}");
    let page = std::fs::read_to_string(world.path("shop/deployed.html")).unwrap();
    assert!(page.contains("rollback to 1"), "{page}");
}

/// Below the ports that outgoing connections get.
fn free_address() -> String {
    let port = || fastrand::u16(20_000..32_000);
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    format!("127.0.0.1:{}", std::iter::repeat_with(port).find(is_free).unwrap())
}

#[test]
fn what_differs_each_time_is_left_open() {
    assert!(fits("a 1 b 2", "a … b …") && fits("x", "…") && fits("same", "same"));
    assert!(!fits("a 1 c", "a … b") && !fits("same ", "same") && !fits("b", "a…"));
}
