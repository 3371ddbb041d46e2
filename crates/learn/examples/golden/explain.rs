//! Compares class activation maps and attention rollout. `explain/network.rs` builds the network of a case from its description,
//! `explain/figures.rs` compares its figures.

mod cam;
mod figures;
mod network;
mod rollout;

use crate::python_json::{is_remark, read};
use figures::Compared;
use serde_json::{Map, Value};
use std::error::Error;

/// A case: an object of its settings and its figures.
pub(crate) type Case = Map<String, Value>;

/// Compares all cases of the files, prints a row for each, and returns the number of cases that differ.
#[expect(clippy::print_stdout, reason = "the report of a program")]
pub(crate) fn compare(files: &[String], only: Option<&str>) -> Result<usize, Box<dyn Error>> {
    pipe_learn::pin_threads();
    let (mut failed, mut compared) = (0, 0);
    for path in files {
        let kinds: Map<String, Value> =
            serde_json::from_value(read(path)?).map_err(|error| format!("{path}: {error}"))?;
        for (id, kind, case) in cases(&kinds).map_err(|error| format!("{path}: {error}"))? {
            if only.is_some_and(|only| only != id && only != kind) {
                continue;
            }
            compared += 1;
            let (verdict, text) = match measure(kind, case) {
                Ok(found) if found.is_equal() => ("equal", found.to_string()),
                Ok(found) => ("DIFFERS", found.to_string()),
                Err(error) => ("FAILED", with_causes(&*error)),
            };
            failed += usize::from(verdict != "equal");
            println!("{verdict:8} {id:24} {text}");
        }
    }
    println!("{} of {compared} cases {}", compared - failed, figures::CONDITION);
    if compared == 0 { Err("no case has been compared".into()) } else { Ok(failed) }
}

/// Returns the cases with their ids and kinds. A case without an id has that of its kind, with a number if there are several.
fn cases(kinds: &Map<String, Value>) -> Result<Vec<(String, &str, &Case)>, String> {
    let mut all = Vec::new();
    for (kind, cases) in kinds.iter().filter(|(kind, _)| !is_remark(kind)) {
        let cases = cases.as_array().ok_or_else(|| format!("`{kind}` is not a list of cases"))?;
        for (place, case) in cases.iter().enumerate() {
            let case = case.as_object().ok_or_else(|| format!("case {} of `{kind}` is not an object", place + 1))?;
            let own = case.get("id").and_then(Value::as_str);
            let numbered = || if cases.len() == 1 { kind.clone() } else { format!("{kind}-{}", place + 1) };
            all.push((own.map_or_else(numbered, str::to_owned), kind.as_str(), case));
        }
    }
    Ok(all)
}

fn measure(kind: &str, case: &Case) -> Result<Compared, Box<dyn Error>> {
    match kind {
        "cam3d" => cam::measure(case, network::Frames::Together),
        "cam2d" => cam::measure(case, network::Frames::Single),
        "attention_rollout" => rollout::measure(case),
        other => Err(format!("`{other}` is not a kind of cases that is compared").into()),
    }
}

/// Returns an error with its causes in one line.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Returns a setting of a case.
fn setting<T: serde::de::DeserializeOwned>(case: &Case, name: &str) -> Result<T, Box<dyn Error>> {
    let value = case.get(name).ok_or_else(|| format!("the case has no `{name}`"))?;
    serde_json::from_value(value.clone()).map_err(|error| format!("`{name}`: {error}").into())
}
