//! [`set`]: applies `--set PATH=VALUE` to a merged pipeline.

use crate::diagnostics::Problem;
use crate::json_schema;
use crate::merge::{Texts, merge, merge_entries};
use crate::nearest::nearest;
use crate::place::{Place, SourceText};
use crate::yaml::{Entry, Node, Value, parse};
use pipe_schemas::stages;
use std::sync::Arc;

/// What the value at a path may be, as far as that decides how its text is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    /// Text only: the value is taken as it is, not as YAML.
    Text,
    /// A single value, such as that of a variable: not a list or map.
    Scalar,
    Yaml,
}

/// Applies one setting. A step into a list is a position.
pub(crate) fn set(root: &mut Node, setting: &str, texts: &mut Texts) -> Result<(), Problem> {
    let (path, text) = setting.split_once('=').unwrap_or((setting, ""));
    let source = SourceText::new(format!("--set {path}"), None, text);
    texts.all.push(Arc::clone(&source));
    let place = Place::start_of(&source);
    let steps: Vec<&str> = path.split('.').collect();
    if !setting.contains('=') || steps.iter().any(|step| step.is_empty()) {
        let problem = Problem::new("bad-setting", &place, format!("`{setting}` is not of the form PATH=VALUE"));
        return Err(problem.help("for example --set stages.model.with.optim_wrapper.optimizer.lr=0.01"));
    }
    check_path(root, &steps, &place)?;
    let value = read(&source, takes(root, &steps))?;
    texts.add_uses(&value);
    set_at(root, &steps, value, &place)
}

/// Checks that a path leads to something that a setting can change.
fn check_path(root: &Node, steps: &[&str], place: &Place) -> Result<(), Problem> {
    let problem = |message: String, help: String| Err(Problem::new("bad-setting", place, message).help(help));
    match steps {
        ["extends", ..] => {
            problem("`extends` can't be set".into(), "write a pipeline file that extends the others".into())
        }
        // A new stage is set as a whole, or begins with its kind.
        ["stages", stage, key, ..] if *key != "uses" => {
            let known = || root.get("stages").map(Node::entries).unwrap_or_default().iter().map(|e| e.key.as_str());
            if known().any(|known| known == *stage) {
                return Ok(());
            }
            let help = match nearest(stage, known()) {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => format!("the stages of this pipeline are {}", known().collect::<Vec<_>>().join(", ")),
            };
            problem(format!("the pipeline has no stage `{stage}`"), help)
        }
        _ => Ok(()),
    }
}

/// Returns what the value at a path may be.
fn takes(root: &Node, steps: &[&str]) -> Takes {
    match steps {
        ["pipeline" | "remote"]
        | ["stages", _, "uses" | "timeout"]
        | ["stages", _, "inputs" | "sources", _]
        | ["stages", _, "resources", "memory"] => Takes::Text,
        ["vars", _] => Takes::Scalar,
        ["stages", stage, "with", path @ ..] => {
            let uses = root.get("stages").and_then(|stages| stages.get(stage)).and_then(|stage| stage.get("uses"));
            let Some(Value::Text(kind)) = uses.map(|uses| &uses.value) else { return Takes::Yaml };
            let is_text = |schema| json_schema::takes_only_text(schema, path.iter().copied());
            if stages::contract(kind).is_some_and(|kind| is_text(kind.schema())) { Takes::Text } else { Takes::Yaml }
        }
        _ => Takes::Yaml,
    }
}

/// Reads the value of a setting. Where YAML would drop a part of a plain text, such as a comment, the whole text counts.
fn read(source: &Arc<SourceText>, takes: Takes) -> Result<Node, Problem> {
    let text = &source.text;
    let plain = || Ok(Node::new(Value::Text(text.clone()), Place::start_of(source)));
    if text.trim().is_empty() {
        return plain();
    }
    let parsed = parse(source);
    let Ok(node) = &parsed else { return if takes == Takes::Yaml { parsed } else { plain() } };
    let is_whole = node.place.text() == Some(text.trim());
    let keep = match &node.value {
        // A null removes the key.
        Value::Null => ["null", "Null", "NULL", "~"].contains(&text.trim()),
        Value::Text(_) => node.replace || text.trim_start().starts_with(['"', '\'', '|', '>']),
        Value::Bool(_) | Value::Number(_) => is_whole && takes != Takes::Text,
        Value::List(_) | Value::Map(_) => takes == Takes::Yaml,
    };
    if keep { parsed } else { plain() }
}

