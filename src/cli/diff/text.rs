//! A difference as people read it: `+` is in the second image alone, `-` in the first alone, `~` is other, `>` moved.

use lith::diff::{
    Aspect, Both, Change, ContentDiff, Facts, Field, FileDiff, HistoryDiff, How, ImageDiff, LayerDiff,
    LayerFacts, Same,
};
use lith::oci::{Epoch, History};
use lith::text::shown_up_to;
use serde_json::Value;

use crate::cli::format;

/// So many lines of a text, and so many paths that differ in their times alone, are told; JSON has all.
const MAX_LINES: usize = 24;
const MAX_TIMES: usize = 5;
const MAX_VALUE: usize = 200;

pub(crate) fn image(diff: &ImageDiff) -> Vec<String> {
    let mut lines = Vec::new();
    section(&mut lines, "manifest", diff.manifest.iter().map(field));
    section(&mut lines, "configuration", diff.config.iter().map(field));
    section(&mut lines, "history", diff.history.iter().map(history));
    section(&mut lines, "layers", diff.layers.iter().map(layer));
    section(&mut lines, "files", files(&diff.files).into_iter());
    for layer in diff.layers.iter().filter(|layer| !layer.files.is_empty()) {
        let number = |facts: &Option<LayerFacts>| facts.as_ref().map_or(0, |facts| facts.number);
        let name = match (number(&layer.layers.a), number(&layer.layers.b)) {
            (a, b) if a == b => format!("in layer {a}"),
            (a, b) => format!("in layer {a}, which is {b}"),
        };
        section(&mut lines, &name, files(&layer.files).into_iter());
    }
    lines
}

fn section(lines: &mut Vec<String>, title: &str, items: impl Iterator<Item = String>) {
    let start = lines.len();
    lines.extend(items.map(|item| format!("  {item}")));
    if lines.len() > start {
        lines.insert(start, format!("\n{title}"));
    }
}

fn value(value: &Value) -> String {
    shown_up_to(MAX_VALUE, &value.to_string())
}

pub(crate) fn field(field: &Field) -> String {
    let name = shown_up_to(MAX_VALUE, &field.name);
    match (&field.values.a, &field.values.b) {
        (Some(a), Some(b)) => format!("~ {name}: {} -> {}", value(a), value(b)),
        (Some(a), None) => format!("- {name}: {}", value(a)),
        (None, b) => format!("+ {name}: {}", b.as_ref().map(value).unwrap_or_default()),
    }
}

fn history(diff: &HistoryDiff) -> String {
    let by = |line: &History| shown_up_to(MAX_VALUE, line.created_by.as_deref().unwrap_or("(nothing)"));
    match (&diff.lines.a, &diff.lines.b) {
        (Some(a), None) => format!("- {}", by(a)),
        (None, b) => format!("+ {}", b.as_ref().map(by).unwrap_or_default()),
        (Some(a), Some(b)) if a.created_by != b.created_by => format!("~ {} -> {}", by(a), by(b)),
        (Some(a), Some(b)) => {
            let when = |line: &History| shown_up_to(40, line.created.as_deref().unwrap_or("none"));
            let mut words = Vec::new();
            if a.created != b.created {
                words.push(format!("created {} -> {}", when(a), when(b)));
            }
            if a.comment != b.comment {
                words.push("comment".into());
            }
            if a.author != b.author {
                words.push("author".into());
            }
            if a.empty_layer != b.empty_layer {
                words.push(if b.empty_layer { "its layer is gone".into() } else { "it has a layer".into() });
            }
            format!("~ {}: {}", by(a), words.join(", "))
        }
    }
}

fn layer(diff: &LayerDiff) -> String {
    let facts = |facts: &LayerFacts| {
        format!("{}: {} ({})", facts.number, short(&facts.digest), format::size(facts.size))
    };
    let how = match diff.how {
        How::Added | How::Removed | How::Files => "",
        How::Descriptor => "  other words in the manifest",
        How::Compression => "  compressed otherwise",
        How::Order => "  the entries in another order",
        How::Headers => "  the same files in other tar headers",
        How::Times => "  other times of files",
    };
    match (&diff.layers.a, &diff.layers.b) {
        (Some(a), Some(b)) => {
            let (size, digest) = (format::size(b.size), short(&b.digest));
            let number = if a.number == b.number { String::new() } else { format!("{}: ", b.number) };
            format!("~ {} -> {number}{digest} ({size}){how}", facts(a))
        }
        (Some(a), None) => format!("- {}", facts(a)),
        (None, b) => format!("+ {}", b.as_ref().map(facts).unwrap_or_default()),
    }
}

fn short(digest: &str) -> &str {
    digest.get(..19).unwrap_or(digest)
}

/// Folders that came or went stand for all that is in them.
pub(crate) fn files(files: &[FileDiff]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = files;
    let mut of_times = 0;
    while let [file, others @ ..] = rest {
        rest = others;
        if matches!(&file.aspects[..], [Aspect::Time(_)]) && file.change == Change::Changed {
            of_times += 1;
            if of_times > MAX_TIMES {
                continue;
            }
        }
        let below = below(file, rest);
        lines.push(match below {
            0 => line(file),
            n => format!("{}, with {} below it", line(file), format::count(n, "path")),
        });
        rest = &rest[below..];
        if let Some(content) = content(file) {
            lines.extend(within(content).into_iter().map(|line| format!("    {line}")));
        }
    }
    if of_times > MAX_TIMES {
        lines.push(format!("… and {} more that differ in their times alone", of_times - MAX_TIMES));
    }
    lines
}

