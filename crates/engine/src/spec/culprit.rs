//! [`find`]: the value that a type refuses. serde says what is wrong with it, but not where it is.

use pipe_schemas::Contract;
use serde_json::Value;

/// Returns the path of the innermost value without which the parameters have another error or none; `None` if no single value has this
/// effect. `error` is the error that parsing `value` gives.
pub(super) fn find(contract: &Contract, value: &Value, error: &str) -> Option<Vec<String>> {
    let mut path = Vec::new();
    while let Some(step) = next_step(contract, value, &path, error) {
        path.push(step);
    }
    (!path.is_empty()).then_some(path)
}

/// Returns the key or position below `path` that leads to the value.
fn next_step(contract: &Contract, value: &Value, path: &[String], error: &str) -> Option<String> {
    let steps: Vec<String> = match at(&mut value.clone(), path)? {
        Value::Object(fields) => fields.keys().cloned().collect(),
        Value::Array(items) => (0..items.len()).map(|position| position.to_string()).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    steps.into_iter().find(|step| {
        let mut rest = value.clone();
        if let Some(above) = at(&mut rest, path) {
            remove(above, step);
        }
        (contract.parse)(&rest).err().is_none_or(|other| is_another(&other.to_string(), error, step))
    })
}

fn at<'v>(value: &'v mut Value, path: &[String]) -> Option<&'v mut Value> {
    path.iter().try_fold(value, |value, step| match value {
        Value::Array(items) => items.get_mut(step.parse::<usize>().ok()?),
        other => other.get_mut(step),
    })
}

fn remove(value: &mut Value, step: &str) {
    match value {
        Value::Object(fields) => {
            fields.remove(step);
        }
        Value::Array(items) => {
            if let Some(position) = step.parse().ok().filter(|position: &usize| *position < items.len()) {
                items.remove(position);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Returns whether the error `now`, without the value at `step`, shows that the error `before` was about that value. It does not if it only
/// says that the value is missing, except where a required value itself was refused: all other values of a struct are read before
/// it is noticed that one is missing. The tag of an enum is read first.
fn is_another(now: &str, before: &str, step: &str) -> bool {
    let misses_this = step != "type" && now == format!("missing field `{step}`");
    now != before && (misses_this || !["missing field", "invalid length"].iter().any(|start| now.starts_with(start)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipe_schemas::stages::train;
    use serde_json::json;

    #[track_caller]
    fn check(value: &Value, expect: &str) {
        let error = (train::CONTRACT.parse)(value).expect_err("a mistake").to_string();
        let found = find(&train::CONTRACT, value, &error).unwrap_or_default();
        assert_eq!(found.join("."), expect, "{error}");
    }

    #[test]
    fn the_innermost_value_is_found() {
        check(&json!({ "seed": 1, "device": "tpu" }), "device");
        let clip_grad = json!({ "clip_grad": { "max_norm": 1.0, "norm_type": "big" } });
        check(&json!({ "optim_wrapper": clip_grad, "seed": 1 }), "optim_wrapper.clip_grad.norm_type");
        // A required value can't be left out.
        let optimizer = json!({ "type": "SGD", "lr": [], "momentum": 0.9 });
        check(&json!({ "optim_wrapper": { "optimizer": optimizer } }), "optim_wrapper.optimizer.lr");
        let schedulers = json!([{ "type": "LinearLR" }, { "type": "MultiStepLR", "milestones": [1, "two"] }]);
        check(&json!({ "param_scheduler": schedulers }), "param_scheduler.1.milestones.1");
        // The first of two is the one that the error is about.
        check(&json!({ "device": "tpu", "num_processes": "two" }), "device");
        check(&json!(3), "");
    }
}
