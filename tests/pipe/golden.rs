//! The results of the tiny smoke pipeline, with three epochs, are compared with `golden.json`: stages keep their `version` only as long as they
//! write the same bytes. `UPDATE_GOLDEN=1 cargo xtask test golden` updates the file.
//!
//! | stages | compared | file |
//! |---|---|---|
//! | exact | digests of outputs, where the libraries are the same | `stages.NAME.output` |
//! | floating-point | digests of outputs, in environments that the file knows | `stages.NAME.environments` |
//! | | losses and logits, in every environment, with a tolerance | `numbers` |
//!
//! Libraries of other versions may write other bytes and are in the keys; therefore the digests of stages that come after such
//! a library are not compared.

use crate::space::Space;
use pipe_cache::{ActionRecord, Lookup, Store};
use pipe_schemas::tables::PredictionRow;
use pipe_schemas::{Numerics, Tolerance, stages::contract};
use pipe_tables::{read_rows, read_training_log};
use pipe_testkit::{repository, skip};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Of losses near 0.7 and logits up to 0.15 after three short epochs. With AVX2 instead of AVX-512 (`ATEN_CPU_CAPABILITY=avx2`,
/// `ONEDNN_MAX_CPU_ISA=AVX2`) logits differ by 0.00002, and without AVX (`default`, `SSE41`) by 0.016: a value that is next to 0 before an
/// activation is then on the other side.
const TOLERANCE: Tolerance = Tolerance { relative: 0.01, absolute: 0.02 };

/// The content of `golden.json`.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Golden {
    stages: BTreeMap<String, GoldenStage>,
    numbers: Numbers,
}

/// What a stage gave.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct GoldenStage {
    kind: String,
    version: String,
    tools: BTreeMap<String, String>,
    /// Digest of the output of an exact stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    output: Option<String>,
    /// Digests of the output of a floating-point stage, by environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    environments: BTreeMap<String, String>,
}

/// Numbers that every environment gives, within [`TOLERANCE`].
#[derive(Debug, Default, Serialize, Deserialize)]
struct Numbers {
    /// The mean loss of each epoch.
    loss: Vec<f64>,
    /// The logits of each test video.
    logits: BTreeMap<String, Vec<f64>>,
}

impl GoldenStage {
    fn of(store: &Store, event: &serde_json::Value) -> Self {
        let key = event["key"].as_str().unwrap().parse().unwrap();
        let fields = store.fields(key).unwrap().unwrap();
        let named = |first: &str| fields.iter().filter(|field| field.path[0] == first).collect::<Vec<_>>();
        let (kind, version) = (named("kind")[0].value.clone(), named("version")[0].value.clone());
        let tools = named("tools").iter().map(|field| (field.path[1].clone(), field.value.clone())).collect();
        let Lookup::Hit(record) = store.find(key) else { panic!("{event}") };
        let ActionRecord { output, environment, .. } = *record;
        let digest = output.tree.to_string();
        let (output, environments) = match contract(&kind).unwrap().numerics {
            Numerics::Exact => (Some(digest), BTreeMap::new()),
            Numerics::Measured(_) => (None, BTreeMap::new()),
            Numerics::FloatingPoint(_) => {
                (None, BTreeMap::from([(pipe_engine::environment_line(&environment), digest)]))
            }
        };
        Self { kind, version, tools, output, environments }
    }
}

impl Numbers {
    fn of(space: &Space) -> Self {
        let table = |stage: &str, file: &str| space.path(".pipe/out/smoke").join(stage).join(file);
        let log = read_training_log(&table("model", "training_log.parquet")).unwrap();
        let predictions: Vec<PredictionRow> = read_rows(&table("eval", "predictions.parquet")).unwrap();
        let logits = |row: PredictionRow| (row.video_id, row.logits.into_iter().map(f64::from).collect());
        Self { loss: log.iter().map(|row| row.loss).collect(), logits: predictions.into_iter().map(logits).collect() }
    }

    fn in_order(&self) -> impl Iterator<Item = (String, f64)> {
        let losses = self.loss.iter().enumerate().map(|(epoch, loss)| (format!("loss of epoch {epoch}"), *loss));
        let logits = self.logits.iter().flat_map(|(video, logits)| {
            logits.iter().enumerate().map(move |(class, logit)| (format!("logit {class} of {video}"), *logit))
        });
        losses.chain(logits)
    }

    /// Compares with what is golden, and returns what was compared.
    fn compare(&self, golden: &Self) -> String {
        let (now, golden): (Vec<_>, Vec<_>) = (self.in_order().collect(), golden.in_order().collect());
        assert_eq!(now.len(), golden.len(), "epochs, test videos or classes");
        for ((name, now), (golden_name, golden)) in now.iter().zip(&golden) {
            assert_eq!(name, golden_name);
            assert!(TOLERANCE.accepts(*now, *golden), "the {name} is {now}, golden is {golden} ± {TOLERANCE}");
        }
        format!("{} losses and {} logits within {TOLERANCE}", self.loss.len(), now.len() - self.loss.len())
    }
}

/// Adds this environment to those that are known, where these are still of the same libraries and version.
fn updated(mut now: BTreeMap<String, GoldenStage>, before: Golden) -> BTreeMap<String, GoldenStage> {
    for (name, stage) in &mut now {
        if let Some(before) = before.stages.get(name)
            && (&before.version, &before.tools) == (&stage.version, &stage.tools)
        {
            for (environment, output) in &before.environments {
                stage.environments.entry(environment.clone()).or_insert_with(|| output.clone());
            }
        }
    }
    now
}

#[test]
fn stages_write_the_bytes_that_their_version_stands_for() {
    let (space, path) = (Space::new(), repository().join("tests/pipe/golden.json"));
    let run = space.run_tiny(&["vars.epochs=3"]).ok();
    let store = Store::open_existing(&space.path(".pipe")).unwrap();
    let now: BTreeMap<String, GoldenStage> =
        run.stages("ran").into_iter().map(|name| (name.clone(), GoldenStage::of(&store, run.stage(&name)))).collect();
    let numbers = Numbers::of(&space);
    let golden: Golden = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap_or_default();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let golden = Golden { stages: updated(now, golden), numbers };
        std::fs::write(&path, serde_json::to_string_pretty(&golden).unwrap() + "\n").unwrap();
        return;
    }
    // The numbers do not depend on the last bits that a library writes.
    let compared = numbers.compare(&golden.numbers);
    // Later stages read what earlier ones wrote: one other library is enough.
    let other_tools = now.iter().find(|(name, stage)| golden.stages[*name].tools != stage.tools);
    if let Some((name, stage)) = other_tools {
        skip(&format!(
            "golden digests, as `{name}` was made with other libraries: {:?}; compared {compared}",
            stage.tools
        ));
    } else {
        compare_digests(&now, &golden, &compared);
    }
}

fn compare_digests(now: &BTreeMap<String, GoldenStage>, golden: &Golden, compared: &str) {
    let help = "raise its `version`, and update the golden file with UPDATE_GOLDEN=1";
    for (name, stage) in now {
        let before = &golden.stages[name];
        let kind = &stage.kind;
        assert_eq!((kind, &stage.version), (&before.kind, &before.version), "`{name}`");
        assert_eq!(stage.output, before.output, "`{kind}` writes other bytes: {help}");
        for (environment, output) in &stage.environments {
            match before.environments.get(environment) {
                Some(before) => assert_eq!(output, before, "`{kind}` writes other bytes: {help}"),
                None => {
                    skip(&format!(
                        "golden digest of `{kind}`, as none is known for {environment}; compared {compared}"
                    ));
                }
            }
        }
    }
}
