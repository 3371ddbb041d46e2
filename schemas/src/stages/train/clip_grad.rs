//! [`ClipGrad`]: limits gradients before the optimiser's step.

use crate::contract::ParamError;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Limits gradients before the optimiser's step, as PyTorch's `clip_grad_norm_` and `clip_grad_value_`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ClipGrad {
    /// What is limited. Default: `norm`.
    #[serde(rename = "type", skip_serializing_if = "ClipType::is_norm")]
    pub clip_type: ClipType,
    /// For `norm`: the maximum norm of all gradients taken together. Larger ones are multiplied by `max_norm / (norm + 1e-6)`.
    #[schemars(range(min = 0.0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_norm: Option<f64>,
    /// For `norm`: the `p` of the p-norm, or `inf` for the largest absolute value. Default: 2.
    #[serde(skip_serializing_if = "NormType::is_two")]
    pub norm_type: NormType,
    /// For `value`: each value is limited to the range from `-clip_value` to `clip_value`.
    #[schemars(range(min = 0.0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_value: Option<f64>,
}

/// What [`ClipGrad`] limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum ClipType {
    /// The norm of all gradients taken together.
    #[default]
    Norm,
    /// Each value of each gradient.
    Value,
}

/// The `p` of a p-norm; infinity is written `inf`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NormType(pub f64);

impl ClipGrad {
    /// Returns a limit of the 2-norm.
    pub fn max_norm(max_norm: f64) -> Self {
        Self { max_norm: Some(max_norm), ..Self::default() }
    }

    /// Returns violations that types can't express, at paths from `with:`.
    pub(super) fn check(&self) -> Vec<ParamError> {
        let Self { clip_type, max_norm, norm_type, clip_value } = self;
        let at = |name: &str, message: String, help: String| ParamError {
            path: ["optim_wrapper", "clip_grad", name].map(String::from).into(),
            message,
            help,
        };
        let (needed, found, other, other_found) = match clip_type {
            ClipType::Norm => ("max_norm", max_norm.is_some(), "clip_value", clip_value.is_some()),
            ClipType::Value => ("clip_value", clip_value.is_some(), "max_norm", max_norm.is_some()),
        };
        let name = clip_type.name();
        let mut errors = Vec::new();
        if !found {
            errors.push(at(needed, format!("is missing: `type: {name}` needs it"), format!("add `{needed}`")));
        }
        let has_norm_type = *clip_type == ClipType::Value && !norm_type.is_two();
        for unused in [(other, other_found), ("norm_type", has_norm_type)].into_iter().filter(|(_, found)| *found) {
            let message = format!("has no effect with `type: {name}`");
            errors.push(at(unused.0, message, format!("remove `{}`, or change `type`", unused.0)));
        }
        errors
    }
}

impl ClipType {
    fn name(self) -> &'static str {
        match self {
            Self::Norm => "norm",
            Self::Value => "value",
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_norm(&self) -> bool {
        *self == Self::Norm
    }
}

impl NormType {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_two(&self) -> bool {
        self.0.to_bits() == 2.0_f64.to_bits()
    }
}

impl Default for NormType {
    fn default() -> Self {
        Self(2.0)
    }
}

impl Serialize for NormType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_infinite() { serializer.serialize_str("inf") } else { serializer.serialize_f64(self.0) }
    }
}

impl<'de> Deserialize<'de> for NormType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Spelling {
            Number(f64),
            Text(String),
        }
        let expected = "expected a number above 0, or `inf`";
        match Spelling::deserialize(deserializer) {
            Ok(Spelling::Number(p)) if p > 0.0 => Ok(Self(p)),
            Ok(Spelling::Text(text)) if text == "inf" => Ok(Self(f64::INFINITY)),
            Ok(_) | Err(_) => Err(serde::de::Error::custom(expected)),
        }
    }
}

impl JsonSchema for NormType {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "NormType".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "The `p` of a p-norm, above 0; infinity is written `inf`.",
            "anyOf": [{ "type": "number", "exclusiveMinimum": 0 }, { "const": "inf" }]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ClipGrad, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn the_form_of_earlier_versions_is_kept() {
        let clip = parse(r#"{"max_norm": 40.0}"#).expect("valid");
        assert_eq!(serde_json::to_string(&clip).expect("text"), r#"{"max_norm":40.0}"#);
        assert_eq!(clip, ClipGrad::max_norm(40.0));
    }

    #[test]
    fn norms_are_numbers_above_0_or_inf() {
        let norm =
            |text: &str| parse(&format!(r#"{{"max_norm": 1.0, "norm_type": {text}}}"#)).map(|clip| clip.norm_type.0);
        assert_eq!(norm("1"), Ok(1.0));
        assert_eq!(norm(r#""inf""#), Ok(f64::INFINITY));
        for wrong in ["0", "-1", r#""big""#, "null"] {
            assert!(norm(wrong).is_err_and(|error| error.contains("a number above 0, or `inf`")), "{wrong}");
        }
    }

    #[test]
    fn parameters_fit_the_type() {
        let check = |text: &str, expect: &[&str]| {
            let errors = parse(text).expect("valid").check();
            assert_eq!(errors.iter().map(|error| error.path[2].as_str()).collect::<Vec<_>>(), expect, "{text}");
        };
        check(r#"{"max_norm": 1.0, "norm_type": "inf"}"#, &[]);
        check(r#"{"type": "value", "clip_value": 1.0}"#, &[]);
        check("{}", &["max_norm"]);
        check(r#"{"type": "value", "max_norm": 1.0}"#, &["clip_value", "max_norm"]);
        check(r#"{"type": "value", "clip_value": 1.0, "norm_type": 1}"#, &["norm_type"]);
        check(r#"{"max_norm": 1.0, "clip_value": 1.0}"#, &["clip_value"]);
    }
}
