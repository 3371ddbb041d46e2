//! [`EpochFields`]: which parameters determine the result of an epoch.
//!
//! An epoch is cached by the parameters that affect it. Each part of the parameters states in [`EpochFields::epoch_fields`]
//! which of its fields these are. Implementations destructure `self` without `..`, so that a new field does not compile until
//! somebody has decided: either it is listed, or it is bound to `_` with the reason.

use serde_json::{Map, Value};

/// What an implementation of [`EpochFields`] may depend on, besides the parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochContext {
    /// Whether the test samples are evaluated as part of this epoch.
    pub validated: bool,
}

/// A group of parameters that knows which of them determine the result of an epoch.
pub trait EpochFields {
    /// Returns the parameters that determine the result of an epoch, by name. The initial state, the clips that are shown and
    /// the learning rates are fields of their own, which the stage adds.
    fn epoch_fields(&self, context: EpochContext) -> Map<String, Value>;
}

/// Returns a JSON object without its empty members.
pub(crate) fn object<const N: usize>(members: [(&str, Value); N]) -> Map<String, Value> {
    let empty = |value: &Value| value.as_object().is_some_and(Map::is_empty);
    members.into_iter().filter(|(_, value)| !empty(value)).map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Returns a parameter as JSON. Numbers, texts and lists of them always have a JSON form.
pub(crate) fn json(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}
