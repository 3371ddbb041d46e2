//! `Checker::choice`: finds the branch of a `oneOf` or `anyOf` that a value means. Enums have such schemas.

use super::words::{found, list};
use super::{Checker, Step, has_type, names};
use serde_json::Value;

impl<'s, 'v> Checker<'s, 'v> {
    /// Finds the branch that the value means, and checks the value against it only.
    pub(super) fn choice(&mut self, branches: &'s [Value], value: &'v Value) {
        let is_null = |branch: &&Value| branch.get("type").is_some_and(|name| name == "null");
        let branches: Vec<_> = branches.iter().map(|branch| self.resolved(branch)).collect();
        if value.is_null() && branches.iter().any(is_null) {
            return;
        }
        let is_optional = branches.iter().any(is_null);
        let branches: Vec<_> = branches.into_iter().filter(|branch| !is_null(branch)).collect();
        let tags: Option<Vec<_>> = branches.iter().map(|branch| Some((tag(branch)?, *branch))).collect();
        let variants: Option<Vec<_>> = branches.iter().map(|branch| variants(branch)).collect();
        match (branches.as_slice(), tags, variants) {
            // An optional map with one required key looks like a choice between one.
            ([only], None, _) if is_optional => self.value(only, value),
            ([only], None, None) => self.value(only, value),
            (_, Some(tags), _) => self.internally_tagged(&tags, value),
            (_, _, Some(variants)) => self.externally_tagged(&variants.concat(), value),
            _ => self.closest(&branches, value),
        }
    }

    /// Checks a map such as `{ type: SGD, lr: 0.1 }`.
    fn internally_tagged(&mut self, tags: &[(&'s str, &'s Value)], value: &'v Value) {
        let known = || tags.iter().map(|(name, _)| *name);
        let Some(fields) = value.as_object() else {
            return self.report_with(
                format!("expected a map with a `type`, found {}", found(value)),
                match value.as_str() {
                    Some(text) if known().any(|name| name == text) => format!("write {{ type: {text} }}"),
                    _ => format!("`type` is one of {}", list(known())),
                },
            );
        };
        let Some(chosen) = fields.get("type") else {
            return self.report_with("missing `type`".into(), format!("one of {}", list(known())));
        };
        if let Some((_, branch)) = tags.iter().find(|(name, _)| chosen == name) {
            return self.value(branch, value);
        }
        let names: Vec<_> = known().map(Value::from).collect();
        self.path.push(Step::Key("type"));
        self.not_among(&names.iter().collect::<Vec<_>>(), chosen);
        self.path.pop();
    }

    /// Checks a word such as `all`, or a map such as `{ fps: 10 }`.
    fn externally_tagged(&mut self, variants: &[Variant<'s>], value: &'v Value) {
        let expected = || list(variants.iter().map(|variant| variant.name));
        match value {
            Value::String(text) => match variants.iter().find(|variant| variant.name == text) {
                Some(Variant { content: None, .. }) => {}
                Some(Variant { name, .. }) => {
                    self.report_with(format!("`{name}` needs a value"), format!("write {{ {name}: … }}"));
                }
                None => {
                    let names: Vec<_> = variants.iter().map(|variant| Value::from(variant.name)).collect();
                    self.not_among(&names.iter().collect::<Vec<_>>(), value);
                }
            },
            Value::Object(fields) if fields.len() == 1 => {
                for (key, content) in fields {
                    self.path.push(Step::Key(key));
                    match variants.iter().find(|variant| variant.name == key) {
                        Some(Variant { content: Some(schema), .. }) => self.value(schema, content),
                        Some(Variant { name, content: None }) => {
                            self.report_key(format!("`{name}` takes no value"), Some(format!("write {name} alone")));
                        }
                        None => self.unknown_key("choice", key, variants.iter().map(|variant| variant.name)),
                    }
                    self.path.pop();
                }
            }
            Value::Object(fields) => {
                let found = if fields.is_empty() { "none".into() } else { list(fields.keys().map(String::as_str)) };
                self.report(format!("expected exactly one of {}, found {found}", expected()));
            }
            _ => self.report(format!("expected one of {}, found {}", expected(), found(value))),
        }
    }

    /// Checks against branches without a tag: the branch with the fewest violations counts, one of the value's type before the others.
    fn closest(&mut self, branches: &[&'s Value], value: &'v Value) {
        let is_other_type =
            |branch: &&Value| !branch.get("type").is_some_and(|types| names(types).any(|name| has_type(value, name)));
        let attempt = |branch: &&'s Value| {
            let mut checker = Checker { root: self.root, path: self.path.clone(), violations: Vec::new() };
            checker.value(branch, value);
            checker.violations
        };
        let attempts = branches.iter().map(|branch| (is_other_type(branch), attempt(branch)));
        let best = attempts.min_by_key(|(is_other_type, violations)| (violations.len(), *is_other_type));
        self.violations.extend(best.map(|(_, violations)| violations).unwrap_or_default());
    }
}

/// A branch of an externally tagged enum: a bare word, or a map with one key.
#[derive(Debug, Clone, Copy)]
struct Variant<'s> {
    name: &'s str,
    content: Option<&'s Value>,
}

fn variants(branch: &Value) -> Option<Vec<Variant<'_>>> {
    if let Some(name) = branch.get("const") {
        return Some(vec![Variant { name: name.as_str()?, content: None }]);
    }
    if let Some(words) = branch.get("enum") {
        return words.as_array()?.iter().map(|word| Some(Variant { name: word.as_str()?, content: None })).collect();
    }
    let properties = branch.get("properties")?.as_object()?;
    let (name, content) = properties.iter().next()?;
    let required = branch.get("required")?.as_array()?;
    (properties.len() == 1 && required.len() == 1).then(|| vec![Variant { name, content: Some(content) }])
}

/// Returns the value of `type` that selects a branch of an internally tagged enum.
fn tag(branch: &Value) -> Option<&str> {
    branch.pointer("/properties/type/const")?.as_str()
}
