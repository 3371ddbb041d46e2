//! A misspelt key is a mistake wherever it is in a pipeline file, also without a value.

use fs_err as fs;
use pipe_engine::load;
use pipe_schemas::stages;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// A key that nothing knows and that is near to nothing.
const MISSPELT: &str = "qqzzxx";

/// Returns whether a pipeline is refused because of the key.
#[track_caller]
fn check(pipeline: &Value) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("p.yaml");
    fs::write(&path, pipeline.to_string()).expect("written");
    let problems = load(&path, &[]).expect_err("a misspelt key");
    let found = |problem: &pipe_engine::Problem| problem.message.contains(MISSPELT);
    assert!(
        problems.0.iter().any(found),
        "{pipeline}: {:?}",
        problems.0.iter().map(|p| &p.message).collect::<Vec<_>>()
    );
}

/// Collects every map with fixed keys below a schema, each inside what leads to it. `put` puts a value where the schema is.
fn maps(root: &Value, schema: &Value, open: &mut Vec<String>, put: &dyn Fn(Value) -> Value, all: &mut Vec<Value>) {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        if open.iter().any(|one| one == reference) {
            return;
        }
        open.push(reference.to_owned());
        maps(root, root.pointer(&reference[1..]).expect("a target"), open, put, all);
        open.pop();
    }
    for branch in ["oneOf", "anyOf"].into_iter().filter_map(|keyword| schema.get(keyword)?.as_array()).flatten() {
        maps(root, branch, open, put, all);
    }
    if let Some(items) = schema.get("items") {
        maps(root, items, open, &|value| put(json!([value])), all);
    }
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    let tag = properties.get("type").and_then(|tag| tag.get("const")).map(|tag| ("type".to_owned(), tag.clone()));
    let with = |key: &str, value: Value| -> Value {
        tag.clone().into_iter().chain([(key.to_owned(), value)]).collect::<Map<_, _>>().into()
    };
    all.push(put(with(MISSPELT, Value::Null)));
    for (key, property) in properties {
        maps(root, property, open, &|value| put(with(key, value)), all);
    }
}

#[test]
fn a_misspelt_parameter_without_a_value_is_a_mistake_at_every_depth_of_every_stage() {
    for contract in stages::ALL {
        let mut all = Vec::new();
        let stage =
            |with: Value| json!({ "pipeline": "p", "stages": { "s": { "uses": contract.kind, "with": with } } });
        maps(contract.schema(), contract.schema(), &mut Vec::new(), &stage, &mut all);
        assert!(!all.is_empty(), "{}", contract.kind);
        all.iter().for_each(check);
    }
}

#[test]
fn a_parameter_without_its_last_letter_and_value_is_a_mistake() {
    for contract in stages::ALL {
        let properties = contract.schema()["properties"].as_object().expect("parameters").keys();
        let known: BTreeSet<&str> = properties.map(String::as_str).collect();
        for name in &known {
            let short = &name[..name.len() - 1];
            if known.contains(short) {
                continue;
            }
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("p.yaml");
            let text = format!("pipeline: p\nstages:\n  s:\n    uses: {}\n    with:\n      {short}:\n", contract.kind);
            fs::write(&path, text).expect("written");
            let problems = load(&path, &[]).expect_err("a misspelt key");
            let expect = format!("unknown parameter `{short}`");
            assert!(problems.0.iter().any(|problem| problem.message == expect), "{}: {short}", contract.kind);
        }
    }
}

#[test]
fn a_misspelt_key_of_a_pipeline_or_stage_without_a_value_is_a_mistake() {
    let stage = json!({ "uses": "command", "with": { "run": ["true"], "outputs": { "o": "o" } } });
    let with = |path: &str| {
        let mut pipeline = json!({ "pipeline": "p", "stages": { "s": stage.clone() } });
        pipeline["stages"]["s"]["resources"] = json!({ "cpus": 1 });
        pipeline["stages"]["s"]["inputs"] = json!({});
        pipeline.pointer_mut(path).expect("a map")[MISSPELT] = Value::Null;
        pipeline
    };
    for path in ["", "/stages", "/stages/s", "/stages/s/with", "/stages/s/resources", "/stages/s/inputs"] {
        match path {
            // Any name may be an input of a command; a null is not a stage.
            "/stages/s/inputs" => {
                let folder = tempfile::tempdir().expect("a folder");
                let file = folder.path().join("p.yaml");
                fs::write(&file, with(path).to_string()).expect("written");
                load(&file, &[]).expect_err("an input without a stage");
            }
            _ => check(&with(path)),
        }
    }
}

#[test]
fn an_empty_map_of_parameters_inputs_or_variables_is_no_mistake() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("p.yaml");
    let stage = "  e: { uses: command, inputs: , with: { run: [echo], outputs: { o: o } } }\n";
    fs::write(&path, format!("pipeline: p\nvars:\nstages:\n{stage}")).expect("written");
    load(&path, &[]).expect("a pipeline");
}

#[test]
fn a_number_that_is_the_name_of_a_folder_stays_as_it_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("p.yaml");
    let text = "pipeline: p\nvars: { year: 1.10 }\nstages:\n  v: { uses: command, with: { shell: \"${year}\", outputs: { o: o } } }\n";
    fs::write(&path, text).expect("written");
    let shell = |settings: &[&str]| {
        let settings: Vec<_> = settings.iter().map(|one| pipe_engine::Setting((*one).to_owned())).collect();
        load(&path, &settings).expect("a pipeline").stage(0).params["shell"].clone()
    };
    assert_eq!(shell(&[]), "1.10");
    assert_eq!(shell(&["vars.year=2021"]), "2021");
    assert_eq!(shell(&["vars.year=true"]), "true");
    assert_eq!(shell(&["stages.v.with.shell=007 # x"]), "007 # x");
}

#[test]
fn a_path_that_only_a_shell_would_expand_has_help() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("p.yaml");
    let help = |root: &str| {
        fs::write(&path, format!("pipeline: p\nstages: {{ v: {{ uses: ingest, with: {{ root: {root:?} }} }} }}\n"))
            .expect("written");
        let problems = load(&path, &[]).expect_err("no such folder").0;
        assert_eq!(problems.len(), 1, "{problems:?}");
        problems[0].help.clone().unwrap_or_default()
    };
    assert!(help("~/videos").contains("`~` is not expanded"));
    assert!(help("$HOME/videos").contains("environment variables are not read"));
    assert!(help("${HOME}/videos").contains("--set vars.HOME=\"$HOME\""));
    assert!(help("no/such").contains("relative to the current folder"));
}
