//! Names: the layout's `index.json`, whose entries carry `org.opencontainers.image.ref.name`.
//!
//! The whole reference is the name, `docker.io/library/app:1.0`, so that any tool finds it by
//! `oci:STORE:docker.io/library/app:1.0`. Entries that other tools made are left as they are.

use serde_json::{Map, Value, json};

use super::lock::Lock;
use super::{Store, StoreError, doing, read_bounded};
use crate::oci::{Descriptor, Digest, Reference, canonical};

pub(super) const EMPTY: &[u8] =
    br#"{"manifests":[],"mediaType":"application/vnd.oci.image.index.v1+json","schemaVersion":2}"#;

const NAME: &str = "org.opencontainers.image.ref.name";

/// More names than this would be no index but an attack, or a mistake.
const MAX_INDEX: u64 = 64 << 20;

impl Store {
    /// Gives an image in the store a name, which is taken from whatever had it.
    pub fn tag(&self, name: &Reference, image: &Descriptor) -> Result<(), StoreError> {
        let digest = Digest::try_from(image.digest()).map_err(|error| self.damaged(&error))?;
        if name.digest().is_some_and(|wanted| *wanted != digest) {
            return Err(StoreError::OtherDigest { name: name.to_string(), digest });
        }
        if self.size_of(&digest) != Some(image.size()) {
            return Err(StoreError::Missing(digest));
        }
        let mut entry = serde_json::to_value(image).expect("a descriptor is JSON");
        entry["annotations"] = json!({ NAME: name.to_string() });
        self.edit(|manifests| {
            let mut called = manifests.iter().filter(|old| is_called(old, name));
            if called.next() == Some(&entry) && called.next().is_none() {
                return false;
            }
            let at = manifests.iter().position(|old| is_called(old, name)).unwrap_or(manifests.len());
            manifests.retain(|old| !is_called(old, name));
            manifests.insert(at, entry);
            true
        })?;
        Ok(())
    }

    /// Takes a name away; whether it was there.
    pub fn untag(&self, name: &Reference) -> Result<bool, StoreError> {
        self.edit(|manifests| {
            let before = manifests.len();
            manifests.retain(|entry| !is_called(entry, name));
            manifests.len() < before
        })
    }

    /// What a name stands for.
    pub fn resolve(&self, name: &Reference) -> Result<Option<Descriptor>, StoreError> {
        let entries = self.entries()?;
        let Some(entry) = entries.iter().find(|entry| is_called(entry, name)) else { return Ok(None) };
        let found = self.descriptor(entry)?;
        match name.digest() {
            Some(digest) if found.digest().as_ref() != digest.to_string() => {
                Err(self.damaged(&format!("`{name}` is another image's name")))
            }
            _ => Ok(Some(found)),
        }
    }

    /// All names with what they stand for. An entry whose name is none of ours is left out.
    pub fn tags(&self) -> Result<Vec<(Reference, Descriptor)>, StoreError> {
        let entries = self.entries()?;
        let named = entries.iter().filter_map(|entry| Some((name_of(entry)?.parse().ok()?, entry)));
        named.map(|(name, entry)| Ok((name, self.descriptor(entry)?))).collect()
    }

    /// Every entry of the index, named or not.
    pub(super) fn roots(&self) -> Result<Vec<Descriptor>, StoreError> {
        self.entries()?.iter().map(|entry| self.descriptor(entry)).collect()
    }

    pub(super) fn lock_index(&self) -> Result<Lock, StoreError> {
        Lock::exclusive(&self.private("index.lock"))
    }

    fn descriptor(&self, entry: &Value) -> Result<Descriptor, StoreError> {
        let mut plain = entry.clone();
        if let Some(fields) = plain.as_object_mut() {
            fields.remove("annotations");
        }
        let descriptor: Descriptor = serde_json::from_value(plain).map_err(|error| self.damaged(&error))?;
        Digest::try_from(descriptor.digest()).map_err(|error| self.damaged(&error))?;
        Ok(descriptor)
    }

    fn entries(&self) -> Result<Vec<Value>, StoreError> {
        let mut index = self.index()?;
        match index.remove("manifests") {
            Some(Value::Array(entries)) => Ok(entries),
            _ => Err(self.damaged(&"it has no list of manifests")),
        }
    }

    fn index(&self) -> Result<Map<String, Value>, StoreError> {
        let path = self.index_path();
        let bytes = read_bounded(&path, MAX_INDEX).map_err(doing("reading", &path))?;
        serde_json::from_slice(&bytes).map_err(|error| self.damaged(&error))
    }

    /// Replaces the index, if `change` says that it did anything.
    fn edit(&self, change: impl FnOnce(&mut Vec<Value>) -> bool) -> Result<bool, StoreError> {
        let _guard = self.lock_index()?;
        let mut index = self.index()?;
        let Some(Value::Array(manifests)) = index.get_mut("manifests") else {
            return Err(self.damaged(&"it has no list of manifests"));
        };
        let changed = change(manifests);
        if changed {
            let bytes = canonical::to_vec(&index).map_err(|error| self.damaged(&error))?;
            self.replace(&self.index_path(), &bytes)?;
        }
        Ok(changed)
    }

    fn damaged(&self, why: &dyn std::fmt::Display) -> StoreError {
        StoreError::Damaged { path: self.index_path(), why: why.to_string() }
    }
}

fn name_of(entry: &Value) -> Option<&str> {
    entry.get("annotations")?.get(NAME)?.as_str()
}

/// Other tools write short names: there, too, `app` is `docker.io/library/app:latest`.
fn is_called(entry: &Value, name: &Reference) -> bool {
    let full = |text: &str| text.parse().map(|found: Reference| found.to_string()).ok();
    name_of(entry).and_then(full).is_some_and(|found| found == name.to_string())
}
