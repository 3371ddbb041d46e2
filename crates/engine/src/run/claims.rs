//! [`Claims`]: which stages of this run make, or want to make, the result of each key. Stages of a matrix can have equal keys, and
//! trainings can have equal epochs; then one of them waits for the lock of the other.

use pipe_cache::ActionKey;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The stages of a run by the keys that they hold, or wait for. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Claims {
    /// Stages by key, the first one first.
    stages: Arc<Mutex<BTreeMap<ActionKey, Vec<String>>>>,
}

/// The claim of a stage; given up when it is dropped.
#[derive(Debug)]
pub(super) struct Claim {
    claims: Claims,
    key: ActionKey,
    stage: String,
}

impl Claims {
    /// Notes that `stage` makes the result of `key`, or waits for it.
    pub(super) fn claim(&self, key: ActionKey, stage: &str) -> Claim {
        self.with(key, |stages| stages.push(stage.to_owned()));
        Claim { claims: self.clone(), key, stage: stage.to_owned() }
    }

    fn with<T>(&self, key: ActionKey, then: impl FnOnce(&mut Vec<String>) -> T) -> T {
        let mut all = self.stages.lock().unwrap_or_else(PoisonError::into_inner);
        let stages = all.entry(key).or_default();
        let result = then(stages);
        if stages.is_empty() {
            all.remove(&key);
        }
        result
    }
}

impl Claim {
    /// Returns the stage of this run that claimed the key first, if it is another one.
    pub(super) fn first_other(&self) -> Option<String> {
        self.claims.with(self.key, |stages| stages.first().filter(|first| **first != self.stage).cloned())
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claims.with(self.key, |stages| {
            if let Some(at) = stages.iter().position(|stage| *stage == self.stage) {
                stages.remove(at);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipe_cache::Fields;

    #[test]
    fn the_first_stage_with_a_key_is_the_one_that_others_wait_for() {
        let key = |name: &str| {
            let mut fields = Fields::default();
            fields.add(["name"], name);
            fields.key()
        };
        let claims = Claims::default();
        let a = claims.claim(key("1"), "a");
        let (b, other) = (claims.claim(key("1"), "b"), claims.claim(key("2"), "c"));
        assert_eq!((a.first_other(), b.first_other(), other.first_other()), (None, Some("a".into()), None));
        drop(a);
        assert_eq!(b.first_other(), None, "then another process has the lock");
        drop((b, other));
        assert!(claims.stages.lock().expect("a list").is_empty());
    }
}
