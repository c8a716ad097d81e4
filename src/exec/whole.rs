//! The whole root file system of a stage as it grows, put together when somebody looks.
//!
//! A cached step adds a layer and looks at nothing: where all steps are, no layer's listing is read.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::layer::{Layer, LayerError};
use crate::store::Store;
use crate::tree::{Changes, Tree};

/// How a layer is opened: [`crate::layer::open`], or [`crate::layer::open_whole`].
pub(super) type Open = fn(&Arc<Store>, &Layer) -> Result<Changes, LayerError>;

/// A tree, and what nobody has yet looked at with it.
#[derive(Debug)]
pub(super) struct Whole {
    store: Arc<Store>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// What it stands on, until somebody looks.
    below: Option<Arc<Whole>>,
    tree: Arc<Tree>,
    unseen: VecDeque<Unseen>,
}

#[derive(Debug)]
enum Unseen {
    Layer(Box<Layer>, Open),
    Changes(Changes),
}

impl Whole {
    /// An empty one.
    pub(super) fn new(store: &Arc<Store>) -> Self {
        Self::with(store, None)
    }

    /// One that stands on another.
    pub(super) fn over(below: &Arc<Self>) -> Self {
        Self::with(&below.store, Some(Arc::clone(below)))
    }

    fn with(store: &Arc<Store>, below: Option<Arc<Self>>) -> Self {
        let state = State { below, tree: Arc::default(), unseen: VecDeque::new() };
        Self { store: Arc::clone(store), state: Mutex::new(state) }
    }

    /// Lays a layer over it.
    pub(super) fn push(&self, layer: &Layer, open: Open) {
        self.lock().unseen.push_back(Unseen::Layer(Box::new(layer.clone()), open));
    }

    /// Lays over it what was changed.
    pub(super) fn lay(&self, changes: Changes) {
        self.lock().unseen.push_back(Unseen::Changes(changes));
    }

    /// All of it. Who still holds it when more is laid over it and looked at has it copied.
    ///
    /// Those that it stands on come first, the lowest at once: a long chain of stages takes no stack.
    pub(super) fn get(&self) -> Result<Arc<Tree>, LayerError> {
        let mut chain = Vec::new();
        let mut next = self.lock().below.clone();
        while let Some(whole) = next {
            next = whole.lock().below.clone();
            chain.push(whole);
        }
        for whole in chain.iter().rev() {
            whole.settle()?;
        }
        self.settle()
    }

    /// The same where what it stands on is settled.
    fn settle(&self) -> Result<Arc<Tree>, LayerError> {
        let mut state = self.lock();
        if let Some(below) = &state.below {
            state.tree = below.settle()?;
            state.below = None;
        }
        while let Some(unseen) = state.unseen.front_mut() {
            let changes = match unseen {
                Unseen::Layer(layer, open) => open(&self.store, layer)?,
                Unseen::Changes(changes) => std::mem::take(changes),
            };
            Arc::make_mut(&mut state.tree).lay(changes);
            state.unseen.pop_front();
        }
        Ok(Arc::clone(&state.tree))
    }

    /// Whoever panicked with it held has ended the build: nobody looks at it again.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nor does it take stack to be forgotten.
impl Drop for Whole {
    fn drop(&mut self) {
        let take =
            |whole: &mut Self| whole.state.get_mut().unwrap_or_else(PoisonError::into_inner).below.take();
        let mut next = take(self);
        while let Some(mut whole) = next.and_then(Arc::into_inner) {
            next = take(&mut whole);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::testing::{file, path};

    #[test]
    fn long_chains_take_no_stack() {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(dir.path()).unwrap());
        let chain = move || {
            let bottom = Arc::new(Whole::new(&store));
            bottom.lay(Changes { puts: [(path("f"), file("f"))].into(), ..Changes::default() });
            let top = (0..100_000).fold(bottom, |below, _| Arc::new(Whole::over(&below)));
            (Whole::over(&top), Whole::over(&top))
        };
        let work = move || {
            drop(chain());
            let (left, right) = chain();
            assert!(left.get().unwrap().contains(&path("f")));
            assert!(Arc::ptr_eq(&left.get().unwrap(), &right.get().unwrap()));
        };
        std::thread::Builder::new().stack_size(128 << 10).spawn(work).unwrap().join().unwrap();
    }
}
