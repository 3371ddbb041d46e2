//! [`Loss`]: what training minimises. Used in `model.cls_head.loss_cls` of `train`.
//!
//! To add a loss, add a variant with a struct of its parameters, and its computation as `crates/learn/src/losses/NAME.rs`. The
//! parameters are here because `pipe` checks them without libtorch. A parameter that is added is left out at its default, so that
//! networks that were trained before it existed stay valid.

use crate::contract::ParamError;
use crate::labelling::Labelling;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What training minimises. Names are those of MMAction2.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum Loss {
    /// Cross-entropy of the softmax, for one label per video. Labels of blended clips are shared between both classes.
    CrossEntropyLoss(CrossEntropyLoss),
    /// Binary cross-entropy of the logistic function, for several labels per video; the mean over clips and classes.
    BCELossWithLogits(BceLossWithLogits),
    /// Focal loss of the logistic function with class-balanced weights (Cui et al. 2019), for one label per video.
    CBFocalLoss(CbFocalLoss),
    /// Focal loss of the logistic function (Lin et al. 2017), for one or several labels per video.
    FocalLoss(FocalLoss),
    /// The squared difference of the logits to 1 for classes of the video, and to 0 for the others.
    MSELoss(MseLoss),
}

/// Parameters of `CrossEntropyLoss`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CrossEntropyLoss {
    /// The weight of each class, in the order of the classes. Default: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_weight: Option<Vec<f64>>,
    /// What the sum over the clips is divided by if there are class weights. Default: `mmaction2`.
    #[serde(skip_serializing_if = "is_default")]
    pub normalisation: WeightedMean,
    /// Whether the loss is the mean over the clips, or their sum. Default: `mean`.
    #[serde(skip_serializing_if = "is_default")]
    pub reduction: Reduction,
    /// The factor of the loss. Default: 1.
    #[serde(skip_serializing_if = "is_one")]
    #[schemars(range(min = 0.0))]
    pub loss_weight: f64,
}

/// Parameters of `BCELossWithLogits`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BceLossWithLogits {
    /// The weight of each class, in the order of the classes. The mean does not depend on it. Default: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_weight: Option<Vec<f64>>,
    /// Whether the loss is the mean over clips and classes, or their sum. Default: `mean`.
    #[serde(skip_serializing_if = "is_default")]
    pub reduction: Reduction,
    /// The factor of the loss. Default: 1.
    #[serde(skip_serializing_if = "is_one")]
    #[schemars(range(min = 0.0))]
    pub loss_weight: f64,
}

/// Parameters of `CBFocalLoss`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CbFocalLoss {
    /// The number of training videos of each class, in the order of the classes.
    pub samples_per_cls: Vec<u64>,
    /// The weight of a class with `n` videos is proportional to `(1 - beta) / (1 - beta^n)`; the mean over the classes is 1. Default:
    /// 0.9999.
    #[serde(default = "beta")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub beta: f64,
    /// The exponent that lowers the loss of classes that are predicted well. Default: 2.
    #[serde(default = "gamma")]
    #[schemars(range(min = 0.0))]
    pub gamma: f64,
    /// The factor of the loss. Default: 1.
    #[serde(default = "one")]
    #[schemars(range(min = 0.0))]
    pub loss_weight: f64,
}

/// Parameters of `FocalLoss`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FocalLoss {
    /// The exponent that lowers the loss of classes that are predicted well. Default: 2.
    #[schemars(range(min = 0.0))]
    pub gamma: f64,
    /// The weight of the classes of a clip; that of the other classes is `1 - alpha`. A negative number means no weights. Default:
    /// 0.25.
    #[schemars(range(max = 1.0))]
    pub alpha: f64,
    /// Whether the loss is the mean over clips and classes, or their sum. Default: `mean`.
    pub reduction: Reduction,
    /// The factor of the loss. Default: 1.
    #[schemars(range(min = 0.0))]
    pub loss_weight: f64,
}

/// Parameters of `MSELoss`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MseLoss {
    /// Whether the loss is the mean over clips and classes, or their sum. Default: `mean`.
    pub reduction: Reduction,
    /// The factor of the loss. Default: 1.
    #[schemars(range(min = 0.0))]
    pub loss_weight: f64,
}

