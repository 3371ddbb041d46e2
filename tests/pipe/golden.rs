//! Stages keep their `version` only as long as they write the same bytes: the digests of the tiny smoke pipeline are
//! compared with those in `golden.json`. `UPDATE_GOLDEN=1 cargo xtask test` writes them anew.
//!
//! Other versions of a library may write other bytes and are in the keys; so digests are compared for the same versions
//! only, and those that depend on floating point for the same model of processor only.

use crate::space::Space;
use pipe_cache::Store;
use pipe_testkit::{repository, skip};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The kinds whose bytes come out of matrix products.
const FLOATS: &[&str] = &["train", "evaluate", "export"];

fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model.map_or_else(|| "unknown".into(), |(_, model)| model.to_owned())
}

/// Returns kind, version, libraries and output digest of each stage.
fn stages(space: &Space) -> BTreeMap<String, Value> {
    let told = space.run_tiny(&[]).ok();
    let store = Store::open_existing(&space.path(".pipe")).unwrap();
    let stage = |name: &String| {
        let event = told.stage(name);
        let fields = store.fields(event["key"].as_str().unwrap().parse().unwrap()).unwrap().unwrap();
        let named = |first: &str| fields.iter().filter(|field| field.path[0] == first).collect::<Vec<_>>();
        let tools: BTreeMap<&str, &str> =
            named("tools").iter().map(|field| (field.path[1].as_str(), field.value.as_str())).collect();
        let (kind, version) = (&named("kind")[0].value, &named("version")[0].value);
        (name.clone(), json!({ "kind": kind, "version": version, "tools": tools, "output": event["output"] }))
    };
    told.stages("ran").iter().map(stage).collect()
}

#[test]
fn stages_write_the_bytes_that_their_version_stands_for() {
    let (space, path) = (Space::new(), repository().join("tests/pipe/golden.json"));
    let now = stages(&space);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let golden = json!({ "processor": processor(), "stages": now });
        std::fs::write(&path, serde_json::to_string_pretty(&golden).unwrap() + "\n").unwrap();
        return;
    }
    let golden: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    for floats in [false, true] {
        let kind = |stage: &Value| stage["kind"].as_str().unwrap().to_owned();
        let part: Vec<_> = now.iter().filter(|(_, stage)| FLOATS.contains(&kind(stage).as_str()) == floats).collect();
        // Later stages read what earlier ones wrote: one other library is enough.
        if let Some((name, stage)) = part.iter().find(|(name, stage)| golden["stages"][name]["tools"] != stage["tools"])
        {
            return skip(&format!("golden digests, as `{name}` was made with other libraries: {}", stage["tools"]));
        }
        if floats && golden["processor"] != processor() {
            return skip(&format!(
                "golden digests of training on {}: they are of {}",
                processor(),
                golden["processor"]
            ));
        }
        for (name, stage) in part {
            let help = "raise its `version`, and write the digests anew with UPDATE_GOLDEN=1";
            assert_eq!(&golden["stages"][name], stage, "`{}` writes other bytes: {help}", kind(stage));
        }
    }
}
