//! [`check_config`]: the parameters of a network against the `config.json` of Hugging Face.

use crate::zoo::{config_facts, config_names};
use pipe_schemas::networks::Backbone;
use pipe_weights::HfConfig;
use serde_json::Value;

/// Values of a network that differ from those in `config.json`.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the weights belong to another network: {}", list(of))]
pub struct ConfigConflict {
    /// All that differ.
    pub of: Vec<ConfigValue>,
}

/// A value of a network that differs from the one in `config.json`.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigValue {
    /// The key in `config.json`.
    pub key: String,
    /// The value there.
    pub expected: Value,
    /// The parameter of the network; `None` if the network has no parameter for it.
    pub parameter: Option<String>,
    /// The value in the network.
    pub found: Value,
}

fn list(of: &[ConfigValue]) -> String {
    let text = |ConfigValue { key, expected, parameter, found }: &ConfigValue| match parameter {
        Some(parameter) => format!("`{key}` is {expected} in config.json, but `{parameter}` of the network is {found}"),
        None => format!("`{key}` is {expected} in config.json, but always {found} in the network"),
    };
    of.iter().map(text).collect::<Vec<_>>().join("; ")
}

impl ConfigConflict {
    /// Returns what to do about it, where parameters of the network are below `backbone`.
    pub fn help(&self, backbone: &str) -> String {
        let fixed: Vec<String> =
            self.of.iter().filter(|value| value.parameter.is_none()).map(|value| format!("`{}`", value.key)).collect();
        if !fixed.is_empty() {
            return format!("no parameter of the network sets {}: use other weights", fixed.join(" and "));
        }
        let set = |value: &ConfigValue| Some(format!("`{backbone}.{}: {}`", value.parameter.as_ref()?, value.expected));
        format!("set {}", self.of.iter().filter_map(set).collect::<Vec<_>>().join(" and "))
    }
}

/// Parameters that do not belong to the weights: the family has another name elsewhere, and training chooses its rates itself.
const NOT_OF_WEIGHTS: [&str; 2] = ["type", "drop_path_rate"];

/// Compares the parameters of a network with those that `config.json` has under the same name, or under the name that the family
/// knows for it. Values that the family always has, such as its activation, are compared too. Other keys that are not parameters, and
/// parameters of training, are ignored.
///
/// # Errors
/// [`ConfigConflict`] with all values that differ.
pub fn check_config(backbone: &Backbone, config: &HfConfig) -> Result<(), ConfigConflict> {
    let Ok(Value::Object(params)) = serde_json::to_value(backbone) else { return Ok(()) };
    let names = config_names(backbone);
    let conflict = |(parameter, found): (String, Value)| {
        let key = names.iter().find(|(ours, _)| *ours == parameter).map_or(parameter.as_str(), |(_, theirs)| theirs);
        let of_weights = !NOT_OF_WEIGHTS.contains(&parameter.as_str());
        let expected = config.values.get(key).filter(|value| !value.is_null() && of_weights)?;
        let (key, expected) = (key.to_owned(), expected.clone());
        (!equal(&found, &expected)).then_some(ConfigValue { key, expected, parameter: Some(parameter), found })
    };
    let fixed = |(key, value): &(&str, &str)| {
        let found: Value = serde_json::from_str(value).ok()?;
        let expected = config.values.get(*key).filter(|value| !value.is_null())?.clone();
        (found != expected).then(|| ConfigValue { key: (*key).to_owned(), expected, parameter: None, found })
    };
    let facts = config_facts(backbone).iter().filter_map(fixed);
    let of: Vec<ConfigValue> = params.into_iter().filter_map(conflict).chain(facts).collect();
    if of.is_empty() { Ok(()) } else { Err(ConfigConflict { of }) }
}

