//! [`KeyPlanner`]: computes the action key of a stage, and explains why it differs from the last one. Starts no stage.

use crate::bookkeeping::Bookkeeping;
use crate::error::RunError;
use crate::keys::{self, Tools};
use crate::options::Executables;
use crate::reasons::{self, Reason};
use crate::sources::{self, Collected};
use crate::spec::StageSpec;
use crate::{Plan, latest, tools};
use globset::Glob;
use pipe_cache::{ActionKey, ActionRecord, Digest, Fields, Store};
use pipe_schemas::Worker;
use pipe_stage::protocol::Info;
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Computes keys of the stages of one plan, in the plan's order.
pub(crate) struct KeyPlanner<'a> {
    pub(crate) plan: &'a Plan,
    kept: &'a Bookkeeping,
    executables: &'a Executables,
    /// What each worker reports of itself; asked once.
    infos: BTreeMap<Worker, Info>,
    /// The keys of the newest results. They are read for the first stage without a result: a run in which nothing changed does
    /// not need them.
    latest: OnceCell<latest::Keys>,
}

/// A stage whose key is known.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) key: ActionKey,
    pub(crate) fields: Fields,
    pub(crate) tools: Tools,
    pub(crate) sources: BTreeMap<&'static str, Arc<Collected>>,
}

impl<'a> KeyPlanner<'a> {
    pub(crate) fn new(plan: &'a Plan, kept: &'a Bookkeeping, executables: &'a Executables) -> Self {
        Self { plan, kept, executables, infos: BTreeMap::new(), latest: OnceCell::new() }
    }

    /// Returns the key of the newest result of a stage.
    pub(crate) fn latest(&self, stage: usize) -> Result<Option<ActionKey>, RunError> {
        let latest = if let Some(latest) = self.latest.get() {
            latest
        } else {
            let latest = latest::keys(self.kept, self.plan.name())?;
            self.latest.get_or_init(|| latest)
        };
        Ok(latest.get(self.plan.stage(stage).name.as_str()).copied())
    }

    /// Computes the key of a stage from its sources and the outputs that it reads; `output` returns the result of a stage that is
    /// done.
    pub(crate) fn prepare<'r>(
        &mut self,
        stage: usize,
        output: impl Fn(usize) -> Option<&'r ActionRecord>,
    ) -> Result<Prepared, RunError> {
        let plan = self.plan;
        let spec = plan.stage(stage);
        let _span = tracing::debug_span!("key", stage = spec.name.as_str()).entered();
        let mut collected = BTreeMap::new();
        for set in &spec.sources {
            let source = sources::collect(self.kept, set)?;
            if spec.contract.open_ports.is_some() {
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

    /// Returns why the key of `prepared` differs from that of the newest result.
    pub(crate) fn reasons(&self, store: &Store, stage: usize, prepared: &Prepared) -> Result<Vec<Reason>, RunError> {
        let last = self.latest(stage)?.and_then(|key| store.fields(key).ok().flatten());
        Ok(reasons::reasons(last.as_ref(), &prepared.fields, self.plan.stage(stage).contract))
    }

    fn tools(&mut self, spec: &StageSpec) -> Result<Tools, RunError> {
        let Some(worker) = spec.contract.worker else { return Ok(Tools::new()) };
        if !self.infos.contains_key(&worker) {
            let program = self.executables.workers.join(worker.program());
            let info = tools::info(self.kept, worker, &program)?;
            self.infos.insert(worker, info);
        }
        let version = |name: &'static str| {
            let version = self.infos[&worker].tools.get(name).cloned();
            version.map(|version| (name, version)).ok_or(RunError::Tool { worker: worker.program(), tool: name })
        };
        spec.contract.tools.iter().map(|tool| version(tool.name())).collect()
    }
}

/// Fails if a glob matches no file: the program would run without a source that it names.
fn every_glob_matches(source: &Collected, globs: &[String]) -> Result<(), RunError> {
    for glob in globs {
        let matcher = Glob::new(glob)?.compile_matcher();
        if !source.files.iter().any(|file| matcher.is_match(&file.path)) {
            return Err(RunError::NoSource { glob: glob.clone() });
        }
    }
    Ok(())
}
