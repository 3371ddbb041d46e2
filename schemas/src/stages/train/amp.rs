//! [`Amp`]: training in mixed precision, as `MMEngine`'s `AmpOptimWrapper`.

use crate::contract::ParamError;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// The precision of training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum WrapperType {
    /// 32 bits everywhere.
    #[default]
    OptimWrapper,
    /// Convolutions, linear layers and attention compute in 16 bits; weights, normalisations, means and losses stay in 32 bits.
    AmpOptimWrapper,
}

/// A floating-point type of 16 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AmpDtype {
    /// The range of 32 bits, and 2 to 3 digits. It needs a GPU, or a processor with AVX512-BF16.
    BFloat16,
    /// 3 to 4 digits, and values up to 65504. It needs a GPU.
    Float16,
}

/// The factor of the loss, which keeps small gradients apart from 0. Gradients are divided by it before the optimiser's step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LossScale {
    /// 65536 at first; half of it when a gradient is not finite, whose step is left out; twice of it after 2000 steps.
    Dynamic,
    /// Always the same. In float16, a step whose gradients are not finite is left out.
    Fixed(f64),
}

/// Training in mixed precision.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Amp {
    /// What is computed with.
    pub dtype: AmpDtype,
    /// The factor of the loss.
    pub loss_scale: LossScale,
}

impl Amp {
    /// Combines the parameters of `optim_wrapper`; `None` for 32 bits.
    pub(super) fn new(wrapper: WrapperType, dtype: Option<AmpDtype>, loss_scale: Option<LossScale>) -> Option<Self> {
        let dtype = dtype.filter(|_| wrapper == WrapperType::AmpOptimWrapper)?;
        let default = match dtype {
            AmpDtype::BFloat16 => LossScale::Fixed(1.0),
            AmpDtype::Float16 => LossScale::Dynamic,
        };
        Some(Self { dtype, loss_scale: loss_scale.unwrap_or(default) })
    }

    /// Returns violations that types can't express, at paths from `with:`.
    pub(super) fn check(
        wrapper: WrapperType,
        dtype: Option<AmpDtype>,
        loss_scale: Option<LossScale>,
    ) -> Option<ParamError> {
        let at = |name: &str, message: &str, help: &str| ParamError {
            path: ["optim_wrapper", name].map(String::from).into(),
            message: message.into(),
            help: help.into(),
        };
        match (wrapper, dtype, loss_scale) {
            (WrapperType::AmpOptimWrapper, None, _) => {
                Some(at("dtype", "is missing: `type: AmpOptimWrapper` needs it", "`bfloat16` or `float16`"))
            }
            (WrapperType::OptimWrapper, Some(_), _) => {
                Some(at("dtype", "has no effect with `type: OptimWrapper`", "set `type: AmpOptimWrapper`"))
            }
            (WrapperType::OptimWrapper, None, Some(_)) => {
                Some(at("loss_scale", "has no effect with `type: OptimWrapper`", "set `type: AmpOptimWrapper`"))
            }
            (WrapperType::OptimWrapper, None, None) | (WrapperType::AmpOptimWrapper, Some(_), _) => None,
        }
    }
}

impl AmpDtype {
    /// Returns the name in pipeline files.
    pub fn name(self) -> &'static str {
        match self {
            Self::BFloat16 => "bfloat16",
            Self::Float16 => "float16",
        }
    }
}

impl WrapperType {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Serialize for LossScale {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Dynamic => serializer.serialize_str("dynamic"),
            Self::Fixed(scale) => serializer.serialize_f64(*scale),
        }
    }
}

impl<'de> Deserialize<'de> for LossScale {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScaleVisitor)
    }
}

struct ScaleVisitor;

impl Visitor<'_> for ScaleVisitor {
    type Value = LossScale;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("`dynamic`, or a number above 0")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<LossScale, E> {
        if text == "dynamic" {
            Ok(LossScale::Dynamic)
        } else {
            Err(E::invalid_value(serde::de::Unexpected::Str(text), &self))
        }
    }

    fn visit_u64<E: Error>(self, scale: u64) -> Result<LossScale, E> {
        self.visit_f64(scale as f64)
    }

    fn visit_f64<E: Error>(self, scale: f64) -> Result<LossScale, E> {
        if scale.is_finite() && scale > 0.0 {
            Ok(LossScale::Fixed(scale))
        } else {
            Err(E::invalid_value(serde::de::Unexpected::Float(scale), &self))
        }
    }
}

impl JsonSchema for LossScale {
    fn schema_name() -> Cow<'static, str> {
        "LossScale".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The factor of the loss: `dynamic`, or a number.",
            "anyOf": [{ "const": "dynamic" }, { "type": "number", "exclusiveMinimum": 0 }],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{EpochContext, EpochFields, OptimWrapper};
    use serde_json::{Value, json};

    fn wrapper(value: Value) -> OptimWrapper {
        serde_json::from_value(value).expect("parameters")
    }

    #[test]
    fn the_loss_is_scaled_where_16_bits_need_it() {
        let amp = |value| json!(wrapper(value).amp());
        assert_eq!(amp(json!({})), Value::Null);
        let bfloat16 = json!({"type": "AmpOptimWrapper", "dtype": "bfloat16"});
        assert_eq!(amp(bfloat16.clone()), json!({"dtype": "bfloat16", "loss_scale": 1.0}));
        let float16 = json!({"type": "AmpOptimWrapper", "dtype": "float16"});
        assert_eq!(amp(float16), json!({"dtype": "float16", "loss_scale": "dynamic"}));
        let fixed = json!({"type": "AmpOptimWrapper", "dtype": "float16", "loss_scale": 512});
        assert_eq!(amp(fixed), json!({"dtype": "float16", "loss_scale": 512.0}));
        // Without it, parameters are written as before, and the keys of epochs stay.
        assert!(json!(wrapper(json!({}))).get("type").is_none());
        assert_eq!(json!(wrapper(bfloat16.clone()))["dtype"], "bfloat16");
        let fields = |value| wrapper(value).epoch_fields(EpochContext { validated: false });
        assert!(!fields(json!({})).contains_key("amp"));
        assert_eq!(fields(bfloat16)["amp"], json!({"dtype": "bfloat16", "loss_scale": 1.0}));
    }

    #[test]
    fn parameters_without_effect_are_errors() {
        let check = |value, expect: &[&str]| {
            let errors = wrapper(value).check();
            let found: Vec<_> =
                errors.iter().map(|error| format!("{} {}", error.path.join("."), error.message)).collect();
            assert_eq!(found, expect);
        };
        check(json!({"type": "AmpOptimWrapper", "dtype": "bfloat16"}), &[]);
        check(
            json!({"type": "AmpOptimWrapper"}),
            &["optim_wrapper.dtype is missing: `type: AmpOptimWrapper` needs it"],
        );
        check(json!({"dtype": "float16"}), &["optim_wrapper.dtype has no effect with `type: OptimWrapper`"]);
        check(json!({"loss_scale": "dynamic"}), &["optim_wrapper.loss_scale has no effect with `type: OptimWrapper`"]);
    }

    #[test]
    fn a_loss_scale_is_dynamic_or_a_number() {
        let error = |value: Value| serde_json::from_value::<super::LossScale>(value).expect_err("invalid").to_string();
        assert_eq!(error(json!("static")), "invalid value: string \"static\", expected `dynamic`, or a number above 0");
        assert_eq!(error(json!(0)), "invalid value: floating point `0.0`, expected `dynamic`, or a number above 0");
    }
}
