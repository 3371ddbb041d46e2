//! [`check`]: checks parameters against the JSON schema of their stage kind, and reports every mistake.
//!
//! It implements the part of JSON Schema 2020-12 that `schemars` writes for our parameters. A general validator names the rule
//! that failed; this one names what the user should have written.

mod choice;
mod numbers;
mod text;
mod words;

use crate::nearest::nearest;
use serde_json::{Map, Number, Value};
use std::cmp::Ordering;
pub(crate) use text::takes_only_text;
use words::{first_line, found, list, type_words};

/// One place where a value does not match its schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Steps from the root; list positions are written as numbers.
    pub path: Vec<String>,
    /// Whether the problem is the key at the end of the path, not its value.
    pub at_key: bool,
    /// A lower-case fragment without a full stop.
    pub message: String,
    /// A hint how to fix it, if there is one.
    pub help: Option<String>,
}

/// Returns every place where `value` does not match `schema`, in the order of `value`.
pub fn check(schema: &Value, value: &Value) -> Vec<Violation> {
    let mut checker = Checker { root: schema, path: Vec::new(), violations: Vec::new() };
    checker.value(schema, value);
    checker.violations
}

struct Checker<'s, 'v> {
    root: &'s Value,
    /// The way to the value that is being checked; it becomes text only for a violation.
    path: Vec<Step<'v>>,
    violations: Vec<Violation>,
}

/// A step from a value to one inside it.
#[derive(Debug, Clone, Copy)]
enum Step<'v> {
    Key(&'v str),
    Position(usize),
}

impl<'s, 'v> Checker<'s, 'v> {
    fn value(&mut self, schema: &'s Value, value: &'v Value) {
        if let Some(target) = self.target(schema) {
            self.value(target, value);
        }
        for keyword in ["oneOf", "anyOf"] {
            if let Some(branches) = schema.get(keyword).and_then(Value::as_array) {
                self.choice(branches, value);
            }
        }
        if let Some(types) = schema.get("type")
            && !names(types).any(|name| has_type(value, name))
        {
            let expected: Vec<_> = names(types).map(type_words).collect();
            return self.unexpected(&expected.join(" or "), value);
        }
        if let Some(allowed) = schema.get("enum").and_then(Value::as_array)
            && !allowed.iter().any(|one| equal(one, value))
        {
            return self.not_among(&allowed.iter().collect::<Vec<_>>(), value);
        }
        if let Some(only) = schema.get("const")
            && !equal(only, value)
        {
            return self.not_among(&[only], value);
        }
        match value {
            Value::Number(number) => self.number(schema, number),
            Value::Array(items) => self.items(schema, items),
            Value::Object(fields) => self.fields(schema, fields),
            _ => {}
        }
    }

