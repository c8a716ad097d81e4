//! What a token is for (distribution's token scope documentation).

use std::collections::{BTreeMap, BTreeSet};

use super::call::Access;

/// Resources and what may be done with each: `repository:library/alpine` with `pull`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Scopes(BTreeMap<String, BTreeSet<String>>);

/// More is not asked for, whatever a challenge says.
const MAX: usize = 16;

impl Scopes {
    pub(super) fn of(repository: &str, access: Access<'_>) -> Self {
        let mut scopes = Self::default();
        let wanted = [("pull", true), ("push", access.push), ("delete", access.delete)];
        for (action, _) in wanted.into_iter().filter(|(_, wanted)| *wanted) {
            scopes.add(&format!("repository:{repository}"), action);
        }
        if let Some(from) = access.from {
            scopes.add(&format!("repository:{from}"), "pull");
        }
        scopes
    }

    /// Reads the `scope` of a challenge.
    pub(super) fn parse(text: &str) -> Self {
        let mut scopes = Self::default();
        for (resource, actions) in text.split_ascii_whitespace().filter_map(|scope| scope.rsplit_once(':')) {
            for action in actions.split(',').filter(|action| !action.is_empty()) {
                scopes.add(resource, action);
            }
        }
        scopes
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (resource, actions) in &other.0 {
            for action in actions {
                self.add(resource, action);
            }
        }
    }

    /// Whether what allows this allows all of the other.
    pub(super) fn covers(&self, other: &Self) -> bool {
        other.0.iter().all(|(resource, wanted)| {
            self.0.get(resource).is_some_and(|allowed| allowed.contains("*") || wanted.is_subset(allowed))
        })
    }

    /// As a request has them.
    pub(super) fn each(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(resource, actions)| {
            let actions: Vec<&str> = actions.iter().map(String::as_str).collect();
            format!("{resource}:{}", actions.join(","))
        })
    }

    fn add(&mut self, resource: &str, action: &str) {
        if self.0.len() < MAX || self.0.contains_key(resource) {
            let actions = self.0.entry(resource.to_owned()).or_default();
            if actions.len() < MAX {
                actions.insert(action.to_owned());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_say_what_is_wanted() {
        let text = |scopes: &Scopes| scopes.each().collect::<Vec<_>>().join(" ");
        let pull = Scopes::of("a/b", Access::default());
        assert_eq!(text(&pull), "repository:a/b:pull");
        let push = Scopes::of("a/b", Access { push: true, delete: false, from: Some("c") });
        assert_eq!(text(&push), "repository:a/b:pull,push repository:c:pull");
        let all = Scopes::of("a/b", Access { push: true, delete: true, from: Some("a/b") });
        assert_eq!(text(&all), "repository:a/b:delete,pull,push");
        assert!(push.covers(&pull) && !pull.covers(&push) && !all.covers(&push));
        assert!(pull.covers(&Scopes::default()) && !Scopes::default().covers(&pull));
    }

    #[test]
    fn scopes_of_challenges_are_read() {
        let mut scopes =
            Scopes::parse("repository:a/b:push,pull  registry:catalog:* x repository:h:5000/c:pull,");
        let expected = ["registry:catalog:*", "repository:a/b:pull,push", "repository:h:5000/c:pull"];
        assert_eq!(scopes.each().collect::<Vec<_>>(), expected);
        scopes.merge(&Scopes::parse("repository:a/b:delete"));
        assert!(scopes.covers(&Scopes::parse("repository:a/b:delete,pull registry:catalog:x")));
        let many: String = (0..100).map(|n| format!("repository:r{n}:pull ")).collect();
        assert_eq!(Scopes::parse(&many).each().count(), MAX);
    }
}
