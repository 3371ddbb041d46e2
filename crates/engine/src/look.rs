//! [`Look`]: what a stage's key is now, whether the store has its result, and if not, why. Starts nothing.

use crate::error::RunError;
use crate::keys::{self, Reason, Tools};
use crate::options::Executables;
use crate::sources::{self, Collected};
use crate::spec::StageSpec;
use crate::{Plan, latest, tools};
use globset::Glob;
use pipe_cache::store::Lookup;
use pipe_cache::{ActionKey, ActionRecord, Digest, Fields, Store};
use pipe_schemas::Worker;
use pipe_stage::protocol::Info;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Looks at stages, one after the other.
pub(crate) struct Look<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) root: &'a Path,
    pub(crate) executables: &'a Executables,
    infos: BTreeMap<Worker, Info>,
    /// The keys of the newest results, as they were at the start.
    latest: latest::Keys,
}

/// A stage with its key.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) key: ActionKey,
    pub(crate) fields: Fields,
    pub(crate) tools: Tools,
    pub(crate) sources: BTreeMap<&'static str, Arc<Collected>>,
}

impl<'a> Look<'a> {
    pub(crate) fn new(plan: &'a Plan, root: &'a Path, executables: &'a Executables) -> Result<Self, RunError> {
        let latest = latest::keys(root, plan.name())?;
        Ok(Self { plan, root, executables, infos: BTreeMap::new(), latest })
    }

    /// Returns the key of the newest result of a stage.
    pub(crate) fn latest(&self, stage: usize) -> Option<ActionKey> {
        self.latest.get(self.plan.stage(stage).name.as_str()).copied()
    }

    /// Makes the key of a stage from its sources and the outputs that it reads.
    pub(crate) fn prepare<'r>(
        &mut self,
        stage: usize,
        output: impl Fn(usize) -> Option<&'r ActionRecord>,
    ) -> Result<Prepared, RunError> {
        let plan = self.plan;
        let spec = plan.stage(stage);
        let mut collected = BTreeMap::new();
        for set in &spec.sources {
            let source = sources::collect(self.root, set)?;
            if spec.contract.open_ports {
                every_glob_matches(&source, &set.include)?;
            }
            collected.insert(set.param, Arc::new(source));
        }
        let mut inputs: BTreeMap<String, Digest> = BTreeMap::new();
        for (needed, connection) in plan.inputs(stage) {
            let digest = output(needed).and_then(|record| record.output.ports.get(&connection.output.name));
            inputs.extend(digest.map(|digest| (connection.input.clone(), *digest)));
        }
        let tools = self.tools(spec)?;
        let fields = keys::fields(spec, &inputs, &collected, &tools);
        Ok(Prepared { key: fields.key(), fields, tools, sources: collected })
    }

    /// Returns why the key of `prepared` is not the last one.
    pub(crate) fn reasons(&self, store: &Store, stage: usize, prepared: &Prepared) -> Vec<Reason> {
        let spec = self.plan.stage(stage);
        let last = self.latest(stage).and_then(|key| store.fields(key).ok().flatten());
        keys::reasons(last.as_ref(), &prepared.fields, spec.contract)
    }

    fn tools(&mut self, spec: &StageSpec) -> Result<Tools, RunError> {
        let Some(worker) = spec.contract.worker else { return Ok(Tools::new()) };
        if !self.infos.contains_key(&worker) {
            let program = self.executables.workers.join(worker.program());
            let info = tools::info(self.root, worker, &program)?;
            self.infos.insert(worker, info);
        }
        let version = |name: &'static str| {
            let version = self.infos[&worker].tools.get(name).cloned();
            version.map(|version| (name, version)).ok_or(RunError::Tool { worker: worker.program(), tool: name })
        };
        spec.contract.tools.iter().map(|tool| version(tool.name())).collect()
    }
}

/// A source that is not there is a mistake: the program would run without it.
fn every_glob_matches(source: &Collected, globs: &[String]) -> Result<(), RunError> {
    for glob in globs {
        let matcher = Glob::new(glob)?.compile_matcher();
        if !source.files.iter().any(|file| matcher.is_match(&file.path)) {
            return Err(RunError::NoSource { glob: glob.clone() });
        }
    }
    Ok(())
}

/// What a run would do with a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Outlook {
    /// Take it from the store.
    Hit {
        /// What its result says of itself.
        summary: Vec<String>,
    },
    /// Run it.
    Miss {
        /// Why.
        reasons: Vec<Reason>,
    },
    /// Run what it reads first; if that comes out as before, this is a hit.
    Open {
        /// The stages that it waits for.
        waits_for: Vec<String>,
    },
    /// It can't be run.
    Error {
        /// Why not.
        error: String,
    },
}

/// A stage with what a run would do with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StageOutlook {
    /// Its name.
    pub stage: String,
    /// Its key, as far as it is known.
    pub key: Option<String>,
    /// What a run would do.
    #[serde(flatten)]
    pub outlook: Outlook,
}

/// Returns what a run of `plan` would do, stage by stage, in order.
pub fn outlook(plan: &Plan, root: &Path, executables: &Executables) -> Result<Vec<StageOutlook>, RunError> {
    let store = Store::open(root)?;
    let mut look = Look::new(plan, root, executables)?;
    let mut records: BTreeMap<usize, ActionRecord> = BTreeMap::new();
    let mut outlooks = Vec::new();
    for &stage in plan.order() {
        let name = |stage: usize| plan.stage(stage).name.to_string();
        let mut waits_for: Vec<String> =
            plan.dependencies(stage).filter(|needed| !records.contains_key(needed)).map(name).collect();
        waits_for.sort();
        waits_for.dedup(); // two ports may read one stage
        let mut outlook = |key: Option<ActionKey>, outlook| {
            outlooks.push(StageOutlook { stage: name(stage), key: key.map(|key| key.to_string()), outlook });
        };
        if !waits_for.is_empty() {
            outlook(None, Outlook::Open { waits_for });
            continue;
        }
        let prepared = match look.prepare(stage, |stage| records.get(&stage)) {
            Ok(prepared) => prepared,
            Err(error) => {
                outlook(None, Outlook::Error { error: error.to_string() });
                continue;
            }
        };
        let key = Some(prepared.key);
        match store.find(prepared.key) {
            Lookup::Hit(record) => {
                outlook(key, Outlook::Hit { summary: record.summary.clone() });
                records.insert(stage, *record);
            }
            Lookup::Absent => outlook(key, Outlook::Miss { reasons: look.reasons(&store, stage, &prepared) }),
            Lookup::Damaged(error) => {
                outlook(key, Outlook::Miss { reasons: vec![Reason::Damaged { what: error.to_string() }] });
            }
        }
    }
    Ok(outlooks)
}