    /// Returns the schema that a `$ref` points at.
    fn target(&self, schema: &Value) -> Option<&'s Value> {
        self.root.pointer(schema.get("$ref")?.as_str()?.strip_prefix('#')?)
    }

    fn resolved(&self, schema: &'s Value) -> &'s Value {
        self.target(schema).map_or(schema, |target| self.resolved(target))
    }

    fn fields(&mut self, schema: &'s Value, fields: &'v Map<String, Value>) {
        let none = Map::new();
        let properties = schema.get("properties").and_then(Value::as_object);
        let known = || properties.unwrap_or(&none).keys().map(String::as_str);
        for name in schema.get("required").map(names).into_iter().flatten() {
            if !fields.contains_key(name) {
                let described = properties.and_then(|known| known.get(name)?.get("description")?.as_str());
                let help = described.map(|text| format!("`{name}` is: {}", first_line(text)));
                self.push(false, format!("missing `{name}`"), help);
            }
        }
        for (key, value) in fields {
            self.path.push(Step::Key(key));
            match (properties.and_then(|known| known.get(key)), schema.get("additionalProperties")) {
                (Some(property), _) => self.value(property, value),
                (None, Some(Value::Bool(false))) => self.unknown_key("parameter", key, known()),
                (None, Some(any)) => self.value(any, value),
                (None, None) => {}
            }
            self.path.pop();
        }
    }

    fn items(&mut self, schema: &'s Value, items: &'v [Value]) {
        let bound = |keyword| schema.get(keyword).and_then(Value::as_u64);
        let (least, most) = (bound("minItems").unwrap_or(0), bound("maxItems").unwrap_or(u64::MAX));
        let count = items.len() as u64;
        if count < least || count > most {
            let expected = match (least, most) {
                _ if least == most => format!("{least}"),
                (_, u64::MAX) => format!("at least {least}"),
                (0, _) => format!("at most {most}"),
                _ => format!("{least} to {most}"),
            };
            let entries = if least.max(1) == 1 && (most == 1 || most == u64::MAX) { "entry" } else { "entries" };
            self.report(format!("expected {expected} {entries}, found {count}"));
        }
        let prefix = schema.get("prefixItems").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for (position, item) in items.iter().enumerate() {
            if let Some(schema) = prefix.get(position).or_else(|| schema.get("items")) {
                self.path.push(Step::Position(position));
                self.value(schema, item);
                self.path.pop();
            }
        }
    }

    fn number(&mut self, schema: &Value, number: &Number) {
        let bound = |keyword| schema.get(keyword).and_then(Value::as_number);
        let compared = |keyword| bound(keyword).map(|bound| (order(number, bound), bound));
        if let Some((Ordering::Less, least)) = compared("minimum") {
            self.report(format!("{number} is below the minimum {least}"));
        } else if let Some((Ordering::Greater, most)) = compared("maximum") {
            self.report(format!("{number} is above the maximum {most}"));
        } else if let Some((Ordering::Less | Ordering::Equal, low)) = compared("exclusiveMinimum") {
            self.report(format!("{number} is not above {low}"));
        } else if let Some((Ordering::Greater | Ordering::Equal, high)) = compared("exclusiveMaximum") {
            self.report(format!("{number} is not below {high}"));
        } else if let Some(most) = schema.get("format").and_then(Value::as_str).and_then(greatest)
            && order(number, &most) == Ordering::Greater
        {
            self.report(format!("{number} is above the maximum {most}"));
        }
    }

    fn unexpected(&mut self, expected: &str, value: &Value) {
        let help = match value.as_str() {
            Some(text) if expected.contains("number") => numbers::help(text),
            Some("yes" | "Yes" | "YES" | "on" | "On" | "ON") if expected.contains("true or false") => {
                Some("YAML 1.2 has only true and false: write true".into())
            }
            Some("no" | "No" | "NO" | "off" | "Off" | "OFF") if expected.contains("true or false") => {
                Some("YAML 1.2 has only true and false: write false".into())
            }
            Some(text @ ("true" | "True" | "TRUE" | "false" | "False" | "FALSE"))
                if expected.contains("true or false") =>
            {
                Some(format!("write {} without quotes", text.to_lowercase()))
            }
            _ => None,
        };
        self.push(false, format!("expected {expected}, found {}", found(value)), help);
    }

    fn not_among(&mut self, allowed: &[&Value], value: &Value) {
        let words = |one: &Value| one.as_str().map_or_else(|| one.to_string(), |text| format!("`{text}`"));
        let expected: Vec<_> = allowed.iter().map(|one| words(one)).collect();
        let one_of = if allowed.len() > 1 { "one of " } else { "" };
        let meant = value.as_str().and_then(|text| nearest(text, allowed.iter().filter_map(|one| one.as_str())));
        let help = meant.map(|name| format!("did you mean `{name}`?"));
        self.push(false, format!("expected {one_of}{}, found {}", expected.join(", "), found(value)), help);
    }

    fn unknown_key<'a>(&mut self, noun: &str, key: &str, known: impl Iterator<Item = &'a str>) {
        let known: Vec<_> = known.collect();
        let help = match nearest(key, known.iter().copied()) {
            Some(name) => format!("did you mean `{name}`?"),
            // YAML reads `{ lr: 0,01 }` as `lr: 0` and a key `01`.
            None if key.bytes().all(|byte| byte.is_ascii_digit()) => {
                "a number has a decimal point, not a comma: a comma begins another key".into()
            }
            None if known.is_empty() => "no parameters are known here".into(),
            None => format!("known here: {}", list(known.into_iter())),
        };
        self.report_key(format!("unknown {noun} `{key}`"), Some(help));
    }

    fn report(&mut self, message: String) {
        self.push(false, message, None);
    }

    fn report_with(&mut self, message: String, help: String) {
        self.push(false, message, Some(help));
    }

    fn report_key(&mut self, message: String, help: Option<String>) {
        self.push(true, message, help);
    }

    fn push(&mut self, at_key: bool, message: String, help: Option<String>) {
        let text = |step: &Step| match step {
            Step::Key(key) => (*key).to_owned(),
            Step::Position(position) => position.to_string(),
        };
        let path = self.path.iter().map(text).collect();
        self.violations.push(Violation { path, at_key, message, help });
    }
}

/// Returns a string, or the strings of a list.
fn names(value: &Value) -> impl Iterator<Item = &str> {
    let list = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    list.iter().filter_map(Value::as_str)
}

fn has_type(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}

fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => order(a, b) == Ordering::Equal,
        _ => a == b,
    }
}

/// Compares whole numbers exactly: seeds may be too large for `f64`.
fn order(a: &Number, b: &Number) -> Ordering {
    match (a.as_i128(), b.as_i128()) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal),
    }
}

/// Returns the maximum of a format for which schemars writes no `maximum`.
fn greatest(format: &str) -> Option<Number> {
    match format {
        "uint16" => Some(u16::MAX.into()),
        "uint32" => Some(u32::MAX.into()),
        "int32" => Some(i32::MAX.into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
