//! Layers: which belong together, how those differ, and what they make when they are laid over each other.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::align::align;
use super::files::{self, Nearness, Place};
use super::report::{Both, FileDiff, How, LayerDiff, LayerFacts};
use super::{DiffError, Engine};
use crate::image::Image;
use crate::layer::{self, Layer};
use crate::oci::DiffId;
use crate::store::Store;
use crate::tree::{Changes, Tree};

/// The layers that are not the same, in pairs where they stand in each other's place. Nothing is read for that.
pub(super) fn aligned(a: &Image, b: &Image) -> Vec<LayerDiff> {
    let ids = |image: &Image| image.layers.iter().map(|layer| layer.diff_id.to_string()).collect::<Vec<_>>();
    let mut found = Vec::new();
    for (old, new) in align(&ids(a), &ids(b)) {
        let how = match (old.map(|index| &a.layers[index]), new.map(|index| &b.layers[index])) {
            (Some(_), None) => How::Removed,
            (None, _) => How::Added,
            (Some(a), Some(b)) if a == b => continue,
            (Some(a), Some(b)) if a.digest() == b.digest() => How::Descriptor,
            (Some(a), Some(b)) if a.diff_id == b.diff_id => How::Compression,
            (Some(_), Some(_)) => How::Files,
        };
        let facts =
            |image: &Image, index: Option<usize>| index.map(|index| facts(index, &image.layers[index]));
        found.push(LayerDiff { layers: Both::new(facts(a, old), facts(b, new)), how, files: Vec::new() });
    }
    found
}

fn facts(index: usize, layer: &Layer) -> LayerFacts {
    LayerFacts {
        number: index + 1,
        digest: layer.digest().to_string(),
        diff_id: layer.diff_id.to_string(),
        media_type: crate::text::shown(layer.descriptor.media_type()),
        size: layer.descriptor.size(),
    }
}

/// What each layer of two images changes. One that both have is there once.
pub(super) struct Opened(BTreeMap<DiffId, Arc<Changes>>);

impl Opened {
    pub(super) fn of(store: &Arc<Store>, images: [&Image; 2]) -> Result<Self, DiffError> {
        let mut opened = BTreeMap::new();
        for layer in images.iter().flat_map(|image| &image.layers) {
            if !opened.contains_key(&layer.diff_id) {
                opened.insert(layer.diff_id.clone(), Arc::new(layer::open(store, layer)?));
            }
        }
        Ok(Self(opened))
    }

    fn tree(&self, image: &Image) -> Tree {
        let mut tree = Tree::default();
        for layer in &image.layers {
            tree.apply(&self.0[&layer.diff_id]);
        }
        tree
    }

    /// What differs between the final trees.
    pub(super) fn files(
        &self,
        engine: &mut Engine<'_>,
        a: &Image,
        b: &Image,
    ) -> Result<Vec<FileDiff>, DiffError> {
        files::trees(engine, &self.tree(a), &self.tree(b), &Place::default())
    }

    /// Finds out how layers of other tars differ.
    pub(super) fn explain(
        &self,
        engine: &mut Engine<'_>,
        store: &Arc<Store>,
        (a, b): (&Image, &Image),
        layers: &mut [LayerDiff],
    ) -> Result<(), DiffError> {
        for diff in layers.iter_mut().filter(|diff| diff.how == How::Files) {
            let (Some(old), Some(new)) = (&diff.layers.a, &diff.layers.b) else { continue };
            let (old, new) = (&a.layers[old.number - 1], &b.layers[new.number - 1]);
            let (before, after) = (&self.0[&old.diff_id], &self.0[&new.diff_id]);
            let nearness = files::nearness(before, after)?;
            if engine.options.layers && nearness != Nearness::Same {
                diff.files = files::changes(engine, before, after)?;
            }
            diff.how = match nearness {
                Nearness::Other => How::Files,
                Nearness::Times => How::Times,
                // What no listing keeps.
                Nearness::Same if layer::order(store, old)? == layer::order(store, new)? => How::Headers,
                Nearness::Same => How::Order,
            };
        }
        Ok(())
    }
}
