//! An archive as a context: a tar, compressed or not, from a file, standard input or the network.
//!
//! What it is, its bytes say. A text that is no tar is the Buildfile itself, with a context that is empty.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::sync::Arc;

use super::ContextError;
use crate::compression::Format;
use crate::layer::read;
use crate::tree::{Backing, ImagePath, Kind, Node, Tree};

/// More than any Buildfile that someone wrote.
const MAX_BUILD_FILE: u64 = 16 << 20;

const BLOCK: usize = 512;

/// What has come where a context was asked for.
#[derive(Debug)]
pub enum Arrived {
    /// Files as the archive has them: see [`super::Context::of`].
    Files(Tree),
    BuildFile(Vec<u8>),
}

/// Reads it to its end. `spool`, an empty file, gets the uncompressed tar; the files' contents come from there.
pub fn read(reader: impl Read, mut spool: File) -> Result<Arrived, ContextError> {
    let (first, reader) = peek(reader)?;
    let format = Format::detect(&first);
    let (first, reader) = match format {
        Format::Plain => (first, Box::new(reader) as Box<dyn Read>),
        _ => {
            let decoder = format.decoder(BufReader::with_capacity(128 << 10, reader)).map_err(in_archive)?;
            let (first, reader) = peek(decoder)?;
            (first, Box::new(reader) as Box<dyn Read>)
        }
    };
    // An empty tar is two blocks of zeros.
    if read::is_header(&first) || first == [0; BLOCK] {
        let listing = read::list(reader, Some(&mut spool))?;
        let backing: Arc<dyn Backing> = Arc::new(Arc::new(spool));
        return Ok(Arrived::Files(listing.tree(&backing)?));
    }
    match format {
        Format::Plain => build_file(reader).map(Arrived::BuildFile),
        _ => Err(ContextError::NotATar),
    }
}

/// The first block, or as much of one as there is, and everything from the start.
fn peek<'a>(mut reader: impl Read + 'a) -> Result<(Vec<u8>, impl Read + 'a), ContextError> {
    let mut first = Vec::with_capacity(BLOCK);
    reader.by_ref().take(BLOCK as u64).read_to_end(&mut first).map_err(in_archive)?;
    Ok((first.clone(), io::Cursor::new(first).chain(reader)))
}

fn in_archive(error: io::Error) -> ContextError {
    read::ReadError::Io(error).into()
}

fn build_file(reader: impl Read) -> Result<Vec<u8>, ContextError> {
    let mut text = Vec::new();
    reader.take(MAX_BUILD_FILE + 1).read_to_end(&mut text).map_err(in_archive)?;
    if text.len() as u64 > MAX_BUILD_FILE {
        return Err(ContextError::NotABuildFile { limit: MAX_BUILD_FILE });
    }
    Ok(text)
}

/// The content of the file `path` of a tree, links in it followed inside it; `None` if there is none.
pub fn read_in(tree: &Tree, path: &ImagePath, limit: u64) -> Result<Option<Vec<u8>>, ContextError> {
    const MAX_LINKS: usize = 40;
    let fail = |why| ContextError::InArchive { path: path.to_string(), why };
    let mut at = path.clone();
    for _ in 0..MAX_LINKS {
        let Some((link, rest)) = first_link(tree, &at) else {
            let Some(node) = tree.get(&at) else { return Ok(None) };
            if node.is_dir() {
                return Err(ContextError::Folder(at.display().into()));
            }
            let content = node.content().ok_or_else(|| fail("it is not a regular file"))?;
            return match content.read_bounded(limit)? {
                None => Err(fail("it is too large")),
                bytes => Ok(bytes),
            };
        };
        let Some(Node { kind: Kind::Symlink(target), .. }) = tree.get(&link) else { return Ok(None) };
        let folder =
            if target.starts_with(b"/") { ImagePath::root() } else { link.parent().unwrap_or_default() };
        let led = [folder.as_bytes(), target, rest.as_bytes()].join(&b'/');
        at = ImagePath::clamped(&led).map_err(|_| fail("a link on the way leads nowhere"))?;
    }
    Err(fail("too many links on the way"))
}

