//! [`Freeze`]: the part of the network that is not trained.

use super::epoch_fields::{EpochContext, EpochFields, json};
use crate::contract::ParamError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The part of the network that is not trained: its tensors have no gradient, its batch normalisations use their running statistics and
/// keep them, and its dropout is off. Either `only_head` or `patterns` is given.
///
/// `frozen_stages`, `norm_eval` and `partial_bn` of the backbone, as in MMAction2, are independent of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Freeze {
    /// Whether only the classifier is trained: the layer with a row per class. Default: false.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub only_head: bool,
    /// Layers that are not trained: names of layers or tensors, or their beginnings up to a dot, such as `layer1`. `*` stands for any
    /// characters. Names are our own or those of MMAction2, such as `backbone.layer1`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub patterns: Vec<String>,
}

impl Freeze {
    /// Returns violations that types can't express, at paths from `with:`.
    pub(super) fn check(&self) -> Option<ParamError> {
        let Self { only_head, patterns } = self;
        (*only_head != patterns.is_empty()).then(|| ParamError {
            path: vec!["freeze".into()],
            message: if *only_head {
                "has both `only_head` and `patterns`".into()
            } else {
                "has neither `only_head: true` nor `patterns`".into()
            },
            help: "give one of the two".into(),
        })
    }
}

impl EpochFields for Freeze {
    fn epoch_fields(&self, _: EpochContext) -> Map<String, Value> {
        json(self).as_object().cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_two_is_given() {
        let check = |text: &str, expect: Option<&str>| {
            let error = serde_json::from_str::<Freeze>(text).expect("valid").check();
            assert_eq!(error.map(|error| error.message).as_deref(), expect, "{text}");
        };
        check(r#"{"only_head": true}"#, None);
        check(r#"{"patterns": ["layer1"]}"#, None);
        check("{}", Some("has neither `only_head: true` nor `patterns`"));
        check(r#"{"only_head": true, "patterns": ["layer1"]}"#, Some("has both `only_head` and `patterns`"));
    }
}
