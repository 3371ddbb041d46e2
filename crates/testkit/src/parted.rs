//! [`Bench`]: runs a stage in parts, as the engine does or step by step.

use crate::{Ran, Replies, context};
use pipe_stage::protocol::{Input, Made, MadePart, MakePart, MakeParts, OldPart, PART_FILES, PlannedPart, Task};
use pipe_stage::{PartedStage, StageError};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A stage in parts, with its inputs.
pub struct Bench<'a> {
    /// The stage.
    pub stage: &'a dyn PartedStage,
    /// Parameters, with defaults filled in.
    pub params: Value,
    /// Inputs by port.
    pub inputs: BTreeMap<String, Input>,
    /// Source files by parameter.
    pub sources: BTreeMap<String, Input>,
    /// Number of threads that the stage may use.
    pub threads: usize,
}

/// The outcome of making parts.
#[derive(Debug)]
pub struct Making {
    /// The return value of the stage.
    pub result: Result<Made, StageError>,
    /// The parts that it reported as complete, in order.
    pub finished: Vec<String>,
}

impl<'a> Bench<'a> {
    /// Returns a bench without sources.
    ///
    /// # Panics
    /// If `params` can't be written as JSON.
    pub fn new<'p>(
        stage: &'a dyn PartedStage,
        params: &impl Serialize,
        inputs: impl IntoIterator<Item = (&'p str, Input)>,
        threads: usize,
    ) -> Self {
        Self {
            stage,
            params: serde_json::to_value(params).expect("parameters as JSON"),
            inputs: inputs.into_iter().map(|(port, input)| (port.to_owned(), input)).collect(),
            sources: BTreeMap::new(),
            threads,
        }
    }

    /// Returns the parts that the stage consists of.
    pub fn plan(&self) -> Result<Vec<PlannedPart>, StageError> {
        let (context, _) = self.context(Task::Plan, Path::new("nothing-is-written-by-a-plan"));
        self.stage.plan(&context)
    }

    /// Makes parts. Their folders must exist; see [`part_in`].
    pub fn make(&self, parts: MakeParts) -> Making {
        // Nothing is written here but what explains a failure.
        let beside_parts = parts.parts.first().and_then(|part| Some(part.folder.parent()?.join("output")));
        let output = beside_parts.unwrap_or_else(|| "no-parts".into());
        let (context, replies) = self.context(Task::Make(parts.clone()), &output);
        let result = self.stage.make(&context, &parts);
        Making { result, finished: replies.finished() }
    }

    /// Makes all parts, from scratch, in folders of `folder`.
    ///
    /// # Panics
    /// If a part is not reported as complete.
    pub fn make_all(&self, folder: &Path) -> Result<Vec<MadePart>, StageError> {
        let parts: Vec<MakePart> = self.plan()?.iter().map(|part| part_in(folder, &part.name)).collect();
        let mut made: Vec<MadePart> = parts.iter().map(MakePart::made).collect();
        let Making { result, mut finished } = self.make(MakeParts::independent(parts));
        if result? == Made::ChainEnded {
            made.truncate(finished.len());
        }
        finished.sort();
        let mut expect: Vec<&String> = made.iter().map(|part| &part.name).collect();
        expect.sort();
        assert_eq!(finished.iter().collect::<Vec<_>>(), expect, "parts reported as complete");
        Ok(made)
    }

    /// Puts the parts together in `output`.
    pub fn assemble(&self, parts: &[MadePart], output: &Path) -> Ran {
        let (context, replies) = self.context(Task::Assemble { parts: parts.into() }, output);
        let result = self.stage.assemble(&context, parts);
        let used_parts = result.as_ref().ok().and_then(|summary| summary.used_parts);
        for part in parts.iter().take(used_parts.unwrap_or(parts.len())) {
            copy_files(&part.folder.join(PART_FILES), output);
        }
        Ran { result, warnings: replies.warnings() }
    }

    /// Makes all parts and puts them together in `output`.
    ///
    /// # Panics
    /// If no temporary folder can be created.
    pub fn run(&self, output: &Path) -> Ran {
        let folder = tempfile::tempdir().expect("a folder");
        match self.make_all(folder.path()) {
            Ok(parts) => self.assemble(&parts, output),
            Err(error) => Ran { result: Err(error), warnings: Vec::new() },
        }
    }

    fn context(&self, task: Task, output: &Path) -> (pipe_stage::Context, Replies) {
        let (params, inputs) = (self.params.clone(), self.inputs.clone());
        context(self.stage.kind(), task, params, inputs, self.sources.clone(), output.into(), self.threads)
    }
}

/// Returns a part `name`, and creates its folder in `folder`.
///
/// # Panics
/// If the folder exists or can't be created.
pub fn part_in(folder: &Path, name: &str) -> MakePart {
    let folder = folder.join(name);
    fs_err::create_dir_all(folder.parent().unwrap_or(&folder)).expect("a folder");
    fs_err::create_dir(&folder).expect("a new folder");
    MakePart { name: name.into(), folder, old: None }
}

/// Returns `made`, which was planned as `then`, as the older version of `now`, if the fields of both are equal.
pub fn older(made: &MadePart, then: &PlannedPart, now: &PlannedPart) -> Option<OldPart> {
    let same = |(name, value): (&String, &String)| (now.items.get(name) == Some(value)).then(|| name.clone());
    let old = || OldPart { made: made.clone(), same_items: then.items.iter().filter_map(same).collect() };
    (then.fields == now.fields).then(old)
}

fn copy_files(from: &Path, to: &Path) {
    let Ok(entries) = fs_err::read_dir(from) else { return };
    for entry in entries {
        let entry = entry.expect("an entry");
        let (from, to): (PathBuf, PathBuf) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy_files(&from, &to);
        } else {
            fs_err::create_dir_all(to.parent().unwrap_or(&to)).expect("a folder");
            assert!(!to.exists(), "{} is written twice", to.display());
            fs_err::copy(&from, &to).expect("copied");
        }
    }
}