/// The first part of a path that is a link, and what comes after it.
fn first_link(tree: &Tree, path: &ImagePath) -> Option<(ImagePath, ImagePath)> {
    let link = path
        .ancestors()
        .chain([path.clone()])
        .find(|path| tree.get(path).is_some_and(|node| matches!(node.kind, Kind::Symlink(_))))?;
    let rest = path.strip_prefix(&link)?;
    Some((link, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compression::Compression;
    use crate::context::{Context, Modes};
    use crate::tree::pattern::Ignore;
    use crate::tree::testing::path;

    /// A tar of these names, with the name as content; `a -> b` is a link.
    fn tar(names: &[&str]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for name in names {
            let (name, target) = name.split_once(" -> ").unwrap_or((name, ""));
            let mut header = tar::Header::new_ustar();
            header.set_mode(0o600);
            header.set_uid(1000);
            header.set_gid(1000);
            header.set_mtime(7);
            if target.is_empty() {
                header.set_size(name.len() as u64);
                builder.append_data(&mut header, name, name.as_bytes()).unwrap();
            } else {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_size(0);
                builder.append_link(&mut header, name, target).unwrap();
            }
        }
        builder.into_inner().unwrap()
    }

    fn arrived(bytes: &[u8]) -> Result<Arrived, ContextError> {
        // As a pipe gives it: a few bytes at a time.
        struct Dribble<'a>(&'a [u8]);
        impl Read for Dribble<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let n = buffer.len().min(100);
                self.0.read(&mut buffer[..n])
            }
        }
        read(Dribble(bytes), tempfile::tempfile().unwrap())
    }

    fn files(bytes: &[u8]) -> Tree {
        match arrived(bytes).unwrap() {
            Arrived::Files(tree) => tree,
            Arrived::BuildFile(text) => panic!("{}", text.escape_ascii()),
        }
    }

    fn names(tree: &Tree) -> String {
        tree.iter().map(|(path, _)| path.to_string()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn an_archive_gives_what_a_folder_would() {
        let tar = tar(&["a/x", "Dockerfile", "link -> a"]);
        for compression in [Compression::NONE, Compression::gzip(6).unwrap(), Compression::zstd(3).unwrap()] {
            let mut bytes = Vec::new();
            compression.compress(&tar, &mut bytes).unwrap();
            let whole = files(&bytes);
            let context = Context::of(&whole, Ignore::default(), Modes::Git);
            assert_eq!(names(&context.tree), "Dockerfile a/x link");
            let node = context.tree.get(&path("a/x")).unwrap();
            assert_eq!((node.meta.mode, node.meta.uid, node.mtime), (0o644, 0, 7));
            assert_eq!(node.content().unwrap().read_bounded(9).unwrap().unwrap(), b"a/x");
            assert_eq!(context.notes.opened, [path("Dockerfile"), path("a/x")]);
            let rest = Context::of(&whole, Ignore::parse(b"a").unwrap(), Modes::Keep);
            assert_eq!((names(&rest.tree), rest.notes.opened.len()), ("Dockerfile link".into(), 0));
            assert_eq!(rest.tree.get(&path("Dockerfile")).unwrap().meta.mode, 0o600);
        }
        assert!(files(&[0; 1024]).is_empty());
    }

    #[test]
    fn a_text_is_the_build_file() {
        for text in [&b"FROM scratch\n"[..], b"", &b"#\n".repeat(5000)] {
            assert!(matches!(arrived(text).unwrap(), Arrived::BuildFile(found) if found == text));
        }
    }

    #[test]
    fn what_is_neither_is_an_error() {
        let mut bytes = Vec::new();
        Compression::gzip(6).unwrap().compress(b"FROM scratch\n", &mut bytes).unwrap();
        assert!(matches!(arrived(&bytes), Err(ContextError::NotATar)));
        assert!(matches!(arrived(&bytes[..12]), Err(ContextError::Archive(_))));
        assert!(matches!(arrived(&tar(&["a"])[..600]), Err(ContextError::Archive(_))));
        assert!(matches!(arrived(&[b'x'; 17 << 20]), Err(ContextError::NotABuildFile { .. })));
    }

    #[test]
    fn files_are_found_through_links_inside() {
        let tree = files(&tar(&[
            "d/f",
            "in -> d",
            "abs -> /in/f",
            "up -> ../../d",
            "a -> b",
            "b -> a",
            "out -> /x",
        ]));
        let read = |name: &str| read_in(&tree, &path(name), 9);
        for name in ["d/f", "in/f", "abs", "up/f"] {
            assert_eq!(read(name).unwrap().as_deref(), Some(&b"d/f"[..]), "{name}");
        }
        assert_eq!(read("out").unwrap(), None);
        assert_eq!(read("d/g").unwrap(), None);
        assert!(read("a").is_err());
        assert!(read_in(&tree, &path("d/f"), 2).is_err());
    }
}
