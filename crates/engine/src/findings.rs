//! [`findings`]: what `pipe check` finds in the lists and videos of a pipeline before anything is decoded.
//!
//! Stages whose contract says [`Check::Findings`] run, as in any run, together with the stages that they need. Results are taken
//! from the store. A needed stage without a result runs with quick parameters if its contract says [`Check::Needed`]. Nothing
//! is done twice: a later run reuses every result whose parameters were not made quick.

use crate::bookkeeping::Bookkeeping;
use crate::events::RunEvent;
use crate::key_planner::KeyPlanner;
use crate::options::RunMode;
use crate::run::run;
use crate::{Cancel, Plan, Prefetch, RunError, RunOptions, Selection, StageSummary};
use pipe_cache::store::Lookup;
use pipe_cache::{ActionRecord, Store};
use pipe_schemas::Check;
use pipe_schemas::contract::MakeQuick;
use std::collections::BTreeMap;

/// What `pipe check` found beyond the pipeline file.
#[derive(Debug, Default)]
pub struct Findings {
    /// The checked stages, in the order in which they ended.
    pub stages: Vec<StageSummary>,
    /// Names of the checked stages that ran with quick parameters and did not decode what a run decodes.
    pub quick: Vec<String>,
    /// The stages that could not be checked, in the plan's order.
    pub unchecked: Vec<Unchecked>,
    /// Whether the user cancelled the check.
    pub cancelled: bool,
}

/// A stage that could not be checked because `pipe check` does not run a stage that it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unchecked {
    /// The name of the stage.
    pub stage: String,
    /// The input port that has no data.
    pub port: String,
    /// The name of the stage that has not run.
    pub needs: String,
}

/// How a check gets the result of a stage without decoding, downloading, training or starting a program.
enum Availability {
    /// The store has it.
    Stored(Box<ActionRecord>),
    /// The stage can run.
    Runnable { quick: bool },
    /// It can't: the stage at this position has not run.
    Missing(usize),
}

/// Runs the stages that have findings. A failed stage is part of the result, not an error. `selection` and `mode` of `options` are
/// ignored.
pub fn findings(
    mut plan: Plan,
    options: &RunOptions,
    cancel: &Cancel,
    on_event: &mut dyn FnMut(&RunEvent),
) -> Result<Findings, RunError> {
    // A missing folder has no results, and is not created for a check. The store is held until the run is over, so that no
    // result disappears.
    let store = options.root.is_dir().then(|| Store::open(&options.root)?.hold(|| on_event(&RunEvent::StoreWaiting)));
    let store = store.transpose()?;
    // A check of a folder without a store does not create one just to find out that there is nothing to check.
    let kept = if store.is_some() { Bookkeeping::to_update } else { Bookkeeping::to_read }(&options.root);
    let available = availability(&plan, options, &kept, store.as_ref())?;
    for text in kept.take_warnings() {
        on_event(&RunEvent::Warning { text });
    }
    let mut findings = Findings::default();
    let mut checked = Vec::new();
    for (&stage, availability) in &available {
        let name = plan.stage(stage).name.to_string();
        match availability {
            _ if !has_findings(&plan, stage) => {}
            Availability::Missing(needs) => findings.unchecked.push(Unchecked {
                stage: name,
                port: missing_input(&plan, stage, &available).map(|(port, _)| port.to_owned()).unwrap_or_default(),
                needs: plan.stage(*needs).name.to_string(),
            }),
            Availability::Stored(_) | Availability::Runnable { .. } => checked.push(name),
        }
    }
    for (stage, availability) in available {
        if let (Availability::Runnable { quick: true }, Check::Needed(make) | Check::Findings(make)) =
            (availability, plan.stage(stage).contract.check)
        {
            findings.quick.push(plan.stage(stage).name.to_string());
            plan.make_quick(stage, make)?;
        }
    }
    if checked.is_empty() {
        return Ok(findings);
    }
    let selection = Selection { stages: checked, ..Selection::default() };
    let options = RunOptions { selection, mode: RunMode::Findings, ..options.clone() };
    let summary = run(&plan, &options, Prefetch::default(), cancel, on_event)?;
    findings.cancelled = summary.cancelled;
    let is_checked = |stage: &StageSummary| {
        let spec = plan.stages().find(|spec| spec.name.as_str() == stage.stage);
        spec.is_some_and(|spec| !matches!(spec.contract.check, Check::Never))
    };
    findings.stages = summary.stages.into_iter().filter(is_checked).collect();
    // The logs are deleted with the run.
    findings.stages.iter_mut().filter_map(|stage| stage.failure.as_mut()).for_each(|failure| failure.log = None);
    Ok(findings)
}

