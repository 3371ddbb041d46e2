//! Values, types and lists of names as text for messages: [`found`] and [`type_words`].

use serde_json::Value;

pub(super) fn type_words(name: &str) -> &str {
    match name {
        "null" => "nothing",
        "boolean" => "true or false",
        "integer" => "a whole number",
        "number" => "a number",
        "string" => "a text",
        "array" => "a list",
        "object" => "a map",
        other => other,
    }
}

/// Maximum length of a quotation from the file.
const QUOTED_CHARS: usize = 60;

pub(super) fn found(value: &Value) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "a map".into(),
        Value::String(text) if text.chars().count() > QUOTED_CHARS => {
            format!("the text {:?}…", text.chars().take(QUOTED_CHARS).collect::<String>())
        }
        Value::String(text) => format!("the text {text:?}"),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

pub(super) fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

pub(super) fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default().trim_end_matches('.')
}
