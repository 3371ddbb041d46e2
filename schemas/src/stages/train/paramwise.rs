//! [`ParamwiseCfg`]: learning rates and weight decays of single tensors.

use crate::contract::ParamError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Learning rates and weight decays of single tensors, with the rules and names of MMEngine. Multipliers apply to the `lr` and
/// `weight_decay` of the optimiser.
///
/// Names of tensors are our own, such as `layer1.0.conv1.weight`, or those of MMAction2, such as
/// `backbone.layer1.0.conv1.conv.weight`. Networks that MMAction2 does not have get the prefixes `backbone.` and `cls_head.`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ParamwiseCfg {
    /// Multipliers for tensors whose names contain the key. The longest key counts, of equally long ones the first in alphabetical
    /// order, and none of the multipliers below applies to the tensor. With `SwinOptimWrapperConstructor`, the multipliers of all
    /// keys that the name contains are multiplied.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub custom_keys: BTreeMap<String, CustomKey>,
    /// Multiplier of the learning rate of biases, except for those of normalisations.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0))]
    pub bias_lr_mult: Option<f64>,
    /// Multiplier of the weight decay of biases, except for those of normalisations.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0))]
    pub bias_decay_mult: Option<f64>,
    /// Multiplier of the weight decay of the scales and offsets of normalisations.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0))]
    pub norm_decay_mult: Option<f64>,
    /// Multiplier of the weight decay of depthwise 2-D convolutions. Their biases have `bias_decay_mult`, if that is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0))]
    pub dwconv_decay_mult: Option<f64>,
    /// Multiplier of the weight decay of other tensors with one axis.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0))]
    pub flat_decay_mult: Option<f64>,
    /// Whether a tensor that the network has twice is skipped. The networks here have none, so it changes nothing. Default: false.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub bypass_duplicate: bool,
    /// For `TSMOptimWrapperConstructor`, which needs it: whether the classifier has 5 times the learning rate, and its bias 10 times.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fc_lr5: Option<bool>,
    /// For `LearningRateDecayOptimizerConstructor`: the number of blocks. Default: that of the network.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub num_layers: Option<u32>,
    /// For `LearningRateDecayOptimizerConstructor`, which needs it: the factor of the learning rate from each layer to the one before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0))]
    pub decay_rate: Option<f64>,
    /// For `LearningRateDecayOptimizerConstructor`: what a layer is. Default: `layer_wise`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decay_type: Option<DecayType>,
}

/// The multipliers of a key of `custom_keys`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CustomKey {
    /// Multiplier of the learning rate. Default: 1.
    #[schemars(range(min = 0.0))]
    pub lr_mult: f64,
    /// Multiplier of the weight decay. Default: 1.
    #[schemars(range(min = 0.0))]
    pub decay_mult: f64,
}

/// What a layer is for `LearningRateDecayOptimizerConstructor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DecayType {
    /// Each block is a layer.
    LayerWise,
}

/// How learning rates and weight decays of single tensors follow from `paramwise_cfg`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Constructor {
    /// MMEngine's rules.
    #[default]
    DefaultOptimWrapperConstructor,
    /// As TSM was trained: no weight decay for biases and normalisations, and twice the learning rate for biases.
    TSMOptimWrapperConstructor,
    /// Layer decay, for `VisionTransformer` and `MViT`: the learning rate falls from the classifier to the patches. Tensors with one axis
    /// have no weight decay.
    LearningRateDecayOptimizerConstructor,
    /// As Video Swin was trained: the multipliers of all keys of `custom_keys` that a name contains are multiplied.
    SwinOptimWrapperConstructor,
}

