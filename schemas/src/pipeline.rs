//! [`pipeline_schema`]: the JSON schema of a whole pipeline file, for completion and checks in editors.
//!
//! The engine does not use it: the engine also checks variables, `extends` and port types, and has better messages.

use crate::{Contract, stages};
use serde_json::{Map, Value, json};

/// Returns the schema that `cargo xtask docs` writes to `schemas/json/pipeline.schema.json`.
pub fn pipeline_schema() -> Value {
    let mut defs = Map::new();
    defs.insert("variable".into(), json!({ "type": "string", "pattern": r"^\$\{" }));
    let mut kinds = Vec::new();
    for contract in stages::ALL {
        kinds.push(kind_rule(contract, &mut defs));
    }
    defs.insert("stage".into(), stage_schema(&kinds));
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "pipe pipeline",
        "type": "object",
        "additionalProperties": false,
        "required": ["pipeline"],
        "properties": {
            "pipeline": { "type": "string", "description": "The name of the pipeline: letters, digits, `_` and `-`." },
            "extends": {
                "anyOf": [{ "type": "array", "items": { "type": "string" } }, { "type": "string" }],
                "description": "Files to extend, relative to this file, or built-in files such as builtin/models/tsn_r50. Later files override earlier ones, and this file overrides all.",
            },
            "vars": {
                "type": "object",
                "additionalProperties": { "type": ["string", "number", "boolean"] },
                "description": "Variables, used as ${name}.",
            },
            "matrix": matrix("Every stage that uses one of these variables is copied for each of its values."),
            "remote": {
                "type": "string",
                "description": "The remote that shares results: s3://bucket/prefix, gs://…, az://…, file:///folder, or none.",
            },
            "stages": {
                "type": "object",
                "additionalProperties": { "$ref": "#/$defs/stage" },
                "description": "The stages by name; null removes a stage of an extended file.",
            },
        },
        "$defs": defs,
    })
}

fn stage_schema(kinds: &[Value]) -> Value {
    let word = |contract: &&Contract| json!({ "const": contract.kind, "description": contract.summary });
    let count =
        |from: u64, about: &str| variable_or(json!({ "type": "integer", "minimum": from, "description": about }));
    json!({
        "type": ["object", "null"],
        "additionalProperties": false,
        "properties": {
            "uses": { "oneOf": stages::ALL.iter().map(word).collect::<Vec<_>>(), "description": "The stage kind." },
            "with": { "type": "object", "description": "The parameters of the stage kind." },
            "inputs": {
                "type": "object",
                "additionalProperties": { "type": "string" },
                "description": "For each input port, the output to read: `stage`, or `stage.port`.",
            },
            "resources": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "cpus": count(1, "Number of CPUs. By default the stage counts as one CPU, and may use all."),
                    "memory": { "type": "string", "description": "Memory to reserve, such as `8GB` or `512MiB`." },
                    "gpus": count(0, "Number of GPUs."),
                },
                "description": "The resources of the stage; not part of its key.",
            },
            "sources": {
                "type": "array",
                "items": { "type": "string" },
                "description": "For `command`: globs of the files from outside the pipeline that the program reads.",
            },
            "matrix": matrix("The stage is copied for each value of these variables."),
            "timeout": { "type": "string", "description": "Maximum run time, such as `90s`, `30min` or `12h`." },
            "retries": count(0, "Maximum number of further attempts if the worker crashes or is killed."),
        },
        "allOf": kinds,
    })
}

fn matrix(description: &str) -> Value {
    json!({
        "type": "object",
        "additionalProperties": { "type": "array", "items": { "type": ["string", "number", "boolean"] }, "minItems": 1 },
        "description": description,
    })
}

/// Returns the rule for `with` and `inputs` of stages of one kind.
fn kind_rule(contract: &Contract, defs: &mut Map<String, Value>) -> Value {
    let mut with = (contract.schema)();
    let fields = with.as_object_mut().expect("a parameter schema is an object");
    fields.remove("$schema");
    for (name, mut definition) in fields.remove("$defs").into_iter().flat_map(into_fields) {
        adapt(&mut definition, contract.kind);
        // Two kinds may use the same name for different definitions.
        defs.insert(format!("{}.{name}", contract.kind), definition);
    }
    adapt(&mut with, contract.kind);
    let input = |port: &crate::InputPort| {
        let description = format!("An output of type `{}`.", port.port_type.name());
        (port.name.to_owned(), json!({ "type": "string", "description": description }))
    };
    let inputs: Map<_, _> = contract.inputs.iter().map(input).collect();
    json!({
        "if": { "properties": { "uses": { "const": contract.kind } }, "required": ["uses"] },
        "then": {
            "properties": {
                "with": with,
                "inputs": { "properties": inputs, "additionalProperties": contract.open_ports.is_some() },
            },
        },
    })
}

