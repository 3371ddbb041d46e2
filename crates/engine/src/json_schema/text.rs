//! [`takes_only_text`]: whether the value at a path of parameters can only be text.

use serde_json::Value;

/// Returns whether every schema of the value at `path` accepts texts, and nothing else except null.
pub(crate) fn takes_only_text<'p>(schema: &Value, path: impl Iterator<Item = &'p str>) -> bool {
    let mut reached = branches(schema, schema);
    for step in path {
        reached = reached.into_iter().filter_map(|at| inside(at, step)).flat_map(|at| branches(schema, at)).collect();
    }
    reached.retain(|at| at.get("type").is_none_or(|name| name != "null"));
    !reached.is_empty() && reached.into_iter().all(is_text)
}

/// Returns the alternatives that a schema consists of.
fn branches<'s>(root: &'s Value, schema: &'s Value) -> Vec<&'s Value> {
    let target = schema.get("$ref").and_then(Value::as_str).and_then(|name| root.pointer(name.strip_prefix('#')?));
    let listed = ["oneOf", "anyOf"].into_iter().filter_map(|keyword| schema.get(keyword)?.as_array()).flatten();
    let below: Vec<&Value> = target.into_iter().chain(listed).flat_map(|below| branches(root, below)).collect();
    if below.is_empty() { vec![schema] } else { below }
}

/// Returns the schema of an entry of a map or list.
fn inside<'s>(schema: &'s Value, step: &str) -> Option<&'s Value> {
    let position: Option<usize> = step.parse().ok();
    let named = schema.get("properties").and_then(|known| known.get(step));
    let listed =
        || position.and_then(|position| schema.get("prefixItems")?.get(position).or_else(|| schema.get("items")));
    named.or_else(listed).or_else(|| schema.get("additionalProperties").filter(|any| any.is_object()))
}

fn is_text(schema: &Value) -> bool {
    let is_name = |name: &Value| name == "string" || name == "null";
    match schema.get("type") {
        Some(Value::Array(names)) => names.iter().all(is_name),
        Some(name) => is_name(name),
        None => schema.get("const").is_some_and(Value::is_string),
    }
}
