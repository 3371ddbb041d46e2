//! Compares two files of results: `--diff ONE TWO` bit for bit, `--compare RELATIVE ABSOLUTE ONE TWO` with a tolerance.
//!
//! `pipe` starts the worker with these flags for `run --check`, so that it needs no library for tables and tensors itself.

use pipe_schemas::Tolerance;
use serde_json::Value;
use std::error::Error;
use std::path::Path;

/// Returns where two tables, or two files of tensors, differ first.
pub(crate) fn difference(one: &Path, two: &Path) -> Result<Option<String>, Box<dyn Error>> {
    Ok(match Format::of(one) {
        Some(Format::Tensors) => pipe_weights::difference(one, two)?,
        _ => pipe_tables::difference(one, two)?,
    })
}

/// Returns where two files differ first if floats within the tolerance count as equal.
pub(crate) fn difference_beyond(
    one: &Path,
    two: &Path,
    tolerance: Tolerance,
) -> Result<Option<String>, Box<dyn Error>> {
    let accepts = |one, two| tolerance.accepts(one, two);
    match Format::of(one) {
        Some(Format::Tensors) => Ok(pipe_weights::difference_beyond(one, two, &accepts)?),
        Some(Format::Table) => Ok(pipe_tables::difference_beyond(one, two, &accepts)?),
        Some(Format::Onnx) => {
            Ok(pipe_graph::onnx::difference_beyond(&fs_err::read(one)?, &fs_err::read(two)?, &accepts)?)
        }
        Some(Format::Json) => {
            let [one, two] = [one, two]
                .map(|path| -> Result<Value, Box<dyn Error>> { Ok(serde_json::from_slice(&fs_err::read(path)?)?) });
            Ok(json("", &one?, &two?, &accepts))
        }
        // Its numbers are compared where they come from.
        Some(Format::Drawn) => Ok(None),
        None => Err(format!("{} has no numbers that can be compared", one.display()).into()),
    }
}

/// What is in a file, by its extension.
enum Format {
    Table,
    Tensors,
    Onnx,
    Json,
    /// A picture, a video, a text or an event file of TensorBoard, made from the tables of the same stage.
    Drawn,
}

impl Format {
    fn of(path: &Path) -> Option<Self> {
        if path.file_name()?.to_str()?.starts_with("events.out.tfevents.") {
            return Some(Self::Drawn);
        }
        match path.extension()?.to_str()? {
            "parquet" => Some(Self::Table),
            "safetensors" => Some(Self::Tensors),
            "onnx" => Some(Self::Onnx),
            "json" => Some(Self::Json),
            "png" | "mp4" | "txt" | "md" => Some(Self::Drawn),
            _ => None,
        }
    }
}

/// Returns the first place where two JSON values differ. Whole numbers must be equal.
fn json(place: &str, one: &Value, two: &Value, accepts: &dyn Fn(f64, f64) -> bool) -> Option<String> {
    let different = || Some(format!("`{}`: {one} and {two}", place.trim_start_matches('.')));
    match (one, two) {
        (Value::Object(ours), Value::Object(theirs)) => {
            let keys = |map: &serde_json::Map<String, Value>| map.keys().cloned().collect::<Vec<_>>();
            if keys(ours) != keys(theirs) {
                return different();
            }
            ours.iter().find_map(|(key, one)| json(&format!("{place}.{key}"), one, &theirs[key], accepts))
        }
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => {
            let mut pairs = ours.iter().zip(theirs).enumerate();
            pairs.find_map(|(at, (one, two))| json(&format!("{place}.{at}"), one, two, accepts))
        }
        (Value::Number(ours), Value::Number(theirs)) if ours.is_f64() || theirs.is_f64() => {
            let numbers = ours.as_f64().zip(theirs.as_f64());
            if numbers.is_some_and(|(one, two)| accepts(one, two)) { None } else { different() }
        }
        _ => {
            if one == two {
                None
            } else {
                different()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn figures_within_a_tolerance_are_equal_and_counts_are_not() {
        let one = json!({"top1": 0.5, "num_videos": 80, "per_class": [{"f1": 0.25, "name": "a"}]});
        let check = |path: &[&str], value: Value, expect: Option<&str>| {
            let mut two = one.clone();
            *path.iter().fold(&mut two, |value, step| match step.parse::<usize>() {
                Ok(at) => &mut value[at],
                Err(_) => &mut value[*step],
            }) = value;
            assert_eq!(super::json("", &one, &two, &|a, b| (a - b).abs() <= 0.1).as_deref(), expect);
        };
        check(&["top1"], json!(0.55), None);
        check(&["top1"], json!(0.75), Some("`top1`: 0.5 and 0.75"));
        check(&["num_videos"], json!(81), Some("`num_videos`: 80 and 81"));
        check(&["per_class", "0", "f1"], json!(0.3), None);
        check(&["per_class", "0", "name"], json!("b"), Some("`per_class.0.name`: \"a\" and \"b\""));
        check(&["per_class"], json!([]), Some("`per_class`: [{\"f1\":0.25,\"name\":\"a\"}] and []"));
    }
}