/// Compares values; 1 and 1.0 are equal, and so are one size and the same size of each axis.
fn equal(one: &Value, two: &Value) -> bool {
    match (one, two) {
        (Value::Number(one), Value::Number(two)) => one.as_f64() == two.as_f64(),
        (Value::Array(one), Value::Array(two)) => {
            one.len() == two.len() && one.iter().zip(two).all(|(one, two)| equal(one, two))
        }
        (Value::Number(_), Value::Array(sizes)) => !sizes.is_empty() && sizes.iter().all(|size| equal(one, size)),
        (Value::Array(_), Value::Number(_)) => equal(two, one),
        (one, two) => one == two,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipe_schemas::networks::x3d::X3D;

    fn check(config: &str) -> Result<(), String> {
        let x3d = X3D::default();
        let config = HfConfig::parse(config.as_bytes()).expect("valid");
        check_config(&x3d.into(), &config).map_err(|error| format!("{error}\n{}", error.help("model.backbone")))
    }

    #[test]
    fn parameters_with_other_names_are_compared_and_rates_of_training_are_not() {
        let vit: Backbone =
            serde_json::from_str(r#"{"type": "VisionTransformer", "drop_path_rate": 0.1}"#).expect("parameters");
        let check = |config: &str| {
            let config = HfConfig::parse(config.as_bytes()).expect("valid");
            check_config(&vit, &config).map_err(|error| error.to_string())
        };
        let base = r#"{"image_size": 224, "hidden_size": 768, "drop_path_rate": 0.0, "layer_norm_eps": 1e-6}"#;
        assert_eq!(check(base), Ok(()));
        let error = check(r#"{"hidden_size": 384, "layer_norm_eps": 1e-12}"#).expect_err("another network");
        assert!(
            error.contains("`hidden_size` is 384 in config.json, but `embed_dims` of the network is 768"),
            "{error}"
        );
        assert!(error.contains("`layer_norm_eps` is 1e-12 in config.json"), "{error}");
    }

    #[test]
    fn sizes_are_one_number_or_one_for_each_axis() {
        let [one, each, other] =
            ["224", "[224, 224.0]", "[224, 256]"].map(|text| serde_json::from_str(text).expect("JSON"));
        let one: Value = one;
        assert!(equal(&one, &each) && equal(&each, &one) && equal(&each, &each));
        assert!(!equal(&one, &other) && !equal(&each, &other) && !equal(&one, &Value::Array(Vec::new())));
    }

    /// `config.json` of Hugging Face has other names than MMAction2, whose names the parameters have. A rate of training may differ.
    #[test]
    fn names_of_hugging_face_are_known() {
        let backbone: Backbone =
            serde_json::from_str(r#"{"type": "TimeSformer", "drop_path_rate": 0.3}"#).expect("parameters");
        let check = |config: &str| check_config(&backbone, &HfConfig::parse(config.as_bytes()).expect("valid"));
        assert_eq!(
            check(r#"{"hidden_size": 768, "drop_path_rate": 0, "image_size": 224, "num_hidden_layers": 12}"#),
            Ok(())
        );
        let error = check(r#"{"hidden_size": 384}"#).expect_err("another width").to_string();
        assert!(
            error.ends_with("`hidden_size` is 384 in config.json, but `embed_dims` of the network is 768"),
            "{error}"
        );
    }

    /// Tensors do not show the activation. No parameter sets it, and none of its approximations is computed.
    #[test]
    fn activations_that_the_network_does_not_have_are_refused() {
        for family in ["VisionTransformer", "TimeSformer"] {
            let backbone: Backbone = serde_json::from_value(serde_json::json!({ "type": family })).expect("parameters");
            let check = |config: &str| check_config(&backbone, &HfConfig::parse(config.as_bytes()).expect("valid"));
            assert_eq!(check(r#"{"hidden_act": "gelu", "qkv_bias": true}"#), Ok(()));
            assert_eq!(check(r#"{"hidden_act": null}"#), Ok(()));
            for other in ["relu", "gelu_new", "gelu_fast", "gelu_pytorch_tanh"] {
                let error = check(&format!(r#"{{"hidden_act": "{other}"}}"#)).expect_err("another activation");
                let expect = format!("`hidden_act` is \"{other}\" in config.json, but always \"gelu\" in the network");
                assert!(error.to_string().ends_with(&expect), "{error}");
                let help = "no parameter of the network sets `hidden_act`: use other weights";
                assert_eq!(error.help("model.backbone"), help);
            }
            assert!(check(r#"{"qkv_bias": false}"#).is_err(), "{family}");
        }
    }

    #[test]
    fn values_of_the_same_name_are_compared() {
        assert_eq!(
            check(r#"{"base_channels": 24.0, "gamma_b": 2.25, "hidden_size": 5, "type": "other", "gamma_d": null}"#),
            Ok(())
        );
        let expect = "the weights belong to another network: `base_channels` is 32 in config.json, but `base_channels` of the \
                      network is 24; `gamma_d` is 5 in config.json, but `gamma_d` of the network is 2.2\n\
                      set `model.backbone.base_channels: 32` and `model.backbone.gamma_d: 5`";
        assert_eq!(check(r#"{"base_channels": 32, "gamma_d": 5}"#), Err(expect.to_owned()));
    }
}