fn set_at(node: &mut Node, steps: &[&str], value: Node, place: &Place) -> Result<(), Problem> {
    let Some((&step, rest)) = steps.split_first() else {
        let base = std::mem::replace(node, Node::new(Value::Null, place.clone()));
        *node = merge(base, value);
        return Ok(());
    };
    match &mut node.value {
        Value::List(nodes) => {
            let count = nodes.len();
            let child = step.parse().ok().and_then(|position: usize| nodes.get_mut(position));
            let Some(child) = child else {
                let problem =
                    Problem::new("bad-setting", place, format!("`{step}` is not a position in a list of {count}"));
                return Err(problem.help("positions count from 0"));
            };
            set_at(child, rest, value, place)
        }
        Value::Map(entries) => {
            if rest.is_empty() {
                let entry = Entry { key: step.to_owned(), key_place: place.clone(), node: value };
                *entries = merge_entries(std::mem::take(entries), vec![entry]);
                return Ok(());
            }
            let position = entries.iter().position(|entry| entry.key == step).unwrap_or_else(|| {
                let node = Node::new(Value::Map(Vec::new()), place.clone());
                entries.push(Entry { key: step.to_owned(), key_place: place.clone(), node });
                entries.len() - 1
            });
            set_at(&mut entries[position].node, rest, value, place)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => {
            *node = Node::new(Value::Map(Vec::new()), place.clone());
            set_at(node, steps, value, place)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn node(text: &str) -> Node {
        parse(&SourceText::new("t", None, text)).expect("parsed")
    }

    #[track_caller]
    fn check(setting: &str, expect: serde_json::Value) {
        let mut root = node("{a: {b: [1, {c: 2}]}}");
        set(&mut root, setting, &mut Texts::default()).expect("set");
        assert_eq!(root.to_json(), expect);
    }

    #[test]
    fn settings_reach_into_maps_and_lists() {
        check("a.b.1.c=0.5", json!({"a": {"b": [1, {"c": 0.5}]}}));
        check("a.x=[3]", json!({"a": {"b": [1, {"c": 2}], "x": [3]}}));
        check("vars.data=some/where", json!({"a": {"b": [1, {"c": 2}]}, "vars": {"data": "some/where"}}));
        check("a=null", json!({}));
        check("x=null", json!({"a": {"b": [1, {"c": 2}]}, "x": null}));
    }

    #[test]
    fn a_path_leads_to_something_that_exists() {
        let check = |setting: &str, expect: &str| {
            let mut root = node("{a: [1], stages: {model: {uses: train}}}");
            let problem = set(&mut root, setting, &mut Texts::default()).expect_err(setting);
            let text = format!("{} ({})", problem.message, problem.help.unwrap_or_default());
            assert!(text.contains(expect), "{setting}: {text}");
        };
        check("a.1=2", "not a position in a list of 1");
        check("nonsense", "not of the form");
        check("a..b=1", "not of the form");
        check("extends=[x.yaml]", "`extends` can't be set");
        check("extends.0=x.yaml", "`extends` can't be set");
        check("stages.modle.with.seed=1", "no stage `modle` (did you mean `model`?)");
        check("stages.modle.inputs.frames=frames", "no stage `modle`");
    }

    #[test]
    fn a_plain_text_keeps_what_yaml_would_drop() {
        let stages = "{s: {uses: ingest, with: {root: x}}, c: {uses: command, with: {shell: x}}, t: {uses: train}}";
        let read = |path: &str, value: &str| {
            let mut root = node(&format!("{{vars: {{v: 1}}, stages: {stages}}}"));
            set(&mut root, &format!("{path}={value}"), &mut Texts::default()).map_err(|problem| problem.message)?;
            let found = path.split('.').try_fold(&root, |node, step| node.get(step));
            Ok::<_, String>(found.expect("a value").to_json())
        };
        // Where only text is taken, the value is that text.
        let odd = [
            "ds #2", "a: b", " x", "x ", "[a", "[a]", "{a: b}", "2021", "1.10", "true", "@x", "*x", "&x", "- a", "%",
            "!x y",
        ];
        for text in odd {
            assert_eq!(read("stages.s.with.root", text), Ok(json!(text)), "{text}");
            assert_eq!(read("stages.c.with.shell", text), Ok(json!(text)), "{text}");
        }
        // A variable takes single values.
        for text in odd.into_iter().filter(|text| !["1.10", "2021", "true"].contains(text)) {
            assert_eq!(read("vars.v", text), Ok(json!(text)), "{text}");
        }
        // What YAML reads as a whole is unchanged.
        for path in ["vars.v", "stages.s.with.root"] {
            assert_eq!(read(path, "\"ds #2\""), Ok(json!("ds #2")));
            assert_eq!(read(path, "'a: b'"), Ok(json!("a: b")));
            assert_eq!(read(path, ""), Ok(json!("")));
        }
        assert_eq!(read("vars.v", "2021"), Ok(json!(2021)));
        assert_eq!(read("vars.v", "5 # five"), Ok(json!("5 # five")));
        assert_eq!(read("stages.t.with.seed", " 5 "), Ok(json!(5)));
        assert_eq!(read("stages.t.with.seed", "5 # five"), Ok(json!("5 # five")));
        assert_eq!(read("stages.t.with.load_from", "{checkpoint: a}"), Ok(json!({"checkpoint": "a"})));
        assert_eq!(read("stages.s.with.include", "[a, b]"), Ok(json!(["a", "b"])));
        assert!(read("stages.t.with", "{model: [}").is_err());
    }
}
