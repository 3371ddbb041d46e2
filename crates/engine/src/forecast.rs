//! [`forecast`]: what a run of a plan would do with each stage, without running any. Writes nothing.

use crate::bookkeeping::Bookkeeping;
use crate::error::RunError;
use crate::key_planner::KeyPlanner;
use crate::options::Executables;
use crate::plan::Plan;
use crate::reasons::Reason;
use pipe_cache::store::Lookup;
use pipe_cache::{ActionKey, ActionRecord, Store};
use serde::Serialize;
use std::collections::BTreeMap;

/// What a run would do with a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Forecast {
    /// The store has its result.
    Hit {
        /// The summary that the stage recorded with its result.
        summary: Vec<String>,
    },
    /// It would run.
    Miss {
        /// Why its key is not in the store.
        reasons: Vec<Reason>,
    },
    /// Its key is known once the stages that it reads have run. If their outputs do not change, it is a hit.
    Undecided {
        /// The stages that it reads and that have no result yet, by name.
        waits_for: Vec<String>,
    },
    /// Its key can't be computed, so a run would fail here.
    Error {
        /// The error as text.
        error: String,
    },
}

/// What a run would do with one stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StageForecast {
    /// The stage's name.
    pub stage: String,
    /// The action key, where it can be computed.
    pub key: Option<String>,
    /// What a run would do.
    #[serde(flatten)]
    pub forecast: Forecast,
}

/// Returns what a run of `plan` would do, for each stage in the plan's order.
pub fn forecast(plan: &Plan, kept: &Bookkeeping, executables: &Executables) -> Result<Vec<StageForecast>, RunError> {
    let store = Store::to_read(kept.root());
    let mut planner = KeyPlanner::new(plan, kept, executables);
    let mut records: BTreeMap<usize, ActionRecord> = BTreeMap::new();
    let mut forecasts = Vec::new();
    for &stage in plan.order() {
        let (key, forecast) = match missing_inputs(plan, stage, &records) {
            waits_for if waits_for.is_empty() => forecast_stage(&store, &mut planner, stage, &mut records)?,
            waits_for => (None, Forecast::Undecided { waits_for }),
        };
        let (stage, key) = (plan.stage(stage).name.to_string(), key.map(|key| key.to_string()));
        forecasts.push(StageForecast { stage, key, forecast });
    }
    Ok(forecasts)
}

/// Returns the names of the stages that `stage` reads and that have no record.
fn missing_inputs(plan: &Plan, stage: usize, records: &BTreeMap<usize, ActionRecord>) -> Vec<String> {
    let missing = plan.dependencies(stage).filter(|needed| !records.contains_key(needed));
    let mut names: Vec<String> = missing.map(|stage| plan.stage(stage).name.to_string()).collect();
    names.sort();
    names.dedup(); // two ports may read one stage
    names
}

/// Forecasts a stage whose inputs are all in the store, and adds its record if it is a hit.
fn forecast_stage(
    store: &Store,
    planner: &mut KeyPlanner,
    stage: usize,
    records: &mut BTreeMap<usize, ActionRecord>,
) -> Result<(Option<ActionKey>, Forecast), RunError> {
    let prepared = match planner.prepare(stage, |stage| records.get(&stage)) {
        Ok(prepared) => prepared,
        Err(error) => return Ok((None, Forecast::Error { error: error.to_string() })),
    };
    let forecast = match store.find(prepared.key) {
        Lookup::Hit(record) => {
            let summary = record.summary.clone();
            records.insert(stage, *record);
            Forecast::Hit { summary }
        }
        Lookup::Absent => Forecast::Miss { reasons: planner.reasons(store, stage, &prepared)? },
        Lookup::Damaged(error) => Forecast::Miss { reasons: vec![Reason::Damaged { what: error.to_string() }] },
    };
    Ok((Some(prepared.key), forecast))
}
