//! [`findings`]: what a pipeline's lists and videos say before anything is decoded, for `pipe check`.
//!
//! Stages whose contract says [`Check::Findings`] are run, as in any run, with what they need. What they need is taken from the
//! store; where it is not there, it is made if its contract says [`Check::Needed`], with its parameters made quick. So nothing is
//! done twice: a later run takes what was made with parameters that are its own.

use crate::events::RunEvent;
use crate::key_planner::KeyPlanner;
use crate::options::Aim;
use crate::run::run;
use crate::{Ahead, Cancel, Plan, RunError, RunOptions, Selection, StageSummary};
use pipe_cache::store::Lookup;
use pipe_cache::{ActionRecord, Store};
use pipe_schemas::Check;
use pipe_schemas::contract::MakeQuick;
use std::collections::BTreeMap;

/// What `pipe check` found beyond the pipeline file.
#[derive(Debug, Default)]
pub struct Findings {
    /// The stages that were looked at, in the order in which they ended.
    pub stages: Vec<StageSummary>,
    /// Those of them that did not decode what a run would.
    pub quick: Vec<String>,
    /// The stages that could not be looked at, in order.
    pub unchecked: Vec<Unchecked>,
    /// Whether the user stopped it.
    pub cancelled: bool,
}

/// A stage that could not be looked at, because what it needs is not made by `pipe check`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unchecked {
    /// Its name.
    pub stage: String,
    /// Its input that is not there.
    pub port: String,
    /// The stage that has not run.
    pub needs: String,
}

/// How a stage can be had without decoding, downloading, training or starting a program.
enum Standing {
    /// The store has its result.
    There(ActionRecord),
    /// It can be run.
    Runs { quick: bool },
    /// Not at all: this stage has not run.
    Lacks(usize),
}

/// Runs what tells the findings of `plan`. Failed stages are in what is returned, not in the error. Of `options`, `selection` and
/// `aim` do not matter.
pub fn findings(
    mut plan: Plan,
    options: &RunOptions,
    cancel: &Cancel,
    tell: &mut dyn FnMut(&RunEvent),
) -> Result<Findings, RunError> {
    // A folder that is not there has no results, and is not made to find that out. Held until the run is over, results stay.
    let store = options.root.is_dir().then(|| Store::open(&options.root)?.hold(|| tell(&RunEvent::StoreWaiting)));
    let store = store.transpose()?;
    let standings = standings(&plan, options, store.as_ref())?;
    let mut findings = Findings::default();
    let mut checked = Vec::new();
    for (&stage, standing) in &standings {
        let spec = plan.stage(stage);
        match standing {
            _ if !tells(&plan, stage) => {}
            Standing::Lacks(needs) => findings.unchecked.push(Unchecked {
                stage: spec.name.to_string(),
                port: lacking(&plan, stage, &standings).map(|(port, _)| port.to_owned()).unwrap_or_default(),
                needs: plan.stage(*needs).name.to_string(),
            }),
            Standing::There(_) | Standing::Runs { .. } => checked.push(spec.name.to_string()),
        }
    }
    for (stage, standing) in standings {
        if let (Standing::Runs { quick: true }, Check::Needed(make) | Check::Findings(make)) =
            (standing, plan.stage(stage).contract.check)
        {
            findings.quick.push(plan.stage(stage).name.to_string());
            plan.make_quick(stage, make)?;
        }
    }
    if checked.is_empty() {
        return Ok(findings);
    }
    let selection = Selection { stages: checked, ..Selection::default() };
    let options = RunOptions { selection, aim: Aim::Findings, ..options.clone() };
    let summary = run(&plan, &options, Ahead::default(), cancel, tell)?;
    findings.cancelled = summary.cancelled;
    let looked_at = |stage: &StageSummary| {
        let spec = plan.stages().find(|spec| spec.name.as_str() == stage.stage);
        spec.is_some_and(|spec| !matches!(spec.contract.check, Check::Never))
    };
    findings.stages = summary.stages.into_iter().filter(looked_at).collect();
    let failures = findings.stages.iter_mut().filter_map(|stage| stage.failure.as_mut());
    failures.for_each(|failure| failure.log = None); // it is gone with the run
    Ok(findings)
}

fn tells(plan: &Plan, stage: usize) -> bool {
    matches!(plan.stage(stage).contract.check, Check::Findings(_))
}

/// Says how the stages with findings stand, and all that they need.
fn standings(plan: &Plan, options: &RunOptions, store: Option<&Store>) -> Result<BTreeMap<usize, Standing>, RunError> {
    let needed = plan.with_needed((0..plan.num_stages()).filter(|&stage| tells(plan, stage)).collect());
    let mut planner = KeyPlanner::new(plan, &options.root, &options.executables)?;
    let mut standings = BTreeMap::new();
    for &stage in plan.order().iter().filter(|stage| needed.contains(stage)) {
        let standing = match lacking(plan, stage, &standings) {
            Some((_, needs)) => Standing::Lacks(needs),
            None => match result(&mut planner, store, stage, &standings)? {
                Some(record) => Standing::There(record),
                None => to_run(plan, stage, &standings),
            },
        };
        standings.insert(stage, standing);
    }
    Ok(standings)
}

/// Returns the first input of a stage that can't be had, and the stage that has not run.
fn lacking<'p>(plan: &'p Plan, stage: usize, standings: &BTreeMap<usize, Standing>) -> Option<(&'p str, usize)> {
    plan.inputs(stage).into_iter().find_map(|(needed, connection)| match standings.get(&needed) {
        Some(Standing::Lacks(needs)) => Some((connection.input.as_str(), *needs)),
        _ => None,
    })
}

/// Returns what the store has of a stage. What depends on one that is yet to run can't be known.
fn result(
    planner: &mut KeyPlanner,
    store: Option<&Store>,
    stage: usize,
    standings: &BTreeMap<usize, Standing>,
) -> Result<Option<ActionRecord>, RunError> {
    let record = |stage: usize| match standings.get(&stage) {
        Some(Standing::There(record)) => Some(record),
        _ => None,
    };
    let Some(store) = store.filter(|_| planner.plan.dependencies(stage).all(|needed| record(needed).is_some())) else {
        return Ok(None);
    };
    match store.find(planner.prepare(stage, record)?.key) {
        Lookup::Hit(record) => Ok(Some(*record)),
        Lookup::Absent | Lookup::Damaged(_) => Ok(None),
    }
}

/// Says whether a stage without a result is run, and how.
fn to_run(plan: &Plan, stage: usize, standings: &BTreeMap<usize, Standing>) -> Standing {
    let changes = |make: MakeQuick| plan.stage(stage).quick(make) != plan.stage(stage).params;
    let is_quick = |stage| matches!(standings.get(&stage), Some(Standing::Runs { quick: true }));
    match plan.stage(stage).contract.check {
        Check::Never => Standing::Lacks(stage),
        Check::Needed(make) => Standing::Runs { quick: changes(make) },
        Check::Findings(make) => Standing::Runs { quick: plan.dependencies(stage).any(is_quick) && changes(make) },
    }
}