/// How the losses of the clips of a batch become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reduction {
    /// The mean over clips and classes.
    #[default]
    Mean,
    /// The sum over clips and classes.
    Sum,
}

/// What the sum of a cross-entropy with class weights is divided by. For one label per clip without smoothing, both are the sum of the
/// weights of the labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WeightedMean {
    /// The sum of the weights of all classes, each times its share in the clip after smoothing.
    #[default]
    MMAction2,
    /// The sum of the weights of the labels before smoothing, or the number of clips if the batch has blended clips.
    PyTorch,
}

impl Loss {
    /// Returns the loss that is used where none is chosen.
    pub fn default_for(labelling: Labelling) -> Self {
        match labelling {
            Labelling::SingleLabel => Self::CrossEntropyLoss(CrossEntropyLoss::default()),
            Labelling::MultiLabel => Self::BCELossWithLogits(BceLossWithLogits::default()),
        }
    }

    /// Returns whether the loss is defined for a labelling.
    pub fn fits(&self, labelling: Labelling) -> bool {
        match self {
            Self::CrossEntropyLoss(_) | Self::CBFocalLoss(_) => labelling == Labelling::SingleLabel,
            Self::BCELossWithLogits(_) => labelling == Labelling::MultiLabel,
            Self::FocalLoss(_) | Self::MSELoss(_) => true,
        }
    }

    /// Returns the factor of the loss.
    pub fn loss_weight(&self) -> f64 {
        match self {
            Self::CrossEntropyLoss(params) => params.loss_weight,
            Self::BCELossWithLogits(params) => params.loss_weight,
            Self::CBFocalLoss(params) => params.loss_weight,
            Self::FocalLoss(params) => params.loss_weight,
            Self::MSELoss(params) => params.loss_weight,
        }
    }

    /// Returns the name of the parameter with a value per class, and the number of its values.
    pub fn per_class(&self) -> Option<(&'static str, usize)> {
        match self {
            Self::CrossEntropyLoss(CrossEntropyLoss { class_weight, .. })
            | Self::BCELossWithLogits(BceLossWithLogits { class_weight, .. }) => {
                class_weight.as_ref().map(|weights| ("class_weight", weights.len()))
            }
            Self::CBFocalLoss(params) => Some(("samples_per_cls", params.samples_per_cls.len())),
            Self::FocalLoss(_) | Self::MSELoss(_) => None,
        }
    }

    /// Returns violations that types can't express.
    pub(crate) fn check(&self) -> Vec<ParamError> {
        match self {
            Self::CrossEntropyLoss(CrossEntropyLoss { class_weight, .. })
            | Self::BCELossWithLogits(BceLossWithLogits { class_weight, .. }) => {
                class_weight.iter().flat_map(|weights| check_weights(weights)).collect()
            }
            Self::CBFocalLoss(params) => params.check(),
            Self::FocalLoss(_) | Self::MSELoss(_) => Vec::new(),
        }
    }
}

fn check_weights(weights: &[f64]) -> Vec<ParamError> {
    let negative = weights.iter().enumerate().filter(|(_, weight)| !(weight.is_finite() && **weight >= 0.0));
    let of_class = |(class_index, weight): (usize, &f64)| {
        error(&["class_weight", &class_index.to_string()], format!("{weight} is not a weight"), "a number from 0 on")
    };
    let mut errors: Vec<_> = negative.map(of_class).collect();
    if errors.is_empty() && weights.iter().all(|weight| *weight == 0.0) {
        errors.push(error(&["class_weight"], "all weights are 0".into(), "at least one number above 0"));
    }
    errors
}

impl CbFocalLoss {
    fn check(&self) -> Vec<ParamError> {
        let empty = self.samples_per_cls.iter().enumerate().filter(|(_, count)| **count == 0);
        let of_class = |(class_index, _): (usize, &u64)| {
            error(
                &["samples_per_cls", &class_index.to_string()],
                "a class without training videos has no weight".into(),
                "a number from 1 on",
            )
        };
        let mut errors: Vec<_> = empty.map(of_class).collect();
        if self.beta >= 1.0 {
            errors.push(error(
                &["beta"],
                "the weights are not defined for 1".into(),
                "a number below 1, such as 0.9999",
            ));
        }
        errors
    }

