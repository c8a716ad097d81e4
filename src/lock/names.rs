//! Entries by what people call them.

use super::{Kind, Lock};
use crate::oci::Reference;

/// An entry of a lock, by its kind and name.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    pub kind: Kind,
    pub name: &'a str,
}

impl Entry<'_> {
    /// Whether somebody who says `said` speaks of it: its name as it is; of an image its name without registry, tag
    /// or both; of a repository its address without the reference; of a step's request its URL.
    pub fn is_meant_by(&self, said: &str) -> bool {
        if self.name == said {
            return true;
        }
        match self.kind {
            Kind::Image | Kind::Context => is_image_meant(self.name, said),
            Kind::Git => self.name.rsplit_once('#').is_some_and(|(place, _)| place == said),
            Kind::Url => false,
            Kind::Network => is_request_meant(self.name, said),
        }
    }
}

/// `HEAD URL`, `POST URL DIGEST`, `URL accept=…`
fn is_request_meant(name: &str, said: &str) -> bool {
    let mut words = name.split(' ').skip_while(|word| matches!(*word, "HEAD" | "POST"));
    words.next() == Some(said)
}

fn is_image_meant(name: &str, said: &str) -> bool {
    let (Ok(name), Ok(said_reference)) = (name.parse::<Reference>(), said.parse::<Reference>()) else {
        return false;
    };
    let has_tag = said_reference.to_string() != format!("{}:latest", said_reference.name())
        || said.ends_with(":latest");
    if has_tag {
        return name == said_reference;
    }
    let repository = name.repository();
    name.name() == said_reference.name() || repository == said || repository.ends_with(&format!("/{said}"))
}

impl Lock {
    /// The entries that stand for something which can move.
    pub fn names(&self) -> impl Iterator<Item = (&str, Entry<'_>)> {
        let images = self.images.keys().map(|name| (Kind::Image, name));
        let contexts = self.contexts.keys().map(|name| (Kind::Context, name));
        let urls = self.urls.keys().map(|name| (Kind::Url, name));
        let git = self.git.keys().map(|name| (Kind::Git, name));
        let network = self.network.keys().map(|name| (Kind::Network, name));
        let all = images.chain(contexts).chain(urls).chain(git).chain(network);
        all.map(|(kind, name)| (name.as_str(), Entry { kind, name }))
    }

    /// Takes away what has this name.
    pub fn remove(&mut self, name: &str) {
        self.images.remove(name);
        self.contexts.remove(name);
        self.urls.remove(name);
        self.git.remove(name);
        self.network.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_meant_by_its_short_names() {
        let image = |name| Entry { kind: Kind::Image, name };
        for (name, said, expected) in [
            ("debian:12", "debian:12", true),
            ("debian:12", "debian", true),
            ("debian:12", "docker.io/library/debian:12", true),
            ("debian:12", "debian:13", false),
            ("debian:12", "debian:latest", false),
            ("debian:12", "bian", false),
            ("r.io:5000/a/base:1", "base", true),
            ("r.io:5000/a/base:1", "a/base", true),
            ("r.io:5000/a/base:1", "r.io:5000/a/base", true),
            ("r.io:5000/a/base:1", "base:1", false),
            ("r.io:5000/a/base:1", "../base", false),
        ] {
            assert_eq!(image(name).is_meant_by(said), expected, "{name} {said}");
        }
        let git = Entry { kind: Kind::Git, name: "https://h/a.git#main" };
        assert!(git.is_meant_by("https://h/a.git") && !git.is_meant_by("https://h/a"));
        assert!(!Entry { kind: Kind::Url, name: "https://h/a" }.is_meant_by("a"));
        for name in
            ["https://h/a", "HEAD https://h/a", "https://h/a accept=text/html", "POST https://h/a sha256:1"]
        {
            let request = Entry { kind: Kind::Network, name };
            assert!(request.is_meant_by("https://h/a") && !request.is_meant_by("https://h/"), "{name}");
        }
    }
}
