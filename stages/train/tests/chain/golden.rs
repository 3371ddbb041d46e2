//! The loss curve of a small training over three epochs: pinned bit for bit in environments that `golden.json` knows, and within a tolerance
//! elsewhere. `UPDATE_GOLDEN=1 cargo nextest run -p pipe-stage-train golden` adds this environment.

use super::{Space, params};
use pipe_schemas::Tolerance;
use pipe_schemas::stages::train::{ClipGrad, Ema, TrainParams};
use pipe_schemas::tables::TrainingStepRow;
use pipe_stage::environment;
use pipe_stage::protocol::Grant;
use pipe_tables::read_rows;
use pipe_testkit::{repository, skip};
use serde_json::{Value, json};

/// The bits depend on the number of threads, so that it is pinned.
const THREADS: u32 = 2;

/// Of losses between 0.2 and 0.9 after up to six steps. Without AVX (`ATEN_CPU_CAPABILITY=default`, `ONEDNN_MAX_CPU_ISA=SSE41`) they differ by
/// less than 0.001.
const TOLERANCE: Tolerance = Tolerance { relative: 0.02, absolute: 0.005 };

/// Warm-up, momentum, weight decay, clipping, dropout and an average; flips come from the samples.
fn golden_params() -> TrainParams {
    let mut params = TrainParams { threads: Some(THREADS), ema: Some(Ema::default()), ..params(3, 1) };
    params.optim_wrapper.clip_grad = Some(ClipGrad::max_norm(10.0));
    params
}

fn losses() -> Vec<f64> {
    let (space, params) = (Space::new(), golden_params());
    let made = space.train(&params, &[], 3, "parts");
    space.assemble(&params, &made, "output");
    let steps: Vec<TrainingStepRow> =
        read_rows(&space.path("output").join("training_steps.parquet")).expect("the steps");
    steps.iter().map(|row| row.loss).collect()
}

/// Returns what the bits depend on, in one line.
fn here() -> String {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let environment = environment(&Grant::cpu(THREADS as usize), variable);
    let libtorch = option_env!("LIBTORCH_VERSION").unwrap_or("unknown");
    let values = environment.into_iter().map(|(name, value)| format!("{name} {value}"));
    values.chain([format!("libtorch {libtorch}")]).collect::<Vec<_>>().join(", ")
}

#[test]
fn the_loss_curve_is_the_golden_one() {
    let path = repository().join("stages/train/tests/chain/golden.json");
    let text = fs_err::read_to_string(&path).unwrap_or_else(|_| "{}".to_owned());
    let mut golden: Value = serde_json::from_str(&text).expect("JSON");
    let (found, here) = (losses(), here());
    let bits: Vec<String> = found.iter().map(|loss| format!("{:016x}", loss.to_bits())).collect();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        golden["losses"] = json!(found);
        golden["bits"][&here] = json!(bits);
        fs_err::write(&path, serde_json::to_string_pretty(&golden).expect("JSON") + "\n").expect("written");
        return;
    }
    let expect: Vec<f64> = serde_json::from_value(golden["losses"].clone()).expect("the golden losses");
    assert_eq!(found.len(), expect.len());
    for (step, (found, expect)) in found.iter().zip(&expect).enumerate() {
        assert!(TOLERANCE.accepts(*found, *expect), "step {step}: {found}, golden is {expect} ± {TOLERANCE}");
    }
    match golden["bits"].get(&here) {
        Some(expect) => assert_eq!(json!(bits), *expect, "other bits in the environment {here}"),
        None => {
            skip(&format!("the bits of the golden losses, as none are known for {here}; they are within {TOLERANCE}"))
        }
    }
}
