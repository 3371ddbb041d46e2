//! [`Bench`]: runs a stage that is made in parts, as the engine does or step by step.

use crate::{Ran, Told, context};
use pipe_stage::protocol::{Input, Made, MadePart, MakePart, MakeParts, OldPart, PART_FILES, PlannedPart, Task};
use pipe_stage::{PartedStage, StageError};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A stage that is made in parts, with all that it reads.
pub struct Bench<'a> {
    /// The stage.
    pub stage: &'a dyn PartedStage,
    /// With defaults filled in.
    pub params: Value,
    /// By port.
    pub inputs: BTreeMap<String, Input>,
    /// By parameter.
    pub sources: BTreeMap<String, Input>,
    /// How many it may use.
    pub threads: usize,
}

/// How the making of parts ended.
#[derive(Debug)]
pub struct Making {
    /// What the stage returned.
    pub result: Result<Made, StageError>,
    /// Parts that it said are complete, in that order.
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

    /// Makes parts. Their folders must be there; see [`part_in`].
    pub fn make(&self, parts: MakeParts) -> Making {
        let (context, told) = self.context(Task::Make(parts.clone()), Path::new("nothing-is-written-but-parts"));
        let result = self.stage.make(&context, &parts);
        Making { result, finished: told.finished() }
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
        assert_eq!(finished.iter().collect::<Vec<_>>(), expect, "parts said to be complete");
        Ok(made)
    }

    /// Puts the parts together in `output`.
    pub fn assemble(&self, parts: &[MadePart], output: &Path) -> Ran {
        let (context, told) = self.context(Task::Assemble { parts: parts.into() }, output);
        let result = self.stage.assemble(&context, parts);
        let used_parts = result.as_ref().ok().and_then(|summary| summary.used_parts);
        for part in parts.iter().take(used_parts.unwrap_or(parts.len())) {
            copy_files(&part.folder.join(PART_FILES), output);
        }
        Ran { result, warnings: told.warnings() }
    }

    /// Makes all parts and puts them together in `output`.
    ///
    /// # Panics
    /// If there is no room for the parts.
    pub fn run(&self, output: &Path) -> Ran {
        let folder = tempfile::tempdir().expect("a folder");
        match self.make_all(folder.path()) {
            Ok(parts) => self.assemble(&parts, output),
            Err(error) => Ran { result: Err(error), warnings: Vec::new() },
        }
    }

    fn context(&self, task: Task, output: &Path) -> (pipe_stage::Context, Told) {
        let (params, inputs) = (self.params.clone(), self.inputs.clone());
        context(self.stage.kind(), task, params, inputs, self.sources.clone(), output.into(), self.threads)
    }
}

/// Returns the part `name` to be made in a new folder of `folder`.
///
/// # Panics
/// If the folder can't be made, as when it is there.
pub fn part_in(folder: &Path, name: &str) -> MakePart {
    let folder = folder.join(name);
    fs_err::create_dir_all(folder.parent().unwrap_or(&folder)).expect("a folder");
    fs_err::create_dir(&folder).expect("a new folder");
    MakePart { name: name.into(), folder, old: None }
}

/// Returns `made` as the older version of `now`, if the fields of both are equal; `then` is what it was planned as.
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
