//! [`schedule`]: reads a schedule as MMEngine does. Python accepts forms of numbers that a pipeline file does not have, and MMEngine has
//! defaults of its own.

use pipe_schemas::contract::ParamError;
use serde_json::{Map, Value, json};

/// The `end` of a schedule that never ends, as MMEngine's `INF`.
const INF: f64 = 1e9;

/// Parameters whose sign MMEngine does not check.
const OF_ANY_SIGN: [&str; 5] = ["gamma", "eta_min", "eta_min_ratio", "power", "restart_weights"];

/// The end of a schedule that has none.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum DefaultEnd {
    /// The end of training, which MMEngine's runner fills in.
    Training,
    /// Never, the default of MMEngine's classes.
    Never,
}

/// The length of training.
#[derive(Clone, Copy)]
pub(super) struct Length {
    pub(super) epochs: usize,
    pub(super) steps: usize,
}

/// Returns a schedule as a pipeline file writes it. What is unknown stays, so that parsing reports it.
pub(super) fn schedule(schedule: Value, length: Length, default_end: DefaultEnd) -> Value {
    let mut schedule = with_integers(schedule);
    let is_plateau = schedule["type"] == "ReduceOnPlateauLR";
    let Some(params) = schedule.as_object_mut() else { return schedule };
    params.retain(|name, value| match name.as_str() {
        // It is about messages.
        "verbose" => false,
        "last_step" => *value != -1,
        "param_name" => *value != "lr",
        // Python takes 0 for a length that is missing.
        "T_max" => *value != 0,
        "by_epoch" if is_plateau => *value != true,
        "convert_to_iter_based" if is_plateau => *value != false,
        _ => true,
    });
    // One value for the only group of parameters.
    for name in ["min_value", "eta_max"] {
        if let Some([value]) = params.get(name).and_then(Value::as_array).map(Vec::as_slice) {
            let value = value.clone();
            params.insert(name.to_owned(), value);
        }
    }
    if let Some(name) = params.get("type").and_then(Value::as_str).and_then(|name| name.strip_prefix("mmengine.")) {
        let name = json!(name);
        params.insert("type".to_owned(), name);
    }
    if !is_plateau && params.get("end").is_none_or(Value::is_null) {
        let end = end(params, length, default_end);
        params.insert("end".to_owned(), end);
    }
    schedule
}

/// Returns whether a list of schedules, or one, has one without an end.
pub(super) fn lacks_end(param_scheduler: &Value) -> bool {
    match param_scheduler {
        Value::Array(list) => list.iter().any(lacks_end),
        one => one["end"].is_null(),
    }
}

/// Returns whether MMEngine computes with the value that is reported.
pub(super) fn is_computed(error: &ParamError) -> bool {
    let is_sign = error.message.ends_with(" is not above 0") || error.message.ends_with(" is below 0");
    is_sign && error.path.last().is_some_and(|field| OF_ANY_SIGN.contains(&field.as_str()))
}

fn end(params: &Map<String, Value>, Length { epochs, steps }: Length, default_end: DefaultEnd) -> Value {
    match default_end {
        DefaultEnd::Training if params.get("by_epoch").is_some_and(|by_epoch| *by_epoch == false) => json!(steps),
        DefaultEnd::Training => json!(epochs),
        DefaultEnd::Never => match params.get("type").and_then(Value::as_str) {
            // A length is part of the formula of these.
            Some("LinearLR" | "PolyLR" | "CosineAnnealingLR" | "OneCycleLR") => json!(INF),
            _ => Value::Null,
        },
    }
}

/// Writes whole numbers without a fraction: `2.0` is 2 in Python's arithmetic.
fn with_integers(value: Value) -> Value {
    match value {
        Value::Array(values) => values.into_iter().map(with_integers).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, with_integers(value))).collect(),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 1e15 => json!(float as i64),
            _ => Value::Number(number),
        },
        other => other,
    }
}