impl Constructor {
    /// Returns the name, as in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::DefaultOptimWrapperConstructor => "DefaultOptimWrapperConstructor",
            Self::TSMOptimWrapperConstructor => "TSMOptimWrapperConstructor",
            Self::LearningRateDecayOptimizerConstructor => "LearningRateDecayOptimizerConstructor",
            Self::SwinOptimWrapperConstructor => "SwinOptimWrapperConstructor",
        }
    }

    /// Returns the parameters that it reads, and those that it needs.
    fn params(self) -> (&'static [&'static str], Option<&'static str>) {
        match self {
            Self::DefaultOptimWrapperConstructor => (
                &[
                    "custom_keys",
                    "bias_lr_mult",
                    "bias_decay_mult",
                    "norm_decay_mult",
                    "dwconv_decay_mult",
                    "flat_decay_mult",
                    "bypass_duplicate",
                ],
                None,
            ),
            Self::TSMOptimWrapperConstructor => (&["fc_lr5"], Some("fc_lr5")),
            Self::LearningRateDecayOptimizerConstructor => {
                (&["num_layers", "decay_rate", "decay_type"], Some("decay_rate"))
            }
            Self::SwinOptimWrapperConstructor => (&["custom_keys"], Some("custom_keys")),
        }
    }

    /// Returns what does not fit in `paramwise_cfg`, at paths from `with:`.
    pub(super) fn check(self, paramwise_cfg: Option<&ParamwiseCfg>) -> Vec<ParamError> {
        let (known, needed) = self.params();
        let at = |name: &str, message: String, help: String| ParamError {
            path: ["optim_wrapper", "paramwise_cfg", name].map(String::from).into(),
            message,
            help,
        };
        let given = paramwise_cfg.map(ParamwiseCfg::given).unwrap_or_default();
        let mut errors = Vec::new();
        for name in given.iter().filter(|name| !known.contains(&name.as_str())) {
            let message = format!("has no effect with `constructor: {}`", self.name());
            errors.push(at(name, message, format!("remove it; this constructor reads {}", known.join(", "))));
        }
        if let Some(needed) = needed.filter(|needed| !given.iter().any(|name| name == needed)) {
            let message = format!("is missing: `constructor: {}` needs it", self.name());
            errors.push(at(needed, message, format!("add `{needed}`")));
        }
        errors
    }
}

impl ParamwiseCfg {
    /// Returns the names of the parameters that are not at their defaults.
    fn given(&self) -> Vec<String> {
        let value = serde_json::to_value(self).unwrap_or_default();
        value.as_object().map(|fields| fields.keys().cloned().collect()).unwrap_or_default()
    }
}

impl Default for CustomKey {
    fn default() -> Self {
        Self { lr_mult: 1.0, decay_mult: 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_constructor_has_its_parameters() {
        let check = |constructor: Constructor, text: Option<&str>, expect: &[&str]| {
            let cfg: Option<ParamwiseCfg> = text.map(|text| serde_json::from_str(text).expect("valid"));
            let errors = constructor.check(cfg.as_ref());
            assert_eq!(errors.iter().map(|error| error.path[2].as_str()).collect::<Vec<_>>(), expect, "{text:?}");
        };
        let (default, tsm) = (Constructor::DefaultOptimWrapperConstructor, Constructor::TSMOptimWrapperConstructor);
        let (decay, swin) =
            (Constructor::LearningRateDecayOptimizerConstructor, Constructor::SwinOptimWrapperConstructor);
        check(default, None, &[]);
        check(default, Some(r#"{"norm_decay_mult": 0.0, "custom_keys": {"head": {"lr_mult": 2.0}}}"#), &[]);
        check(default, Some(r#"{"fc_lr5": true, "decay_rate": 0.5}"#), &["fc_lr5", "decay_rate"]);
        check(tsm, Some(r#"{"fc_lr5": false}"#), &[]);
        check(tsm, Some(r#"{"bias_lr_mult": 2.0}"#), &["bias_lr_mult", "fc_lr5"]);
        check(decay, Some(r#"{"decay_rate": 0.75, "decay_type": "layer_wise", "num_layers": 12}"#), &[]);
        check(decay, None, &["decay_rate"]);
        check(swin, None, &["custom_keys"]);
        for constructor in [default, tsm, decay, swin] {
            let name = serde_json::to_value(constructor).expect("a name");
            assert_eq!(name, constructor.name());
            assert!(constructor.params().0.iter().all(|name| ParamwiseCfg::knows(name)), "{constructor:?}");
        }
    }

    impl ParamwiseCfg {
        fn knows(name: &str) -> bool {
            let schema = serde_json::to_value(schemars::schema_for!(Self)).expect("a schema");
            schema["properties"].get(name).is_some()
        }
    }
}
