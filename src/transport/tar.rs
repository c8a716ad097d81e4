//! `-o type=tar`: a root file system as one canonical tar.

use super::{Destination, TransportError};
use crate::layer;
use crate::oci::Epoch;
use crate::tree::{Changes, Tree};

/// Writes `tree` by the rules of the image contract, as the one layer that it would be.
pub fn write_tar(tree: &Tree, epoch: Epoch, destination: &Destination) -> Result<(), TransportError> {
    let changes = Changes::from(tree);
    destination.write(|out| Ok(layer::tar::write(&changes, epoch, out)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Content, ImagePath, Inode, Kind, Meta, Node};

    #[test]
    fn a_tree_is_written_in_order_with_its_links() {
        let inode = Some(Inode::fresh());
        let twin =
            Node::new(Meta::root_owned(0o644), Kind::File { content: Content::from_bytes(*b"x"), inode });
        let link = Node::new(Meta::root_owned(0o777), Kind::Symlink((*b"a").into()));
        let nodes = [("b", twin.clone()), ("a", twin), ("etc", Node::implicit_dir()), ("etc/l", link)];
        let tree: Tree =
            nodes.into_iter().map(|(path, node)| (ImagePath::new(path.as_bytes()).unwrap(), node)).collect();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("root.tar");
        write_tar(&tree, Epoch::from_seconds(5).unwrap(), &Destination::File(path.clone())).unwrap();
        let mut listing = Vec::new();
        for entry in ::tar::Archive::new(std::fs::File::open(path).unwrap()).entries().unwrap() {
            let entry = entry.unwrap();
            assert_eq!(entry.header().mtime().unwrap(), 5);
            let link =
                entry.link_name().unwrap().map_or_else(String::new, |l| format!(" -> {}", l.display()));
            listing.push(format!("{}{link}", entry.path().unwrap().display()));
        }
        assert_eq!(listing, ["a", "b -> a", "etc/", "etc/l -> a"]);
    }
}