/// How many of the paths after a folder that came or went are in it, and have that in common with it.
fn below(file: &FileDiff, rest: &[FileDiff]) -> usize {
    let is_folder = file.facts.as_ref().is_some_and(|facts| facts.kind == "dir");
    if !is_folder || !matches!(file.change, Change::Added | Change::Removed) {
        return 0;
    }
    let is_in = |other: &&FileDiff| {
        other.change == file.change
            && other.path.strip_prefix(&file.path).is_some_and(|rest| rest.starts_with('/'))
    };
    rest.iter().take_while(is_in).count()
}

fn line(file: &FileDiff) -> String {
    let mark = match file.change {
        Change::Added => '+',
        Change::Removed => '-',
        Change::Changed => '~',
        Change::Moved => '>',
    };
    let mut words: Vec<String> = Vec::new();
    if let Some(from) = &file.from {
        words.push(format!("moved from {from}"));
    } else if let Some(facts) = &file.facts {
        words.push(self::facts(facts));
    }
    words.extend(file.aspects.iter().map(aspect));
    let causes: Vec<&str> = file.causes.iter().map(|cause| cause.words()).collect();
    let likely = if causes.is_empty() { String::new() } else { format!("  [likely: {}]", causes.join(", ")) };
    format!("{mark} {}  {}{likely}", file.path, words.join(", "))
}

fn facts(facts: &Facts) -> String {
    let owner = format!("{} {}:{}", facts.mode, facts.uid, facts.gid);
    match (facts.kind, &facts.target) {
        ("file", _) => format!("{owner} {}", format::size(facts.size)),
        ("symlink" | "hardlink", Some(target)) => format!("{} -> {target}", facts.kind),
        ("whiteout", _) => "removed from the layers below".into(),
        ("opaque", _) => "all in it removed from the layers below".into(),
        (kind, _) => format!("{kind} {owner}"),
    }
}

fn arrow<T: std::fmt::Display>(what: &str, both: &Both<T>) -> String {
    format!("{what} {} -> {}", both.a, both.b)
}

fn aspect(aspect: &Aspect) -> String {
    match aspect {
        Aspect::Type(both) => arrow("type", both),
        Aspect::Content(content) => self::summary(content),
        Aspect::Mode(both) => arrow("mode", both),
        Aspect::Owner(both) => arrow("owner", both),
        Aspect::Time(both) => arrow("time", &Both { a: time(both.a), b: time(both.b) }),
        Aspect::Target(both) => arrow("target", both),
        Aspect::HardLink(both) => {
            let name = |name: &Option<String>| name.clone().unwrap_or_else(|| "a file of its own".into());
            arrow("hard link", &Both { a: name(&both.a), b: name(&both.b) })
        }
        Aspect::Device(both) => arrow("device", both),
        Aspect::Xattr { name, a, b } => match (a, b) {
            (Some(a), Some(b)) => format!("xattr {name} {a} -> {b}"),
            (Some(_), None) => format!("xattr {name} removed"),
            _ => format!("xattr {name} added"),
        },
        Aspect::Opaque(both) => {
            if both.b {
                "hides the layers below".into()
            } else {
                "no longer hides the layers below".into()
            }
        }
        _ => "other".into(),
    }
}

fn time(seconds: i64) -> String {
    let epoch = u64::try_from(seconds).ok().and_then(Epoch::from_seconds);
    epoch.map_or_else(|| seconds.to_string(), Epoch::rfc3339)
}

fn summary(content: &ContentDiff) -> String {
    if let Some(archive) = &content.archive {
        let how = match (archive.same, &archive.unopened) {
            (_, Some(why)) => format!("not looked into: {why}; first byte at {}", content.first_difference),
            (Some(Same::Compression), _) => "the same in it, compressed otherwise".into(),
            (Some(Same::Order), _) => "the same in it, in another order".into(),
            (Some(_), _) => "the same in it, in other headers".into(),
            (None, None) => format!("{} in it", format::count(archive.files.len(), "difference")),
        };
        return format!("{} ({how})", archive.format);
    }
    if let Some(lines) = &content.lines {
        return format!("content +{} -{} lines", lines.added, lines.removed);
    }
    let size = content.size.as_ref().map_or(String::new(), |size| format!(", size {} -> {}", size.a, size.b));
    format!("content from byte {} on{size}", content.first_difference)
}

fn content(file: &FileDiff) -> Option<&ContentDiff> {
    file.aspects.iter().find_map(|aspect| match aspect {
        Aspect::Content(content) => Some(content),
        _ => None,
    })
}

fn within(content: &ContentDiff) -> Vec<String> {
    if let Some(archive) = &content.archive
        && archive.unopened.is_none()
    {
        return files(&archive.files);
    }
    if let Some(lines) = &content.lines {
        let mut told: Vec<String> =
            lines.unified.lines().take(MAX_LINES).map(|line| shown_up_to(MAX_VALUE, line)).collect();
        if lines.truncated || lines.unified.lines().count() > MAX_LINES {
            told.push("…".into());
        }
        return told;
    }
    content
        .bytes
        .as_ref()
        .map_or(Vec::new(), |bytes| vec![format!("{} -> {}", spaced(&bytes.a), spaced(&bytes.b))])
}

/// Hexadecimal digits, byte by byte, with what can be read of them.
fn spaced(hex: &str) -> String {
    let bytes: Vec<u8> =
        (0..hex.len() / 2).filter_map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).ok()).collect();
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let plain = |byte: &u8| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '.' };
    let text: String = bytes.iter().map(plain).collect();
    if bytes.is_empty() { "(end)".into() } else { format!("{} |{text}|", digits.join(" ")) }
}
