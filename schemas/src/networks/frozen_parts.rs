//! [`FrozenParts`]: the parts of a backbone that are not trained, with the names of MMAction2.

use serde::Serialize;

/// The parts of a backbone that are not trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct FrozenParts {
    /// The stem and this number of stages are not trained, and compute as at inference; -1 for none.
    pub frozen_stages: i32,
    /// Whether all batch normalisations use their running statistics and keep them.
    pub norm_eval: bool,
    /// Whether all batch normalisations but the first use their running statistics, keep them, and are not trained.
    pub partial_bn: bool,
}

impl Default for FrozenParts {
    fn default() -> Self {
        Self { frozen_stages: NO_STAGE, norm_eval: false, partial_bn: false }
    }
}

/// The value of `frozen_stages` for none.
const NO_STAGE: i32 = -1;

/// The default of `frozen_stages`.
pub(super) fn no_stage() -> i32 {
    NO_STAGE
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
pub(super) fn is_no_stage(frozen_stages: &i32) -> bool {
    *frozen_stages == NO_STAGE
}

#[cfg(test)]
mod tests {
    use crate::networks::{Backbone, FAMILIES};
    use serde_json::{Map, Value, json};

    /// Returns the smallest value that a schema allows for a parameter without a default.
    fn value(schema: &Value, definitions: &Value) -> Value {
        if let Some(name) = schema["$ref"].as_str().and_then(|path| path.strip_prefix("#/$defs/")) {
            return value(&definitions[name], definitions);
        }
        let first = schema["enum"].get(0).or_else(|| schema.get("minimum"));
        first.cloned().unwrap_or_else(|| panic!("an enumeration or a number: {schema}"))
    }

    #[test]
    fn every_family_returns_its_parameters_of_frozen_parts() {
        let schema = Value::from(schemars::schema_for!(Backbone));
        let definitions = &schema["$defs"];
        let mut families = Vec::new();
        for branch in schema["oneOf"].as_array().expect("one schema for each family") {
            let name = branch["properties"]["type"]["const"].as_str().expect("the name of the family");
            let properties = branch["properties"].as_object().expect("parameters");
            let required = branch["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let mut params: Map<String, Value> = required
                .filter(|param| *param != "type")
                .map(|param| (param.to_owned(), value(&properties[param], definitions)))
                .collect();
            params.insert("type".into(), json!(name));
            let mut expected = json!(super::FrozenParts::default());
            for (part, value) in [("frozen_stages", json!(1)), ("norm_eval", json!(true)), ("partial_bn", json!(true))]
            {
                if properties.contains_key(part) {
                    params.insert(part.into(), value.clone());
                    expected[part] = value;
                }
            }
            let backbone: Backbone = serde_json::from_value(params.into()).expect("parameters of the family");
            assert_eq!(json!(backbone.frozen_parts()), expected, "{name}");
            families.push(name.to_owned());
        }
        assert_eq!(families, FAMILIES.iter().map(|family| family.type_name).collect::<Vec<_>>());
    }
}