    /// Returns the weight of each class.
    pub fn class_weights(&self) -> Vec<f64> {
        let weight = |count: &u64| (1.0 - self.beta) / (1.0 - self.beta.powf(*count as f64));
        let weights: Vec<f64> = self.samples_per_cls.iter().map(weight).collect();
        let mean = weights.iter().sum::<f64>() / weights.len() as f64;
        weights.into_iter().map(|weight| weight / mean).collect()
    }
}

fn error(path: &[&str], message: String, help: &str) -> ParamError {
    let path = ["model", "cls_head", "loss_cls"].iter().chain(path).map(|step| (*step).to_owned()).collect();
    ParamError { path, message, help: help.to_owned() }
}

impl Default for CrossEntropyLoss {
    fn default() -> Self {
        Self {
            class_weight: None,
            normalisation: WeightedMean::default(),
            reduction: Reduction::default(),
            loss_weight: one(),
        }
    }
}

impl Default for BceLossWithLogits {
    fn default() -> Self {
        Self { class_weight: None, reduction: Reduction::default(), loss_weight: one() }
    }
}

impl Default for FocalLoss {
    fn default() -> Self {
        Self { gamma: gamma(), alpha: 0.25, reduction: Reduction::default(), loss_weight: one() }
    }
}

impl Default for MseLoss {
    fn default() -> Self {
        Self { reduction: Reduction::default(), loss_weight: one() }
    }
}

fn one() -> f64 {
    1.0
}

fn beta() -> f64 {
    0.9999
}

fn gamma() -> f64 {
    2.0
}

#[expect(clippy::float_cmp, reason = "only the default itself is left out")]
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_one(value: &f64) -> bool {
    *value == 1.0
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(value: serde_json::Value) -> Loss {
        serde_json::from_value(value).expect("a loss")
    }

    #[test]
    fn parameters_at_their_defaults_are_left_out() {
        for loss in [json!({"type": "CrossEntropyLoss"}), json!({"type": "BCELossWithLogits"})] {
            assert_eq!(json!(parse(loss.clone())), loss);
        }
        let weighted = json!({"type": "CrossEntropyLoss", "class_weight": [1.0, 2.0], "normalisation": "pytorch"});
        assert_eq!(json!(parse(weighted.clone())), weighted);
    }

    #[test]
    fn values_per_class_are_checked() {
        let messages = |loss: serde_json::Value| {
            let errors = parse(loss).check();
            errors
                .into_iter()
                .map(|error| format!("{}: {}", error.path[3..].join("."), error.message))
                .collect::<Vec<_>>()
        };
        let weights =
            |weights: serde_json::Value| messages(json!({"type": "CrossEntropyLoss", "class_weight": weights}));
        assert!(weights(json!([0, 2])).is_empty());
        assert_eq!(weights(json!([1, -2])), ["class_weight.1: -2 is not a weight"]);
        assert_eq!(weights(json!([0, 0])), ["class_weight: all weights are 0"]);
        let balanced = json!({"type": "CBFocalLoss", "samples_per_cls": [1, 0], "beta": 1.0});
        assert_eq!(
            messages(balanced),
            [
                "samples_per_cls.1: a class without training videos has no weight",
                "beta: the weights are not defined for 1"
            ]
        );
    }

    #[test]
    fn rare_classes_weigh_more() {
        // With beta 0, all classes weigh the same; with beta 0.5, 1 and 2 videos have 0.5 / 0.5 and 0.5 / 0.75.
        let weights =
            |beta| CbFocalLoss { samples_per_cls: vec![1, 2], beta, gamma: 2.0, loss_weight: 1.0 }.class_weights();
        assert_eq!(weights(0.0), [1.0, 1.0]);
        let balanced = weights(0.5);
        assert!((balanced[0] - 1.2).abs() < 1e-12 && (balanced[1] - 0.8).abs() < 1e-12, "{balanced:?}");
    }
}