fn has_findings(plan: &Plan, stage: usize) -> bool {
    matches!(plan.stage(stage).contract.check, Check::Findings(_))
}

/// Returns the availability of the stages that have findings, and of every stage that they need.
fn availability(
    plan: &Plan,
    options: &RunOptions,
    kept: &Bookkeeping,
    store: Option<&Store>,
) -> Result<BTreeMap<usize, Availability>, RunError> {
    let needed = plan.with_needed((0..plan.num_stages()).filter(|&stage| has_findings(plan, stage)).collect());
    let mut planner = KeyPlanner::new(plan, kept, &options.executables);
    let mut available = BTreeMap::new();
    for &stage in plan.order().iter().filter(|stage| needed.contains(stage)) {
        let availability = match missing_input(plan, stage, &available) {
            Some((_, needs)) => Availability::Missing(needs),
            None => match stored_result(&mut planner, store, stage, &available)? {
                Some(record) => Availability::Stored(Box::new(record)),
                None => runnable(plan, stage, &available),
            },
        };
        available.insert(stage, availability);
    }
    Ok(available)
}

/// Returns the first input of a stage that has no data, and the stage that has not run.
fn missing_input<'p>(
    plan: &'p Plan,
    stage: usize,
    available: &BTreeMap<usize, Availability>,
) -> Option<(&'p str, usize)> {
    plan.inputs(stage).into_iter().find_map(|(needed, connection)| match available.get(&needed) {
        Some(Availability::Missing(needs)) => Some((connection.input.as_str(), *needs)),
        Some(Availability::Stored(_) | Availability::Runnable { .. }) | None => None,
    })
}

/// Returns the result that the store has of a stage; `None` if a stage that it reads has no result yet.
fn stored_result(
    planner: &mut KeyPlanner,
    store: Option<&Store>,
    stage: usize,
    available: &BTreeMap<usize, Availability>,
) -> Result<Option<ActionRecord>, RunError> {
    let record = |stage: usize| match available.get(&stage) {
        Some(Availability::Stored(record)) => Some(&**record),
        Some(Availability::Runnable { .. } | Availability::Missing(_)) | None => None,
    };
    let Some(store) = store.filter(|_| planner.plan.dependencies(stage).all(|needed| record(needed).is_some())) else {
        return Ok(None);
    };
    match store.find(planner.prepare(stage, record)?.key) {
        Lookup::Hit(record) => Ok(Some(*record)),
        Lookup::Absent | Lookup::Damaged(_) => Ok(None),
    }
}

/// Returns whether a stage without a result runs, and whether with quick parameters.
fn runnable(plan: &Plan, stage: usize, available: &BTreeMap<usize, Availability>) -> Availability {
    let changes = |make: MakeQuick| plan.stage(stage).quick(make) != plan.stage(stage).params;
    let is_quick = |stage| matches!(available.get(&stage), Some(Availability::Runnable { quick: true }));
    match plan.stage(stage).contract.check {
        Check::Never => Availability::Missing(stage),
        Check::Needed(make) => Availability::Runnable { quick: changes(make) },
        Check::Findings(make) => {
            Availability::Runnable { quick: plan.dependencies(stage).any(is_quick) && changes(make) }
        }
    }
}
