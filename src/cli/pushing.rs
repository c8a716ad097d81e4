//! Pushing an image under all its names: each repository gets it once.

use lith::exec::{Report, Reported};
use lith::image::{Artifact, Blobs};
use lith::oci::{Digest, Reference, Repository};
use lith::store::Store;
use lith::transport::Sink as _;
use lith::transport::registry::{Registries, RegistrySink};

use super::World;

/// The way to registries, and how it is taken.
#[derive(Debug)]
pub(super) struct Pushing<'a> {
    pub(super) registries: &'a Registries,
    /// For what is known of each registry.
    pub(super) world: &'a World,
    /// `--move-tag`
    pub(super) move_tag: bool,
    /// Gets to know which repositories have which of its blobs.
    pub(super) store: &'a Store,
}

impl Pushing<'_> {
    /// Gives the digest that the registries have answered.
    pub(super) fn push(
        &self,
        artifact: &Artifact,
        blobs: &dyn Blobs,
        names: &[Reference],
        report: &dyn Report,
    ) -> anyhow::Result<Digest> {
        self.push_to(by_repository(names), artifact, blobs, report)
    }

    /// To the repositories of these names, under the digest alone.
    pub(super) fn push_untagged(
        &self,
        artifact: &Artifact,
        blobs: &dyn Blobs,
        names: &[Reference],
        report: &dyn Report,
    ) -> anyhow::Result<Digest> {
        let untagged = by_repository(names).into_iter().map(|(repository, _)| (repository, Vec::new()));
        self.push_to(untagged.collect(), artifact, blobs, report)
    }

    fn push_to(
        &self,
        repositories: Vec<(Repository, Vec<String>)>,
        artifact: &Artifact,
        blobs: &dyn Blobs,
        report: &dyn Report,
    ) -> anyhow::Result<Digest> {
        let reported = Reported(report);
        let mut digest = artifact.digest();
        for (repository, tags) in repositories {
            let options = self.world.push_options(&repository.registry, self.move_tag, self.store)?;
            let sink = RegistrySink::new(self.registries, repository.clone(), tags, options);
            digest = sink.watched(&reported).put(artifact, blobs)?;
            self.note(artifact, &repository);
        }
        Ok(digest)
    }

    /// A push to another repository of the same registry can have the blobs mounted from there; and that a manifest is there is
    /// known to no list of the registry's once it has no tag.
    fn note(&self, artifact: &Artifact, repository: &Repository) {
        let documents = artifact.documents().into_iter().map(|(descriptor, _)| descriptor);
        for blob in artifact.contents().into_iter().chain(documents) {
            if let Ok(digest) = Digest::try_from(blob.digest())
                && self.store.has(&digest)
            {
                self.store.note_origins(&digest, std::slice::from_ref(repository));
            }
        }
    }
}

/// The repositories in the order of their first names, each with its tags.
fn by_repository(names: &[Reference]) -> Vec<(Repository, Vec<String>)> {
    let mut found: Vec<(Repository, Vec<String>)> = Vec::new();
    for name in names {
        let repository = Repository::from(name);
        let tags = match found.iter_mut().position(|(known, _)| *known == repository) {
            Some(index) => &mut found[index].1,
            None => {
                found.push((repository, Vec::new()));
                &mut found.last_mut().expect("just pushed").1
            }
        };
        if let Some(tag) = name.tag()
            && !tags.iter().any(|known| known == tag)
        {
            tags.push(tag.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_repository_gets_its_tags_at_once() {
        let names: Vec<Reference> =
            ["r.io/a:1", "r.io/b:1", "r.io/a:2", "r.io/a:1"].map(|name| name.parse().unwrap()).into();
        let found = by_repository(&names);
        let shown: Vec<String> =
            found.iter().map(|(name, tags)| format!("{name} {}", tags.join(","))).collect();
        assert_eq!(shown, ["r.io/a 1,2", "r.io/b 1"]);
    }
}
