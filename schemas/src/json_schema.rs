//! Checks a value against a JSON schema and says everything that is wrong with it; see [`check`].
//!
//! It knows the part of JSON Schema 2020-12 that `schemars` writes for our parameters. A general validator would name
//! the rule that failed; this one names what the user should have written.

mod choice;
mod nearest;
mod words;

pub use nearest::nearest;

use serde_json::{Map, Number, Value};
use std::cmp::Ordering;
use words::{first_line, found, list, type_words};

/// Something that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Steps from the root; list positions are written as numbers.
    pub path: Vec<String>,
    /// Whether the key at the end of the path is meant, not its value.
    pub at_key: bool,
    /// What is wrong, as a lower-case fragment.
    pub message: String,
    /// What would be right, where that is known.
    pub help: Option<String>,
}

/// Returns everything in `value` that does not fit `schema`, in the order of `value`.
pub fn check(schema: &Value, value: &Value) -> Vec<Finding> {
    let mut checker = Checker { root: schema, path: Vec::new(), findings: Vec::new() };
    checker.value(schema, value);
    checker.findings
}

struct Checker<'s> {
    root: &'s Value,
    path: Vec<String>,
    findings: Vec<Finding>,
}

impl<'s> Checker<'s> {
    fn value(&mut self, schema: &'s Value, value: &Value) {
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

    /// What a `$ref` points at.
    fn target(&self, schema: &Value) -> Option<&'s Value> {
        self.root.pointer(schema.get("$ref")?.as_str()?.strip_prefix('#')?)
    }

    fn resolved(&self, schema: &'s Value) -> &'s Value {
        self.target(schema).map_or(schema, |target| self.resolved(target))
    }

    fn fields(&mut self, schema: &'s Value, fields: &Map<String, Value>) {
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
            self.path.push(key.clone());
            match (properties.and_then(|known| known.get(key)), schema.get("additionalProperties")) {
                (Some(property), _) => self.value(property, value),
                (None, Some(Value::Bool(false))) => self.unknown_key("parameter", key, known()),
                (None, Some(any)) => self.value(any, value),
                (None, None) => {}
            }
            self.path.pop();
        }
    }

    fn items(&mut self, schema: &'s Value, items: &[Value]) {
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
                self.path.push(position.to_string());
                self.value(schema, item);
                self.path.pop();
            }
        }
    }

    fn number(&mut self, schema: &Value, number: &Number) {
        let bound = |keyword| schema.get(keyword).and_then(Value::as_number);
        let compared = |keyword| bound(keyword).map(|bound| (order(number, bound), bound));
        if let Some((Ordering::Less, least)) = compared("minimum") {
            self.report(format!("{number} is below the least allowed value {least}"));
        } else if let Some((Ordering::Greater, most)) = compared("maximum") {
            self.report(format!("{number} is above the greatest allowed value {most}"));
        } else if let Some((Ordering::Less | Ordering::Equal, low)) = compared("exclusiveMinimum") {
            self.report(format!("{number} is not above {low}"));
        } else if let Some((Ordering::Greater | Ordering::Equal, high)) = compared("exclusiveMaximum") {
            self.report(format!("{number} is not below {high}"));
        } else if let Some(most) = schema.get("format").and_then(Value::as_str).and_then(greatest)
            && order(number, &most) == Ordering::Greater
        {
            self.report(format!("{number} is above the greatest allowed value {most}"));
        }
    }

    fn unexpected(&mut self, expected: &str, value: &Value) {
        let unquoted = match value.as_str() {
            Some(text) if expected.contains("number") && text.parse::<f64>().is_ok() => Some(text),
            Some("yes" | "Yes" | "on" | "On" | "True" | "TRUE") if expected.contains("true or false") => Some("true"),
            Some("no" | "No" | "off" | "Off" | "False" | "FALSE") if expected.contains("true or false") => {
                Some("false")
            }
            _ => None,
        };
        let help = unquoted.map(|text| format!("write {text} without quotes"));
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
            None if known.is_empty() => "there are none here".into(),
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
        self.findings.push(Finding { path: self.path.clone(), at_key, message, help });
    }
}