fn into_fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// Points references at the definitions of the kind, and allows a variable in place of every scalar.
fn adapt(schema: &mut Value, kind: &str) {
    let Some(fields) = schema.as_object_mut() else { return };
    if let Some(Value::String(reference)) = fields.get_mut("$ref") {
        *reference = reference.replace("#/$defs/", &format!("#/$defs/{kind}."));
    }
    for (name, property) in fields.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        // `type` selects a branch, so it can't be a variable.
        if name != "type" {
            adapt(property, kind);
        }
    }
    for keyword in ["items", "additionalProperties"] {
        if let Some(inner) = fields.get_mut(keyword) {
            adapt(inner, kind);
        }
    }
    let mut takes_scalar = takes_scalar(schema);
    for keyword in ["oneOf", "anyOf"] {
        for branch in schema.get_mut(keyword).and_then(Value::as_array_mut).into_iter().flatten() {
            if self::takes_scalar(branch) {
                takes_scalar = true;
            } else {
                adapt(branch, kind);
            }
        }
    }
    if takes_scalar {
        *schema = variable_or(schema.take());
    }
}

/// Returns whether a schema requires a scalar, so that it would reject `${name}`.
fn takes_scalar(schema: &Value) -> bool {
    let scalar = |name: &Value| ["integer", "number", "boolean"].iter().any(|scalar| name == scalar);
    let typed = |types: &Value| scalar(types) || types.as_array().is_some_and(|types| types.iter().any(scalar));
    schema.get("type").is_some_and(typed) || schema.get("enum").is_some() || schema.get("const").is_some()
}

/// Allows a variable in place of a value. Description and default stay at the top level, where editors look for them.
fn variable_or(mut schema: Value) -> Value {
    let mut outer = Map::new();
    if let Some(fields) = schema.as_object_mut() {
        for keyword in ["description", "default"] {
            outer.extend(fields.remove(keyword).map(|value| (keyword.to_owned(), value)));
        }
    }
    outer.insert("anyOf".into(), json!([schema, { "$ref": "#/$defs/variable" }]));
    outer.into()
}

#[cfg(test)]
mod tests {
    use super::pipeline_schema;
    use serde_json::Value;

    #[test]
    fn the_committed_file_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/json/pipeline.schema.json");
        let committed = fs_err::read_to_string(path).unwrap_or_default();
        let committed: Value = serde_json::from_str(&committed).unwrap_or_default();
        assert!(committed == pipeline_schema(), "run `cargo xtask docs` and commit {path}");
    }

    #[test]
    fn every_reference_has_its_target() {
        fn walk(root: &Value, value: &Value) {
            match value {
                Value::Object(fields) => fields.iter().for_each(|(key, value)| {
                    if let ("$ref", Some(reference)) = (key.as_str(), value.as_str()) {
                        assert!(root.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
                    }
                    walk(root, value);
                }),
                Value::Array(items) => items.iter().for_each(|item| walk(root, item)),
                _ => {}
            }
        }
        let schema = pipeline_schema();
        walk(&schema, &schema);
    }

    #[test]
    fn a_variable_may_replace_a_scalar_but_not_the_tag_of_a_branch() {
        let schema = pipeline_schema();
        let defs = &schema["$defs"];
        let variable = serde_json::json!({ "$ref": "#/$defs/variable" });
        let optimizer = &defs["train.Optimizer"]["oneOf"][0]["properties"];
        assert_eq!(optimizer["momentum"]["anyOf"][1], variable);
        assert_eq!(optimizer["nesterov"]["anyOf"][1], variable);
        assert_eq!(optimizer["type"]["const"], "SGD");
        assert_eq!(defs["train.ResNetDepth"]["anyOf"][1], variable);
        assert_eq!(defs["frames.FrameSampling"]["anyOf"][1], variable);
        assert_eq!(defs["train.Scheduler"].get("anyOf"), None);
    }
}
