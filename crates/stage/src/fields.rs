//! [`json_fields`]: parameters as fields of a part.

use serde_json::Value;

/// Returns each leaf of `value` as one of [`crate::protocol::PlannedPart::fields`], its path below `path`. Empty lists and
/// maps are leaves too. Values are JSON text, so that `1` and `"1"` differ.
pub fn json_fields(path: &[&str], value: &Value) -> Vec<(Vec<String>, String)> {
    let mut fields = Vec::new();
    add_leaves(&mut path.iter().map(|step| (*step).to_owned()).collect(), value, &mut fields);
    fields
}

fn add_leaves(path: &mut Vec<String>, value: &Value, fields: &mut Vec<(Vec<String>, String)>) {
    let mut add = |step: String, value| {
        path.push(step);
        add_leaves(path, value, fields);
        path.pop();
    };
    match value {
        Value::Object(map) if !map.is_empty() => map.iter().for_each(|(key, value)| add(key.clone(), value)),
        Value::Array(list) if !list.is_empty() => {
            list.iter().enumerate().for_each(|(position, value)| add(position.to_string(), value));
        }
        leaf => fields.push((path.clone(), leaf.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_leaf_is_a_field() {
        let value = json!({"lr": 0.1, "name": "1", "milestones": [5, 8], "clip_grad": null, "none": [], "empty": {}});
        let found: Vec<String> = json_fields(&["with"], &value)
            .into_iter()
            .map(|(path, value)| format!("{}: {value}", path.join(".")))
            .collect();
        let expect = [
            "with.lr: 0.1",
            "with.name: \"1\"",
            "with.milestones.0: 5",
            "with.milestones.1: 8",
            "with.clip_grad: null",
            "with.none: []",
            "with.empty: {}",
        ];
        assert_eq!(found, expect);
    }
}