/// A string, or the strings of a list.
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

/// Compares exactly where both are whole: seeds are beyond what `f64` tells apart.
fn order(a: &Number, b: &Number) -> Ordering {
    match (a.as_i128(), b.as_i128()) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal),
    }
}

/// The greatest number of a format that schemars writes no `maximum` for.
fn greatest(format: &str) -> Option<Number> {
    match format {
        "uint16" => Some(u16::MAX.into()),
        "uint32" => Some(u32::MAX.into()),
        "int32" => Some(i32::MAX.into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Finding, check};
    use crate::stages::{augment, frames, synthesize, train};
    use serde_json::{Value, json};

    /// Lines of the form `path: message (help)`, with `*` after a path that means the key.
    fn findings(contract: &crate::Contract, value: &Value) -> Vec<String> {
        let line = |Finding { path, at_key, message, help }: Finding| {
            let star = if at_key { "*" } else { "" };
            let help = help.map(|help| format!(" ({help})")).unwrap_or_default();
            format!("{}{star}: {message}{help}", path.join("."))
        };
        super::check(&(contract.schema)(), value).into_iter().map(line).collect()
    }

    #[track_caller]
    fn finds(contract: &crate::Contract, value: &Value, expect: &[&str]) {
        assert_eq!(findings(contract, value), expect);
        if expect.is_empty() {
            (contract.parse)(value).expect("what fits the schema parses");
        } else {
            (contract.parse)(value).expect_err("what does not fit the schema does not parse");
        }
    }

    #[test]
    fn good_parameters_have_no_findings() {
        finds(
            &synthesize::CONTRACT,
            &json!({ "classes": ["move_left", "grow"], "groups": 5, "test_groups": 1, "seed": u64::MAX }),
            &[],
        );
        finds(
            &augment::CONTRACT,
            &json!({
                "epochs": 3,
                "train": {
                    "sampler": { "type": "SampleFrames", "clip_len": 8, "out_of_bound_opt": "repeat_last" },
                    "transforms": [
                        { "type": "Resize", "scale": { "short_side_px": 128 } },
                        { "type": "Resize", "scale": { "exact": [112, 112] } },
                        { "type": "RandomResizedCrop", "area_range": [0.5, 1] },
                        { "type": "Flip", "flip_ratio": 0 },
                    ],
                },
            }),
            &[],
        );
        finds(
            &train::CONTRACT,
            &json!({
                "model": { "backbone": { "type": "ResNetTSM", "depth": 18 }, "cls_head": { "num_classes": null } },
                "optim_wrapper": { "optimizer": { "type": "SGD", "lr": 1, "nesterov": true }, "clip_grad": null },
                "param_scheduler": [{ "type": "MultiStepLR", "milestones": [2, 4] }],
                "load_from": { "checkpoint": "r18.pth" },
            }),
            &[],
        );
        finds(&frames::CONTRACT, &json!({ "sample": "all", "encode": { "jpeg": { "quality": 90 } } }), &[]);
    }

    #[test]
    fn all_mistakes_are_reported_in_order() {
        finds(
            &train::CONTRACT,
            &json!({
                "optim_wrapper": { "optimizer": { "type": "SGD", "lerning_rate": 0.1, "momentum": "0.9" } },
                "train_cfg": { "max_epoch": 3, "max_epochs": 0 },
                "train_dataloader": { "batch_size": "ten" },
                "modell": {},
            }),
            &[
                "optim_wrapper.optimizer: missing `lr` (`lr` is: Learning rate)",
                "optim_wrapper.optimizer.lerning_rate*: unknown parameter `lerning_rate` (did you mean `lr`?)",
                "optim_wrapper.optimizer.momentum: expected a number, found the text \"0.9\" (write 0.9 without quotes)",
                "train_cfg.max_epoch*: unknown parameter `max_epoch` (did you mean `max_epochs`?)",
                "train_cfg.max_epochs: 0 is below the least allowed value 1",
                "train_dataloader.batch_size: expected a whole number, found the text \"ten\"",
                "modell*: unknown parameter `modell` (did you mean `model`?)",
            ],
        );
    }

    #[test]
    fn internally_tagged_enums_report_within_the_branch_of_their_type() {
        let optimizer = |value: Value| json!({ "optim_wrapper": { "optimizer": value } });
        finds(
            &train::CONTRACT,
            &optimizer(json!({ "type": "AdamW", "lr": 0.1, "betas": [0.9], "momentum": 0.9 })),
            &[
                "optim_wrapper.optimizer.betas: expected 2 entries, found 1",
                "optim_wrapper.optimizer.momentum*: unknown parameter `momentum` \
                 (known here: `type`, `lr`, `betas`, `weight_decay`)",
            ],
        );
        finds(
            &train::CONTRACT,
            &optimizer(json!({ "type": "sgd", "lr": 0.1 })),
            &["optim_wrapper.optimizer.type: expected one of `SGD`, `AdamW`, found the text \"sgd\" \
               (did you mean `SGD`?)"],
        );
        finds(
            &train::CONTRACT,
            &optimizer(json!({ "lr": 0.1 })),
            &["optim_wrapper.optimizer: missing `type` (one of `SGD`, `AdamW`)"],
        );
        finds(
            &train::CONTRACT,
            &optimizer(json!("SGD")),
            &["optim_wrapper.optimizer: expected a map with a `type`, found the text \"SGD\" (write { type: SGD })"],
        );
        let sampler = json!({ "train": { "sampler": { "type": "SampleFrames", "clip_len": 2.5 } } });
        finds(&augment::CONTRACT, &sampler, &["train.sampler.clip_len: expected a whole number, found 2.5"]);
    }

    #[test]
    fn externally_tagged_enums_report_by_word_or_key() {
        let sample = |value: Value| json!({ "sample": value });
        let cases = [
            (
                json!("al"),
                "sample: expected one of `all`, `fps`, `stride`, `count`, found the text \"al\" (did you mean `all`?)",
            ),
            (json!("fps"), "sample: `fps` needs a value (write { fps: … })"),
            (json!({ "all": 1 }), "sample.all*: `all` takes no value (write all alone)"),
            (json!({ "fsp": 1 }), "sample.fsp*: unknown choice `fsp` (did you mean `fps`?)"),
            (json!({ "fps": "x" }), "sample.fps: expected a number, found the text \"x\""),
            (
                json!({ "fps": 1, "stride": 2 }),
                "sample: expected exactly one of `all`, `fps`, `stride`, `count`, found `fps`, `stride`",
            ),
            (json!(10), "sample: expected one of `all`, `fps`, `stride`, `count`, found 10"),
        ];
        for (value, expect) in cases {
            finds(&frames::CONTRACT, &sample(value), &[expect]);
        }
        finds(
            &frames::CONTRACT,
            &json!({ "encode": { "jpeg": {} } }),
            &["encode.jpeg: missing `quality` (`quality` is: libjpeg's quality)"],
        );
    }

    #[test]
    fn numbers_are_whole_where_they_must_be_and_in_range() {
        let cases = [
            (json!({ "groups": 3.0 }), "groups: expected a whole number, found 3.0"),
            (json!({ "groups": 100 }), "groups: 100 is above the greatest allowed value 99"),
            (json!({ "seed": -1 }), "seed: -1 is below the least allowed value 0"),
            (json!({ "groups": null }), "groups: expected a whole number, found nothing"),
            (json!({ "classes": "grow" }), "classes: expected a list, found the text \"grow\""),
        ];
        for (value, expect) in cases {
            let found = findings(&synthesize::CONTRACT, &value);
            assert_eq!(found, [expect]);
        }
        let model = |value: Value| json!({ "model": { "cls_head": { "num_classes": value } } });
        let beyond = "model.cls_head.num_classes: 4294967296 is above the greatest allowed value 4294967295";
        finds(&train::CONTRACT, &model(json!(1u64 << 32)), &[beyond]);
        let words = "model.cls_head.num_classes: expected a whole number or nothing, found true";
        finds(&train::CONTRACT, &model(json!(true)), &[words]);
        let depth = json!({ "model": { "backbone": { "type": "ResNet", "depth": 34 } } });
        finds(&train::CONTRACT, &depth, &["model.backbone.depth: expected one of 18, 50, found 34"]);
    }

    #[test]
    fn lists_report_each_entry() {
        finds(
            &synthesize::CONTRACT,
            &json!({ "classes": ["grow", "shrnk", 3] }),
            &[
                "classes.1: expected one of `move_left`, `move_right`, `move_up`, `move_down`, `rotate_clockwise`, \
                 `rotate_counterclockwise`, `grow`, `shrink`, found the text \"shrnk\" (did you mean `shrink`?)",
                "classes.2: expected one of `move_left`, `move_right`, `move_up`, `move_down`, `rotate_clockwise`, \
                 `rotate_counterclockwise`, `grow`, `shrink`, found 3",
            ],
        );
    }

    #[test]
    fn a_tuple_is_checked_entry_by_entry() {
        let schema = json!({ "prefixItems": [{ "type": "string" }, { "type": "boolean" }], "minItems": 2 });
        let found = check(&schema, &json!(["a", "yes"]));
        let help = Some("write true without quotes".to_owned());
        let message = "expected true or false, found the text \"yes\"".to_owned();
        assert_eq!(found, [Finding { path: vec!["1".into()], at_key: false, message, help }]);
    }

    #[test]
    fn defaults_of_every_kind_fit_their_own_schema() {
        // A command has no default: it is all that the user writes.
        for contract in crate::stages::ALL.iter().filter(|contract| !contract.open_ports) {
            let parsed = (contract.parse)(&json!({})).expect("every parameter has a default");
            assert_eq!(findings(contract, &parsed.canonical), [""; 0], "{}", contract.kind);
            // What to fetch has no default either.
            let wrong: Vec<&str> = parsed.errors.iter().map(|error| error.path[0].as_str()).collect();
            assert_eq!(wrong, if contract.kind == "fetch" { vec!["files"] } else { vec![] }, "{}", contract.kind);
            let again = (contract.parse)(&parsed.canonical).expect("canonical parameters parse");
            assert_eq!(again.canonical, parsed.canonical, "{}", contract.kind);
        }
    }

    /// A keyword that the checker does not know would be passed over in silence.
    #[test]
    fn contracts_use_only_the_keywords_that_are_checked() {
        const KNOWN: &[&str] = &[
            "$schema",
            "$defs",
            "$ref",
            "title",
            "description",
            "default",
            "format",
            "writeOnly",
            "type",
            "properties",
            "required",
            "additionalProperties",
            "items",
            "prefixItems",
            "minItems",
            "maxItems",
            "enum",
            "const",
            "oneOf",
            "anyOf",
            "minimum",
            "maximum",
            "exclusiveMinimum",
            "exclusiveMaximum",
        ];
        fn walk(schema: &Value, kind: &str) {
            for (keyword, content) in schema.as_object().into_iter().flatten() {
                assert!(KNOWN.contains(&keyword.as_str()), "{kind}: {keyword}");
                match keyword.as_str() {
                    "properties" | "$defs" => {
                        content.as_object().into_iter().flatten().for_each(|(_, s)| walk(s, kind));
                    }
                    "oneOf" | "anyOf" | "prefixItems" => {
                        content.as_array().into_iter().flatten().for_each(|s| walk(s, kind));
                    }
                    "items" | "additionalProperties" => walk(content, kind),
                    _ => {}
                }
            }
        }
        for contract in crate::stages::ALL {
            walk(&(contract.schema)(), contract.kind);
        }
    }
}
