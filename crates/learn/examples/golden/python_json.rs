//! [`read`]: files of cases as Python writes them. The example `golden` of `crates/metrics` includes this file, too.

use serde_json::Value;
use std::error::Error;

/// Fields that describe a case for people.
const REMARKS: [&str; 8] = ["note", "notes", "comment", "comments", "description", "remark", "source", "by"];

/// What Python writes for numbers that JSON does not have, and what is read instead.
const NUMBERS: [(&str, &str); 3] = [("NaN", "null"), ("-Infinity", r#""-inf""#), ("Infinity", r#""inf""#)];

/// Reads a file.
pub(crate) fn read(path: &str) -> Result<Value, Box<dyn Error>> {
    let text = fs_err::read_to_string(path)?;
    Ok(parse(&text).map_err(|error| format!("{path}: {error}"))?)
}

/// Parses JSON in which `NaN`, `Infinity` and `-Infinity` may occur. They become `null`, `"inf"` and `"-inf"`.
pub(crate) fn parse(text: &str) -> serde_json::Result<Value> {
    serde_json::from_str(&without_special_numbers(text))
}

/// Removes the fields of an object that are for people. Other values stay as they are.
pub(crate) fn without_remarks(mut value: Value) -> Value {
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|name, _| !is_remark(name));
    }
    value
}

/// Returns whether a field is for people.
pub(crate) fn is_remark(name: &str) -> bool {
    REMARKS.contains(&name)
}

/// Replaces the numbers that JSON does not have. Strings are not changed.
fn without_special_numbers(text: &str) -> String {
    let (mut result, mut rest, mut in_string) = (String::with_capacity(text.len()), text, false);
    while let Some(at) = rest.find(['"', '\\', 'N', 'I', '-']) {
        let (before, found) = rest.split_at(at);
        result.push_str(before);
        let number = NUMBERS.iter().find(|(name, _)| !in_string && found.starts_with(name));
        let (written, len) = match number {
            Some((name, written)) => (*written, name.len()),
            None if in_string && found.starts_with('\\') => {
                let len = 1 + found[1..].chars().next().map_or(0, char::len_utf8);
                (&found[..len], len)
            }
            None => {
                in_string ^= found.starts_with('"');
                (&found[..1], 1)
            }
        };
        result.push_str(written);
        rest = &found[len..];
    }
    result + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_that_json_does_not_have_are_read_except_in_strings() {
        let text = r#"{"NaN": [NaN, "a \" NaN", "\\", -Infinity, -1.5, Infinity, "-Infinity"]}"#;
        let expect = json!({ "NaN": [null, "a \" NaN", "\\", "-inf", -1.5, "inf", "-Infinity"] });
        assert_eq!(parse(text).expect("valid"), expect);
    }

    #[test]
    fn remarks_are_left_out_of_objects() {
        assert_eq!(without_remarks(json!({ "note": 1, "lr": { "note": 2 } })), json!({ "lr": { "note": 2 } }));
        assert_eq!(without_remarks(json!(["note"])), json!(["note"]));
    }
}
